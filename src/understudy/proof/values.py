"""Values as Pacemaker writes them: durations, scores and booleans."""

import re

INFINITY = 1_000_000

_UNITS = {"ms": 1, "msec": 1, "us": 0.001, "usec": 0.001, "s": 1000, "sec": 1000, "": 1000}
_UNITS |= {"m": 60_000, "min": 60_000, "h": 3_600_000, "hr": 3_600_000}


def milliseconds(text: str | None, default: int = 0) -> int:
    """Return a Pacemaker duration in milliseconds; a bare number means seconds."""
    match = re.fullmatch(r"\s*(\d{1,12})\s*([a-z]*)\s*", (text or "").lower())
    if not match or match[2] not in _UNITS:
        return default
    return int(int(match[1]) * _UNITS[match[2]])


def score(text: str | None, default: int = 0) -> int:
    """Return a score, limited to plus or minus INFINITY."""
    words = {"infinity": INFINITY, "+infinity": INFINITY, "-infinity": -INFINITY, "red": -INFINITY}
    value = (text or "").strip().lower()
    if value in words:
        return words[value]
    try:
        return max(-INFINITY, min(INFINITY, int(value)))
    except ValueError:
        return default


def is_true(text: str | None) -> bool:
    """Tell whether Pacemaker reads this text as true."""
    return (text or "").strip().lower() in {"true", "on", "yes", "y", "1"}
