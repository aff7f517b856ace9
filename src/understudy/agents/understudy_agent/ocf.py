"""The words of the OCF Resource Agent API 1.1: exit codes, exit reasons, deadlines."""

from __future__ import annotations

import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

SUCCESS = 0
ERR_GENERIC = 1
ERR_ARGS = 2
ERR_UNIMPLEMENTED = 3
ERR_INSTALLED = 5
ERR_CONFIGURED = 6
NOT_RUNNING = 7
DEGRADED = 190

DEFAULT_TIMEOUT = 20.0
"""Seconds that an action may take where nobody said; Pacemaker's own default."""


class Failure(Exception):
    """The action ends with this exit code, for this reason."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class Deadline:
    """The moment by which something must have ended."""

    def __init__(self, seconds: float) -> None:
        self.moment = time.monotonic() + seconds

    def left(self) -> float:
        """Return the seconds left, 0 when it has passed."""
        return max(0.0, self.moment - time.monotonic())

    def passed(self) -> bool:
        """Return whether it has passed."""
        return time.monotonic() >= self.moment

    def within(self, seconds: float) -> Deadline:
        """Return a deadline after ``seconds``, but not after this one."""
        return Deadline(min(seconds, self.left()))

    def sleep(self, seconds: float) -> None:
        """Sleep, but not beyond the deadline."""
        time.sleep(min(seconds, self.left()))


def say(text: str) -> None:
    """Write a line for the log: Pacemaker logs what an agent writes to its standard error."""
    sys.stderr.write(text + "\n")


def exit_reason(text: str, environ: Mapping[str, str]) -> None:
    """Tell Pacemaker why the action ends as it does; it shows the line in the status of the cluster."""
    say(environ.get("OCF_EXIT_REASON_PREFIX", "ocf-exit-reason:") + " ".join(text.split()))


def action_timeout(environ: Mapping[str, str], default: float = DEFAULT_TIMEOUT) -> float:
    """Return the seconds that Pacemaker gives the action."""
    text = environ.get("OCF_RESKEY_CRM_meta_timeout", "")
    return int(text) / 1000 if text.isdigit() and int(text) > 0 else default


def margin(timeout: float) -> float:
    """Return the seconds before the timeout at which an action gives up by itself, to say why."""
    return min(3.0, timeout / 10)


def deadline(environ: Mapping[str, str]) -> Deadline:
    """Return the deadline by which the action gives up by itself."""
    timeout = action_timeout(environ)
    return Deadline(timeout - margin(timeout))


def is_probe(action: str, environ: Mapping[str, str]) -> bool:
    """Return whether the action asks what is running on a node where nothing needs to."""
    return action == "monitor" and environ.get("OCF_RESKEY_CRM_meta_interval", "") == "0"


def knows_degraded(environ: Mapping[str, str]) -> bool:
    """Return whether the cluster manager takes DEGRADED for a success (OCF 1.1 and later)."""
    major, minor = environ.get("OCF_RA_VERSION_MAJOR", ""), environ.get("OCF_RA_VERSION_MINOR", "")
    return major.isdigit() and minor.isdigit() and (int(major), int(minor)) >= (1, 1)


def degraded(reason: str, environ: Mapping[str, str]) -> int:
    """Say why a service runs and is not as it should be, and return what a monitor returns of it."""
    exit_reason(reason, environ)
    return DEGRADED if knows_degraded(environ) else SUCCESS
