"""A configuration cut into pieces once, put together anew for each state with only what decides something there."""

import re
from collections.abc import Mapping
from typing import NamedTuple

from lxml import etree

from understudy.proof.lean import Lean, Omitted
from understudy.proof.render import quoteattr
from understudy.proof.state import State, Variant

_MARK = "understudy-piece"
_PIECE = re.compile(rf"<\?{_MARK} (\d+)\?>")
_CONSTRAINTS = -1


class Template(NamedTuple):
    """The configuration around a status section, so that only the status has to be written anew."""

    head: tuple[tuple[str, str], ...]
    before: str

    def fill(self, state: State, omitted: Omitted | None = None) -> str:
        """Return the whole CIB as the scheduler wants it."""
        attributes = dict(self.head)
        attributes["have-quorum"] = "1" if state.quorum else "0"
        attributes["execution-date"] = str(state.now)
        if up := state.up():
            attributes["dc-uuid"] = state.nodes[up[0]].id
        nodes = "".join(node.text_without(omitted) if omitted else node.text for node in state.nodes.values())
        head = "".join(f" {key}={quoteattr(value)}" for key, value in attributes.items())
        return f"<cib{head}>{self.before}<status>{nodes}</status></cib>"


class Need(NamedTuple):
    """What one state asks of the configuration.

    ``watched`` are primitives with a failure on record, ``banned`` resources with the nodes that failures keep them
    from (None: the scheduler is to find out by the fail counts), ``idle`` outermost resources that are left out.
    """

    variant: Variant
    watched: frozenset[str] = frozenset()
    banned: frozenset[tuple[str, str]] | None = None
    idle: frozenset[str] = frozenset()


class _Primitive(NamedTuple):
    """A primitive's text: at rest, with a failure on record, and so that its fail counts count."""

    name: str
    calm: str
    watched: str
    counted: str


class _Whole(NamedTuple):
    """What is left out together with the resources it needs."""

    needs: frozenset[str]
    parts: tuple[object, ...]


class Cuts:
    """The pieces of one configuration; its own status is no part of them.

    Start-up probes are switched off: a resource without a record on a node is then known not to run there, and
    states stay small. Probes never change where anything ends up. ``slim`` leaves out what the scheduler does not need
    of a configuration whose status is made up.
    """

    def __init__(self, cib: etree._Element, lean: Lean | None = None, *, slim: bool = False) -> None:
        self._cib = cib
        self._lean = lean
        self._slim = slim
        self._bases: dict[bool, tuple[tuple[tuple[str, str], ...], tuple[object, ...]]] = {}

    def template(self, need: Need) -> Template:
        """Return the configuration for this need."""
        maintenance = need.variant.maintenance
        if maintenance not in self._bases:
            self._bases[maintenance] = self._cut(maintenance=maintenance)
        head, parts = self._bases[maintenance]
        return Template(head, _joined(parts, need))

    def _cut(self, *, maintenance: bool) -> tuple[tuple[tuple[str, str], ...], tuple[object, ...]]:
        root = etree.fromstring(etree.tostring(self._cib), etree.XMLParser(remove_blank_text=True))
        for status in root.findall("status"):
            root.remove(status)
        _set_option(root, "enable-startup-probes", "false")
        if maintenance:
            _set_option(root, "maintenance-mode", "true")
        if self._slim and root.find("configuration/resources//bundle") is None:
            _slim(root)
        pieces: dict[int, object] = {}
        if self._lean is not None and self._lean.usable:
            self._primitives(root, self._lean, pieces)
            self._wholes(root, self._lean, pieces)
        configuration, constraints = root.find("configuration"), root.find("configuration/constraints")
        if constraints is None and configuration is not None:
            constraints = etree.SubElement(configuration, "constraints")
        if constraints is not None:
            pieces[0] = _CONSTRAINTS
            constraints.append(etree.ProcessingInstruction(_MARK, "0"))
        if root.get("validate-with", "").startswith("pacemaker-3"):
            root.set("validate-with", "none")  # it was validated when it was read
        head = tuple((str(key), str(value)) for key, value in root.attrib.items())
        inside = "".join(
            etree.tostring(child, encoding="unicode", with_tail=False)
            for child in root
            if isinstance(child.tag, str)
        )
        return head, _split(inside, pieces)

    @staticmethod
    def _primitives(root: etree._Element, lean: Lean, pieces: dict[int, object]) -> None:
        for pair in list(root.iterfind("configuration//meta_attributes/nvpair[@name='migration-threshold']")):
            if (parent := pair.getparent()) is not None:
                parent.remove(pair)
        for primitive in list(root.iterfind("configuration/resources//primitive")):
            name = primitive.get("id", "")
            threshold = lean.threshold(name)
            counted = _with_threshold(primitive, threshold) if threshold else _text(primitive)
            watched = _with_threshold(primitive, "0")
            if name in lean.recurring:
                for op in primitive.findall("operations/op[@name='monitor']"):
                    if (parent := op.getparent()) is not None:
                        parent.remove(op)
            calm = _with_threshold(primitive, "0")
            _replace(primitive, _Primitive(name, calm, watched, counted), pieces)

    @staticmethod
    def _wholes(root: etree._Element, lean: Lean, pieces: dict[int, object]) -> None:
        for order in root.findall("configuration/constraints/rsc_order"):
            needs = frozenset({order.get("first", ""), order.get("then", "")}) & lean.clones.keys()
            if needs:
                _replace(order, _Whole(needs, (_text(order),)), pieces)
        for name in lean.clones:
            clone = root.find(f"configuration/resources/clone[@id='{name}']")
            if clone is not None:
                _replace(clone, _Whole(frozenset({name}), _split(_text(clone), pieces)), pieces)


