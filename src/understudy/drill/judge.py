"""What a drill showed, computed from its history alone (pure)."""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from understudy.drill.breakdown import Span, break_down, fencings, operations
from understudy.drill.history import SECOND, ClusterEvent, FaultEvent, History
from understudy.drill.outage import ClientFigures, Outage, figures

OWNER = "owner-"
"""Clients called so ask the network who has an address; they use no service."""


@dataclass(frozen=True)
class ClientOutcome:
    """A client's figures for one fault, and where the time of its longest outage went."""

    figures: ClientFigures
    longest: Outage | None
    phases: tuple[Span, ...]


@dataclass(frozen=True)
class FaultOutcome:
    """What one fault did.

    ``injected`` and ``until`` (the next fault, or the end) are monotonic nanoseconds. ``died`` are nodes that the
    cluster lost; ``fenced`` its fencings; ``started`` its starts and stops; ``service`` what the fault was about.
    """

    number: int
    fault: str
    label: str
    targets: tuple[str, ...]
    injected: int
    healed: int | None
    until: int
    died: tuple[str, ...]
    fenced: tuple[Span, ...]
    started: tuple[Span, ...]
    clients: tuple[ClientOutcome, ...]
    service: str = ""

    @property
    def took_over(self) -> dict[str, str]:
        """Return by resource the node where it was started last."""
        return {
            span.subject: span.node for span in self.started if span.name == "start" and span.result == "ok"
        }

    @property
    def worst(self) -> ClientOutcome | None:
        """Return the client that was without service for longest; None when all were served throughout."""
        hit = [client for client in self.clients if client.figures.outages]
        return max(hit, key=lambda client: client.figures.total, default=None)

    def client(self, name: str) -> ClientOutcome | None:
        """Return a client's outcome by its name."""
        return next((client for client in self.clients if client.figures.client == name), None)


def outcomes(history: History) -> list[FaultOutcome]:
    """Return what each fault of a drill did, in order."""
    injected = [event for event in history.faults() if event.phase == "injecting"]
    ends = [*(event.monotonic for event in injected[1:]), history.end + 1][: len(injected)]
    devices = fencing_resources(history)
    return [_outcome(history, fault, end, devices) for fault, end in zip(injected, ends, strict=True)]


def fencing_resources(history: History) -> frozenset[str]:
    """Return the fencing devices, as observed or as the log names them."""
    named = {event.values["device"] for event in history.cluster if "device" in event.values}
    for observation in history.observations("cluster"):
        named |= set(observation.values.get("fencing", ()))
    return frozenset(named)


def _outcome(history: History, fault: FaultEvent, until: int, devices: frozenset[str]) -> FaultOutcome:
    begin = fault.monotonic
    first, last = (bisect_left(history.cluster, at, key=lambda one: one.monotonic) for at in (begin, until))
    cluster = history.cluster[first:last]
    healed = _healed(history.faults(), fault.number)
    seen = {name: one for name, one in figures(history, begin, until).items() if not name.startswith(OWNER)}
    return FaultOutcome(
        number=fault.number,
        fault=fault.fault,
        label=fault.label,
        targets=fault.targets,
        injected=begin,
        healed=healed,
        until=until,
        died=tuple(dict.fromkeys(event.subject for event in cluster if event.what == "node-lost")),
        fenced=tuple(fencings(cluster)),
        started=tuple(span for span in operations(cluster) if span.subject not in devices),
        clients=tuple(_client(each, cluster, begin, devices) for each in seen.values()),
        service=fault.service,
    )


def _healed(faults: Iterable[FaultEvent], number: int) -> int | None:
    return next((one.monotonic for one in faults if one.number == number and one.phase == "healed"), None)


def _client(
    seen: ClientFigures, cluster: Sequence[ClusterEvent], begin: int, devices: frozenset[str]
) -> ClientOutcome:
    longest = max(seen.outages, key=lambda outage: outage.seconds, default=None)
    if longest is None:
        return ClientOutcome(seen, None, ())
    phases = break_down(cluster, begin, longest.begin, max(longest.back, longest.end), devices)
    return ClientOutcome(seen, longest, tuple(phases))


def recovery_seconds(outcome: FaultOutcome) -> float | None:
    """Return the seconds from the fault until every client was served for good; None when one was not."""
    backs = [client.figures.outages[-1] for client in outcome.clients if client.figures.outages]
    if any(not outage.ended for outage in backs):
        return None
    return max(((outage.back - outcome.injected) / SECOND for outage in backs), default=0.0)
