"""The status section written from a state, and read back: what the scheduler is given instead of a live cluster.

Operation digests matter: a recorded start without the digest that Pacemaker would compute looks like a changed
resource definition and makes the scheduler restart everything.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from lxml import etree

from understudy.proof.lean import NOTHING_HIDDEN, Hidden, Lean
from understudy.proof.render import quoteattr
from understudy.proof.state import CLOCK, FAILED, NOT_RUNNING, OK, History, NodeView, Op, State, Variant

_META = re.compile(r"^CRM_meta_")
_NOT_IN_DIGEST = frozenset(
    {"id", "crm_feature_set", "op-digest", "on_node", "on_node_uuid", "pcmk_external_ip"}
)


def operation_digest(attributes: Mapping[str, str], interval: int) -> str:
    """Return the digest that Pacemaker records for an operation with these action attributes.

    It covers the resource's parameters, sorted by name, and for a recurring operation its timeout.
    """
    kept = {
        key: value for key, value in attributes.items() if not _META.match(key) and key not in _NOT_IN_DIGEST
    }
    if interval and "CRM_meta_timeout" in attributes:
        kept["CRM_meta_timeout"] = attributes["CRM_meta_timeout"]
    element = etree.Element("parameters", {key: kept[key] for key in sorted(kept)})
    return hashlib.md5(b" " + etree.tostring(element) + b"\n", usedforsecurity=False).hexdigest()


def status_text(state: State) -> str:
    """Return the ``status`` element; equal states give equal texts."""
    return "<status>" + "".join(node.text for node in state.nodes.values()) + "</status>"


def state_key(state: State) -> tuple[str, bool, int, Variant]:
    """Return what tells two states apart."""
    return status_text(state), state.quorum, state.now, state.variant


class Template(NamedTuple):
    """The configuration around a status section, cut so that only the status has to be written anew."""

    head: tuple[tuple[str, str], ...]
    before: str
    after: str

    def fill(self, state: State, hidden: Hidden = NOTHING_HIDDEN) -> str:
        """Return the whole CIB as the scheduler wants it, without the monitors that are hidden."""
        attributes = dict(self.head)
        attributes["have-quorum"] = "1" if state.quorum else "0"
        attributes["execution-date"] = str(state.now)
        if up := state.up():
            attributes["dc-uuid"] = state.nodes[up[0]].id
        nodes = "".join(node.text_without(hidden) for node in state.nodes.values())
        head = "".join(f" {key}={quoteattr(value)}" for key, value in attributes.items())
        return f"<cib{head}>{self.before}<status>{nodes}</status>{self.after}</cib>"


def _set_option(root: etree._Element, name: str, value: str) -> None:
    configuration = root.find("configuration")
    if configuration is None:
        configuration = etree.SubElement(root, "configuration")
    section = configuration.find("crm_config")
    if section is None:
        section = etree.Element("crm_config")
        configuration.insert(0, section)
    for pair in section.findall("cluster_property_set/nvpair"):
        if pair.get("name") == name and (parent := pair.getparent()) is not None:
            parent.remove(pair)
    block = section.find("cluster_property_set")
    if block is None:
        block = etree.SubElement(section, "cluster_property_set", id="understudy-proof-options")
    etree.SubElement(block, "nvpair", id=f"understudy-proof-{name}", name=name, value=value)


def _slim(root: etree._Element) -> None:
    """Leave out what decides nothing: agents' parameters, and operations that only set a timeout.

    Only for a status that is written here: one of a real cluster carries digests of the parameters.
    """
    for primitive in root.iterfind("configuration/resources//primitive"):
        if primitive.get("type") == "remote" or primitive.get("template"):
            continue
        for block in primitive.findall("instance_attributes"):
            primitive.remove(block)
        for op in primitive.findall("operations/op"):
            plain = set(op.attrib) <= {"id", "name", "interval", "timeout"} and len(op) == 0
            once = op.get("interval", "0").rstrip("ms") in ("", "0")
            if (
                plain
                and once
                and op.get("name") in ("start", "stop")
                and (parent := op.getparent()) is not None
            ):
                parent.remove(op)


def template(
    cib: etree._Element,
    variant: Variant,
    *,
    slim: bool = False,
    lean: Lean | None = None,
    watched: Iterable[str] = (),
) -> Template:
    """Cut a CIB for this variant; nothing of its own status remains.

    Start-up probes are switched off: a resource without a record on a node is then known not to run there, and
    states stay small. Probes never change where anything ends up. ``slim`` leaves out what the scheduler does not need,
    ``lean`` what decides nothing while only the resources ``watched`` have failed.
    """
    root = etree.fromstring(etree.tostring(cib), etree.XMLParser(remove_blank_text=True))
    for status in root.findall("status"):
        root.remove(status)
    _set_option(root, "enable-startup-probes", "false")
    if slim and root.find("configuration/resources//bundle") is None:
        _slim(root)
    if lean is not None:
        lean.cut(root, watched)
    if variant.maintenance:
        _set_option(root, "maintenance-mode", "true")
    if variant.resource:
        configuration = root.find("configuration")
        constraints = root.find("configuration/constraints")
        if constraints is None and configuration is not None:
            constraints = etree.SubElement(configuration, "constraints")
        if constraints is not None:
            wanted = {"rsc": variant.resource, "node": variant.node, "score": "INFINITY"}
            etree.SubElement(constraints, "rsc_location", {"id": "understudy-proof-move", **wanted})
    head = tuple((str(key), str(value)) for key, value in root.attrib.items())
    inside = "".join(
        etree.tostring(child, encoding="unicode") for child in root if isinstance(child.tag, str)
    )
    return Template(head, inside, "")


def _number(text: str | None, default: int = 0) -> int:
    try:
        return int(text or default)
    except ValueError:
        return default


def _read_op(element: etree._Element, resource: str) -> Op:
    magic = re.match(r"(-?\d+):(-?\d+);-?\d+:-?\d+:(-?\d+):", element.get("transition-magic", ""))
    written = element.get("id", "")
    key = written[len(resource) + 1 :] if written.startswith(f"{resource}_") else written
    extra = tuple(
        (name, element.get(name, ""))
        for name in ("migrate_source", "migrate_target", "last-rc-change", "exit-reason", "op-force-restart")
        if element.get(name)
    )
    return Op(
        key,
        element.get("operation", ""),
        _number(element.get("interval")),
        _number(element.get("rc-code"), int(magic[2]) if magic else 0),
        int(magic[3]) if magic else OK,
        _number(element.get("op-status")),
        element.get("op-digest", ""),
        extra,
    )


def _read_history(element: etree._Element) -> History:
    resource = element.get("id", "")
    ordered = sorted(
        element.iterfind("lrm_rsc_op"),
        key=lambda op: _number(op.get("call-id")) if op.get("call-id") != "-1" else 1 << 30,
    )
    return History(
        element.get("class", ""),
        element.get("provider", ""),
        element.get("type", ""),
        tuple(_read_op(op, resource) for op in ordered),
        element.get("container", ""),
    )


def _worth_keeping(history: History) -> bool:
    return history.role != "Stopped" or any(
        op.status not in (0, 7) or op.rc not in (OK, NOT_RUNNING) or op.key == "last_failure_0"
        for op in history.ops
    )


def _read_node(element: etree._Element) -> NodeView:
    resources = {
        item.get("id", ""): history
        for item in element.iterfind("lrm/lrm_resources/lrm_resource")
        if _worth_keeping(history := _read_history(item))
    }
    attributes = {
        pair.get("name", ""): pair.get("value", "")
        for pair in element.iterfind("transient_attributes/instance_attributes/nvpair")
    }
    flags = tuple(
        (str(key), str(value))
        for key, value in element.attrib.items()
        if key not in ("id", "uname", "remote_node", "crm-debug-origin")
    )
    name = element.get("uname") or element.get("id") or ""
    remote = element.get("remote_node", "") in ("true", "1")
    return NodeView(element.get("id") or name, name, remote, flags, attributes, resources)


def read_state(cib: etree._Element) -> State:
    """Return the state that a CIB's own status section describes."""
    nodes = [_read_node(element) for element in cib.iterfind("status/node_state")]
    quorum = cib.get("have-quorum", "1").lower() in ("1", "true", "yes", "on")
    return State(
        {node.name: node for node in nodes},
        quorum,
        _number(cib.get("execution-date"), CLOCK),
    )


def failure(history: History | None, operation: str, interval: int, rc: int, now: int) -> Op:
    """Return the record of an operation that failed now.

    It keeps the digest of the operation's last success: with another one, Pacemaker takes the resource's definition to
    have changed and forgets the failure.
    """
    known = [
        op for op in (history.ops if history else ()) if (op.operation, op.interval) == (operation, interval)
    ]
    digest, target = (known[-1].digest, known[-1].target) if known else ("", OK)
    changed = (("last-rc-change", str(now)),)
    return Op("last_failure_0", operation, interval, rc, target, 4 if rc == FAILED else 0, digest, changed)
