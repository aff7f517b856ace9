"""Processes of a service: which they are, whether they live, and their end. A pid alone is never believed."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from .service import Service

DEAD_STATES = "ZXx"


class Process:
    """A process as it was when it was looked at; pid and start time together name it until the next boot."""

    __slots__ = ("group", "name", "parent", "pid", "session", "start", "state", "ticks")

    def __init__(self, pid: int, name: str, fields: list[str]) -> None:
        self.pid = pid
        self.name = name
        self.state = fields[0]
        self.parent, self.group, self.session = int(fields[1]), int(fields[2]), int(fields[3])
        self.ticks = int(fields[11]) + int(fields[12])
        self.start = int(fields[19])

    def alive(self) -> bool:
        """Return whether this very process still runs; a zombie does not."""
        now = look(self.pid)
        return now is not None and now.start == self.start


def look(pid: int) -> Process | None:
    """Return the living process with this pid."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stream:
            text = stream.read()
    except OSError:
        return None
    end = text.rindex(")")
    process = Process(pid, text[text.index("(") + 1 : end], text[end + 2 :].split())
    return None if process.state in DEAD_STATES else process


def command_line(pid: int) -> list[str]:
    """Return the arguments of a process, nothing when it is gone or of the kernel."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as stream:
            raw = stream.read()
    except OSError:
        return []
    return raw.rstrip(b"\0").decode("utf-8", "replace").split("\0") if raw else []


def owner(pid: int) -> int | None:
    """Return the user id that a process runs as."""
    try:
        uid = os.stat(f"/proc/{pid}").st_uid
        if uid:
            return uid
        # The files of a process that has changed its user belong to root.
        with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as stream:
            line = next(line for line in stream if line.startswith("Uid:"))
        return int(line.split()[2])
    except (OSError, StopIteration):
        return None


def everyone() -> list[Process]:
    """Return all living processes of this pid namespace."""
    found = (look(int(name)) for name in os.listdir("/proc") if name.isdigit())
    return [process for process in found if process]


class Identity:
    """What makes a process one of this service: program and option file on its command line, and its user.

    All launch modes count, so that a copy that systemd, a boot script or a person started is seen, too.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        account = service.account()
        self._uid = account.pw_uid if account else None
        self._modes = list(service.modes.values())
        self._binaries = {os.path.basename(mode["binary"]) for mode in self._modes}
        self._binaries.add(os.path.basename(service.parameter("binary")))

    def matches(self, pid: int) -> bool:
        """Return whether a process is of this service."""
        return self._speaks_for(command_line(pid)) and self._uid in (None, owner(pid))

    def _speaks_for(self, arguments: list[str]) -> bool:
        if not arguments:
            return False
        program, rest = _program(_without_title(arguments))
        if "/resource.d/" in program:  # an agent, perhaps this one
            return False
        name = os.path.basename(program)
        for mode in self._modes:
            prefix = mode.get("program_prefix")
            fits = name in self._binaries or (prefix and name.startswith(prefix))
            if fits and self._names_file(rest, mode.get("file", "config")):
                return True
        return False

    def _names_file(self, arguments: list[str], parameter: str) -> bool:
        path = self._service.parameter(parameter)
        named = any(_mentions(argument, path) for argument in arguments)
        if named or path != self._service.default(parameter):
            return named
        return not any(
            "--config-file" in argument or "--ini" in argument or argument.partition("=")[0] == "--config"
            for argument in arguments
        )

    def here(self, pid: int) -> bool:
        """Return whether a process is of this pid namespace, not of a container."""
        try:
            return os.readlink(f"/proc/{pid}/ns/pid") == os.readlink("/proc/self/ns/pid")
        except OSError:
            return True


def _without_title(arguments: list[str]) -> list[str]:
    """Return the command line that a title has taken the place of, as Neutron's workers write it.

    Such a title is ``neutron-server: api worker (/usr/bin/python3 /usr/bin/neutron-server --config-file=...)``, that of
    an agent ``neutron-l3-agent (/usr/bin/python3 ...)``, and for a moment ``/usr/bin/python3 ...`` alone where it
    was made of a process that was prepared.
    """
    title = arguments[0]
    if len(arguments) > 1 or " " not in title:
        return arguments
    if " (" in title and title.rstrip().endswith(")"):
        return title.partition("(")[2].rstrip().rstrip(")").split(" ") or arguments
    return title.split(" ")


def _program(arguments: list[str]) -> tuple[str, list[str]]:
    """Return the program and its arguments, of a script the script's own."""
    if os.path.basename(arguments[0]).startswith("python"):
        for index, argument in enumerate(arguments[1:], 1):
            if not argument.startswith("-"):
                return argument, arguments[index + 1 :]
    return arguments[0], arguments[1:]


def _mentions(argument: str, path: str) -> bool:
    """Return whether a path stands in an argument, on its own."""
    at = argument.find(path)
    end = at + len(path)
    return (
        at >= 0 and (at == 0 or argument[at - 1] in "= ,(") and argument[end : end + 1] in ("", " ", ",", ")")
    )


class Copies:
    """The running processes of a service: masters, and workers whose master is gone."""

    def __init__(self, masters: list[Process], leftovers: list[Process]) -> None:
        self.masters = masters
        self.leftovers = leftovers


def recorded(service: Service, identity: Identity) -> Process | None:
    """Return the process of the pid file, if it still is the one that was written there."""
    try:
        with open(service.pid_file, encoding="utf-8", errors="replace") as stream:
            words = stream.read(100).split()
    except OSError:
        return None
    if not words or not words[0].isdigit():
        return None
    process = look(int(words[0]))
    if process is None or (len(words) > 1 and words[1] != str(process.start)):
        return None
    return process if identity.matches(process.pid) else None


def record(service: Service, process: Process) -> None:
    """Write the pid file."""
    path = service.pid_file
    directory = os.path.dirname(path)
    if not os.path.isdir(directory):
        os.makedirs(directory, 0o755, exist_ok=True)
    note(path, process)


def note(path: str, process: Process) -> None:
    """Write down which process it is: pid and start time, a line each."""
    write_private(path, f"{process.pid}\n{process.start}\n", 0o644)


def noted(path: str) -> Process | None:
    """Return the process that was written down, if it still lives; a pid alone is not believed."""
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            pid, start = (int(word) for word in stream.read(100).split())
    except (OSError, ValueError):
        return None
    process = look(pid)
    return process if process is not None and process.start == start else None


def write_private(path: str, text: str, mode: int) -> None:
    """Replace a file in one step, with this mode from the first moment."""
    new = f"{path}.{os.getpid()}"
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)
    os.rename(new, path)


def remove(path: str) -> None:
    """Remove a file that may be there."""
    try:
        os.unlink(path)
    except OSError:
        return


def running(service: Service, identity: Identity) -> Process | None:
    """Return the master that the pid file names, or else the one that the process table shows."""
    found = recorded(service, identity)
    if found is None:
        masters = search(service, identity).masters
        found = masters[0] if masters else None
    return found


def search(service: Service, identity: Identity) -> Copies:
    """Return what the process table shows of the service."""
    own = os.getpid()
    pids = (int(name) for name in os.listdir("/proc") if name.isdigit())
    looked = [look(pid) for pid in pids if pid != own and identity.matches(pid) and identity.here(pid)]
    found = {process.pid: process for process in looked if process}
    known = recorded(service, identity) if found else None
    copies = Copies([], [])
    for process in found.values():
        if process.parent in found:
            continue
        has_workers = any(other.parent == process.pid for other in found.values())
        is_known = known is not None and known.pid == process.pid
        leads = process.pid in (process.group, process.session)
        if is_known or leads or has_workers or look(process.group) is not None:
            copies.masters.append(process)
        else:
            copies.leftovers.append(process)
    return copies


def helper_of(session: int) -> str:
    """Return the name of a helper that works for a session without being of it, as the kernel keeps it."""
    return f"helper-{session}"


def family(roots: Iterable[Process], inodes: Iterable[int] = ()) -> list[Process]:
    """Return the roots, their descendants and helpers, whoever is left of their sessions, holders of their sockets."""
    table = {process.pid: process for process in everyone()}
    chosen = {root.pid: root for root in roots}
    sessions = {root.pid for root in chosen.values() if root.session == root.pid}
    helpers = {helper_of(session) for session in sessions}
    chosen.update((process.pid, process) for process in table.values() if process.name in helpers)
    grew = True
    while grew:
        more = [
            p for p in table.values() if p.pid not in chosen and (p.parent in chosen or p.session in sessions)
        ]
        chosen.update((process.pid, process) for process in more)
        grew = bool(more)
    wanted = set(inodes)
    if wanted:
        for process in table.values():
            if process.pid > 1 and process.pid not in chosen and wanted & sockets(process.pid):
                chosen[process.pid] = process
    chosen.pop(os.getpid(), None)
    return list(chosen.values())


def tree(pid: int) -> list[int]:
    """Return a process and all below it. The kernel's own list of children costs less than reading every process."""
    found = [pid]
    for member in found:
        try:
            with open(f"/proc/{member}/task/{member}/children", encoding="utf-8") as stream:
                found += [int(child) for child in stream.read().split()]
        except OSError:
            continue
    return found


def worked(pid: int) -> float:
    """Return the seconds of processor time that a process and all below it have had."""
    found = (look(member) for member in tree(pid))
    return sum(process.ticks for process in found if process) / os.sysconf("SC_CLK_TCK")


def sockets(pid: int) -> set[int]:
    """Return the inodes of the sockets that a process has open."""
    found: set[int] = set()
    directory = f"/proc/{pid}/fd"
    try:
        names = os.listdir(directory)
    except OSError:
        return found
    for name in names:
        try:
            link = os.readlink(f"{directory}/{name}")
        except OSError:
            continue
        if link.startswith("socket:["):
            found.add(int(link[8:-1]))
    return found


def send(processes: Iterable[Process], number: int) -> None:
    """Send a signal to each that still is the process it was."""
    for process in processes:
        if process.alive():
            try:
                os.kill(process.pid, number)
            except ProcessLookupError:
                continue
