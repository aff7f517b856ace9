"""A tenant in a lab: networks made through the Networking API, and a machine on one of them.

The machine is a network namespace whose interface ends the tenant network's tunnels (VXLAN), as an instance's does by
way of the layer-2 agent of its compute node: it stands on none of the lab's nodes, so that it outlives them all. The
outside of the cloud is the lab's switch, which stands in every network.
"""

import itertools
import json
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from ipaddress import ip_network
from pathlib import Path
from typing import Any, TypeVar

from understudy.lab.client import CLIENT, SWITCH, TENANT, Lab, administrator_session, in_network_of

INSIDE = Path(__file__).parent / "inside" / "tenant.py"
REQUEST_SECONDS = 120
SETTLE_SECONDS = 300
TENANT_NETWORK = "10.11.12.0/24"
INTERFACE = "eth0"
"""The machine's own, in the tenant's network."""
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
    authority: Path | None = None
    """Whom it trusts to have signed the APIs' certificates."""

    def call(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - JSON
        """Make a request and return what came; raises keystoneauth1.exceptions.ClientException."""
        return in_network_of(self.lab.pid_of(CLIENT), lambda: self._call(method, path, body))

    def _call(self, method: str, path: str, body: object) -> Any:  # noqa: ANN401 - JSON
        session = administrator_session(self.keystone, self.password, REQUEST_SECONDS, self.authority)
        answer = session.request(f"{self.neutron}/v2.0/{path}", method, json=body)
        return answer.json() if answer.content else None

    def ensure(self, kind: str, by: str, **values: object) -> dict[str, Any]:
        """Return something such as a ``network`` that has this value of ``by``; create it where there is none."""
        found = self.call("GET", f"{kind}s?{by}={values[by]}")[f"{kind}s"]
        return dict(found[0] if found else self.call("POST", f"{kind}s", {kind: values})[kind])

    def agents(self) -> list[dict[str, Any]]:
        """Return Neutron's agents."""
        return list(self.call("GET", "agents")["agents"])


@dataclass(frozen=True)
class Shape:
    """What the networks of a cloud are: the external network's prefix and label, and what carries the tunnels."""

    external: str
    outside: str
    """The address of a machine outside the cloud: that of the lab's switch in the external network."""
    label: str
    tunnels_over: str
    highly_available: bool = False
    """Whether each router is on several network nodes (``l3_ha``)."""


@dataclass(frozen=True)
class Belongings:
    """What a tenant has: ``address`` of its machine, ``floating`` for the outside, ids of the Networking API."""

    address: str
    floating: str
    outside: str
    metadata: bool
    """Whether its machine reads its metadata."""
    ids: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, lab: Lab) -> "Belongings | None":
        """Return what the tenant in a lab has, once all of it is there; None where there is none."""
        if not lab.folder.tenant.exists() or not lab.status().tenant_pid:
            return None
        return cls(**json.loads(lab.folder.tenant.read_text(encoding="utf-8")))


