"""The actions of a resource that keeps processes prepared, of which daemons and their helpers are made when they start.

A failure of it costs nothing but time: what cannot be made of them is started as usual, and what was made of them lives
on without them. So a process that cannot prepare itself is no failure, and a stop ends it alone.
"""

from __future__ import annotations

import os
import signal
import sys

from . import detached, ocf, prepared, processes
from .ocf import Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from .processes import Process
    from .service import Service

POLL = 0.05
POLITE = 2.0
SAID = 500


def monitor(service: Service) -> int:
    """Tell apart: not started, prepared, and at work on it or unable to, which is no reason to start it again."""
    running = dict(_running(service))
    if not running:
        return ocf.NOT_RUNNING
    lost = [role for role in _roles(service) if role not in running]
    if lost:
        raise Failure(ocf.ERR_GENERIC, f"what keeps {', '.join(lost)} prepared has ended")
    if ocf.is_probe("monitor", service.environ):
        return ocf.SUCCESS
    troubles = [trouble for role in running for trouble in _troubles(service, role)]
    if troubles:
        return ocf.degraded(f"{service.name} runs, but {'; '.join(troubles)}", service.environ)
    return ocf.SUCCESS


def start(service: Service) -> int:
    """Start what is not running. It prepares itself afterwards, in the time that nobody else wants."""
    running = dict(_running(service))
    for role in _roles(service):
        if role not in running:
            _spawn(service, role)
    return ocf.SUCCESS


def stop(service: Service) -> int:
    """End what runs, and nothing that has been made of it."""
    deadline = ocf.deadline(service.environ)
    running = [process for _role, process in _running(service)]
    processes.send(running, signal.SIGTERM)
    polite = deadline.within(POLITE)
    while any(process.alive() for process in running) and not deadline.passed():
        if polite.passed():
            processes.send(running, signal.SIGKILL)
        deadline.sleep(POLL)
    left = [str(process.pid) for process in running if process.alive()]
    if left:
        raise Failure(ocf.ERR_GENERIC, f"{service.name} cannot be ended, still running: {', '.join(left)}")
    for role in _roles(service):
        for path in (_pid_file(service, role), _said(service, role), _socket(service, role)):
            processes.remove(path)
    return ocf.SUCCESS


def _roles(service: Service) -> list[str]:
    return list(service.data["prepares"])


def _pid_file(service: Service, role: str) -> str:
    return service.state_file(f"{role}.pid")


def _said(service: Service, role: str) -> str:
    return service.state_file(f"{role}.said")


def _socket(service: Service, role: str) -> str:
    return prepared.socket_path(service.state_directory, service.name, role)


def _running(service: Service) -> Iterator[tuple[str, Process]]:
    """Give what runs by role."""
    for role in _roles(service):
        process = processes.noted(_pid_file(service, role))
        if process is not None:
            yield role, process


def _troubles(service: Service, role: str) -> Iterator[str]:
    """Give why nothing can be made of a process now; one that is busy preparing itself says nothing."""
    try:
        trouble = prepared.ping(_socket(service, role))
    except OSError:
        with open(_said(service, role), encoding="utf-8", errors="replace") as stream:
            _before, found, reason = stream.read().partition(prepared.CANNOT)
        trouble = (found + reason.strip())[:SAID]
    if trouble:
        yield f"{role}: {trouble}"


def _interpreter(service: Service) -> str:
    """Return the interpreter of the programs, as their first lines name it."""
    for role in _roles(service):
        for name in service.data["prepares"][role]["programs"]:
            path = service.program_called(name)
            words = _first_line(path)[2:].split() if path else []
            if len(words) == 1 and os.access(words[0], os.X_OK):
                return words[0]
    raise Failure(ocf.ERR_INSTALLED, f"{service.name}: none of its programs is here")


def _first_line(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as stream:
        return stream.readline(200)


def _spawn(service: Service, role: str) -> None:
    """Start a process, and note which it is."""
    command = [_interpreter(service), "-I", os.path.abspath(sys.argv[0]), f"prepare-{role}"]
    kept = ("OCF_ROOT", "OCF_RESOURCE_INSTANCE", "HA_RSCTMP", "OCF_RESKEY_user")
    surroundings = {name: service.environ[name] for name in kept if name in service.environ}
    surroundings |= {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
    # Written over by the titles of what the process becomes.
    surroundings["UNDERSTUDY_ROOM"] = "-" * prepared.ROOM
    os.makedirs(service.state_directory, 0o755, exist_ok=True)
    process = processes.look(detached.start(command, surroundings, _said(service, role)))
    if process is None:
        raise Failure(ocf.ERR_GENERIC, f"{command[0]} cannot be executed")
    processes.note(_pid_file(service, role), process)
