"""What a cluster's status section says, as immutable values that faults and transitions derive from one another.

Times are seconds since the epoch; a proof's clock stands still unless a scenario moves it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple

from understudy.proof.render import node_text

if TYPE_CHECKING:
    from understudy.proof.lean import Omitted

OK, FAILED, NOT_RUNNING, PROMOTED = 0, 1, 7, 8
CLOCK = 1_700_000_000
INFINITE = "INFINITY"

Attributes = Mapping[str, str]


class Op(NamedTuple):
    """One recorded operation of a resource on a node; ``interval`` in milliseconds."""

    key: str
    operation: str
    interval: int
    rc: int
    target: int = OK
    status: int = 0
    digest: str = ""
    extra: tuple[tuple[str, str], ...] = ()


class History(NamedTuple):
    """The operations of one resource on one node, oldest first."""

    standard: str
    provider: str
    type: str
    ops: tuple[Op, ...]
    container: str = ""

    @property
    def role(self) -> str:
        """Return ``Stopped``, ``Started`` or ``Promoted``; a failed operation leaves the resource active."""
        return _role(self.ops)

    @property
    def stopped_after_failure(self) -> bool:
        """Tell whether something other than a stop failed and the resource was stopped then."""
        *older, last = self.ops
        stopped = (last.operation, last.rc) == ("stop", OK)
        return stopped and all(op.operation != "stop" and op.rc in (OK, FAILED, NOT_RUNNING) for op in older)


@lru_cache(maxsize=65536)
def _role(ops: tuple[Op, ...]) -> str:
    role = "Stopped"
    for op in ops:
        role = _role_after(op, role)
    return role


def _role_after(op: Op, role: str) -> str:
    if op.key == "last_failure_0" and op.rc == NOT_RUNNING and op.operation == "monitor":
        return role
    if op.operation == "monitor":
        return {NOT_RUNNING: "Stopped", PROMOTED: "Promoted", 9: "Promoted"}.get(op.rc, "Started")
    if op.rc != OK:
        return role if role != "Stopped" else "Started"
    after = {"start": "Started", "migrate_from": "Started", "promote": "Promoted", "demote": "Started"}
    after |= {"stop": "Stopped", "migrate_to": "Stopped"}
    return after.get(op.operation, role)


@dataclass(frozen=True)
class NodeView:
    """A node as the status section knows it; ``flags`` are the attributes of its ``node_state``."""

    id: str
    name: str
    remote: bool = False
    flags: tuple[tuple[str, str], ...] = ()
    attributes: Attributes = field(default_factory=dict)
    resources: Mapping[str, History] = field(default_factory=dict)

    @cached_property
    def text(self) -> str:
        """Return the node's ``node_state`` element."""
        return node_text(self)

    @cached_property
    def digest(self) -> bytes:
        """Return what tells this node from another."""
        return blake2b(self.text.encode(), digest_size=16).digest()

    @cached_property
    def _texts(self) -> dict[int, tuple["Omitted", str]]:
        return {}

    def text_without(self, omitted: "Omitted") -> str:
        """Return the node's element without what is left out."""
        known = self._texts.get(id(omitted))
        if known is None or known[0] is not omitted:
            known = self._texts[id(omitted)] = (omitted, node_text(self, omitted))
        return known[1]

    @property
    def off(self) -> bool:
        """Tell whether the node is known to be off, and cleanly."""
        return self.flags == _DOWN

    @property
    def usual(self) -> bool:
        """Tell whether no attribute of the node says more than what failed on it."""
        return all(key.startswith(("fail-count-", "last-failure-", "#")) for key in self.attributes)

    @cached_property
    def troubled(self) -> frozenset[str]:
        """Return the primitives with a fail count or a failed operation on this node."""
        counted = {
            key.removeprefix("fail-count-").partition("#")[0].partition(":")[0]
            for key in self.attributes
            if key.startswith("fail-count-")
        }
        return frozenset(counted).union(
            name.partition(":")[0]
            for name, history in self.resources.items()
            if any(op.key == "last_failure_0" or op.rc not in (OK, PROMOTED) for op in history.ops)
        )

    @cached_property
    def up(self) -> bool:
        """Tell whether the node is a full member (a remote node is judged by its connection)."""
        flags = dict(self.flags)
        peer = flags.get("crmd") in ("online", "1") and flags.get("join") == "member"
        return self.remote or (self.present and peer)

    @cached_property
    def present(self) -> bool:
        """Tell whether the node's Corosync is a member."""
        return dict(self.flags).get("in_ccm", "false") not in ("false", "0", "")

    def with_attributes(self, changes: Mapping[str, str | None]) -> "NodeView":
        """Return the node with transient attributes set, or removed where None."""
        merged = {**self.attributes, **{key: value for key, value in changes.items() if value is not None}}
        for key, value in changes.items():
            if value is None:
                merged.pop(key, None)
        return NodeView(self.id, self.name, self.remote, self.flags, merged, self.resources)

    def with_history(self, resource: str, history: History | None) -> "NodeView":
        """Return the node with another history of one resource, or none."""
        resources = dict(self.resources)
        if history is None or not history.ops:
            resources.pop(resource, None)
        else:
            resources[resource] = history
        return NodeView(self.id, self.name, self.remote, self.flags, self.attributes, resources)

    def joined(self) -> "NodeView":
        """Return the node as a fresh member with nothing running."""
        return NodeView(self.id, self.name, self.remote, _UP)

    def lost(self) -> "NodeView":
        """Return the node as its peers see it after it went silent: what it ran is still on record."""
        return replace(self, flags=_LOST)

    def down(self) -> "NodeView":
        """Return the node as known to be off: fenced, or shut down in order."""
        return NodeView(self.id, self.name, self.remote, _DOWN)


