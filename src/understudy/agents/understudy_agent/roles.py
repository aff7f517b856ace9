"""Whether the L3 agent knows which virtual routers this node has taken over.

A small process of Neutron's beside each router, neutron-keepalived-state-change, writes down what Keepalived does and
tells the agent, which then serves metadata there. Its threads fork while others hold locks, so that now and then one
hangs as it starts: it lives and hears nothing, Neutron shows a router without an active node, and instances get no
metadata from the next takeover on. One that says for a while what is not so is ended; the agent looks after its
processes and starts another, which begins by looking.
Sources: neutron/agent/l3/keepalived_state_change.py (MonitorDaemon), neutron/agent/linux/keepalived.py
(PRIMARY_VIP_RANGE_SIZE), neutron/agent/linux/external_process.py (ProcessMonitor).
"""

from __future__ import annotations

import signal
import time

from . import processes
from .leftovers import NAMESPACES, names
from .namespace import addresses, inside

PROGRAM = "neutron-keepalived-state-change"
ACTIVE = ("primary", "master")
"""What the file says on the node that has the router; the second one until Wallaby."""
HELD = "169.254.0."
"""The address that Keepalived holds for each router, whatever else the router has, begins so."""
EVERY = 5.0
"""Seconds between two looks."""
PATIENCE = 12.0
"""Seconds for which file and addresses may differ; a takeover is written down within one."""


class Roles:
    """Looks at the virtual routers of a node; made by a process with one thread, run by root."""

    def __init__(self, folder: str, prefix: str = "qrouter-") -> None:
        self._folder, self._prefix = folder, prefix
        self._next = 0.0
        self._since: dict[str, float] = {}

    def step(self) -> None:
        """Look if it is time, and end what has been wrong for too long."""
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + EVERY
        routers = names(self._folder, ("",))
        self._since = {router: since for router, since in self._since.items() if router in routers}
        for router in routers:
            said, held = self._said(router), self._held(router)
            if said is None or held is None or said == held:
                self._since.pop(router, None)
            elif now - self._since.setdefault(router, now) >= PATIENCE:
                self._since[router] = now
                _end(router)

    def _said(self, router: str) -> bool | None:
        """Return whether the file says that the router is active here; None where nothing is said."""
        try:
            with open(f"{self._folder}/{router}/state", encoding="ascii", errors="replace") as stream:
                text = stream.read(100).strip()
        except OSError:
            return None
        return text in ACTIVE if text else None

    def _held(self, router: str) -> bool | None:
        """Return whether the router's address of Keepalived's is here; None where there is no such router."""
        with inside(f"{NAMESPACES}/{self._prefix}{router}") as there:
            found = addresses() if there else None
        return None if found is None else any(address.startswith(HELD) for _, address in found)


def _end(router: str) -> None:
    for process in processes.everyone():
        words = processes.command_line(process.pid)
        if any(word.endswith(PROGRAM) for word in words[:2]) and f"--router_id={router}" in words:
            processes.send([process], signal.SIGKILL)
