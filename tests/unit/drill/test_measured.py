"""What a drill measured of the cluster's operations."""

from understudy.drill.history import SECOND, ClusterEvent, History
from understudy.drill.measured import longest_operations


def event(seconds: float, what: str, subject: str, **values: str) -> ClusterEvent:
    moment = round(seconds * SECOND)
    return ClusterEvent(10**18 + moment, moment, "b", what, subject, values)


def operation(begin: float, end: float, subject: str, name: str, code: str = "0") -> list[ClusterEvent]:
    return [
        event(begin, "operation-begun", subject, operation=name),
        event(end, "operation-ended", subject, operation=name, code=code),
    ]


def test_the_longest_that_succeeded_counts() -> None:
    history = History.of(
        [
            *operation(1, 3.5, "web", "start"),
            *operation(5, 6, "web", "start"),
            *operation(7, 17, "web", "start", code="1"),
            *operation(20, 20.25, "web", "stop"),
            event(30, "fencing-begun", "a"),
            event(32, "fencing-ended", "a", by="b", result="OK"),
            event(40, "fencing-begun", "a"),
        ]
    )
    assert longest_operations(history) == {
        ("web", "start"): 2500,
        ("web", "promote"): 2500,
        ("web", "stop"): 250,
        ("web", "demote"): 250,
        ("", "stonith"): 2000,
    }


def test_nothing_recorded_is_nothing_measured() -> None:
    assert longest_operations(History.of([])) == {}
