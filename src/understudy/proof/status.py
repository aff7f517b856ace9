"""The status section written from a state, and read back: what the scheduler is given instead of a live cluster.

Operation digests matter: a recorded start without the digest that Pacemaker would compute looks like a changed
resource definition and makes the scheduler restart everything.
"""

import hashlib
import re
from collections.abc import Mapping
from functools import lru_cache

from lxml import etree

from understudy.proof.state import CLOCK, FAILED, NOT_RUNNING, OK, History, NodeView, Op, State

_META = re.compile(r"^CRM_meta_")
_NOT_IN_DIGEST = frozenset(
    {"id", "crm_feature_set", "op-digest", "on_node", "on_node_uuid", "pcmk_external_ip"}
)


def operation_digest(attributes: Mapping[str, str], interval: int) -> str:
    """Return the digest that Pacemaker records for an operation with these action attributes.

    It covers the resource's parameters, sorted by name, and for a recurring operation its timeout.
    """
    return _digest(frozenset(attributes.items()), interval)


@lru_cache(maxsize=4096)
def _digest(items: frozenset[tuple[str, str]], interval: int) -> str:
    attributes = dict(items)
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
