"""Checks of cluster options, fencing and nodes."""

from collections.abc import Iterator

from lxml import etree

from understudy.findings.model import Finding
from understudy.proof.configuration import Configuration, Resource
from understudy.proof.scenarios import allowed_nodes
from understudy.proof.values import INFINITY, is_true, milliseconds

PROPERTIES = frozenset(
    [
        "batch-limit",
        "cib-last-written",
        "cluster-delay",
        "cluster-infrastructure",
        "cluster-ipc-limit",
        "cluster-name",
        "cluster-recheck-interval",
        "concurrent-fencing",
        "crmd-finalization-timeout",
        "crmd-integration-timeout",
        "crmd-transition-delay",
        "dc-deadtime",
        "dc-version",
        "default-action-timeout",
        "default-resource-stickiness",
        "election-timeout",
        "enable-acl",
        "enable-startup-probes",
        "expected-quorum-votes",
        "fence-reaction",
        "have-watchdog",
        "join-finalization-timeout",
        "join-integration-timeout",
        "last-lrm-refresh",
        "load-threshold",
        "maintenance-mode",
        "migration-limit",
        "no-quorum-policy",
        "node-action-limit",
        "node-health-base",
        "node-health-green",
        "node-health-red",
        "node-health-strategy",
        "node-health-yellow",
        "node-pending-timeout",
        "pe-error-series-max",
        "pe-input-series-max",
        "pe-warn-series-max",
        "placement-strategy",
        "priority-fencing-delay",
        "remove-after-stop",
        "shutdown-escalation",
        "shutdown-lock",
        "shutdown-lock-limit",
        "start-failure-is-fatal",
        "startup-fencing",
        "stonith-action",
        "stonith-enabled",
        "stonith-max-attempts",
        "stonith-timeout",
        "stonith-watchdog-timeout",
        "stop-all-resources",
        "stop-orphan-actions",
        "stop-orphan-resources",
        "symmetric-cluster",
        "transition-delay",
        "default-migration-threshold",
        "default-failure-timeout",
        "is-managed-default",
        "fencing-enabled",
        "fencing-action",
        "fencing-timeout",
        "fencing-max-attempts",
        "fencing-watchdog-timeout",
        "fencing-reaction",
        "priority-fencing-delay",
        "site-name",
        "hawk_version",
        "azure-events_globalPullState",
        "hostName",
        "lrm-refresh",
    ]
)
PASSWORDS = frozenset(
    {"password", "passwd", "login_passwd", "os_password", "test_passwd", "db_password", "replication_passwd"}
)
QUORUM_POLICIES = frozenset({"stop", "freeze", "ignore", "suicide", "demote", "fence"})
BOOLEANS = frozenset(
    {
        "stonith-enabled", "fencing-enabled", "maintenance-mode", "symmetric-cluster", "start-failure-is-fatal",
        "enable-startup-probes", "startup-fencing", "concurrent-fencing", "enable-acl", "shutdown-lock",
        "stop-all-resources", "stop-orphan-resources", "stop-orphan-actions", "have-watchdog",
    }
)  # fmt: skip
TRUTH = frozenset({"true", "false", "yes", "no", "on", "off", "y", "n", "1", "0"})
DURATIONS = (
    "stonith-timeout",
    "cluster-recheck-interval",
    "cluster-delay",
    "dc-deadtime",
    "transition-delay",
)


def devices(facts: Configuration) -> list[Resource]:
    """Return the fencing devices."""
    return [item for item in facts.primitives() if item.fencing]


def targets(device: Resource, facts: Configuration) -> set[str] | None:
    """Return the nodes a device says it can fence; None where it would ask the device itself."""
    parameters = device.parameters
    names = set(parameters.get("pcmk_host_list", "").replace(",", " ").split())
    for pair in parameters.get("pcmk_host_map", "").replace(";", " ").split():
        names.add(pair.split("=")[0].split(":")[0])
    for legacy in ("hostlist", "hostname"):
        names |= set(parameters.get(legacy, "").replace(",", " ").split())
    if not names and parameters.get("pcmk_host_check") in (None, "dynamic-list", "status", "none"):
        return None
    return names & set(facts.nodes) if names else set()


def fencing(facts: Configuration, _: etree._Element) -> Iterator[Finding]:
    """Fencing on, with a device for every node (Pacemaker Explained, "Fencing")."""
    if not facts.fencing_enabled:
        yield Finding("fencing-disabled")
        return
    known = devices(facts)
    watchdog = (
        facts.option("stonith-watchdog-timeout", "fencing-watchdog-timeout", default="0").strip("0s") != ""
    )
    if not known and not watchdog:
        yield Finding("fencing-without-device")
        return
    covered: set[str] = set()
    for device in known:
        if (named := targets(device, facts)) is None:
            return
        covered |= named
        wanted = set(device.parameters.get("pcmk_host_list", "").replace(",", " ").split())
        for name in sorted(wanted - set(facts.nodes)):
            yield Finding("fencing-unknown-node", "warning", {"node": name}, subject=device.id)
        if device.meta.get("target-role") == "Stopped":
            yield Finding("fencing-device-stopped", subject=device.id)
    for node in facts.cluster_nodes:
        if node.name not in covered and not watchdog:
            yield Finding("node-without-fencing-device", subject=node.name)


def fencing_from_home(facts: Configuration, _: etree._Element) -> Iterator[Finding]:
    """A device is kept off the node that it fences, and may run somewhere."""
    if len(facts.cluster_nodes) < 2 or not facts.fencing_enabled:
        return
    for device in devices(facts):
        allowed = allowed_nodes(facts, device.id)
        named = targets(device, facts)
        if named and len(named) == 1 and named & set(allowed):
            yield Finding("fencing-device-at-home", "warning", {"node": next(iter(named))}, subject=device.id)


