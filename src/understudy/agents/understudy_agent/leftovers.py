"""Taking away what agents of the Networking service leave on a node, and nothing else.

Whose something is shows by its name: a namespace that begins as Neutron's do, and every process that stands in such a
namespace. A dnsmasq of libvirt stands in none of them. Sources: neutron/agent/l3/namespaces.py, linux/dhcp.py,
plugins/ml2/drivers/linuxbridge/agent.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess

from . import processes
from .ocf import ERR_GENERIC, Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .ocf import Deadline
    from .processes import Process
    from .service import Service

NAMESPACES = "/run/netns"
NET = "/sys/class/net"
POLITE = 1.0
"""Seconds that a process in a namespace gets to end by itself; keepalived gives up its addresses meanwhile."""
CHAIN = re.compile(r"-A (\S+) .*-j (neutron-\S+)")


def present(service: Service) -> list[str]:
    """Return the names of what an agent has left here: namespaces and bridges."""
    leaves = service.data.get("leaves", {})
    return [*names(NAMESPACES, leaves.get("namespaces", ())), *names(NET, leaves.get("bridges", ()))]


def clear(service: Service, deadline: Deadline) -> None:
    """Take it all away; raise Failure with what is still there in the end."""
    leaves = service.data.get("leaves", {})
    namespaces = names(NAMESPACES, leaves.get("namespaces", ()))
    _end(_inside(namespaces), deadline)
    if namespaces:
        # First the cables: those of a namespace that is deleted vanish when the kernel comes to it.
        cables = [f"link delete {name}" for name in _cables_into(namespaces, deadline)]
        _ip([*cables, *(f"netns delete {name}" for name in namespaces)], deadline)
    _delete_switch_ports(leaves.get("switch_ports", ()), deadline)
    own = tuple(leaves.get("tunnels", ()))
    for bridge in names(NET, leaves.get("bridges", ())):
        _dissolve(bridge, own, deadline)
    if leaves.get("chains"):
        _delete_chains(deadline)
    kept = names(NAMESPACES, leaves.get("namespaces", ()))
    if kept:
        raise Failure(ERR_GENERIC, f"{service.name} cannot take away: {', '.join(kept)}")


def names(directory: str, prefixes: Iterable[str]) -> list[str]:
    """Return what in a directory begins as one of these."""
    beginnings = tuple(prefixes)
    try:
        return sorted(name for name in os.listdir(directory) if beginnings and name.startswith(beginnings))
    except OSError:
        return []


def _inside(namespaces: Iterable[str]) -> list[Process]:
    """Return the processes that stand in one of these network namespaces, or look into one from outside.

    Those are neutron-keepalived-state-change: one that outlives its namespace is taken by the next L3 agent for that of
    the new one, and tells nobody of what a virtual router does there.
    """
    wanted, looks = set(), set()
    for name in namespaces:
        looks.add(f"--namespace={name}")
        try:
            wanted.add(os.stat(f"{NAMESPACES}/{name}").st_ino)
        except OSError:
            continue
    found = []
    for process in processes.everyone() if wanted else ():
        try:
            stands = os.stat(f"/proc/{process.pid}/ns/net").st_ino in wanted
            if process.pid != os.getpid() and (stands or looks & set(processes.command_line(process.pid))):
                found.append(process)
        except OSError:
            continue
    return found


def _cables_into(namespaces: Iterable[str], deadline: Deadline) -> list[str]:
    """Return the interfaces here whose other end is in one of these namespaces."""
    far: set[str] = set()
    for name in namespaces:
        shown = _run(["ip", "-n", name, "-o", "link", "show", "type", "veth"], deadline)
        far.update(re.findall(r"@if(\d+):", shown.stdout if shown else ""))
    return [name for name in names(NET, ("",)) if _index(name) in far]


def _index(interface: str) -> str:
    try:
        with open(f"{NET}/{interface}/ifindex", encoding="utf-8") as stream:
            return stream.read().strip()
    except OSError:
        return ""


def _end(everyone: list[Process], deadline: Deadline) -> None:
    processes.send(everyone, signal.SIGTERM)
    patience = deadline.within(POLITE)
    while any(process.alive() for process in everyone) and not patience.passed():
        patience.sleep(0.05)
    processes.send(everyone, signal.SIGKILL)
    while any(process.alive() for process in everyone) and not deadline.passed():
        deadline.sleep(0.02)


def _run(
    command: Sequence[str], deadline: Deadline, text: str = ""
) -> subprocess.CompletedProcess[str] | None:
    """Run a command to its end; None where it does not exist."""
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
    try:
        return subprocess.run(
            command,
            input=text,
            text=True,
            capture_output=True,
            timeout=max(1.0, deadline.left()),
            check=False,
            env=environment,
        )
    except FileNotFoundError:
        return None
    except subprocess.TimeoutExpired:
        raise Failure(ERR_GENERIC, f"{command[0]} does not come to an end") from None


def _ip(lines: Iterable[str], deadline: Deadline) -> None:
    _run(["ip", "-force", "-batch", "-"], deadline, "\n".join(lines) + "\n")


def _dissolve(bridge: str, tunnels: tuple[str, ...], deadline: Deadline) -> None:
    """Take a bridge of the Linux bridge agent down, unless something that is not Neutron's agents' is plugged into it.

    That agent moves the addresses and routes of a physical interface onto its bridge; here they move back.
    """
    ports = names(f"{NET}/{bridge}/brif", ("",))
    tunnel = [port for port in ports if tunnels and port.startswith(tunnels)]
    others = [port for port in ports if port not in tunnel]
    physical = [port for port in others if os.path.exists(f"{NET}/{port}/device") or _is_wire(port)]
    if any(port not in physical for port in others):
        return
    back = [line for port in physical for line in _moved_back(bridge, port, deadline)]
    _ip([*(f"link delete {port}" for port in tunnel), f"link delete {bridge}"], deadline)
    if back:
        _ip(back, deadline)


def _is_wire(port: str) -> bool:
    """Return whether an interface goes out of the node: neither a tap nor one end of a veth whose other end is here."""
    return not port.startswith(("tap", "qvo", "qvb", "vnet"))


def _moved_back(bridge: str, port: str, deadline: Deadline) -> list[str]:
    lines = []
    shown = _run(["ip", "-o", "address", "show", "dev", bridge, "scope", "global"], deadline)
    for line in shown.stdout.splitlines() if shown else ():
        found = re.search(r"inet6? (\S+)", line)
        if found:
            lines.append(f"address add {found[1]} dev {port}")
    routes = _run(["ip", "route", "show", "dev", bridge], deadline)
    for route in routes.stdout.splitlines() if routes else ():
        if "proto kernel" not in route:
            words = [word for word in route.split() if word not in ("linkdown", "dead")]
            lines.append(f"route replace {' '.join(words)} dev {port}")
    return lines


def _delete_switch_ports(prefixes: Iterable[str], deadline: Deadline) -> None:
    """Take the agents' ports out of Open vSwitch, where there is one."""
    beginnings = tuple(prefixes)
    listed = (
        _run(["ovs-vsctl", "--columns=name", "--format=csv", "--no-headings", "list", "Port"], deadline)
        if beginnings
        else None
    )
    for line in listed.stdout.splitlines() if listed else ():
        name = line.strip().strip('"')
        if name.startswith(beginnings):
            _run(["ovs-vsctl", "--if-exists", "del-port", name], deadline)


def _delete_chains(deadline: Deadline) -> None:
    """Take the layer-2 agent's chains out of the node's own packet filter."""
    for family in ("iptables", "ip6tables"):
        saved = _run([f"{family}-save"], deadline)
        if saved is not None and "neutron-" in saved.stdout:
            _run([f"{family}-restore", "--noflush"], deadline, without_chains(saved.stdout))


def without_chains(saved: str) -> str:
    """Return what iptables-restore has to be told so that Neutron's chains are gone from what iptables-save wrote."""
    lines: list[str] = []
    chains: list[str] = []
    for line in saved.splitlines():
        if line.startswith("*"):
            chains = []
            lines.append(line)
        elif line.startswith(":neutron-"):
            chains.append(line[1:].split(" ")[0])
            lines.append(f"-F {chains[-1]}")
        elif line == "COMMIT":
            lines += [*(f"-X {chain}" for chain in chains), line]
        else:
            jump = CHAIN.match(line)
            if jump and not jump[1].startswith("neutron-"):
                lines.append("-D" + line[2:])
    return "\n".join(lines) + "\n"
