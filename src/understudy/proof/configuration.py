"""The configuration section of a CIB as facts: resources with effective meta attributes, constraints, nodes.

Reading never fails on a well-formed document: what is missing or odd is left out, and the checks say so.
Meanings follow "Pacemaker Explained" (resources, operations, constraints, resource sets, tags and templates).
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

from lxml import etree

from understudy.proof.quorum import Quorum
from understudy.proof.values import INFINITY, is_true, milliseconds, score

RESOURCE_TAGS = ("primitive", "group", "clone", "master", "bundle")
ADDRESS_AGENTS = frozenset({"IPaddr2", "IPaddr", "IPv6addr", "virtual-address"})
Kind = Literal["primitive", "group", "clone", "bundle"]


@dataclass(frozen=True)
class Operation:
    """An operation of a primitive; times in milliseconds, ``timeout`` 0 where none is written."""

    id: str
    name: str
    interval: int
    timeout: int
    on_fail: str
    role: str
    enabled: bool


@dataclass
class Resource:
    """A resource; ``meta`` holds what is in force, inherited values and defaults included."""

    id: str
    kind: Kind
    agent: str = ""
    parent: str = ""
    children: list[str] = field(default_factory=list)
    meta: dict[str, str] = field(default_factory=dict)
    own_meta: dict[str, str] = field(default_factory=dict)
    parameters: dict[str, str] = field(default_factory=dict)
    utilization: dict[str, int] = field(default_factory=dict)
    operations: list[Operation] = field(default_factory=list)
    line: int = 0

    @property
    def type(self) -> str:
        """Return the agent's name without standard and provider."""
        return self.agent[self.agent.rfind(":") + 1 :]

    @property
    def fencing(self) -> bool:
        """Tell whether this is a fencing device."""
        return self.agent.startswith("stonith:")

    @property
    def address(self) -> bool:
        """Tell whether this is a virtual address."""
        return self.type in ADDRESS_AGENTS

    @property
    def promotable(self) -> bool:
        """Tell whether copies of this clone have a promoted role."""
        return self.kind == "clone" and is_true(self.own_meta.get("promotable"))


@dataclass(frozen=True)
class Location:
    """A location constraint; ``node`` is empty where a rule chooses."""

    id: str
    resource: str
    node: str
    score: int
    role: str = ""
    rule: bool = False
    line: int = 0


@dataclass(frozen=True)
class Order:
    """``first`` before ``then``; one of the pairs a resource set stands for."""

    id: str
    first: str
    then: str
    kind: str = "Mandatory"
    symmetrical: bool = True
    first_action: str = "start"
    then_action: str = "start"
    line: int = 0

    @property
    def mandatory(self) -> bool:
        """Tell whether the order also binds when only one of the two is to act."""
        return self.kind == "Mandatory"


@dataclass(frozen=True)
class Colocation:
    """``resource`` goes where ``with_resource`` is; one of the pairs a resource set stands for."""

    id: str
    resource: str
    with_resource: str
    score: int
    role: str = ""
    with_role: str = ""
    line: int = 0


@dataclass(frozen=True)
class Node:
    """A configured node; ``remote`` for Pacemaker Remote and guest nodes."""

    id: str
    name: str
    remote: bool = False
    attributes: Mapping[str, str] = field(default_factory=dict)
    utilization: Mapping[str, int] = field(default_factory=dict)


@dataclass
class Configuration:
    """Everything the proof wants to know of a configuration."""

    properties: dict[str, str] = field(default_factory=dict)
    nodes: dict[str, Node] = field(default_factory=dict)
    resources: dict[str, Resource] = field(default_factory=dict)
    locations: list[Location] = field(default_factory=list)
    orders: list[Order] = field(default_factory=list)
    colocations: list[Colocation] = field(default_factory=list)
    resource_defaults: dict[str, str] = field(default_factory=dict)
    operation_defaults: dict[str, str] = field(default_factory=dict)
    tags: dict[str, tuple[str, ...]] = field(default_factory=dict)
    tickets: list[str] = field(default_factory=list)
    levels: dict[str, list[str]] = field(default_factory=dict)
    quorum: Quorum = field(default_factory=Quorum)

    @property
    def cluster_nodes(self) -> list[Node]:
        """Return the nodes that run Corosync and count for quorum."""
        return [node for node in self.nodes.values() if not node.remote]

    def primitives(self, root: str | None = None) -> Iterator[Resource]:
        """Yield primitives, all or those inside one resource."""
        if root is None:
            yield from (item for item in self.resources.values() if item.kind == "primitive")
            return
        item = self.resources.get(root)
        if item is None:
            return
        if item.kind == "primitive":
            yield item
        for child in item.children:
            yield from self.primitives(child)

    def root(self, name: str) -> str:
        """Return the outermost resource that holds this one."""
        while (item := self.resources.get(name)) and item.parent:
            name = item.parent
        return name

    def roots(self) -> list[Resource]:
        """Return the outermost resources, in the order of the configuration."""
        return [item for item in self.resources.values() if not item.parent]

    def cloned(self, name: str) -> bool:
        """Tell whether a resource may run on several nodes by design."""
        return self.resources[self.root(name)].kind in ("clone", "bundle")

    def option(self, *names: str, default: str = "") -> str:
        """Return the first property that is set."""
        return next((self.properties[name] for name in names if name in self.properties), default)

    @property
    def fencing_enabled(self) -> bool:
        """Tell whether fencing is on, which is the default."""
        return is_true(self.option("stonith-enabled", "stonith_enabled", "fencing-enabled", default="true"))


