"""How long a cluster's operations took in a drill, from which a proof computes its bounds (pure)."""

from understudy.drill.breakdown import fencings, operations
from understudy.drill.history import SECOND, History

MILLISECOND = SECOND // 1000
TASKS = {"start": ("start", "promote"), "stop": ("stop", "demote"), "fencing": ("stonith",)}
"""What a proof calls the operations that a breakdown counts together."""


def longest_operations(history: History) -> dict[tuple[str, str], int]:
    """Return by resource and operation the milliseconds of the longest one that succeeded; fencing has no resource."""
    longest: dict[tuple[str, str], int] = {}
    for span in (*operations(history.cluster), *fencings(history.cluster)):
        if span.end is None or span.result != "ok":
            continue
        resource = "" if span.name == "fencing" else span.subject.partition(":")[0]
        took = (span.end - span.begin) // MILLISECOND
        for task in TASKS[span.name]:
            longest[resource, task] = max(took, longest.get((resource, task), 0))
    return longest
