"""From spec and catalog to the Pacemaker configuration (pure).

Small blast radius: no groups, no order between services; a preset may make another shape of it afterwards. What must
be together is colocated along one chain, storage first, then the addresses, then the service; a mandatory order stands
only between a file system and what has its data on it. Sources: Pacemaker Explained, "Colocation"; OCF agents
Filesystem, IPaddr2; fence_redfish(8).
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from itertools import pairwise

from understudy.design.context import Cloud, ServiceContext, service_resource, storage_resource
from understudy.design.items import Phase
from understudy.design.networking import grouped, network_constraints
from understudy.formats.cluster import (
    INFINITY,
    Clone,
    ClusterConfiguration,
    Colocation,
    Constraint,
    Expression,
    Group,
    Location,
    Node,
    Operation,
    Order,
    Primitive,
    Resource,
    Role,
    Rule,
    ids_of,
    primitives_of,
)
from understudy.spec.check import SIDE_NETWORK
from understudy.spec.model import Spec

FENCING_PASSWORD = "/etc/understudy/fencing-password"  # noqa: S105 - a path

HEALTHY_COPY = 10_000
"""Score that draws an address to a node with a healthy copy of a warm service behind it.

It is above the stickiness of an address, so that one broken copy sends the address where the service is healthy, and
below INFINITY, so that several services behind one address do not pull each other down: with INFINITY an address may
only be where a copy of every one of them runs, and a service that starts nowhere, or two that are broken on different
nodes, would take the address from all the others. As it is, the address goes where most of them are healthy."""
UNHEALTHY = "unhealthy-"
"""How the attribute begins with which the watcher beside a copy of a warm service says that it does not serve."""
OFF_COORDINATOR = 10
"""How little an address wants the coordinator's node: less than stickiness, so that nothing moves when another node
becomes the coordinator, and less than any preference; it only decides between nodes that are equal otherwise."""
RELOAD = "reload-agent"
"""The operation with which an agent takes up changed parameters without a stop (OCF 1.1)."""
LOG_IN_NEEDS = frozenset({"identity", "balancing"})
"""What has to run before users are made, who have to be there before the other services start."""
STAGE_OF_LAYER = {
    "storage": Phase.CLUSTER_STORAGE,
    "data": Phase.CLUSTER_DATA,
    "service": Phase.CLUSTER,
}


def address_resource(name: str, side: str) -> str:
    """Return the id of the resource of one side of a virtual address."""
    return f"ip-{name}-{side}"


def cluster_configuration(cloud: Cloud, digests: Mapping[str, str]) -> ClusterConfiguration:
    """Return the whole configuration, before it takes a preset's shape; ``digests`` are of each service's options."""
    resources: tuple[Resource, ...] = (
        *_fencing(cloud.spec),
        *_filesystems(cloud),
        *_addresses(cloud),
        *grouped(cloud, _services(cloud, digests)),
    )
    fencing_on = cloud.spec.fencing is not None and cloud.spec.fencing.none is None
    return ClusterConfiguration(
        resources=resources,
        constraints=tuple(_constraints(cloud)),
        properties={
            "stonith-enabled": str(fencing_on).lower(),
            **({"placement-strategy": "balanced"} if cloud.spec.capacity else {}),
            **cloud.preset.properties,
        },
        nodes=tuple(node for node in _nodes(cloud.spec) if node.utilization),
        resource_defaults=cloud.preset.resource_defaults,
    )


def with_nodes(whole: ClusterConfiguration, spec: Spec) -> ClusterConfiguration:
    """Return the configuration with the nodes in it, which a live cluster adds by itself."""
    return replace(whole, nodes=tuple(_nodes(spec)))


def _nodes(spec: Spec) -> Iterator[Node]:
    for number, name in enumerate(spec.nodes, start=1):
        amounts = {key: str(amount) for key, amount in spec.capacity.get(name, {}).items()}
        yield Node(name=name, id=str(number), utilization=amounts)


def stages(cloud: Cloud, whole: ClusterConfiguration) -> dict[Phase, frozenset[str]]:
    """Return the resources by stage, each with those before it: storage, databases and brokers, Keystone, everything.

    A later stage needs what is made on the one before, such as a directory on a mounted file system or the tables
    of a service; when all of that is there, only the last stage is left to do.
    """
    phase_of: dict[str, Phase] = {}
    for resource in whole.resources:
        of = {primitive.id: _phase(cloud, primitive.id) for primitive in primitives_of(resource)}
        phase_of |= {id_: of.get(id_, min(of.values())) for id_ in ids_of(resource)}
    phases = sorted({*phase_of.values(), Phase.CLUSTER})
    return {phase: frozenset(id_ for id_, of in phase_of.items() if of <= phase) for phase in phases}


def _phase(cloud: Cloud, name: str) -> Phase:
    if name in cloud.spec.services:
        entry = cloud.entry(name)
        return Phase.CLUSTER_IDENTITY if entry.provides in LOG_IN_NEEDS else STAGE_OF_LAYER[entry.layer]
    return Phase.CLUSTER_STORAGE


def restricted(whole: ClusterConfiguration, ids: Collection[str]) -> ClusterConfiguration:
    """Return the part of a configuration that is about these resources only, of groups the members among them."""
    return replace(
        whole,
        resources=tuple(_part(resource, ids) for resource in whole.resources if ids_of(resource)[0] in ids),
        constraints=tuple(one for one in whole.constraints if set(_references(one)) <= set(ids)),
    )


def _part(resource: Resource, ids: Collection[str]) -> Resource:
    if isinstance(resource, Group):
        return replace(resource, primitives=tuple(one for one in resource.primitives if one.id in ids))
    return resource


def _references(constraint: Constraint) -> tuple[str, ...]:
    match constraint:
        case Colocation():
            return (constraint.resource, constraint.with_resource)
        case Order():
            return (constraint.first, constraint.then)
        case Location():
            return (constraint.resource,)


def _fencing(spec: Spec) -> Iterator[Primitive]:
    fencing = spec.fencing
    if fencing is None or fencing.none is not None:
        return
    redfish, device = fencing.redfish, fencing.redfish or fencing.ipmi
    if device is None:
        return
    for index, (node, addresses) in enumerate(spec.nodes.items()):
        parameters = {
            "ip": str(addresses[device.network]),
            "username": device.user or "",
            "password_script": f"/bin/cat {FENCING_PASSWORD}",
            "pcmk_host_list": node,
            "pcmk_host_check": "static-list",
        }
        if redfish is not None:
            parameters["ssl_insecure"] = "0" if redfish.verify_certificate else "1"
            if redfish.systems_uri:
                parameters["systems_uri"] = redfish.systems_uri
        else:
            parameters["lanplus"] = "1"
        if len(spec.nodes) == 2 and index == 0:
            # Two halves of one node each would fence each other at the same moment; the first node gets a head start.
            parameters["pcmk_delay_base"] = "5s"
        yield Primitive(
            id=f"fence-{node}",
            agent="stonith:fence_redfish" if redfish is not None else "stonith:fence_ipmilan",
            parameters=parameters,
            operations=(Operation(name="monitor", interval=60, timeout=60),),
        )


def _filesystems(cloud: Cloud) -> Iterator[Primitive]:
    for name, storage in cloud.spec.storage.items():
        yield Primitive(
            id=storage_resource(name),
            agent="ocf:heartbeat:Filesystem",
            parameters={
                "device": storage.device,
                "directory": cloud.mount(name).mount,
                "fstype": storage.filesystem,
                **({"options": ",".join(storage.mount_options)} if storage.mount_options else {}),
            },
            operations=(
                Operation(name="start", timeout=60),
                Operation(name="stop", timeout=60),
                # Only a write and a read tell a mount whose storage is gone from one that works.
                Operation(name="monitor", interval=20, timeout=40, check_level=20),
            ),
        )


def _addresses(cloud: Cloud) -> Iterator[Primitive]:
    spec = cloud.spec
    for name, virtual in spec.addresses.items():
        for side, address in virtual.sides().items():
            yield Primitive(
                id=address_resource(name, side),
                agent=cloud.preset.address_agent,
                parameters={
                    "ip": str(address),
                    "cidr_netmask": str(spec.networks[SIDE_NETWORK[side]].prefixlen),
                },
                operations=(
                    Operation(name="start", timeout=20),
                    Operation(name="stop", timeout=20),
                    Operation(name="monitor", interval=10, timeout=20),
                ),
            )


def _services(cloud: Cloud, digests: Mapping[str, str]) -> Iterator[Resource]:
    for name, service in cloud.spec.services.items():
        primitive = _service(ServiceContext(cloud, name, digest=digests.get(name, "")))
        if service.standby == "cold":
            yield primitive
        else:
            yield _clone(ServiceContext(cloud, name), primitive)


def _clone(context: ServiceContext, primitive: Primitive) -> Clone:
    copies = context.entry.resource.copies
    meta = {name: context.text(value) for name, value in copies.meta.items()}
    return Clone(
        id=service_resource(context.name, context.service),
        resource=primitive,
        promotable=copies.promotable,
        meta={"interleave": "true", **meta},
    )


def _service(context: ServiceContext) -> Primitive:
    entry = context.entry
    parameters = {
        parameter.name: context.text(parameter.value)
        for parameter in context.cloud.select(entry.resource.parameters)
        if context.holds(parameter.when)
    }
    if entry.resource.agent.startswith("ocf:openstack:") and entry.agent.get("launch"):
        parameters |= _for_our_agents(context)
    return Primitive(
        id=entry.name,
        agent=entry.resource.agent,
        parameters=parameters,
        meta={**_copies_meta(context), **entry.resource.meta},
        utilization={name: str(amount) for name, amount in context.service.load.items()},
        operations=(*_operations(context), *_reload(context)),
    )


def _copies_meta(context: ServiceContext) -> Mapping[str, str]:
    everywhere = context.service.standby in ("warm", "balanced")
    return context.cloud.preset.copies_meta if everywhere else {}


def _operations(context: ServiceContext) -> Iterator[Operation]:
    for operation in context.entry.resource.operations:
        yield Operation(
            name=operation.name,
            interval=operation.interval,
            timeout=operation.timeout,
            on_fail=operation.on_fail,
            role=operation.role,
            check_level=operation.check_level,
        )


def _reload(context: ServiceContext) -> Iterator[Operation]:
    """Give the reload of an agent that can, with the time of a start.

    A reload begins the workers anew, and Pacemaker takes one that fails for a start that failed: after the default of
    20 seconds a busy node would be without its copy for good.
    """
    entry = context.entry
    modes: Mapping[str, Mapping[str, object]] = entry.agent.get("launch", {})
    first = next(iter(modes.values()), {})
    if entry.resource.agent.startswith("ocf:openstack:") and first.get("reload"):
        for operation in entry.resource.operations:
            if operation.name == "start":
                yield Operation(name=RELOAD, timeout=operation.timeout)


def _for_our_agents(context: ServiceContext) -> dict[str, str]:
    """Return what our agents of daemons are told besides: to report deaths, and which addresses wait for health."""
    parameters = {"config_digest": context.digest} if context.digest else {}
    if context.cloud.preset.watch:
        parameters["watch"] = "true"
        address = context.cloud.address_of(context.name)
        if address is not None and context.service.standby == "warm" and context.entry.port is not None:
            parameters["addresses"] = " ".join(str(side) for side in address.sides().values())
    return parameters


def _constraints(cloud: Cloud) -> Iterator[Constraint]:
    spec = cloud.spec
    yield from _fencing_places(spec)
    for name, virtual in spec.addresses.items():
        yield from _chain(cloud, name, [address_resource(name, side) for side in virtual.sides()])
    for name, service in spec.services.items():
        if service.storage is not None:
            storage = storage_resource(service.storage)
            yield Order(id=f"order-{storage}-{name}", first=storage, then=name)
            yield _together(name, storage)
    yield from network_constraints(cloud)


def _fencing_places(spec: Spec) -> Iterator[Location]:
    if spec.fencing is None or spec.fencing.none is not None:
        return
    for node in spec.nodes:
        yield Location(id=f"location-fence-{node}", resource=f"fence-{node}", node=node, score=-INFINITY)


def _chain(cloud: Cloud, name: str, sides: list[str]) -> Iterator[Colocation | Location]:
    """Tie one address to what it must be with: storages, then its sides, then what starts where it is.

    Warm services draw it to their healthy copies. They are not ordered before it, so that nothing of them restarts when
    the address moves, and the address stays while one of them restarts in its place. With HAProxy in front
    of one it is where HAProxy runs, whichever of the copies of balanced services are healthy.
    """
    spec = cloud.spec
    behind = {one: service for one, service in spec.services.items() if service.address == name}
    storages = [
        storage_resource(s) for s in dict.fromkeys(service.storage for service in behind.values()) if s
    ]
    chain = [*storages, *sides]
    for before, after in pairwise(chain):
        yield _together(after, before)
    for one, service in behind.items():
        if service.standby == "cold":
            yield _together(one, chain[-1])
        elif service.standby in {"warm", "clustered"}:
            role: Role | None = "Promoted" if cloud.entry(one).resource.copies.promotable else None
            for side in sides:
                together = _together(side, service_resource(one, service), HEALTHY_COPY)
                yield replace(together, with_role=role)
                if cloud.preset.watch:
                    yield _away_from_sick(side, one)
    if cloud.preset.avoid_coordinator and not any(one.standby == "cold" for one in behind.values()):
        yield _off_coordinator(sides[0])
    balancer = cloud.provider("balancing")
    if balancer and any(cloud.proxied(one) for one in behind):
        # A storage does not follow what is with it, so it is the one that has to be where HAProxy runs.
        for one in storages[:1] or sides:
            yield _together(one, service_resource(balancer, spec.services[balancer]))


def _away_from_sick(address: str, service: str) -> Location:
    """Send an address away from where the watcher beside a copy of a warm service says that it does not serve.

    The copy counts as running until Pacemaker has been told of its failure, and while it is restarted in its place.
    """
    return Location(
        id=f"location-{address}-healthy-{service}",
        resource=address,
        score=-HEALTHY_COPY,
        rule=Rule(expressions=(Expression(attribute=f"{UNHEALTHY}{service}", operation="eq", value="1"),)),
    )


def _off_coordinator(address: str) -> Location:
    """Place an address where the loss of the node does not cost an election of a coordinator besides.

    Pacemaker fences and recovers nothing before there is a new coordinator, a second and more after the loss was
    noticed. Source: Pacemaker Explained, "Node attribute expressions" (``#is_dc``).
    """
    return Location(
        id=f"location-{address}-off-coordinator",
        resource=address,
        score=-OFF_COORDINATOR,
        rule=Rule(expressions=(Expression(attribute="#is_dc", operation="eq", value="true"),)),
    )


def _together(resource: str, with_resource: str, score: int = INFINITY) -> Colocation:
    return Colocation(
        id=f"colocation-{resource}-{with_resource}",
        resource=resource,
        with_resource=with_resource,
        score=score,
    )
