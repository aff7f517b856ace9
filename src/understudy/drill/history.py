"""The append-only record of a drill: JSON lines, one event each; everything else is computed from it.

Every event carries two clocks of the machine that runs the drill, in nanoseconds: ``wall`` (UTC since 1970) and
``monotonic``, which alone is used for durations. Events from a node's log keep the node's wall clock and get the
monotonic time that its clock offset makes of it. The standard library only: probes write these events too.
"""

import gzip
import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import IO, Any, ClassVar, Literal, cast

SECOND = 1_000_000_000
DOUBT_SECONDS = 3
"""What a node says of others so long before or after it lost quorum or was fenced is not believed."""

Outcome = Literal["ok", "fail", "unknown"]
Phase = Literal["injecting", "injected", "healing", "healed", "heal-failed"]


def now() -> tuple[int, int]:
    """Return wall clock and monotonic clock in nanoseconds."""
    return time.time_ns(), time.monotonic_ns()


@dataclass(frozen=True)
class Event:
    """Something that happened."""

    kind: ClassVar[str] = "event"
    wall: int
    monotonic: int


@dataclass(frozen=True)
class Invoked(Event):
    """A client began an operation on a service; ``number`` counts a client's operations."""

    kind: ClassVar[str] = "invoked"
    client: str
    service: str
    number: int


@dataclass(frozen=True)
class Completed(Event):
    """An operation ended: ``ok``, ``fail`` (it did not happen) or ``unknown`` (it may have happened).

    ``value`` is what an acknowledged write wrote.
    """

    kind: ClassVar[str] = "completed"
    client: str
    number: int
    outcome: Outcome
    detail: str = ""
    value: str = ""


@dataclass(frozen=True)
class FaultEvent(Event):
    """A fault was injected or healed; ``number`` tells the faults of a drill apart."""

    kind: ClassVar[str] = "fault"
    number: int
    fault: str
    phase: Phase
    label: str
    targets: tuple[str, ...] = ()
    detail: str = ""
    service: str = ""
    """What it is about, if it is about one service."""


@dataclass(frozen=True)
class ClusterEvent(Event):
    """A line of a node's cluster log that says something; ``what`` is one of ``cluster_log.WHATS``."""

    kind: ClassVar[str] = "cluster"
    node: str
    what: str
    subject: str
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Observation(Event):
    """Something looked at: the cluster's state, what a writer finds again, who answers for an address."""

    kind: ClassVar[str] = "observation"
    what: str
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Note(Event):
    """A remark for people."""

    kind: ClassVar[str] = "note"
    text: str


KINDS: Mapping[str, type[Event]] = {
    each.kind: each for each in (Invoked, Completed, FaultEvent, ClusterEvent, Observation, Note)
}


class HistoryError(ValueError):
    """A file is no history; the message says which line is wrong."""


def encode(event: Event) -> str:
    """Return an event as one line of JSON, without the line end."""
    known = asdict(event)
    return json.dumps({"kind": event.kind, **known}, separators=(",", ":"))


def decode(line: str) -> Event:
    """Return the event of a line. Raises HistoryError."""
    try:
        values = json.loads(line)
        kind = KINDS[values.pop("kind")]
        known = {each.name for each in fields(kind)}
        event = kind(**{key: value for key, value in values.items() if key in known})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise HistoryError(f"no event of a history: {line[:80]!r}") from error
    if isinstance(event, FaultEvent):
        return FaultEvent(**{**values, "targets": tuple(event.targets)})
    return event


@dataclass(frozen=True)
class Operation:
    """A client's operation from beginning to end; ``ended`` is None when the record ends before it."""

    client: str
    service: str
    number: int
    began: int
    ended: int | None
    outcome: Outcome
    detail: str = ""
    value: str = ""

    @property
    def ok(self) -> bool:
        """Tell whether the client was served."""
        return self.outcome == "ok"


