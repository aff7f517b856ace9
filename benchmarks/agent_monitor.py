"""What a monitor of each resource agent costs, in milliseconds of CPU, written as JSON.

Run from the root of the repository: ``python -m benchmarks.agent_monitor [RUNS]``. Each agent monitors a fake daemon
whose database and message broker answer; beside it stand the bare start of the interpreter that agents run on, and
``ocf:heartbeat:Dummy``, from this machine or, as root, from the lab's image. The result is written to
``benchmarks/results/agent-monitor.json``.
"""

import contextlib
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.image_api import machine
from tests.agents.conftest import (
    Agent,
    BrokerHandler,
    FakeServer,
    MysqlHandler,
    agent_data,
    deploy,
    make_agent,
)

from understudy.lab.image import IMAGES

RUNS = 25
PYTHON = "/usr/bin/python3"
DUMMY = "/usr/lib/ocf/resource.d/heartbeat/Dummy"
RESULT = Path("benchmarks/results/agent-monitor.json")


def cpu_ms() -> float:
    """Return the CPU time of all children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (used.ru_utime + used.ru_stime) * 1000


def measure(
    command: Sequence[str], environment: Mapping[str, str], runs: int, expected: int = 0
) -> dict[str, float]:
    """Return median, least and most of the runs."""
    figures = []
    for _ in range(runs):
        before = cpu_ms()
        done = subprocess.run(command, env=environment, capture_output=True, timeout=60, check=False)
        figures.append(cpu_ms() - before)
        if done.returncode != expected:
            raise SystemExit(f"{command}: {done.returncode}: {done.stderr.decode()}")
    middle = statistics.median(figures)
    return {"median": round(middle, 2), "min": round(min(figures), 2), "max": round(max(figures), 2)}


def dummy() -> list[str]:
    """Return the command of the shell agent's monitor; empty where there is none."""
    if Path(DUMMY).exists():
        return [DUMMY, "monitor"]
    images = sorted(IMAGES.glob("[!.]*")) if os.geteuid() == 0 and IMAGES.is_dir() else []
    return ["chroot", str(images[-1]), DUMMY, "monitor"] if images else []


def options(data: Mapping[str, Any], database: FakeServer, broker: FakeServer) -> tuple[str, str]:
    """Return the options of [DEFAULT] and the rest that point a service at the fakes."""
    needs = data.get("dependencies", {})
    url = f"mysql+pymysql://user:verysecret@127.0.0.1:{database.port}/service"
    sections = needs.get("database", [])
    rest = "".join(f"[{section}]\nconnection = {url}\n" for section in sections)
    transport = f"transport_url = rabbit://user:verysecret@127.0.0.1:{broker.port}/"
    return (
        transport if "messaging" in needs else ""
    ), rest + "[oslo_messaging_notifications]\ndriver = messagingv2\n"


@contextlib.contextmanager
def running(agent: Agent, data: Mapping[str, Any]) -> Iterator[None]:
    """Run the fake daemon of an agent."""
    if "listen" in data:
        agent.parameters |= {"bind_host": "127.0.0.1", "bind_port": str(agent.port)}
    agent.parameters["launch"] = "console" if "console" in data["launch"] else next(iter(data["launch"]))
    for name in ("plugin_config", "agent_config", "uwsgi_ini"):
        agent.parameters[name] = agent.parameters["config"]
    started = agent.run("start", timeout=30)
    if started.code:
        raise SystemExit(started.err)
    try:
        yield
    finally:
        agent.run("stop")
        agent.clean_up()


def main() -> None:
    """Measure and write the result."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else RUNS
    results = {"python3 -IS -c pass": measure([PYTHON, "-IS", "-c", "pass"], os.environ, runs)}
    if dummy():
        environment = {**os.environ, "OCF_ROOT": "/usr/lib/ocf", "OCF_RESOURCE_INSTANCE": "benchmark"}
        results["ocf:heartbeat:Dummy"] = measure(dummy(), environment, runs, expected=7)
    services = agent_data()
    database, broker = FakeServer(MysqlHandler), FakeServer(BrokerHandler)
    with tempfile.TemporaryDirectory() as scratch:
        root = deploy(Path(scratch) / "ocf", services)
        for name, data in services.items():
            if "launch" not in data:
                continue  # it runs no daemon that could be monitored
            directory = Path(scratch) / name
            directory.mkdir()
            agent = make_agent(name, root, directory)
            default, rest = options(data, database, broker)
            accepted = data.get("serving", {}).get("accept", [200])
            agent.write_config(
                listen="listen" in data, default=default, extra=rest, status=accepted[0], hold=broker.port
            )
            with running(agent, data):
                results[f"ocf:openstack:{name}"] = measure(*agent.command("monitor"), runs)
    figures = {
        "machine": machine(),
        "command": f"python -m benchmarks.agent_monitor {runs}",
        "unit": "ms of CPU (user and system)",
        "runs": runs,
        "results": results,
    }
    RESULT.write_text(json.dumps(figures, indent=1) + "\n")
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
