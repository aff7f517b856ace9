"""What a proof is asked, and what it answers."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from understudy.findings.model import Finding, Severity
from understudy.proof.cib import SCHEMAS
from understudy.proof.scenarios import Fault

Progress = Callable[[int, int], None]
WARNINGS = frozenset({"bystander-interrupted", "moves-back", "node-overloaded", "stays-after-failures"})


@dataclass(frozen=True)
class Options:
    """What to prove and how; ``accepted`` maps codes of expected deviations to the reason, ``limit`` is in seconds.

    ``agents`` compares the configuration with the meta-data of the agents installed on this machine; ``equivalence``
    plays one of each kind of combinations that are the same but for names; ``corosync`` is the text of the cluster's
    corosync.conf, which is read for mistakes and for the time it takes to notice a lost node.
    """

    faults: int = 1
    workers: int = 0
    limit: float = 30.0
    accepted: Mapping[str, str] = field(default_factory=dict)
    timing: Mapping[str, int] = field(default_factory=dict)
    durations: Mapping[tuple[str, str], int] = field(default_factory=dict)
    mode: str = ""
    schemas: Path = SCHEMAS
    cross_checks: int = 1
    equivalence: bool = True
    agents: bool = False
    corosync: str = ""


@dataclass
class Row:
    """A scenario with the verdict on every service and the story behind it; bounds in seconds.

    ``same_as`` names the scenario that was played in its place, the same but for names; the story is of that one.
    """

    name: str
    faults: tuple[Fault, ...]
    services: dict[str, str] = field(default_factory=dict)
    fenced: tuple[str, ...] = ()
    bounds: dict[str, float] = field(default_factory=dict)
    violations: list[tuple[str, str, str]] = field(default_factory=list)
    story: list[dict[str, Any]] = field(default_factory=list)
    applied: bool = True
    same_as: str = ""


@dataclass
class Proof:
    """The verdict: what was played, what broke, what reading the configuration found, and what was not covered.

    ``violations`` are the first thousands; ``totals`` count all by code, ``broken`` names all scenarios by severity.
    """

    source: str
    findings: list[Finding] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    violations: list[dict[str, str]] = field(default_factory=list)
    accepted: list[dict[str, str]] = field(default_factory=list)
    totals: Counter[str] = field(default_factory=Counter)
    broken: dict[str, set[str]] = field(default_factory=lambda: {"error": set(), "warning": set()})
    services: list[str] = field(default_factory=list)
    running: dict[str, dict[str, str]] = field(default_factory=dict)
    planned: int = 0
    played: int = 0
    equivalent: int = 0
    not_applicable: int = 0
    scheduled: int = 0
    recalled: int = 0
    cross_checked: int = 0
    mode: str = ""
    seconds: float = 0.0
    left_out: list[str] = field(default_factory=list)
    interrupted: bool = False

    @property
    def sound(self) -> bool:
        """Tell whether everything was played and nothing is wrong."""
        return not (
            self.interrupted or self.violations or any(item.severity == "error" for item in self.findings)
        )


def violation_finding(violation: Mapping[str, str]) -> Finding:
    """Return a violation as a finding, for its message and advice."""
    severity: Severity = "warning" if violation["severity"] == "warning" else "error"
    values = {"scenario": violation["scenario"], "detail": violation["detail"]}
    return Finding(violation["code"], severity, values, subject=violation["object"])
