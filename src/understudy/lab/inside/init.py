"""PID 1 of a node: starts what is enabled for runlevel 2, keeps the system log, reaps, and stops in order.

Run as ``python3 -IS init.py FD SECONDS``; it begins after so many seconds, which stand for the firmware's, and writes
``booted`` to the descriptor when every start script has ended.
SIGTERM and SIGINT stop the services that were enabled, then everything else, and exit.
"""

import os
import selectors
import signal
import socket
import sys
import time
from collections import deque
from grp import getgrnam
from pathlib import Path
from pwd import getpwnam

SCRIPT_SECONDS = 90
"""How long a start or stop script may take before it is killed."""

GRACE_SECONDS = 5
"""How long processes have after the SIGTERM at the end."""

RUN_DIRECTORY = Path("/run/understudy-lab")
ENABLED = Path("/etc/rc2.d")
DECLARATIONS = (Path("/usr/lib/tmpfiles.d"), Path("/etc/tmpfiles.d"))


def prepare() -> None:
    """Bring up the network and the directories in /run that packages declare."""
    for name, mode in (("lock", 0o1777), ("shm", 0o1777), ("sshd", 0o755)):
        Path("/run", name).mkdir(exist_ok=True)
        Path("/run", name).chmod(mode)
    for line in _declared_directories():
        _make_directory(line)
    command = ["/usr/sbin/ip", "-batch", str(RUN_DIRECTORY / "network")]
    os.waitpid(os.posix_spawn(command[0], command, os.environ), 0)
    # As procps does at boot; what is not of a network namespace is read-only and is passed over.
    parameters = ["/usr/sbin/sysctl", "--quiet", "--ignore", "--system"]
    os.waitpid(os.posix_spawn(parameters[0], parameters, os.environ), 0)


def _declared_directories() -> list[list[str]]:
    """Return the fields of every tmpfiles.d(5) line that makes a directory in /run."""
    lines = []
    for folder in DECLARATIONS:
        for file in sorted(folder.glob("*.conf")):
            for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
                fields = line.split()
                if (
                    len(fields) > 1
                    and fields[0] in {"d", "D"}
                    and fields[1].startswith(("/run/", "/var/run/"))
                ):
                    lines.append([*fields, "-", "-", "-"])
    return lines


def _make_directory(fields: list[str]) -> None:
    _, name, mode, user, group = fields[:5]
    directory = Path(name.removeprefix("/var"))
    try:
        directory.mkdir(parents=True, exist_ok=True)
        owner = getpwnam(user).pw_uid if user != "-" else 0
        os.chown(directory, owner, getgrnam(group).gr_gid if group != "-" else 0)
        directory.chmod(int(mode, 8) if mode != "-" else 0o755)
    except (OSError, KeyError, ValueError) as error:
        print(f"init: {name}: {error}", file=sys.stderr, flush=True)  # noqa: T201 - the console is the log


class Log:
    """The system log: what daemons send to /dev/log, a line each in /var/log/syslog with a precise time."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.socket.bind("/dev/log")
        Path("/dev/log").chmod(0o666)
        self._file = Path("/var/log/syslog").open("ab", buffering=0)  # noqa: SIM115 - open as long as the node runs

    def drain(self) -> None:
        """Write all that has come in."""
        while True:
            try:
                raw = self.socket.recv(65536)
            except BlockingIOError:
                return
            now = time.time()
            stamp = (
                time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(now)) + f".{int(now * 1e6) % 1000000:06d} "
            )
            self._file.write(stamp.encode() + _text_of(raw) + b"\n")


def _text_of(raw: bytes) -> bytes:
    """Return a syslog datagram without its priority and its time, which has only seconds."""
    if raw.startswith(b"<") and b">" in raw[:6]:
        raw = raw[raw.index(b">") + 1 :]
    if len(raw) > 16 and raw[15:16] == b" " and raw[6:7] == b" " and raw[9:10] == b":":
        raw = raw[16:]
    return raw.rstrip(b"\n\0").replace(b"\n", b"#012")


class Init:
    """The running PID 1: a queue of scripts, at most one of them at work, and everybody's orphans."""

    def __init__(self, notify: int, log: Log) -> None:
        self._notify = os.dup(notify)  # the copy does not reach the services
        os.close(notify)
        self._log = log
        self._queue = deque([name, "start"] for name in _enabled())
        self._script = 0
        self._deadline = 0.0
        self._booted = False
        self._stopping = False
        self._wakeup, wake = socket.socketpair()
        for end in (self._wakeup, wake):
            os.set_blocking(end.fileno(), False)
        self._wake = wake
        signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)

    def run(self) -> None:
        """Work until everything is stopped."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._wakeup, selectors.EVENT_READ)
            selector.register(self._log.socket, selectors.EVENT_READ)
            while not (self._stopping and not self._script and not self._queue):
                self._next_script()
                selector.select(max(0.0, self._deadline - time.monotonic()) if self._script else None)
                self._log.drain()
                self._receive_signals()
                self._reap()
                self._enforce_deadline()
        self._end_everything()

    def _next_script(self) -> None:
        if self._script:
            return
        if self._queue:
            name, action = self._queue.popleft()
            self._script = _spawn([f"/etc/init.d/{name}", action])
            self._deadline = time.monotonic() + SCRIPT_SECONDS
        elif not self._booted:
            self._booted = True
            os.write(self._notify, b"booted\n")

    def _receive_signals(self) -> None:
        try:
            numbers = self._wakeup.recv(4096)
        except BlockingIOError:
            return
        if not self._stopping and (signal.SIGTERM in numbers or signal.SIGINT in numbers):
            self._stopping = True
            # The reverse of the order of starts: Pacemaker leaves before Corosync does.
            self._queue = deque([name, "stop"] for name in reversed(_enabled()))

    def _reap(self) -> None:
        while True:
            try:
                pid, _ = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            if pid == self._script:
                self._script = 0

    def _enforce_deadline(self) -> None:
        if self._script and time.monotonic() >= self._deadline:
            os.killpg(self._script, signal.SIGKILL)

    def _end_everything(self) -> None:
        os.kill(-1, signal.SIGTERM)
        deadline = time.monotonic() + GRACE_SECONDS
        while time.monotonic() < deadline:
            try:
                pid, _ = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                time.sleep(0.02)


def _enabled() -> list[str]:
    """Return the scripts enabled for runlevel 2 in the order of their starts, sshd before all others."""
    links = sorted(link.name for link in ENABLED.glob("S[0-9][0-9]*"))
    names = [name[3:] for name in links]
    return sorted(names, key=lambda name: name != "ssh")


def _spawn(command: list[str]) -> int:
    try:
        # Python ignores these two, and what is ignored stays so across exec.
        defaults = [signal.SIGPIPE, signal.SIGXFSZ]
        return os.posix_spawn(command[0], command, os.environ, setsid=True, setsigdef=defaults)
    except OSError as error:
        print(f"init: {command[0]}: {error}", file=sys.stderr, flush=True)  # noqa: T201 - the console is the log
        return 0


def main() -> None:
    """Run the node."""
    os.umask(0o022)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    time.sleep(float(sys.argv[2]))
    prepare()
    Init(int(sys.argv[1]), Log()).run()


if __name__ == "__main__":
    main()
