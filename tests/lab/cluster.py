"""A cloud in a lab, worked on through the command line alone, and what tests do with it."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from understudy.cli.demo import ImageClient
from understudy.lab.client import Lab
from understudy.lab.lifecycle import take_down
from understudy.lab.state import LABS

EXAMPLE = Path(__file__).parents[2] / "examples" / "image-api.yaml"
PROGRAM = Path(sys.executable).with_name("understudy")
COMMAND_SECONDS = 420
SETTLE_SECONDS = 240
POLL_SECONDS = 0.5
# Networks of the examples to networks that no other lab of this machine is likely to show in a log.
OTHER_NETWORKS = {
    "192.168.42.": "10.91.42.",
    "203.0.113.": "198.51.100.",
    "192.168.43.": "10.91.43.",
    "10.0.0.": "10.91.42.",
    "10.0.1.": "10.91.43.",
}

Run = subprocess.CompletedProcess[str]


@dataclass(frozen=True)
class Site:
    """A spec in a folder of its own with secrets, and where its applies are journalled."""

    spec: Path
    name: str
    state: Path

    @property
    def lab(self) -> Lab:
        lab = Lab.find(self.name)
        assert lab is not None, f"lab {self.name} is not up"
        return lab

    @property
    def nodes(self) -> list[str]:
        return list(self.lab.topology.nodes)

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "XDG_STATE_HOME": str(self.state), "COLUMNS": "200"}

    def understudy(self, *words: str, spec: Path | None = None, prefix: tuple[str, ...] = ()) -> Run:
        """Run a command of understudy on the spec, or on another version of it."""
        argv = [*prefix, str(PROGRAM), *self._with_spec(words, spec)]
        return subprocess.run(
            argv, env=self.environment, text=True, capture_output=True, timeout=COMMAND_SECONDS, check=False
        )

    def document(self, *words: str, spec: Path | None = None) -> Any:
        """Run a command with ``--json`` and return what it printed."""
        done = self.understudy(*words, "--json", spec=spec)
        assert done.stdout, done.stderr
        return json.loads(done.stdout)

    def codes(self, *words: str, spec: Path | None = None) -> tuple[int, list[str]]:
        """Run a command with ``--json`` and return its exit status and the codes of its findings."""
        done = self.understudy(*words, "--json", spec=spec)
        assert "Traceback" not in done.stderr
        return done.returncode, [finding["code"] for finding in json.loads(done.stdout)["findings"]]

    def kill_when(self, *words: str, journalled: str) -> str:
        """Run a command and kill it once its journal holds a line with a text; return the journal.

        What it had started on nodes ends there by itself; a run that looked meanwhile would see things move.
        """
        journal = self.state / "understudy" / self.name / "journal.jsonl"
        before = len(journal.read_bytes()) if journal.exists() else 0
        process = subprocess.Popen(
            [PROGRAM, *self._with_spec(words, None)],
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            deadline = time.monotonic() + COMMAND_SECONDS
            while time.monotonic() < deadline and process.poll() is None:
                written = journal.read_bytes()[before:] if journal.exists() else b""
                if journalled.encode() in written:
                    break
                time.sleep(0.02)
            assert process.poll() is None, f"it ended before {journalled}"
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait(30)
        for node in self.nodes:
            self.on(node, "while pgrep -f '[p]ython3 -IS -c' >/dev/null; do sleep 0.2; done")
        return journal.read_text()

    def _with_spec(self, words: tuple[str, ...], spec: Path | None) -> list[str]:
        at = 2 if words[0] == "lab" else 1
        return [*words[:at], str(spec or self.spec), *words[at:]]

    def variant(self, name: str, *replacements: tuple[str, str]) -> Path:
        """Write another version of the spec beside it."""
        text = self.spec.read_text(encoding="utf-8")
        for before, after in replacements:
            assert text.count(before) == 1, before
            text = text.replace(before, after)
        path = self.spec.with_name(f"{name}.yaml")
        path.write_text(text, encoding="utf-8")
        return path

    def on(self, node: str, script: str, timeout: float = 90) -> str:
        """Run a shell script in a node; it must succeed."""
        done = self.lab.run_in(node, ["sh", "-ec", script], timeout)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def addresses(self, name: str) -> dict[str, str]:
        """Return the sides of a virtual address."""
        line = re.search(rf"^  {name}: +{{(internal: .*)}}", self.spec.read_text(), re.MULTILINE)
        assert line is not None
        return dict(re.findall(r"(internal|public): ([\d.]+)", line[1]))

    def placement(self) -> dict[str, list[str]]:
        """Return on which nodes each resource runs."""
        return {each["name"]: each["nodes"] for each in self.document("status")["resources"]}

    def where(self, resource: str) -> str:
        """Return the only node on which a resource runs."""
        (node,) = self.placement()[resource]
        return node

    def idle_node(self) -> str:
        """Return a node on which no service runs."""
        placed = self.placement()
        busy = [*placed["glance-api"], *placed["mariadb"]]
        return next(node for node in reversed(self.nodes) if node not in busy)

    def pid(self, resource: str) -> str:
        """Return the process that the agent of a running resource watches."""
        return self.on(self.where(resource), f"cat /run/resource-agents/{resource}.pid").strip()

    def settle(self, wanted: Callable[[Mapping[str, Any]], bool] | None = None) -> Mapping[str, Any]:
        """Wait until the status is as wanted, healthy by default; return it."""
        deadline = time.monotonic() + SETTLE_SECONDS
        while True:
            seen: Mapping[str, Any] = self.document("status")
            if wanted(seen) if wanted else seen.get("healthy"):
                return seen
            assert time.monotonic() < deadline, json.dumps(seen, indent=1)
            time.sleep(POLL_SECONDS)

    def fenced(self, victim: str, since: float) -> bool:
        """Tell whether a node's BMC was used on it since a time (seconds since the epoch)."""
        return any(
            event["event"] == "bmc-reset" and event["node"] == victim and float(str(event["time"])) > since
            for event in self.lab.events()
        )

    def recover(self, victim: str, since: float) -> None:
        """Wait until a node has been fenced since a time and everything is healthy again."""
        self.settle(lambda now: bool(now["healthy"]) and self.fenced(victim, since))

    def client(self) -> ImageClient:
        """Return a user of the cloud, in the clients' network."""
        text = self.spec.read_text()
        public = dict(re.findall(r"(api|images): .*public: ([\d.]+)", text))
        images = public.get("images", public["api"])
        secrets = self.spec.parent / "secrets"
        password = (secrets / "identity-admin").read_text().strip()
        authority = secrets / "tls-authority.pem" if "\ntls:" in text else None
        scheme = "https" if authority else "http"
        keystone, glance = f"{scheme}://{public['api']}:5000/v3", f"{scheme}://{images}:9292"
        return ImageClient(self.lab, keystone, glance, password, authority)