_UP = (("in_ccm", "true"), ("crmd", "online"), ("join", "member"), ("expected", "member"))
_LOST = (("in_ccm", "false"), ("crmd", "offline"), ("join", "down"), ("expected", "member"))
_DOWN = (("in_ccm", "false"), ("crmd", "offline"), ("join", "down"), ("expected", "down"))


class Variant(NamedTuple):
    """A temporary change of the configuration: an administrator's move, or maintenance mode."""

    resource: str = ""
    node: str = ""
    maintenance: bool = False


PLAIN = Variant()


@dataclass(frozen=True)
class State:
    """The status section, quorum, the clock, and what an administrator has temporarily set."""

    nodes: Mapping[str, NodeView]
    quorum: bool = True
    now: int = CLOCK
    variant: Variant = PLAIN

    def with_node(self, node: NodeView) -> "State":
        """Return the state with this node replaced or added."""
        return State({**self.nodes, node.name: node}, self.quorum, self.now, self.variant)

    @cached_property
    def digest(self) -> bytes:
        """Return what tells this state from another."""
        whole = blake2b(repr((self.quorum, self.now, self.variant)).encode(), digest_size=16)
        for node in self.nodes.values():
            whole.update(node.digest)
        return whole.digest()

    def running(self) -> Mapping[str, Mapping[str, str]]:
        """Return resource → node → role of everything active on nodes that are up."""
        return self._running

    @cached_property
    def _running(self) -> dict[str, dict[str, str]]:
        found: dict[str, dict[str, str]] = {}
        for node in self.nodes.values():
            if not node.up:
                continue
            for resource, history in node.resources.items():
                role = history.role
                if role != "Stopped":
                    found.setdefault(resource, {})[node.name] = role
        return found

    def up(self) -> list[str]:
        """Return the cluster nodes that are members."""
        return [node.name for node in self.nodes.values() if node.up and not node.remote]

    def voting(self) -> list[str]:
        """Return the nodes whose Corosync is a member, whether or not their Pacemaker is."""
        return [node.name for node in self.nodes.values() if node.present and not node.remote]


def failed(node: NodeView, resource: str, op: Op, now: int, *, fatal: bool) -> NodeView:
    """Return the node after an operation of a resource failed there, fail count and last failure written.

    ``fatal`` writes INFINITY, as Pacemaker does for a start (start-failure-is-fatal) or a stop.
    """
    name = f"fail-count-{resource}#{op.operation}_{op.interval}"
    count = node.attributes.get(name, "0")
    count = INFINITE if fatal or count == INFINITE else str(int(count) + 1 if count.isdigit() else 1)
    history = node.resources.get(resource)
    if history is not None:
        key = "last_0" if op.interval == 0 else f"monitor_{op.interval}"
        kept = tuple(item for item in history.ops if item.key not in (key, "last_failure_0"))
        if op.operation != "start":
            kept = tuple(
                item for item in history.ops if item.key not in ("last_failure_0", f"monitor_{op.interval}")
            )
        node = node.with_history(resource, history._replace(ops=(*kept, op._replace(key="last_failure_0"))))
    return node.with_attributes(
        {name: count, f"last-failure-{resource}#{op.operation}_{op.interval}": str(now)}
    )
