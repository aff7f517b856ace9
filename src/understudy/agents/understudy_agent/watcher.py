"""A small process beside a service: its death is an event that reaches Pacemaker at once, not at the next monitor.

It waits for the end of the service's main process (pidfd_open(2)), and as long as a virtual address is here it asks
the service every second. While the service does not answer, the node has the transient attribute
``unhealthy-RESOURCE``, by which a location rule sends the address to a healthy copy; whether a service that lives is
restarted stays the monitor's decision, so that a false alarm costs a move at most. When it was slow is told to the
other copies in the private attribute ``slow-RESOURCE``, which makes Pacemaker decide nothing. A death is reported as a
failed monitor (``crm_resource --fail``), after the address has left: Pacemaker decides anew only when what it does is
done, and a service takes seconds to start.

The first that it does is to ask the service, with the service's own credentials, what a client would ask.
"""

from __future__ import annotations

import os
import sys
import time

from . import config, net, ocf, processes, serving
from .ocf import Deadline
from .processes import Identity

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .arrival import Arrival
    from .processes import Process
    from .service import Service

BUSY, IDLE = 1.0, 5.0
"""Seconds between two questions to a copy that clients go to, and to one that they do not."""
PATIENCE = 3.0
"""Seconds without an answer after which a service counts as unhealthy."""
GOOD_ANSWERS = 2
"""So many answers in a row make it healthy again."""
SETTLED = 30
"""Seconds since another copy was slow in which the address stays, however slow this one is: where all are slow, it
would go round. An address that left a copy that had died may go on at once."""
LEAVING = 2.0
"""Seconds that an address may take to leave before the death is reported all the same."""
FIRST = 3.0
"""Seconds for the first question; so long a death may go unnoticed."""
COMMAND = 10.0
SAID = 4096
"""Bytes read of what a command says, less than a pipe holds."""
FOLLOWING = 0.02
TRIES = 3
KILL = 9
"""SIGKILL; importing ``signal`` would cost every monitor."""


def wanted(service: Service) -> bool:
    """Return whether the resource is to have a watcher."""
    return config.is_true(service.given("watch"))


def ensure(service: Service) -> None:
    """Leave a watcher behind if there is none."""
    if wanted(service) and _running(service) is None:
        from . import detached

        detached.start([os.path.abspath(sys.argv[0]), "watch"], dict(service.environ))


def absent(service: Service) -> None:
    """Keep the service's addresses away from a node that has no copy yet, until the watcher finds that one serves.

    To the scheduler a copy that it is about to start is as good as one that runs, so that an address that has to leave
    would go to a node that has just joined, seconds before anything listens there.
    """
    if service.given("addresses") and wanted(service):
        _mark(service, bad=True)


def end(service: Service) -> None:
    """End the watcher and what it has started, before anything is done to the service that it would report."""
    process = _running(service)
    if process is not None:
        try:
            os.killpg(process.pid, KILL)
        except ProcessLookupError:
            ocf.say(f"the watcher of {service.name} has just ended")
    processes.remove(_file(service))


def _file(service: Service) -> str:
    return service.state_file("watcher")


def _running(service: Service) -> Process | None:
    return processes.noted(_file(service))


def watch(service: Service) -> int:
    """Watch until the service has ended or somebody else looks after it; the action of the process itself."""
    process = processes.recorded(service, Identity(service))
    own = processes.look(os.getpid())
    if process is None or own is None or _running(service) is not None:
        return ocf.NOT_RUNNING
    processes.note(_file(service), own)
    _Watcher(service, process).run()
    now = _running(service)
    if now is not None and now.pid == own.pid:
        processes.remove(_file(service))
    return ocf.SUCCESS


def _arrival(service: Service) -> Arrival | None:
    announces = service.data.get("announces")
    if not announces:
        return None
    from .arrival import Arrival

    namespaces = service.data["leaves"]["namespaces"]
    return Arrival(
        namespaces,
        announces["interfaces"],
        translates=announces.get("translates", False),
        takeovers=announces.get("takeovers", ""),
    )


class _Watcher:
    def __init__(self, service: Service, process: Process) -> None:
        self._service = service
        self._process = process
        self._addresses = service.given("addresses").split() if service.listens else []
        self._slow = f"slow-{_resource(service)}"
        self._node = service.given("CRM_meta_on_node")
        self._silent_since: float | None = None
        self._good = 0
        self._marked: bool | None = None
        """None: not known, an earlier watcher may have left the mark."""

    def run(self) -> None:
        _ask_first(self._service)
        end, arrival = _End(self._process), _arrival(self._service)
        while not end.within(
            arrival.STEP if arrival else BUSY if self._here() or self._marked is not False else IDLE
        ):
            if not self._ours():
                return
            if arrival:
                arrival.step()
                arrival = arrival if arrival.lasts() else None
            if self._addresses:
                self._ask()
        if not self._ours():
            return
        if self._addresses:
            self._mark(bad=True)
            deadline = Deadline(LEAVING)
            while self._here() and not deadline.passed():
                deadline.sleep(FOLLOWING)
        for _ in range(TRIES):
            if not self._ours() or _fail(self._service):
                return

    def _ours(self) -> bool:
        """Return whether the pid file still names the process: else it was stopped or started anew in order."""
        try:
            with open(self._service.pid_file, encoding="utf-8", errors="replace") as stream:
                return stream.read(100).split()[:1] == [str(self._process.pid)]
        except OSError:
            return False

    def _here(self) -> bool:
        return any(net.is_local(address) for address in self._addresses)

    def _ask(self) -> None:
        begun = time.monotonic()
        trouble = serving.unanswered(self._service, Deadline(PATIENCE))
        if not trouble:
            self._silent_since = None
            self._good += 1
            if self._marked is not False and self._good >= GOOD_ANSWERS:
                self._mark(bad=False)
            return
        self._good = 0
        self._silent_since = self._silent_since or begun
        silent = time.monotonic() - self._silent_since
        if self._marked is not True and silent >= PATIENCE - 0.1 and not self._another_was_slow():
            self._mark(bad=True)
            slow_now = ("--private", "--update", str(int(time.time())), "--delay", "0")
            _tell(self._service, "attrd_updater", "--name", self._slow, *slow_now)

    def _another_was_slow(self) -> bool:
        """Return whether a copy on another node gave its address up a moment ago, as it did not answer."""
        known, text = _run(["attrd_updater", "--query", "--all", "--name", self._slow])
        # A line says: name="slow-..." host="controller-1" value="1700000000"
        found = [line.split('"')[3::2] for line in text.splitlines()] if known else []
        stamps = [words[1] for words in found if len(words) > 1 and words[0] != self._node]
        return any(stamp.isdigit() and abs(time.time() - int(stamp)) < SETTLED for stamp in stamps)

    def _mark(self, *, bad: bool) -> None:
        if _mark(self._service, bad=bad):
            self._marked = bad


def _ask_first(service: Service) -> None:
    """Have the service load now what it loads with its first question, so that no client waits for that.

    In the lab, when nothing else ran, that took a second of the Image API, and half of one of others (2026-11-28).
    """
    if "api" not in service.data or not net.is_local(service.target()[0]):
        return
    from . import identity

    who = identity.credentials(service, own=True)
    if who is not None:
        try:
            identity.request(service, who, Deadline(FIRST))
        except (identity.TokenError, identity.ApiError, net.NoAnswer, ValueError) as error:
            ocf.say(f"{service.name} was not asked anything before its clients: {error}")


def _resource(service: Service) -> str:
    """Return the resource's name, without the number of the copy."""
    return service.instance.partition(":")[0]


def _mark(service: Service, *, bad: bool) -> bool:
    """Set or remove the attribute; with a dampening of 0 it counts at once. Return whether it could be."""
    change = ("--update", "1", "--delay", "0") if bad else ("--delete",)
    return _tell(service, "attrd_updater", "--name", f"unhealthy-{_resource(service)}", *change)


def _fail(service: Service) -> bool:
    """Report the death of the service; return whether Pacemaker has heard it."""
    return _tell(service, "crm_resource", "--fail", "--resource", _resource(service))


def _tell(service: Service, command: str, *arguments: str) -> bool:
    """Run one of Pacemaker's commands about this node; return whether it succeeded."""
    node = service.given("CRM_meta_on_node")
    return _run([command, *arguments, *(("--node", node) if node else ())])[0]


def _run(words: list[str]) -> tuple[bool, str]:
    """Run a command; return whether it succeeded, and the first of what it said."""
    surroundings = {"PATH": os.environ.get("PATH") or "/usr/sbin:/usr/bin:/sbin:/bin"}
    reading, writing = os.pipe()
    try:
        actions = [(os.POSIX_SPAWN_DUP2, writing, 1)]
        child = os.posix_spawnp(words[0], words, surroundings, file_actions=actions)
    except OSError:
        os.close(reading)
        return False, ""
    finally:
        os.close(writing)
    try:
        succeeded = _ends_well(child)
        os.set_blocking(reading, False)
        return succeeded, os.read(reading, SAID).decode(errors="replace")
    except BlockingIOError:
        return succeeded, ""
    finally:
        os.close(reading)


def _ends_well(child: int) -> bool:
    """Wait for the end of a child, and end it after a while; return whether it succeeded."""
    deadline = Deadline(COMMAND)
    while not deadline.passed():
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return status == 0
        deadline.sleep(FOLLOWING)
    os.kill(child, KILL)
    os.waitpid(child, 0)
    return False


class _End:
    """The end of a process that is not a child; where the kernel cannot tell of it, it is looked for."""

    STEP = 0.2

    def __init__(self, process: Process) -> None:
        import select

        self._process = process
        self._poll = select.poll()
        self._known = False
        try:
            # Kept open as long as this process lives.
            self._descriptor = os.pidfd_open(process.pid)
            self._poll.register(self._descriptor, select.POLLIN)
            self._known = True
        except (AttributeError, OSError):
            self._descriptor = -1

    def within(self, seconds: float) -> bool:
        """Wait so long at most; return whether the process has ended."""
        deadline = Deadline(seconds)
        while self._process.alive() and not deadline.passed():
            if self._known:
                self._poll.poll(deadline.left() * 1000)
            else:
                deadline.sleep(self.STEP)
        return not self._process.alive()
