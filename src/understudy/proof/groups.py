"""Groups as one: what keeps one member from a node keeps the group from it.

The members of a group run on one node. Pacemaker therefore places the first one by the scores of all, and takes a node
that any of them may not use only when there is no other left ("Pacemaker Explained", "Groups"; in libpacemaker the
scores of the others are added to those of the first one, and left out again where no node would remain). As long as
there is another node, it does not matter which member failed to start there, and states that differ only in that
go on alike.
"""

from collections.abc import Iterator, Mapping

from understudy.proof.configuration import Configuration, Resource
from understudy.proof.lean import COUNTED, Lean
from understudy.proof.scenarios import allowed_nodes
from understudy.proof.state import INFINITE, NodeView, State
from understudy.proof.values import INFINITY, score


class Groups:
    """The groups of one configuration that nothing else is tied to."""

    def __init__(self, facts: Configuration, lean: Lean, tied: Mapping[str, frozenset[str]]) -> None:
        self._lean = lean
        self._members: dict[str, tuple[str, ...]] = {}
        self._allowed: dict[str, frozenset[str]] = {}
        for root in facts.roots():
            members = tuple(root.children)
            alone = root.kind == "group" and all(tied.get(name) == frozenset(members) for name in members)
            if alone and lean.plain.issuperset(members) and self._usual(facts, root):
                self._members |= dict.fromkeys(members, members)
                nodes = set.intersection(*(set(allowed_nodes(facts, name)) for name in members))
                near = {root.id, *members}
                nodes -= {
                    place.node for place in facts.locations if place.resource in near and place.score < 0
                }
                self._allowed |= dict.fromkeys(members, frozenset(nodes))

    @staticmethod
    def _usual(facts: Configuration, group: Resource) -> bool:
        """Tell whether a group keeps its members together and no rule or threshold of 0 says what bans it."""
        names = {group.id, *group.children}
        return (
            all(facts.resources[name].meta.keys() <= COUNTED for name in names)
            and all(score(facts.resources[name].meta.get("migration-threshold"), INFINITY) for name in names)
            and not any(place.rule for place in facts.locations if place.resource in names)
        )

    def as_one(self, state: State) -> State:
        """Return the state with each ban of a member written as one of the first member."""
        for node in state.nodes.values() if self._members else ():
            for members in self._banned(state, node):
                changed = self._first_banned(node, members)
                if changed is not None:
                    node = changed  # noqa: PLW2901 - several groups may be banned from one node
                    state = state.with_node(node)
        return state

    def _banned(self, state: State, node: NodeView) -> Iterator[tuple[str, ...]]:
        if not node.up or not node.troubled & self._members.keys():
            return
        bans = self._lean.banned(state, self._lean.watched(state)) or frozenset()
        yield from dict.fromkeys(
            self._members[name]
            for name, where in sorted(bans)
            if where == node.name and name in self._members
        )

    @staticmethod
    def _first_banned(node: NodeView, members: tuple[str, ...]) -> NodeView | None:
        """Return the node with the first member banned in place of any; None where one of them left more behind."""
        histories = [node.resources[name] for name in members if name in node.resources]
        if not all(history.stopped_after_failure for history in histories):
            return None
        marks = tuple(f"{kind}-{name}#" for name in members for kind in ("fail-count", "last-failure"))
        gone: dict[str, str | None] = {key: None for key in node.attributes if key.startswith(marks)}
        for name in members:
            node = node.with_history(name, None)
        return node.with_attributes(gone | {f"fail-count-{members[0]}#start_0": INFINITE})

    def roomy(self, state: State) -> bool:
        """Tell whether every group that failures keep from a node may still run on another one."""
        watched = self._lean.watched(state)
        if not watched & self._members.keys():
            return True
        bans = self._lean.banned(state, watched)
        if bans is None:
            return False
        free = {
            node.name
            for node in state.nodes.values()
            if node.up and not {"standby", "maintenance", "shutdown"} & node.attributes.keys()
        }
        return all(
            (self._allowed[name] & free) - {node for other, node in bans if other in self._members[name]}
            for name in watched & self._members.keys()
        )
