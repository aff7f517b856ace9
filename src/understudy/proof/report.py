"""The proof for a person at a terminal, and for a program as JSON."""

import json
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from understudy.findings import advice_for, message_for
from understudy.proof.prove import Proof, Row, violation_finding
from understudy.proof.scenarios import FAULTS, RECOVERIES

SIGNS = {
    "kept": ("·", "dim"),
    "restarted": ("↻", "cyan"),
    "moved": ("→", "green"),
    "stopped": ("■", "yellow"),
    "bystander": ("!", "bold yellow"),
    "blocked": ("#", "bold red"),
    "lost": ("✗", "bold red"),
    "twice": ("2", "bold red"),
}
WORST = ("twice", "lost", "blocked", "bystander", "stopped", "moved", "restarted", "kept")
MEANINGS = {
    "kept": "untouched",
    "restarted": "restarted in place",
    "moved": "moved",
    "stopped": "stopped, as it must",
    "bystander": "interrupted as a bystander",
    "blocked": "blocked",
    "lost": "lost",
    "twice": "running twice",
}
SHOWN = 12


def fault_label(row: Row) -> str:
    """Return the line of the matrix that a scenario belongs to: what fails, and where for nodes."""
    kinds = [fault for fault in row.faults if fault.kind not in RECOVERIES]
    parts = []
    for fault in kinds:
        place = fault.node if not fault.resource else ""
        parts.append(f"{FAULTS.get(fault.kind, fault.kind)} {place.replace(',', ' and ')}".strip())
    moved = ", elsewhere" if any(fault.kind == "moved" for fault in row.faults) else ""
    return ", then ".join(parts) + moved


def worst(words: Iterable[str]) -> str:
    """Return the gravest of several verdicts."""
    found = set(words)
    return next((word for word in WORST if word in found), "kept")


def matrix(proof: Proof) -> dict[str, dict[str, list[Row]]]:
    """Return fault → service → the scenarios that make up the cell."""
    cells: dict[str, dict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
    for row in proof.rows:
        for service in row.services if row.applied else ():
            cells[fault_label(row)][service].append(row)
    return cells


def summary(proof: Proof) -> str:
    """Return the verdict in one line."""
    if not proof.played:
        return "No failure was played."
    tried = f"{proof.played:,} failures tried"
    if proof.interrupted:
        tried = f"Interrupted: {proof.played:,} of {proof.planned:,} failures tried"
    broken = len({item["scenario"] for item in proof.violations})
    return f"{tried}, " + ("all survived." if not broken else f"{broken:,} not as they should be.")


def _matrix_table(proof: Proof) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 1))
    table.add_column("fault", no_wrap=True)
    for number, _ in enumerate(proof.services, 1):
        table.add_column(str(number), justify="center", no_wrap=True)
    for label, cells in matrix(proof).items():
        marks = []
        for service in proof.services:
            sign, style = SIGNS[worst(row.services[service] for row in cells.get(service, ()))]
            marks.append(Text(sign, style=style))
        table.add_row(label, *marks)
    return table


def _violations(proof: Proof) -> list[RenderableType]:
    lines: list[RenderableType] = []
    grouped: dict[tuple[str, str], list[dict[str, str]]] = defaultdict(list)
    for violation in proof.violations:
        grouped[violation["code"], violation["object"]].append(violation)
    for (code, _), found in list(grouped.items())[:SHOWN]:
        finding = violation_finding(found[0])
        colour = "red" if finding.severity == "error" else "yellow"
        more = f" [dim](and {len(found) - 1} more scenarios)[/]" if len(found) > 1 else ""
        lines.append(
            f"[{colour}]{code}[/]  {escape(message_for(finding))}{more}\n    {escape(advice_for(finding))}"
        )
    if len(grouped) > SHOWN:
        lines.append(f"[dim]… and {len(grouped) - SHOWN} more; all of them with --json[/]")
    return lines


