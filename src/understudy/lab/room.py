"""The machine room: all that is in a lab, and what it can be told to do with it.

The verbs stand in one registry, :data:`VERBS`; a request names one with its arguments and is answered when it is done.
"""

import asyncio
import inspect
import json
import ssl
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Literal

from understudy.lab import bystander, disks, switch
from understudy.lab.node import Node, Site
from understudy.lab.redfish import Bmc, BmcServer, ResetType
from understudy.lab.state import Folder
from understudy.lab.supply import NodeError
from understudy.lab.switch import Drop
from understudy.lab.topology import Bridge, LabTopology, Wiring, wire

RESET_SECONDS = 180
BMC_PORT = 443
METADATA = Path(__file__).parent / "inside" / "metadata.py"
METADATA_PORT = 8775

Answer = object
Way = Literal["in", "out", "both"]
Verb = Callable[..., Awaitable[Answer]]
VERBS: dict[str, Verb] = {}
"""What a lab can be told, by name; each takes the room, then its arguments by keyword."""


class RequestError(Exception):
    """A request that cannot be served; the message goes back to who asked."""


def verb(function: Verb) -> Verb:
    """Enter a coroutine function into the registry under its name."""
    VERBS[function.__name__.rstrip("_")] = function
    return function


class Room:
    """A running lab."""

    def __init__(
        self, folder: Folder, topology: LabTopology, image: Path, passwords: Mapping[str, str]
    ) -> None:
        self.topology = topology
        self.wiring: Wiring = wire(topology)
        self.image = image
        self.drops: set[Drop] = set()
        self.silent: set[str] = set()
        self.closing = asyncio.Event()
        self.client_pid = 0
        self.tenant_pid = 0
        self.metadata: asyncio.subprocess.Process | None = None
        self._passwords = passwords
        self._events = folder.events.open("a", encoding="utf-8", buffering=1)
        self._loop = asyncio.get_running_loop()
        self.bmcs: dict[str, BmcServer] = {}
        attached = [disks.attach(folder.disk(number), path) for number, path in enumerate(topology.disks)]
        site = Site(image, self.wiring, attached, self.event)
        self.nodes: dict[str, Node] = {}
        for name in topology.nodes:
            self.nodes[name] = Node(name, folder.node(name), site, self.nodes)

    def event(self, word: str, **details: object) -> None:
        """Note what happened, and when."""
        self._events.write(json.dumps({"time": time.time(), "event": word, **details}) + "\n")

    def node(self, name: str) -> Node:
        """Return a node by its name; raises RequestError."""
        if name not in self.nodes:
            raise RequestError(f"no node {name}; there are {', '.join(self.nodes)}")
        return self.nodes[name]

    def bridge(self, network: str) -> Bridge:
        """Return a network's bridge; raises RequestError."""
        if network not in self.wiring.bridges:
            raise RequestError(f"no network {network}; there are {', '.join(self.wiring.bridges)}")
        return self.wiring.bridges[network]

    def bmc_address(self, node: str) -> str:
        """Return the address of a node's BMC; raises RequestError."""
        address = self.topology.nodes[self.node(node).name].bmc_address
        if address is None:
            raise RequestError(f"{node} has no BMC")
        return address

    def install_bmcs(self, context: ssl.SSLContext) -> None:
        """Put a BMC at each address of one."""
        for name, node in self.topology.nodes.items():
            if node.bmc_address:
                bmc = Bmc(
                    name,
                    node.bmc_system,
                    node.bmc_user,
                    self._passwords[name],
                    self._is_on(name),
                    self._resetter(name),
                )
                self.bmcs[name] = BmcServer(bmc, node.bmc_address, BMC_PORT, context)
                self.bmcs[name].open()

    def _is_on(self, name: str) -> Callable[[], bool]:
        return lambda: self.nodes[name].is_on

    def _resetter(self, name: str) -> Callable[[ResetType, str], None]:
        """Return what a BMC's thread calls: it does the reset in the room's loop and waits for its effect."""

        def reset(kind: ResetType, caller: str) -> None:
            self.event("bmc-reset", node=name, reset=kind, caller=caller)
            work = self._reset(self.nodes[name], kind, f"Redfish {kind} from {caller}")
            asyncio.run_coroutine_threadsafe(work, self._loop).result(RESET_SECONDS)

        return reset

    async def _reset(self, node: Node, kind: ResetType, reason: str) -> None:
        if kind in {"On", "ForceOn"} or (kind == "PushPowerButton" and not node.is_on):
            await node.power_on(reason)
        elif kind == "ForceOff":
            await node.power_off(reason)
        elif kind == "ForceRestart":
            await node.power_cycle(reason)
        else:
            await node.shut_down(reason)
            if kind == "GracefulRestart":
                await node.power_on(reason)

    def apply_drops(self) -> None:
        """Make the switch lose what :attr:`drops` and :attr:`silent` say, and nothing else."""
        switch.run_nft(str(self.image), switch.filters(self.drops, self.silent, self.wiring))

    async def serve(self, request: Mapping[str, object]) -> Answer:
        """Do what a request says; raises RequestError or NodeError."""
        name, arguments = request.get("verb"), request.get("arguments", {})
        if not isinstance(name, str) or name not in VERBS or not isinstance(arguments, dict):
            raise RequestError(f"no verb {name}; there are {', '.join(sorted(VERBS))}")
        try:
            inspect.signature(VERBS[name]).bind(self, **arguments)
        except TypeError as error:
            raise RequestError(f"{name}: {error}") from None
        return await VERBS[name](self, **arguments)


