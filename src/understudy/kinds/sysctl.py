"""Kind sysctl: a kernel parameter, now and after a boot."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from understudy.design.items import Item, Sysctl
from understudy.hosts.parallel import all_of
from understudy.kinds.common import expect, items_of
from understudy.kinds.model import Change, Difference, World


class SysctlKind:
    """Kernel parameters, kept in a file of our own in ``/etc/sysctl.d``."""

    name = Sysctl.kind

    async def observe(self, world: World, items: Sequence[Item]) -> Mapping[str, object]:
        """Return each parameter's value now and the one that our file sets."""
        wanted = items_of(items, Sysctl)
        answers: list[object] = await all_of(
            world.node(item.node).ask("read-sysctl", name=item.name) for item in wanted
        )
        return {item.key: answer for item, answer in zip(wanted, answers, strict=True)}

    def compare(self, item: Item, observed: object) -> Change | None:
        """Return what is different, now and at boot."""
        item = expect(item, Sysctl)
        seen = cast("Mapping[str, Any]", observed)
        kept = item.value if item.persistent else None
        differences = []
        if seen["now"] != item.value:
            differences.append(Difference("now", seen["now"], item.value))
        if seen["kept"] != kept:
            differences.append(Difference("at boot", seen["kept"], kept))
        return Change(item, tuple(differences), observed) if differences else None

    async def apply(self, world: World, change: Change) -> None:
        """Set it."""
        item = expect(change.item, Sysctl)
        await world.node(item.node).ask(
            "write-sysctl", name=item.name, value=item.value, keep=item.persistent
        )

    def invert(self, change: Change) -> Change | None:
        """Return the setting of the value before; a parameter that did not exist has none."""
        item = expect(change.item, Sysctl)
        seen = cast("Mapping[str, Any]", change.observed)
        if seen["now"] is None:
            return None
        persistent = seen["kept"] is not None
        before = Sysctl(
            node=item.node,
            name=item.name,
            value=seen["now"],
            persistent=persistent,
            reason="as it was before",
        )
        return Change(before, (), None)
