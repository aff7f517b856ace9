"""Ending a service for sure: asked first, killed then, looked after, and its address free."""

from __future__ import annotations

import signal

from . import net, processes, serving
from .ocf import ERR_GENERIC, Deadline, Failure, action_timeout, margin, say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from .processes import Identity, Process
    from .service import Service

POLL = 0.1
ORPHANS = 3.0
"""Seconds that workers get when their master has ended."""
FREED = 1.0
"""Seconds after which a socket without an owner must be gone."""
KILLED = 3.0
"""Seconds that a killed process may take to vanish where the timeout allows it."""


def stop(service: Service, identity: Identity) -> str:
    """End every process of the service; return a remark for the log. Needs neither program nor option file."""
    timeout = action_timeout(service.environ)
    deadline = Deadline(timeout - margin(timeout))
    copies = processes.search(service, identity)
    roots = copies.masters + copies.leftovers
    if not roots:
        _clean(service)
        return "is not running"
    inodes = _listening(service, roots)
    everyone = processes.family(roots, inodes)
    processes.send(roots, signal.SIGTERM)
    # One that was stopped cannot hear; what is left of its workers would be waited for.
    processes.send([process for process in everyone if process.state == "T"], signal.SIGCONT)
    polite = deadline.within(
        min(service.integer("shutdown_timeout"), deadline.left() - min(KILLED, timeout / 4))
    )
    remark = "has stopped"
    if not _wait(everyone, polite, copies.masters):
        remark = "had to be killed"
        kill(service, identity, everyone, inodes, deadline)
    _await_free(service, inodes)
    _clean(service)
    return remark


def kill(
    service: Service, identity: Identity, known: Iterable[Process], inodes: Iterable[int], deadline: Deadline
) -> None:
    """Kill processes, and those that they have started meanwhile; raise Failure if one survives."""
    alive = list(known)
    while alive:
        processes.send(alive, signal.SIGKILL)
        deadline.sleep(POLL / 4)
        copies = processes.search(service, identity)
        found = processes.family(copies.masters + copies.leftovers, inodes)
        alive = list({p.pid: p for p in (*alive, *found) if p.alive()}.values())
        if alive and deadline.passed():
            pids = ", ".join(str(process.pid) for process in alive)
            raise Failure(ERR_GENERIC, f"{service.name} cannot be killed, still running: {pids}")


def end_leftovers(service: Service, identity: Identity, leftovers: list[Process], deadline: Deadline) -> None:
    """End workers whose master is gone: they answer with old settings and keep the address."""
    pids = ", ".join(str(process.pid) for process in leftovers)
    say(f"{service.name}: ending workers that a killed master left behind: {pids}")
    inodes = _listening(service, leftovers)
    everyone = processes.family(leftovers, inodes)
    processes.send(leftovers, signal.SIGTERM)
    if not _wait(everyone, deadline.within(deadline.left() / 4), []):
        kill(service, identity, everyone, inodes, deadline)


def _wait(everyone: list[Process], deadline: Deadline, masters: list[Process]) -> bool:
    """Return whether all end by the deadline, workers soon after their masters."""
    orphans: Deadline | None = None
    while any(process.alive() for process in everyone):
        if orphans is None and not any(master.alive() for master in masters):
            orphans = deadline.within(ORPHANS)
        if deadline.passed() or (orphans and orphans.passed()):
            return False
        deadline.sleep(POLL)
    return True


def _listening(service: Service, roots: list[Process]) -> set[int]:
    """Return the listening sockets of the processes on the service's address."""
    if not service.listens:
        return set()
    on_address = {endpoint.inode for endpoint in net.listeners(service.host(), service.port())}
    own: set[int] = set()
    for root in roots:
        own |= processes.sockets(root.pid)
    return own & on_address


def _await_free(service: Service, inodes: set[int]) -> None:
    """Raise Failure if a socket of the service stays although all that had it open are gone."""
    deadline = Deadline(FREED)
    while inodes and inodes & {endpoint.inode for endpoint in net.table(net.LISTEN)}:
        if deadline.passed():
            raise Failure(ERR_GENERIC, f"the address of {service.name} is still in use after its end")
        deadline.sleep(POLL / 4)


def _clean(service: Service) -> None:
    processes.remove(service.pid_file)
    processes.remove(service.state_file("token"))
    serving.forget(service)
    processes.remove(service.state_file("unheard"))