def _text(element: etree._Element) -> str:
    return etree.tostring(element, encoding="unicode", with_tail=False)


def _with_threshold(primitive: etree._Element, threshold: str) -> str:
    """Return a primitive's text with this migration threshold, which is taken out again."""
    name = primitive.get("id", "")
    block = etree.Element("meta_attributes", id=f"{name}-proof-threshold")
    identifier = f"{name}-proof-threshold-value"
    etree.SubElement(block, "nvpair", id=identifier, name="migration-threshold", value=threshold)
    primitive.insert(0, block)
    text = _text(primitive)
    primitive.remove(block)
    return text


def _replace(element: etree._Element, piece: object, pieces: dict[int, object]) -> None:
    parent = element.getparent()
    if parent is not None:
        number = len(pieces) + 1
        pieces[number] = piece
        parent.replace(element, etree.ProcessingInstruction(_MARK, str(number)))


def _split(text: str, pieces: Mapping[int, object]) -> tuple[object, ...]:
    found = _PIECE.split(text)
    return tuple(pieces[int(part)] if index % 2 else part for index, part in enumerate(found))


def _joined(parts: tuple[object, ...], need: Need) -> str:
    return "".join(_written(part, need) for part in parts)


def _written(part: object, need: Need) -> str:
    if isinstance(part, _Primitive):
        if part.name not in need.watched:
            return part.calm
        return part.counted if need.banned is None else part.watched
    if isinstance(part, _Whole):
        return "" if part.needs & need.idle else _joined(part.parts, need)
    return _locations(need) if part == _CONSTRAINTS else str(part)


def _locations(need: Need) -> str:
    """Return what an administrator's move and failures say of where something runs."""
    found = []
    if need.variant.resource:
        where = f"rsc={quoteattr(need.variant.resource)} node={quoteattr(need.variant.node)}"
        found.append(f'<rsc_location id="understudy-proof-move" {where} score="INFINITY"/>')
    for number, (name, node) in enumerate(sorted(need.banned or ())):
        where = f"rsc={quoteattr(name)} node={quoteattr(node)}"
        found.append(f'<rsc_location id="understudy-proof-failed-{number}" {where} score="-INFINITY"/>')
    return "".join(found)


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
            named = op.get("name") in ("start", "stop")
            if plain and once and named and (parent := op.getparent()) is not None:
                parent.remove(op)
