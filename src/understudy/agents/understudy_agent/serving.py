"""Whether a running service does its work: it answers on its address, or holds its connection to the broker."""

from __future__ import annotations

import os
import time

from . import config, dependencies, http, net, processes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .ocf import Deadline
    from .processes import Process
    from .service import Service

UNCONNECTED, BUSY = "unconnected", "busy"
"""The files of the resource that say since when it has been so."""
SETTLE = 3.0
"""Seconds that a service without an address and without a broker has to live to count as started."""
PATIENCE = 90.0
"""Seconds that a service may be without a connection to a broker that answers: it retries every 30 s at most."""

BUSY_PATIENCE = 90.0
"""Seconds that a service may keep its clients waiting while it is at work: then it works without an end."""
LOOK, AT_WORK = 2.0, 0.05
"""Seconds in which a service is watched, and of processor time in them that tell it from one that hangs. Where ten
times as much wants to run as there are processors, one that has work to do still gets twice that."""


def ready(service: Service, process: Process, age: float, deadline: Deadline) -> bool:
    """Return whether a service that has just been started serves, or is as far as it gets without its dependencies."""
    if service.listens:
        trouble, waits = answers(service, deadline.within(deadline.left() / 2))
        return not trouble or (waits and age >= SETTLE and bool(dependencies.gone(service, deadline)))
    settled = age >= float(service.data.get("settle", SETTLE))
    if not service.data.get("connected") or not dependencies.brokers(service):
        return settled
    if not lonely(service, process):
        return True
    # What was only not asked for long enough does not count as gone.
    return settled and bool(dependencies.gone(service, deadline)) and not deadline.passed()


def unanswered(service: Service, deadline: Deadline) -> str:
    """Return why the service does not answer on its address, empty if it does."""
    return answers(service, deadline)[0]


def answers(service: Service, deadline: Deadline) -> tuple[str, bool]:
    """Return why the service does not answer on its address, empty if it does, and whether it only keeps one waiting.

    Who listens and does not answer may have all its workers in requests that wait for a database or for Keystone: a
    restart would mend nothing then, and take from it what it has queued.
    """
    target = service.target()
    host, port, _secure = target
    name = f"{service.name} on {host}:{port}"
    if not net.is_local(host):
        # The address is on another node, so that asking it would ask the copy there.
        return "" if net.listeners(host, port) else f"{name} does not listen", False
    try:
        trouble = _asked(service, target, deadline)
    except net.NoAnswer as error:
        texts = {"refused": "does not listen", "silent": "accepts connections but does not answer in time"}
        waits = error.kind in ("silent", "unreachable")
        return f"{name} {texts.get(error.kind, 'gives no answer: ' + error.text)}", waits
    return f"{name} {trouble}" if trouble else "", False


def _asked(service: Service, target: tuple[str, int, bool], deadline: Deadline) -> str:
    """Ask the service in its own protocol; return what is wrong with its answer."""
    if service.data.get("speaks") == "amqp":
        from . import amqp

        host, port, secure = target
        amqp.greet(host, port, deadline, secure=secure)
        return ""
    serving = service.data["serving"]
    answer = http.ask(target, serving["path"], deadline)
    return "" if answer.status in serving["accept"] else f"answers {answer.status} to GET {serving['path']}"


def lonely(service: Service, process: Process) -> list[int]:
    """Return the pids that should hold a connection to a broker and do not, nothing when there is no broker."""
    brokers = dependencies.brokers(service)
    if not brokers:
        return []
    ports = {url.port for url in brokers}
    table = net.table(net.ESTABLISHED, *(url.host for url in brokers))
    inodes = {end.inode for end in table if end.remote_port in ports}
    tree = processes.tree(process.pid)
    connected = {pid for pid in tree if processes.sockets(pid) & inodes}
    if config.is_true(service.given("multibackend")):
        return [pid for pid in tree[1:] if pid not in connected]
    return [] if connected else [process.pid]


def unconnected(service: Service, process: Process) -> str:
    """Return the complaint that the service has been without a broker that answers for too long."""
    without = lonely(service, process)
    if not without:
        forget(service)
        return ""
    if _lasting(service, UNCONNECTED) < PATIENCE:
        return ""
    pids = ", ".join(map(str, without))
    return f"{service.name} (process {pids}) has had no connection to its message broker for {PATIENCE:.0f} s"


def at_work(service: Service, process: Process, deadline: Deadline) -> bool:
    """Return whether a service that keeps its clients waiting works, and not for too long: it has too much to do.

    A restart would take from it what it has done, and give the machine more to do: after the loss of all nodes every
    copy of everything starts at once.
    """
    before = processes.worked(process.pid)
    deadline.sleep(LOOK)
    if processes.worked(process.pid) - before < AT_WORK:
        return False
    return _lasting(service, BUSY) < BUSY_PATIENCE


def at_ease(service: Service) -> None:
    """Forget how long the service has kept its clients waiting."""
    processes.remove(service.state_file(BUSY))


def _lasting(service: Service, what: str) -> float:
    """Return the seconds since something was first noticed; what has just been noticed is noted."""
    mark = service.state_file(what)
    try:
        return time.time() - os.stat(mark).st_mtime
    except OSError:
        if os.path.isdir(service.state_directory):
            processes.write_private(mark, "", 0o600)
        return 0.0


def forget(service: Service) -> None:
    """Forget how long the service has been without its broker, and has kept its clients waiting."""
    processes.remove(service.state_file(UNCONNECTED))
    at_ease(service)
