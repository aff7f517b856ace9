"""Kind membership: Corosync and Pacemaker formed into one cluster.

Sources: corosync.conf(5), corosync-keygen(8); Pacemaker Administration, "The cluster information base".
"""

import asyncio
import base64
import secrets
from collections.abc import Mapping, Sequence
from typing import Any, cast

from lxml import etree

from understudy.design.items import Item, Membership
from understudy.findings import Finding, FindingsError
from understudy.formats.corosync_conf import cluster_name_of
from understudy.kinds import pacemaker, tie_breaker
from understudy.kinds.common import Irreversible, expect, must
from understudy.kinds.model import Change, Difference, World

CONFIGURATION = "/etc/corosync/corosync.conf"
KEY = "/etc/corosync/authkey"
KEY_BYTES = 128
DAEMONS = ("corosync", "pacemaker")
CIB_FOLDER = "/var/lib/pacemaker/cib"
FORM_SECONDS = 90

# Without it three nodes that start together wait for the default of 20 s before they elect a coordinator.
FIRST_CIB = """\
<cib crm_feature_set="3.16.1" validate-with="pacemaker-3.9" epoch="1" num_updates="0" admin_epoch="0">
  <configuration>
    <crm_config>
      <cluster_property_set id="cib-bootstrap-options">
        <nvpair id="cib-bootstrap-options-dc-deadtime" name="dc-deadtime" value="5s"/>
      </cluster_property_set>
    </crm_config>
    <nodes/>
    <resources/>
    <constraints/>
  </configuration>
  <status/>
</cib>
"""
CIB_FILES = r"""
import glob, os, sys
for path in glob.glob(sys.argv[1] + "/cib*"):
    os.remove(path)
"""


