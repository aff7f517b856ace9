"""Who has quorum, as Corosync counts it: votes of nodes and of a quorum device, two nodes, ties (votequorum(5)).

The device's votes go to one partition of those that reach it: to the largest one, and between equal ones to the one
that holds the tie-breaking node (corosync-qdevice(8)). A partition with nobody alive beside it gets them in any case.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Quorum:
    """How votes are counted.

    ``votes`` are those of nodes that have another number than one, ``ranks`` the nodes' ids, which break ties, the
    lowest first; ``tie_breaker`` is ``highest``, or ids where it is not the lowest. Without a word on it, two nodes are
    taken to use Corosync's ``two_node``.
    """

    votes: Mapping[str, int] = field(default_factory=dict)
    ranks: Mapping[str, int] = field(default_factory=dict)
    device: int = 0
    two_node: bool | None = None
    auto_tie_breaker: bool = False
    tie_breaker: str = "lowest"

    def holds(self, members: Collection[str], nodes: Collection[str], *, rivals: bool = False) -> bool:
        """Tell whether members have quorum among all nodes; with ``rivals`` the others live on, cut off from them."""
        if not self.device and self.two_node is not False and len(nodes) == 2:
            return len(members) >= 1
        own = sum(self.votes.get(name, 1) for name in members)
        total = sum(self.votes.get(name, 1) for name in nodes) + self.device
        others = len(nodes) - len(members)
        if self.device and members:
            tie = len(members) == others
            largest = len(members) > others or (tie and self._breaks_ties(members, nodes))
            own += self.device if largest or not rivals else 0
        elif self.auto_tie_breaker and own * 2 == total:
            return self._breaks_ties(members, nodes)
        return own * 2 > total

    def _breaks_ties(self, members: Collection[str], nodes: Collection[str]) -> bool:
        ranked = sorted(nodes, key=lambda name: (self.ranks.get(name, len(nodes)), list(nodes).index(name)))
        listed = [name for name in ranked if str(self.ranks.get(name)) in self.tie_breaker.split()]
        chosen = listed[:1] or ranked[-1:] if self.tie_breaker == "highest" else listed[:1] or ranked[:1]
        return bool(set(chosen) & set(members))
