"""Log lines of Pacemaker 2.1.5 and Corosync 3.1.7, as a crashed node's survivors wrote them."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from understudy.drill.cluster_log import WHATS, NodeClock, parse_log
from understudy.drill.history import SECOND

NEAR = int(datetime(2026, 11, 20, 15, 0, tzinfo=UTC).timestamp()) * SECOND

LINES = dict(
    line.split(": ", 1) for line in Path(__file__).with_name("log_lines.txt").read_text("utf-8").splitlines()
)


def test_every_kind_of_event_has_a_line() -> None:
    assert set(LINES) == set(WHATS)


@pytest.mark.parametrize("what", LINES)
def test_line_is_read(what: str) -> None:
    (event,) = parse_log([LINES[what]], NodeClock(NEAR))
    assert event.what == what
    assert (
        event.node
        == LINES[what].split(" corosync" if "corosync" in LINES[what] else " pacemaker-")[0].split()[-1]
    )


@pytest.mark.parametrize(
    ("what", "subject", "values"),
    [
        ("membership", "1.11", {"left": "3"}),
        ("action", "ip-api-public", {"action": "Move", "how": "( n3 -> n2 )"}),
        ("fencing-ended", "n3", {"action": "reboot", "by": "n1", "result": "OK"}),
        ("operation-ended", "ip-api-public", {"operation": "start", "call": "24", "code": "0"}),
        ("monitor-failed", "web", {"where": "n1", "result": "not running", "interval": "5000"}),
        ("copy-unhealthy", "glance-api", {"where": "n1"}),
    ],
)
def test_values_are_read(what: str, subject: str, values: dict[str, str]) -> None:
    (event,) = parse_log([LINES[what]], NodeClock(NEAR))
    assert (event.subject, dict(event.values)) == (subject, values)


REPORTED = (
    "Nov 25 22:11:59.820 n1 pacemaker-controld  [216] (log_executor_event) \tnotice: Result of asyncmon operation for "
    "web on n1: error (Simulated failure) | CIB update 94, graph action unconfirmed; call=54 key=web_asyncmon_0 rc=1"
)


def test_death_that_a_watcher_reported_is_a_failed_monitor() -> None:
    (event,) = parse_log([REPORTED], NodeClock(NEAR))
    assert (event.what, event.subject) == ("monitor-failed", "web")
    healthy = LINES["copy-unhealthy"].replace("(unset) -> 1", "1 -> (unset)")
    assert list(parse_log([healthy], NodeClock(NEAR))) == []


def test_what_is_no_failure_of_a_monitor_is_not_told_as_one() -> None:
    probe = LINES["monitor-failed"].replace("monitor_5000", "monitor_0")
    good = LINES["monitor-failed"].replace("not running |", "ok |")
    cancelled = LINES["monitor-failed"].replace("not running |", "Cancelled |")
    degraded = LINES["monitor-failed"].replace("not running |", "OCF_DEGRADED (it serves, but) |")
    assert list(parse_log([probe, good, cancelled, degraded, "nonsense", ""], NodeClock(NEAR))) == []


def test_stamp_is_milliseconds_in_the_nodes_zone_and_monotonic_is_ours() -> None:
    clock = NodeClock(NEAR, zone=3600, offset=5 * SECOND, monotonic=NEAR - 100 * SECOND)
    (event,) = parse_log([LINES["decided"]], clock)
    moment = datetime(2026, 11, 20, 13, 32, 8, 20_000, tzinfo=UTC)
    assert event.wall == int(moment.timestamp() * 1000) * 1_000_000
    assert event.monotonic == event.wall - 5 * SECOND - (NEAR - 100 * SECOND)


def test_year_is_the_one_that_puts_the_stamp_nearest() -> None:
    just_after = int(datetime(2027, 1, 1, 0, 0, 5, tzinfo=UTC).timestamp()) * SECOND
    assert NodeClock(just_after).read("Dec 31 23:59:58.000") == just_after - 7 * SECOND
