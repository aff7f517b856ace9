"""How a node's script and a connection say that something cannot be done."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from understudy.findings import FindingsError, message_for
from understudy.hosts.fake import FakeMachine, MachineHost
from understudy.hosts.model import Completed
from understudy.hosts.node import files
from understudy.hosts.remote import Node
from understudy.hosts.ssh import Access, SshHost, Target, connect
from understudy.kinds.model import World


async def refusal(node: Node, do: str, **call: object) -> tuple[str, str]:
    with pytest.raises(FindingsError) as caught:
        await node.ask(do, **call)  # type: ignore[arg-type]
    (finding,) = caught.value.findings
    assert (finding.subject, caught.value.exit_status) == ("one", 1)
    return finding.code, message_for(finding)


@pytest.fixture
def machine(tmp_path: Path) -> FakeMachine:
    return FakeMachine(tmp_path)


async def test_a_file_that_is_too_large(machine: FakeMachine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "LARGEST_FILE", 3)
    machine.put("/etc/large", "1234")
    assert (await refusal(Node(MachineHost("one", machine)), "read-file", path="/etc/large"))[
        0
    ] == "node-file-too-large"


async def test_a_file_below_a_file(machine: FakeMachine) -> None:
    machine.put("/etc/file", "")
    call = {"owner": "0", "group": "0", "mode": 0o600, "content": "", "path": "/etc/file/below"}
    assert (await refusal(Node(MachineHost("one", machine)), "write-file", **call))[0] == "node-file-failed"


async def test_a_program_that_fails(machine: FakeMachine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.add_unit("glance-api")
    monkeypatch.setattr(machine, "run", lambda *_, **__: (5, "", "no such runlevel"))
    code, message = await refusal(
        Node(MachineHost("one", machine)), "write-unit", name="glance-api", enabled=False
    )
    assert code == "node-command-failed"
    assert "no such runlevel" in message


@dataclass
class Broken:
    """A host whose python3 answers with something else."""

    name: str = "one"

    async def run(self, argv: Sequence[str], *, stdin: bytes = b"", timeout: float = 30.0) -> Completed:  # noqa: ASYNC109
        return Completed(tuple(argv), 1, b"", f"SyntaxError within {timeout}".encode())

    async def open_connection_port(self, address: str, port: int) -> int:
        raise AssertionError(address, port)


async def test_a_python_that_cannot_read_the_script() -> None:
    code, message = await refusal(Node(Broken()), "read-unit", name="x")
    assert code == "node-script-failed"
    assert "SyntaxError" in message


def test_a_node_that_was_not_reached() -> None:
    with pytest.raises(FindingsError, match="host-unknown"):
        World({}).node("elsewhere")


async def test_a_key_that_cannot_be_read(tmp_path: Path) -> None:
    key: Any = tmp_path / "key"
    key.write_text("no key")
    access = Access(user="root", key=key, known_hosts=key, configuration=Path("/dev/null"))
    with pytest.raises(FindingsError, match="host-login-set-up-wrong"):
        await connect(Target("one", "127.0.0.1", 1), access)


class NoForwarding:
    """A connection on which nothing is passed on."""

    async def forward_local_port(self, *_: object) -> None:
        raise asyncssh.ChannelOpenError(1, "administratively prohibited")


async def test_a_connection_that_is_not_passed_on() -> None:
    connection: Any = NoForwarding()
    with pytest.raises(FindingsError) as caught:
        await SshHost("one", connection, sudo=False).open_connection_port("192.0.2.1", 5000)
    (finding,) = caught.value.findings
    assert finding.code == "host-forward-failed"
    assert "192.0.2.1 port 5000" in message_for(finding)
