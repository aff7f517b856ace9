"""A configuration without what decides nothing in a given state, so that the scheduler has less to do.

Measured with callgrind on libpacemaker 2.1.5 and a control plane of 21 services: 45 % of a scheduling went into reading
fail counts, which compiles two regular expressions for each resource and node, and is skipped for a resource whose
migration threshold is 0; 20 % into recurring monitors that run already and go on running. Neither decides anything
for a resource without a failure on record. So in the configuration given to the scheduler such resources have no
threshold and no recurring monitor; a resource with a failure has both.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache

from lxml import etree

from understudy.proof.configuration import Configuration
from understudy.proof.state import OK, NodeView, Op, State
from understudy.proof.values import INFINITY, score

Hidden = Mapping[str, frozenset[int]]
"""Primitives with the intervals (in milliseconds) of the monitors that are left out for them."""

NOTHING_HIDDEN: Hidden = {}
_PLAIN = {"id", "name", "interval", "timeout", "role", "on-fail", "start-delay", "enabled", "record-pending"}


class Lean:
    """What may be left out of one configuration, once it is known what runs."""

    def __init__(self, facts: Configuration, cib: etree._Element, baseline: State | None = None) -> None:
        self._facts = facts
        self._thresholds = baseline is not None and not any(
            block.find("rule") is not None
            for path in ("resources//meta_attributes", "rsc_defaults/meta_attributes")
            for block in cib.iterfind(f"configuration/{path}")
        )
        if any(item.kind == "bundle" for item in facts.resources.values()):
            self._thresholds = False
        self.recurring = self._recurring(cib, baseline) if baseline is not None and self._thresholds else {}
        self.hidden = lru_cache(maxsize=4096)(self._hidden)

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

    def _hidden(self, watched: frozenset[str]) -> Hidden:
        return {
            name: frozenset(op.interval for op in ops)
            for name, ops in self.recurring.items()
            if name not in watched
        }

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

    def cut(self, root: etree._Element, watched: Iterable[str]) -> None:
        """Take out of a CIB what decides nothing while only these resources have failed."""
        if not self._thresholds:
            return
        kept = set(watched)
        for pair in list(root.iterfind("configuration//meta_attributes/nvpair[@name='migration-threshold']")):
            if (parent := pair.getparent()) is not None:
                parent.remove(pair)
        for primitive in root.iterfind("configuration/resources//primitive"):
            name = primitive.get("id", "")
            item = self._facts.resources.get(name)
            threshold = item.meta.get("migration-threshold") if item and name in kept else "0"
            if threshold:
                block = etree.SubElement(primitive, "meta_attributes", id=f"{name}-proof-threshold")
                identifier = f"{name}-proof-threshold-value"
                etree.SubElement(block, "nvpair", id=identifier, name="migration-threshold", value=threshold)
                primitive.remove(block)
                primitive.insert(0, block)
            if name in self.recurring and name not in kept:
                for op in primitive.findall("operations/op[@name='monitor']"):
                    if (parent := op.getparent()) is not None:
                        parent.remove(op)
