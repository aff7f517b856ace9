"""A tenant in a lab: networks made through the Networking API, and a machine on one of them.

The machine is a network namespace on a node, with a port of the tenant's network bound to that node and plugged there
as an instance's port would be. The outside of the cloud is the lab's switch, which stands in every network.
"""

import itertools
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any, TypeVar

from understudy.lab.client import CLIENT, SWITCH, Lab, administrator_session, in_network_of

INSIDE = Path(__file__).parent / "inside" / "tenant.py"
METADATA = Path(__file__).parent / "inside" / "metadata.py"
PROGRAM = "/run/understudy-tenant.py"
MACHINE = "tenant-machine"
COMPUTE_AGENT = "/etc/neutron/compute-agent.ini"
REQUEST_SECONDS = 120
TENANT_NETWORK = "10.11.12.0/24"
PING_INTERVAL = 0.1
"""Seconds between the pings by which an interruption is measured."""

_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Api:
    """The Networking API as an administrator sees it from the clients' network."""

    lab: Lab
    keystone: str
    neutron: str
    password: str

    def call(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - JSON
        """Make a request and return what came; raises keystoneauth1.exceptions.HttpError."""
        return in_network_of(self.lab.pid_of(CLIENT), lambda: self._call(method, path, body))

    def _call(self, method: str, path: str, body: object) -> Any:  # noqa: ANN401 - JSON
        session = administrator_session(self.keystone, self.password, REQUEST_SECONDS)
        answer = session.request(f"{self.neutron}/v2.0/{path}", method, json=body)
        return answer.json() if answer.content else None

    def create(self, kind: str, **values: object) -> dict[str, Any]:
        """Create something, such as a ``network``, and return it."""
        return dict(self.call("POST", f"{kind}s", {kind: values})[kind])

    def agents(self) -> list[dict[str, Any]]:
        """Return Neutron's agents."""
        return list(self.call("GET", "agents")["agents"])


@dataclass
class Tenant:
    """One tenant's network with a router, a machine in it, and a floating address of the machine."""

    lab: Lab
    api: Api
    node: str
    """Where the machine stands."""
    outside: str
    """The address of a machine outside the cloud, in the external network."""
    ids: dict[str, str] = field(default_factory=dict)
    address: str = ""
    floating: str = ""

    def make_networks(self, external: str, label: str, *, highly_available: bool = False) -> None:
        """Make the external network, the tenant's own and a router between them; ``external`` is a prefix."""
        prefix = ip_network(external)
        out = self.api.create(
            "network", name="outside", **{"router:external": True, "provider:network_type": "flat"},
            **{"provider:physical_network": label},
        )  # fmt: skip
        pool = {"start": str(prefix[100]), "end": str(prefix[150])}
        self.api.create(
            "subnet", network_id=out["id"], cidr=external, ip_version=4, enable_dhcp=False,
            gateway_ip=self.outside, allocation_pools=[pool],
        )  # fmt: skip
        net = self.api.create("network", name="tenant")
        subnet = self.api.create("subnet", network_id=net["id"], cidr=TENANT_NETWORK, ip_version=4)
        extra = {"ha": True} if highly_available else {}
        router = self.api.create(
            "router", name="router", external_gateway_info={"network_id": out["id"]}, **extra
        )
        self.api.call("PUT", f"routers/{router['id']}/add_router_interface", {"subnet_id": subnet["id"]})
        self.ids |= {"external": out["id"], "network": net["id"], "router": router["id"]}

    def start_layer2_agent(self, tunnel_address: str) -> None:
        """Run the layer-2 agent that a compute node has, under the node's own name."""
        text = (
            f"[DEFAULT]\nhost = {self.node}\n[vxlan]\nenable_vxlan = true\nlocal_ip = {tunnel_address}\n"
            "[securitygroup]\nenable_security_group = false\nfirewall_driver = noop\n"
        )
        self.on(f"cat > {COMPUTE_AGENT}", text)
        self.on(
            "setsid setpriv --reuid=neutron --regid=neutron --init-groups -- /usr/bin/neutron-linuxbridge-agent "
            f"--config-file=/etc/neutron/neutron.conf --config-file={COMPUTE_AGENT} "
            "--log-file=/var/log/neutron/compute-agent.log </dev/null >/dev/null 2>&1 &"
        )

    def plug_machine(self) -> None:
        """Make the machine's port and plug it: a veth whose end on the node is named and bridged as Nova does it."""
        port = self.api.create(
            "port", network_id=self.ids["network"], device_id=str(uuid.uuid4()), device_owner="compute:nova",
            **{"binding:host_id": self.node},
        )  # fmt: skip
        tap, bridge = f"tap{port['id'][:11]}", f"brq{self.ids['network'][:11]}"
        mtu = self.api.call("GET", f"networks/{self.ids['network']}")["network"]["mtu"]
        self.on(f"cat > {PROGRAM}", INSIDE.read_text(encoding="utf-8"))
        self.on(
            f"ip netns add {MACHINE}\n"
            f"ip -n {MACHINE} link set lo up\n"
            f"ip link show {bridge} 2>/dev/null || ip link add {bridge} type bridge forward_delay 0\n"
            f"ip link set {bridge} up\n"
            f"ip link add {tap} mtu {mtu} type veth"
            f" peer name eth0 netns {MACHINE} address {port['mac_address']} mtu {mtu}\n"
            f"ip link set {tap} master {bridge} up\n"
            f"ip -n {MACHINE} link set eth0 up\n"
        )
        self.ids |= {"port": port["id"], "instance": port["device_id"]}
        self.address = port["fixed_ips"][0]["ip_address"]

    def give_floating_address(self) -> None:
        """Give the machine an address that the outside reaches it at."""
        made = self.api.create(
            "floatingip", floating_network_id=self.ids["external"], port_id=self.ids["port"]
        )
        self.floating = str(made["floating_ip_address"])

    @contextmanager
    def serving_metadata(self, address: str, network: str, secret: str) -> Iterator[None]:
        """Have the stand-in for the Compute API's metadata answer at an address of one of the lab's networks."""
        prefix = ip_network(network).prefixlen
        bridge = f"net{list(self.lab.topology.networks.values()).index(network)}"
        self.lab.run_in(SWITCH, ["ip", "address", "add", f"{address}/{prefix}", "dev", bridge])
        command = self.lab.argv_in(SWITCH, [sys.executable, "-IS", str(METADATA), address, "8775"])
        with subprocess.Popen(command, stdin=subprocess.PIPE, text=True) as process:
            if process.stdin is not None:
                process.stdin.write(f"{secret}\n")
                process.stdin.flush()
            try:
                yield
            finally:
                process.kill()

    def on(self, script: str, text: str = "", timeout: float = 60) -> str:
        """Run a shell script on the machine's node; raises AssertionError when it fails."""
        done = self.lab.run_in(self.node, ["sh", "-ec", script], timeout, text)
        if done.returncode:
            raise AssertionError(f"{self.node}: {script}: {done.stdout}{done.stderr}")
        return done.stdout

    def machine(self, action: str, *words: str) -> tuple[bool, str]:
        """Have the machine do something of ``inside/tenant.py``; return whether it worked and what it said."""
        command = ["ip", "netns", "exec", MACHINE, "python3", PROGRAM, action, *words]
        done = self.lab.run_in(self.node, command, 60)
        return done.returncode == 0, (done.stdout + done.stderr).strip()

    def reaches_outside(self) -> bool:
        """Return whether the machine reaches the outside at once."""
        return self.machine("ping", self.outside)[0]

    def is_reached(self) -> bool:
        """Return whether the outside reaches the machine at once."""
        return self.lab.run_in(SWITCH, _outside("ping", self.floating)).returncode == 0

    def tells_metadata(self) -> bool:
        """Return whether the machine reads its own metadata."""
        worked, said = self.machine("metadata")
        return worked and said == self.ids["instance"]

    def view(self) -> dict[str, bool]:
        """Return everything that a tenant wants, and whether it works now."""
        return {
            "renewal": self.machine("renew", "eth0")[0],
            "out": self.reaches_outside(),
            "in": self.is_reached(),
            "metadata": self.tells_metadata(),
        }

    @contextmanager
    def pinging(self) -> Iterator["Pings"]:
        """Ping in both directions all the while."""
        words = ["pings", self.outside, str(PING_INTERVAL)]
        out = self.lab.argv_in(self.node, ["ip", "netns", "exec", MACHINE, "python3", PROGRAM, *words])
        into = self.lab.argv_in(SWITCH, _outside("pings", self.floating, str(PING_INTERVAL)))
        pings = Pings([_start(out), _start(into)])
        try:
            yield pings
        finally:
            pings.end()


def _outside(*words: str) -> list[str]:
    return [sys.executable, "-IS", str(INSIDE), *words]


def _start(command: Sequence[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


class Pings:
    """Two running pings, out of the cloud and into it, and the moments of their answers once they have ended."""

    def __init__(self, running: list[subprocess.Popen[str]]) -> None:
        self._running = running
        self.answers: dict[str, list[float]] = {}
        self.begun = self.ended = time.time()

    def end(self) -> None:
        """End both and read what they saw."""
        self.ended = time.time()
        for name, process in zip(("out", "in"), self._running, strict=True):
            process.kill()
            try:
                text, _ = process.communicate(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                text, _ = process.communicate()
            self.answers[name] = [float(one) for one in text.split()]

    def longest_pause(self, direction: str) -> tuple[float, float]:
        """Return the moment of the answer that was followed by none for longest, and for how many seconds.

        One that lasted until the pings ended counts with what was seen of it, and where nothing was ever answered,
        all of the time.
        """
        moments = [*(self.answers[direction] or [self.begun]), self.ended]
        pauses = [(after - before, before) for before, after in itertools.pairwise(moments)]
        longest, since = max(pauses, default=(0.0, self.ended))
        return since, round(max(0.0, longest - PING_INTERVAL), 2)

    def interruption(self, direction: str) -> float:
        """Return the longest time without an answer, in seconds."""
        return self.longest_pause(direction)[1]


def wait_for(what: Callable[[], _Result], seconds: float, pause: float = 0.5) -> _Result:
    """Repeat a question until it is answered with something true; raises AssertionError when it never is."""
    deadline = time.monotonic() + seconds
    while True:
        found = what()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {getattr(what, '__name__', what)}")
        time.sleep(pause)


def last_address(prefix: str) -> str:
    """Return the address that a lab's switch takes in a network in which it is free."""
    return str(ip_address(int(ip_network(prefix).broadcast_address) - 1))
