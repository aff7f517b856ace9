"""Failover of the guides' configuration and of ours, beside each other: the same faults, clients, lab and machine.

Run as root from the root of the repository: ``python -m benchmarks.failover [--at SCENE] [--runs N] [--minutes M]``.
For each shape a lab is brought up, the spec applied and drilled, fault after fault, N times or for M minutes: the
guides', ours with ``warm`` APIs, and ours with ``balanced`` ones. Scenes: ``image``, the Image API and its node;
``apis``, Block Storage and Networking API and their node; ``database``, the database's node.
All specs are those of ``examples/``, cut down to what the scene needs. The Image API has no shared storage in any, as
where images are in an object store: only then may it run everywhere. The result, of all scenes whose records are kept
below ``build/``, is written to ``benchmarks/results/failover.json``.
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
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
from understudy.drill.judge import FaultOutcome
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
IMAGES, WRITER = "glance-api", "image-written"
OF_SERVICE = ("process-killed", "process-hung")
OF_NODE = ("power-loss", "cluster-cut")


@dataclass(frozen=True)
class Scene:
    """What is struck: services, one after the other, and the node where clients of one go, whose address moves, too."""

    services: tuple[str, ...]
    at: str
    struck: tuple[str, ...] = ()

    @property
    def faults(self) -> list[str]:
        """Return one turn of what is done."""
        moves = ("move",) if self.struck else ()
        return [
            *(f"{name}:{service}" for service in self.struck for name in OF_SERVICE),
            *(f"{name}:{self.at}" for name in (*moves, *OF_NODE)),
        ]


IMAGE, APIS, DATABASE = "image", "apis", "database"
SMALL = ("mariadb", "keystone", IMAGES)
VOLUMES, NETWORKS = "cinder-api", "neutron-server"
SCENES = {
    IMAGE: Scene(SMALL, IMAGES, (IMAGES,)),
    APIS: Scene(
        (
            "mariadb",
            "rabbitmq",
            "memcached",
            "keystone",
            VOLUMES,
            "cinder-scheduler",
            "cinder-volume",
            NETWORKS,
        ),
        VOLUMES,
        (VOLUMES, NETWORKS),
    ),
    DATABASE: Scene(SMALL, "mariadb"),
}
RESULT = Path("benchmarks/results/failover.json")
RECORDS = Path("build/failover")
COUNTED = {
    "requests": "operations",
    "failed": "failed",
    "unknown": "unknown",
    "failed_again": "failed_again",
}
RUNS = 10
MINUTES = 60.0


def cut_down(shape: str, source: Path, services: Sequence[str]) -> Path:
    """Write a spec with these services only, and without what none of them uses; return its path."""
    yaml = YAML(typ="safe")
    spec: dict[str, Any] = yaml.load(source.read_text(encoding="utf-8"))
    kept = {name: dict(spec["services"][name]) for name in services if name in spec["services"]}
    if IMAGES in kept:
        kept[IMAGES].pop("storage", None)
    if standby := STANDBY.get(shape):
        for name in {"keystone", IMAGES, VOLUMES, NETWORKS} & kept.keys():
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


def record_of(shape: str, scene: str) -> Path:
    """Return where the record of a shape is kept."""
    return RECORDS / f"{shape}-{scene}.jsonl.gz"


async def shape_drilled(shape: str, scene: str, runs: int, minutes: float) -> None:
    """Bring a shape up, drill it, take it down, and keep the record."""
    spec = cut_down(shape, SHAPES[shape], SCENES[scene].services)
    loaded = load_spec(spec)
    make_missing(loaded, required_secrets(loaded.spec, load_catalog(), release_named(loaded.spec.release)))
    given = read_input(spec)
    record, growing = record_of(shape, scene), RECORDS / f"{shape}-growing.jsonl.gz"
    growing.unlink(missing_ok=True)
    try:
        lab, _ = bring_up_lab(given)
        async with reach(loaded, live=False) as reached:
            await apply_quietly(given, reached)
        _tell(f"{shape}: applied")
        await drilled(given, lab, SCENES[scene].faults * runs, minutes, growing)
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


def kept(scene: str) -> dict[str, Judgement]:
    """Return by shape what has been measured of a scene."""
    records = {shape: record_of(shape, scene) for shape in SHAPES}
    return {shape: judge(history_of(record)) for shape, record in records.items() if record.exists()}


def meant_for(service: str, judged: Judgement) -> list[FaultOutcome]:
    """Return the faults that say something about a service: not those that struck a process of another."""
    return [one for one in judged.outcomes if one.fault not in OF_SERVICE or one.service == service]


def rows_of(scene: str, found: Mapping[str, Judgement]) -> list[dict[str, object]]:
    """Return the runs of all shapes for each fault and service; none unless there are ours and the guides'."""
    if not {OURS, GUIDE} <= found.keys():
        return []
    rows: list[dict[str, object]] = []
    for service in SCENES[scene].services:
        outcomes = {shape: meant_for(service, judged) for shape, judged in found.items()}
        guide = outcomes.pop(GUIDE)
        sides = {
            shape: {row["fault"]: row for row in side_by_side(own, guide) if row["service"] == service}
            for shape, own in outcomes.items()
        }
        for fault, row in sides[OURS].items():
            other = sides.get(BALANCED, {}).get(fault)
            more = {"balanced": other["ours"], "balanced_ratio": other["ratio"]} if other else {}
            rows.append({"scene": scene, **row, **more})
    return rows


