"""How long a tenant is cut off when something of the network stack breaks, on the real Neutron in the lab, as JSON.

Run as root from the root of the repository: ``python -m benchmarks.network_stack [SHAPES] [FAULTS] [RUNS]``, the
first two each a list with commas or ``all``. Where runs are more than one, the run in the middle is shown, and of all
how long the ping out was interrupted. A lab of its own is brought up, ``examples/network-stack.yaml`` is applied, a
stand-in for an instance is put into the tenant's network, and faults are injected while it pings the outside and the
outside pings its floating address, ten times a second. Shapes: ``ours`` (the example: separate agents on
``neutron-dataplane``), ``guide`` (the guides' crmsh text with its slips mended, loaded beside it through the real
crmsh: a group, monitors of 30 seconds) and ``vrrp`` (``l3_ha``). The result is merged into
``benchmarks/results/network-stack.json``; of two shapes in one lab as ``ours beside guide`` and the other way round.
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.image_api import machine

from understudy.cli.inputs import read_input
from understudy.cli.tenant import tenant_of
from understudy.lab.client import Lab, LabError
from understudy.lab.lifecycle import take_down
from understudy.lab.tenant import Tenant, wait_for
from understudy.spec.model import Spec

NAME = "benchmark-network"
EXAMPLE = Path("examples/network-stack.yaml")
RESULT = Path("benchmarks/results/network-stack.json")
GUIDE = Path("benchmarks/network_guide.crm")
ONLOOKER = "controller-3"
AGENTS = ("neutron-l3-agent", "neutron-dhcp-agent", "neutron-metadata-agent", "neutron-linuxbridge-agent")
DATAPLANE = "neutron-dataplane"
SETTLE = 300
PATIENCE = 180
AFTER = 5
FAULTS = ("kill", "hang", "broker", "move", "power", "cut")


@dataclass(frozen=True)
class Shape:
    """How the stack is managed: the resource that moves with it, and its agents' resources by program."""

    name: str
    moved: str
    resources: dict[str, str]


OURS = Shape("ours", DATAPLANE, {agent: agent for agent in AGENTS})
GUIDES = Shape("guide", "g_services_network", {agent: f"p_{agent}" for agent in AGENTS})
VRRP = Shape("vrrp", f"{DATAPLANE}-clone", {agent: f"{agent}-clone" for agent in AGENTS})
SHAPES = {shape.name: shape for shape in (OURS, GUIDES, VRRP)}


@dataclass
class Site:
    """The lab, its tenant, and what is done to both."""

    spec_file: Path
    spec: Spec
    lab: Lab
    tenant: Tenant
    shape: Shape = OURS

    def on(self, node: str, script: str, timeout: float = 120) -> str:
        """Run a shell script in a node and return what it wrote, whatever its status."""
        done = self.lab.run_in(node, ["sh", "-c", script], timeout)
        return done.stdout

    def where(self, resource: str) -> str:
        """Return the only node on which a resource runs, empty when there is none."""
        seen = self.on(ONLOOKER, f"crm_resource --locate --resource {resource} 2>/dev/null")
        nodes = [line.split(": ")[1].split()[0] for line in seen.splitlines() if "running on: " in line]
        return nodes[0] if len(nodes) == 1 else ""

    def active(self) -> str:
        """Return the node through which the tenant's traffic goes."""
        if self.shape is VRRP:
            return next((node for node in self.network_nodes() if self._is_master(node)), "")
        return self.where(self.shape.resources["neutron-l3-agent"])

    def network_nodes(self) -> tuple[str, ...]:
        """Return the network nodes of the spec."""
        networking = self.spec.networking
        return networking.nodes or () if networking else ()

    def _is_master(self, node: str) -> bool:
        router = self.tenant.ids["router"]
        with suppress(LabError):  # a node that is off
            return "qg-" in self.on(node, f"ip netns exec qrouter-{router} ip -o -4 address 2>/dev/null")
        return False

    def pid(self, agent: str, node: str) -> str:
        """Return the process of an agent on a node, empty when there is none."""
        return self.on(node, f"cat /run/resource-agents/*{agent}*.pid 2>/dev/null | head -1").strip()

    def healthy(self) -> bool:
        """Return whether every node is a member, could take over, and the tenant has all it wants."""
        members = self.on(ONLOOKER, "crm_node --partition").split()
        ready = self.shape is not VRRP or all(self._stands_by(node) for node in self.network_nodes())
        return set(self.spec.nodes) <= set(members) and ready and all(self.tenant.view().values())

    def _stands_by(self, node: str) -> bool:
        """Return whether a node has the virtual router, active or not, and has had it for a while."""
        router = self.tenant.ids["router"]
        with suppress(LabError):  # a node that is off
            own = f"$(pgrep -o -f '^keepalived .*{router}')"
            seconds = self.on(node, f"ps -o etimes= -p {own} 2>/dev/null").strip()
            return seconds.isdigit() and int(seconds) >= AFTER
        return False