@dataclass
class Tenant:
    """One tenant's network with a router, a machine in it, and a floating address of the machine."""

    lab: Lab
    api: Api
    shape: Shape
    serves_metadata: bool = True
    ids: dict[str, str] = field(default_factory=dict)
    address: str = ""
    floating: str = ""

    def furnish(self, tell: Callable[[str], None], seconds: float = SETTLE_SECONDS) -> Belongings:
        """Make what is missing of everything that the tenant has, and wait until all of it works.

        Raises LabError, TimeoutError, keystoneauth1.exceptions.ClientException.
        """
        tell("networks and a router")
        self.make_networks()
        tell("a machine")
        self.plug_machine()
        self.give_floating_address()
        tell("waiting for an address by DHCP")
        wait_for(self.lease, seconds)
        tell("waiting for ways in and out")
        wait_for(lambda: all(self.view().values()), seconds)
        has = Belongings(self.address, self.floating, self.shape.outside, self.serves_metadata, self.ids)
        self.lab.folder.tenant.write_text(json.dumps(asdict(has)), encoding="utf-8")
        return has

    def make_networks(self) -> None:
        """Make the external network, the tenant's own and a router between them."""
        prefix = ip_network(self.shape.external)
        out = self.api.ensure(
            "network", "name", name="outside", **{"router:external": True, "provider:network_type": "flat"},
            **{"provider:physical_network": self.shape.label},
        )  # fmt: skip
        pool = {"start": str(prefix[100]), "end": str(prefix[150])}
        self.api.ensure(
            "subnet", "network_id", network_id=out["id"], cidr=str(prefix), ip_version=4, enable_dhcp=False,
            gateway_ip=self.shape.outside, allocation_pools=[pool],
        )  # fmt: skip
        net = self.api.ensure("network", "name", name="tenant")
        subnet = self.api.ensure(
            "subnet", "network_id", network_id=net["id"], cidr=TENANT_NETWORK, ip_version=4
        )
        extra = {"ha": True} if self.shape.highly_available else {}
        gateway = {"network_id": out["id"]}
        router = self.api.ensure("router", "name", name="router", external_gateway_info=gateway, **extra)
        inside = f"ports?device_id={router['id']}&network_id={net['id']}"
        if not self.api.call("GET", inside)["ports"]:
            to = f"routers/{router['id']}/add_router_interface"
            self.api.call("PUT", to, {"subnet_id": subnet["id"]})
        self.ids |= {"external": out["id"], "network": net["id"], "router": router["id"]}

    def plug_machine(self) -> None:
        """Make the machine's port, and stand the machine in the tenant's network with the port's address."""
        port = self.api.ensure(
            "port", "name", name="machine", network_id=self.ids["network"], device_id=str(uuid.uuid4()),
            device_owner="compute:nova",
        )  # fmt: skip
        network = self.api.call("GET", f"networks/{self.ids['network']}")["network"]
        identifier = int(network["provider:segmentation_id"])
        self.lab.plug_tenant(identifier, self.shape.tunnels_over, port["mac_address"])
        self.ids |= {"port": port["id"], "instance": port["device_id"]}
        self.address = port["fixed_ips"][0]["ip_address"]

    def give_floating_address(self) -> None:
        """Give the machine an address that the outside reaches it at."""
        made = self.api.ensure(
            "floatingip", "port_id", port_id=self.ids["port"], floating_network_id=self.ids["external"]
        )
        self.floating = str(made["floating_ip_address"])

    def lease(self) -> bool:
        """Have the machine get its address by DHCP; return whether it did."""
        worked, said = self.machine("lease", INTERFACE)
        if worked:
            self.lab.lease_tenant(**json.loads(said))
        return worked

    def renews(self) -> bool:
        """Return whether the machine's lease is extended."""
        return self.machine("renew", INTERFACE, self.address)[0]

    def machine(self, action: str, *words: str) -> tuple[bool, str]:
        """Have the machine do something of ``inside/tenant.py``; return whether it worked and what it said."""
        done = self.lab.run_in(TENANT, _inside(action, *words))
        return done.returncode == 0, (done.stdout + done.stderr).strip()

    def reaches_outside(self) -> bool:
        """Return whether the machine reaches the outside at once."""
        return self.machine("ping", self.shape.outside)[0]

    def is_reached(self) -> bool:
        """Return whether the outside reaches the machine at once."""
        return self.lab.run_in(SWITCH, _inside("ping", self.floating)).returncode == 0

    def tells_metadata(self) -> bool:
        """Return whether the machine reads its own metadata."""
        worked, said = self.machine("metadata")
        return worked and said == self.ids["instance"]

    def view(self) -> dict[str, bool]:
        """Return everything that a tenant wants, and whether it works now."""
        seen = {"renewal": self.renews(), "out": self.reaches_outside(), "in": self.is_reached()}
        return {**seen, "metadata": self.tells_metadata()} if self.serves_metadata else seen

    @contextmanager
    def pinging(self) -> Iterator["Pings"]:
        """Ping in both directions all the while."""
        out = self.lab.argv_in(TENANT, _inside("pings", self.shape.outside, str(PING_INTERVAL)))
        into = self.lab.argv_in(SWITCH, _inside("pings", self.floating, str(PING_INTERVAL)))
        pings = Pings([_start(out), _start(into)])
        try:
            yield pings
        finally:
            pings.end()


def _inside(*words: str) -> list[str]:
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
    """Repeat a question until it is answered with something true; raises TimeoutError when it never is."""
    deadline = time.monotonic() + seconds
    while True:
        found = what()
        if found:
            return found
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds} s: {getattr(what, '__name__', what)}")
        time.sleep(pause)
