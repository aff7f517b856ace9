"""Failover of the guides' configuration and of ours, beside each other: the same faults, clients, lab and machine.

Run as root from the root of the repository: ``python -m benchmarks.failover [--runs N] [--minutes M] [SERVICE ...]``.
For each shape a lab is brought up, the spec applied and drilled, fault after fault, N times or for M minutes: the
guides', ours with ``warm`` APIs, and ours with ``balanced`` ones. With ``--database`` the node of the database is
struck instead of that of the Image API's address.
All specs are those of ``examples/``, cut down to the services named (default: database, Keystone and Image API). The
Image API has no shared storage in any, as where images are in an object store: only then may it run everywhere. The
result is written to ``benchmarks/results/failover.json``, the records below ``build/``.
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from benchmarks.image_api import machine
from ruamel.yaml import YAML

from understudy.catalog.load import load_catalog
from understudy.catalog.releases import release_named
from understudy.cli.demo import apply_quietly
from understudy.cli.drill import about
from understudy.cli.inputs import Input, read_input
from understudy.cli.lab import bring_up_lab
from understudy.cli.reach import connector, reach
from understudy.cli.secrets import make_missing
from understudy.design.make import required_secrets
from understudy.drill.faults.aim import read_wishes
from understudy.drill.history import Event, History, Observation, Recorder, read_history
from understudy.drill.preflight import Permission
from understudy.drill.prepare import prepare
from understudy.drill.run import Drill
from understudy.drill.summary import side_by_side
from understudy.drill.verdicts import Judgement, judge
from understudy.findings import FindingsError, message_for
from understudy.lab.client import Lab
from understudy.lab.lifecycle import take_down
from understudy.report.drill_page import drill_page
from understudy.spec.load import load_spec

GUIDE, OURS, BALANCED = "guide", "ours", "balanced"
SHAPES = {
    GUIDE: Path("examples/guide-control-plane.yaml"),
    OURS: Path("examples/control-plane.yaml"),
    BALANCED: Path("examples/control-plane.yaml"),
}
STANDBY = {OURS: "warm", BALANCED: "balanced"}
"""How our APIs stand by."""
SERVICES = ("mariadb", "keystone", "glance-api")
OF_SERVICE = ("process-killed", "process-hung", "move")
OF_NODE = ("power-loss", "cluster-cut")
DATABASE = "mariadb"
IMAGES, WRITER = "glance-api", "image-written"
RESULT = Path("benchmarks/results/failover.json")
RECORDS = Path("build/failover")
RUNS = 10
MINUTES = 60.0


def cut_down(shape: str, source: Path, services: Sequence[str]) -> Path:
    """Write a spec with these services only, and without what none of them uses; return its path."""
    yaml = YAML(typ="safe")
    spec: dict[str, Any] = yaml.load(source.read_text(encoding="utf-8"))
    kept = {name: dict(spec["services"].get(name, {"standby": "warm"})) for name in services}
    if IMAGES in kept:
        kept[IMAGES].pop("storage", None)
    if standby := STANDBY.get(shape):
        for name in ("keystone", IMAGES):
            if name in kept:
                kept[name]["standby"] = standby
        kept.pop("haproxy", None)
        if standby == "balanced":
            kept["haproxy"] = {"standby": "warm"}
    used = {str(one.get(key)) for one in kept.values() for key in ("address", "storage")}
    spec |= {
        "cloud": f"failover-{shape}",
        "services": kept,
        "secrets": {"directory": "secrets"},
        "addresses": {name: one for name, one in spec["addresses"].items() if name in used},
        "storage": {name: one for name, one in spec["storage"].items() if name in used},
    }
    folder = RECORDS / shape
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "cloud.yaml"
    with path.open("w", encoding="utf-8") as stream:
        yaml.dump(spec, stream)
    return path


async def drilled(given: Input, lab: Lab, faults: Sequence[str], minutes: float, record: Path) -> None:
    """Drill until all is done or the time is over, and keep the record; what ends it early is told."""
    nodes, site, watchers = prepare(given.cloud(), connector(given.loaded, lab), lab, given.secrets)
    turns = [read_wishes(text, site.facts) for text in faults]
    recorder = Recorder(record)
    try:
        told = await asyncio.to_thread(about, given)
        run = Drill(nodes, site, watchers, recorder.add, Permission(in_lab=True), _tell, about=told)
        await run.run(turns, seconds=minutes * 60)
    except FindingsError as error:
        for finding in error.findings:
            _tell(f"ended early: {message_for(finding)}")
    finally:
        recorder.close()
        await nodes.close()


def _tell(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr)


def faults_at(service: str) -> list[str]:
    """Return what is done to a service and to the node where its clients go; to the database's node only the latter."""
    return [f"{name}:{service}" for name in (*(OF_SERVICE if service == IMAGES else ()), *OF_NODE)]


