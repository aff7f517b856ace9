"""Kind shared-filesystem: a file system on a device that all nodes see, made only where nothing is."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import cast

from understudy.design.items import Item, SharedFilesystem
from understudy.findings import Finding, FindingsError
from understudy.kinds.common import Irreversible, expect, items_of, must
from understudy.kinds.model import Change, Difference, World

# blkid(8), low-level probing: 2 is "nothing was found", 8 is "several signatures".
NOTHING_FOUND = 2
MAKE = {"xfs": ("mkfs.xfs", "-q"), "ext4": ("mkfs.ext4", "-q")}


class SharedFilesystemKind(Irreversible):
    """Make a file system on a blank shared device; never touch one that holds anything."""

    name = SharedFilesystem.kind

    async def observe(self, world: World, items: Sequence[Item]) -> Mapping[str, object]:
        """Return for each device what every node finds on it: missing, blank, or the type."""
        wanted = items_of(items, SharedFilesystem)
        found = await asyncio.gather(*(self._contents(world, item) for item in wanted))
        return {item.key: contents for item, contents in zip(wanted, found, strict=True)}

    async def _contents(self, world: World, item: SharedFilesystem) -> dict[str, str]:
        probes = await asyncio.gather(*(self._probe(world, node, item.device) for node in item.nodes))
        return dict(zip(item.nodes, probes, strict=True))

    async def _probe(self, world: World, node: str, device: str) -> str:
        asked = world.node(node)
        present, probe = await asyncio.gather(
            asked.ask("run", argv=["test", "-b", device]),
            asked.ask("run", argv=["blkid", "-p", "-o", "export", device]),
        )
        if present["exit_status"] != 0:
            return "missing"
        if probe["exit_status"] == NOTHING_FOUND:
            return "blank"
        values = dict(line.split("=", 1) for line in probe["stdout"].splitlines() if "=" in line)
        return values.get("TYPE") or values.get("PTTYPE") or "something unknown"

    def compare(self, item: Item, observed: object) -> Change | None:
        """Return the making of the file system; raises FindingsError for a device that cannot be used."""
        item = expect(item, SharedFilesystem)
        contents = cast("Mapping[str, str]", observed)
        missing = [node for node, content in contents.items() if content == "missing"]
        if missing:
            findings = [
                Finding("device-missing", values={"device": item.device}, subject=node) for node in missing
            ]
            raise FindingsError(findings, exit_status=1)
        kinds = set(contents.values())
        if kinds == {item.filesystem}:
            return None
        if kinds != {"blank"}:
            content = ", ".join(sorted(kinds - {"blank", item.filesystem}) or sorted(kinds))
            values = {"device": item.device, "content": content, "filesystem": item.filesystem}
            raise FindingsError([Finding("device-in-use", values=values, subject=item.device)], exit_status=1)
        return Change(item, (Difference(item.device, "blank", item.filesystem),), observed, reversible=False)

    async def apply(self, world: World, change: Change) -> None:
        """Make the file system from one node, after a last look from all."""
        item = expect(change.item, SharedFilesystem)
        if self.compare(item, await self._contents(world, item)) is None:
            return
        node = item.nodes[0]
        await must(world, node, [*MAKE[item.filesystem], item.device], limit=300)
