"""Kind directory: a directory on a node that must be there, such as the mount point of shared storage."""

import asyncio
from collections.abc import Mapping, Sequence

from understudy.design.items import Directory, Item
from understudy.kinds.common import Irreversible, expect, items_of, must
from understudy.kinds.model import Change, Difference, World


class DirectoryKind(Irreversible):
    """Make a directory; one that is there is left as it is, for a mounted file system has its own owner and mode."""

    name = Directory.kind

    async def observe(self, world: World, items: Sequence[Item]) -> Mapping[str, object]:
        """Return for each directory whether it is there."""
        wanted = items_of(items, Directory)
        found = await asyncio.gather(
            *(world.node(item.node).ask("run", argv=["test", "-d", item.path]) for item in wanted)
        )
        return {item.key: done["exit_status"] == 0 for item, done in zip(wanted, found, strict=True)}

    def compare(self, item: Item, observed: object) -> Change | None:
        """Return the making of a directory that is not there."""
        directory = expect(item, Directory)
        if observed:
            return None
        return Change(item, (Difference("directory", None, directory.path),), observed, reversible=False)

    async def apply(self, world: World, change: Change) -> None:
        """Make it, owned by root."""
        item = expect(change.item, Directory)
        await must(world, item.node, ["mkdir", "-p", f"--mode={item.mode:o}", item.path])
