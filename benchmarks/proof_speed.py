"""Scenarios a second, beside one ``crm_simulate`` process a scenario in the same run; cost by nodes and resources.

python -m benchmarks.proof_speed [--pairs] [--examples] [--growth] [--json FILE]
"""

import argparse
import json
import os
import resource
import subprocess
import tempfile
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.proof_inputs import control_plane
from lxml import etree

from understudy.cli import proving
from understudy.cli.inputs import read_input
from understudy.proof.configuration import Configuration, read_configuration
from understudy.proof.play import Player
from understudy.proof.prove import prove
from understudy.proof.result import Options
from understudy.proof.runner.command import CommandScheduler
from understudy.proof.scenarios import Fault, atomic

SAMPLE = 16
REPEATS = 5
GROWTH_NODES = (3, 5, 9, 16)
GROWTH_RESOURCES = (25, 100, 400)
LIMIT = 180.0
GROWTH_SECONDS = 20.0
EXAMPLES = ("control-plane", "guide-control-plane")


def naive(cib: str) -> dict[str, Any]:
    """Time one ``crm_simulate --simulate`` process for each of a sample of single faults."""
    root = etree.fromstring(cib)
    facts = read_configuration(root)
    player = Player(root, facts, CommandScheduler(), slim=False)
    running = player.baseline.running()
    faults = [fault for fault in atomic(facts, running) if fault.kind in ("node-lost", "monitor")]
    sample = faults[:: max(len(faults) // SAMPLE, 1)][:SAMPLE]
    environment = {**os.environ, "LC_ALL": "C", "CIB_shadow_dir": tempfile.gettempdir()}
    begun, done, used = time.monotonic(), 0, processor_seconds()
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "cib.xml"
        source.write_bytes(player.text(player.baseline))
        for fault in sample:
            injected = ["--node-fail", fault.node] if not fault.resource else _failure(fault, facts, running)
            command = ["crm_simulate", "--simulate", "--quiet", "--xml-file", str(source), *injected]
            subprocess.run(command, capture_output=True, check=False, env=environment, timeout=LIMIT)
            done += 1
            if time.monotonic() - begun > LIMIT / 3:
                break
    seconds = time.monotonic() - begun
    return {
        "scenarios": done,
        "seconds": round(seconds, 3),
        "processor_seconds": round(processor_seconds() - used, 3),
        "per_second": round(done / seconds, 2),
    }


def processor_seconds() -> float:
    """Return the processor time used so far, ended child processes included: on a busy machine the fairer measure."""
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def _failure(fault: Fault, facts: Configuration, running: Mapping[str, Mapping[str, str]]) -> list[str]:
    node = fault.node or next(iter(running[fault.resource]))
    operations = facts.resources[fault.resource].operations
    interval = next((item.interval for item in operations if item.name == "monitor"), 0)
    return ["--op-inject", f"{fault.resource}_monitor_{interval}@{node}=7"]


def ours(cib: str, faults: int, *, equivalence: bool = True) -> dict[str, Any]:
    """Time a whole proof, from the text to the verdict."""
    used = processor_seconds()
    proof = prove(cib.encode(), "benchmark", Options(faults=faults, equivalence=equivalence, limit=LIMIT))
    return {
        "scenarios": proof.played,
        "equivalent": proof.equivalent,
        "scheduled": proof.scheduled,
        "violations": len(proof.violations),
        "mode": proof.mode,
        "seconds": proof.seconds,
        "processor_seconds": round(processor_seconds() - used, 3),
        "per_second": round(proof.played / proof.seconds, 1),
    }


def compare(cib: str, faults: int, repeats: int = REPEATS, *, every: bool = True) -> dict[str, Any]:
    """Time both ways one after the other, under the same load of the machine; ours several times, for its spread."""
    before = naive(cib)
    runs = sorted((ours(cib, faults) for _ in range(repeats)), key=lambda run: float(run["seconds"]))
    found: dict[str, Any] = {
        "ours": runs[len(runs) // 2],
        "seconds of each run": [run["seconds"] for run in runs],
    }
    if every:
        found["every scenario played"] = ours(cib, faults, equivalence=False)
    after = naive(cib)
    rate = (before["scenarios"] + after["scenarios"]) / (before["seconds"] + after["seconds"])
    cost = (before["processor_seconds"] + after["processor_seconds"]) / (
        before["scenarios"] + after["scenarios"]
    )
    return {
        **found,
        "times_less_processor_time": round(
            cost * found["ours"]["scenarios"] / found["ours"]["processor_seconds"], 1
        ),
        "crm_simulate": {"before": before, "after": after, "per_second": round(rate, 2)},
        "times_faster": round(found["ours"]["per_second"] / rate, 1),
    } | (
        {"times_faster_every_scenario_played": round(found["every scenario played"]["per_second"] / rate, 1)}
        if every
        else {}
    )


def examples(*, pairs: bool) -> dict[str, Any]:
    """Time what a plan waits for: every single failure of our examples, and on request every ordered pair."""
    found: dict[str, Any] = {}
    for name in EXAMPLES:
        path = Path(__file__).parents[1] / "examples" / f"{name}.yaml"
        cib = proving.designed(read_input(path, with_secrets=False))[0].decode()
        found[f"{name}, single faults"] = compare(cib, 1)
        if pairs:
            found[f"{name}, ordered pairs"] = compare(cib, 2, repeats=1, every=False)
    return found


def growth() -> list[dict[str, Any]]:
    """Time single faults for growing clusters; what takes too long is broken off, and told by how far it came."""
    rows = []
    for resources in GROWTH_RESOURCES:
        for nodes in GROWTH_NODES:
            services = max((resources - nodes - 6) // 3, 1)
            rows.append({"nodes": nodes, "primitives": nodes + 6 + 3 * services})
            rows[-1] |= part(control_plane(nodes, services))
            print(json.dumps(rows[-1]), flush=True)
    return rows


def part(cib: str) -> dict[str, Any]:
    """Time as much of a proof as fits into the time; the first ones are those that stand for others as well."""
    begun, used = time.monotonic(), processor_seconds()

    def tell(done: int, total: int) -> None:
        if done < total and time.monotonic() - begun > GROWTH_SECONDS:
            raise KeyboardInterrupt

    proof = prove(cib.encode(), "benchmark", Options(limit=LIMIT), tell)
    return {
        "scenarios": proof.planned,
        "played": proof.played,
        "seconds": proof.seconds,
        "processor_seconds": round(processor_seconds() - used, 3),
        "per_second": round(proof.played / proof.seconds, 1),
        "broken off": proof.interrupted,
    }


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown"
    )


def main() -> None:
    """Run what was asked for and print or write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", action="store_true", help="every ordered pair of faults too")
    parser.add_argument("--examples", action="store_true", help="the control planes in examples/ too")
    parser.add_argument("--growth", action="store_true", help="3 to 16 nodes, 25 to 400 resources")
    parser.add_argument("--json", type=Path, help="write the result here")
    arguments = parser.parse_args()
    result: dict[str, Any] = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "processors": os.cpu_count(),
        "processor": _processor(),
        "load before": os.getloadavg()[0],
    }
    result["single faults, grouped"] = compare(control_plane(), 1)
    result["single faults, warm"] = compare(control_plane(warm=True), 1)
    if arguments.pairs:
        result["ordered pairs"] = compare(control_plane(), 2, repeats=1, every=False)
    if arguments.examples:
        result["examples"] = examples(pairs=arguments.pairs)
    if arguments.growth:
        result["growth"] = growth()
    result["load after"] = os.getloadavg()[0]
    text = json.dumps(result, indent=2)
    print(text)
    if arguments.json:
        arguments.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
