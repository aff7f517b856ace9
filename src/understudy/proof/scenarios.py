"""Which failures are played: every single fault of a configuration, and combinations of them.

Faults name what happens; where a resource fault gives no node, it strikes where the resource runs at that moment.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import NamedTuple

from understudy.proof.configuration import Configuration
from understudy.proof.values import INFINITY

FAULTS: Mapping[str, str] = {
    "node-lost": "node lost",
    "node-stopped": "node shut down in order",
    "node-returns": "node returns",
    "standby": "node in standby",
    "standby-ends": "standby ends",
    "maintenance": "node in maintenance, then lost",
    "monitor": "monitor fails",
    "monitor-limit": "monitor fails up to the migration threshold",
    "start": "start fails",
    "stop": "stop fails",
    "promote": "promotion fails",
    "link-lost": "link of the addresses lost",
    "quorum-lost": "quorum lost on every node",
    "partition": "cut off from the others",
    "fencing-fails": "node lost, fencing fails",
    "fencing-slow": "node lost, fencing is slow",
    "cluster-maintenance": "cluster in maintenance mode",
    "healed": "failures expire or are cleaned up",
    "moved": "moved there by an administrator",
}
LARGEST_FULL_SET = 5
LARGEST_PARTITIONED = 9


class Fault(NamedTuple):
    """One thing that happens; ``node`` may hold several names joined by commas."""

    kind: str
    resource: str = ""
    node: str = ""

    @property
    def nodes(self) -> tuple[str, ...]:
        """Return the nodes it names."""
        return tuple(self.node.split(",")) if self.node else ()

    def __str__(self) -> str:
        where = f" on {self.node}" if self.resource and self.node else self.node and f" {self.node}"
        return f"{self.kind}{self.resource and ' ' + self.resource}{where}"


@dataclass(frozen=True)
class Scenario:
    """Faults that happen one after the other, the cluster coming to rest after each."""

    faults: tuple[Fault, ...]

    @property
    def name(self) -> str:
        """Return a name that says what happens."""
        return ", then ".join(str(fault) for fault in self.faults)

    @property
    def order(self) -> int:
        """Return how many independent faults are combined; recoveries do not count."""
        return sum(fault.kind not in RECOVERIES for fault in self.faults)


RECOVERIES = frozenset({"node-returns", "standby-ends", "healed", "moved"})


@dataclass(frozen=True)
class Coverage:
    """What is played, and what was left out and why."""

    scenarios: tuple[Scenario, ...]
    left_out: tuple[str, ...] = ()


def allowed_nodes(facts: Configuration, resource: str) -> list[str]:
    """Return the cluster nodes that no location constraint of the resource or what holds it forbids."""
    names, name = {resource}, resource
    while (item := facts.resources.get(name)) and item.parent:
        name = item.parent
        names.add(name)
    own = [item for item in facts.locations if item.resource in names and not item.role]
    banned = {item.node for item in own if item.score <= -INFINITY and not item.rule}
    only = {item.node for item in own if item.score > -INFINITY and item.node}
    opt_in = facts.option("symmetric-cluster", default="true").lower() in ("false", "off", "no", "0")
    return [
        node.name
        for node in facts.cluster_nodes
        if node.name not in banned and (not opt_in or node.name in only)
    ]


def atomic(facts: Configuration, running: Mapping[str, Mapping[str, str]]) -> list[Fault]:
    """Return the faults that combinations are made of, for a cluster where these resources run."""
    nodes = [node.name for node in facts.cluster_nodes]
    faults = [
        Fault(kind, node=node)
        for kind in ("node-lost", "node-stopped", "standby", "maintenance")
        for node in nodes
    ]
    if any(item.address for item in facts.primitives()):
        faults += [Fault("link-lost", node=node) for node in nodes]
    for name, where in running.items():
        item = facts.resources.get(name.partition(":")[0])
        if item is None:
            continue
        places: Sequence[str] = sorted(where) if facts.cloned(item.id) else [""]
        for place in places:
            kinds = ["monitor", "start", "stop"]
            if place and where[place] == "Promoted":
                kinds.append("promote")
            faults += [Fault(kind, name, place) for kind in kinds]
    return faults


def _recovery(fault: Fault) -> tuple[Fault, ...]:
    ends = {"node-lost": "node-returns", "node-stopped": "node-returns", "standby": "standby-ends"}
    ends |= {"maintenance": "node-returns"}
    if fault.kind in ends:
        return (fault, Fault(ends[fault.kind], node=fault.node))
    if fault.kind in ("monitor-limit", "start"):
        return (fault, Fault("healed", fault.resource))
    if fault.kind == "stop":
        return (fault, Fault("node-returns"))
    return (fault,)


def _positions(facts: Configuration, running: Mapping[str, Mapping[str, str]]) -> Iterator[Scenario]:
    """Yield the failures of everything that runs once, on each of the other nodes where it may run.

    What is tied together is moved together, by the one that the others follow.
    """
    for leader, together in _tied(facts, running):
        members = [item.id for name in together for item in facts.primitives(name) if item.id in running]
        for node in allowed_nodes(facts, leader):
            if members and all(node not in running[name] for name in members):
                for name, kind in product(members, ("monitor", "start", "stop")):
                    yield Scenario((Fault("moved", leader, node), Fault(kind, name, node)))


def _tied(facts: Configuration, running: Mapping[str, Mapping[str, str]]) -> Iterator[tuple[str, list[str]]]:
    """Yield what mandatory colocations keep on one node, with the one that none of the others leads."""
    single_copies = {
        root.id: {node for item in facts.primitives(root.id) for node in running.get(item.id, {})}
        for root in facts.roots()
        if root.kind in ("primitive", "group") and not any(item.fencing for item in facts.primitives(root.id))
    }
    leads: dict[str, str] = {}
    for rule in facts.colocations:
        one, two = facts.root(rule.resource), facts.root(rule.with_resource)
        near = single_copies.get(one), single_copies.get(two)
        plain = rule.score >= INFINITY and not rule.role and not rule.with_role
        if plain and one != two and near[0] is not None and len(near[0]) == 1 and near[0] == near[1]:
            leads.setdefault(one, two)
    bound: dict[str, list[str]] = {}
    for name in single_copies:
        leader, seen = name, {name}
        while (above := leads.get(leader)) and above not in seen:
            seen.add(above)
            leader = above
        bound.setdefault(leader, []).append(name)
    yield from bound.items()


def _node_sets(nodes: Sequence[str]) -> Iterator[Fault]:
    largest = len(nodes) - 1 if len(nodes) <= LARGEST_FULL_SET else 2
    for size in range(2, largest + 1):
        yield from (Fault("node-lost", node=",".join(lost)) for lost in combinations(nodes, size))


def _partitions(nodes: Sequence[str]) -> Iterator[Fault]:
    if len(nodes) > LARGEST_PARTITIONED:
        yield from (Fault("partition", node=node) for node in nodes)
        return
    for size in range(1, len(nodes) // 2 + 1):
        for part in combinations(nodes, size):
            if size * 2 < len(nodes) or nodes[0] in part:
                yield Fault("partition", node=",".join(part))


def single(facts: Configuration, running: Mapping[str, Mapping[str, str]]) -> Coverage:
    """Return every scenario of one fault, each with the recovery after it."""
    nodes = [node.name for node in facts.cluster_nodes]
    scenarios = [Scenario(_recovery(fault)) for fault in atomic(facts, running)]
    scenarios += [Scenario((fault,)) for fault in _node_sets(nodes)]
    if len(nodes) > 1:
        scenarios += [Scenario((fault,)) for fault in _partitions(nodes)]
        scenarios += [
            Scenario((Fault(kind, node=node),))
            for kind in ("fencing-fails", "fencing-slow")
            for node in nodes
        ]
    scenarios += [Scenario((Fault("quorum-lost"),)), Scenario((Fault("cluster-maintenance"),))]
    scenarios += [
        Scenario(_recovery(Fault("monitor-limit", name)))
        for name in running
        if (item := facts.resources.get(name))
        and item.meta.get("migration-threshold", "").isdigit()
        and not facts.cloned(name)
    ]
    scenarios += _positions(facts, running)
    left_out = []
    if len(nodes) > LARGEST_FULL_SET:
        left_out.append(f"sets of more than 2 nodes lost at once (there are {len(nodes)} nodes)")
    if len(nodes) > LARGEST_PARTITIONED:
        left_out.append(f"partitions other than one node against the rest (there are {len(nodes)} nodes)")
    if any(node.remote for node in facts.nodes.values()):
        left_out.append("loss of remote and guest nodes other than by their connection")
    return Coverage(tuple(scenarios), tuple(left_out))


def combined(
    facts: Configuration, running: Mapping[str, Mapping[str, str]], faults: int
) -> Iterator[Scenario]:
    """Yield every ordered combination of exactly so many atomic faults.

    The same faults in another order stay close together, so that what they have in common is computed once.
    """
    base = atomic(facts, running)
    for chosen in combinations(range(len(base)), faults):
        for order in _orders(chosen):
            yield Scenario(tuple(base[index] for index in order))


def count_combined(base: int, faults: int) -> int:
    """Return how many scenarios ``combined`` yields for so many atomic faults."""
    total = 1
    for step in range(faults):
        total *= base - step
    return max(total, 0)


def _orders(chosen: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    if len(chosen) <= 1:
        yield chosen
        return
    for index, first in enumerate(chosen):
        for rest in _orders(chosen[:index] + chosen[index + 1 :]):
            yield (first, *rest)
