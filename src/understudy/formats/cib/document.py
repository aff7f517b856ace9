"""What every reader and writer of a CIB shares: loading, the owner of ids, and which elements are anonymous."""

import re
from collections.abc import Iterable

from lxml import etree

from understudy.findings import Finding, FindingsError, Place

Element = etree._Element  # noqa: SLF001 - lxml has no public name for it

PAIR_SETS = frozenset({"instance_attributes", "meta_attributes", "utilization", "cluster_property_set"})
ANONYMOUS = PAIR_SETS | {
    "nvpair", "operations", "op", "rule", "expression", "date_expression", "rsc_expression", "op_expression",
    "duration", "date_spec", "resource_set", "fencing-level",
}  # fmt: skip
"""Elements whose id is made up by whichever tool writes them and carries no meaning."""

RESOURCES = frozenset({"primitive", "group", "clone", "master", "bundle", "template"})

NOT_IDS = frozenset({"node", "obj_ref", "resource_ref", "role_ref", "role"})
"""Elements whose attribute ``id`` names something else, or is no XML id."""

_NOT_NAME = re.compile(r"[^\w.-]", re.ASCII)
_NAME = re.compile(r"[A-Za-z_][\w.-]*", re.ASCII)


def load(text: str, file: str = "") -> Element:
    """Read XML and return its root, a ``cib`` or a ``configuration``; raises FindingsError when it is neither."""
    parser = etree.XMLParser(
        remove_blank_text=True, resolve_entities=False, no_network=True, encoding="utf-8", remove_pis=True
    )
    try:
        root = etree.fromstring(text.encode(), parser)
    except etree.XMLSyntaxError as error:
        line, column = (number if isinstance(number, int) else 0 for number in error.position)
        place = Place(file, line, column)
        raise FindingsError([Finding("cib-text-not-xml", "error", {"reason": error.msg}, place)]) from None
    except UnicodeEncodeError as error:
        raise FindingsError(
            [Finding("cib-text-not-xml", "error", {"reason": error.reason}, Place(file))]
        ) from None
    if root.tag not in {"cib", "configuration"}:
        raise FindingsError(
            [Finding("cib-text-wrong-root", "error", {"root": root.tag}, Place(file, line_of(root)))]
        )
    return root


def configuration_of(root: Element) -> Element:
    """Return the ``configuration`` of a loaded document, made if there is none."""
    if root.tag == "configuration":
        return root
    found = root.find("configuration")
    return etree.SubElement(root, "configuration") if found is None else found


def elements(parent: Element) -> list[Element]:
    """Return the child elements, without comments."""
    return [child for child in parent if isinstance(child.tag, str)]


def line_of(element: Element) -> int:
    """Return the line on which an element starts, 0 if it was not read from a text."""
    return element.sourceline if isinstance(element.sourceline, int) else 0


def text_of(root: Element) -> str:
    """Write a tree, indented as Pacemaker's own tools do."""
    etree.indent(root)
    return etree.tostring(root, encoding="unicode", pretty_print=True)


class Ids:
    """The one owner of the ids in a document, which share one name space."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = set(taken)

    def claim(self, name: str) -> str:
        """Take the id of an object as it is; raises ValueError when it is taken or cannot be an XML id."""
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} cannot be an id in a CIB")
        if name in self._taken:
            raise ValueError(f"the id {name!r} is used twice")
        self._taken.add(name)
        return name

    def reserve(self, names: Iterable[str]) -> None:
        """Mark ids as taken by somebody else."""
        self._taken.update(names)

    def derive(self, wish: str) -> str:
        """Take the id nearest to ``wish`` that is possible and free."""
        base = _NOT_NAME.sub("_", wish)
        if not _NAME.match(base):
            base = f"_{base}"
        name, number = base, 0
        while name in self._taken:
            number += 1
            name = f"{base}-{number}"
        self._taken.add(name)
        return name
