"""The proof for a person at a terminal, and for a program as JSON."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from understudy.findings import advice_for, message_for
from understudy.proof.result import Proof, Row, violation_finding
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
LONGEST_LABEL = 48
CELL = 3
LEAST_COLUMNS = 6
BRIEF = 4


def fault_label(row: Row) -> str:
    """Return the line of the matrix that a scenario belongs to: what fails, and where for nodes."""
    kinds = [fault for fault in row.faults if fault.kind not in RECOVERIES]
    parts = []
    for fault in kinds:
        place = fault.node if not fault.resource else ""
        what = FAULTS.get(fault.kind, fault.kind)
        if fault.kind == "node-lost" and len(fault.nodes) > 1:
            what = f"{len(fault.nodes)} nodes lost"
        parts.append(f"{what} {place.replace(',', ' and ')}".strip())
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
    lost = len(proof.broken["error"])
    broken = len(proof.broken["error"] | proof.broken["warning"])
    if not broken:
        return f"{tried}, all survived."
    return f"{tried}, {broken:,} not as they should be" + (
        f", {lost:,} of them not survived." if lost else "."
    )


@dataclass(frozen=True)
class Line:
    """A line of the terminal's matrix: what fails, where, and a verdict for each service; ``fences`` a node."""

    label: str
    words: tuple[str, ...]
    fences: bool


def condensed(proof: Proof) -> list[Line]:
    """Return the matrix with lines that differ in the place only put together."""
    found: dict[tuple[str, tuple[str, ...], bool], list[str]] = {}
    places: dict[str, int] = defaultdict(int)
    for label, cells in matrix(proof).items():
        rows = list({row.name: row for rows in cells.values() for row in rows}.values())
        place = rows[0].faults[0].node if len(rows[0].faults) and not rows[0].faults[0].resource else ""
        what = label.removesuffix(place.replace(",", " and ")).strip() if place else label
        words = tuple(
            worst(row.services[service] for row in cells.get(service, ())) for service in proof.services
        )
        places[what] += 1
        found.setdefault((what, words, any(row.fenced for row in rows)), []).append(
            place.replace(",", " and ")
        )
    lines = []
    for (what, words, fences), where in found.items():
        each = len(where) > 1 and len(where) == places[what]
        label = what if not any(where) else f"{what}: {'each' if each else ', '.join(where)}"
        if len(label) > LONGEST_LABEL:
            label = f"{what}: {len(where)} places" if len(where) > 1 else label[: LONGEST_LABEL - 1] + "…"
        lines.append(Line(label, words, fences))
    return lines


def _matrix_tables(proof: Proof, width: int) -> list[RenderableType]:
    """Return the matrix in as many blocks of columns as the width asks for."""
    lines = condensed(proof)
    label = max((len(line.label) for line in lines), default=0) + 1
    columns = max((width - label - CELL) // CELL, LEAST_COLUMNS)
    tables: list[RenderableType] = []
    for begin in range(0, len(proof.services), columns):
        shown = range(begin, min(begin + columns, len(proof.services)))
        table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 0))
        table.add_column("fault", no_wrap=True, min_width=label)
        for header in (*(str(number + 1) for number in shown), "F"):
            table.add_column(header, justify="right", no_wrap=True, min_width=CELL)
        for line in lines:
            marks = [Text(SIGNS[line.words[number]][0], SIGNS[line.words[number]][1]) for number in shown]
            table.add_row(line.label, *marks, Text("F" if line.fences else "", "magenta"))
        tables += [table, ""]
    return tables


def _longest(proof: Proof) -> dict[str, float]:
    """Return for each service the longest interruption that any single fault may mean, in seconds."""
    found: dict[str, float] = {}
    for row in proof.rows:
        for service, seconds in row.bounds.items():
            found[service] = max(found.get(service, 0.0), seconds)
    return found


def _legend(proof: Proof) -> list[RenderableType]:
    longest = _longest(proof)
    names = [
        f"[bold]{number}[/] {escape(name)}" + (f" [dim]≤ {longest[name]:.0f} s[/]" if name in longest else "")
        for number, name in enumerate(proof.services, 1)
    ]
    signs = "  ".join(f"[{style}]{sign}[/] {MEANINGS[word]}" for word, (sign, style) in SIGNS.items())
    return [
        Columns(names, padding=(0, 2), column_first=True),
        f"{signs}  [magenta]F[/] a node is fenced",
        *(
            ["[dim]≤ the longest a service may be without, from the timeouts written or measured[/]"]
            if longest
            else []
        ),
    ]


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


def terminal(proof: Proof, width: int = 120) -> RenderableType:
    """Return what the terminal shows: findings, the matrix of faults against services, violations, the verdict."""
    parts: list[RenderableType] = [*_findings(proof)]
    if proof.rows and proof.services:
        parts += ["", *_matrix_tables(proof, width), *_legend(proof)]
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
        "fenced": {row.name: list(row.fenced) for row in proof.rows if row.fenced},
        "not_covered": proof.left_out,
    }
    if stories:
        data["stories"] = {row.name: row.story for row in proof.rows}
    return data


def brief(proof: Proof) -> list[str]:
    """Return the proof as a plan carries it: one line, and what broke, if anything did."""
    wrong = [item for item in proof.findings if item.severity == "error"]
    if not proof.played:
        return [f"Proof: none. {message_for(item)}." for item in (wrong or proof.findings)[:1]]
    lines = [f"Proof: {summary(proof)}"]
    kinds = {(item["code"], item["object"]): violation_finding(item) for item in reversed(proof.violations)}
    broken = [*wrong, *reversed(kinds.values())]
    lines += [f"  {item.code}  {message_for(item)}" for item in broken[:BRIEF]]
    if len(broken) > BRIEF:
        lines.append(f"  … and {len(broken) - BRIEF} more; 'understudy prove' shows all.")
    return lines


def brief_json(proof: Proof) -> dict[str, Any]:
    """Return the part of the JSON that a plan carries."""
    kept = ("scenarios", "planned", "sound", "seconds", "violations", "accepted", "findings", "not_covered")
    whole = as_json(proof)
    return {name: whole[name] for name in kept}


def print_proof(proof: Proof, console: Console) -> None:
    """Print the proof."""
    console.print(terminal(proof, console.width))
