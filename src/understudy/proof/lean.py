"""A configuration without what decides nothing in a given state, so that the scheduler has less to do.

Measured with callgrind on libpacemaker 2.1.5 and a control plane of 21 services: 45 % of a scheduling went into reading
fail counts, which compiles two regular expressions for each resource and node, and is skipped for a resource whose
migration threshold is 0; 20 % into recurring monitors that run already and go on running. Neither decides anything
for a resource without a failure on record. So in the configuration given to the scheduler such resources have no
threshold and no recurring monitor.

While no failure has expired, fail counts do one thing only: they ban a resource from a node where they have reached the
threshold. That ban is written instead. And clones that run on every node, that nothing is tied to and that have not
failed are left out as long as no node is touched: they do nothing, and weigh on all nodes alike.
"""

import re
from collections.abc import Container, Mapping
from dataclasses import replace
from functools import cached_property, lru_cache
from typing import NamedTuple

from lxml import etree

from understudy.proof.configuration import Configuration
from understudy.proof.state import CLOCK, OK, PLAIN, NodeView, Op, State
from understudy.proof.values import INFINITY, is_true, score


class Omitted(NamedTuple):
    """What of a status section is left out.

    ``monitors`` are primitives that never failed with the intervals (in milliseconds) of their monitors, ``settled``
    says that fail counts and times of failures are told by bans instead, ``forgotten`` are primitives whose failures on
    nodes where they do not run any more say nothing then, ``idle`` are primitives that are left out.
    """

    monitors: Mapping[str, frozenset[int]]
    settled: bool = False
    forgotten: frozenset[str] = frozenset()
    idle: frozenset[str] = frozenset()


_PLAIN = {"id", "name", "interval", "timeout", "role", "on-fail", "start-delay", "enabled", "record-pending"}