def kill(agent: str) -> Callable[[Site], object]:
    """Return the fault that kills an agent and waits until it has been started again."""

    def strike(site: Site) -> object:
        node = site.active()
        before = site.pid(agent, node)
        site.on(node, f"kill -9 {before}")
        begun = time.time()
        wait_for(lambda: site.pid(agent, node) not in ("", before), PATIENCE, 0.2)
        return round(time.time() - begun, 1)

    return strike


def hang(agent: str) -> Callable[[Site], object]:
    """Return the fault that stops an agent where it stands, and waits until it has been started again."""

    def strike(site: Site) -> object:
        node = site.active()
        before = site.pid(agent, node)
        site.on(node, f"kill -STOP {before}")
        begun = time.time()
        wait_for(lambda: site.pid(agent, node) not in ("", before), PATIENCE, 0.5)
        return round(time.time() - begun, 1)

    return strike


def lose_broker(site: Site) -> object:
    """Take the broker away for half a minute; return whether every agent is the process it was."""
    node = site.active()
    before = [site.pid(agent, node) for agent in AGENTS]
    site.on(
        ONLOOKER,
        "crm_resource --resource rabbitmq --set-parameter target-role --meta --parameter-value Stopped",
    )
    time.sleep(30)
    same = before == [site.pid(agent, node) for agent in AGENTS]
    site.on(ONLOOKER, "crm_resource --resource rabbitmq --delete-parameter target-role --meta")
    wait_for(lambda: site.where("rabbitmq"), PATIENCE)
    return same


def move(site: Site) -> object:
    """Move the stack to the other network node and wait until it is there."""
    node = site.active()
    site.on(ONLOOKER, f"crm_resource --resource {site.shape.moved} --ban --node {node}")
    try:
        wait_for(lambda: site.active() not in ("", node), PATIENCE, 0.3)
        wait_for(lambda: site.tenant.reaches_outside() and site.tenant.is_reached(), PATIENCE, 0.3)
        site.on(ONLOOKER, "crm_resource --wait --timeout 60")
        left = site.on(node, "ip netns list; ls /sys/class/net | grep brq; pgrep -x dnsmasq")
    finally:
        site.on(ONLOOKER, f"crm_resource --resource {site.shape.moved} --clear --node {node}")
    return {"left_behind": left.split()}


def lose_power(site: Site) -> object:
    """Cut the power of the active network node."""
    node = site.active()
    site.lab.crash(node)
    wait_for(lambda: site.active() not in ("", node), PATIENCE, 0.3)
    return node


def cut(site: Site) -> object:
    """Cut the cluster network of the active network node."""
    node = site.active()
    site.lab.cut(node, "management")
    with suppress(TimeoutError):
        wait_for(lambda: site.active() not in ("", node), PATIENCE, 0.3)
    site.lab.heal(node, "management")
    return node


STRIKES: dict[str, dict[str, Callable[[Site], object]]] = {
    "kill": {f"kill {agent}": kill(agent) for agent in AGENTS},
    "hang": {f"hang {agent}": hang(agent) for agent in AGENTS},
    "broker": {"broker lost": lose_broker},
    "move": {"planned move": move},
    "power": {"power loss": lose_power},
    "cut": {"cluster network cut": cut},
}


@contextmanager
def renewing(site: Site) -> Iterator[list[bool]]:
    """Have the tenant's machine renew its lease again and again; gives for each time whether it was answered."""
    answers: list[bool] = []
    over = threading.Event()

    def renew() -> None:
        while not over.wait(1.0):
            answers.append(site.tenant.renews())

    thread = threading.Thread(target=renew)
    thread.start()
    try:
        yield answers
    finally:
        over.set()
        thread.join()


def strike(site: Site, name: str, fault: Callable[[Site], object]) -> dict[str, object]:
    """Inject one fault under pings; return what the tenant saw of it, and what it has a while later."""
    before = site.tenant.view()
    begun = time.time()
    with site.tenant.pinging() as pings, renewing(site) as renewals:
        time.sleep(2)
        note = fault(site)
        back: dict[str, float] = {}
        for way, look in (("out", site.tenant.reaches_outside), ("in", site.tenant.is_reached)):
            with suppress(TimeoutError):
                wait_for(look, PATIENCE, 0.2)
                back[way] = time.time()
        time.sleep(AFTER)
    seen = {
        "interrupted_out_seconds": pings.interruption("out"),
        "interrupted_in_seconds": pings.interruption("in"),
        "first_new_flow_out_seconds": (
            round(back["out"] - pings.longest_pause("out")[0], 1) if "out" in back else None
        ),
        "renewals": len(renewals),
        "renewals_not_answered": renewals.count(False),
        "came_back": sorted(back),
        "note": note,
        "load": Path("/proc/loadavg").read_text().split()[0],
        "before": before,
    }
    with suppress(TimeoutError):
        wait_for(site.healthy, SETTLE, 2)
    seen["after"] = site.tenant.view()
    seen["seconds_in_all"] = round(time.time() - begun, 1)
    print(f"{site.shape.name}: {name}: {json.dumps(seen)}", file=sys.stderr, flush=True)
    return seen