def fencing_values(facts: Configuration, _: etree._Element) -> Iterator[Finding]:
    """Fencing timeouts fit the device's own; two nodes do not shoot each other at once."""
    if not facts.fencing_enabled:
        return
    limit = milliseconds(facts.option("stonith-timeout", "fencing-timeout"), 60_000)
    known = devices(facts)
    for device in known:
        for name in ("pcmk_reboot_timeout", "pcmk_off_timeout", "power_timeout", "shell_timeout"):
            value = milliseconds(device.parameters.get(name))
            if value > limit:
                values = {"parameter": name, "value": value // 1000, "timeout": limit // 1000}
                yield Finding("fencing-timeout-short", "warning", values, subject=device.id)
    delays = {"pcmk_delay_base", "pcmk_delay_max", "delay"}
    delayed = any(delays & set(device.parameters) for device in known)
    if (
        len(facts.cluster_nodes) == 2
        and known
        and not delayed
        and "priority-fencing-delay" not in facts.properties
    ):
        yield Finding("two-nodes-race", "warning")


def secrets(facts: Configuration, _: etree._Element) -> Iterator[Finding]:
    """No password stands in the configuration, which every user of the cluster can read."""
    for item in facts.primitives():
        for name, value in item.parameters.items():
            if name in PASSWORDS and value and not value.startswith("lrm://"):
                yield Finding("secret-in-cib", "warning", {"parameter": name}, subject=item.id)


def quorum(facts: Configuration, _: etree._Element) -> Iterator[Finding]:
    """Quorum is not ignored (votequorum(5))."""
    policy = facts.option("no-quorum-policy", default="stop")
    if policy == "ignore":
        severe = len(facts.cluster_nodes) > 2 or not facts.fencing_enabled
        yield Finding("quorum-ignored", "error" if severe else "warning", {"nodes": len(facts.cluster_nodes)})
    if len(facts.cluster_nodes) > 2 and len(facts.cluster_nodes) % 2 == 0:
        yield Finding("cluster-of-even-number", "note", {"nodes": len(facts.cluster_nodes)})


def options(facts: Configuration, _: etree._Element) -> Iterator[Finding]:
    """Every cluster option exists and has a value that Pacemaker understands."""
    for name, value in facts.properties.items():
        if name.replace("_", "-") not in PROPERTIES | {item.replace("_", "-") for item in PROPERTIES}:
            yield Finding("unknown-property", "warning", {"name": name}, subject=name)
        wrong = (name in BOOLEANS and value.lower() not in TRUTH) or (
            name == "no-quorum-policy" and value not in QUORUM_POLICIES
        )
        wrong = wrong or (
            name in DURATIONS and milliseconds(value, -1) < 0 and not value.startswith(("P", "-"))
        )
        if wrong:
            yield Finding("bad-value", values={"name": name, "value": value}, subject=name)


def leftovers(facts: Configuration, _: etree._Element) -> Iterator[Finding]:
    """No maintenance, standby or stop of everything was forgotten."""
    if is_true(facts.properties.get("maintenance-mode")):
        yield Finding("leftover-maintenance", "warning", subject="maintenance-mode")
    if is_true(facts.properties.get("stop-all-resources")):
        yield Finding("leftover-stopped", "warning", subject="stop-all-resources")
    for node in facts.nodes.values():
        for name in ("standby", "maintenance"):
            if is_true(node.attributes.get(name)):
                yield Finding(f"leftover-{name}", "warning", subject=node.name)


def defaults(facts: Configuration, _: etree._Element) -> Iterator[Finding]:
    """Resources stay where they are when a node comes back; failures expire."""
    movable = [item for item in facts.roots() if item.kind in ("primitive", "group")]
    own = "default-resource-stickiness" in facts.properties
    if not own and len(facts.cluster_nodes) > 1:
        for item in movable:
            members = list(facts.primitives(item.id))
            fencing_only = all(member.fencing for member in members)
            if not fencing_only and not any("resource-stickiness" in member.meta for member in members):
                yield Finding("stickiness-missing", "warning", subject=item.id)
                break
    recheck = milliseconds(facts.option("cluster-recheck-interval"), 900_000)
    for item in facts.primitives():
        threshold, timeout = item.meta.get("migration-threshold"), item.meta.get("failure-timeout")
        if threshold and threshold.upper() != "INFINITY" and threshold != "0" and not milliseconds(timeout):
            yield Finding("threshold-without-timeout", "warning", subject=facts.root(item.id))
        if 0 < milliseconds(timeout) < recheck and recheck > 900_000:
            yield Finding("recheck-too-rare", "note", {"recheck": recheck // 1000}, subject=item.id)


def placeable(facts: Configuration, _: etree._Element) -> Iterator[Finding]:
    """Every resource is allowed somewhere."""
    for item in facts.roots():
        if facts.cluster_nodes and not allowed_nodes(facts, item.id) and item.kind != "bundle":
            yield Finding("allowed-nowhere", subject=item.id)
        elif (
            len(allowed_nodes(facts, item.id)) == 1 and len(facts.cluster_nodes) > 1 and item.kind != "clone"
        ):
            members = list(facts.primitives(item.id))
            hard = any(rule.resource == item.id and abs(rule.score) >= INFINITY for rule in facts.locations)
            if hard and not all(member.fencing for member in members):
                yield Finding(
                    "one-node-only", "warning", {"node": allowed_nodes(facts, item.id)[0]}, subject=item.id
                )


CHECKS = (
    fencing,
    fencing_from_home,
    fencing_values,
    secrets,
    quorum,
    options,
    leftovers,
    defaults,
    placeable,
)
