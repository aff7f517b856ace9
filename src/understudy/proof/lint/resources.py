"""Checks of resources: monitoring, timeouts, meta attributes, addresses, storage, groups and clones."""

from collections import Counter
from collections.abc import Iterator

from lxml import etree

from understudy.findings.model import Finding
from understudy.proof.configuration import Configuration, Resource
from understudy.proof.kinship import DATA_AGENTS, FOUNDATION_AGENTS, family
from understudy.proof.lint.cluster import TRUTH
from understudy.proof.values import is_true, milliseconds, score

META = frozenset(
    [
        "allow-migrate",
        "allow-unhealthy-nodes",
        "clone-max",
        "clone-min",
        "clone-node-max",
        "container-attribute-target",
        "critical",
        "description",
        "failure-timeout",
        "globally-unique",
        "interleave",
        "is-managed",
        "maintenance",
        "migration-threshold",
        "multiple-active",
        "notify",
        "ordered",
        "priority",
        "promotable",
        "promoted-max",
        "promoted-node-max",
        "master-max",
        "master-node-max",
        "remote-addr",
        "remote-allow-migrate",
        "remote-connect-timeout",
        "remote-node",
        "remote-port",
        "requires",
        "resource-stickiness",
        "restart-type",
        "target-role",
        "allow_migrate",
        "provides",
        "resource-failure-stickiness",
        "migration_threshold",
        "failure_timeout",
        "is_managed",
        "target_role",
    ]
)
BOOLEAN_META = ("is-managed", "maintenance", "interleave", "ordered", "notify", "globally-unique", "critical")
ROLES = frozenset({"Started", "Stopped", "Promoted", "Unpromoted", "Master", "Slave", "started", "stopped"})
LOCAL_FILESYSTEMS = frozenset({"xfs", "ext2", "ext3", "ext4", "btrfs", "reiserfs"})
LOCAL_AGENTS = frozenset(
    {"ping", "pingd", "ethmonitor", "ClusterMon", "SysInfo", "HealthCPU", "attribute", "o2cb"}
)
SHORTEST = 2000


