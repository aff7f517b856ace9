"""Kind file: a file that is wholly ours, and the version before of one that comes back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, cast

from understudy.design.items import File, Item, NodeItem, Options, Phase
from understudy.hosts.parallel import all_of
from understudy.kinds.common import expect, items_of
from understudy.kinds.model import Change, Difference, World
from understudy.secret import MASK, Secret, reveal


@dataclass(frozen=True, kw_only=True)
class RestoredFile(NodeItem):
    """A file that must be the version with this stamp (empty: that must not exist); it lies beside the present one."""

    kind: ClassVar[str] = "restored-file"
    phase: ClassVar[Phase] = Phase.FILES
    path: str
    stamp: str
    owner: str = "root"
    group: str = "root"
    mode: int = 0o644

    @property
    def subject(self) -> str:
        """Return the path."""
        return self.path


async def look(world: World, items: Sequence[File | Options | RestoredFile]) -> dict[str, object]:
    """Return for each item what its file is now; ``_content`` and ``_digest`` stay inside this program."""

    async def one(item: File | Options | RestoredFile) -> tuple[str, object]:
        answer = await world.node(item.node).ask("read-file", path=item.path)
        private = {f"_{name}": answer.pop(name, "") for name in ("content", "digest", "before")}
        return item.key, {**answer, **private}

    return dict(await all_of(one(item) for item in items))


def attributes(item: File | RestoredFile, seen: Mapping[str, Any]) -> list[Difference]:
    """Return the differences in owner, group and mode."""
    wanted = {"owner": item.owner, "group": item.group, "mode": f"{item.mode:04o}"}
    found = {"owner": seen["owner"], "group": seen["group"], "mode": f"{seen['mode']:04o}"}
    return [Difference(name, found[name], wanted[name]) for name in wanted if found[name] != wanted[name]]


def version_before(change: Change, node: str, path: str) -> Change:
    """Return the change that brings back the version that a change replaced."""
    seen = cast("Mapping[str, Any]", change.observed)
    kept = {name: seen[name] for name in ("owner", "group", "mode", "stamp") if name in seen}
    item = RestoredFile(node=node, path=path, **{"stamp": "", **kept}, reason="as it was before")
    return Change(item, (), None)


class FileKind:
    """A whole file with owner and mode."""

    name = File.kind

    async def observe(self, world: World, items: Sequence[Item]) -> Mapping[str, object]:
        """Return content, owner, group and mode of each file."""
        return await look(world, items_of(items, File))

    def compare(self, item: Item, observed: object) -> Change | None:
        """Return what is different; the whole text is before and after, for a diff, unless it is secret."""
        item = expect(item, File)
        seen = cast("Mapping[str, Any]", observed)
        secret = isinstance(item.content, Secret)
        differences = []
        if not seen["exists"]:
            new = MASK if secret else reveal(item.content)
            differences.append(Difference("content", None, new, secret=secret))
        else:
            if seen["_content"] != reveal(item.content):
                before, after = (MASK, MASK) if secret else (seen["_content"], reveal(item.content))
                differences.append(Difference("content", before, after, secret=secret))
            differences += attributes(item, seen)
        return Change(item, tuple(differences), observed) if differences else None

    async def apply(self, world: World, change: Change) -> None:
        """Replace the file in one step."""
        item = expect(change.item, File)
        seen = cast("Mapping[str, Any]", change.observed)
        await world.node(item.node).ask(
            "write-file",
            path=item.path,
            content=reveal(item.content),
            owner=item.owner,
            group=item.group,
            mode=item.mode,
            directory_mode=item.directory_mode,
            expected=seen["_digest"],
        )

    def invert(self, change: Change) -> Change | None:
        """Return the bringing back of the version before."""
        item = expect(change.item, File)
        return version_before(change, item.node, item.path)


class RestoredFileKind:
    """The version before of a file."""

    name = RestoredFile.kind

    async def observe(self, world: World, items: Sequence[Item]) -> Mapping[str, object]:
        """Return which version each file is."""
        return await look(world, items_of(items, RestoredFile))

    def compare(self, item: Item, observed: object) -> Change | None:
        """Return whether another version has to come back; contents are not shown, they may hold secrets."""
        item = expect(item, RestoredFile)
        seen = cast("Mapping[str, Any]", observed)
        present = seen.get("stamp", "")
        differences = []
        if present != item.stamp:
            before = "the present version" if present else None
            differences.append(Difference("content", before, "the version before" if item.stamp else None))
        elif present:
            differences += attributes(item, seen)
        return Change(item, tuple(differences), observed) if differences else None

    async def apply(self, world: World, change: Change) -> None:
        """Bring it back; the present version becomes the version before."""
        item = expect(change.item, RestoredFile)
        seen = cast("Mapping[str, Any]", change.observed)
        await world.node(item.node).ask(
            "restore-file",
            path=item.path,
            stamp=item.stamp,
            owner=item.owner,
            group=item.group,
            mode=item.mode,
            expected=seen["_digest"],
        )

    def invert(self, change: Change) -> Change | None:
        """Return the way back to the present version."""
        item = expect(change.item, RestoredFile)
        return version_before(change, item.node, item.path)
