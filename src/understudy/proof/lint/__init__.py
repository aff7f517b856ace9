"""The configuration read as an experienced administrator would: a catalogue of checks, no scheduler needed."""

from collections.abc import Callable, Iterator

from lxml.etree import _Element

from understudy.findings.model import Finding
from understudy.proof.configuration import Configuration
from understudy.proof.lint import cluster, constraints, resources

Check = Callable[[Configuration, _Element], Iterator[Finding]]
CHECKS: tuple[Check, ...] = (*cluster.CHECKS, *resources.CHECKS, *constraints.CHECKS)


def lint(facts: Configuration, cib: _Element) -> list[Finding]:
    """Return what every check finds, each finding once, errors first."""
    found: dict[tuple[str, str, str], Finding] = {}
    for check in CHECKS:
        for finding in check(facts, cib):
            key = (finding.code, finding.subject, str(sorted(map(str, finding.values.items()))))
            found.setdefault(key, finding)
    order = {"error": 0, "warning": 1, "note": 2}
    return sorted(found.values(), key=lambda finding: order[finding.severity])
