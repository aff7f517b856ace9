"""Bringing up the daemon: as its user, in a session of its own, with nothing of the agent's left in it."""

from __future__ import annotations

import os
import resource
import signal

# Taken now: a library of the daemon's may put its own in their place where this is a process that becomes the daemon.
from os import open as open_descriptor

from . import prepared, processes
from .ocf import ERR_GENERIC, Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from .processes import Process
    from .service import Service

OPEN_FILES = 65536
SIGNALS = (
    signal.SIGPIPE,
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGXFSZ,
    signal.SIGCHLD,
)
TAIL = 8192
SHOWN_LINES = 3
SHOWN_LENGTH = 600
TELLING = ("ERROR", "CRITICAL", "Error", "error")


class Daemon:
    """A daemon that this process has started, and what it writes."""

    def __init__(self, service: Service) -> None:
        self._logs = {path: _size(path) for path in _logs(service)}
        self._forked = prepared.ask(service, output_log(service))
        self.pid, self.failure = (self._forked.pid, "") if self._forked else _spawn(service)
        self._status: int | None = None

    def process(self) -> Process | None:
        """Return it as long as it lives."""
        if self._forked:
            return self._forked if self._forked.alive() else None
        return None if self._ended() else processes.look(self.pid)

    def _ended(self) -> bool:
        if self._status is None and self._forked is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self._status = status
        return self._status is not None

    @property
    def exit_code(self) -> int | None:
        """Return how it ended: its exit code, a signal as a negative number; None while it runs or if untold."""
        return os.waitstatus_to_exitcode(self._status) if self._ended() and self._status is not None else None

    def epitaph(self) -> str:
        """Return how it ended and its last words, without secrets."""
        code = self.exit_code
        if code is None:
            how = "ended"
        else:
            how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        words = self.last_words()
        return f"{how}: {words}" if words else f"{how} without a word"

    def last_words(self) -> str:
        """Return the last lines that it wrote since it was started, those that tell of errors first."""
        lines: list[str] = []
        for path, before in self._logs.items():
            lines += _lines_since(path, before)
        telling = [
            line for line in lines if any(word in line for word in ("ERROR", "CRITICAL", "Error", "error"))
        ]
        shown = (telling or lines)[-SHOWN_LINES:]
        return masked(" / ".join(shown))[-SHOWN_LENGTH:]


def _of_traceback(line: str) -> bool:
    """Return whether a line of a log is of the inside of a traceback: nothing, or indented, after the logger's name."""
    import re

    return re.search(r" (ERROR|CRITICAL) \S+(  .*| \^.*| ?)$", line) is not None


def masked(text: str) -> str:
    """Return the text without what looks like a secret."""
    import re

    text = re.sub(r"(://[^\s:/@]*:)[^\s@/]+@", r"\1***@", text)
    return re.sub(
        r"(?i)((?:password|passwd|secret|token|[_-]key)\b['\"]?\s*[=:]\s*)[^\s,;}]+", r"\1***", text
    )


def output_log(service: Service) -> str:
    """Return the path of the file that takes what the daemon writes on its outputs."""
    user = service.parameter("user")
    return service.parameter("output_log") or f"/var/log/{user}/{service.name}-output.log"


def _logs(service: Service) -> list[str]:
    options = service.configuration
    name = options.get("DEFAULT", "log_file") or options.get("DEFAULT", "logfile")
    directory = options.get("DEFAULT", "log_dir") or options.get("DEFAULT", "logdir")
    own = os.path.join(directory, name or os.path.basename(service.parameter("binary")) + ".log")
    candidates = [service.parameter("log_file"), own if name or directory else "", output_log(service)]
    return list(dict.fromkeys(path for path in candidates if path))


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


def _lines_since(path: str, before: int) -> list[str]:
    size = _size(path)
    start = max(before if size >= before else 0, size - TAIL)
    try:
        with open(path, "rb") as stream:
            stream.seek(start)
            text = stream.read(TAIL).decode("utf-8", "replace")
    except OSError:
        return []
    return [line.strip() for line in text.split("\n") if line.strip()]


def _spawn(service: Service) -> tuple[int, str]:
    """Start the daemon; return its pid and why it could not be executed, if so."""
    command, surroundings = service.command(), service.surroundings()
    account = service.account()
    if account is None:
        raise Failure(ERR_GENERIC, f"there is no user {service.parameter('user')}")
    report, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setsid()
            become(account.pw_name, account.pw_uid, account.pw_gid)
            wire(output_log(service), tell)
            os.chdir(account.pw_dir if os.path.isdir(account.pw_dir) else "/")
            os.execve(command[0], command, surroundings)
        except OSError as error:
            os.write(tell, f"{error.strerror}: {error.filename or command[0]}".encode())
        finally:
            os._exit(127)
    os.close(tell)
    with open(report, encoding="utf-8", errors="replace") as stream:
        failure = stream.read()
    return pid, failure


def become(name: str, uid: int, gid: int) -> None:
    """Take on a user, with the limits of a daemon."""
    raise_limits()
    if os.geteuid() == 0:
        os.initgroups(name, gid)
        os.setgid(gid)
        os.setuid(uid)
    os.umask(0o022)


def raise_limits() -> None:
    """Allow as many open files as a daemon may need."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < OPEN_FILES:
        wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))


def wire(log: str, keep: int) -> None:
    """Give the daemon its outputs and default signals, and close all else; the log is opened as its user."""
    null = open_descriptor(os.devnull, os.O_RDWR)
    try:
        out = open_descriptor(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o640)
    except OSError:
        out = null
    use((null, out, out), keep)


def use(outputs: Sequence[int], keep: int) -> None:
    """Take descriptors for the standard ones, close all others but ``keep``, and give signals their default."""
    for target, source in enumerate(outputs):
        os.dup2(source, target)
    for descriptor in [int(name) for name in os.listdir("/proc/self/fd")]:
        if descriptor > 2 and descriptor != keep:
            try:
                os.close(descriptor)
            except OSError:
                continue
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