@dataclass(frozen=True)
class History:
    """The events of a drill, by monotonic time."""

    events: tuple[Event, ...]

    @classmethod
    def of(cls, events: Iterable[Event]) -> "History":
        """Return the history of events in any order."""
        return cls(tuple(sorted(events, key=lambda event: event.monotonic)))

    @property
    def begin(self) -> int:
        """The first event's monotonic time; 0 without events."""
        return self.events[0].monotonic if self.events else 0

    @property
    def end(self) -> int:
        """The last event's monotonic time; 0 without events."""
        return self.events[-1].monotonic if self.events else 0

    @property
    def wall_begin(self) -> int:
        """The first event's wall clock; 0 without events."""
        return self.events[0].wall if self.events else 0

    def faults(self) -> tuple[FaultEvent, ...]:
        """Return what was injected and healed."""
        return tuple(event for event in self.events if isinstance(event, FaultEvent))

    @cached_property
    def cluster(self) -> tuple[ClusterEvent, ...]:
        """What the cluster's logs say, without what a node that was cut off thought of the others."""
        return believable([event for event in self.events if isinstance(event, ClusterEvent)])

    def observations(self, what: str) -> tuple[Observation, ...]:
        """Return the observations of one kind."""
        found = (event for event in self.events if isinstance(event, Observation))
        return tuple(event for event in found if event.what == what)

    @cached_property
    def operations(self) -> tuple[Operation, ...]:
        """All operations in the order in which they began; one without an end may have happened or not."""
        ends = {(event.client, event.number): event for event in self.events if isinstance(event, Completed)}
        found = []
        for event in self.events:
            if isinstance(event, Invoked):
                end = ends.get((event.client, event.number))
                found.append(_operation(event, end))
        return tuple(found)

    @cached_property
    def by_client(self) -> Mapping[str, Sequence[Operation]]:
        """The operations of each client, in order."""
        found: dict[str, list[Operation]] = {}
        for operation in self.operations:
            found.setdefault(operation.client, []).append(operation)
        return found


def believable(events: Sequence[ClusterEvent]) -> tuple[ClusterEvent, ...]:
    """Return events but for nodes' loss as told by a node without quorum, or by one that was then fenced itself."""
    doubtful = [
        (event.node if event.what == "quorum-lost" else event.subject, event.monotonic)
        for event in events
        if event.what in {"quorum-lost", "fencing-begun"}
    ]

    def doubted(event: ClusterEvent) -> bool:
        return event.what == "node-lost" and any(
            event.node == node and abs(moment - event.monotonic) < DOUBT_SECONDS * SECOND
            for node, moment in doubtful
        )

    return tuple(event for event in events if not doubted(event))


def _operation(begin: Invoked, end: Completed | None) -> Operation:
    return Operation(
        client=begin.client,
        service=begin.service,
        number=begin.number,
        began=begin.monotonic,
        ended=end.monotonic if end else None,
        outcome=end.outcome if end else "unknown",
        detail=end.detail if end else "the record ends before it",
        value=end.value if end else "",
    )


def _open(path: Path, mode: Literal["rt", "at"]) -> IO[str]:
    if path.suffix == ".gz":
        return cast("IO[str]", gzip.open(path, mode, encoding="utf-8"))
    return path.open(mode, encoding="utf-8", buffering=1)


class Recorder:
    """Appends events to a file as they come; ``.gz`` at the end of its name compresses it."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._stream = _open(path, "at")

    def add(self, event: Event) -> None:
        """Append an event."""
        self._stream.write(encode(event) + "\n")

    def close(self) -> None:
        """Finish the file."""
        self._stream.close()


def lines_of(path: Path) -> Iterator[Event]:
    """Yield the events of a file; a last line that was cut off by a crash is left out. Raises HistoryError."""
    torn: HistoryError | None = None
    with _open(path, "rt") as stream:
        for line in stream:
            if torn is not None:
                raise torn
            try:
                yield decode(line)
            except HistoryError as error:
                torn = error


def read_history(path: Path) -> History:
    """Return the history in a file. Raises HistoryError, OSError."""
    return History.of(lines_of(path))
