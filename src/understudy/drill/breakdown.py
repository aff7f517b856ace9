"""Where the time of an outage went, from the cluster's own log (pure)."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from understudy.drill.history import SECOND, ClusterEvent, Outcome

PhaseName = Literal["detection", "decision", "fencing", "stop", "start", "client"]

_NOTICED = ("node-lost", "monitor-failed", "copy-unhealthy", "quorum-lost")


@dataclass(frozen=True)
class Span:
    """Something that took time: ``begin`` and ``end`` in monotonic nanoseconds; ``end`` None: it never ended."""

    name: PhaseName
    subject: str
    node: str
    begin: int
    end: int | None
    result: Outcome = "ok"
    detail: str = ""

    @property
    def seconds(self) -> float | None:
        """Return how long it took."""
        return None if self.end is None else (self.end - self.begin) / SECOND


def fencings(events: Sequence[ClusterEvent]) -> list[Span]:
    """Return each fencing with its target as subject, who did it as node and by which device as detail."""
    found: list[Span] = []
    begun: dict[str, ClusterEvent] = {}
    for event in events:
        if event.what == "fencing-begun":
            begun.setdefault(event.subject, event)
        elif event.what == "fencing-ended" and event.subject in begun:
            begin = begun.pop(event.subject).monotonic
            by = event.values.get("by", event.node)
            result: Outcome = "ok" if event.values.get("result") == "OK" else "fail"
            device = _device(events, event.subject, begin)
            found.append(Span("fencing", event.subject, by, begin, event.monotonic, result, device))
    found += [
        Span("fencing", target, event.node, event.monotonic, None, "unknown")
        for target, event in begun.items()
    ]
    return found


def _device(events: Iterable[ClusterEvent], target: str, begin: int) -> str:
    """Return the device that answered for a target first; nodes' clocks may put its answer behind the end."""
    answers = (one for one in events if one.what == "fencing-device" and one.subject == target)
    good = (one for one in answers if one.monotonic >= begin and one.values.get("code") == "0")
    return next((one.values["device"] for one in good), "")


def operations(events: Iterable[ClusterEvent]) -> list[Span]:
    """Return each start and stop; promotions count as starts, demotions as stops."""
    found: list[Span] = []
    open_: dict[tuple[str, str, str], int] = {}
    for event in events:
        operation = event.values.get("operation", "")
        key = (event.node, event.subject, operation)
        if event.what == "operation-begun":
            open_[key] = event.monotonic
        elif event.what == "operation-ended":
            begin = open_.pop(key, event.monotonic)
            good = event.values.get("code") == "0"
            detail = "" if good else event.values.get("failure") or f"exit status {event.values.get('code')}"
            span = Span(
                _name(operation),
                event.subject,
                event.node,
                begin,
                event.monotonic,
                "ok" if good else "fail",
                detail,
            )
            found.append(span)
    found += [
        Span(_name(operation), resource, node, begin, None, "unknown")
        for (node, resource, operation), begin in open_.items()
    ]
    return sorted(found, key=lambda span: span.begin)


def _name(operation: str) -> PhaseName:
    return "start" if operation in {"start", "promote"} else "stop"


def noticed(events: Iterable[ClusterEvent], begin: int, end: int) -> ClusterEvent | None:
    """Return the first event that told the cluster of a fault."""
    return next((one for one in events if one.what in _NOTICED and begin <= one.monotonic <= end), None)


def break_down(
    events: Sequence[ClusterEvent], fault: int, begin: int, end: int, without: Collection[str] = ()
) -> list[Span]:
    """Divide a client's outage (``begin`` to ``end``) without a gap; ``fault`` is when the fault was injected.

    From the end backwards it goes to the fencing, stop or start that ended last before, and on from where that
    began: the chain that the client waited for. What lies between is Pacemaker's decision, after the last one the
    client's own time, before the cluster noticed detection. Resources in ``without`` are nobody's wait, such as
    fencing devices.
    """
    candidates = [
        replace(span, end=min(span.end, end))  # a start may serve before it is told to be done
        for span in (*fencings(events), *operations(events))
        if span.end is not None
        and span.begin >= fault
        and begin < span.end
        and span.begin < end
        and (span.end <= end or span.name == "start")
        and not (span.name != "fencing" and span.subject in without)
    ]
    chain: list[Span] = []
    cursor = end
    while cursor > begin:
        reachable = [span for span in candidates if (span.end or 0) <= cursor and span not in chain]
        if not reachable:
            break
        last = max(reachable, key=lambda span: (span.end or 0, span.begin))
        chain.insert(0, last)
        cursor = last.begin
    seen = noticed(events, fault, end)
    spans: list[Span] = []
    cursor = begin
    if seen is not None and begin < seen.monotonic and (not chain or seen.monotonic <= chain[0].begin):
        spans.append(Span("detection", seen.subject, seen.node, begin, seen.monotonic))
        cursor = seen.monotonic
    known = seen is not None or any(
        one.what == "decided" and fault <= one.monotonic <= begin for one in events
    )
    for span in chain:
        spans += _gap("decision" if known else "detection", cursor, span.begin)
        spans.append(replace(span, begin=max(span.begin, begin)))
        cursor = span.end or span.begin
    return [*spans, *_gap("client" if chain or known else "detection", cursor, end)]


def _gap(name: PhaseName, begin: int, end: int) -> list[Span]:
    return [Span(name, "", "", begin, end)] if end > begin else []


def summed(spans: Iterable[Span]) -> dict[PhaseName, float]:
    """Return the seconds of each phase, in the order of their first appearance."""
    total: dict[PhaseName, float] = {}
    for span in spans:
        total[span.name] = total.get(span.name, 0.0) + (span.seconds or 0.0)
    return total