@verb
async def status(room: Room) -> Answer:
    """Return the state of every node, what the switch drops, and the client's and the tenant's process."""
    nodes = {
        name: {
            "power": "on" if node.is_on else "off",
            "booted": node.is_on and node.booted.is_set(),
            "frozen": node.is_frozen,
            "pid": node.pid,
            "boot_seconds": node.boot_seconds,
            "mounts": node.mounts(),
        }
        for name, node in room.nodes.items()
    }
    return {
        "nodes": nodes,
        "drops": [asdict(drop) for drop in sorted(room.drops, key=repr)],
        "dead_bmcs": sorted(room.silent),
        "client_pid": room.client_pid,
        "tenant_pid": room.tenant_pid,
    }


@verb
async def boot(room: Room, node: str, wait: float = 0) -> Answer:
    """Switch a node on; wait so many seconds at most for its start scripts to end."""
    machine = room.node(node)
    await machine.power_on("asked for")
    if wait:
        try:
            await asyncio.wait_for(machine.booted.wait(), wait)
        except TimeoutError:
            raise NodeError(f"{node} has not booted within {wait:g} s") from None
    return machine.boot_seconds


@verb
async def crash(room: Room, node: str) -> Answer:
    """Cut a node's power."""
    await room.node(node).power_off("asked for")
    return None


@verb
async def power_off(room: Room, node: str) -> Answer:
    """Shut a node down in order."""
    await room.node(node).shut_down("asked for")
    return None


@verb
async def freeze(room: Room, node: str) -> Answer:
    """Stop all processes of a node."""
    room.node(node).freeze()
    return None


@verb
async def thaw(room: Room, node: str) -> Answer:
    """Continue all processes of a node."""
    room.node(node).thaw()
    return None


@verb
async def cut(
    room: Room, node: str, network: str, direction: Way = "both", peers: list[str] | None = None
) -> Answer:
    """Lose all of a node's packets in a network, in one direction or both, to everybody or to some peers only."""
    names = [room.node(peer).name for peer in peers] if peers else [None]
    _drop(room, {Drop(network, node, way, peer) for way in _ways(direction) for peer in names})
    room.event("cut", node=node, network=network, direction=direction, peers=peers)
    return None