def _findings(proof: Proof) -> list[RenderableType]:
    colours = {"error": "red", "warning": "yellow", "note": "dim"}
    lines: list[RenderableType] = []
    for finding in proof.findings:
        where = f"{finding.place}  " if finding.place else ""
        colour = colours[finding.severity]
        lines.append(f"{escape(where)}[{colour}]{finding.code}[/]  {escape(message_for(finding))}")
    return lines


def terminal(proof: Proof) -> RenderableType:
    """Return what the terminal shows: findings, the matrix of faults against services, violations, the verdict."""
    parts: list[RenderableType] = [*_findings(proof)]
    if proof.rows and proof.services:
        legend = "  ".join(f"[{style}]{sign}[/] {MEANINGS[word]}" for word, (sign, style) in SIGNS.items())
        columns = "  ".join(
            f"[bold]{number}[/] {escape(name)}" for number, name in enumerate(proof.services, 1)
        )
        parts += ["", _matrix_table(proof), "", columns, legend]
    parts += ["", *_violations(proof)] if proof.violations else []
    for item in accepted(proof):
        parts.append(f"[dim]accepted[/]  {item['code']} ({item['count']}): {escape(item['reason'])}")
    parts += [f"[dim]not covered[/]  {escape(item)}" for item in proof.left_out]
    if proof.played:
        speed = proof.played / max(proof.seconds, 0.001)
        parts.append(
            f"[dim]{proof.played:,} scenarios in {proof.seconds:.1f} s ({speed:,.0f}/s),"
            f" {proof.equivalent:,} of them equivalent to another,"
            f" {proof.not_applicable} not applicable; scheduler asked {proof.scheduled:,} times ({proof.mode}),"
            f" {proof.cross_checked} answers compared with crm_simulate[/]"
        )
    style = "bold green" if proof.sound else "bold red"
    return Group(*parts, Text(summary(proof), style=style))


def accepted(proof: Proof) -> list[dict[str, Any]]:
    """Return the accepted deviations, one entry a code."""
    counted: dict[str, dict[str, Any]] = {}
    for item in proof.accepted:
        entry = counted.setdefault(item["code"], {"code": item["code"], "reason": item["reason"], "count": 0})
        entry["count"] += 1
    return list(counted.values())


def as_json(proof: Proof, *, stories: bool = False) -> dict[str, Any]:
    """Return the proof as plain data; ``scenarios`` is how many were played, ``seconds`` the wall time."""
    bounds: dict[str, dict[str, float]] = {}
    for row in proof.rows:
        for service, seconds in row.bounds.items():
            bounds.setdefault(row.name, {})[service] = seconds
    data: dict[str, Any] = {
        "source": proof.source,
        "scenarios": proof.played,
        "planned": proof.planned,
        "equivalent": proof.equivalent,
        "not_applicable": proof.not_applicable,
        "interrupted": proof.interrupted,
        "sound": proof.sound,
        "seconds": proof.seconds,
        "mode": proof.mode,
        "scheduled": proof.scheduled,
        "cross_checked": proof.cross_checked,
        "violations": [
            {
                **item,
                "message": message_for(violation_finding(item)),
                "advice": advice_for(violation_finding(item)),
            }
            for item in proof.violations
        ],
        "accepted": proof.accepted,
        "findings": [finding.as_json() for finding in proof.findings],
        "totals": dict(proof.totals),
        "services": proof.services,
        "running": proof.running,
        "bounds": bounds,
        "verdicts": {row.name: {**row.services} for row in proof.rows if row.services},
        "not_covered": proof.left_out,
    }
    if stories:
        data["stories"] = {row.name: row.story for row in proof.rows}
    return data


def print_proof(proof: Proof, console: Console) -> None:
    """Print the proof."""
    console.print(terminal(proof))


def json_text(proof: Proof) -> str:
    """Return the JSON as text."""
    return json.dumps(as_json(proof), indent=2, ensure_ascii=False)
