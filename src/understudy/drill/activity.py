"""What ran where and when, from the cluster's log (pure)."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from understudy.drill.history import ClusterEvent, History


@dataclass(frozen=True)
class Stay:
    """A resource ran on a node, or a node was out of the cluster, from ``begin`` to ``end`` (monotonic nanoseconds)."""

    resource: str
    node: str
    begin: int
    end: int


def stays(history: History) -> list[Stay]:
    """Return where each resource ran: from the end of a start, or the beginning, until its stop, fencing or the end.

    A node that joins anew runs nothing at first.
    """
    first = next(iter(history.observations("cluster")), None)
    open_: dict[tuple[str, str], int] = {}
    if first is not None:
        open_ = {
            (name, node): history.begin for name, nodes in first.values["active"].items() for node in nodes
        }
    found: list[Stay] = []
    for event in history.cluster:
        found += [Stay(*key, open_.pop(key), event.monotonic) for key in _ended(event, open_)]
        if _good(event) and event.values.get("operation") == "start":
            open_.setdefault((event.subject, event.node), event.monotonic)
    found += [Stay(*key, begin, history.end) for key, begin in open_.items()]
    return sorted(found, key=lambda stay: (stay.resource, stay.begin))


def _good(event: ClusterEvent) -> bool:
    return event.what == "operation-ended" and event.values.get("code") == "0"


def _ended(event: ClusterEvent, open_: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the stays that an event ends."""
    if event.what == "node-lost" or (event.what == "fencing-ended" and event.values.get("result") == "OK"):
        return [key for key in open_ if key[1] == event.subject]
    if _good(event) and event.values.get("operation") == "stop":
        return [key for key in open_ if key == (event.subject, event.node)]
    return []


def absences(history: History) -> list[Stay]:
    """Return when each node was out of the cluster, under the resource name ``lost``."""
    open_: dict[str, int] = {}
    found: list[Stay] = []
    for event in history.cluster:
        if event.what == "node-lost":
            open_.setdefault(event.subject, event.monotonic)
        elif event.what == "node-joined" and event.subject in open_:
            found.append(Stay("lost", event.subject, open_.pop(event.subject), event.monotonic))
    return [*found, *(Stay("lost", node, begin, history.end) for node, begin in open_.items())]


def at(all_stays: Sequence[Stay], moment: int) -> Iterator[Stay]:
    """Yield what held at a moment."""
    return (stay for stay in all_stays if stay.begin <= moment < stay.end)