@verb
async def lose(room: Room, node: str, network: str, percent: int, direction: Way = "both") -> Answer:
    """Lose a percentage of a node's packets in a network, chosen at random."""
    if not 0 < percent < 100:
        raise RequestError(f"percent is 1 to 99, not {percent}")
    _drop(room, {Drop(network, node, way, percent=percent) for way in _ways(direction)})
    room.event("lose", node=node, network=network, direction=direction, percent=percent)
    return None


def _ways(direction: str) -> tuple[Literal["in", "out"], ...]:
    ways: dict[str, tuple[Literal["in", "out"], ...]] = {
        "in": ("in",),
        "out": ("out",),
        "both": ("in", "out"),
    }
    if direction not in ways:
        raise RequestError(f"direction is {', '.join(ways)}, not {direction}")
    return ways[direction]


def _drop(room: Room, drops: set[Drop]) -> None:
    for drop in drops:
        if drop.network not in {each.network for each in room.node(drop.node).interfaces}:
            raise RequestError(f"{drop.node} is not in network {drop.network}")
    room.drops |= drops
    room.apply_drops()


@verb
async def heal(room: Room, node: str | None = None, network: str | None = None) -> Answer:
    """Take back what :func:`cut` did: of a node, of a network, or everything."""
    room.drops = {
        drop
        for drop in room.drops
        if node not in {None, drop.node, drop.peer} or network not in {None, drop.network}
    }
    room.apply_drops()
    room.event("heal", node=node, network=network)
    return None


@verb
async def kill_bmc(room: Room, node: str) -> Answer:
    """Have a node's BMC answer no more: not even a connection is refused."""
    room.silent.add(room.bmc_address(node))
    room.apply_drops()
    room.event("bmc-dead", node=node)
    return None


@verb
async def revive_bmc(room: Room, node: str) -> Answer:
    """Have a node's BMC answer again."""
    room.silent.discard(room.bmc_address(node))
    room.apply_drops()
    room.event("bmc-alive", node=node)
    return None


@verb
async def fail_disk(room: Room, node: str, disk: str) -> Answer:
    """Have a node lose a shared disk that it has mounted; a new mount, anywhere, finds it sound again."""
    room.node(node).lose_disk(disk)
    return None


@verb
async def plug_tenant(room: Room, identifier: int, network: str, mac: str) -> Answer:
    """Stand a tenant's machine in a VXLAN network that is tunnelled through a network; one that stands is left."""
    if not room.tenant_pid:
        pid = await bystander.hold()
        switch.run_ip(str(room.image), switch.tunnel(room.bridge(network), identifier, mac, pid))
        up = "link set eth0 up\nroute replace 255.255.255.255 dev eth0\n"
        switch.run_ip(str(room.image), up, inside=pid)
        room.tenant_pid = pid
        room.event("tenant-plugged", identifier=identifier, network=network)
    return room.tenant_pid


@verb
async def lease_tenant(room: Room, address: str, router: str, mtu: int) -> Answer:
    """Give the tenant's machine what it got by DHCP."""
    switch.run_ip(str(room.image), switch.lease(address, router, mtu), inside=room.tenant_pid)
    return None


@verb
async def serve_metadata(room: Room, address: str, network: str, secret: str) -> Answer:
    """Have a stand-in for the Compute API's metadata answer at an address in a network."""
    if room.metadata is None or room.metadata.returncode is not None:
        bridge = room.bridge(network)
        switch.run_ip(str(room.image), f"address replace {address}/{bridge.length} dev {bridge.name}\n")
        command = (sys.executable, "-IS", str(METADATA), address, str(METADATA_PORT))
        room.metadata = await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.PIPE)
        if room.metadata.stdin is not None:
            room.metadata.stdin.write(f"{secret}\n".encode())
            room.metadata.stdin.close()
    return None


@verb
async def down(room: Room) -> Answer:
    """End the lab."""
    room.closing.set()
    return None
