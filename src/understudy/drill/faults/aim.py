"""From what is asked for to what is struck: roles, names, sequences (pure; chance comes from a seed)."""

import random
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from understudy.catalog.model import Catalog
from understudy.design.cluster import address_resource
from understudy.design.context import service_resource
from understudy.design.proxy import BACKEND_OFFSET
from understudy.drill.faults.model import Aim, Facts, Fault, FaultError, ServiceFacts
from understudy.drill.faults.registry import FAULTS
from understudy.findings import Finding, FindingsError
from understudy.spec.model import Spec

MOUNTS = "/var/lib/understudy"
AGENTS_STATE = "/run/resource-agents"


@dataclass(frozen=True)
class Wish:
    """A fault as asked for, with a role or node, a service, or both.

    Written ``power-loss``, ``power-loss:passive``, ``process-killed:glance-api``,
    ``process-killed:glance-api@controller-1``; several at once with ``+`` between them.
    """

    fault: Fault
    role: str = ""
    service: str = ""

    def __str__(self) -> str:
        aim = "@".join(part for part in (self.service, self.role) if part)
        return f"{self.fault.name}:{aim}" if aim else self.fault.name


@dataclass(frozen=True)
class State:
    """Where things are now: ``active`` maps resources to the nodes that run them."""

    online: tuple[str, ...]
    coordinator: str | None
    active: Mapping[str, tuple[str, ...]]


def facts_of(spec: Spec, catalog: Catalog, silence: float = 0.0) -> Facts:
    """Return what faults may know of a spec; ``silence``: see ``Facts``."""
    device = (spec.fencing.redfish or spec.fencing.ipmi) if spec.fencing else None
    entries = {name: catalog.services[name] for name in spec.services}
    return Facts(
        nodes=tuple(spec.nodes),
        links={
            node: tuple(str(own[link]) for link in spec.corosync.links) for node, own in spec.nodes.items()
        },
        client_networks=tuple(str(spec.networks[name]) for name in ("public",) if name in spec.networks),
        services={name: _service_facts(spec, catalog, name) for name in spec.services},
        board_controllers={
            node: str(own[device.network])
            for node, own in spec.nodes.items()
            if device and device.network in own
        },
        mounts={name: f"{MOUNTS}/{name}" for name in spec.storage},
        roles={entry.provides: name for name, entry in entries.items() if entry.provides},
        silence=silence,
    )


def _service_facts(spec: Spec, catalog: Catalog, name: str) -> ServiceFacts:
    service, entry = spec.services[name], catalog.services[name]
    virtual = spec.addresses.get(service.address or "")
    side = next(iter(virtual.sides())) if virtual else None
    return ServiceFacts(
        name=name,
        resource=service_resource(name, service),
        primitive=name,
        moves=address_resource(service.address, side) if service.address and side else name,
        port=entry.port and entry.port + (BACKEND_OFFSET if service.standby == "balanced" else 0),
        files=tuple(dict.fromkeys(file.path for file in entry.files)),
        storage=service.storage,
        pid_file=f"{AGENTS_STATE}/{name}.pid" if entry.units and entry.port is None else "",
    )


def read_wishes(text: str, facts: Facts) -> tuple[Wish, ...]:
    """Return the faults that are to strike at once. Raises FindingsError (exit status 2)."""
    return tuple(_wish(part.strip(), facts) for part in text.split("+"))


def _wish(text: str, facts: Facts) -> Wish:
    name, _, aim = text.partition(":")
    if name not in FAULTS:
        raise FindingsError([Finding("fault-unknown", values={"fault": name, "known": ", ".join(FAULTS)})])
    service, _, role = aim.partition("@")
    if not role and service not in facts.services:
        service, role = "", service
    if service and service not in facts.services:
        raise FindingsError([Finding("fault-service-unknown", values={"fault": name, "service": service})])
    if role and role not in ("active", "passive", "coordinator", "all", *facts.nodes):
        raise FindingsError([Finding("fault-target-unknown", values={"fault": name, "target": role})])
    return Wish(FAULTS[name], role, service)


