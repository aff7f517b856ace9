"""The lab's switch: what ``ip`` and ``nft`` are told to make networks, plug machines in and drop packets.

The texts are made by pure functions; :func:`run_ip` and :func:`run_nft` hand them to the image's own programs in the
network namespace of the caller, so that the host needs neither.
"""

import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from understudy.lab.topology import Bridge, Interface, Wiring

TOOL_SECONDS = 60
VXLAN_GROUP, VXLAN_PORT = "224.0.0.1", 8472
"""Where Neutron's Linux bridge agent sends what is for everybody (``vxlan_group``), and the kernel's own port."""


@dataclass(frozen=True, order=True)
class Drop:
    """Packets that a network loses: those of a node in one direction, ``percent`` of them.

    ``peer`` narrows it to the traffic with one other node; None is everybody, the switch and clients included.
    """

    network: str
    node: str
    direction: Literal["in", "out"]
    peer: str | None = None
    percent: int = 100


def bridges(wiring: Wiring) -> str:
    """Return ``ip -batch`` input that makes a bridge of each network, with the lab's and the BMCs' addresses."""
    lines = ["link set lo up"]
    for bridge in wiring.bridges.values():
        # Without an address of its own a bridge takes one of its ports', and another one when that machine dies:
        # the others would send to the dead one until ARP notices, and their fencing devices would not answer.
        kind = "type bridge stp_state 0 forward_delay 0 mcast_snooping 0"
        lines.append(f"link add {bridge.name} address {bridge.mac} {kind}")
        addresses = (bridge.address, *(f"{address}/{bridge.length}" for address in bridge.bmc_addresses))
        lines += [_address(address, bridge.name) for address in addresses]
        lines.append(f"link set {bridge.name} up")
    return "\n".join(lines)


def plug(interfaces: Iterable[Interface], wiring: Wiring, pid: int) -> str:
    """Return ``ip -batch`` input that gives the network namespace of a process these interfaces."""
    lines = []
    for each in interfaces:
        peer = f"name {each.name} address {each.mac} netns {pid}"
        lines.append(f"link add {each.port} type veth peer {peer}")
        lines.append(f"link set {each.port} master {wiring.bridges[each.network].name} up")
    return "\n".join(lines)


def tunnel(bridge: Bridge, identifier: int, mac: str, pid: int) -> str:
    """Return ``ip -batch`` input that stands a namespace in a VXLAN network, as a machine with this address.

    The interface is the end of the tunnel: its packets go through the network of the bridge wherever it is itself.
    """
    through = f"dev {bridge.name} local {bridge.own} dstport {VXLAN_PORT}"
    kind = f"type vxlan id {identifier} group {VXLAN_GROUP} {through}"
    return f"link add tunnel0 address {mac} {kind}\nlink set tunnel0 netns {pid} name eth0\n"


def lease(address: str, router: str, mtu: int) -> str:
    """Return ``ip -batch`` input for the inside of a machine that has got an address with a length by DHCP."""
    lines = ["link set lo up", "address flush dev eth0", f"address add {address} dev eth0"]
    lines += [f"link set eth0 mtu {mtu} up", f"route replace default via {router}"]
    return "\n".join(lines) + "\n"


def unplug(interfaces: Iterable[Interface]) -> str:
    """Return ``ip -batch`` input that takes the cables out; their far ends vanish with them."""
    return "\n".join(f"link delete {each.port}" for each in interfaces)


def configure(interfaces: Iterable[Interface]) -> str:
    """Return ``ip -batch`` input for the inside of a machine: its addresses."""
    lines = ["link set lo up"]
    for each in interfaces:
        lines += [_address(each.address, each.name), f"link set {each.name} up"]
    return "\n".join(lines) + "\n"


def _address(address: str, device: str) -> str:
    # An IPv6 address would be unusable while the kernel looks for a duplicate of it.
    return f"address add {address} dev {device}" + (" nodad" if ":" in address else "")


def filters(drops: Iterable[Drop], silent: Iterable[str], wiring: Wiring) -> str:
    """Return an nft script that replaces all that was dropped before, in one step.

    ``silent`` are addresses of the switch's own that do not answer: those of dead BMCs.
    """
    received: list[str] = []
    sent: list[str] = []
    between: list[str] = []
    for drop in sorted(drops, key=repr):
        ports = _ports(drop.network, drop.node, wiring)
        peers = _ports(drop.network, drop.peer, wiring) if drop.peer else ""
        share = "" if drop.percent >= 100 else f"numgen random mod 100 < {drop.percent} "
        if not ports or (drop.peer and not peers):
            continue
        if not peers:  # all of the node's traffic, with the switch itself too
            side, rules = ("iifname", received) if drop.direction == "out" else ("oifname", sent)
            rules.append(f"{side} {ports} {share}drop")
        else:
            source, target = (ports, peers) if drop.direction == "out" else (peers, ports)
            between.append(f"iifname {source} oifname {target} {share}drop")
    return "\n".join(
        (
            "add table bridge understudy",
            "delete table bridge understudy",
            "table bridge understudy {",
            *_chain("received", "prerouting", received),
            *_chain("between", "forward", between),  # the only hook that knows both ports
            *_chain("sent", "postrouting", sent),
            "}",
            "add table inet understudy",
            "delete table inet understudy",
            "table inet understudy {",
            *_chain("input", "input", [f"{_family(each)} daddr {each} drop" for each in sorted(silent)]),
            "}",
            "",
        )
    )


def _family(address: str) -> str:
    return "ip6" if ":" in address else "ip"


def _chain(name: str, hook: str, rules: list[str]) -> list[str]:
    head = f"  chain {name} {{ type filter hook {hook} priority 0; policy accept;"
    return [head, *(f"    {rule}" for rule in rules), "  }"]


def _ports(network: str, node: str, wiring: Wiring) -> str:
    ports = [each.port for each in wiring.interfaces[node] if each.network == network]
    return ports[0] if ports else ""


def run_ip(image: str, batch: str, *, inside: int | None = None, keep_going: bool = False) -> None:
    """Give ``ip`` a batch, in the network namespace of a process or else the caller's; raises CalledProcessError."""
    enter = [] if inside is None else ["nsenter", f"--net=/proc/{inside}/ns/net"]
    force = ["-force"] if keep_going else []
    _run([*enter, "chroot", image, "/usr/sbin/ip", *force, "-batch", "-"], batch, check=not keep_going)


def run_nft(image: str, script: str) -> None:
    """Give ``nft`` a script, which it takes as a whole or not at all; raises CalledProcessError."""
    _run(["chroot", image, "/usr/sbin/nft", "-f", "-"], script, check=True)


def _run(command: list[str], text: str, *, check: bool) -> None:
    environment = {"LC_ALL": "C", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    subprocess.run(
        command,
        input=text,
        text=True,
        check=check,
        capture_output=True,
        timeout=TOOL_SECONDS,
        env=environment,
    )
