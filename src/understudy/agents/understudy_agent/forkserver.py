"""A process that has imported what others import, and of which a copy becomes each of them when it is asked.

Importing itself is most of what the start of a daemon in Python costs. This process has done it, once, with one thread,
no connection, and no option read. Asked over a socket it forks; the copy checks the request, takes on user, session,
outputs, environment and command line, and runs the program's own script. Sources: fork(2), unix(7); the way in which
oslo.service makes workers (oslo_service/service.py), which also fork after eventlet's patches.
"""

from __future__ import annotations

import _socket
import gc
import importlib
import os
import re
import select
import signal
import stat
import sys
import time

from . import become, prepared
from .ocf import ERR_GENERIC, Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, NoReturn

    from .service import Service

AGAIN = 60.0
"""Seconds after which it is tried again to prepare what could not be prepared."""
BACKLOG = 16
_IMPORTED = re.compile(r"^from (\S+) import \w+$", re.MULTILINE)
# Taken now: eventlet takes them out of the module.
_poll = select.poll
_sleep = time.sleep


class Prepared:
    """What has been imported, and the files that it came from as they were."""

    def __init__(self, programs: dict[str, str]) -> None:
        self.programs = programs
        """By path, what the interpreter of each is called in a title."""
        self.keeper = os.getpid()
        """The process that keeps it."""
        self._files = {path: _state(path) for path in _sources()}

    def stale(self) -> str:
        """Return a file that is not what was imported, empty where there is none."""
        return next((path for path, state in self._files.items() if _state(path) != state), "")


def run(service: Service, role: str) -> int:
    """Prepare and answer for ever; only a copy returns, when the program that it has become has ended."""
    try:
        made = _prepare(service, role)
        listener = _listen(service, role)
    except Exception as error:  # noqa: BLE001 - what is imported may raise anything, as in the middle of an upgrade
        _complain(f"{type(error).__name__}: {error}")
        _sleep(AGAIN)
        again()
    signal.signal(signal.SIGHUP, lambda *_: again())
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    poll = _poll()
    poll.register(listener.fileno(), select.POLLIN)
    allowed = {os.geteuid(), _customer(service)} if role == prepared.HELPERS else {os.geteuid()}
    while True:
        poll.poll()
        connection = _socket.socket(fileno=_accept(listener))
        if prepared.peer(connection)[1] in allowed and _forked():
            listener.close()
            return become.program(service, role, made, connection)
        connection.close()


def _complain(text: str) -> None:
    """Leave the reason, and nothing older, where the monitor looks for it."""
    sys.stderr.flush()
    if stat.S_ISREG(os.fstat(2).st_mode):
        os.ftruncate(2, 0)
        os.lseek(2, 0, os.SEEK_SET)
    sys.stderr.write(f"{prepared.CANNOT}{text}\n")
    sys.stderr.flush()


def again() -> NoReturn:
    """Begin anew, as the same process, which is deaf to further wishes of the kind until it is prepared."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    os.execve(sys.executable, [sys.executable, "-I", *sys.argv], dict(os.environ))


def _forked() -> bool:
    """Return whether this is the copy; without the memory for one there is none."""
    try:
        return os.fork() == 0
    except OSError:
        return False


def _customer(service: Service) -> int:
    account = service.account()
    return account.pw_uid if account else os.geteuid()


def _prepare(service: Service, role: str) -> Prepared:
    """Import everything, as quietly as a machine with other work needs it."""
    plan: dict[str, Any] = service.data["prepares"][role]
    before = _descriptors()
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    # It looks for the place of its title in the environment that the process was started with, once.
    title: Any = importlib.import_module("setproctitle")
    title.setproctitle(title.getproctitle())
    programs = _import(service, plan["programs"], plan.get("modules", ()))
    if not programs:
        raise Failure(ERR_GENERIC, f"none of its programs is here: {', '.join(plan['programs'])}")
    _let_go_of_the_hub()
    _refuse_what_does_not_fork(before)
    made = Prepared(programs)
    gc.collect()
    gc.freeze()
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    return made


def _import(service: Service, programs: Sequence[str], modules: Sequence[str]) -> dict[str, str]:
    found = {}
    for path in filter(None, map(service.program_called, programs)):
        interpreter, module = entry(path)
        if module and interpreter == sys.executable:
            importlib.import_module(module)
            found[path] = interpreter
    for module in modules if found else ():
        try:
            importlib.import_module(module)
        except ImportError:
            continue  # another release has it elsewhere, and imports it itself
    return found


def entry(path: str) -> tuple[str, str]:
    """Return interpreter and module of a console script, as setuptools writes it; empty for anything else."""
    with open(path, encoding="utf-8", errors="replace") as stream:
        text = stream.read(4096)
    found = _IMPORTED.search(text)
    words = text.partition("\n")[0][2:].split() if text.startswith("#!") else []
    return (words[0], found[1]) if found and len(words) == 1 else ("", "")


def _let_go_of_the_hub() -> None:
    """Give up eventlet's epoll, which copies would share; each makes its own when it first waits."""
    hubs = sys.modules.get("eventlet.hubs")
    if hubs is None:
        return
    hub = hubs.get_hub()
    if hub.timers or hub.next_timers or hub.get_readers() or hub.get_writers():
        raise Failure(ERR_GENERIC, "what was imported waits for something already")
    if hasattr(hub, "poll") and hasattr(hub.poll, "close"):
        hub.poll.close()
    hubs.use_hub()


def _refuse_what_does_not_fork(before: set[int]) -> None:
    if len(os.listdir("/proc/self/task")) > 1:
        raise Failure(ERR_GENERIC, "what was imported has started a thread")
    if _descriptors() - before:
        raise Failure(ERR_GENERIC, "what was imported has opened a file")


def _descriptors() -> set[int]:
    return {int(name) for name in os.listdir("/proc/self/fd") if os.path.lexists(f"/proc/self/fd/{name}")}


def _sources() -> set[str]:
    """Return the files that this process was made of: modules, libraries, and the folders that more may come from."""
    named = {getattr(module, "__file__", None) for module in list(sys.modules.values())}
    with open("/proc/self/maps", encoding="utf-8", errors="replace") as stream:
        mapped = {line.split(maxsplit=5)[5].strip() for line in stream if "/" in line}
    return {path for path in (*named, *mapped, *sys.path) if path and path.startswith("/")}


def _state(path: str) -> tuple[int, int, int]:
    try:
        found = os.stat(path)
    except OSError:
        return (0, 0, 0)
    return (found.st_ino, found.st_mtime_ns, found.st_size)


def _accept(listener: _socket.socket) -> int:
    """Take a connection, by the class below that of the module ``socket``, whose methods are eventlet's."""
    accept: Any = getattr(listener, "_accept")  # noqa: B009 - the type stubs do not know it
    return int(accept()[0])


def _listen(service: Service, role: str) -> _socket.socket:
    path = prepared.socket_path(service.state_directory, service.name, role)
    if os.path.lexists(path):
        os.unlink(path)
    listener = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
    mask = os.umask(0o177)
    try:
        listener.bind(path)
    finally:
        os.umask(mask)
    account = service.account()
    if role == prepared.HELPERS and account is not None:
        os.chown(path, 0, account.pw_gid)
        os.chmod(path, 0o660)
    listener.listen(BACKLOG)
    return listener
