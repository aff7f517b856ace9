"""Kind shared-directory: a service's directory on shared storage, made where the storage is mounted."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from understudy.design.items import Item, SharedDirectory
from understudy.kinds import pacemaker
from understudy.kinds.common import Irreversible, expect, must
from understudy.kinds.model import Change, Difference, World

PLACEHOLDER = "{directory}"
MOUNT_SECONDS = 60


class SharedDirectoryKind(Irreversible):
    """Make a directory with its first content in one step: a half-made one is never taken for whole."""

    name = SharedDirectory.kind

    async def observe(self, world: World, items: Sequence[Item]) -> Mapping[str, object]:
        """Return owner, group and mode of each directory, or that the storage is mounted nowhere yet."""
        seen = await pacemaker.view(world)
        observed: dict[str, object] = {}
        for item in items:
            if isinstance(item, SharedDirectory):
                node = seen.where(item.mounted_by) if seen else None
                observed[item.key] = (
                    {"mounted": False} if node is None else await self._state(world, node, item)
                )
        return observed

    async def _state(self, world: World, node: str, item: SharedDirectory) -> dict[str, Any]:
        done = await world.node(node).ask("run", argv=["stat", "--format=%F:%U:%G:%a", item.path])
        state = done["stdout"].strip() if done["exit_status"] == 0 else None
        return {"mounted": True, "state": state}

    def compare(self, item: Item, observed: object) -> Change | None:
        """Return the making of the directory, or the change of its owner or mode."""
        item = expect(item, SharedDirectory)
        seen = cast("Mapping[str, Any]", observed)
        wanted = f"directory:{item.owner}:{item.group}:{item.mode:o}"
        if seen["mounted"] and seen["state"] == wanted:
            return None
        before = seen.get("state") if seen["mounted"] else "the storage is not mounted yet"
        return Change(item, (Difference(item.path, before, wanted),), observed, reversible=False)

    async def apply(self, world: World, change: Change) -> None:
        """Make it beside, fill it, give it its owner, and rename it into place."""
        item = expect(change.item, SharedDirectory)
        seen = await pacemaker.wait_running(world, [item.mounted_by], MOUNT_SECONDS)
        node = seen.where(item.mounted_by) or seen.asked
        state = await self._state(world, node, item)
        owner = f"{item.owner}:{item.group}"
        if state["state"] is not None:
            await must(world, node, ["chown", owner, item.path])
            await must(world, node, ["chmod", f"{item.mode:o}", item.path])
            return
        unfinished = f"{item.path}.unfinished"
        await must(world, node, ["rm", "-rf", "--one-file-system", unfinished])
        await must(world, node, ["mkdir", "-p", unfinished])
        if item.initialise:
            await self._initialise(world, node, item, unfinished)
        await must(world, node, ["chown", owner, unfinished])
        await must(world, node, ["chmod", f"{item.mode:o}", unfinished])
        await must(world, node, ["sync", "--file-system", unfinished])
        await must(world, node, ["mv", "--no-target-directory", unfinished, item.path])
        await must(world, node, ["sync", "--file-system", item.path])

    async def _initialise(self, world: World, node: str, item: SharedDirectory, directory: str) -> None:
        """Fill a directory by way of the node's own disk: many small writes to a shared one take long."""
        local = (await must(world, node, ["mktemp", "--directory", "--tmpdir=/var/tmp"])).strip()
        try:
            # The command may give the directory away to a user who has to get to it.
            await must(world, node, ["chmod", "755", local])
            await must(world, node, [word.replace(PLACEHOLDER, local) for word in item.initialise], limit=180)
            await must(world, node, ["cp", "--archive", f"{local}/.", directory], limit=180)
        finally:
            await world.node(node).ask("run", argv=["rm", "-rf", "--one-file-system", local])
