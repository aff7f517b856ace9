"""A scratch OCF root with the real start file, core and data, run against fake daemons and fake dependencies."""

from __future__ import annotations

import http.server
import json
import os
import pwd
import shutil
import signal
import socket
import socketserver
import struct
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from ruamel.yaml import YAML

from understudy.agents import OCF_ROOT, deployment

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator, Mapping

SERVICES = Path(__file__).parents[2] / "src/understudy/catalog/services"
FAKES = Path(__file__).parent / "fakes"
TIMEOUT = 12


def agent_data() -> dict[str, dict[str, Any]]:
    """Return the agent block of every catalog entry that has one."""
    entries = {path.stem: YAML(typ="safe").load(path.read_text()) for path in sorted(SERVICES.glob("*.yaml"))}
    return {name: entry["agent"] for name, entry in entries.items() if entry.get("agent")}


def deploy(root: Path, services: Mapping[str, Mapping[str, Any]]) -> Path:
    """Put agents, core and data below a directory that stands for /usr/lib/ocf."""
    for file in deployment(services):
        target = root / Path(file.path).relative_to(OCF_ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(file.content)
        target.chmod(file.mode)
    return root


@dataclass
class Result:
    """What an action gave."""

    code: int
    out: str
    err: str

    @property
    def reason(self) -> str:
        """The exit reason, empty if there is none."""
        lines = [line for line in self.err.splitlines() if line.startswith("ocf-exit-reason:")]
        return lines[-1].removeprefix("ocf-exit-reason:") if lines else ""


def free_port() -> int:
    """Return a port that nobody listens on; always one of five digits."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Agent:
    """One resource: its agent, its program and its option file."""

    service: str
    root: Path
    directory: Path
    port: int
    parameters: dict[str, str] = field(default_factory=dict)

    @property
    def config(self) -> Path:
        """The option file."""
        return self.directory / "etc" / f"{self.service}.conf"

    @property
    def pid_file(self) -> Path:
        """The pid file."""
        return self.directory / "run" / f"p_{self.service}.pid"

    @property
    def program(self) -> Path:
        """The fake daemon, under the name of the service's own program."""
        return self.directory / "bin" / self.service

    def write_config(
        self, *, listen: bool = True, default: str = "", extra: str = "", **fake: object
    ) -> None:
        """Write the option file: address, behaviour of the fake, other options."""
        address = f"bind_host = 127.0.0.1\nbind_port = {self.port}\n" if listen else ""
        settings = "".join(f"{name} = {value}\n" for name, value in fake.items())
        self.config.write_text(f"[DEFAULT]\n{address}{default}\n[fake]\n{settings}{extra}\n")

    def run(
        self,
        action: str,
        env: Mapping[str, str] | None = None,
        *,
        timeout: float = TIMEOUT,
        interval: int = 10,
    ) -> Result:
        """Run an action as Pacemaker does."""
        command, variables = self.command(action, timeout=timeout, interval=interval)
        done = subprocess.run(
            command,
            env={**variables, **(env or {})},
            capture_output=True,
            text=True,
            timeout=timeout + 20,
            check=False,
        )
        return Result(done.returncode, done.stdout, done.stderr)

    def command(
        self, action: str, *, timeout: float = TIMEOUT, interval: int = 10
    ) -> tuple[list[str], dict[str, str]]:
        """Return command line and environment of an action."""
        variables = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "OCF_ROOT": str(self.root),
            "OCF_RESOURCE_INSTANCE": f"p_{self.service}",
            "HA_RSCTMP": str(self.directory / "run"),
            "OCF_RESKEY_CRM_meta_timeout": str(int(timeout * 1000)),
            "OCF_RESKEY_CRM_meta_interval": str(interval * 1000),
            **{f"OCF_RESKEY_{name}": value for name, value in self.parameters.items()},
        }
        return [str(self.root / "resource.d/openstack" / self.service), action], variables

    def probe(self) -> Result:
        """Ask what is running, as Pacemaker does on every node."""
        return self.run("monitor", interval=0)

    def pid(self) -> int:
        """Return the process id of the pid file."""
        return int(self.pid_file.read_text().split()[0])

    def by_hand(self, **popen: Any) -> subprocess.Popen[bytes]:
        """Start the daemon as a boot script would, without the agent, and wait until it listens."""
        command = [str(self.program), f"--config-file={self.config}"]
        process = subprocess.Popen(command, start_new_session=True, **popen)
        self.await_listening()
        return process

    def await_listening(self) -> None:
        """Wait until somebody listens on the port."""
        until = time.monotonic() + 10
        while time.monotonic() < until:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)
        raise TimeoutError

    def processes(self) -> list[int]:
        """Return the living processes that have the option file on their command line."""
        found = []
        for path in Path("/proc").glob("[0-9]*"):
            try:
                if str(self.config) in (path / "cmdline").read_text() and is_alive(int(path.name)):
                    found.append(int(path.name))
            except OSError:
                continue
        return found

    def clean_up(self) -> None:
        """End what is left of the daemon."""
        for pid in self.processes():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue


def apart(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a shell script as root of a network, mounts and processes of its own, with no namespace of Neutron's yet."""
    argv = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c"]
    ready = "set -e\nmkdir -p /run/netns\nmount -t tmpfs tmpfs /run/netns\nset +e\n"
    return subprocess.run(
        [*argv, ready + script, *arguments], capture_output=True, text=True, timeout=60, check=False
    )


def until(true: Callable[[], object], seconds: float = 15) -> None:
    """Wait until something is true."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    """Return whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture(scope="session")
def ocf_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scratch OCF root with all agents of the catalog."""
    return deploy(tmp_path_factory.mktemp("ocf"), agent_data())


@pytest.fixture
def agent(ocf_root: Path, tmp_path: Path) -> Iterator[Agent]:
    """A glance-api that serves; nothing of it is left after the test."""
    made = make_agent("glance-api", ocf_root, tmp_path)
    made.write_config()
    yield made
    made.clean_up()


def make_agent(service: str, root: Path, directory: Path) -> Agent:
    """Lay out program, option file and directories of a resource."""
    for name in ("bin", "etc", "run", "log"):
        (directory / name).mkdir(exist_ok=True)
    made = Agent(service, root, directory, free_port())
    shutil.copy(FAKES / "daemon.py", made.program)
    made.program.chmod(0o755)
    made.parameters = {
        "binary": str(made.program),
        "config": str(made.config),
        "user": pwd.getpwuid(os.geteuid()).pw_name,
        "output_log": str(directory / "log" / "output.log"),
    }
    return made


class QuietServer(socketserver.ThreadingTCPServer):
    """A server whose clients may go at any time."""

    allow_reuse_address = True
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        return


class FakeServer:
    """A server on a port of its own, in threads, that can be taken down and brought back."""

    def __init__(self, handler: type[socketserver.BaseRequestHandler]) -> None:
        self.port = free_port()
        self.handler: Any = handler
        self._server: QuietServer | None = None
        self.up()

    def up(self) -> None:
        """Listen."""
        self._server = QuietServer(("127.0.0.1", self.port), self.handler)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def down(self) -> None:
        """Stop listening."""
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


class MysqlHandler(socketserver.BaseRequestHandler):
    """Greets as MariaDB does, takes any login, and counts who leaves without a good-bye."""

    good_byes = 0
    silent = False
    context: ssl.SSLContext | None = None

    def handle(self) -> None:
        if MysqlHandler.silent:
            time.sleep(30)
        capabilities = 0x81 | 0x200 | 0x800 | 0x8000 | 0x80000
        greeting = b"\x0a10.11.0-Fake\0" + struct.pack("<I", 7) + b"12345678\0"
        greeting += struct.pack("<HBHHB", capabilities & 0xFFFF, 33, 2, capabilities >> 16, 21)
        greeting += bytes(10) + b"123456789012\0" + b"mysql_native_password\0"
        self._send(0, greeting)
        login = self._receive()
        if MysqlHandler.context:
            assert len(login) == 32, "the request for TLS, before any name"
            try:
                self.request = MysqlHandler.context.wrap_socket(self.request, server_side=True)
            except OSError:
                return
            login = self._receive()
        assert b"verysecret" not in login
        self._send(2, b"\0\0\0\2\0\0\0")
        if self._receive() == b"\x01":
            MysqlHandler.good_byes += 1

    def _send(self, sequence: int, payload: bytes) -> None:
        self.request.sendall(len(payload).to_bytes(3, "little") + bytes([sequence]) + payload)

    def _receive(self) -> bytes:
        head = self.request.recv(4)
        return bytes(self.request.recv(int.from_bytes(head[:3], "little"))) if head else b""


class BrokerHandler(socketserver.BaseRequestHandler):
    """Speaks the server's side of an AMQP 0-9-1 login, and counts who leaves with a good-bye."""

    good_byes = 0
    virtual_host = ""
    refuse = False
    context: ssl.SSLContext | None = None

    def handle(self) -> None:
        if BrokerHandler.context:
            self.request = BrokerHandler.context.wrap_socket(self.request, server_side=True)
        if self._read(8) != b"AMQP\0\0\x09\x01":
            return
        self._send(10, b"\0\x09" + bytes(4))
        login = self._receive()
        if b"verysecret" not in login or BrokerHandler.refuse:
            self._send(50, struct.pack(">HBHH", 403, 0, 0, 0))
            return
        self._send(30, struct.pack(">HIH", 2047, 131072, 60))
        self._receive()
        opened = self._receive()
        BrokerHandler.virtual_host = opened[5 : 5 + opened[4]].decode()
        self._send(41, b"\0")
        if self._receive()[:4] == b"\0\x0a\0\x32":
            BrokerHandler.good_byes += 1
            self._send(51, b"")

    def _send(self, method: int, arguments: bytes) -> None:
        payload = struct.pack(">HH", 10, method) + arguments
        self.request.sendall(struct.pack(">BHI", 1, 0, len(payload)) + payload + b"\xce")

    def _receive(self) -> bytes:
        head = self._read(7)
        return self._read(int.from_bytes(head[3:], "big") + 1)[:-1] if head else b""

    def _read(self, size: int) -> bytes:
        data = b""
        while len(data) < size and (more := self.request.recv(size - len(data))):
            data += more
        return data


class KeystoneHandler(http.server.BaseHTTPRequestHandler):
    """Version 3 of the Identity API, as far as an agent sees it."""

    tokens: Path
    requests: list[dict[str, Any]]
    refuse = False

    def do_GET(self) -> None:
        self._answer(200 if self.path.startswith("/v3") else 404, {}, {})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        KeystoneHandler.requests.append({"path": self.path, "body": body})
        if KeystoneHandler.refuse:
            self._answer(401, {}, {})
            return
        token = f"token-{len(KeystoneHandler.requests)}"
        self.tokens.write_text(token)
        expires = time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime(time.time() + 3600))
        self._answer(
            201, {"X-Subject-Token": token}, {"token": {"expires_at": expires, "project": {"id": "p1"}}}
        )

    def _answer(self, status: int, headers: dict[str, str], body: object) -> None:
        text = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(text))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:  # the output of a test is not the place
        return


@pytest.fixture
def database() -> Iterator[FakeServer]:
    """A database that logs everybody in."""
    MysqlHandler.good_byes, MysqlHandler.silent, MysqlHandler.context = 0, False, None
    server = FakeServer(MysqlHandler)
    yield server
    server.down()


@pytest.fixture
def broker() -> Iterator[FakeServer]:
    """A message broker."""
    BrokerHandler.good_byes, BrokerHandler.refuse, BrokerHandler.context = 0, False, None
    server = FakeServer(BrokerHandler)
    yield server
    server.down()


@pytest.fixture
def keystone(tmp_path: Path) -> Iterator[FakeServer]:
    """A Keystone."""
    KeystoneHandler.tokens, KeystoneHandler.requests, KeystoneHandler.refuse = tmp_path / "tokens", [], False
    KeystoneHandler.tokens.write_text("")
    server = FakeServer(KeystoneHandler)
    yield server
    server.down()