def make_site(folder: Path, name: str, *replacements: tuple[str, str], example: Path = EXAMPLE) -> Site:
    """Write an example's spec with another name, other networks and made secrets."""
    site = Site(folder / "cloud.yaml", name, folder / "state")
    text = re.sub(r"^cloud: .*$", f"cloud: {name}", example.read_text(encoding="utf-8"), flags=re.MULTILINE)
    for before, after in OTHER_NETWORKS.items():
        text = text.replace(before, after)
    for before, after in replacements:
        assert before in text
        text = text.replace(before, after)
    site.spec.write_text(text, encoding="utf-8")
    done = site.understudy("secrets", "--generate")
    assert done.returncode == 0, done.stderr
    return site


def pid_file(service: str) -> str:
    """Return where the number of a service's main process stands."""
    own = {
        "haproxy": "/run/haproxy-understudy.pid",
        "mariadb": "/run/mysqld/mysqld.pid",
        "rabbitmq": "/var/run/rabbitmq/pid",
    }
    return own.get(service, f"/run/resource-agents/{service}.pid")


def masters(site: Site, *services: str) -> dict[str, dict[str, str]]:
    """Return the main process of each service on each node where it runs: workers come and go."""
    placed = site.placement()
    return {
        service: {node: site.on(node, f"head -n 1 {pid_file(service)}").strip() for node in placed[service]}
        for service in services
    }


@contextmanager
def banned(site: Site, resource: str) -> Iterator[str]:
    """Move a resource away from where it runs, and take the ban back at the end."""
    node = site.where(resource)
    site.on(
        node,
        f"crm_resource --ban --resource {resource} --node {node} && crm_resource --wait --timeout 120",
        150,
    )
    try:
        yield node
    finally:
        site.on(node, f"crm_resource --clear --resource {resource}")


@contextmanager
def taken_down(site: Site) -> Iterator[Site]:
    """Take the site's lab down at the end."""
    try:
        yield site
    finally:
        take_down(site.name)


@contextmanager
def brought_up(site: Site) -> Iterator[Site]:
    """Bring the site's lab up and apply the spec; both must succeed. Take the lab down at the end."""
    with taken_down(site):
        up = site.understudy("lab", "up")
        assert up.returncode == 0, up.stderr
        done = site.understudy("apply")
        assert done.returncode == 0, done.stdout + done.stderr
        yield site


def take_down_abandoned() -> None:
    """Take down labs of test processes that are gone and did not come to it."""
    for folder in LABS.glob("test-*-*") if LABS.is_dir() else ():
        process = folder.name.split("-")[1]
        if process.isdigit() and not Path("/proc", process).exists():
            take_down(folder.name)
