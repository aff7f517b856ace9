"""What every node must have: packages, files, options, kernel parameters, units (pure)."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from understudy.agents import ADDRESS_AGENT, address_agent, deployment
from understudy.catalog.model import OptionFile
from understudy.design.cluster import FENCING_PASSWORD
from understudy.design.context import Cloud, ServiceContext
from understudy.design.items import (
    Directory,
    File,
    Item,
    KeyRepository,
    Options,
    OptionValue,
    Package,
    Sysctl,
    Unit,
)
from understudy.design.tls import certificate_files, read_at_start, renewals
from understudy.secret import Secret, reveal

CLUSTER_PACKAGES = ("pacemaker", "corosync", "pacemaker-cli-utils", "resource-agents", "fence-agents")
STORAGE_PACKAGES = {"xfs": "xfsprogs", "ext4": "e2fsprogs"}
STORAGE_TOOLS = ("kmod", "psmisc")
"""The Filesystem agent demands modprobe and fuser."""
NONLOCAL_BIND = {4: "net.ipv4.ip_nonlocal_bind", 6: "net.ipv6.ip_nonlocal_bind"}
KEEPALIVE = {
    "net.ipv4.tcp_keepalive_time": "15",
    "net.ipv4.tcp_keepalive_intvl": "5",
    "net.ipv4.tcp_keepalive_probes": "3",
}
"""Seconds of silence before a probe, and between probes; those who wait at a dead node give up after 30 s.

They hold for IPv6 too, and for every socket that asks for probes and for no times of its own, such as those of PyMySQL
and HAProxy; by default the first probe comes after two hours (tcp(7))."""
DIGEST_LENGTH = 12


def node_items(cloud: Cloud) -> Iterator[Item]:
    """Give everything that must be true on the nodes before the cluster is formed."""
    yield from _united(_node_items(cloud))


def _united(items: Iterable[Item]) -> Iterator[Item]:
    """Give each item once; what several services want of one option file becomes one item."""
    united: dict[str, Item] = {}
    for item in items:
        known = united.setdefault(item.key, item)
        if known is not item and isinstance(known, Options) and isinstance(item, Options):
            options = {(one.group, one.name): one for one in (*known.options, *item.options)}
            united[item.key] = replace(known, options=tuple(options.values()))
    yield from united.values()


def _node_items(cloud: Cloud) -> Iterator[Item]:
    for node in cloud.spec.nodes:
        yield from _packages(cloud, node)
        yield from _agents(cloud, node)
        yield from _fencing_password(cloud, node)
        yield from _sysctls(cloud, node)
        for storage in cloud.spec.storage:
            mount = cloud.mount(storage).mount
            yield Directory(node=node, path=mount, reason="the shared storage is mounted there")
        for name in _services_on(cloud, node):
            yield from option_items(ServiceContext(cloud, name, node))
            yield from own_files(ServiceContext(cloud, name, node))
            yield from certificate_files(ServiceContext(cloud, name, node))
            yield from renewals(ServiceContext(cloud, name, node))
            yield from _units(cloud, name, node)
    yield from _key_repositories(cloud)


def _services_on(cloud: Cloud, node: str) -> list[str]:
    return [name for name in cloud.spec.services if node in cloud.nodes_of(name)]


def option_items(context: ServiceContext) -> Iterator[Options]:
    """Give the option files of one service on one node."""
    cloud = context.cloud
    files = cloud.select(context.entry.files)
    for index, file in enumerate(files):
        values = {(value.group, value.name): value for value in _option_values(context, file)}
        if index == 0:
            for group, name, text in _of_the_spec(cloud, file.path):
                values[(group, name)] = OptionValue(group, name, text, "the spec says so")
        yield Options(
            node=context.node or "",
            path=file.path,
            options=tuple(values.values()),
            dialect=file.dialect,
            owner=file.owner,
            group=file.group,
            mode=file.mode,
            reason=f"{context.entry.title} on this cloud",
        )


def _of_the_spec(cloud: Cloud, path: str) -> Iterator[tuple[str, str, str]]:
    """Give the spec's own options for a file, whichever of the services that read it they stand at."""
    for name, service in cloud.spec.services.items():
        first = next(iter(cloud.select(cloud.entry(name).files)), None)
        if first is not None and first.path == path:
            for group, options in service.options.items():
                yield from ((group, option, text_of(value)) for option, value in options.items())


def own_files(context: ServiceContext) -> Iterator[File]:
    """Give the files of one service that are wholly ours, on one node."""
    for file in context.cloud.select(context.entry.own_files):
        yield File(
            node=context.node or "",
            path=file.path,
            content=context.render(file.text),
            owner=file.owner,
            group=file.group,
            mode=file.mode,
            reason=f"{context.entry.title} on this cloud",
        )