class MembershipKind(Irreversible):
    """Corosync's configuration and key on every node, the daemons running, all nodes online."""

    name = Membership.kind

    async def observe(self, world: World, items: Sequence[Item]) -> Mapping[str, object]:
        """Return configuration, key digest and daemons of every node, and who is online."""
        observed: dict[str, object] = {}
        for item in items:
            if isinstance(item, Membership):
                states = await asyncio.gather(*(self._node(world, item, node) for node in item.nodes))
                seen = await pacemaker.view(world)
                observed[item.key] = {
                    "nodes": dict(zip(item.nodes, states, strict=True)),
                    "online": sorted(seen.online) if seen else [],
                    "quorate": seen.quorate if seen else False,
                }
        return observed

    async def _node(self, world: World, item: Membership, node: str) -> dict[str, object]:
        asked, daemons = world.node(node), item.daemons
        configuration, key, *units = await asyncio.gather(
            asked.ask("read-file", path=CONFIGURATION),
            asked.ask("read-file", path=KEY),
            *(asked.ask("read-unit", name=daemon) for daemon in daemons),
        )
        return {
            "configuration": configuration.get("content") if configuration["exists"] else None,
            "key": key.get("digest") if key["exists"] else None,
            "enabled": [daemon for daemon, unit in zip(daemons, units, strict=True) if unit["enabled"]],
            "running": [daemon for daemon, unit in zip(daemons, units, strict=True) if unit["running"]],
            **({"tie-breaker": await tie_breaker.mark_on(world, node)} if item.tie_breaker else {}),
        }

    def compare(self, item: Item, observed: object) -> Change | None:
        """Return what is different on which node."""
        item = expect(item, Membership)
        seen = cast("Mapping[str, Any]", observed)
        differences = list(_differences(item, seen))
        if not differences:
            return None
        return Change(item, tuple(differences), observed, reversible=False)

    async def apply(self, world: World, change: Change) -> None:
        """Write configuration and key, start what does not run, wait until all are online."""
        item = expect(change.item, Membership)
        seen = cast("Mapping[str, Any]", change.observed)
        foreign = [node for node, state in seen["nodes"].items() if _foreign(item, state)]
        await asyncio.gather(*(self._leave_empty_cluster(world, node) for node in foreign))
        key = await self._key(world, item, seen, foreign)
        await asyncio.gather(*(self._write(world, item, node, key) for node in item.nodes))
        ours = [node for node in item.nodes if node not in foreign]
        reload_needed = [
            node
            for node in ours
            if "corosync" in seen["nodes"][node]["running"]
            and seen["nodes"][node]["configuration"] != item.corosync_conf
        ]
        if reload_needed:
            await must(world, reload_needed[0], ["corosync-cfgtool", "-R"])
        if item.tie_breaker is not None:
            wanted = tie_breaker.mark_of(item.tie_breaker)
            stale = [node for node in item.nodes if seen["nodes"][node]["tie-breaker"] != wanted]
            await asyncio.gather(*(tie_breaker.fill(world, node, item.tie_breaker) for node in stale))
        await asyncio.gather(*(self._start(world, item, node) for node in item.nodes))
        pacemaker.forget(world)
        await pacemaker.wait_online(world, item.nodes, FORM_SECONDS)

    async def _leave_empty_cluster(self, world: World, node: str) -> None:
        """Take a node out of the cluster that the distribution's package forms by itself, if that is empty."""
        asked = world.node(node)
        query = await asked.ask("run", argv=["cibadmin", "--query", "--scope", "resources"], limit=20)
        if query["exit_status"] == 0 and len(etree.fromstring(query["stdout"])):
            configuration = (await asked.ask("read-file", path=CONFIGURATION)).get("content") or ""
            values = {"cluster": cluster_name_of(configuration) or "another"}
            raise FindingsError(
                [Finding("node-in-other-cluster", values=values, subject=node)], exit_status=1
            )
        for daemon in reversed(DAEMONS):
            await asked.ask("write-unit", name=daemon, running=False, limit=120)
        await must(world, node, ["/usr/bin/python3", "-IS", "-c", CIB_FILES, CIB_FOLDER])

    async def _key(
        self, world: World, item: Membership, seen: Mapping[str, Any], foreign: list[str]
    ) -> bytes:
        """Return the key of the nodes that are in the cluster already, or a new one."""
        for node in item.nodes:
            if (
                seen["nodes"][node]["key"]
                and node not in foreign
                and "corosync" in seen["nodes"][node]["running"]
            ):
                found = await world.node(node).ask("run", argv=["base64", "--wrap=0", KEY])
                if found["exit_status"] == 0:
                    return base64.b64decode(found["stdout"])
        return secrets.token_bytes(KEY_BYTES)

    async def _write(self, world: World, item: Membership, node: str, key: bytes) -> None:
        asked = world.node(node)
        await asyncio.gather(
            asked.ask(
                "write-file",
                path=CONFIGURATION,
                content=item.corosync_conf,
                owner="root",
                group="root",
                mode=0o644,
            ),
            asked.ask(
                "write-file",
                path=KEY,
                content=key.decode("utf-8", "surrogateescape"),
                owner="root",
                group="root",
                mode=0o400,
            ),
        )

    async def _start(self, world: World, item: Membership, node: str) -> None:
        asked = world.node(node)
        existing = await asked.ask("run", argv=["test", "-e", f"{CIB_FOLDER}/cib.xml"])
        if existing["exit_status"] != 0:
            await asked.ask(
                "write-file",
                path=f"{CIB_FOLDER}/cib.xml",
                content=FIRST_CIB,
                owner="hacluster",
                group="haclient",
                mode=0o600,
            )
        for daemon in item.daemons:
            await asked.ask("write-unit", name=daemon, enabled=True, running=True, limit=120)


def _foreign(item: Membership, state: Mapping[str, Any]) -> bool:
    """Tell whether a node runs in a cluster of another name."""
    running = "corosync" in state["running"]
    return running and cluster_name_of(state["configuration"] or "") != item.cluster_name


def _differences(item: Membership, seen: Mapping[str, Any]) -> list[Difference]:
    differences = []
    keys = {state["key"] for state in seen["nodes"].values()}
    for node, state in seen["nodes"].items():
        if state["configuration"] != item.corosync_conf:
            before = "other content" if state["configuration"] else None
            differences.append(Difference(f"{node} {CONFIGURATION}", before, "written"))
        if state["key"] is None or len(keys) > 1:
            before = "another key" if state["key"] else None
            differences.append(Difference(f"{node} {KEY}", before, "the cluster's key", secret=True))
        if item.tie_breaker is not None and state["tie-breaker"] != tie_breaker.mark_of(item.tie_breaker):
            before = "others" if state["tie-breaker"] else None
            name = f"{node} certificates for the tie-breaker"
            differences.append(Difference(name, before, "written", secret=True))
        for daemon in item.daemons:
            if daemon not in state["enabled"]:
                differences.append(Difference(f"{node} {daemon} at boot", "disabled", "enabled"))
            if daemon not in state["running"]:
                differences.append(Difference(f"{node} {daemon}", "stopped", "running"))
        if node not in seen["online"]:
            differences.append(Difference(f"{node} in the cluster", "offline", "online"))
    return differences
