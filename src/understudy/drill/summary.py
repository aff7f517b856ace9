"""Many runs of the same fault in a few figures (pure)."""

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

from understudy.drill.judge import FaultOutcome

SHOWN = 0.05
"""Shorter outages are not told from none by clients that ask twenty times a second."""


@dataclass(frozen=True)
class Runs:
    """The outages of a service under a fault, one a run, in seconds."""

    fault: str
    service: str
    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle one."""
        return median(self.seconds)

    @property
    def worst(self) -> float:
        """The longest one."""
        return max(self.seconds)


def runs(found: Iterable[FaultOutcome]) -> dict[tuple[str, str], Runs]:
    """Return by fault and service the outage of each run: the total of the client that was hit hardest."""
    seconds: dict[tuple[str, str], list[float]] = {}
    for outcome in found:
        worst: dict[str, float] = {}
        for client in outcome.clients:
            service = client.figures.service
            worst[service] = max(worst.get(service, 0.0), client.figures.total)
        for service, value in worst.items():
            seconds.setdefault((outcome.fault, service), []).append(value)
    return {key: Runs(*key, tuple(values)) for key, values in seconds.items()}


def side_by_side(ours: Iterable[FaultOutcome], guide: Iterable[FaultOutcome]) -> list[dict[str, object]]:
    """Return the runs of both for each fault and service that both have, and how many times longer the guide's took.

    Where ours were not noticed by any client, the ratio is at least that to what the clients' rate can show.
    """
    own, other = runs(ours), runs(guide)
    rows: list[dict[str, object]] = []
    for key in sorted(own.keys() & other.keys()):
        mine, theirs = own[key], other[key]
        rows.append(
            {
                "fault": key[0],
                "service": key[1],
                "ours": _figures(mine),
                "guide": _figures(theirs),
                "ratio": round(theirs.median / max(mine.median, SHOWN), 1),
                "at_least": mine.median < SHOWN,
            }
        )
    return rows


def _figures(one: Runs) -> dict[str, object]:
    return {
        "median": round(one.median, 3),
        "worst": round(one.worst, 3),
        "least": round(min(one.seconds), 3),
        "runs": len(one.seconds),
        "seconds": [round(each, 3) for each in one.seconds],
    }
