"""Kind key-repository: a directory of keys that must be the same on every node.

What Keystone asks of its Fernet keys: Keystone's administrator guide, "Fernet token frequently asked questions".
"""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from understudy.design.items import Item, KeyRepository
from understudy.findings import Finding, FindingsError
from understudy.hosts.parallel import all_of
from understudy.kinds.common import Irreversible, expect, items_of, must
from understudy.kinds.model import Change, Difference, World

CREATE_SECONDS = 60
MODE = 0o700


class KeyRepositoryKind(Irreversible):
    """Keys are never shown; taking back a key would make what it signed unreadable."""

    name = KeyRepository.kind

    async def observe(self, world: World, items: Sequence[Item]) -> Mapping[str, object]:
        """Return for each node which keys it has, by number and digest."""

        async def one(item: KeyRepository) -> tuple[str, object]:
            answers: list[object] = await all_of(
                world.node(node).ask("read-keys", path=item.path) for node in item.nodes
            )
            return item.key, dict(zip(item.nodes, answers, strict=True))

        return dict(await all_of(one(item) for item in items_of(items, KeyRepository)))

    def compare(self, item: Item, observed: object) -> Change | None:
        """Return which node lacks the keys or has other ones than the node with the newest."""
        item = expect(item, KeyRepository)
        seen = cast("Mapping[str, Mapping[str, Any]]", observed)
        source = _source(item, seen)
        differences = []
        for node in item.nodes:
            state = seen[node]
            before = f"{len(state['names'])} keys" if state["names"] else None
            if not state["digest"] or state["digest"] != seen[source]["digest"]:
                after = "new keys" if not seen[source]["digest"] else f"those of {source}"
                after = "first keys" if node == source else after
                differences.append(Difference(f"keys on {node}", before, after, secret=True))
            elif (state["owner"], state["group"], state["mode"]) != (item.owner, item.group, MODE):
                before = f"{state['owner']}:{state['group']} {state['mode']:04o}"
                after = f"{item.owner}:{item.group} {MODE:04o}"
                differences.append(Difference(f"owner and mode on {node}", before, after))
        if not differences:
            return None
        replaced = any(
            state["digest"] and state["digest"] != seen[source]["digest"] for state in seen.values()
        )
        impact = "what the replaced keys signed, such as tokens, is no longer accepted" if replaced else ""
        return Change(item, tuple(differences), observed, reversible=False, impact=impact)

    async def apply(self, world: World, change: Change) -> None:
        """Make the first keys where no node has any, then copy the newest to all."""
        item = expect(change.item, KeyRepository)
        seen = cast("Mapping[str, Mapping[str, Any]]", change.observed)
        source = _source(item, seen)
        if not seen[source]["digest"]:
            await must(world, source, item.create, limit=CREATE_SECONDS * world.wait_factor)
        keys = (await world.node(source).ask("read-keys", path=item.path, content=True)).get("keys", {})
        if not keys:
            values = {"command": item.create[0], "node": source, "path": item.path}
            raise FindingsError([Finding("keys-not-made", values=values, subject=source)], exit_status=1)
        await all_of(
            world.node(node).ask("write-keys", path=item.path, keys=keys, owner=item.owner, group=item.group)
            for node in item.nodes
        )


def _source(item: KeyRepository, seen: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the node with the newest keys; the first one where no node has any."""
    having = [node for node in item.nodes if seen[node]["digest"]]
    return max(having, key=lambda node: seen[node]["newest"], default=item.nodes[0])