def failed_requests(scene: str, judged: Judgement) -> dict[str, dict[str, dict[str, int]]]:
    """Return by service and fault how many requests its clients made while it stood, and how many failed.

    ``failed_again``: for a client that tries once more after half a second.
    """
    total: dict[str, dict[str, dict[str, int]]] = {}
    for service in SCENES[scene].struck:
        of_service = total.setdefault(service, {})
        for outcome in meant_for(service, judged):
            sums = of_service.setdefault(outcome.fault, dict.fromkeys(COUNTED, 0))
            for client in outcome.clients:
                if client.figures.service == service:
                    for name, attribute in COUNTED.items():
                        sums[name] += getattr(client.figures, attribute)
    return total


def document(found: Mapping[str, Mapping[str, Judgement]]) -> dict[str, object]:
    """Return the result as plain data."""
    return {
        "machine": machine(),
        "command": "python -m benchmarks.failover --at SCENE",
        "scenes": {
            scene: {
                shape: {
                    "faults": len(judged.outcomes),
                    "verdicts": {one.question: [one.answer, *one.details] for one in judged.verdicts},
                    "failed_requests": failed_requests(scene, judged),
                }
                for shape, judged in of_scene.items()
            }
            for scene, of_scene in found.items()
            if of_scene
        },
        "outages": [row for scene, of_scene in found.items() for row in rows_of(scene, of_scene)],
    }


def main() -> None:
    """Measure both shapes and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--at", choices=tuple(SCENES), default=IMAGE, help="what is struck")
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--minutes", type=float, default=MINUTES, help="for the faults of each shape")
    parser.add_argument(
        "--only", choices=tuple(SHAPES), help="measure one shape, and take the records kept of the others"
    )
    parser.add_argument(
        "--written", action="store_true", help="measure nothing; write the result of what is kept"
    )
    options = parser.parse_args()
    for shape in () if options.written else SHAPES:
        if options.only in (None, shape):
            asyncio.run(shape_drilled(shape, options.at, options.runs, options.minutes))
    found = {scene: kept(scene) for scene in SCENES}
    if not {OURS, GUIDE} <= found[IMAGE].keys():
        return
    result = document(found)
    RESULT.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    history = history_of(record_of(OURS, IMAGE))
    page = drill_page(history, found[IMAGE][OURS], "Failover, ours beside the guides'", found[IMAGE][GUIDE])
    RESULT.with_suffix(".html").write_text(page, encoding="utf-8")
    print(json.dumps(result["outages"], indent=2))


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        main()
