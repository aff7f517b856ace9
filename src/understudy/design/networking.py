"""The agents of the Networking service in the cluster: where they run, and what of them belongs together (pure).

One resource, the data plane, holds the place of what the agents make on a node. They start after it and beside it, so
that each of them can fail and start again while the traffic flows, and what they made is taken away when they leave.
"""

from collections.abc import Iterable, Iterator
from itertools import pairwise

from understudy.catalog.model import ServiceEntry
from understudy.design.context import Cloud, service_resource, storage_resource
from understudy.formats.cluster import (
    INFINITY,
    Colocation,
    Constraint,
    Group,
    Location,
    Order,
    Primitive,
    Resource,
)

GROUP = "g_services_network"
"""The group's name in the guides."""
PREFERENCE = 50
"""Counts where nothing runs yet; stickiness is worth more, so that nothing moves for it."""


def network_services(cloud: Cloud) -> list[str]:
    """Return the services that run on the network nodes: first what the others need, then in the order of the spec."""
    names = [name for name in cloud.spec.services if cloud.entry(name).place == "network"]
    first = [cloud.provider(need) for need in ("dataplane", "layer2")]
    return sorted(names, key=lambda name: first.index(name) if name in first else len(first))


def stack(cloud: Cloud) -> list[str]:
    """Return those of them that belong together; what none of them needs stands for itself."""
    return [name for name in network_services(cloud) if belongs(cloud.entry(name))]


def belongs(entry: ServiceEntry) -> bool:
    """Return whether a service of the network nodes is one of those that need each other."""
    return bool(entry.needs or entry.provides)


def is_grouped(cloud: Cloud) -> bool:
    """Return whether the agents are one group here; a preset that groups them does that itself.

    Only what runs once can be in a group.
    """
    if any(rule.place == "network" for rule in cloud.preset.groups):
        return False
    networking = cloud.spec.networking
    names = stack(cloud)
    once = all(cloud.spec.services[name].standby == "cold" for name in names)
    return networking is not None and networking.grouped and once and len(names) > 1


def grouped(cloud: Cloud, resources: Iterable[Resource]) -> Iterator[Resource]:
    """Give the resources, those of the network nodes as a group where the spec wants one."""
    if not is_grouped(cloud):
        yield from resources
        return
    order = stack(cloud)
    members: dict[str, Primitive] = {}
    for resource in resources:
        if isinstance(resource, Primitive) and resource.id in order:
            members[resource.id] = resource
        else:
            yield resource
    yield Group(id=GROUP, primitives=tuple(members[name] for name in order))


def network_constraints(cloud: Cloud) -> Iterator[Constraint]:
    """Give the constraints of the agents of the network nodes."""
    spec, names = cloud.spec, stack(cloud)
    resources = {name: service_resource(name, spec.services[name]) for name in names}
    beside = [name for name in network_services(cloud) if name not in names]
    placed = {GROUP: names[0]} if is_grouped(cloud) else {resources[name]: name for name in names}
    placed |= {service_resource(name, spec.services[name]): name for name in beside}
    for resource, name in placed.items():
        for node in spec.nodes:
            if node not in cloud.nodes_of(name):
                yield Location(
                    id=f"location-{resource}-{node}",
                    resource=resource,
                    node=node,
                    score=-INFINITY,
                    resource_discovery="never",
                )
    yield from _elsewhere(cloud)
    dataplane = cloud.provider("dataplane")
    if dataplane is None or is_grouped(cloud):
        return
    agents = [name for name in names if name != dataplane]
    if all(spec.services[name].standby == "cold" for name in agents):
        yield from _one_by_one(cloud, agents)
    first = resources[dataplane]
    for name, resource in resources.items():
        if name != dataplane:
            yield Order(id=f"order-{first}-{resource}", first=first, then=resource)
            yield Colocation(
                id=f"colocation-{resource}-{first}", resource=resource, with_resource=first, score=INFINITY
            )


def _one_by_one(cloud: Cloud, names: list[str]) -> Iterator[Order]:
    """Have agents that come to a node at the same time start one after the other, routers first.

    Each is faster alone, and tenants wait for the routers longest: these are made while the others start. The order is
    optional, so that none waits for one that does not run, nor restarts with another.
    """
    routers = [name for name in names if cloud.entry(name).external_network]
    for first, then in pairwise((*routers, *(name for name in names if name not in routers))):
        yield Order(id=f"order-{first}-{then}", first=first, then=then, kind="Optional", symmetrical=False)


def _elsewhere(cloud: Cloud) -> Iterator[Location]:
    """Prefer other nodes than the network nodes for what agents need to start.

    An agent that starts elsewhere asks the Networking API over the message broker for its routers: with the broker or
    the database on the node that was lost, tenants would wait for their starts too. Where one has its data on a shared
    storage, it is the storage that prefers: it is placed first, and the rest follows it.
    """
    spec, names = cloud.spec, network_services(cloud)
    others = [node for node in spec.nodes if names and node not in cloud.nodes_of(names[0])]
    for need in ("database", "messaging"):
        name = cloud.provider(need)
        if name is not None and (service := spec.services[name]).standby == "cold":
            resource = (
                storage_resource(service.storage) if service.storage else service_resource(name, service)
            )
            for node in others:
                yield Location(id=f"prefer-{resource}-{node}", resource=resource, node=node, score=PREFERENCE)
