"""Putting ours into a live CIB: what we owned and no longer want goes, what we want comes, the rest stays as it is."""

from collections.abc import Callable, Collection, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from functools import partial

from lxml import etree

from understudy.findings import Finding
from understudy.formats.cib.canonical import canonical_element
from understudy.formats.cib.document import (
    NOT_IDS,
    RESOURCES,
    Element,
    Ids,
    configuration_of,
    elements,
    load,
    text_of,
)
from understudy.formats.cib.render import (
    OPERATION_DEFAULTS_SET,
    PROPERTY_SET,
    RESOURCE_DEFAULTS_SET,
    add_pair,
    constraint_element,
    fencing_level_element,
    fencing_level_id,
    ids_for,
    resource_element,
    tag_element,
)
from understudy.formats.cluster import OWNER, ClusterConfiguration, Tag, ids_of

_SECTIONS = ("resources", "constraints", "fencing-topology", "tags")
_PRUNED = ("fencing-topology", "rsc_defaults", "op_defaults", "tags")
_REFERENCES = ("rsc", "with-rsc", "first", "then", "template", "id-ref")


@dataclass(frozen=True)
class Merged:
    """The new CIB; with a finding of the severity error it must not be used."""

    cib: str
    findings: tuple[Finding, ...]


def merge(live: str, ours: ClusterConfiguration, adopt: Collection[str] = ()) -> Merged:
    """Return the live CIB with ours in it; raises FindingsError when the live text is no CIB.

    Ours is what the tag ``understudy`` lists by id: resources (also inside of containers), constraints, fencing levels,
    tags and the pairs of properties, defaults and node attributes. The tag is kept up to date. An object of ours that
    changed is replaced where it stands, a new one goes to the end of its section. An object that is not ours but says
    exactly what ours says becomes ours; one that says something else under the same name is the finding
    ``cib-foreign-object`` and stays, unless its id is among ``adopt``. Merging into the result changes nothing.
    Nodes are never added or removed.
    """
    merger = _Merger(load(live), ours, adopt)
    return Merged(merger.run(), tuple(merger.findings))


@dataclass(frozen=True)
class _Wanted:
    """An object that must be there: ``names`` are its id and those of the resources inside it."""

    names: tuple[str, ...]
    build: Callable[[Ids], Element]
    key: tuple[str, ...] = ()

    def is_at(self, element: Element) -> bool:
        """Tell whether this is the live element that stands for it."""
        if self.key:
            return (element.get("target"), element.get("index")) == self.key
        return element.get("id") == self.names[0]


@dataclass(frozen=True)
class _Settings:
    """Name-value pairs of which some are ours, in the sets of one kind under ``parent``."""

    parent: Element
    tag: str
    set_id: str
    kind: str
    wanted: Mapping[str, str] = field(default_factory=dict)

    def sets(self) -> list[Element]:
        """Return the sets that count always: without rule, not borrowed from elsewhere."""
        sets = self.parent.findall(self.tag)
        return [pairs for pairs in sets if pairs.find("rule") is None and "id-ref" not in pairs.attrib]

    def pairs(self) -> Iterator[Element]:
        """Give the pairs in those sets."""
        for pairs in self.sets():
            yield from pairs.findall("nvpair")

    def take_out(self, owned: Collection[str]) -> None:
        """Remove the pairs that are ours and not wanted, and a set that becomes empty by it."""
        for pairs in self.sets():
            gone = [
                p
                for p in pairs.findall("nvpair")
                if p.get("id") in owned and p.get("name") not in self.wanted
            ]
            for pair in gone:
                pairs.remove(pair)
            if gone and len(pairs) == 0:
                self.parent.remove(pairs)

    def put_in(self, owned: Collection[str], ids: Ids) -> Iterator[str | Finding]:
        """Write the wanted pairs; give the id of each that is ours now, or the finding."""
        for name, value in self.wanted.items():
            pair = next((item for item in self.pairs() if item.get("name") == name), None)
            if pair is None:
                target = next(iter(self.sets()), None)
                if target is None:
                    target = etree.SubElement(self.parent, self.tag, {"id": ids.derive(self.set_id)})
                yield add_pair(target, name, value, ids)
                continue
            pair_id = pair.get("id", "")
            if pair.get("value") != value and pair_id not in owned:
                values = {"id": pair_id, "kind": self.kind, "name": name, "value": pair.get("value")}
                yield Finding("cib-foreign-setting", "error", values, subject=name)
                continue
            pair.set("value", value)
            yield pair_id