def line_of(element: etree._Element) -> int:
    """Return the line of the file in which an element begins; 0 where it is not known."""
    return int(getattr(element, "sourceline", 0) or 0)


def _pairs(element: etree._Element, block: str) -> dict[str, str]:
    """Return the name-value pairs of all blocks of this kind; the first one written wins."""
    found: dict[str, str] = {}
    for pair in element.iterfind(f"{block}/nvpair"):
        found.setdefault(pair.get("name", ""), pair.get("value", ""))
    found.pop("", None)
    return found


def _numbers(element: etree._Element) -> dict[str, int]:
    return {name: score(value) for name, value in _pairs(element, "utilization").items()}


class _Reader:
    def __init__(self, cib: etree._Element) -> None:
        self.cib = cib
        self.facts = Configuration()
        self.templates = {
            item.get("id", ""): item for item in cib.iterfind("configuration/resources/template")
        }

    def read(self) -> Configuration:
        facts, cib = self.facts, self.cib
        for block in cib.iterfind("configuration/crm_config/cluster_property_set"):
            for pair in block.iterfind("nvpair"):
                facts.properties.setdefault(pair.get("name", ""), pair.get("value", ""))
        for section in cib.iterfind("configuration/rsc_defaults"):
            facts.resource_defaults.update(_pairs(section, "meta_attributes"))
        for section in cib.iterfind("configuration/op_defaults"):
            facts.operation_defaults.update(_pairs(section, "meta_attributes"))
        self._nodes()
        for section in cib.iterfind("configuration/resources"):
            for element in section:
                self._resource(element, "", facts.resource_defaults)
        self._tags_and_levels()
        for section in cib.iterfind("configuration/constraints"):
            for element in section:
                self._constraint(element)
        return facts

    def _tags_and_levels(self) -> None:
        for tag in self.cib.iterfind("configuration/tags/tag"):
            self.facts.tags[tag.get("id", "")] = tuple(ref.get("id", "") for ref in tag.iterfind("obj_ref"))
        for level in self.cib.iterfind("configuration/fencing-topology/fencing-level"):
            target = level.get("target") or level.get("target-pattern") or level.get("target-attribute") or ""
            devices = [name.strip() for name in level.get("devices", "").split(",")]
            self.facts.levels.setdefault(target, []).extend(devices)

    def _nodes(self) -> None:
        for element in self.cib.iterfind("configuration/nodes/node"):
            name = element.get("uname") or element.get("id") or ""
            self.facts.nodes[name] = Node(
                element.get("id") or name,
                name,
                element.get("type") in ("remote", "ping"),
                _pairs(element, "instance_attributes"),
                _numbers(element),
            )

    def _resource(self, element: etree._Element, parent: str, inherited: Mapping[str, str]) -> None:
        name = element.get("id", "")
        if element.tag not in RESOURCE_TAGS or name in self.facts.resources:
            return  # an id that is given twice could make a resource its own ancestor
        template = self.templates.get(element.get("template", ""))
        own = (_pairs(template, "meta_attributes") if template is not None else {}) | _pairs(
            element, "meta_attributes"
        )
        if element.tag == "master":
            own["promotable"] = "true"
        kind: Kind = "clone" if element.tag == "master" else element.tag  # type: ignore[assignment]
        resource = Resource(name, kind, parent=parent, own_meta=own, meta={**inherited, **own})
        resource.line = line_of(element)
        self.facts.resources[name] = resource
        if parent:
            self.facts.resources[parent].children.append(name)
        if kind == "primitive":
            self._primitive(resource, element, template)
        for child in element:
            if isinstance(child.tag, str):
                self._resource(child, name, resource.meta)
        if guest := own.get("remote-node"):
            self.facts.nodes.setdefault(guest, Node(guest, guest, remote=True))
        if resource.agent == "ocf:pacemaker:remote":
            self.facts.nodes.setdefault(name, Node(name, name, remote=True))

    def _primitive(
        self, resource: Resource, element: etree._Element, template: etree._Element | None
    ) -> None:
        described = template if template is not None and not element.get("type") else element
        agent = [described.get(part, "") for part in ("class", "provider", "type")]
        resource.agent = ":".join(part for part in agent if part)
        for source in (template, element):
            if source is not None:
                resource.parameters |= _pairs(source, "instance_attributes")
                resource.utilization |= _numbers(source)
        seen = set()
        for source in (element, template):
            for item in source.iterfind("operations/op") if source is not None else ():
                values = {**self.facts.operation_defaults, **_pairs(item, "meta_attributes")}
                values |= {str(key): str(value) for key, value in item.attrib.items()}
                operation = Operation(
                    values.get("id", ""),
                    values.get("name", ""),
                    milliseconds(values.get("interval")),
                    milliseconds(values.get("timeout")),
                    values.get("on-fail", ""),
                    values.get("role", ""),
                    is_true(values.get("enabled", "true")),
                )
                if source is element or (operation.name, operation.interval) not in seen:
                    resource.operations.append(operation)
                    seen.add((operation.name, operation.interval))

    def _constraint(self, element: etree._Element) -> None:
        if element.tag == "rsc_location":
            self._location(element)
        elif element.tag == "rsc_order":
            self._order(element)
        elif element.tag == "rsc_colocation":
            self._colocation(element)
        elif element.tag == "rsc_ticket":
            self.facts.tickets.append(element.get("id", ""))

    def _expand(self, name: str | None) -> tuple[str, ...]:
        return self.facts.tags.get(name or "", (name,) if name else ())

    def _location(self, element: etree._Element) -> None:
        names = [*self._expand(element.get("rsc"))]
        names += [ref.get("id", "") for ref in element.iterfind("resource_set/resource_ref")]
        if pattern := element.get("rsc-pattern"):
            try:
                names += [name for name in self.facts.resources if re.search(pattern, name)]
            except re.error:
                names.append(pattern)
        rules = element.findall("rule")
        value = score(element.get("score") or (rules[0].get("score") if rules else None))
        for name in names:
            self.facts.locations.append(
                Location(
                    element.get("id", ""),
                    name,
                    element.get("node", ""),
                    value,
                    element.get("role", ""),
                    bool(rules),
                    line_of(element),
                )
            )

    def _order(self, element: etree._Element) -> None:
        kind = element.get("kind")
        if kind is None:
            weight = element.get("score")
            kind = "Optional" if weight is not None and score(weight) <= 0 else "Mandatory"
        symmetrical = is_true(element.get("symmetrical", "false" if kind == "Serialize" else "true"))
        first_action = element.get("first-action", "start")
        then_action = element.get("then-action", first_action)
        for first, then in self._set_pairs(element, "first", "then"):
            self.facts.orders.append(
                Order(
                    element.get("id", ""),
                    first,
                    then,
                    kind,
                    symmetrical,
                    first_action,
                    then_action,
                    line_of(element),
                )
            )

    def _set_pairs(self, element: etree._Element, left: str, right: str) -> Iterator[tuple[str, str]]:
        yield from (
            (one, two) for one in self._expand(element.get(left)) for two in self._expand(element.get(right))
        )
        previous: list[str] = []
        for item in element.iterfind("resource_set"):
            names = [name for ref in item.iterfind("resource_ref") for name in self._expand(ref.get("id"))]
            sequential = is_true(item.get("sequential", "true"))
            if sequential:
                yield from pairwise(names)
            if previous and names:
                joins = (previous[-1:], names[:1]) if sequential else (previous, names)
                yield from ((one, two) for one in joins[0] for two in joins[1])
            previous = names

    def _colocation(self, element: etree._Element) -> None:
        sets = element.find("resource_set") is not None
        pairs = list(self._set_pairs(element, "rsc", "with-rsc"))
        for one, two in pairs:
            resource, with_resource = (two, one) if sets else (one, two)
            self.facts.colocations.append(
                Colocation(
                    element.get("id", ""),
                    resource,
                    with_resource,
                    score(element.get("score"), INFINITY if element.get("score") is None else 0),
                    element.get("rsc-role", ""),
                    element.get("with-rsc-role", ""),
                    line_of(element),
                )
            )


def read_configuration(cib: etree._Element) -> Configuration:
    """Return the facts of a CIB's configuration section."""
    return _Reader(cib).read()