def struck(site: Site, name: str, fault: Callable[[Site], object], runs: int) -> dict[str, object]:
    """Inject one fault some times; return the run in the middle, with the interruptions of all."""
    seen: list[dict[str, object]] = []
    for _ in range(runs):
        try:
            seen.append(strike(site, name, fault))
        except TimeoutError as error:
            return {"failed": str(error), "runs_before": len(seen)}
    seen.sort(key=_interruption)
    return {**seen[runs // 2], "all_interrupted_out_seconds": [_interruption(one) for one in seen]}


def _interruption(seen: dict[str, object]) -> float:
    return float(str(seen["interrupted_out_seconds"]))


def understudy(*words: str) -> None:
    """Run a command of understudy that has to succeed, once more where it stopped on the way."""
    program = str(Path(sys.executable).with_name("understudy"))
    for attempt in (1, 2, 3):
        done = subprocess.run([program, *words], capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return
        print(f"attempt {attempt}: {done.stdout[-800:]}{done.stderr[-800:]}", file=sys.stderr, flush=True)
    raise SystemExit(f"understudy {' '.join(words)} failed")


@contextmanager
def site_of(spec_file: Path) -> Iterator[Site]:
    """Bring the lab up, apply the spec, make the tenant's networks and plug its machine."""
    understudy("secrets", str(spec_file), "--generate")
    try:
        understudy("lab", "up", str(spec_file))
        understudy("apply", str(spec_file), "--yes")
        lab, given = Lab.find(NAME), read_input(spec_file)
        if lab is None:
            raise SystemExit("the lab is not as it should be")
        tenant, spec = tenant_of(given, lab), given.loaded.spec
        wait_for(lambda: sum(one["alive"] for one in tenant.api.agents()) >= len(AGENTS), SETTLE)
        tenant.furnish(lambda step: print(step, file=sys.stderr, flush=True), SETTLE)
        yield Site(spec_file, spec, lab, tenant, VRRP if tenant.shape.highly_available else OURS)
    finally:
        take_down(NAME)


def take_guides_way(site: Site) -> None:
    """Stop ours, and what prepares agents to start, and load the guides' text through the real crmsh."""
    for resource in (DATAPLANE, "neutron-prepared-clone"):
        site.on(
            ONLOOKER,
            f"crm_resource --resource {resource} --set-parameter target-role --meta --parameter-value Stopped",
        )
    wait_for(lambda: not site.where(DATAPLANE), PATIENCE)
    done = site.lab.run_in(
        ONLOOKER,
        ["sh", "-c", "cat >/run/guide.crm; crm configure load update /run/guide.crm"],
        120,
        GUIDE.read_text(),
    )
    if done.returncode:
        raise SystemExit(f"crmsh refuses the guides' text: {done.stdout}{done.stderr}")
    site.shape = GUIDES
    wait_for(lambda: site.active() and all(site.tenant.view().values()), SETTLE)


def main() -> None:
    """Measure and write the result."""
    shapes = sys.argv[1].split(",") if len(sys.argv) > 1 and sys.argv[1] != "all" else list(SHAPES)
    faults = sys.argv[2].split(",") if len(sys.argv) > 2 and sys.argv[2] != "all" else list(FAULTS)
    runs = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    figures: dict[str, dict[str, object]] = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    for files in (["ours", "guide"], ["vrrp"]):
        wanted = [shape for shape in files if shape in shapes]
        if not wanted:
            continue
        with tempfile.TemporaryDirectory() as folder:
            spec = Path(folder) / "cloud.yaml"
            spec.write_text(example_text(vrrp="vrrp" in wanted))
            os.environ["XDG_STATE_HOME"] = folder
            with site_of(spec) as site:
                for name in wanted:
                    if name == "guide":
                        take_guides_way(site)
                    key = " beside ".join([name, *(other for other in wanted if other != name)])
                    seen = figures.setdefault(key, {})
                    command = (
                        f"python -m benchmarks.network_stack {','.join(wanted)} {','.join(faults)} {runs}"
                    )
                    seen |= {"machine": machine(), "command": command}
                    for kind in faults:
                        for title, fault in STRIKES[kind].items():
                            seen[title] = struck(site, title, fault, runs)
                            RESULT.write_text(json.dumps(figures, indent=2) + "\n")


def example_text(*, vrrp: bool) -> str:
    text = EXAMPLE.read_text().replace("cloud: network-stack", f"cloud: {NAME}")
    if not vrrp:
        return text
    head, agents = text.split(f"  {DATAPLANE}:", 1)
    head = head.replace(
        "  external: {interface: eth2}\n",
        "  external: {interface: eth2}\n  l3_ha: true\n  dhcp_agents_per_network: 2\n",
    )
    return head + f"  {DATAPLANE}:" + agents.replace("cold", "warm")


if __name__ == "__main__":
    main()
