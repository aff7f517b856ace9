"""A Pacemaker configuration as data, in Pacemaker's own words.

This is what a design builds and what every language of the cluster (CIB XML, crmsh, pcs) is written from. Times are
seconds. Scores are integers, ``INFINITY`` is 1,000,000 as in Pacemaker. Mappings keep their order for the reader;
order has no meaning in them. The order of resources does: Pacemaker's scheduler breaks ties by it.

Meaning of all fields: Pacemaker Explained (nodes, resources, constraints, fencing, tags).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

INFINITY = 1_000_000
OWNER = "understudy"
"""The id of the tag that lists what understudy owns in a cluster."""

Role = Literal["Started", "Stopped", "Promoted", "Unpromoted"]
Action = Literal["start", "stop", "promote", "demote"]
OnFail = Literal["ignore", "block", "demote", "stop", "restart", "standby", "fence", "restart-container"]
Comparison = Literal["lt", "gt", "lte", "gte", "eq", "ne", "defined", "not_defined"]
ValueType = Literal["string", "integer", "number", "version"]
Discovery = Literal["always", "never", "exclusive"]
OrderKind = Literal["Mandatory", "Optional", "Serialize"]


@dataclass(frozen=True, kw_only=True)
class Operation:
    """What Pacemaker does with a resource and for how long it waits: ``monitor`` every ``interval`` seconds, ``start``.

    ``check_level`` is handed to the agent as ``OCF_CHECK_LEVEL``.
    """

    name: str
    interval: float = 0
    timeout: float | None = None
    on_fail: OnFail | None = None
    role: Role | None = None
    enabled: bool = True
    check_level: int | None = None


@dataclass(frozen=True, kw_only=True)
class Primitive:
    """One resource; ``agent`` is written ``ocf:heartbeat:IPaddr2``, ``stonith:fence_redfish``, ``systemd:haproxy``."""

    id: str
    agent: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    meta: Mapping[str, str] = field(default_factory=dict)
    operations: tuple[Operation, ...] = ()
    utilization: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_fencing(self) -> bool:
        """Tell whether it is a fencing device."""
        return self.agent.startswith("stonith:")


@dataclass(frozen=True, kw_only=True)
class Group:
    """Primitives that start in order on one node."""

    id: str
    primitives: tuple[Primitive, ...]
    meta: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Clone:
    """Copies of a resource on several nodes; ``promotable`` stands here and never in ``meta``."""

    id: str
    resource: Primitive | Group
    promotable: bool = False
    meta: Mapping[str, str] = field(default_factory=dict)


Resource = Primitive | Group | Clone


@dataclass(frozen=True, kw_only=True)
class Colocation:
    """``resource`` runs where ``with_resource`` runs (negative score: where it does not)."""

    id: str
    resource: str
    with_resource: str
    score: int = INFINITY
    role: Role | None = None
    with_role: Role | None = None


@dataclass(frozen=True, kw_only=True)
class Order:
    """``first_action`` of ``first`` comes before ``then_action`` of ``then``.

    ``symmetrical`` adds the reverse order of the opposite actions; an order of the kind ``Serialize`` never is.
    """

    id: str
    first: str
    then: str
    kind: OrderKind = "Mandatory"
    first_action: Action = "start"
    then_action: Action = "start"
    symmetrical: bool = True

    def __post_init__(self) -> None:
        if self.kind == "Serialize" and self.symmetrical:
            raise ValueError(f"order {self.id}: an order of the kind Serialize is never symmetrical")


@dataclass(frozen=True, kw_only=True)
class Expression:
    """A comparison of a node attribute; ``value`` is None for ``defined`` and ``not_defined``."""

    attribute: str
    operation: Comparison
    value: str | None = None
    type: ValueType | None = None


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Which nodes a location constraint is about: those whose attributes satisfy the expressions."""

    expressions: tuple[Expression, ...]
    boolean_operator: Literal["and", "or"] = "and"


@dataclass(frozen=True, kw_only=True)
class Location:
    """How much ``resource`` wants a node: one by name (``node``) or those that a ``rule`` selects, never both."""

    id: str
    resource: str
    node: str | None = None
    score: int = INFINITY
    rule: Rule | None = None
    role: Role | None = None
    resource_discovery: Discovery | None = None

    def __post_init__(self) -> None:
        if (self.node is None) == (self.rule is None):
            raise ValueError(f"location {self.id}: give either a node or a rule")


Constraint = Colocation | Order | Location


