"""Whether a drill may begin: everything that speaks against it, before anything is broken (pure)."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import time

from lxml import etree

from understudy.drill.faults.aim import Wish, aim_of
from understudy.drill.faults.model import Facts, FaultError, LabStep, NodeStep
from understudy.drill.nodes import active, state_of
from understudy.findings import Finding
from understudy.kinds.pacemaker import ClusterView


@dataclass(frozen=True)
class Permission:
    """What may be broken; ``allowed`` None: everything, as in the lab. The window is in the operator's local time."""

    in_lab: bool
    allowed: frozenset[str] | None = None
    window: tuple[time, time] | None = None


def fencing_resources(view: ClusterView) -> list[str]:
    """Return the fencing devices of the cluster's configuration."""
    root = etree.fromstring(view.cib.encode())
    return [str(one.get("id")) for one in root.iter("primitive") if one.get("class") == "stonith"]


def fencing_is_on(view: ClusterView) -> bool:
    """Tell whether the cluster fences: it has devices and is not told otherwise."""
    root = etree.fromstring(view.cib.encode())
    off = any(
        pair.get("name") == "stonith-enabled" and pair.get("value", "").lower() in {"false", "no", "off", "0"}
        for pair in root.findall("configuration/crm_config//nvpair")
    )
    return not off and bool(fencing_resources(view))


def permitted(
    wishes: Iterable[Wish], permission: Permission, now: time, reach: Collection[str] = ("anywhere",)
) -> list[Finding]:
    """Return what of the wishes is not permitted here and now."""
    findings = []
    for fault in {wish.fault.name: wish.fault for wish in wishes}.values():
        if not permission.in_lab and fault.reach not in reach:
            findings.append(Finding("fault-only-in-lab", values={"fault": fault.name}))
        elif permission.allowed is not None and fault.name not in permission.allowed:
            findings.append(Finding("fault-not-allowed", values={"fault": fault.name}))
    return findings + outside_window(permission, now)


def outside_window(permission: Permission, now: time) -> list[Finding]:
    """Return the finding that the window is closed, if it is; a window may go past midnight."""
    if permission.window is None:
        return []
    begin, end = permission.window
    inside = begin <= now < end if begin <= end else now >= begin or now < end
    values = {"now": f"{now:%H:%M}", "begin": f"{begin:%H:%M}", "end": f"{end:%H:%M}"}
    return [] if inside else [Finding("drill-outside-window", values=values)]


def fitting(wishes: Iterable[Wish], facts: Facts, view: ClusterView, *, in_lab: bool) -> list[Finding]:
    """Return what keeps faults from being done on this cluster as it is now."""
    findings = []
    for wish in wishes:
        try:
            steps = wish.fault.steps(facts, aim_of(wish, facts, state_of(view)))
        except FaultError as error:
            findings.append(Finding("fault-does-not-fit", values={"fault": wish, "reason": error}))
            continue
        if not in_lab and any(isinstance(step, LabStep) for step in steps):
            findings.append(Finding("fault-only-in-lab", values={"fault": wish.fault.name}))
        if wish.fault.fences and not fencing_is_on(view):
            findings.append(Finding("drill-fencing-off", values={"fault": wish.fault.name}))
    return findings


def filtering(wishes: Iterable[Wish], facts: Facts, view: ClusterView) -> list[str]:
    """Return the names of the faults that filter packets."""
    found: dict[str, None] = {}
    for wish in wishes:
        with suppress(FaultError):
            steps = wish.fault.steps(facts, aim_of(wish, facts, state_of(view)))
            if any(isinstance(step, NodeStep) and step.step["do"] == "filter" for step in steps):
                found.setdefault(wish.fault.name)
    return list(found)


def ready(
    view: ClusterView | None,
    nodes: Sequence[str],
    resources: Collection[str],
    left: Mapping[str, Sequence[str]],
) -> list[Finding]:
    """Return what is wrong with the cluster before a drill."""
    if view is None:
        return [Finding("drill-cluster-down")]
    findings = [] if view.quorate else [Finding("drill-not-quorate")]
    findings += [
        Finding("drill-node-offline", values={"node": node}) for node in nodes if node not in view.online
    ]
    findings += [Finding("drill-node-standby", values={"node": node}) for node in view.standby]
    running = active(view)
    findings += [
        Finding("drill-resource-stopped", values={"resource": name})
        for name in resources
        if name not in running
    ]
    findings += [Finding("drill-resource-failed", values={"failure": failure}) for failure in view.failures]
    findings += [Finding("drill-copy-silent", values={"copy": copy}) for copy in view.silent]
    findings += [
        Finding("drill-left-behind", values={"node": node, "left": ", ".join(found)})
        for node, found in left.items()
    ]
    return findings
