"""understudy drill and report: break a running cluster on purpose, and judge what happened."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, time
from itertools import islice
from pathlib import Path
from typing import Any

from understudy.cli.console import FAILED, err, out, print_json
from understudy.cli.inputs import Input, read_input
from understudy.cli.progress import steps
from understudy.cli.reach import connector, lab_of
from understudy.drill.clients import at_rate
from understudy.drill.export import as_json, as_junit, as_prometheus
from understudy.drill.faults.aim import random_turns, read_wishes
from understudy.drill.history import Event, History, HistoryError, Recorder, read_history
from understudy.drill.prediction import matrix_of, prediction, prove_design, roots_of
from understudy.drill.preflight import Permission
from understudy.drill.prepare import about_of, prepare
from understudy.drill.run import Drill, Watchers
from understudy.drill.tell import closing
from understudy.drill.verdicts import Judgement, judge
from understudy.findings import Finding, FindingsError, Place
from understudy.report.drill_page import drill_page

MOST_RANDOM = 10_000
LEAST_RATE, MOST_RATE = 0.1, 200.0
LOOKED_AT = 100
"""So many random faults are checked beforehand: by then each kind has come."""


async def drill(  # noqa: PLR0913 - each is an option of the command
    spec: Path,
    /,
    *faults: str,
    record: Path | None = None,
    allow: tuple[str, ...] = (),
    window: str | None = None,
    seed: int | None = None,
    seconds: float | None = None,
    rate: float | None = None,
    live: bool = False,
    json: bool = False,
) -> int:
    """Break a running cluster on purpose, watch it as a client would, heal it, and judge what happened.

    Exits with 1 when a verdict is no.

    Parameters
    ----------
    spec
        The spec's file.
    faults
        What to do, one after the other: power-loss, power-loss:passive, process-killed:glance-api; several at once
        with + between them. See the reference of faults.
    record
        Where to keep the history, a new file; ``understudy report`` judges it again later.
    allow
        On live nodes: the faults that are allowed, by name; nothing else is done there.
    window
        Only between these times of day, such as 02:00-04:00.
    seed
        Random faults by this seed, instead of named ones, for as long as --seconds says.
    seconds
        How long random faults go on.
    rate
        Every client asks so often a second, those too whose questions cost a server so much that they ask less often
        by themselves (tokens, lists), for servers with cores to spare. Images and volumes are written as ever.
    live
        Drill the real nodes even when a lab of this spec is up.
    json
        Print JSON.
    """
    _check_rate(rate)
    given = read_input(spec)
    lab = None if live else lab_of(given.loaded)
    cloud = given.loaded.spec
    nodes, site, watchers = prepare(given.cloud(), connector(given.loaded, lab), lab, given.secrets)
    allowed = None if lab is not None else frozenset(allow)
    permission = Permission(lab is not None, allowed, _window(window))
    if seed is None:
        turns = [read_wishes(text, site.facts) for text in faults or ("power-loss",)]
    else:
        chosen = random_turns(seed, site.facts, in_lab=lab is not None, allowed=allowed or ())
        turns = list(islice(chosen, MOST_RANDOM))
    file = record or Path(f"drill-{cloud.cloud}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.jsonl.gz")
    try:
        with steps("Drill") as progress:
            run = Drill(nodes, site, _at_rate(watchers, rate), _nothing, permission, progress)
            findings = await run.check([wish for turn in turns[:LOOKED_AT] for wish in turn])
            if findings:
                raise FindingsError(findings, exit_status=FAILED)
            progress("playing every failure, to compare")
            run.about = await asyncio.to_thread(about, given)
            recorder = _recorder(file)
            run.record = recorder.add
            try:
                await run.run(turns, seconds=seconds)
            finally:
                recorder.close()
    finally:
        await nodes.close()
    return show(judge(read_history(file)), file, json=json)


def about(given: Input) -> dict[str, Any]:
    """Return what a record says of a spec beforehand, with what the proof predicts."""
    cloud = given.loaded.spec
    design = given.design()
    proof = prove_design(design, cloud)
    return about_of(cloud, prediction(proof, cloud, given.catalog, roots_of(design)), matrix_of(proof))


def _nothing(event: Event) -> None:
    """Record nothing: while it is checked whether a drill may begin, nothing has happened."""
    del event


def _recorder(file: Path) -> Recorder:
    if file.exists():
        raise FindingsError([Finding("file-exists", place=Place(str(file)))])
    return Recorder(file)


def _at_rate(watchers: list[Watchers], rate: float | None) -> list[Watchers]:
    if rate is None:
        return watchers
    return [replace(one, clients=at_rate(one.clients, rate)) for one in watchers]


def _check_rate(rate: float | None) -> None:
    if rate is not None and not LEAST_RATE <= rate <= MOST_RATE:
        values = {"rate": f"{rate:g}", "least": f"{LEAST_RATE:g}", "most": f"{MOST_RATE:g}"}
        raise FindingsError([Finding("drill-rate-wrong", values=values)])


def _window(text: str | None) -> tuple[time, time] | None:
    if text is None:
        return None
    try:
        begin, end = (time.fromisoformat(part) for part in text.split("-"))
    except ValueError as error:
        raise FindingsError([Finding("drill-window-wrong", values={"text": text})]) from error
    return begin, end


def show(judgement: Judgement, file: Path, *, json: bool) -> int:
    """Print a judgement and return the exit status."""
    if json:
        print_json({"record": str(file), **as_json(judgement)})
        return FAILED if judgement.answer == "no" else 0
    for outcome in judgement.outcomes:
        for line in closing(outcome):
            out.print(line)
        out.print()
    for verdict in judgement.verdicts:
        out.print(f"{verdict.answer:8} {verdict.words}")
        for detail in verdict.details:
            out.print(f"         {detail}")
    err.print(f"The record is {file}; 'understudy report {file} --html drill.html' makes a page of it.")
    return FAILED if judgement.answer == "no" else 0


def report(  # noqa: PLR0913 - each is an option of the command
    record: Path,
    /,
    *,
    beside: Path | None = None,
    html: Path | None = None,
    junit: Path | None = None,
    prometheus: Path | None = None,
    json: bool = False,
) -> int:
    """Judge the record of a drill again, without a cluster, and write it as a page or for other programs.

    Parameters
    ----------
    record
        The record that ``understudy drill`` kept.
    beside
        Another record, such as one of the guides' configuration, to stand beside it on the page.
    html
        Write one self-contained page.
    junit
        Write JUnit XML, on which a CI can gate.
    prometheus
        Write metrics in Prometheus' text format.
    json
        Print JSON.
    """
    history = read_record(record)
    other = judge(read_record(beside)) if beside is not None else None
    judgement = judge(history)
    name = record.name.partition(".")[0]
    for file, text in (
        (html, drill_page(history, judgement, name, other) if html else ""),
        (junit, as_junit(judgement, name)),
        (prometheus, as_prometheus(judgement, name)),
    ):
        if file is not None:
            file.write_text(text, encoding="utf-8")
    return show(judgement, record, json=json)


def read_record(record: Path) -> History:
    """Return what a drill recorded; raises FindingsError ``history-unreadable``."""
    try:
        history = read_history(record)
        if not history.events:
            raise HistoryError("nothing is recorded in it")  # noqa: TRY301 - the same answer as for what is none
    except (OSError, HistoryError) as error:
        values = {"path": record, "reason": str(error)}
        raise FindingsError(
            [Finding("history-unreadable", values=values, place=Place(str(record)))]
        ) from error
    return history
