"""What the networks have to be told when an agent's routers and servers have come to this node.

Their addresses were on another node before. Neutron tells the networks so once, when it makes an interface, which may
be before the layer-2 agent has wired it; so it is told again when it is wired. A router carries traffic from the moment
its interfaces are up, which is before its rules for translating addresses are there; the kernel goes on as a connection
began, so one that lasts would stay untranslated for ever. What began before the rules is forgotten when they come.

Virtual routers (VRRP) come to a node long after its agent: Keepalived announces them when it takes over, and again
after a minute. A node that was cut off from the others answers for them until it is fenced, so that what switches learn
from the first time may be undone; they are told again and again until fencing is over.
Sources: RFC 5227, section 3; neutron/agent/l3/router_info.py (process); conntrack(8).
"""

from __future__ import annotations

import fcntl
import os
import re
import socket
import struct
import subprocess
import time

from .leftovers import NAMESPACES, NET, names
from .namespace import addresses, inside
from .roles import Roles

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

FRESH = 120.0
"""Seconds after the start of an agent in which what it makes is looked at; with many routers it takes its time."""
MOMENTS = (0.0, 1.0, 2.0, 4.0, 8.0)
"""Seconds after something is seen at which it is announced; a packet may be lost."""
AGAIN = (*MOMENTS, 11.0, 14.0, 17.0, 20.0, 25.0, 30.0)
"""The same where another node may still answer."""
MOST = 200
"""So many connections are forgotten one by one; with more, all are."""
_SIOCGIFHWADDR = 0x8927
_TRANSLATES = re.compile(r"-j (?:SNAT|DNAT|MASQUERADE) ")
_FLOW = re.compile(r"src=(\S+) dst=(\S+)")

Address = tuple[str, str, str]
"""Namespace, interface, IPv4 address."""


class Arrival:
    """Looks at an agent's namespaces while they are new; made by a process with one thread, run by root."""

    STEP = 0.5
    """Seconds between two looks."""

    def __init__(
        self, namespaces: Sequence[str], interfaces: Sequence[str], *, translates: bool, takeovers: str = ""
    ) -> None:
        self._prefixes, self._interfaces = tuple(namespaces), tuple(interfaces)
        self._translates = translates
        self._takeovers = takeovers
        self._roles = Roles(takeovers) if takeovers else None
        self._states: dict[str, int] = {}
        self._taken: dict[str, float] = {}
        self._until = time.monotonic() + FRESH
        self._seen: dict[tuple[Address, str], tuple[float, int]] = {}
        self._untranslated: set[str] = set()
        self._settled: set[str] = set()

    def lasts(self) -> bool:
        """Return whether there is something to look at still."""
        return bool(self._takeovers) or time.monotonic() < self._until

    def step(self) -> None:
        """Look once, and tell what is due."""
        if self._roles:
            self._roles.step()
        taken = self._taken_over()
        looked_at = names(NAMESPACES, self._prefixes) if time.monotonic() < self._until else taken
        if not looked_at:
            return
        wired = _wired()
        for namespace in looked_at:
            with inside(f"{NAMESPACES}/{namespace}") as there:
                if there:
                    self._inside(namespace, wired)

    def _taken_over(self) -> list[str]:
        """Return the namespaces of the virtual routers that a node has taken over or given up a moment ago."""
        now = time.monotonic()
        for router in names(self._takeovers, ("",)):
            try:
                changed = os.stat(f"{self._takeovers}/{router}/state").st_mtime_ns
            except OSError:
                continue
            if self._states.get(router) != changed:
                self._states[router] = changed
                taken = {prefix + router: now for prefix in self._prefixes}
                self._taken.update(taken)
                self._seen = {key: seen for key, seen in self._seen.items() if key[0][0] not in taken}
        self._taken = {name: since for name, since in self._taken.items() if now - since <= AGAIN[-1] + 1}
        return list(self._taken)

    def _inside(self, namespace: str, wired: dict[str, str]) -> None:
        now = time.monotonic()
        moments = AGAIN if namespace in self._taken else MOMENTS
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
            for interface, address in addresses():
                if not interface.startswith(self._interfaces) or address.startswith("169.254."):
                    continue
                key = ((namespace, interface, address), wired.get(interface.partition("-")[2], ""))
                since, count = self._seen.get(key, (now, 0))
                if count < len(moments) and now - since >= moments[count]:
                    _announce(asked, interface, address)
                    count += 1
                self._seen[key] = (since, count)
        if self._translates and namespace not in self._settled:
            self._forget(namespace)

    def _forget(self, namespace: str) -> None:
        """Forget the connections that began before the rules; an agent that finds its rules in place changes none."""
        if not _TRANSLATES.search(_run("iptables-save", "-t", "nat")):
            self._untranslated.add(namespace)
            return
        self._settled.add(namespace)
        if namespace in self._untranslated:
            pairs = set(untranslated(_run("conntrack", "-L")))
            for source, destination in pairs if len(pairs) <= MOST else ():
                _run("conntrack", "-D", "--orig-src", source, "--orig-dst", destination)
            if len(pairs) > MOST:
                _run("conntrack", "-F")


def untranslated(listed: str) -> Iterator[tuple[str, str]]:
    """Give source and destination of each connection in conntrack's list that goes as it came."""
    for line in listed.splitlines():
        flows = _FLOW.findall(line)
        if len(flows) == 2 and flows[0] == flows[1][::-1]:
            yield flows[0]


def _wired() -> dict[str, str]:
    """Return by the id in a tap's name what else is in its bridge, as long as frames go through.

    Ports of Open vSwitch have no such place; they are announced from the moment they are seen.
    """
    wired = {}
    for tap in names(NET, ("tap",)):
        try:
            with open(f"{NET}/{tap}/brport/state", encoding="ascii") as stream:
                forwards = stream.read().strip() == "3"
            ports = os.listdir(f"{NET}/{tap}/master/brif") if forwards else []
        except OSError:
            continue
        wired[tap[3:]] = " ".join(sorted(port for port in ports if not port.startswith("tap")))
    return wired


def _announce(asked: socket.socket, interface: str, address: str) -> None:
    """Send a gratuitous ARP request, from which switches and neighbours learn where the address is now."""
    try:
        shown = fcntl.ioctl(asked, _SIOCGIFHWADDR, struct.pack("256s", interface.encode()))
        mac, own = shown[18:24], socket.inet_aton(address)
        head = b"\xff" * 6 + mac + struct.pack("!H", 0x0806)
        body = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + mac + own + b"\0" * 6 + own
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as link:
            link.bind((interface, 0x0806))
            link.send(head + body)
    except OSError:
        return  # the interface has gone or is down; it is seen again when it is there


def _run(*command: str) -> str:
    """Run a command here and return what it wrote; nothing where there is no such command."""
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=30, check=False, env=environment
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout
