"""What several kinds share: the type of their items, commands that must succeed, changes that are not taken back."""

from collections.abc import Sequence
from typing import TypeVar

from understudy.design.items import Item
from understudy.findings import Finding, FindingsError
from understudy.kinds.model import Change, World

ItemType = TypeVar("ItemType", bound=Item)
REASON_LENGTH = 400


class Irreversible:
    """A kind whose changes are not taken back: they made data, or others may rely on them by now."""

    def invert(self, change: Change) -> Change | None:
        """Return None."""
        del change
        return None


def items_of(items: Sequence[Item], kind: type[ItemType]) -> list[ItemType]:
    """Return the items of one class."""
    return [item for item in items if isinstance(item, kind)]


def expect(item: Item, kind: type[ItemType]) -> ItemType:
    """Return the item as its class; the registry gives each kind its own items only."""
    if not isinstance(item, kind):
        raise TypeError(f"{type(item).__name__} is not a {kind.__name__}")
    return item


async def must(world: World, node: str, argv: Sequence[str], limit: float = 60, **more: object) -> str:
    """Run a command on a node and return its output; raises FindingsError ``command-failed``."""
    done = await world.node(node).ask("run", argv=list(argv), limit=limit, **more)
    if done["exit_status"] != 0:
        reason = (done["stderr"] or done["stdout"]).strip()[
            -REASON_LENGTH:
        ] or f"exit status {done['exit_status']}"
        values = {"command": " ".join(argv[:2]), "node": node, "reason": reason}
        raise FindingsError([Finding("command-failed", values=values, subject=node)], exit_status=1)
    return str(done["stdout"])
