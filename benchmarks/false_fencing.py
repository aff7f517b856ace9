"""Whether a node is fenced only because its machine is busy: the Image API example with both cores saturated, as JSON.

Run as root from the root of the repository: ``python -m benchmarks.false_fencing [--minutes M] [--tokens MS ...]``. A
lab of its own is brought up and the example applied. In every node BURNERS processes count for so many minutes, which
with three nodes on one machine is several times what its cores can do. What was fenced, failed and started anew
meanwhile is counted, and how often Corosync says that it did not come to run in time. The result is written to
``benchmarks/results/false-fencing.json``.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from benchmarks.image_api import EXAMPLE, machine

from understudy.catalog.load import load_catalog
from understudy.catalog.releases import release_named
from understudy.cli.demo import apply_quietly
from understudy.cli.inputs import Input, read_input
from understudy.cli.lab import bring_up_lab
from understudy.cli.reach import reach
from understudy.cli.secrets import make_missing
from understudy.design.make import required_secrets
from understudy.kinds import pacemaker
from understudy.lab.client import Lab
from understudy.lab.lifecycle import take_down
from understudy.spec.load import load_spec

NAME = "benchmark-false-fencing"
RESULT = Path("benchmarks/results/false-fencing.json")
MINUTES = 5.0
TOKENS = (1000,)
BURNERS = 4
SERVICES = ("mariadb", "keystone", "glance-api")
HEALTHY_SECONDS = 180
LOG = "/var/log/corosync/corosync.log"
COUNTED = {
    "memberships": "A new membership",
    "corosync_came_late": "was not scheduled for",
    "tokens_lost": "A processor failed",
}


def pids(lab: Lab) -> dict[str, str]:
    """Return the main process of each service, with its node."""
    found = {}
    for node in lab.topology.nodes:
        for service in SERVICES:
            file = "/run/mysqld/mysqld.pid" if service == "mariadb" else f"/run/resource-agents/{service}.pid"
            seen = lab.run_in(node, ["sh", "-c", f"cat {file} 2>/dev/null"]).stdout.strip()
            if seen:
                found[f"{service} on {node}"] = seen
    return found


def logged(lab: Lab) -> dict[str, int]:
    """Return how often Corosync has logged each thing, on all nodes together."""
    counts = dict.fromkeys(COUNTED, 0)
    for node in lab.topology.nodes:
        text = lab.run_in(node, ["cat", LOG]).stdout
        for name, words in COUNTED.items():
            counts[name] += text.count(words)
    return counts


@contextmanager
def saturated(lab: Lab) -> Iterator[None]:
    """Keep every node busy."""
    start = f"for i in $(seq {BURNERS}); do setsid sh -c 'while :; do :; done' >/dev/null & echo $!; done"
    running = {
        node: lab.run_in(node, ["sh", "-c", f"({start}) </dev/null 2>/dev/null"]).stdout.split()
        for node in lab.topology.nodes
    }
    try:
        yield
    finally:
        for node, burners in running.items():
            lab.run_in(node, ["kill", "-9", *burners])


def watched(lab: Lab, minutes: float) -> Mapping[str, object]:
    """Saturate the machine, and count what the cluster did about it."""
    before, logs, begun = pids(lab), logged(lab), time.time()
    with saturated(lab):
        time.sleep(minutes * 60)
        load = os.getloadavg()[0]
        after, now = pids(lab), logged(lab)
    fenced = [
        event["node"] for event in lab.events() if event["event"] == "bmc-reset" and _since(event, begun)
    ]
    failed = lab.run_in(next(iter(lab.topology.nodes)), ["crm_mon", "-1", "--include=none,failures"]).stdout
    return {
        "minutes": minutes,
        "burners": BURNERS * len(lab.topology.nodes),
        "load": round(load, 1),
        "nodes_fenced": fenced,
        "services_started_anew": sorted(name for name, pid in before.items() if after.get(name) != pid),
        "failed_operations": [line.strip() for line in failed.splitlines() if line.startswith("  * ")],
        **{name: now[name] - logs[name] for name in COUNTED},
    }


def _since(event: Mapping[str, object], begun: float) -> bool:
    return float(str(event["time"])) > begun


async def applied(given: Input) -> None:
    """Apply the spec to its lab and wait until all of it runs."""
    async with reach(given.loaded, live=False) as reached:
        await apply_quietly(given, reached)
        await pacemaker.wait_online(reached.world, list(given.loaded.spec.nodes), HEALTHY_SECONDS)
        await pacemaker.wait_running(reached.world, list(given.loaded.spec.services), HEALTHY_SECONDS)


def main() -> None:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=MINUTES)
    parser.add_argument("--tokens", type=int, nargs="+", default=list(TOKENS), help="in milliseconds")
    options = parser.parse_args()
    result: dict[str, object] = {
        "machine": machine(),
        "command": f"python -m benchmarks.false_fencing {' '.join(sys.argv[1:])}",
    }
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_STATE_HOME"] = folder
        spec = Path(folder) / "cloud.yaml"
        try:
            for token in options.tokens:
                text = EXAMPLE.read_text().replace(
                    "cloud: image-api", f"cloud: {NAME}\ncorosync: {{token: {token}}}"
                )
                spec.write_text(text)
                loaded = load_spec(spec)
                release = release_named(loaded.spec.release)
                make_missing(loaded, required_secrets(loaded.spec, load_catalog(), release))
                given = read_input(spec)
                lab, _ = bring_up_lab(given)
                asyncio.run(applied(given))
                result[f"token {token} ms"] = watched(lab, options.minutes)
                print(json.dumps(result[f"token {token} ms"]), file=sys.stderr)
        finally:
            take_down(NAME)
    RESULT.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        main()
