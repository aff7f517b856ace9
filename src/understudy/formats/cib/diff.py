"""What differs between two CIBs, as a person reads it: this parameter, that operation, a constraint gone."""

from collections.abc import Iterator
from dataclasses import dataclass

from lxml import etree

from understudy.formats.cib.canonical import canonical_element
from understudy.formats.cib.document import RESOURCES, Element, configuration_of, elements, load

_PAIRS = {"instance_attributes": "parameter", "meta_attributes": "meta", "utilization": "utilization"}
_SETTINGS = (
    ("crm_config", "property"),
    ("rsc_defaults", "resource default"),
    ("op_defaults", "operation default"),
)


_TARGETS = ("target", "target-pattern", "target-value")


@dataclass(frozen=True, kw_only=True)
class ObjectChange:
    """One difference: ``aspect`` of the object ``id``; None means that it is not there.

    ``kind`` is ``primitive``, ``group``, ``clone``, ``colocation``, ``order``, ``location``, ``fencing level``,
    ``property``, ``resource default``, ``operation default``, ``node``, ``tag`` or the XML name of something rarer.
    ``aspect`` is ``agent``, ``parameter NAME``, ``meta NAME``, ``utilization NAME``, ``attribute NAME``,
    ``operation NAME INTERVAL``, ``members``, or empty where the object is one value. Values are shown as they are:
    who prints them masks what is secret.
    """

    id: str
    kind: str
    aspect: str
    before: str | None
    after: str | None


def diff(live: str, new: str) -> tuple[ObjectChange, ...]:
    """Compare two CIBs; raises FindingsError when one is none. Empty when both mean the same."""
    before, after = _objects(live), _objects(new)
    changes: list[ObjectChange] = []
    for kind, name in dict.fromkeys((*before, *after)):
        old, fresh = before.get((kind, name), {}), after.get((kind, name), {})
        for aspect in dict.fromkeys((*old, *fresh)):
            if old.get(aspect) != fresh.get(aspect):
                values = {"before": old.get(aspect), "after": fresh.get(aspect)}
                changes.append(ObjectChange(id=name, kind=kind, aspect=aspect, **values))
    return tuple(changes)


def _objects(text: str) -> dict[tuple[str, str], dict[str, str]]:
    root = configuration_of(load(text))
    objects: dict[tuple[str, str], dict[str, str]] = {}
    for section, kind in _SETTINGS:
        for pairs in root.findall(f"{section}/*"):
            for name, value in _set_facts(pairs, ""):
                objects.setdefault((kind, name.strip()), {}).setdefault("", value)
    settings = {section for section, _ in _SETTINGS}
    for part in elements(root):
        if part.tag not in settings:
            for element in elements(part):
                _add_object(objects, element)
    return objects


def _add_object(objects: dict[tuple[str, str], dict[str, str]], element: Element) -> None:
    kind, name = _kind(element), element.get("uname") or element.get("id", "")
    if element.tag == "fencing-level":
        target = next((element.get(key) for key in _TARGETS if key in element.attrib), "")
        name = f"{target} {element.get('index')}"
    objects[kind, str(name)] = dict(_facts(element))
    for child in elements(element):
        if child.tag in RESOURCES and element.tag != "bundle":
            _add_object(objects, child)


def _kind(element: Element) -> str:
    names = {"fencing-level": "fencing level", "master": "clone"}
    tag = str(element.tag)
    return names.get(tag, tag.removeprefix("rsc_"))


def _facts(element: Element) -> Iterator[tuple[str, str]]:
    tag = str(element.tag)
    if tag in {"primitive", "template"}:
        names = ("class", "provider", "type")
        agent = ":".join(part for part in (element.get(name) for name in names) if part)
        yield "agent", agent or f"template {element.get('template')}"
        yield from _pair_facts(element)
        for operation in element.findall("operations/op"):
            yield _operation_fact(operation)
    elif tag in {"group", "clone", "master"}:
        yield (
            "members",
            ", ".join(child.get("id", "") for child in elements(element) if child.tag in RESOURCES),
        )
        if tag == "master":
            yield "meta promotable", "true"
        yield from _pair_facts(element)
    elif tag == "node":
        yield "", element.get("id", "")
        yield from _pair_facts(element, parameter="attribute")
    elif tag == "fencing-level":
        yield "", element.get("devices", "")
    elif tag == "tag":
        yield "", ", ".join(sorted(child.get("id", "") for child in elements(element)))
    else:
        yield "", _sentence(element)


def _pair_facts(element: Element, parameter: str = "parameter") -> Iterator[tuple[str, str]]:
    for child in elements(element):
        if child.tag in _PAIRS:
            label = parameter if child.tag == "instance_attributes" else _PAIRS[str(child.tag)]
            yield from _set_facts(child, label)


def _set_facts(pairs: Element, label: str) -> Iterator[tuple[str, str]]:
    if pairs.find("rule") is not None or "id-ref" in pairs.attrib:
        yield f"{label} set {pairs.get('id') or pairs.get('id-ref')}", _one_line(pairs)
        return
    for pair in pairs.findall("nvpair"):
        yield f"{label} {pair.get('name') or pair.get('id-ref')}", pair.get("value", "")


def _operation_fact(operation: Element) -> tuple[str, str]:
    normal = etree.fromstring(canonical_element(operation))
    names = [str(normal.attrib.pop(name)) for name in ("name", "interval", "role") if name in normal.attrib]
    aspect = f"operation {' '.join(names)}"
    values = [(str(name), str(value)) for name, value in normal.items()]
    values += [(pair.get("name", ""), pair.get("value", "")) for pair in normal.iter("nvpair")]
    return aspect, " ".join(f"{name}={value}" for name, value in values)


def _sentence(element: Element) -> str:
    """Say a constraint in one line, in the words of the tools that people know; anything rarer as XML."""
    normal = etree.fromstring(canonical_element(element))
    values = {str(name): str(value) for name, value in normal.attrib.items()}
    if len(normal) == 0 and element.tag == "rsc_colocation":
        role, with_role = (
            f"{values[name]} " if name in values else "" for name in ("rsc-role", "with-rsc-role")
        )
        return f"{role}{values.get('rsc')} with {with_role}{values.get('with-rsc')}, {values['score']}"
    if len(normal) == 0 and element.tag == "rsc_order" and {"first", "then"} <= values.keys():
        one_way = (
            "" if values["symmetrical"] == "true" or values["kind"] == "Serialize" else ", not symmetrical"
        )
        first, then = (f"{values[f'{name}-action']} {values[name]}" for name in ("first", "then"))
        return f"{first} then {then}, {values['kind']}{one_way}"
    if len(normal) == 0 and element.tag == "rsc_location" and values.keys() == {"id", "rsc", "node", "score"}:
        return f"{values['rsc']} on {values['node']}, {values['score']}"
    return _one_line(element)


def _one_line(element: Element) -> str:
    normal = etree.fromstring(canonical_element(element), etree.XMLParser(remove_blank_text=True))
    return etree.tostring(normal, encoding="unicode")