def aim_of(wish: Wish, facts: Facts, state: State) -> Aim:
    """Return what a wish strikes now. Raises FaultError when there is nothing like it."""
    service = _service_of(wish, facts)
    role = wish.role or wish.fault.role
    nodes = _nodes(role, _anchor(facts, service), facts, state)
    if not nodes:
        raise FaultError(f"no node is {role} for {service or 'the cluster'}")
    if wish.fault.side:
        nodes = _minority(nodes, state.online, with_them=wish.fault.side == "minority")
    others = tuple(node for node in state.online if node not in nodes)
    about = service if wish.fault.needs in {"service", "storage"} else ""
    return Aim(nodes, about, others)


def _minority(nodes: tuple[str, ...], online: tuple[str, ...], *, with_them: bool) -> tuple[str, ...]:
    """Return the largest minority of the nodes online, with or without those that are aimed at."""
    size = (len(online) - 1) // 2
    others = tuple(node for node in online if node not in nodes)
    if not size:
        raise FaultError(f"{len(online)} nodes have no minority")
    return (*nodes, *others)[:size] if with_them else others[-size:]


def _service_of(wish: Wish, facts: Facts) -> str:
    if wish.fault.provides:
        if wish.fault.provides not in facts.roles:
            raise FaultError(f"no service provides {wish.fault.provides}")
        return facts.roles[wish.fault.provides]
    if wish.service:
        return wish.service
    if wish.fault.needs == "storage":
        return next((name for name, service in facts.services.items() if service.storage), "")
    return next(reversed(list(facts.services)), "") if wish.fault.needs == "service" else ""


def _anchor(facts: Facts, service: str) -> tuple[str, ...]:
    """Return the resources whose place tells which node is active: where clients go first, then the copy itself."""
    chosen = [facts.services[service]] if service else list(facts.services.values())[::-1]
    return tuple(name for one in chosen for name in (one.moves, one.primitive))


def _nodes(role: str, anchor: Sequence[str], facts: Facts, state: State) -> tuple[str, ...]:
    active = next((state.active[name] for name in anchor if state.active.get(name)), ())[:1]
    match role:
        case "active":
            return active
        case "passive":
            idle = [node for node in state.online if node not in active]
            quiet = [node for node in idle if node != state.coordinator]
            return tuple((quiet or idle)[:1])
        case "coordinator":
            return (state.coordinator,) if state.coordinator else ()
        case "all":
            return state.online
        case _:
            return (role,) if role in facts.nodes else ()


TOGETHER = 8
"""Of so many random strikes one is two faults at once."""


def random_turns(
    seed: int, facts: Facts, *, in_lab: bool, allowed: Collection[str] = ()
) -> Iterator[tuple[Wish, ...]]:
    """Yield strikes for ever, the same ones for the same seed; some are two faults at once, of which one may fence."""
    chance = random.Random(seed)  # noqa: S311 - a drill is repeatable, nothing here is secret
    possible = [wish for wish in _possible(facts) if _fits(wish, facts)]
    possible = [wish for wish in possible if in_lab or wish.fault.reach == "anywhere"]
    possible = [wish for wish in possible if not allowed or wish.fault.name in allowed]
    while possible:
        first = chance.choice(possible)
        fits = [
            one
            for one in possible
            if one.fault != first.fault and not (one.fault.fences and first.fault.fences)
        ]
        both = chance.randrange(TOGETHER) == 0 and bool(fits)
        yield (first, chance.choice(fits)) if both else (first,)


def _possible(facts: Facts) -> Iterator[Wish]:
    for fault in FAULTS.values():
        if fault.provides:
            yield Wish(fault)
        elif fault.needs in {"service", "storage"}:
            yield from (Wish(fault, "", name) for name, one in facts.services.items() if one.port)
        else:
            roles = (fault.role,) if fault.role == "all" else ("active", "passive", "coordinator")
            yield from (Wish(fault, role) for role in roles)


def _fits(wish: Wish, facts: Facts) -> bool:
    """Return whether a fault can be done to what it is about, on some node of a whole cluster."""
    try:
        return bool(wish.fault.steps(facts, Aim(facts.nodes[:1], _service_of(wish, facts), facts.nodes[1:])))
    except FaultError:
        return False
