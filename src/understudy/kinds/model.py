"""What every kind of managed thing offers, and what a change is."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from understudy.design.items import Item
from understudy.findings import Finding, FindingsError
from understudy.hosts.model import Host
from understudy.hosts.remote import Node

T = TypeVar("T")


@dataclass(frozen=True)
class Difference:
    """One line of a change: an option, a parameter, a state; the values of a ``secret`` one are masked already."""

    name: str
    before: str | None
    after: str | None
    reason: str = ""
    secret: bool = False


@dataclass(frozen=True)
class Change:
    """One step of a plan: what is different on one target, why, and what a client would notice of it."""

    item: Item
    differences: tuple[Difference, ...]
    observed: object
    """What ``observe`` returned; ``apply`` refuses when the world has moved on since."""
    reversible: bool = True
    impact: str = ""
    """What a client notices; empty means nothing."""


@dataclass(frozen=True)
class World:
    """The outside, as far as kinds may reach it."""

    hosts: Mapping[str, Host]
    wait_factor: float = 1.0
    """Scales every stated limit of waiting, for slow machines."""
    notes: dict[str, "asyncio.Future[Any]"] = field(default_factory=dict)
    """Answers shared between kinds within one observation, such as where a resource runs; see ``once``."""
    _nodes: dict[str, Node] = field(default_factory=dict, repr=False)

    def node(self, name: str) -> Node:
        """Return a node for small calls, which travel together; raises FindingsError ``host-unknown``."""
        if name not in self.hosts:
            raise FindingsError([Finding("host-unknown", values={"node": name}, subject=name)], exit_status=1)
        return self._nodes.setdefault(name, Node(self.hosts[name], self.wait_factor))

    async def once(self, key: str, ask: Callable[[], Awaitable[T]]) -> T:
        """Return the answer under a key, asked for by the first who wants it; a failure is not kept."""
        if key not in self.notes:
            self.notes[key] = asyncio.ensure_future(ask())
        asked: asyncio.Future[T] = self.notes[key]
        try:
            # Who gives up waiting must not take the answer from the others.
            return await asyncio.shield(asked)
        finally:
            if self.notes.get(key) is asked and asked.done() and (asked.cancelled() or asked.exception()):
                del self.notes[key]

    def note(self, key: str, answer: object) -> None:
        """Keep an answer that was come by otherwise."""
        self.notes[key] = asyncio.get_running_loop().create_future()
        self.notes[key].set_result(answer)

    def afresh(self) -> "World":
        """Return the same world without what was noted of it."""
        return World(self.hosts, self.wait_factor)


class Kind(Protocol):
    """Observe, compare, change and take back one kind of thing."""

    @property
    def name(self) -> str:
        """Return the kind's name, which its items carry."""

    async def observe(self, world: World, items: Sequence[Item]) -> Mapping[str, object]:
        """Return what is true now for each item, by its key: plain data that can be written as JSON.

        What may be secret or changes all the time is under names that begin with ``_``: it is neither shown nor
        part of a plan's digest.
        """

    def compare(self, item: Item, observed: object) -> Change | None:
        """Return the change that makes the item true, or None when it is (pure).

        Where the truth cannot be known before the cluster runs, the change is returned.
        """

    async def apply(self, world: World, change: Change) -> None:
        """Make the change; safe to repeat; raises FindingsError with exit status 1 when it cannot."""

    def invert(self, change: Change) -> Change | None:
        """Return the change that takes this one back, or None when it cannot be undone (pure).

        Only its item is kept: whether it still has to be made true is looked at then. It holds no secret.
        """


def public(observed: object) -> object:
    """Return observed data without the parts that are nobody's business."""
    if isinstance(observed, Mapping):
        return {key: public(value) for key, value in observed.items() if not str(key).startswith("_")}
    if isinstance(observed, (list, tuple)):
        return [public(value) for value in observed]
    return observed
