"""What Pacemaker and Corosync wrote into their logs, as events (pure).

Pacemaker 2.1 stamps its detail log to the millisecond, Corosync with ``timestamp: hires`` too; neither writes year or
zone, so both are given. Each decision is logged on the coordinator, each operation on the node that runs it.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from understudy.drill.history import SECOND, ClusterEvent

PACEMAKER_LOG = "/var/log/pacemaker/pacemaker.log"
COROSYNC_LOG = "/var/log/corosync/corosync.log"

WHATS: Mapping[str, str] = {
    "token-lost": "Corosync misses a node's token",
    "membership": "Corosync formed a membership",
    "node-lost": "Pacemaker counts a node as lost",
    "node-joined": "Pacemaker counts a node as a member",
    "quorum-lost": "the cluster has no quorum",
    "quorum-regained": "the cluster has quorum again",
    "coordinator": "a node was made the designated controller",
    "action": "the scheduler decided on an action",
    "decided": "the scheduler has made a transition",
    "transition-ended": "a transition was completed or given up",
    "fencing-begun": "a node is to be fenced",
    "fencing-device": "a fencing device has answered",
    "fencing-ended": "fencing has ended",
    "operation-begun": "a start, stop, promotion or demotion begins",
    "operation-ended": "a start, stop, promotion or demotion has ended",
    "monitor-failed": "a monitor found a resource failed, or its watcher reported its death",
    "copy-unhealthy": "a watcher says that a copy does not serve",
}

_HEAD = re.compile(
    r"(?P<stamp>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d(?:\.\d+)?) (?:\[\d+\] )?(?P<node>\S+)\s+"
    r"(?P<daemon>[\w-]+)\s*(?P<rest>.*)"
)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True)
class NodeClock:
    """How to read a node's time stamps: ``wall`` is a moment near the log's end, ``zone`` seconds east of UTC.

    ``offset`` is the node's clock minus ours in nanoseconds, ``monotonic`` ours minus its monotonic reading.
    """

    wall: int
    zone: int = 0
    offset: int = 0
    monotonic: int = 0

    def read(self, stamp: str) -> int | None:
        """Return a time stamp as nanoseconds since 1970 in the year that puts it nearest; None when it is none."""
        zone = timezone(timedelta(seconds=self.zone))
        near = datetime.fromtimestamp(self.wall / SECOND, zone)
        best = None
        for year in (near.year - 1, near.year, near.year + 1):
            found = _moment(stamp, year, zone)
            if found is not None and (best is None or abs(found - self.wall) < abs(best - self.wall)):
                best = found
        return best

    def monotonic_of(self, wall: int) -> int:
        """Return our monotonic time for a moment of the node's clock."""
        return wall - self.offset - self.monotonic


def _moment(stamp: str, year: int, zone: timezone) -> int | None:
    month, day, clock = stamp.split()
    whole, _, fraction = clock.partition(".")
    hour, minute, second = (int(part) for part in whole.split(":"))
    try:
        moment = datetime(year, _MONTHS.index(month) + 1, int(day), hour, minute, second, tzinfo=zone)
    except ValueError:
        return None
    return int(moment.timestamp()) * SECOND + int(fraction.ljust(9, "0")[:9] or 0)


@dataclass(frozen=True)
class _Rule:
    what: str
    daemon: str
    pattern: re.Pattern[str]


def _rule(what: str, daemon: str, pattern: str) -> _Rule:
    return _Rule(what, daemon, re.compile(pattern))


_RULES = (
    _rule("token-lost", "corosync", r"A processor failed, forming new configuration"),
    _rule(
        "membership",
        "corosync",
        r"A new membership \((?P<subject>[\w.]+)\) was formed\. Members(?: joined: (?P<joined>[\d ]+))?"
        r"(?: left: (?P<left>[\d ]+))?",
    ),
    _rule(
        "node-lost",
        "pacemaker-controld",
        r"\(update_peer_state_iter\).*Node (?P<subject>\S+) state is now lost",
    ),
    _rule(
        "node-joined",
        "pacemaker-controld",
        r"\(update_peer_state_iter\).*Node (?P<subject>\S+) state is now member",
    ),
    _rule("quorum-lost", "pacemaker-controld", r"Quorum lost"),
    _rule("quorum-regained", "pacemaker-controld", r"Quorum acquired"),
    _rule("coordinator", "pacemaker-controld", r"Set DC to (?P<subject>\S+)"),
    _rule(
        "action",
        "pacemaker-schedulerd",
        r"Actions: (?P<action>Fence \(\w+\)|\w+)\s+(?P<subject>\S+)(?P<how>.*)",
    ),
    _rule("decided", "pacemaker-schedulerd", r"Calculated transition (?P<subject>\d+)"),
    _rule(
        "transition-ended",
        "pacemaker-controld",
        r"Transition (?P<subject>\d+) \(Complete=.*\): (?P<result>\w+)",
    ),
    _rule(
        "fencing-begun",
        "pacemaker-fenced",
        r"Requesting peer fencing \((?P<action>\w+)\) targeting (?P<subject>\S+)",
    ),
    _rule(
        "fencing-device",
        "pacemaker-fenced",
        r"Operation '(?P<action>\w+)' \[\d+\] targeting (?P<subject>\S+) using (?P<device>\S+) "
        r"returned (?P<code>-?\d+)",
    ),
    _rule(
        "fencing-ended",
        "pacemaker-fenced",
        r"Operation '(?P<action>\w+)' targeting (?P<subject>\S+) by (?P<by>\S+) for \S+: (?P<result>\w+)",
    ),
    _rule(
        "operation-begun",
        "pacemaker-execd",
        r"executing - rsc:(?P<subject>\S+) action:(?P<operation>start|stop|promote|demote) call_id:(?P<call>\d+)",
    ),
    _rule(
        "operation-ended",
        "pacemaker-execd",
        r"\(log_finished\)\s*\w+: (?P<subject>\S+) (?P<operation>start|stop|promote|demote) "
        r"\(call (?P<call>\d+)(?:, PID \d+)?\) (?:exited with status (?P<code>\d+)|(?P<failure>[^(]+))",
    ),
    _rule(
        "monitor-failed",
        "pacemaker-controld",
        r"Result of monitor operation for (?P<subject>\S+) on (?P<where>\S+): "
        r"(?P<result>(?!ok\b|Cancelled|OCF_DEGRADED)[^|]+?) \|"
        r".*_monitor_(?P<interval>[1-9]\d*)\b",
    ),
    _rule(
        "monitor-failed",
        "pacemaker-controld",
        r"Result of asyncmon operation for (?P<subject>\S+) on (?P<where>\S+): (?P<result>(?!ok\b)[^|]+?) \|",
    ),
    _rule(
        "copy-unhealthy",
        "pacemaker-attrd",
        r"Setting unhealthy-(?P<subject>\S+)\[(?P<where>[^\]]+)\]: \S+ -> 1\b",
    ),
)


def parse_log(lines: Iterable[str], clock: NodeClock) -> Iterator[ClusterEvent]:
    """Yield the events in a log of Pacemaker or Corosync; lines that say nothing of interest are passed over."""
    for line in lines:
        head = _HEAD.match(line)
        if head is None:
            continue
        for rule in _RULES:
            found = rule.pattern.search(head["rest"]) if head["daemon"] == rule.daemon else None
            if found is None:
                continue
            wall = clock.read(head["stamp"])
            if wall is not None:
                values = {key: value.strip() for key, value in found.groupdict().items() if value}
                subject = values.pop("subject", "")
                yield ClusterEvent(wall, clock.monotonic_of(wall), head["node"], rule.what, subject, values)
            break