class Lean:
    """What may be left out of one configuration, once it is known what runs."""

    def __init__(
        self,
        facts: Configuration,
        cib: etree._Element,
        baseline: State | None = None,
        *,
        made_up: bool = False,
    ) -> None:
        self._facts = facts
        self._thresholds = baseline is not None and not any(
            block.find("rule") is not None
            for path in ("resources//meta_attributes", "rsc_defaults/meta_attributes")
            for block in cib.iterfind(f"configuration/{path}")
        )
        if any(item.kind == "bundle" for item in facts.resources.values()):
            self._thresholds = False
        self.recurring = self._recurring(cib, baseline) if baseline is not None and self._thresholds else {}
        self.plain = self._bannable(cib) if made_up and self._thresholds else frozenset()
        self.clones = idle_clones(facts, cib, self.recurring) if self.plain else {}
        self.omitted = lru_cache(maxsize=4096)(self._omitted)

    def _recurring(self, cib: etree._Element, baseline: State) -> dict[str, tuple[Op, ...]]:
        """Return the running monitors of each primitive that may be left out: alike wherever it runs."""
        written = {}
        for element in cib.iterfind("configuration/resources//primitive"):
            ops = [op for op in element.iterfind("operations/op") if op.get("name") == "monitor"]
            plain = all(set(op.attrib) <= _PLAIN and not len(op) for op in ops)
            if plain and element.get("template") is None and element.get("type") != "remote":
                written[element.get("id", "")] = ops
        promotable = {
            item.id
            for root in self._facts.resources.values()
            if root.promotable
            for item in self._facts.primitives(root.id)
        }
        found: dict[str, set[tuple[Op, ...]]] = {}
        for node in baseline.nodes.values():
            for name, history in node.resources.items():
                base = name.partition(":")[0]
                if history.role != "Stopped":
                    monitors = tuple(op for op in history.ops if op.operation == "monitor" and op.interval)
                    found.setdefault(base, set()).add(monitors)
        recurring = {}
        for name, ops in written.items():
            kinds = found.get(name, set())
            if len(kinds) != 1 or name in promotable:
                continue
            monitors = next(iter(kinds))
            wanted = {item.interval for item in self._facts.resources[name].operations if item.interval}
            if {op.get("role", "Started") for op in ops} <= {"Started"} and wanted == {
                op.interval for op in monitors
            }:
                recurring[name] = monitors
        return recurring

    def watched(self, state: State) -> frozenset[str]:
        """Return the primitives with a failure on record."""
        if not self._thresholds:
            return frozenset()
        troubled = [node.troubled for node in state.nodes.values()]
        return frozenset().union(*troubled)

    def _omitted(self, watched: frozenset[str], idle: frozenset[str], settled: bool) -> Omitted:
        monitors = {
            name: frozenset(op.interval for op in ops)
            for name, ops in self.recurring.items()
            if name not in watched
        }
        left_out = frozenset(self.clones[name] for name in idle)
        return Omitted(monitors, settled, self.plain if settled else frozenset(), left_out)

    @property
    def usable(self) -> bool:
        """Tell whether anything may be left out of the configuration."""
        return self._thresholds

    def threshold(self, name: str) -> str:
        """Return the migration threshold in force for a primitive, empty where there is none."""
        item = self._facts.resources.get(name)
        return item.meta.get("migration-threshold", "") if item else ""

    def _bannable(self, cib: etree._Element) -> frozenset[str]:
        """Return the primitives whose failures do nothing but count, as long as they have not expired."""
        facts = self._facts
        unique = {
            root.id
            for root in facts.roots()
            if is_true(root.own_meta.get("globally-unique")) or root.promotable
        }
        special = {
            element.get("id", "")
            for element in cib.iterfind("configuration/resources//primitive")
            if element.get("template") is not None or element.get("type") == "remote"
        }
        return frozenset(
            item.id
            for item in facts.primitives()
            if item.id not in special
            and facts.root(item.id) not in unique
            and all(
                op.on_fail in ("", "restart") or (op.name, op.on_fail) == ("stop", "fence")
                for op in item.operations
            )
            and re.fullmatch(r"\d{1,6}|INFINITY", item.meta.get("migration-threshold", "INFINITY"))
        )

    def banned(self, state: State, watched: frozenset[str]) -> frozenset[tuple[str, str]] | None:
        """Return which resources failures keep from which nodes; None where that takes more than counting."""
        if not watched <= self.plain or state.now != CLOCK:
            return None
        found = set()
        for node in state.nodes.values():
            counts: dict[str, int] = {}
            for key, value in node.attributes.items() if node.troubled else ():
                if key.startswith("fail-count-"):
                    name = key.removeprefix("fail-count-").partition("#")[0]
                    counts[name] = counts.get(name, 0) + score(value)
            if not counts.keys() <= watched:
                return None
            for name, count in counts.items():
                threshold = score(self.threshold(name), INFINITY)
                if threshold and count >= threshold:
                    root = self._facts.root(name)
                    found.add((root if self._facts.cloned(name) else name, node.name))
        return frozenset(found)

    @cached_property
    def _sticky(self) -> frozenset[str]:
        """Return the primitives that stay where they are even if they may run elsewhere again."""
        facts = self._facts
        return frozenset(
            name
            for name in self.plain
            if not facts.cloned(name)
            and score(facts.resources[name].meta.get("resource-stickiness")) > 0
            and self._firmly(name)
        )

    def _firmly(self, name: str) -> bool:
        """Tell whether a primitive is where all that it follows is.

        What leads counts the scores of what follows. Where it need not be with it, it may run on the very node that is
        banned, and would leave it.
        """
        facts = self._facts
        chain = [facts.root(name)]
        for follower in chain:
            for near in facts.colocations:
                if facts.root(near.resource) == follower:
                    if near.score < INFINITY:
                        return False
                    if (leader := facts.root(near.with_resource)) not in chain:
                        chain.append(leader)
        return True

    def lighter(self, state: State) -> State:
        """Return the state without what only speaks for leaving all as it is: if it rests, so does the given one.

        That is a ban from a node where a resource does not run, and a move to where a resource runs already. Neither
        makes the node on which it runs a worse place for it or for what follows it, or another one a better place.
        """
        name, node, _ = state.variant
        if name and not state.variant.maintenance and self._moved(state, name, node):
            state = replace(state, variant=PLAIN)
        if self._sticky and state.now == CLOCK:
            for view in state.nodes.values():
                left = self._sticky & view.troubled
                if left:
                    state = self._unbanned(state, view, left)
        return state

    def _moved(self, state: State, name: str, node: str) -> bool:
        facts = self._facts
        running = state.running()
        follows = any(facts.root(near.resource) == facts.root(name) for near in facts.colocations)
        return (
            bool(self.plain)
            and name in facts.resources
            and not facts.cloned(name)
            and not follows
            and all(set(running.get(item.id, {})) == {node} for item in facts.primitives(name))
        )

    @staticmethod
    def _unbanned(state: State, node: NodeView, names: frozenset[str]) -> State:
        for name in names:
            history = node.resources.get(name)
            if history is not None and not history.stopped_after_failure:
                continue
            marks = (f"fail-count-{name}#", f"last-failure-{name}#")
            gone = {key: None for key in node.attributes if key.startswith(marks)}
            node = node.with_history(name, None).with_attributes(gone)
        return state if node is state.nodes[node.name] else state.with_node(node)

    def idle(self, state: State, watched: frozenset[str]) -> frozenset[str]:
        """Return the clones that do nothing in this state, provided that no node is fenced or shut down."""
        if not self.clones or not state.quorum or state.variant.maintenance:
            return frozenset()
        found = {name for name, child in self.clones.items() if child not in watched}
        for node in state.nodes.values():
            if node.off and not node.resources:
                continue
            if not node.up or not node.usual or _stop_failed(node):
                return frozenset()
            found = {name for name in found if _runs(node, self.clones[name])}
        return frozenset(found)

    def calm(self, state: State) -> State:
        """Return the state without failures that are over: recovered from, and counted below the migration threshold.

        Such a fail count changes nothing (Pacemaker Explained, "migration-threshold").
        """
        if self._thresholds:
            for node in state.nodes.values():
                if node.troubled and node.up:
                    state = state.with_node(self._calmed(node))
        return state

    def _calmed(self, node: NodeView) -> NodeView:
        for name in node.troubled & self.recurring.keys():
            counts = [key for key in node.attributes if key.startswith(f"fail-count-{name}#")]
            values = [node.attributes[key] for key in counts]
            threshold = score(self._facts.resources[name].meta.get("migration-threshold"), INFINITY)
            history = node.resources.get(name)
            if history is None or not counts or not all(value.isdigit() for value in values):
                continue
            *older, last = history.ops
            later = [op for op in history.ops if op.key == "last_0"]
            over = (
                any(op.operation == "start" and op.rc == OK for op in later) and last.key != "last_failure_0"
            )
            if over and sum(map(int, values)) < threshold:
                ops = tuple(op for op in (*older, last) if op.key != "last_failure_0")
                gone = {
                    key: None for key in node.attributes if key.startswith((f"last-failure-{name}#", *counts))
                }
                node = node.with_history(name, history._replace(ops=ops)).with_attributes(gone)
        return node


