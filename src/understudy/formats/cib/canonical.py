"""One way to write what a CIB means, so that two CIBs can be compared whichever tools wrote them.

Left out are the status, the versions, comments, ids that a tool made up and the tag that lists what understudy owns.
Pairs are sorted by name, constraints, tags and nodes by id, operations by name and interval; durations, scores, roles
and booleans have one spelling; what Pacemaker assumes by itself is written out. Resources keep their order, by which
the scheduler breaks ties.
"""

from lxml import etree

from understudy.formats.cib.document import (
    ANONYMOUS,
    PAIR_SETS,
    RESOURCES,
    Element,
    configuration_of,
    elements,
    load,
    text_of,
)
from understudy.formats.cluster import (
    OWNER,
    normal_role,
    parse_score,
    parse_seconds,
    score_text,
    seconds_text,
)

_BOOLEANS = {"true": "true", "yes": "true", "on": "true", "y": "true", "1": "true"} | {
    "false": "false", "no": "false", "off": "false", "n": "false", "0": "false",
}  # fmt: skip
_BOOLEAN_ATTRIBUTES = frozenset({"enabled", "symmetrical", "sequential", "require-all"})
_ROLE_ATTRIBUTES = frozenset({"role", "rsc-role", "with-rsc-role"})
_DURATION_ATTRIBUTES = frozenset({"interval", "timeout", "start-delay"})
_ASSUMED = {"enabled": "true", "rsc-role": "Started", "with-rsc-role": "Started", "boolean-op": "and"}


def canonical(text: str, *, resource_order: bool = True) -> str:
    """Return the canonical writing of a CIB; raises FindingsError when it is none.

    Without ``resource_order`` the resources are sorted, but for the members of a group: crmsh does not keep the order.
    """
    root = configuration_of(load(text))
    resources = root.find("resources")
    if resources is not None and not resource_order:
        resources[:] = sorted(elements(resources), key=lambda element: element.get("id", ""))
    made_up = {element.get("id") for element in root.iter(*ANONYMOUS)} - {None}
    for reference in list(root.iter("obj_ref")):
        parent = reference.getparent()
        if parent is not None and reference.get("id") in made_up:
            parent.remove(reference)
    for tags in root.findall("tags"):
        for tag in tags.findall(f"tag[@id='{OWNER}']"):
            tags.remove(tag)
    normal = _normal(root)
    return text_of(normal)


def canonical_element(element: Element) -> str:
    """Return the canonical writing of one object."""
    return text_of(_normal(element))


def _normal(element: Element) -> Element:
    attributes = {str(name): _value(str(name), str(value)) for name, value in element.attrib.items()}
    if element.tag in ANONYMOUS or element.tag == "configuration":
        attributes.pop("id", None)
    tag = str(element.tag)
    if tag == "master":
        tag = "clone"
    _write_out(element, attributes)
    result = etree.Element(
        tag,
        {
            name: attributes[name]
            for name in sorted(attributes)
            if name not in _ASSUMED or (attributes[name] != _ASSUMED[name])
        },
    )
    children = [_normal(child) for child in elements(element)]
    if element.tag == "master":
        children.append(_promotable())
    for child in sorted(_merged(children), key=_rank):
        if len(child) or set(child.attrib) - {"id"} or child.tag in RESOURCES | {"obj_ref", "node"}:
            result.append(child)
    return result


def _promotable() -> Element:
    pairs = etree.Element("meta_attributes")
    etree.SubElement(pairs, "nvpair", {"name": "promotable", "value": "true"})
    return pairs


def _merged(children: list[Element]) -> list[Element]:
    """Make one set of all sets of the same kind that have neither rule nor reference nor score."""
    result: list[Element] = []
    first: dict[str, Element] = {}
    for child in children:
        tag = str(child.tag)
        if tag not in PAIR_SETS or child.attrib or child.find("rule") is not None:
            result.append(child)
        elif tag not in first:
            first[tag] = child
            result.append(child)
        else:
            known = {pair.get("name") for pair in first[tag]}
            first[tag].extend(pair for pair in list(child) if pair.get("name") not in known)
            first[tag][:] = sorted(first[tag], key=_rank)
    return result


def _rank(element: Element) -> tuple[str, ...]:
    """Return the sort key among siblings: resources keep their order behind everything else."""
    tag = str(element.tag)
    if tag in RESOURCES:
        return ("~",)
    keys = {
        "nvpair": ("name",),
        "op": ("name", "interval", "role"),
        "fencing-level": ("target", "index"),
        "resource_ref": (),
        "resource_set": (),
    }
    if tag in {"expression", "rule", "date_expression"}:
        return (tag, etree.tostring(element, encoding="unicode"))
    return (tag, *(element.get(key, "") for key in keys.get(tag, ("id",))))


def _value(name: str, value: str) -> str:
    try:
        if name == "score":
            return score_text(parse_score(value))
        if name in _DURATION_ATTRIBUTES:
            return seconds_text(parse_seconds(value))
    except ValueError:
        return value
    if name in _ROLE_ATTRIBUTES:
        return normal_role(value)
    return _BOOLEANS.get(value.lower(), value) if name in _BOOLEAN_ATTRIBUTES else value


def _write_out(element: Element, attributes: dict[str, str]) -> None:
    """Add what Pacemaker assumes where it is not said."""
    if element.tag == "op":
        attributes.setdefault("interval", "0s")
    if element.tag == "rule" and len(elements(element)) < 2:
        attributes.pop("boolean-op", None)
    if element.tag == "rsc_order":
        score = attributes.pop("score", None)
        attributes.setdefault("kind", "Optional" if score == "0" else "Mandatory")
        attributes.setdefault("symmetrical", "false" if attributes["kind"] == "Serialize" else "true")
        if "first" in attributes:
            attributes.setdefault("first-action", "start")
            attributes.setdefault("then-action", attributes["first-action"])
    if element.tag == "rsc_colocation":
        attributes.setdefault("score", "0")