def _option_values(context: ServiceContext, file: OptionFile) -> Iterator[OptionValue]:
    for option in context.cloud.select(file.options):
        if context.holds(option.when):
            value = None if option.value is None else context.render(option.value)
            yield OptionValue(option.group, option.name, value, option.reason)


def text_of(value: str | float | bool) -> str:
    """Return an option's value as its file has it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def configuration_digests(cloud: Cloud) -> Mapping[str, str]:
    """Return for each service a digest of its options, files and certificates as far as understudy sets them.

    It is a parameter of the service's resource, so that what changed is a changed parameter and Pacemaker itself
    reloads or restarts the service. It is cut short, so that nothing about a password can be learned from it.
    Certificates that the running service takes up by itself are not in it.
    """
    digests = {}
    first = next(iter(cloud.spec.nodes))
    for name in cloud.spec.services:
        digest = hashlib.sha256()
        context = ServiceContext(cloud, name, first)
        for item in option_items(context):
            for option in item.options:
                value = option.value.reveal() if isinstance(option.value, Secret) else option.value
                digest.update(repr((item.path, option.group, option.name, value)).encode())
        for file in (*own_files(context), *read_at_start(context)):
            digest.update(repr((file.path, reveal(file.content))).encode())
        digests[name] = digest.hexdigest()[:DIGEST_LENGTH]
    return digests


def _packages(cloud: Cloud, node: str) -> Iterator[Package]:
    for name in CLUSTER_PACKAGES:
        yield Package(node=node, name=name, reason="the cluster")
    if cloud.spec.quorum.tie_breaker is not None:
        yield Package(node=node, name="corosync-qdevice", reason="the tie-breaker")
    kinds = {STORAGE_PACKAGES[storage.filesystem] for storage in cloud.spec.storage.values()}
    for name in (*sorted(kinds), *STORAGE_TOOLS) if kinds else ():
        yield Package(node=node, name=name, reason="shared storage")
    for service in _services_on(cloud, node):
        entry = cloud.entry(service)
        for package in cloud.select(entry.packages):
            yield Package(node=node, name=package.name, reason=entry.title)


def _agents(cloud: Cloud, node: str) -> Iterator[File]:
    services = {
        name: cloud.entry(name).agent
        for name in cloud.spec.services
        if cloud.entry(name).resource.agent.startswith("ocf:openstack:")
    }
    own = [address_agent()] if cloud.preset.address_agent == ADDRESS_AGENT and cloud.spec.addresses else []
    for file in (*deployment(services), *own):
        yield File(node=node, path=file.path, content=file.content, mode=file.mode, reason="resource agents")


def _fencing_password(cloud: Cloud, node: str) -> Iterator[File]:
    fencing = cloud.spec.fencing
    if fencing is not None and fencing.none is None:
        content = Secret(cloud.secret("fencing").reveal() + "\n")
        yield File(
            node=node,
            path=FENCING_PASSWORD,
            content=content,
            mode=0o600,
            directory_mode=0o700,
            reason="the fencing agent reads it, so that it is not in the cluster's configuration",
        )


def _sysctls(cloud: Cloud, node: str) -> Iterator[Sysctl]:
    versions = {
        address.version for virtual in cloud.spec.addresses.values() for address in virtual.sides().values()
    }
    for version in sorted(versions):
        reason = "a service can listen on a virtual address before it arrives"
        yield Sysctl(node=node, name=NONLOCAL_BIND[version], value="1", reason=reason)
    if versions:
        for name, value in KEEPALIVE.items():
            reason = "a client that waits for an answer notices that the address has moved"
            yield Sysctl(node=node, name=name, value=value, reason=reason)


def _units(cloud: Cloud, service: str, node: str) -> Iterator[Unit]:
    for unit in cloud.select(cloud.entry(service).units):
        yield Unit(
            node=node,
            name=unit.name,
            enabled=False,
            running=False,
            reason="Pacemaker runs it; nothing else may start it",
        )


def _key_repositories(cloud: Cloud) -> Iterator[KeyRepository]:
    for service in cloud.spec.services:
        entry = cloud.entry(service)
        user = cloud.select(entry.user)
        for keys in cloud.select(entry.keys):
            yield KeyRepository(
                path=keys.path,
                nodes=tuple(cloud.spec.nodes),
                owner=user[0].name,
                group=user[0].group,
                create=keys.create,
                reason="what one node signs, every other one must be able to read",
            )
