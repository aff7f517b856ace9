"""Faults to which the scheduler gives one answer, so that it is asked once.

Two kinds of failure do less than their record says:

- **A monitor that fails below the migration threshold** gives or takes no node a point: where everything goes is what
  it was before the failure. If the cluster was at rest, then all stays where it is, and the failed resource is stopped
  and started again with what an order chains to it. Which bans kept others from other nodes does not matter any more,
  and what no constraint ties to the resource does not either. So for equal nodes and equally placed tied resources the
  answer is the same.
- **A stop that fails where fencing is on** gets the node fenced, and a node that is about to be fenced can run nothing
  (Pacemaker Explained, "on-fail"; pe_fence_node() in libpe_status). What the failure bans from that node is banned
  from a node that goes anyway, so it does not matter which of the node's resources failed to stop.

Both hold only for resources whose failures do nothing but count (``Lean.plain``), and the answer itself must show it:
the one may act on tied resources only, the other must fence the node and ask nothing of it. ``test_sharing.py`` holds
every shared answer against one of its own.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from lxml import etree

from understudy.proof.configuration import Configuration
from understudy.proof.execute import Synapse, Transition
from understudy.proof.faults import Struck
from understudy.proof.lean import COUNTED, Lean, ordinary
from understudy.proof.scenarios import Fault
from understudy.proof.state import CLOCK, PLAIN, NodeView, State

NODE_ACTIONS = frozenset({"stonith", "do_shutdown"})
_REFERENCES = ("rsc", "with-rsc", "first", "then")


class Shared(NamedTuple):
    """Faults with one answer: where they strike, on what the answer may act, and what else decides it."""

    kind: str
    node: str
    tied: frozenset[str]
    where: object


class Sharing:
    """Recognises on one configuration the faults that share an answer."""

    def __init__(self, facts: Configuration, cib: etree._Element, lean: Lean) -> None:
        self._facts = facts
        self._lean = lean
        # Templates, containers and resources that only some nodes look for are tied in ways not followed here.
        hidden = (
            cib.find("configuration/resources/template") is not None
            or cib.find("configuration/constraints/rsc_location[@resource-discovery]") is not None
            or any("container" in item.meta for item in facts.resources.values())
        )
        self.tied = tied(facts, cib) if lean.plain and ordinary(facts) and not hidden else {}
        self._usual = frozenset(
            item.id
            for item in facts.primitives()
            if item.id in self.tied
            and item.id in lean.plain
            and not item.fencing
            and item.meta.keys() <= COUNTED | {"interleave", "globally-unique"}
        )
        self._fencing = frozenset(self._fencing_at_stop())

    def _fencing_at_stop(self) -> Iterator[str]:
        """Yield the resources whose node is fenced when they fail to stop, and that are like others in that."""
        facts = self._facts
        if facts.fencing_enabled and "on-fail" not in facts.operation_defaults:
            for name in self._usual:
                operations = facts.resources[name].operations
                if {item.on_fail for item in operations if item.name == "stop"} <= {"", "fence"}:
                    yield name

    def of(self, fault: Fault, before: State, struck: Struck, *, rests: bool) -> Shared | None:
        """Return what this fault has in common with others; ``rests`` where nothing was to be done before it."""
        name = fault.resource.partition(":")[0]
        usual = before.quorum and before.now == CLOCK and before.variant == PLAIN
        if fault.kind not in ("monitor", "stop") or not usual or name not in self._usual:
            return None
        node = next(iter(struck.hit))[1]
        if not before.nodes[node].usual:
            return None
        if fault.kind == "stop":
            return Shared("stop", node, frozenset(), before.digest) if name in self._fencing else None
        near = self.tied[name]
        if rests and self._as_before(before, struck.state):
            where = tuple(_placed(view, near) for view in before.nodes.values())
            return Shared("monitor", node, near, (fault.resource, where))
        return None

    def _as_before(self, before: State, after: State) -> bool:
        """Tell whether a failure left every resource the nodes that it had."""
        was = self._lean.banned(before, self._lean.watched(before))
        now = self._lean.banned(after, self._lean.watched(after))
        return now is not None and was == now


def _placed(view: NodeView, names: frozenset[str]) -> object:
    """Return what of a node decides about these resources: what it is, and how they run there."""
    attributes = tuple(
        sorted(
            pair
            for pair in view.attributes.items()
            if not pair[0].startswith(("fail-count-", "last-failure-"))
        )
    )
    running = (
        (name, history)
        for name, history in view.resources.items()
        if name.partition(":")[0] in names and history.role != "Stopped"
    )
    return view.name, view.flags, attributes, tuple(sorted(running))


def stays_within(graph: Iterable[Synapse], names: frozenset[str]) -> bool:
    """Tell whether a graph acts on these resources only."""
    return not any(
        element.tag == "crm_event"
        or (element.tag == "rsc_op" and element.action.resource.partition(":")[0] not in names)
        for synapse in graph
        for element in synapse.elements
    )


def fences_untouched(transition: Transition, node: str) -> bool:
    """Tell whether a transition fences a node, after which it stays off, and does nothing else on it."""
    there = [action for action in transition.actions if action.node == node]
    waiting = any(action.node == node for action in transition.waiting)
    return not waiting and [(action.task, action.failed) for action in there] == [("stonith", False)]


def tied(facts: Configuration, cib: etree._Element) -> dict[str, frozenset[str]]:
    """Return for each primitive all that any constraint, group or clone ties to it, itself included."""
    leaders: dict[str, str] = {}

    def leader(name: str) -> str:
        while (above := leaders.get(name, name)) != name:
            leaders[name] = name = leaders.get(above, above)
        return name

    for item in facts.resources.values():
        if item.parent:
            leaders[leader(item.id)] = leader(item.parent)
    for constraint in cib.iterfind("configuration/constraints/*"):
        named = [constraint.get(key, "") for key in _REFERENCES]
        named += [item.get("id", "") for item in constraint.iterfind(".//resource_ref")]
        one, *others = [name for name in named if name in facts.resources] or [""]
        for other in others:
            leaders[leader(other)] = leader(one)
    found: dict[str, set[str]] = {}
    for item in facts.primitives():
        found.setdefault(leader(item.id), set()).add(item.id)
    frozen = {name: frozenset(members) for name, members in found.items()}
    return {item.id: frozen[leader(item.id)] for item in facts.primitives()}
