"""Kind cluster-resources: the Pacemaker configuration, changed in one atomic step.

understudy owns what its tag lists and nothing else; what it did not create stays as it is.
"""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from lxml import etree

from understudy.design.cluster import restricted
from understudy.design.items import ClusterResources, Item, Phase
from understudy.findings import Finding, FindingsError
from understudy.formats.cib import ObjectChange, diff, load, merge
from understudy.formats.cluster import Clone, ClusterConfiguration, forbidden_nodes, ids_of
from understudy.kinds import pacemaker
from understudy.kinds.common import Irreversible, expect
from understudy.kinds.model import Change, Difference, World

READY_SECONDS = 300
SECTIONS = ("crm_config", "nodes", "resources", "constraints")
CHANGING = frozenset(
    {"cib-last-written", "update-origin", "update-client", "update-user", "have-quorum", "dc-uuid"}
)
"""Attributes of a CIB that change although its configuration does not."""


class ClusterResourcesKind(Irreversible):
    """Resources, constraints and properties."""

    name = ClusterResources.kind

    async def observe(self, world: World, items: Sequence[Item]) -> Mapping[str, object]:
        """Return the live configuration, or None when there is no cluster yet."""
        seen = await pacemaker.view(world)
        if seen is not None and not seen.quorate:
            values = {"online": ", ".join(seen.online)}
            raise FindingsError(
                [Finding("cluster-without-quorum", values=values, subject="cluster")], exit_status=1
            )
        return {item.key: {"cib": configuration_only(seen.cib) if seen else None} for item in items}

    def compare(self, item: Item, observed: object) -> Change | None:
        """Return what would change in the configuration, object by object."""
        item = expect(item, ClusterResources)
        seen = cast("Mapping[str, Any]", observed)
        target = wanted(item, seen["cib"])
        if target is None:
            return None
        before = seen["cib"] or fresh_cib(item.nodes)
        merged = merge(before, target)
        errors = [finding for finding in merged.findings if finding.severity == "error"]
        if errors:
            raise FindingsError(errors, exit_status=1)
        differences = tuple(
            _difference(change) for change in diff(before, merged.cib) if change.kind != "tag"
        )
        return Change(item, differences, observed, reversible=False) if differences else None

    async def apply(self, world: World, change: Change) -> None:
        """Validate the new configuration, put it in place at once, wait until what it starts is running."""
        item = expect(change.item, ClusterResources)
        seen = await pacemaker.view(world, fresh=True)
        if seen is None:
            raise FindingsError([Finding("cluster-not-running", subject="cluster")], exit_status=1)
        target = wanted(item, seen.cib)
        if target is not None:
            host = world.hosts[seen.coordinator or seen.asked]
            after = merge(seen.cib, target).cib
            problems = await pacemaker.verify(host, after)
            if problems:
                values = {"reason": "; ".join(problems)}
                raise FindingsError(
                    [Finding("cluster-invalid", values=values, subject="cluster")], exit_status=1
                )
            await pacemaker.replace_configuration(host, seen.cib, after)
        clones = [one for one in item.configuration.resources if isinstance(one, Clone)]
        everywhere = {
            id_: forbidden_nodes(item.configuration, clone) for clone in clones for id_ in ids_of(clone)
        }
        await pacemaker.wait_running(world, item.ready, READY_SECONDS, everywhere)


def wanted(item: ClusterResources, cib: str | None) -> ClusterConfiguration | None:
    """Return the configuration that a stage wants now; None when an early stage has nothing to do.

    An early stage brings resources that later work needs, and switches them on where somebody has switched them off;
    it never takes out what the cluster has already.
    """
    if item.stage == Phase.CLUSTER:
        return item.configuration
    present = _resource_ids(cib) if cib else set()
    if item.stage_ids <= present and not item.stage_ids & _switched_off(cib or ""):
        return None
    return restricted(item.configuration, item.stage_ids | present)


def fresh_cib(nodes: Sequence[str]) -> str:
    """Return the CIB of a cluster that these nodes have just formed."""
    root = etree.Element("cib", {"validate-with": "pacemaker-3.9", "epoch": "0", "num_updates": "0"})
    root.set("admin_epoch", "0")
    root.set("crm_feature_set", "3.16.1")
    configuration = etree.SubElement(root, "configuration")
    sections = {name: etree.SubElement(configuration, name) for name in SECTIONS}
    for number, name in enumerate(nodes, start=1):
        etree.SubElement(sections["nodes"], "node", id=str(number), uname=name)
    etree.SubElement(root, "status")
    return etree.tostring(root, encoding="unicode")


def configuration_only(cib: str) -> str:
    """Return a CIB without its status and version, which change all the time."""
    root = load(cib)
    for name in CHANGING & set(root.attrib):
        del root.attrib[name]
    status = root.find("status")
    if status is not None:
        root.remove(status)
    root.set("epoch", "0")
    root.set("num_updates", "0")
    root.set("admin_epoch", "0")
    return etree.tostring(root, encoding="unicode")


def _switched_off(cib: str) -> set[str]:
    """Return the resources that Pacemaker may not start: they, or what they are in, are stopped or not managed.

    Source: Pacemaker Explained, "Resource Meta-Attributes", target-role and is-managed.
    """
    off: set[str] = set()
    for holder in load(cib).iterfind("configuration/resources//*[meta_attributes]"):
        pairs = holder.iterfind("meta_attributes/nvpair")
        settings = {(pair.get("name"), (pair.get("value") or "").lower()) for pair in pairs}
        if settings & {("target-role", "stopped"), ("is-managed", "false")}:
            off |= {element.get("id", "") for element in holder.iter("primitive", "group", "clone")}
    return off


def _resource_ids(cib: str) -> set[str]:
    resources = load(cib).find("configuration/resources")
    return (
        set()
        if resources is None
        else {element.get("id", "") for element in resources.iter("primitive", "group", "clone")}
    )


def _difference(change: ObjectChange) -> Difference:
    name = f"{change.kind} {change.id} {change.aspect}".rstrip()
    return Difference(name, change.before, change.after)
