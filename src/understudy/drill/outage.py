"""How long a client was without service (pure).

An outage lasts from the first failure to the last (as in OpenStack's reliability tests, which call it the service
downtime); its precision is the sum of the gaps to the last good operation before and the first good one after. A
client was blacked out from the last good answer before to the first good answer after.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from understudy.drill.history import SECOND, History, Operation

CALM_SECONDS = 1.0
"""So long without a failure ends an outage; a failure after it begins another."""

SLOW_FACTOR = 10
"""An answer is slow when it took so many times as long as the median before the fault, and at least SLOW_FLOOR."""
SLOW_FLOOR = 0.25

USUAL = 1000
"""So many operations before a fault tell what is usual."""

RETRY_SECONDS = 0.5
"""After so long a client tries once more what failed, as OpenStack's own do (keystoneauth1's first delay)."""

LOOK = 100
"""So many operations around an outage are searched for the last and the first good answer."""


@dataclass(frozen=True)
class Outage:
    """One outage of one client; ``begin`` and ``end`` in monotonic nanoseconds, the rest in seconds.

    ``precision`` is how much longer than ``seconds`` it can have been; ``ended`` is False when no good operation
    followed. ``back`` is when the first good answer arrived.
    """

    client: str
    service: str
    begin: int
    end: int
    seconds: float
    precision: float
    blackout: float
    failures: int
    back: int
    ended: bool


@dataclass(frozen=True)
class ClientFigures:
    """What a client saw in a stretch of time; times in seconds. ``total`` is of all its outages.

    ``failed_again`` counts what failed, or may have, and would have failed once more for a client that tries again
    after RETRY_SECONDS: the operation that it began next was not answered either.
    """

    client: str
    service: str
    operations: int
    failed: int
    unknown: int
    failed_again: int
    slow: int
    latency: float | None
    worst_latency: float | None
    outages: tuple[Outage, ...]

    @property
    def total(self) -> float:
        """Return how long the client was without service, all outages together."""
        return sum(outage.seconds for outage in self.outages)

    @property
    def precision(self) -> float:
        """Return how much longer than ``total`` it can have been."""
        return sum(outage.precision for outage in self.outages)

    @property
    def ended(self) -> bool:
        """Tell whether the client was served again in the end."""
        return all(outage.ended for outage in self.outages)


def figures(history: History, begin: int, end: int) -> dict[str, ClientFigures]:
    """Return by client what was seen from ``begin`` to ``end``; what was before ``begin`` is its measure of slow."""
    return {client: _client(operations, begin, end) for client, operations in history.by_client.items()}


def _first(operations: Sequence[Operation], moment: int) -> int:
    """Return the number of the first operation from a moment on: one, too, that was under way then and was in vain."""
    index = bisect_left(operations, moment, key=lambda one: one.began)
    in_vain = (
        number
        for number in range(max(index - LOOK, 0), index)
        if not operations[number].ok and (operations[number].ended or 0) > moment
    )
    return min(in_vain, default=index)


def _client(operations: Sequence[Operation], begin: int, end: int) -> ClientFigures:
    first, last = _first(operations, begin), _first(operations, end)
    usual = [_seconds(one) for one in operations[max(first - USUAL, 0) : first] if one.ok]
    inside = operations[first:last]
    good = [_seconds(one) for one in inside if one.ok]
    limit = max(SLOW_FLOOR, SLOW_FACTOR * median(usual)) if usual else SLOW_FLOOR
    return ClientFigures(
        client=operations[0].client,
        service=operations[0].service,
        operations=len(inside),
        failed=sum(one.outcome == "fail" for one in inside),
        unknown=sum(one.outcome == "unknown" for one in inside),
        failed_again=sum(
            not one.ok and not _retried(operations, first + at) for at, one in enumerate(inside)
        ),
        slow=sum(duration > limit for duration in good),
        latency=median(good) if good else None,
        worst_latency=max(good) if good else None,
        outages=tuple(outages(operations, first, last, begin)),
    )


def _retried(operations: Sequence[Operation], failed: int) -> bool:
    """Tell whether a client was served that tried again after a failed operation."""
    again = (operations[failed].ended or operations[failed].began) + round(RETRY_SECONDS * SECOND)
    index = bisect_left(operations, again, failed + 1, key=lambda one: one.began)
    return index < len(operations) and operations[index].ok


def _seconds(operation: Operation) -> float:
    return ((operation.ended or operation.began) - operation.began) / SECOND


def outages(operations: Sequence[Operation], first: int, last: int, since: int) -> list[Outage]:
    """Return the outages of one client among its operations with these numbers; ``operations`` are all of its own.

    None begins before ``since``, when what they are blamed on began.
    """
    groups: list[list[int]] = []
    for index in range(first, last):
        if operations[index].ok:
            continue
        if groups and _goes_on(operations, groups[-1][-1], index):
            groups[-1].append(index)
        else:
            groups.append([index])
    return [_outage(operations, group, since) for group in groups]


def _goes_on(operations: Sequence[Operation], last: int, index: int) -> bool:
    """Tell whether two failures belong to one outage: hardly anything was good between them, or not for long."""
    return index == last + 1 or operations[index].began - operations[last].began < CALM_SECONDS * SECOND


def _outage(operations: Sequence[Operation], group: Sequence[int], since: int) -> Outage:
    first, last = operations[group[0]], operations[group[-1]]
    before = operations[group[0] - 1] if group[0] else None
    after = operations[group[-1] + 1] if group[-1] + 1 < len(operations) else None
    begin, end = (max(one.began, since) for one in (first, last))
    over = last.ended or last.began
    back = min(
        (one.ended for one in operations[group[-1] + 1 :][:LOOK] if one.ended and one.ok), default=over
    )
    answered = [one.ended for one in operations[max(group[0] - LOOK, 0) : group[0]] if one.ok and one.ended]
    good_before = before.began if before else begin
    good_after = after.began if after else over
    return Outage(
        client=first.client,
        service=first.service,
        begin=begin,
        end=end,
        seconds=(end - begin) / SECOND,
        precision=((begin - good_before) + (good_after - end)) / SECOND,
        blackout=(back - max(answered, default=good_before)) / SECOND,
        failures=len(group),
        back=back,
        ended=after is not None,
    )
