"""Which scenarios are the same but for names, so that one of each kind need be played.

Nodes and resources are vertices of a graph whose edges are membership, constraints, where things run and which node a
device fences. Colours are refined by neighbourhood (Weisfeiler and Leman's method) with what a scenario's first fault
strikes marked; scenarios whose faults then strike equally coloured vertices are taken as equivalent. Names decide only
how Pacemaker breaks ties, so the prover plays a sample of the skipped ones and all of a class in which anything broke.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from understudy.proof.configuration import Configuration, Resource
from understudy.proof.kinship import DATA_AGENTS, FOUNDATION_AGENTS, Kinship, family
from understudy.proof.scenarios import Fault, Scenario

ROUNDS = 8
Key = tuple[object, ...]


class Structure:
    """A configuration and where its resources run, without names."""

    def __init__(self, facts: Configuration, running: Mapping[str, Mapping[str, str]]) -> None:
        self._edges: dict[str, list[tuple[object, str]]] = defaultdict(list)
        self._colours: dict[str, int] = {}
        self._refined: dict[frozenset[tuple[str, int]], dict[str, int]] = {}
        self.usable = not (
            facts.tickets
            or facts.levels
            or any(item.kind == "bundle" for item in facts.resources.values())
            or any(node.remote for node in facts.nodes.values())
        )
        for known in facts.nodes.values():
            values = (sorted(known.attributes.items()), sorted(known.utilization.items()))
            self._colours[f"node {known.name}"] = hash(("node", str(values)))
        for item in facts.resources.values():
            self._resource(item)
        self._constraints(facts)
        for name, places in running.items():
            for node, role in places.items():
                self._join(f"resource {name.partition(':')[0]}", ("runs", role), f"node {node}")

    def _join(self, one: str, label: object, two: str) -> None:
        if one in self._colours and two in self._colours:
            self._edges[one].append(((label, "out"), two))
            self._edges[two].append(((label, "in"), one))

    def _resource(self, item: Resource) -> None:
        name = f"resource {item.id}"
        kind = (
            item.kind,
            item.fencing,
            item.address,
            bool(FOUNDATION_AGENTS.match(item.type)),
            bool(DATA_AGENTS.search(item.type)),
            item.type in ("Filesystem", "LVM", "LVM-activate"),
        )
        policies = sorted((op.name, op.on_fail, op.role, op.enabled) for op in item.operations)
        meta = sorted(item.meta.items())
        self._colours[name] = hash((kind, str(policies), str(meta), str(sorted(item.utilization.items()))))
        for target in item.parameters.get("pcmk_host_list", "").replace(",", " ").split():
            self._join(name, "fences", f"node {target}")

    def _constraints(self, facts: Configuration) -> None:
        for item in facts.resources.values():
            for index, child in enumerate(item.children):
                self._join(f"resource {item.id}", ("member", index), f"resource {child}")
        for one, others in Kinship(facts).together.items():
            for other in others:
                if family(facts.resources[one]) == family(facts.resources[other]):
                    self._join(f"resource {one}", "kin", f"resource {other}")
        for order in facts.orders:
            label = ("order", order.kind, order.symmetrical, order.first_action, order.then_action)
            self._join(f"resource {order.first}", label, f"resource {order.then}")
        for near in facts.colocations:
            score = ("near", near.score, near.role, near.with_role)
            self._join(f"resource {near.resource}", score, f"resource {near.with_resource}")
        for place in facts.locations:
            # What a rule selects is not looked into: its resource is like no other.
            where = ("place", place.score, place.role, place.id if place.rule or not place.node else "")
            if place.rule or not place.node:
                name = f"resource {place.resource}"
                self._colours[name] = hash((self._colours.get(name, 0), place.id))
            self._join(f"resource {place.resource}", where, f"node {place.node}")

    def colours(self, marked: Iterable[tuple[str, int]] = ()) -> dict[str, int]:
        """Return the refined colours with some vertices marked."""
        key = frozenset(marked)
        known = self._refined.get(key)
        if known is not None:
            return known
        colours = dict(self._colours)
        for vertex, mark in key:
            if vertex in colours:
                colours[vertex] = hash((colours[vertex], "marked", mark))
        for _ in range(ROUNDS):
            colours = {
                vertex: hash(
                    (
                        colour,
                        tuple(sorted(hash((label, colours[other])) for label, other in self._edges[vertex])),
                    )
                )
                for vertex, colour in colours.items()
            }
        self._refined[key] = colours
        return colours

    def key(self, scenario: Scenario) -> Key:
        """Return what equivalent scenarios of up to two faults have in common."""
        first, *rest = scenario.faults
        plain, struck = self.colours(), _vertices(first)
        key: list[object] = [first.kind, *(plain.get(vertex) for vertex in struck)]
        for fault in rest:
            others = _vertices(fault)
            if set(others) <= set(struck):  # it strikes the same again, or lets it recover
                key += [fault.kind, *(struck.index(vertex) for vertex in others)]
            else:
                marked = self.colours(_marks(scenario))
                key += [fault.kind, *(marked.get(vertex) for vertex in others)]
        return tuple(key)

    def counterparts(self, played: Scenario, other: Scenario, names: Iterable[str]) -> dict[str, list[str]]:
        """Return for each of these resources those in its place in an equivalent scenario."""
        there, here = self.colours(_marks(played)), self.colours(_marks(other))
        places: dict[int, list[str]] = defaultdict(list)
        listed = list(names)
        for name in listed:
            places[there.get(f"resource {name}", 0)].append(name)
        return {name: places.get(here.get(f"resource {name}", 0), []) for name in listed}


def _vertices(fault: Fault) -> list[str]:
    found = [f"resource {fault.resource.partition(':')[0]}"] if fault.resource else []
    return found + [f"node {node}" for node in fault.nodes]


def _marks(scenario: Scenario) -> list[tuple[str, int]]:
    return [(vertex, index) for index, vertex in enumerate(_vertices(scenario.faults[0]))]


def classes(structure: Structure, scenarios: Iterator[Scenario]) -> list[list[Scenario]]:
    """Return the scenarios by equivalence, each class with its first scenario first."""
    if not structure.usable:
        return [[scenario] for scenario in scenarios]
    found: dict[Key, list[Scenario]] = {}
    for scenario in scenarios:
        found.setdefault(structure.key(scenario), []).append(scenario)
    return list(found.values())
