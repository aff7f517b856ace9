"""Kind unit: a unit of systemd or an init script, enabled or not, running or not."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from understudy.design.items import Item, Unit
from understudy.hosts.parallel import all_of
from understudy.kinds.common import expect, items_of
from understudy.kinds.model import Change, Difference, World

SWITCH_SECONDS = 120


class UnitKind:
    """Units of whichever service manager a node has."""

    name = Unit.kind

    async def observe(self, world: World, items: Sequence[Item]) -> Mapping[str, object]:
        """Return for each unit whether it is known, enabled and running under the service manager."""
        wanted = items_of(items, Unit)
        answers: list[object] = await all_of(
            world.node(item.node).ask("read-unit", name=item.name) for item in wanted
        )
        return {item.key: answer for item, answer in zip(wanted, answers, strict=True)}

    def compare(self, item: Item, observed: object) -> Change | None:
        """Return what is different; a unit that cannot be enabled (``enabled`` None) is as it should be there."""
        item = expect(item, Unit)
        seen = cast("Mapping[str, Any]", observed)
        differences = []
        if seen["enabled"] is not None and seen["enabled"] != item.enabled:
            differences.append(
                Difference("at boot", *_words("enabled", "disabled", seen["enabled"], item.enabled))
            )
        if item.running is not None and seen["running"] != item.running:
            differences.append(
                Difference("now", *_words("running", "stopped", seen["running"], item.running))
            )
        stops = item.running is False and seen["running"]
        impact = f"{item.name} on {item.node} stops until Pacemaker starts it" if stops else ""
        return Change(item, tuple(differences), observed, impact=impact) if differences else None

    async def apply(self, world: World, change: Change) -> None:
        """Switch what is different and nothing else."""
        item = expect(change.item, Unit)
        seen = cast("Mapping[str, Any]", change.observed)
        await world.node(item.node).ask(
            "write-unit",
            name=item.name,
            enabled=item.enabled if seen["enabled"] not in {None, item.enabled} else None,
            running=item.running if seen["running"] != item.running else None,
            limit=SWITCH_SECONDS * world.wait_factor,
        )

    def invert(self, change: Change) -> Change | None:
        """Return the switching back."""
        item = expect(change.item, Unit)
        seen = cast("Mapping[str, Any]", change.observed)
        enabled = item.enabled if seen["enabled"] is None else seen["enabled"]
        running = seen["running"] if item.running is not None else None
        before = Unit(
            node=item.node, name=item.name, enabled=enabled, running=running, reason="as it was before"
        )
        return Change(before, (), None)


def _words(yes: str, no: str, before: bool, after: bool) -> tuple[str, str]:
    return yes if before else no, yes if after else no
