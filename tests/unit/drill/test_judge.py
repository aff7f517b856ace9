"""What is computed from a history."""

import pytest

from understudy.drill.breakdown import summed
from understudy.drill.history import (
    SECOND,
    ClusterEvent,
    Completed,
    Event,
    FaultEvent,
    History,
    Invoked,
    Observation,
    Outcome,
)
from understudy.drill.judge import outcomes, recovery_seconds
from understudy.drill.tell import closing


def at(seconds: float) -> tuple[int, int]:
    return 10**18 + round(seconds * SECOND), round(seconds * SECOND)


def requests(
    client: str, begin: float, end: float, *down: tuple[float, float], took: float = 0.01
) -> list[Event]:
    """A client that asks 20 times a second and is refused while its service is down."""
    events: list[Event] = []
    for number in range(round((end - begin) * 20)):
        moment = begin + number / 20
        outcome: Outcome = "fail" if any(a <= moment < b for a, b in down) else "ok"
        events.append(Invoked(*at(moment), client, "web", number))
        events.append(Completed(*at(moment + took), client, number, outcome))
    return events


def cluster(seconds: float, node: str, what: str, subject: str, **values: str) -> ClusterEvent:
    return ClusterEvent(*at(seconds), node, what, subject, values)


POWER_LOSS: list[Event] = [
    FaultEvent(*at(10), 1, "power-loss", "injecting", "power loss of a", ("a",)),
    cluster(12, "b", "node-lost", "a"),
    cluster(12.1, "b", "decided", "4"),
    cluster(12.2, "b", "fencing-begun", "a", action="reboot"),
    cluster(12.7, "c", "fencing-ended", "a", by="b", result="OK"),
    cluster(12.71, "b", "fencing-device", "a", device="fence-a", code="0"),
    cluster(12.72, "b", "fencing-ended", "a", by="b", result="OK"),
    cluster(12.8, "c", "operation-begun", "ip", operation="start"),
    cluster(12.85, "c", "operation-begun", "fence-b", operation="start"),
    cluster(13.0, "c", "operation-ended", "ip", operation="start", code="0"),
    cluster(13.0, "c", "operation-begun", "web", operation="start"),
    cluster(13.6, "c", "operation-ended", "web", operation="start", code="0"),
    cluster(13.9, "c", "operation-ended", "fence-b", operation="start", code="0"),
    Observation(*at(9), "cluster", {"fencing": ["fence-a", "fence-b"]}),
]


def test_power_loss_is_told_in_full() -> None:
    history = History.of([*POWER_LOSS, *requests("web", 0, 20, (10, 14))])
    (outcome,) = outcomes(history)
    assert outcome.died == ("a",)
    (fenced,) = outcome.fenced
    assert (fenced.subject, fenced.node, fenced.detail) == ("a", "b", "fence-a")
    assert outcome.took_over == {"ip": "c", "web": "c"}
    (client,) = outcome.clients
    assert client.longest is not None
    assert client.longest.seconds == pytest.approx(3.95)
    assert client.longest.precision == pytest.approx(0.1)
    assert client.longest.blackout == pytest.approx(4.05)
    assert recovery_seconds(outcome) == pytest.approx(4.01)
    names = [(span.name, span.subject) for span in client.phases]
    assert names == [
        ("detection", "a"),
        ("decision", ""),
        ("fencing", "a"),
        ("decision", ""),
        ("start", "ip"),
        ("start", "web"),
        ("client", ""),
    ]
    total = summed(client.phases)
    assert total["detection"] == pytest.approx(2)
    assert total["decision"] == pytest.approx(0.3)
    assert total["fencing"] == pytest.approx(0.5)
    assert total["start"] == pytest.approx(0.8)
    assert sum(total.values()) == pytest.approx(4.01)
    told = "\n".join(closing(outcome))
    assert "Fenced      a, by b with fence-a in 0.50 s" in told
    assert "Took over   c: ip, web" in told
    assert "3.95 s" in told


def test_second_outage_is_told_apart_and_both_are_summed() -> None:
    history = History.of([*POWER_LOSS, *requests("web", 0, 20, (10, 12), (16, 16.5))])
    (client,) = outcomes(history)[0].clients
    assert [round(outage.seconds, 2) for outage in client.figures.outages] == [1.95, 0.45]
    assert client.figures.total == pytest.approx(2.4)