def _without_ids(element: Element, _ids: Ids) -> Element:
    """Build an object that needs no made-up ids: a fresh copy of a finished one."""
    return deepcopy(element)


class _Merger:
    def __init__(self, root: Element, ours: ClusterConfiguration, adopt: Collection[str]) -> None:
        self.findings: list[Finding] = []
        self._root = root
        self._configuration = configuration_of(root)
        self._ours = ours
        self._tag = self._configuration.find(f"tags/tag[@id='{OWNER}']")
        listed = () if self._tag is None else (reference.get("id", "") for reference in elements(self._tag))
        self._owned = {*listed, *adopt}
        self._known = self._all_ids()
        self._references: list[str] = []
        self._ids = ids_for(ours)

    def run(self) -> str:
        wanted = {section: tuple(self._wanted(section)) for section in _SECTIONS}
        settings = list(self._settings())
        for section in _SECTIONS:
            self._take_out(section, wanted[section])
        for item in settings:
            item.take_out(self._owned)
        foreign = self._all_ids() - self._our_ids(settings)
        self._ids.reserve(foreign)
        for section in _SECTIONS:
            for thing in wanted[section]:
                self._put_in(section, thing, foreign)
        for item in settings:
            for outcome in item.put_in(self._owned, self._ids):
                if isinstance(outcome, Finding):
                    self.findings.append(outcome)
                else:
                    self._references.append(outcome)
        self._report_dangling()
        self._write_tag()
        for name in _PRUNED:
            if len(empty := self._section(name)) == 0:
                self._configuration.remove(empty)
        return text_of(self._root)

    def _section(self, name: str) -> Element:
        found = self._configuration.find(name)
        return etree.SubElement(self._configuration, name) if found is None else found

    def _wanted(self, section: str) -> Iterator[_Wanted]:
        match section:
            case "resources":
                for resource in self._ours.resources:
                    yield _Wanted(ids_of(resource), partial(resource_element, resource))
            case "constraints":
                for constraint in self._ours.constraints:
                    yield _Wanted((constraint.id,), partial(constraint_element, constraint))
            case "fencing-topology":
                for level in self._ours.fencing_levels:
                    key = (level.target, str(level.index))
                    yield _Wanted(
                        (fencing_level_id(level),), partial(_without_ids, fencing_level_element(level)), key
                    )
            case _:
                for tag in self._ours.tags:
                    if tag.id != OWNER:
                        yield _Wanted((tag.id,), partial(_without_ids, tag_element(tag)))

    def _settings(self) -> Iterator[_Settings]:
        ours = self._ours
        for section, tag, set_id, kind, wanted in (
            ("crm_config", "cluster_property_set", PROPERTY_SET, "property", ours.properties),
            (
                "rsc_defaults",
                "meta_attributes",
                RESOURCE_DEFAULTS_SET,
                "resource default",
                ours.resource_defaults,
            ),
            (
                "op_defaults",
                "meta_attributes",
                OPERATION_DEFAULTS_SET,
                "operation default",
                ours.operation_defaults,
            ),
        ):
            yield _Settings(self._section(section), tag, set_id, kind, wanted)
        nodes = {node.name: node for node in ours.nodes}
        for element in self._section("nodes").findall("node"):
            node, base = nodes.pop(element.get("uname", ""), None), f"nodes-{element.get('id')}"
            yield _Settings(
                element, "instance_attributes", base, "node attribute", node.attributes if node else {}
            )
            utilization = node.utilization if node else {}
            yield _Settings(element, "utilization", f"{base}-utilization", "utilization", utilization)
        for node in nodes.values():
            if node.attributes or node.utilization:
                self.findings.append(
                    Finding("cib-unknown-node", "error", {"node": node.name}, subject=node.name)
                )

    def _objects(self, section: str) -> list[Element]:
        return [child for child in elements(self._section(section)) if child is not self._tag]

    def _all_ids(self) -> set[str]:
        found = (item.get("id") for item in self._configuration.iter("*") if item.tag not in NOT_IDS)
        return {name for name in found if name is not None} - {OWNER}

    def _our_ids(self, settings: list[_Settings]) -> set[str]:
        """Return the ids inside of what we own, but for resources that somebody put into a container of ours."""
        ours: set[str] = set()
        for section in _SECTIONS:
            for child in self._objects(section):
                if child.get("id") in self._owned:
                    ours.update(item.get("id", "") for item in child.iter("*") if item.tag not in NOT_IDS)
                    ours.difference_update(self._strangers(child))
        pairs = (pair.get("id", "") for item in settings for pair in item.pairs())
        return ours | {name for name in pairs if name in self._owned}

    def _strangers(self, element: Element) -> list[str]:
        inside = (item.get("id", "") for item in element.iter(*RESOURCES))
        return [name for name in inside if name not in self._owned]

    def _take_out(self, section: str, wanted: Collection[_Wanted]) -> None:
        for child in self._objects(section):
            if child.get("id") in self._owned and not any(thing.is_at(child) for thing in wanted):
                if self._has_strangers(child):
                    continue
                self._section(section).remove(child)

    def _has_strangers(self, element: Element) -> bool:
        strangers = self._strangers(element)
        for name in strangers:
            values = {"id": name, "container": element.get("id")}
            self.findings.append(Finding("cib-foreign-inside", "error", values, subject=name))
        return bool(strangers)

    def _put_in(self, section: str, thing: _Wanted, foreign: Collection[str]) -> None:
        live = next((child for child in self._objects(section) if thing.is_at(child)), None)
        if live is not None and self._same(live, thing):
            self._references.extend((live.get("id", ""), *thing.names[1:]))
            return
        mine = live is not None and live.get("id") in self._owned
        clashes = [name for name in thing.names if name in foreign or (live is not None and not mine)]
        for name in clashes:
            self.findings.append(
                Finding("cib-foreign-object", "error", {"id": name, "section": section}, subject=name)
            )
        if clashes or (live is not None and self._has_strangers(live)):
            return
        fresh = thing.build(self._ids)
        if live is None:
            self._section(section).append(fresh)
        else:
            self._section(section).replace(live, fresh)
        self._references.extend(thing.names)

    @staticmethod
    def _same(live: Element, thing: _Wanted) -> bool:
        return canonical_element(live) == canonical_element(thing.build(Ids()))

    def _report_dangling(self) -> None:
        gone = self._known - self._all_ids()
        for child in elements(self._section("constraints")):
            named = [child.get(name) for name in _REFERENCES] + [
                item.get("id") for item in child.iter("resource_ref")
            ]
            for name in named:
                if name in gone:
                    values = {"id": name, "by": child.get("id")}
                    self.findings.append(Finding("cib-still-referenced", "error", values, subject=str(name)))

    def _write_tag(self) -> None:
        listed = [] if self._tag is None else [item.get("id", "") for item in elements(self._tag)]
        if self._tag is not None and sorted(listed) == sorted(self._references):
            return
        tags = self._section("tags")
        fresh = tag_element(Tag(id=OWNER, references=tuple(self._references)))
        if self._tag is None and self._references:
            tags.append(fresh)
        elif self._tag is not None and self._references:
            tags.replace(self._tag, fresh)
        elif self._tag is not None:
            tags.remove(self._tag)