def monitors(facts: Configuration, _: etree._Element) -> Iterator[Finding]:
    """Every primitive is watched, once an interval, and not faster than Pacemaker counts."""
    for item in facts.primitives():
        recurring = [op for op in item.operations if op.name == "monitor" and op.interval and op.enabled]
        if not recurring:
            yield Finding("monitor-missing", "warning" if item.fencing else "error", subject=item.id)
        for interval, count in Counter(op.interval for op in recurring).items():
            if count > 1:
                yield Finding("monitor-duplicate", values={"interval": interval // 1000}, subject=item.id)
        for op in recurring:
            if op.interval < SHORTEST:
                yield Finding("interval-too-short", "warning", {"interval": op.interval}, subject=item.id)
            if op.on_fail == "ignore":
                yield Finding("monitor-ignored", "warning", subject=item.id)


def operations(facts: Configuration, _: etree._Element) -> Iterator[Finding]:
    """Start and stop are not recurring, have their timeouts, and a failed stop leads to fencing."""
    for item in facts.primitives():
        for op in item.operations:
            if op.name in ("start", "stop") and op.interval:
                yield Finding("operation-interval", values={"operation": op.name}, subject=item.id)
            if op.name == "stop" and op.on_fail in ("ignore", "block") and not item.fencing:
                yield Finding("stop-failure-ignored", values={"policy": op.on_fail}, subject=item.id)
            if 0 < op.timeout < SHORTEST:
                yield Finding(
                    "timeout-too-short",
                    "warning",
                    {"operation": op.name, "timeout": op.timeout},
                    subject=item.id,
                )
        named = {op.name for op in item.operations if op.timeout} | set(_default_timeout(facts))
        if not item.fencing and not {"start", "stop"} <= named:
            yield Finding("timeout-missing", "note", subject=item.id)


def _default_timeout(facts: Configuration) -> tuple[str, ...]:
    return ("start", "stop", "monitor") if "timeout" in facts.operation_defaults else ()


def meta(facts: Configuration, _: etree._Element) -> Iterator[Finding]:
    """Every meta attribute exists and has a value that Pacemaker understands."""
    blocks: list[tuple[str, dict[str, str]]] = [("rsc_defaults", facts.resource_defaults)]
    blocks += [(item.id, item.own_meta) for item in facts.resources.values()]
    for subject, values in blocks:
        for name, value in values.items():
            if name not in META:
                yield Finding("unknown-meta", "warning", {"name": name}, subject=subject)
            wrong = (name in BOOLEAN_META and value.lower() not in TRUTH) or (
                name == "target-role" and value not in ROLES
            )
            wrong = wrong or (
                name in ("resource-stickiness", "migration-threshold")
                and score(value, 99) != score(value, 98)
            )
            wrong = wrong or (
                name == "failure-timeout" and milliseconds(value, -1) < 0 and not value.startswith("P")
            )
            if wrong:
                yield Finding("bad-value", values={"name": name, "value": value}, subject=subject)


def leftovers(facts: Configuration, _: etree._Element) -> Iterator[Finding]:
    """No resource was left unmanaged, in maintenance or stopped."""
    for item in facts.resources.values():
        unmanaged = item.own_meta.get("is-managed", "true").lower() in ("false", "no", "off", "0")
        if unmanaged or is_true(item.own_meta.get("maintenance")):
            yield Finding("leftover-unmanaged", "warning", subject=item.id)
        if item.own_meta.get("target-role", "").lower() == "stopped":
            yield Finding("leftover-stopped", "warning", subject=item.id)
    if facts.resource_defaults.get("is-managed", "true").lower() in ("false", "no", "off", "0"):
        yield Finding("leftover-unmanaged", "warning", subject="rsc_defaults")


def addresses(facts: Configuration, _: etree._Element) -> Iterator[Finding]:
    """An address is configured once, follows a service, and is no clone by accident."""
    owners: dict[str, str] = {}
    for item in facts.primitives():
        if not item.address:
            continue
        address = item.parameters.get("ip", item.parameters.get("ipv6addr", ""))
        if address in owners and address:
            yield Finding(
                "address-twice", values={"address": address, "other": owners[address]}, subject=item.id
            )
        owners.setdefault(address, item.id)
        root = facts.root(item.id)
        names = {item.id, root}
        linked = any(
            names & {rule.resource, rule.with_resource} and rule.score > 0 for rule in facts.colocations
        )
        grouped = facts.resources[root].kind == "group" and len(facts.resources[root].children) > 1
        if not linked and not grouped and facts.resources[root].kind != "clone":
            yield Finding("address-alone", "warning", subject=item.id)


def storage(facts: Configuration, _: etree._Element) -> Iterator[Finding]:
    """A device is mounted once at a time, and a local file system never on two nodes."""
    owners: dict[tuple[str, str], str] = {}
    for item in facts.primitives():
        if item.type != "Filesystem":
            continue
        device, kind = item.parameters.get("device", ""), item.parameters.get("fstype", "")
        if kind in LOCAL_FILESYSTEMS and facts.cloned(item.id):
            yield Finding("filesystem-cloned", values={"fstype": kind}, subject=item.id)
        directory = item.parameters.get("directory", "")
        for key in (("device", device), ("directory", directory)):
            if key[1] and key in owners and kind in LOCAL_FILESYSTEMS:
                yield Finding(
                    "filesystem-twice", values={"what": key[1], "other": owners[key]}, subject=item.id
                )
            owners.setdefault(key, item.id)


def groups(facts: Configuration, _: etree._Element) -> Iterator[Finding]:
    """A group is no list of unrelated services: a member's failure restarts what follows it."""
    for item in facts.resources.values():
        if item.kind != "group":
            continue
        members = [facts.resources[name] for name in item.children]
        services = [member for member in members if not _foundation(member)]
        families = {family(member) for member in services}
        if len(families) > 1 and len(services) > 1:
            names = ", ".join(member.id for member in services)
            yield Finding("group-of-services", "warning", {"services": names}, subject=item.id)


def _foundation(item: Resource) -> bool:
    return item.address or item.fencing or bool(FOUNDATION_AGENTS.match(item.type))


def clones(facts: Configuration, _: etree._Element) -> Iterator[Finding]:
    """Clones that others wait for are interleaved; a database on shared storage is no clone."""
    waiting = {order.then for order in facts.orders if order.mandatory} | {
        order.first for order in facts.orders if order.mandatory
    }
    waiting |= {name for rule in facts.colocations for name in (rule.resource, rule.with_resource)}
    for item in facts.resources.values():
        if item.kind == "clone" and item.id in waiting and not is_true(item.meta.get("interleave")):
            others = [name for name in waiting if name != item.id and name in facts.resources]
            if any(facts.resources[facts.root(name)].kind == "clone" for name in others):
                yield Finding("clone-not-interleaved", "warning", subject=item.id)


def data(facts: Configuration, _: etree._Element) -> Iterator[Finding]:
    """A database beside a file system of the same cluster starts after it, on its node."""
    mounts = {
        item.parameters.get("directory", "").rstrip("/"): item
        for item in facts.primitives()
        if item.type == "Filesystem"
    }
    for item in facts.primitives():
        if not DATA_AGENTS.search(item.type) or _foundation(item):
            continue
        folder = item.parameters.get(
            "datadir", item.parameters.get("mnesia_base", item.parameters.get("pgdata", ""))
        )
        for directory, mount in mounts.items():
            if not directory or not (folder == directory or folder.startswith(f"{directory}/")):
                continue
            root = facts.root(item.id)
            same = root == facts.root(mount.id) and facts.resources[root].kind == "group"
            ends = {item.id, root}, {mount.id, facts.root(mount.id)}
            ordered = any(order.then in ends[0] and order.first in ends[1] for order in facts.orders)
            near = any(
                rule.resource in ends[0] and rule.with_resource in ends[1] for rule in facts.colocations
            )
            if not same and not (ordered and near):
                yield Finding("data-without-storage", values={"storage": mount.id}, subject=item.id)
            elif same and facts.resources[root].children.index(mount.id) > facts.resources[
                root
            ].children.index(item.id):
                yield Finding("data-before-storage", values={"storage": mount.id}, subject=item.id)


CHECKS = (monitors, operations, meta, leftovers, addresses, storage, groups, clones, data)
