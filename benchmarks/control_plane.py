"""What the whole control plane takes of one machine in the lab: memory, processors, and the seconds of each command.

Run as root from the root of the repository: ``python -m benchmarks.control_plane [EXAMPLE...]``, by default
``control-plane`` and ``guide-control-plane``. Each is brought up in a lab of its own from the cached image, applied,
and left alone for a minute; then ``plan`` and ``apply`` are timed against its three live nodes with nothing to change.
The result is written to ``benchmarks/results/control-plane.json``.

Memory is the proportional share (PSS) of all processes of all nodes; processor time is what they took, monitors that
came and went included.
"""

import asyncio
import json
import os
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.image_api import machine, memory_mib, without_changes

from understudy.catalog.load import load_catalog
from understudy.catalog.releases import release_named
from understudy.cli.demo import apply_quietly
from understudy.cli.inputs import read_input
from understudy.cli.lab import bring_up_lab
from understudy.cli.reach import reach
from understudy.cli.secrets import make_missing
from understudy.design.make import required_secrets
from understudy.kinds import pacemaker
from understudy.lab.client import Lab
from understudy.lab.lifecycle import take_down
from understudy.lab.processes import in_pid_namespace_of
from understudy.spec.load import load_spec

EXAMPLES = ("control-plane", "guide-control-plane")
RESULT = Path("benchmarks/results/control-plane.json")
TIMINGS = 7
REST_SECONDS = 60
HEALTHY_SECONDS = 240
PROMISED_GIB = 12
TICKS = os.sysconf("SC_CLK_TCK")


def processes(lab: Lab) -> list[int]:
    """Return all processes of all nodes."""
    nodes = lab.status().nodes.values()
    return [pid for node in nodes if node.pid for pid in in_pid_namespace_of(node.pid)]


def processor_seconds(lab: Lab) -> float:
    """Return the processor time that the nodes' processes and their ended children have taken so far."""
    total = 0
    for pid in processes(lab):
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += sum(map(int, fields[11:15]))  # proc(5): utime, stime, cutime, cstime
    return total / TICKS


def at_rest(lab: Lab) -> float:
    """Return how many processors are busy while nobody asks anything."""
    begun, before = time.monotonic(), processor_seconds(lab)
    time.sleep(REST_SECONDS)
    return round((processor_seconds(lab) - before) / (time.monotonic() - begun), 3)


async def measure(spec: Path) -> dict[str, object]:
    """Take all figures of one example."""
    loaded, given = load_spec(spec), read_input(spec)
    figures: dict[str, object] = {"machine": machine()}
    begun = time.monotonic()
    lab, _ = bring_up_lab(given)
    figures["lab_up_seconds"] = round(time.monotonic() - begun, 2)
    figures["memory_mib_booted"] = memory_mib(lab)
    begun = time.monotonic()
    async with reach(loaded, live=False) as reached:
        await apply_quietly(given, reached)
        figures["first_apply_seconds"] = round(time.monotonic() - begun, 2)
        await pacemaker.wait_running(reached.world, list(loaded.spec.services), HEALTHY_SECONDS)
    applied = memory_mib(lab)
    figures["processors_busy_at_rest"] = await asyncio.to_thread(at_rest, lab)
    figures["memory_mib_applied"] = applied
    figures["memory_mib_at_rest"] = memory_mib(lab)
    figures["processes"] = len(processes(lab))
    figures["fits"] = bool(memory_mib(lab) < PROMISED_GIB * 1024)
    figures |= await without_changes(spec)
    return figures


def of_example(example: str) -> dict[str, object]:
    """Bring one example up under a name of its own, measure it and take it down."""
    name = f"benchmark-{example}"
    with tempfile.TemporaryDirectory() as folder:
        spec = Path(folder) / "cloud.yaml"
        text = Path(f"examples/{example}.yaml").read_text()
        spec.write_text(text.replace(f"\ncloud: {example}\n", f"\ncloud: {name}\n"))
        os.environ["XDG_STATE_HOME"] = folder
        loaded = load_spec(spec)
        names = required_secrets(loaded.spec, load_catalog(), release_named(loaded.spec.release))
        make_missing(loaded, names)
        try:
            return asyncio.run(measure(spec))
        finally:
            take_down(name)


def main() -> None:
    """Measure and write the result."""
    examples = sys.argv[1:] or list(EXAMPLES)
    figures: dict[str, object] = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    for example in examples:
        figures[example] = {
            "command": f"python -m benchmarks.control_plane {example}",
            **of_example(example),
        }
        RESULT.write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
