"""The figures of the Image API example on the real lab, written as JSON.

Run as root from the root of the repository: ``python -m benchmarks.image_api [RUNS]``. A lab of its own is brought up
from the cached image, the example is applied, ``plan`` and ``apply`` are timed against three live nodes with nothing
to change, then the active node loses power RUNS times while a client lists images at 20 Hz. The result is written to
``benchmarks/results/image-api.json``.
"""

import asyncio
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from understudy.catalog.load import load_catalog
from understudy.catalog.releases import release_named
from understudy.cli.demo import apply_quietly, lose_power
from understudy.cli.inputs import Input, read_input
from understudy.cli.lab import bring_up_lab
from understudy.cli.reach import reach
from understudy.cli.secrets import make_missing
from understudy.design.make import required_secrets
from understudy.drill.breakdown import summed
from understudy.drill.judge import outcomes
from understudy.kinds import pacemaker
from understudy.lab.client import Lab
from understudy.lab.lifecycle import take_down
from understudy.lab.processes import in_pid_namespace_of
from understudy.spec.load import load_spec

RUNS = 5
TIMINGS = 7
NAME = "benchmark-image-api"
EXAMPLE = Path("examples/image-api.yaml")
RESULT = Path("benchmarks/results/image-api.json")
HEALTHY_SECONDS = 180
CLIENT = "images"


def spread(figures: Sequence[float]) -> dict[str, float | int]:
    """Return median, least and most."""
    return {
        "median": round(statistics.median(figures), 3),
        "min": round(min(figures), 3),
        "max": round(max(figures), 3),
        "runs": len(figures),
    }


def machine() -> dict[str, object]:
    """Describe where this ran."""
    model = next(
        (line for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line), ""
    )
    memory = Path("/proc/meminfo").read_text().split()[1]
    return {
        "processor": model.partition(":")[2].strip(),
        "cores": len(
            [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("processor")]
        ),
        "memory_gib": round(int(memory) / 1024**2, 1),
        "kernel": platform.release(),
        "load_before": Path("/proc/loadavg").read_text().split()[0],
        "date": datetime.now(UTC).date().isoformat(),
    }


def timed(command: Sequence[str]) -> float:
    """Run a command that has to succeed and return its seconds."""
    begun = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: {done.stdout}{done.stderr}")
    return time.monotonic() - begun


def memory_mib(lab: Lab) -> float:
    """Return the proportional share of memory of all processes of all nodes."""
    total = 0
    for node in lab.status().nodes.values():
        for pid in in_pid_namespace_of(node.pid) if node.pid else ():
            try:
                lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            except OSError:
                continue
            total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return round(total / 1024, 1)


async def power_losses(given: Input, lab: Lab, runs: int) -> list[dict[str, object]]:
    """Cut the active node's power so many times, with everything healthy in between."""
    results = []
    for number in range(1, runs + 1):
        async with reach(given.loaded, live=False) as reached:
            await pacemaker.wait_online(reached.world, list(given.loaded.spec.nodes), HEALTHY_SECONDS)
            await pacemaker.wait_running(reached.world, list(given.loaded.spec.services), HEALTHY_SECONDS)
        history = await lose_power(given, lab)
        outcome = outcomes(history)[0]
        seen = outcome.client(CLIENT)
        if seen is None or seen.longest is None:
            raise SystemExit("the client noticed nothing: the run says nothing")
        result = {
            "died": list(outcome.died),
            "outage_seconds": round(seen.figures.total, 3),
            "precision_seconds": round(seen.figures.precision, 3),
            "seconds_by_phase": {name: round(value, 3) for name, value in summed(seen.phases).items()},
            "starts": {
                f"{span.subject}": round(span.seconds or 0, 3) for span in seen.phases if span.name == "start"
            },
        }
        print(f"power loss {number}: {result['outage_seconds']} s", file=sys.stderr)
        results.append(result)
    return results


async def without_changes(spec: Path) -> dict[str, object]:
    """Time ``plan`` and ``apply`` with nothing to change."""
    program = str(Path(sys.executable).with_name("understudy"))
    figures: dict[str, object] = {}
    for verb in ("plan", "apply"):
        command = [program, verb, str(spec)]
        await asyncio.to_thread(timed, command)
        figures[f"{verb}_without_changes_seconds"] = spread(
            [await asyncio.to_thread(timed, command) for _ in range(TIMINGS)]
        )
    return figures


async def measure(spec: Path, runs: int) -> dict[str, object]:
    """Take all figures."""
    loaded = load_spec(spec)
    given = read_input(spec)
    figures: dict[str, object] = {"machine": machine(), "command": f"python -m benchmarks.image_api {runs}"}
    begun = time.monotonic()
    lab, _ = bring_up_lab(given)
    figures["lab_up_seconds"] = round(time.monotonic() - begun, 2)
    figures["lab_memory_mib_booted"] = memory_mib(lab)
    begun = time.monotonic()
    async with reach(loaded, live=False) as reached:
        await apply_quietly(given, reached)
    figures["first_apply_seconds"] = round(time.monotonic() - begun, 2)
    figures["lab_memory_mib_applied"] = memory_mib(lab)
    figures |= await without_changes(spec)
    losses = await power_losses(given, lab, runs)
    figures["power_loss_outage_seconds"] = spread([float(str(one["outage_seconds"])) for one in losses])
    figures["power_losses"] = losses
    return figures


def main() -> None:
    """Measure and write the result."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else RUNS
    with tempfile.TemporaryDirectory() as folder:
        spec = Path(folder) / "cloud.yaml"
        spec.write_text(EXAMPLE.read_text().replace("cloud: image-api", f"cloud: {NAME}"))
        loaded = load_spec(spec)
        make_missing(
            loaded, required_secrets(loaded.spec, load_catalog(), release_named(loaded.spec.release))
        )
        try:
            figures = asyncio.run(measure(spec, runs))
        finally:
            take_down(NAME)
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps({key: value for key, value in figures.items() if key != "power_losses"}, indent=2))


if __name__ == "__main__":
    main()
