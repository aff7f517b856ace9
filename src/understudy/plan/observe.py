"""Looking at everything, all kinds and all nodes at once."""

from collections.abc import Mapping, Sequence

from understudy.design.items import Item
from understudy.hosts.parallel import all_of
from understudy.kinds.model import Kind, World


async def observe(world: World, items: Sequence[Item], kinds: Mapping[str, Kind]) -> dict[str, object]:
    """Return what is true now for each item, by its key.

    Raises FindingsError (exit status 1) with everything that could not be looked at.
    """
    groups: dict[str, list[Item]] = {}
    for item in items:
        groups.setdefault(item.kind, []).append(item)
    found = await all_of(kinds[kind].observe(world, group) for kind, group in groups.items())
    answers = {key: value for answer in found for key, value in answer.items()}
    return {item.key: answers[item.key] for item in items}
