"""Machines that are not there: one that follows a script strictly, one that lives in a directory."""

import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from understudy.hosts.model import Completed
from understudy.hosts.node import script
from understudy.hosts.node.base import Call, System
from understudy.hosts.remote import COMMAND, calls_of


@dataclass(frozen=True)
class Expected:
    """One command that must come next, with its answer; ``stdin`` None means that any input will do."""

    argv: tuple[str, ...]
    stdout: str = ""
    exit_status: int = 0
    stderr: str = ""
    stdin: bytes | None = None


@dataclass
class FakeHost:
    """A host that follows a script strictly; call ``finish`` at the end to see that all of it was used."""

    name: str
    script: list[Expected] = field(default_factory=list)

    async def run(self, argv: Sequence[str], *, stdin: bytes = b"", timeout: float = 30.0) -> Completed:  # noqa: ASYNC109
        """Answer the next command of the script; another command is an AssertionError."""
        if not self.script:
            raise AssertionError(f"{self.name}: nothing was expected, but came {tuple(argv)}")
        expected = self.script.pop(0)
        if tuple(argv) != expected.argv or expected.stdin not in {None, stdin}:
            raise AssertionError(
                f"{self.name}: expected {expected}, but came {tuple(argv)} within {timeout} s"
            )
        return Completed(
            tuple(argv), expected.exit_status, expected.stdout.encode(), expected.stderr.encode()
        )

    async def open_connection_port(self, address: str, port: int) -> int:
        """Nothing listens anywhere."""
        raise AssertionError(f"{self.name}: no connection to {address}:{port} was expected")

    def finish(self) -> None:
        """Demand that the whole script was used."""
        if self.script:
            raise AssertionError(f"{self.name}: these commands never came: {self.script}")


class FakeMachine(System):
    """A machine in a directory: its files and kernel parameters are files there, packages and daemons are a memory.

    It is one without systemd, as the lab's nodes are. ``available`` are the packages that can be installed, with the
    files that come with each; ``programs`` are further programs: name to a function of the arguments.
    """

    def __init__(self, root: Path, available: Mapping[str, Mapping[str, str]] | None = None) -> None:
        super().__init__(str(root))
        self.available = dict(available or {})
        self.installed: set[str] = set()
        self.running: set[str] = set()
        self.programs: dict[str, Callable[[list[str]], None]] = {}
        for directory in ("etc/init.d", "etc/rc2.d", "proc/sys", "run"):
            (root / directory).mkdir(parents=True, exist_ok=True)

    def put(self, path: str, content: str, mode: int = 0o644) -> Path:
        """Write a file of the machine."""
        file = Path(self.root + path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
        file.chmod(mode)
        return file

    def text(self, path: str) -> str:
        """Return what a file of the machine holds."""
        return Path(self.root + path).read_text()

    def add_unit(self, name: str, *, enabled: bool = True, running: bool = True) -> None:
        """Give the machine an init script."""
        self.put(f"/etc/init.d/{name}", "", 0o755)
        Path(f"{self.root}/etc/rc2.d/{'S' if enabled else 'K'}01{name}").touch()
        self._daemon(name, running)

    def run(self, argv: list[str], **_: Any) -> tuple[int, str, str]:  # noqa: ANN401 - the options do not matter
        """Act as the programs that are known would."""
        match argv:
            case ["dpkg-query", _, _, *names]:
                return 0, "".join(f"{name}\tinstalled\t1\n" for name in names if name in self.installed), ""
            case ["apt-get", *_, "--", name]:
                return self._install(name)
            case ["service", name, word]:
                return self._service(name, word)
            case ["update-rc.d", name, word]:
                self._switch(name, word)
            case [program, *arguments] if program in self.programs:
                self.programs[program](arguments)
            case _:
                raise AssertionError(f"a program that the machine does not know: {argv}")
        return 0, "", ""

    def _install(self, name: str) -> tuple[int, str, str]:
        if name not in self.available:
            return 100, "", f"E: Unknown package {name}"
        for path, content in self.available[name].items():
            if path.startswith("/etc/init.d/"):
                self.add_unit(path.removeprefix("/etc/init.d/"))
            else:
                self.put(path, content)
        self.installed.add(name)
        return 0, "", ""

    def _service(self, name: str, word: str) -> tuple[int, str, str]:
        if word == "status":
            return (
                (0, f"{name} is running", "") if name in self.running else (3, f"{name} is not running", "")
            )
        self._daemon(name, word == "start")
        return 0, "", ""

    def _daemon(self, name: str, running: bool) -> None:
        """Let the daemon of a unit run or not, with its process in /proc."""
        self.running = self.running | {name} if running else self.running - {name}
        command_line = Path(f"{self.root}/proc/{100 + zlib.crc32(name.encode())}/cmdline")
        if running:
            command_line.parent.mkdir(exist_ok=True)
            command_line.write_text(name)
        else:
            command_line.unlink(missing_ok=True)

    def _switch(self, name: str, word: str) -> None:
        for link in Path(f"{self.root}/etc/rc2.d").glob(f"[SK]01{name}"):
            link.unlink()
        Path(f"{self.root}/etc/rc2.d/{'K' if word == 'disable' else 'S'}01{name}").touch()


@dataclass
class MachineHost:
    """A host whose machine is a FakeMachine; ``before`` is called with every call and may raise in its place."""

    name: str
    machine: FakeMachine
    before: Callable[[Call], None] = lambda _call: None
    requests: list[list[Call]] = field(default_factory=list)
    argvs: list[tuple[str, ...]] = field(default_factory=list)

    async def run(self, argv: Sequence[str], *, stdin: bytes = b"", timeout: float = 30.0) -> Completed:  # noqa: ASYNC109
        """Answer the calls of a request; other commands are not known."""
        self.argvs.append(tuple(argv))
        if tuple(argv) != COMMAND:
            raise AssertionError(f"{self.name}: not a request: {argv} within {timeout} s")
        calls = calls_of(stdin)
        self.requests.append(calls)
        answers: list[Call] = []
        for call in calls:
            self.before(call)
            answers += script.answer(self.machine, [call])
        return Completed(tuple(argv), 0, json.dumps(answers).encode(), b"")

    async def open_connection_port(self, address: str, port: int) -> int:
        """Nothing listens anywhere."""
        raise AssertionError(f"{self.name}: no connection to {address}:{port} was expected")
