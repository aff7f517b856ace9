"""Printing: findings, tables and progress, with colour on terminals only."""

import json
import sys
from collections.abc import Iterable
from typing import NoReturn

from rich.console import Console
from rich.text import Text

from understudy.findings import Finding, advice_for, count, message_for

DONE, FAILED, BAD_INPUT, CHANGE_PENDING = 0, 1, 2, 3

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)
STYLE = {"error": "bold red", "warning": "yellow", "note": "cyan"}


def print_json(document: object) -> None:
    """Print a document for a program to read."""
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def print_findings(findings: Iterable[Finding], console: Console = err) -> None:
    """Print each finding with its place and what to write instead."""
    for finding in findings:
        where = str(finding.place) if finding.place else finding.subject
        line = Text()
        line.append(f"{where}  " if where else "")
        line.append(finding.code, STYLE[finding.severity])
        line.append(f"  {message_for(finding)}")
        console.print(line)
        advice = advice_for(finding)
        if advice:
            console.print(Text(f"    {advice}", "dim"))


def summary(findings: Iterable[Finding]) -> str:
    """Return how many errors and warnings there are, in words."""
    listed = list(findings)
    parts = [
        f"{number} {word}{'' if number == 1 else 's'}"
        for word, number in (("error", count(listed, "error")), ("warning", count(listed, "warning")))
        if number
    ]
    return " and ".join(parts) or "no errors"


def findings_json(findings: Iterable[Finding]) -> list[dict[str, object]]:
    """Return findings as plain data."""
    return [finding.as_json() for finding in findings]


def leave(status: int) -> NoReturn:
    """End the program."""
    sys.exit(status)