def test_what_fails_for_a_client_that_tries_again_is_counted() -> None:
    """What failed at 10.41 and earlier is tried again at 10.91 at the latest, before the service is back at 11."""
    history = History.of([*POWER_LOSS, *requests("web", 0, 20, (10, 11))])
    (client,) = outcomes(history)[0].clients
    assert (client.figures.failed, client.figures.failed_again) == (20, 9)


def test_a_failure_at_the_end_of_the_record_is_not_taken_to_be_served_the_second_time() -> None:
    history = History.of([*POWER_LOSS, *requests("web", 0, 20, (19.6, 20))])
    (client,) = outcomes(history)[0].clients
    assert client.figures.failed_again == client.figures.failed == 8


def test_single_good_answer_does_not_end_an_outage() -> None:
    history = History.of([*POWER_LOSS, *requests("web", 0, 20, (10, 12), (12.1, 13))])
    (client,) = outcomes(history)[0].clients
    assert len(client.figures.outages) == 1


def test_rare_client_with_failures_only_has_one_outage() -> None:
    events: list[Event] = [FaultEvent(*at(1), 1, "x", "injecting", "x")]
    for number in range(10):
        events += [
            Invoked(*at(number * 5), "rare", "web", number),
            Completed(*at(number * 5 + 1), "rare", number, "fail"),
        ]
    (client,) = outcomes(History.of(events))[0].clients
    (outage,) = client.figures.outages
    assert not outage.ended
    assert recovery_seconds(outcomes(History.of(events))[0]) is None


def test_nobody_notices_a_fault_without_failures() -> None:
    history = History.of([POWER_LOSS[0], *requests("web", 0, 20)])
    (outcome,) = outcomes(history)
    assert outcome.worst is None
    assert "Without service: nobody" in closing(outcome)


def test_slow_answers_are_counted_against_what_was_usual() -> None:
    history = History.of([POWER_LOSS[0], *requests("web", 0, 10), *requests("web", 10, 12, took=0.5)])
    events = [
        event
        for event in history.events
        if not (isinstance(event, Invoked | Completed) and event.monotonic < 0)
    ]
    (client,) = outcomes(History.of(_renumbered(events)))[0].clients
    assert client.figures.slow == 40


def _renumbered(events: list[Event]) -> list[Event]:
    """Two stretches of one client, numbered on."""
    found: list[Event] = []
    for event in events:
        late = isinstance(event, Invoked | Completed) and event.monotonic >= 10 * SECOND
        if isinstance(event, Invoked) and late:
            found.append(
                Invoked(event.wall, event.monotonic, event.client, event.service, event.number + 1000)
            )
        elif isinstance(event, Completed) and late and event.monotonic >= 10.4 * SECOND:
            found.append(
                Completed(event.wall, event.monotonic, event.client, event.number + 1000, event.outcome)
            )
        else:
            found.append(event)
    return found


def test_faults_one_after_the_other_are_judged_apart() -> None:
    second = FaultEvent(*at(30), 2, "stop", "injecting", "stop of web", ("c",))
    history = History.of([*POWER_LOSS, second, *requests("web", 0, 40, (10, 14), (31, 32))])
    first, other = outcomes(history)
    assert first.clients[0].figures.total == pytest.approx(3.95)
    assert other.clients[0].figures.total == pytest.approx(0.95)
    assert other.died == ()


def test_what_was_under_way_in_vain_when_a_fault_began_is_blamed_on_that() -> None:
    """It had been answered had the process not been stopped; what was answered says nothing against either."""
    second = FaultEvent(
        *at(30), 2, "process-hung", "injecting", "process hung: web on c", ("c",), service="web"
    )
    asked: list[tuple[float, float, Outcome]] = [
        (29, 29.1, "ok"),
        (29.5, 30.2, "ok"),
        (29.8, 32.8, "fail"),
        (30.3, 33.3, "fail"),
        (33.5, 33.6, "ok"),
    ]
    lists: list[Event] = []
    for number, (begun, ended, outcome) in enumerate(asked):
        lists += [
            Invoked(*at(begun), "lists", "web", number),
            Completed(*at(ended), "lists", number, outcome),
        ]
    first, other = outcomes(History.of([*POWER_LOSS, second, *lists]))
    assert [one.figures.failed for one in (*first.clients, *other.clients)] == [0, 2]
    assert [one.figures.operations for one in (*first.clients, *other.clients)] == [2, 3]
    (outage,) = other.clients[0].figures.outages
    assert outage.seconds == pytest.approx(0.3)
    assert outage.precision == pytest.approx(3.7)
