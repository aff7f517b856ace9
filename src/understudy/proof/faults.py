"""What each fault does to a state, before the scheduler is asked."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from understudy.proof.configuration import Configuration
from understudy.proof.execute import Failing
from understudy.proof.scenarios import Fault
from understudy.proof.state import FAILED, NOT_RUNNING, NodeView, State, Variant, failed
from understudy.proof.status import failure
from understudy.proof.values import milliseconds

NOTHING: Failing = frozenset()


@dataclass(frozen=True)
class Struck:
    """A state after a fault struck; ``hit`` are the resources at the nodes where they failed."""

    state: State
    failing: Failing = NOTHING
    hit: frozenset[tuple[str, str]] = frozenset()
    nodes: frozenset[str] = frozenset()


def _recount(state: State, facts: Configuration, *, rivals: bool = False) -> State:
    nodes = [node.name for node in facts.cluster_nodes]
    return replace(state, quorum=facts.quorum.holds(state.voting(), nodes, rivals=rivals))


def lose(state: State, nodes: tuple[str, ...], facts: Configuration, *, rivals: bool = False) -> State:
    """Return the state in which these nodes fell silent, quorum counted anew; as ``rivals`` they live on."""
    for name in nodes:
        if node := state.nodes.get(name):
            state = state.with_node(node.lost())
    return _recount(state, facts, rivals=rivals)


def _return(state: State, nodes: tuple[str, ...], facts: Configuration) -> State:
    names = nodes or tuple(node.name for node in facts.cluster_nodes)
    for name in names:
        node = state.nodes.get(name)
        if (
            node is not None
            and not node.up
            and not node.remote
            and dict(node.flags).get("expected") == "down"
        ):
            state = state.with_node(node.joined())
    return _recount(state, facts)


def _set(state: State, name: str, changes: Mapping[str, str | None]) -> State | None:
    node = state.nodes.get(name)
    return state.with_node(node.with_attributes(changes)) if node is not None and node.up else None


def _interval(facts: Configuration, resource: str, role: str) -> int:
    item = facts.resources.get(resource.partition(":")[0])
    monitors = [op for op in item.operations if op.name == "monitor" and op.interval] if item else []
    wanted = [
        op for op in monitors if op.role in ((role, "Master") if role == "Promoted" else ("", "Started"))
    ]
    return (wanted or monitors)[0].interval if monitors else 0


def _where(state: State, fault: Fault) -> NodeView | None:
    for node in state.nodes.values():
        if fault.node in ("", node.name) and node.up:
            history = node.resources.get(fault.resource)
            if history is not None and history.role != "Stopped":
                return node
    return None


def _resource_fault(fault: Fault, state: State, facts: Configuration) -> Struck | None:
    node = _where(state, fault)
    if node is None:
        return None
    name, hit = fault.resource, frozenset({(fault.resource, node.name)})
    role = node.resources[name].role
    fatal = facts.option("start-failure-is-fatal", default="true").lower() not in ("false", "no", "off", "0")
    if fault.kind in ("monitor", "monitor-limit"):
        interval = _interval(facts, name, role)
        if fault.kind == "monitor-limit":
            item = facts.resources.get(name)
            threshold = int(item.meta.get("migration-threshold", "1")) if item else 1
            counted = {f"fail-count-{name}#monitor_{interval}": str(max(threshold - 1, 0))}
            node = node.with_attributes(counted)
        op = failure(node.resources[name], "monitor", interval, NOT_RUNNING, state.now)
        node = failed(node, name, op, state.now, fatal=False)
        return Struck(state.with_node(node), NOTHING, hit)
    op = failure(node.resources[name], fault.kind, 0, FAILED, state.now)
    deadly = fault.kind == "stop" or (fault.kind == "start" and fatal)
    node = failed(node, name, op, state.now, fatal=deadly)
    failing = frozenset({(name, fault.kind, node.name)})
    return Struck(state.with_node(node), failing, hit)


def _link_lost(fault: Fault, state: State, facts: Configuration) -> Struck | None:
    node = state.nodes.get(fault.node)
    if node is None or not node.up:
        return None
    addresses = {item.id for item in facts.primitives() if item.address}
    hit = []
    for name, history in node.resources.items():
        if name.partition(":")[0] in addresses and history.role != "Stopped":
            interval = _interval(facts, name, "Started")
            op = failure(history, "monitor", interval, FAILED, state.now)
            node = failed(node, name, op, state.now, fatal=False)
            hit.append((name, fault.node))
    failing = frozenset((name, "start", fault.node) for name in addresses)
    return Struck(state.with_node(node), failing, frozenset(hit), frozenset())


def _healed(fault: Fault, state: State, facts: Configuration) -> State:
    """Let failure timeouts pass; where there are none, clean up as an administrator would."""
    item = facts.resources.get(fault.resource)
    timeout = milliseconds(item.meta.get("failure-timeout")) // 1000 if item else 0
    if timeout:
        return replace(state, now=state.now + timeout + 1)
    for node in tuple(state.nodes.values()):
        gone = {key: None for key in node.attributes if key.startswith(("fail-count-", "last-failure-"))}
        state = state.with_node(node.with_attributes(gone)) if gone else state
    return state


def _node_fault(fault: Fault, state: State, facts: Configuration) -> Struck | None:
    struck = frozenset(fault.nodes)
    present = tuple(name for name in fault.nodes if (node := state.nodes.get(name)) and node.up)
    if not present:
        return None
    if fault.kind in ("node-lost", "fencing-fails", "fencing-slow"):
        withheld: Failing = NOTHING
        if fault.kind != "node-lost":
            withheld = frozenset(("", "stonith", name) for name in present)
        return Struck(lose(state, present, facts), withheld, nodes=struck)
    changes: Mapping[str, Mapping[str, str | None]] = {
        "standby": {"standby": "on"},
        "node-stopped": {"shutdown": str(state.now)},
        "maintenance": {"maintenance": "true"},
    }
    changed = _set(state, present[0], changes[fault.kind])
    return Struck(changed, nodes=struck) if changed is not None else None


def strike(fault: Fault, state: State, facts: Configuration) -> Struck | None:
    """Return what a fault makes of a state; None where it cannot happen, such as on a node already down."""
    if fault.kind in ("monitor", "monitor-limit", "start", "stop", "promote"):
        return _resource_fault(fault, state, facts)
    if fault.kind == "link-lost":
        return _link_lost(fault, state, facts)
    changed = _changed(fault, state, facts)
    if changed is not None:
        return Struck(changed)
    return _node_fault(fault, state, facts) if fault.kind in NODE_FAULTS else None


NODE_FAULTS = frozenset(
    {"node-lost", "node-stopped", "standby", "maintenance", "fencing-fails", "fencing-slow"}
)


def _changed(fault: Fault, state: State, facts: Configuration) -> State | None:
    """Return the state after what is no failure of a part: quorum, an administrator's doing, a recovery."""
    variants = {
        "cluster-maintenance": Variant(maintenance=True),
        "moved": Variant(fault.resource, fault.node),
    }
    if fault.kind in variants:
        return replace(state, variant=variants[fault.kind])
    if fault.kind == "node-returns":
        return _return(state, fault.nodes, facts)
    if fault.kind == "standby-ends":
        return _set(state, fault.node, {"standby": None})
    if fault.kind == "healed":
        return _healed(fault, state, facts)
    return replace(state, quorum=False) if fault.kind == "quorum-lost" else None


def expired(state: State) -> State:
    """Return the state with the clock set back, if nothing in it depends on when something failed."""
    marks = ("fail-count-", "last-failure-")
    if any(key.startswith(marks) for node in state.nodes.values() for key in node.attributes):
        return state
    return replace(state, now=CLOCK_START) if state.now != CLOCK_START else state


CLOCK_START = State({}).now