def _runs(node: NodeView, name: str) -> bool:
    history = node.resources.get(name)
    return history is not None and history.role == "Started"


def _stop_failed(node: NodeView) -> bool:
    return any(
        op.operation == "stop" and op.rc != OK
        for name in node.troubled
        if (history := node.resources.get(name))
        for op in history.ops
    )


def ordinary(facts: Configuration) -> bool:
    """Tell whether nothing but constraints, stickiness and load decides where something runs, and nodes are alike."""
    strange = any(
        node.remote or {"standby", "maintenance"} & node.attributes.keys() for node in facts.nodes.values()
    )
    placed = facts.option("placement-strategy", default="default") != "default"
    healthy = facts.option("node-health-strategy", default="none") == "none"
    ranked = any("priority" in item.meta for item in facts.resources.values())
    return not (strange or placed or not healthy or ranked or facts.tickets or facts.tags)


def idle_clones(facts: Configuration, cib: etree._Element, plain: Container[str]) -> dict[str, str]:
    """Return the anonymous clones of one primitive each that nothing but advisory orders ties to anything."""
    if not ordinary(facts):
        return {}
    tied = {place.resource for place in facts.locations}
    for near in facts.colocations:
        tied |= {near.resource, near.with_resource}
    for order in facts.orders:
        if order.kind != "Optional":
            tied |= {order.first, order.then}
    for reference in cib.iterfind("configuration/constraints//resource_ref"):
        tied.add(reference.get("id", ""))
    found = {}
    for root in facts.roots():
        child = root.children[0] if root.kind == "clone" and len(root.children) == 1 else ""
        item = facts.resources.get(child)
        if item is None or item.kind != "primitive" or child not in plain:
            continue
        usual = root.own_meta.keys() <= {"interleave", "globally-unique"} | COUNTED
        usual = (
            usual and item.own_meta.keys() <= COUNTED and not is_true(root.own_meta.get("globally-unique"))
        )
        if usual and not {root.id, child} & tied and not item.utilization and _usual_defaults(facts):
            found[root.id] = child
    return found


COUNTED = frozenset({"migration-threshold", "failure-timeout", "resource-stickiness"})


def _usual_defaults(facts: Configuration) -> bool:
    return facts.resource_defaults.keys() <= COUNTED and not is_true(facts.option("maintenance-mode"))
