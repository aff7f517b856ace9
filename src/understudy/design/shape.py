"""The shape that a preset gives to a cluster's configuration (pure)."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from understudy.catalog.presets import GroupRule, Kind
from understudy.design.cluster import RELOAD, address_resource
from understudy.design.context import Cloud, service_resource, storage_resource
from understudy.formats.cluster import (
    Clone,
    ClusterConfiguration,
    Colocation,
    Constraint,
    Group,
    Operation,
    Order,
    Primitive,
    Resource,
)


@dataclass(frozen=True)
class _Members:
    """What one group holds; ``services`` are cold ones, in their order."""

    id: str
    addresses: frozenset[str]
    storages: frozenset[str]
    services: tuple[str, ...]

    def shares_with(self, other: "_Members") -> bool:
        return bool(self.addresses & other.addresses or self.storages & other.storages)


def shaped(cloud: Cloud, configuration: ClusterConfiguration) -> ClusterConfiguration:
    """Return the configuration in the shape of the spec's preset."""
    timed = tuple(_timed(cloud, resource) for resource in configuration.resources)
    groups = _groups(cloud)
    home = {member: group.id for group in groups for member in _resources_of(cloud, group)}
    constraints = [one for one in configuration.constraints if not _within_a_group(one, home)]
    return replace(
        configuration,
        resources=tuple(_grouped(cloud, timed, groups)),
        constraints=(*constraints, *_balancer_orders(cloud)),
    )


def _timed(cloud: Cloud, resource: Resource) -> Resource:
    """Return a resource with the preset's operations in place of the catalog's; the guides knew of no reload."""
    if isinstance(resource, Clone):
        inner = _timed(cloud, resource.resource)
        return resource if isinstance(inner, Clone) else replace(resource, resource=inner)
    kind = _kind(cloud, resource)
    if kind is None or not isinstance(resource, Primitive) or kind not in cloud.preset.operations:
        return resource
    operations = tuple(
        Operation(name=one.name, interval=one.interval, timeout=one.timeout)
        for one in cloud.preset.operations[kind]
    )
    reloads = tuple(one for one in resource.operations if one.name == RELOAD)
    return replace(resource, operations=(*operations, *reloads))


def _kind(cloud: Cloud, resource: Resource) -> Kind | None:
    if resource.id in cloud.spec.services:
        return cloud.entry(resource.id).layer
    if resource.id in {storage_resource(name) for name in cloud.spec.storage}:
        return "storage"
    return "address" if resource.id in _sides(cloud, cloud.spec.addresses) else None


def _sides(cloud: Cloud, addresses: Iterable[str]) -> list[str]:
    return [address_resource(name, side) for name in addresses for side in cloud.spec.addresses[name].sides()]


def _groups(cloud: Cloud) -> list[_Members]:
    """Return the groups; those that share an address or a storage have become one."""
    united: list[_Members] = []
    for group in _separate_groups(cloud):
        mine = group
        for other in [one for one in united if one.shares_with(group)]:
            united.remove(other)
            mine = _Members(
                other.id,
                other.addresses | mine.addresses,
                other.storages | mine.storages,
                (*mine.services, *other.services),
            )
        united.append(mine)
    return united


def _separate_groups(cloud: Cloud) -> Iterator[_Members]:
    for rule in cloud.preset.groups:
        spot = (rule.layer, rule.place)
        names = [n for n in cloud.spec.services if (cloud.entry(n).layer, cloud.entry(n).place) == spot]
        together = [[name] for name in names] if "{service}" in rule.id else [names]
        for each in together:
            services = [cloud.spec.services[name] for name in each]
            group = _Members(
                rule.id.format(service=each[0]) if each else rule.id,
                frozenset(service.address for service in services if service.address),
                frozenset(service.storage for service in services if service.storage),
                tuple(
                    _in_order(rule, [name for name in each if cloud.spec.services[name].standby == "cold"])
                ),
            )
            if group.addresses or group.storages or group.services:
                yield group


def _in_order(rule: GroupRule, names: list[str]) -> list[str]:
    return sorted(names, key=lambda name: rule.first.index(name) if name in rule.first else len(rule.first))


def _resources_of(cloud: Cloud, group: _Members) -> list[str]:
    """Return the members in the order in which they start: addresses, file systems, services."""
    addresses = [name for name in cloud.spec.addresses if name in group.addresses]
    storages = [storage_resource(name) for name in cloud.spec.storage if name in group.storages]
    data = [name for name in group.services if cloud.entry(name).layer != "service"]
    others = [name for name in group.services if name not in data]
    return [*_sides(cloud, addresses), *storages, *data, *others]


def _grouped(cloud: Cloud, resources: Iterable[Resource], groups: Iterable[_Members]) -> Iterator[Resource]:
    """Give single resources, groups, clones: the order in which crmsh writes them.

    Groups that hold data come before those that need it.
    """
    single = {resource.id: resource for resource in resources}
    made = []
    for group in sorted(groups, key=lambda one: any(cloud.entry(n).layer == "service" for n in one.services)):
        members = [single.pop(name) for name in _resources_of(cloud, group)]
        made.append(
            Group(id=group.id, primitives=tuple(one for one in members if isinstance(one, Primitive)))
        )
    clones = [resource for resource in single.values() if isinstance(resource, Clone)]
    yield from (resource for resource in single.values() if not isinstance(resource, Clone))
    yield from made
    yield from clones


def _within_a_group(constraint: Constraint, home: Mapping[str, str]) -> bool:
    match constraint:
        case Colocation(resource=one, with_resource=other) | Order(first=one, then=other):
            return one in home and home[one] == home.get(other)
        case _:
            return False


def _balancer_orders(cloud: Cloud) -> Iterator[Order]:
    """Give an order from each address that the load balancer serves to the load balancer."""
    kind, name = cloud.preset.address_before_balancer, cloud.provider("balancing")
    if kind is None or name is None:
        return
    balancer = service_resource(name, cloud.spec.services[name])
    served = {service.address for one, service in cloud.spec.services.items() if cloud.proxied(one)}
    for side in _sides(cloud, [address for address in cloud.spec.addresses if address in served]):
        yield Order(id=f"order-{side}-{balancer}", first=side, then=balancer, kind=kind)