def record_of(shape: str, at: str) -> Path:
    """Return where the record of a shape is kept."""
    return RECORDS / f"{shape}-{at}.jsonl.gz"


async def shape_drilled(shape: str, spec: Path, at: str, runs: int, minutes: float) -> None:
    """Bring a shape up, drill it, take it down, and keep the record."""
    loaded = load_spec(spec)
    make_missing(loaded, required_secrets(loaded.spec, load_catalog(), release_named(loaded.spec.release)))
    given = read_input(spec)
    record, growing = record_of(shape, at), RECORDS / f"{shape}-growing.jsonl.gz"
    growing.unlink(missing_ok=True)
    try:
        lab, _ = bring_up_lab(given)
        async with reach(loaded, live=False) as reached:
            await apply_quietly(given, reached)
        _tell(f"{shape}: applied")
        await drilled(given, lab, faults_at(at) * runs, minutes, growing)
        growing.replace(record)
    finally:
        take_down(loaded.spec.cloud)


def history_of(record: Path) -> History:
    """Return a record without the images that were written: here they are on one node's own disk, and go with it."""

    def by_writer(event: Event) -> bool:
        client = (
            event.values.get("client") if isinstance(event, Observation) else getattr(event, "client", "")
        )
        return client == WRITER

    return History.of(event for event in read_history(record).events if not by_writer(event))


def kept(shape: str, at: str) -> Judgement | None:
    """Return what an earlier run has measured of a shape, if it has."""
    record = record_of(shape, at)
    return judge(history_of(record)) if record.exists() else None


def rows_of(found: Mapping[str, Judgement]) -> list[dict[str, object]]:
    """Return the runs of all shapes for each fault and service; none unless there are ours and the guides'."""
    if not {OURS, GUIDE} <= found.keys():
        return []
    guide = found[GUIDE].outcomes
    rows = side_by_side(found[OURS].outcomes, guide)
    if BALANCED in found:
        too = {(row["fault"], row["service"]): row for row in side_by_side(found[BALANCED].outcomes, guide)}
        for row in rows:
            if other := too.get((row["fault"], row["service"])):
                row.update(balanced=other["ours"], balanced_ratio=other["ratio"])
    return rows


def failed_requests(judged: Judgement) -> dict[str, dict[str, int]]:
    """Return by fault how many requests the clients of the Image API made while it stood, and how many failed.

    ``failed_again``: for a client that tries once more after half a second.
    """
    total: dict[str, dict[str, int]] = {}
    for outcome in judged.outcomes:
        sums = total.setdefault(outcome.fault, {"requests": 0, "failed": 0, "unknown": 0, "failed_again": 0})
        for client in outcome.clients:
            if client.figures.service == IMAGES:
                sums["requests"] += client.figures.operations
                sums["failed"] += client.figures.failed
                sums["unknown"] += client.figures.unknown
                sums["failed_again"] += client.figures.failed_again
    return total


def document(found: Mapping[str, Judgement], options: argparse.Namespace) -> dict[str, object]:
    """Return the result as plain data."""
    at_database = {shape: judged for shape in SHAPES if (judged := kept(shape, DATABASE)) is not None}
    return {
        "machine": machine(),
        "command": "python -m benchmarks.failover " + " ".join(sys.argv[1:]),
        "services": list(options.services),
        "verdicts": {
            shape: {
                one.question: {"answer": one.answer, "details": list(one.details)} for one in judged.verdicts
            }
            for shape, judged in found.items()
        },
        "failed_requests": {shape: failed_requests(judged) for shape, judged in found.items()},
        "outages": [
            *rows_of(found),
            *(
                row | {"fault": f"{row['fault']}:{DATABASE}"}
                for row in rows_of(at_database)
                if row["fault"] in OF_NODE
            ),
        ],
    }


def main() -> None:
    """Measure both shapes and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("services", nargs="*", default=list(SERVICES))
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--minutes", type=float, default=MINUTES, help="for the faults of each shape")
    parser.add_argument(
        "--only", choices=tuple(SHAPES), help="measure one shape, and take the records kept of the others"
    )
    parser.add_argument("--database", action="store_true", help="strike the database's node; see above")
    options = parser.parse_args()
    at = DATABASE if options.database else IMAGES
    options.services = options.services or list(SERVICES)
    for shape, source in SHAPES.items():
        if options.only in (None, shape):
            spec = cut_down(shape, source, options.services)
            asyncio.run(shape_drilled(shape, spec, at, options.runs, options.minutes))
    found = {shape: judged for shape in SHAPES if (judged := kept(shape, IMAGES)) is not None}
    if not {OURS, GUIDE} <= found.keys():
        return
    result = document(found, options)
    RESULT.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    history = history_of(record_of(OURS, IMAGES))
    page = drill_page(history, found[OURS], "Failover, ours beside the guides'", found[GUIDE])
    RESULT.with_suffix(".html").write_text(page, encoding="utf-8")
    print(json.dumps(result["outages"], indent=2))


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        main()