@dataclass(frozen=True, kw_only=True)
class FencingLevel:
    """Devices that fence the node ``target`` together; levels are tried in the order of ``index``, from 1."""

    target: str
    index: int
    devices: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Node:
    """A cluster node with its permanent attributes; ``id`` is its Corosync node id."""

    name: str
    id: str
    attributes: Mapping[str, str] = field(default_factory=dict)
    utilization: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Tag:
    """A name for several objects."""

    id: str
    references: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class ClusterConfiguration:
    """Everything that Pacemaker is told. Ids are unique over resources, constraints and tags."""

    nodes: tuple[Node, ...] = ()
    resources: tuple[Resource, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    fencing_levels: tuple[FencingLevel, ...] = ()
    properties: Mapping[str, str] = field(default_factory=dict)
    resource_defaults: Mapping[str, str] = field(default_factory=dict)
    operation_defaults: Mapping[str, str] = field(default_factory=dict)
    tags: tuple[Tag, ...] = ()

    def primitives(self) -> Iterator[Primitive]:
        """Give every primitive, also those inside of groups and clones, in order."""
        for resource in self.resources:
            yield from primitives_of(resource)

    def resource_ids(self) -> Iterator[str]:
        """Give the id of every resource: containers before what they hold."""
        for resource in self.resources:
            yield from ids_of(resource)

    def with_tag(self, tag: Tag) -> "ClusterConfiguration":
        """Return the configuration with this tag added."""
        return replace(self, tags=(*self.tags, tag))


def primitives_of(resource: Resource) -> tuple[Primitive, ...]:
    """Return the primitives that a resource consists of."""
    match resource:
        case Primitive():
            return (resource,)
        case Group():
            return resource.primitives
        case Clone():
            return primitives_of(resource.resource)


def ids_of(resource: Resource) -> tuple[str, ...]:
    """Return the ids of a resource and of everything inside it."""
    match resource:
        case Primitive():
            return (resource.id,)
        case Group():
            return (resource.id, *(primitive.id for primitive in resource.primitives))
        case Clone():
            return (resource.id, *ids_of(resource.resource))


def forbidden_nodes(configuration: "ClusterConfiguration", resource: Resource) -> frozenset[str]:
    """Return the nodes on which a resource may never run, by constraints that name them."""
    ids = ids_of(resource)
    return frozenset(
        one.node
        for one in configuration.constraints
        if isinstance(one, Location) and one.node and one.resource in ids and one.score <= -INFINITY
    )


def normal_role(text: str) -> str:
    """Return the name that Pacemaker 2.1 gives to a role."""
    return {"Master": "Promoted", "Slave": "Unpromoted"}.get(text, text)


def score_text(score: int) -> str:
    """Write a score as Pacemaker does: ``INFINITY``, ``-INFINITY`` or a number."""
    if abs(score) >= INFINITY:
        return "INFINITY" if score > 0 else "-INFINITY"
    return str(score)


def parse_score(text: str) -> int:
    """Read a score (``INFINITY``, ``+inf``, ``-100``); raises ValueError when it is none."""
    sign, magnitude = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    if magnitude.lower() in {"infinity", "inf"}:
        return sign * INFINITY
    if not magnitude.isdecimal():
        raise ValueError(f"not a score: {text!r}")
    return sign * min(int(magnitude), INFINITY)


_UNITS = {
    "": 1.0, "s": 1.0, "sec": 1.0, "ms": 0.001, "msec": 0.001, "us": 1e-6, "usec": 1e-6,
    "m": 60.0, "min": 60.0, "h": 3600.0, "hr": 3600.0,
}  # fmt: skip


def seconds_text(seconds: float) -> str:
    """Write a duration as Pacemaker reads it, in seconds, or in milliseconds if it has a fraction of a second."""
    milliseconds = round(seconds * 1000)
    return f"{milliseconds}ms" if milliseconds % 1000 else f"{milliseconds // 1000}s"


def parse_seconds(text: str) -> float:
    """Read a duration (``20``, ``20s``, ``500ms``, ``15min``); raises ValueError when it is none.

    Pacemaker Explained, "time specifications" of operations; ISO 8601 durations are not understood.
    """
    number = text.strip()
    unit = number.lstrip("0123456789")
    number = number[: len(number) - len(unit)]
    if not number.isascii() or not number or unit.strip().lower() not in _UNITS:
        raise ValueError(f"not a duration: {text!r}")
    return round(int(number) * _UNITS[unit.strip().lower()], 3)
