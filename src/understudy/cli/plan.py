"""understudy plan: what would change, why, and what Pacemaker would do about it."""

import json as json_text
from pathlib import Path

from rich.text import Text

from understudy.cli.console import CHANGE_PENDING, findings_json, out, print_findings, print_json
from understudy.cli.inputs import read_input
from understudy.cli.planning import Planned, make
from understudy.cli.progress import steps
from understudy.cli.reach import reach
from understudy.cli.show_plan import show
from understudy.findings import Finding, FindingsError, Place
from understudy.plan.model import Plan

UNTOUCHED = "Nothing was touched; 'understudy apply' makes them."


async def plan(
    spec: Path,
    /,
    *,
    exit_code: bool = False,
    save: Path | None = None,
    live: bool = False,
    json: bool = False,
) -> int:
    """Show what would change, why, and what Pacemaker would do about it. Nothing is touched.

    Parameters
    ----------
    spec
        The spec's file.
    exit_code
        Exit with 3 when a change is pending.
    save
        Keep the plan in this file, for ``understudy apply --plan``.
    live
        Look at the real nodes even when a lab of this spec is up.
    json
        Print JSON.
    """
    given = read_input(spec)
    with steps("Looking") as progress:
        progress("connecting")
        async with reach(given.loaded, live=live) as reached:
            progress("observing")
            planned = await make(given, reached.world, proved=True)
    made = planned.plan
    if save is not None:
        _save(made, save)
    if json:
        proof = {} if planned.proof is None else {"proof": planned.proof.document}
        found = findings_json(planned.disagreements)
        print_json({"where": reached.where, **made.as_json(), "findings": found, **proof})
    else:
        print_findings((*given.warnings, *planned.disagreements))
        print_plan(planned, reached.where, len(given.loaded.spec.nodes))
    return CHANGE_PENDING if exit_code and not made.empty else 0


def _save(made: Plan, file: Path) -> None:
    try:
        file.write_text(json_text.dumps(made.as_json(), indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        values = {"reason": error.strerror}
        raise FindingsError([Finding("file-unwritable", values=values, place=Place(str(file)))]) from error


def print_plan(planned: Planned, where: str, nodes: int, *, end: str = UNTOUCHED) -> None:
    """Print a plan with its summary and its proof."""
    made = planned.plan
    out.print(
        f"{nodes} nodes reached in {where}."
        if where.startswith("the lab")
        else f"{nodes} live nodes reached."
    )
    if made.foreign:
        out.print(f"Not made by understudy, and left alone: {', '.join(made.foreign)}.")
    if made.empty:
        out.print("Nothing to change: the spec is true.")
        _print_proof(planned)
        return
    out.print()
    show(made)
    out.print()
    for note in made.notes:
        out.print(note)
    noticed = "; ".join(made.impacts) or (
        "" if any("Clients miss" in note for note in made.notes) else "nothing"
    )
    if noticed:
        out.print(f"Clients notice: {noticed}.")
    _print_proof(planned)
    out.print(f"{len(made.changes)} changes. {end}".rstrip())


def _print_proof(planned: Planned) -> None:
    if planned.proof is not None:
        for line in planned.proof.lines:
            out.print(Text(line))
