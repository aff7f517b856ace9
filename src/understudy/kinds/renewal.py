"""Kind renewal: renewed certificates that a running service takes up without a restart.

What a node's service has taken up stands in a mark beside the certificates, which is written last: an apply that was
interrupted has the service read them once more.
"""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from understudy.design.items import Item, Renewal
from understudy.design.proxy import CERTIFICATES
from understudy.hosts.parallel import all_of
from understudy.kinds.common import Irreversible, expect, items_of, must
from understudy.kinds.model import Change, Difference, World

WHAT = "certificates in use"


class RenewalKind(Irreversible):
    """A digest in a mark. The way back is that of the certificates: those of before are renewed ones, too."""

    name = Renewal.kind

    async def observe(self, world: World, items: Sequence[Item]) -> Mapping[str, object]:
        """Return the digest of what each service has taken up, empty when nothing is known of it."""

        async def one(item: Renewal) -> tuple[str, object]:
            seen = await world.node(item.node).ask("read-file", path=_mark(item))
            return item.key, {"taken_up": seen.get("content", "").strip(), "_digest": seen.get("digest", "")}

        return dict(await all_of(one(item) for item in items_of(items, Renewal)))

    def compare(self, item: Item, observed: object) -> Change | None:
        """Return that it has to take up others."""
        item = expect(item, Renewal)
        before = cast("Mapping[str, Any]", observed)["taken_up"]
        if before == item.digest:
            return None
        difference = Difference(WHAT, "those before" if before else None, "those in its files")
        return Change(item, (difference,), observed, reversible=False)

    async def apply(self, world: World, change: Change) -> None:
        """Have it read them, then leave the mark."""
        item = expect(change.item, Renewal)
        await must(world, item.node, item.command)
        await world.node(item.node).ask(
            "write-file",
            path=_mark(item),
            content=f"{item.digest}\n",
            owner="root",
            group="root",
            mode=0o644,
            directory_mode=0o755,
            expected=cast("Mapping[str, Any]", change.observed)["_digest"],
        )


def _mark(item: Renewal) -> str:
    return f"{CERTIFICATES}/{item.service}.in-use"
