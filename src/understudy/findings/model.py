"""The finding itself: frozen data, no prose."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True, order=True)
class Place:
    """A spot in a text file; ``line`` and ``column`` count from 1, 0 means unknown."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        if not self.line:
            return self.file
        return f"{self.file}:{self.line}:{self.column}" if self.column else f"{self.file}:{self.line}"


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong or worth knowing.

    ``values`` fill the format fields of the message that belongs to ``code``. ``subject`` names the object at
    fault when there is no place in a file, such as a resource, a node or a path on a node.
    """

    code: str
    severity: Severity = "error"
    values: Mapping[str, object] = field(default_factory=dict)
    place: Place | None = None
    subject: str = ""

    def as_json(self) -> dict[str, object]:
        """Return the finding as plain data, message and advice included."""
        from understudy.findings.messages import advice_for, message_for  # noqa: PLC0415 - breaks the cycle

        return {
            "code": self.code,
            "severity": self.severity,
            "file": self.place.file if self.place else None,
            "line": self.place.line if self.place else None,
            "column": self.place.column if self.place else None,
            "subject": self.subject or None,
            "message": message_for(self),
            "advice": advice_for(self),
            "values": {key: str(value) for key, value in self.values.items()},
        }


class FindingsError(Exception):
    """Carries findings up to the command line; ``exit_status`` is 2 for bad input, 1 for a failure."""

    def __init__(self, findings: Iterable[Finding], exit_status: int = 2) -> None:
        self.findings = tuple(findings)
        self.exit_status = exit_status
        super().__init__(
            ", ".join(f"{finding.code} {finding.place or finding.subject}" for finding in self.findings)
        )


def count(findings: Iterable[Finding], severity: Severity) -> int:
    """Return how many of the findings have this severity."""
    return sum(finding.severity == severity for finding in findings)
