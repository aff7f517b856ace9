"""understudy apply: make the spec true."""

import json as json_text
import os
import sys
from collections.abc import Callable
from pathlib import Path

from understudy.cli.console import BAD_INPUT, FAILED, err, findings_json, out, print_findings, print_json
from understudy.cli.inputs import read_input
from understudy.cli.plan import print_plan
from understudy.cli.planning import make
from understudy.cli.progress import steps
from understudy.cli.reach import reach
from understudy.findings import Finding, FindingsError, Place
from understudy.kinds.registry import KINDS
from understudy.plan.apply import Event, Outcome, apply_plan
from understudy.plan.journal import state_directory
from understudy.plan.make import demand_same


async def apply(
    spec: Path, /, *, plan: Path | None = None, yes: bool = False, live: bool = False, json: bool = False
) -> int:
    """Make the spec true: show the plan, then do it, step by step.

    It stops at the first failure; run again, it goes on where it stopped.

    Parameters
    ----------
    spec
        The spec's file.
    plan
        A plan saved by ``understudy plan --save``; refused when the world has moved on since.
    yes
        Do not ask before live nodes are changed; needed where there is no terminal.
    live
        Work on the real nodes even when a lab of this spec is up.
    json
        Print JSON.
    """
    given = read_input(spec)
    with steps("Looking") as progress:
        progress("connecting")
        context = reach(given.loaded, live=live)
        reached = await context.__aenter__()
    try:
        planned = await make(given, reached.world, proved=True)
        made = planned.plan
        if plan is not None:
            demand_same(made, _saved(plan))
        if not json:
            print_findings(given.warnings)
            print_plan(planned, reached.where, len(given.loaded.spec.nodes), end="")
        if made.empty:
            return _result(Outcome(), spec, json=json)
        if not (yes or reached.in_lab) and not _confirmed(spec):
            out.print("Nothing was touched.")
            return FAILED
        with steps("Applying") as progress:
            outcome = await apply_plan(
                reached.world,
                planned.design.items,
                made,
                KINDS,
                directory=state_directory(given.loaded.spec.cloud, os.environ),
                report=reporter(progress, len(made.changes)),
            )
    finally:
        await context.__aexit__(None, None, None)
    return _result(outcome, spec, json=json)


def _saved(file: Path) -> dict[str, object]:
    try:
        document = json_text.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FindingsError([Finding("plan-file-wrong", place=Place(str(file)))]) from error
    if not isinstance(document, dict):
        raise FindingsError([Finding("plan-file-wrong", place=Place(str(file)))])
    return document


def _confirmed(spec: Path) -> bool:
    if not sys.stdin.isatty():
        raise FindingsError([Finding("apply-needs-yes", values={"spec": spec})])
    return input("Change these live nodes? Type yes: ").strip().lower() == "yes"


def reporter(progress: Callable[[str], None], total: int) -> Callable[[Event], None]:
    """Return what tells progress of an apply's events."""
    done = 0

    def report(event: Event) -> None:
        nonlocal done
        if event.name in {"done", "already-true"}:
            done += 1
        if event.name == "lock-passed-over":
            err.print(f"{event.node}: took over the lock of {event.text}, which is dead.")
        elif event.name == "interrupted":
            err.print("Interrupted: the steps under way come to their end first.")
        elif event.name == "begin" and event.change is not None:
            item = event.change.item
            progress(f"{done}/{total} {item.kind}: {item.target} {item.subject}")

    return report


def _result(outcome: Outcome, spec: Path, *, json: bool) -> int:
    if json:
        print_json(
            {
                "complete": outcome.complete,
                "done": list(outcome.done),
                "already_true": list(outcome.already_true),
                "remaining": list(outcome.remaining),
                "interrupted": outcome.interrupted,
                "findings": findings_json(outcome.findings),
            }
        )
    elif outcome.complete:
        if outcome.done:
            out.print(
                f"Done: {len(outcome.done)} changes made. 'understudy status {spec}' shows the cluster."
            )
    else:
        print_findings(outcome.findings)
        out.print(f"Stopped: {len(outcome.done)} changes made, {len(outcome.remaining)} remain.")
        for key in outcome.remaining:
            out.print(f"  remains: {key}")
        out.print(
            f"What was made stays. When the cause is mended, run 'understudy apply {spec}' again: it goes on from here."
        )
    if outcome.complete:
        return 0
    return FAILED if outcome.interrupted or outcome.findings else BAD_INPUT
