"""The transport against a real SSH server of our own on loopback, which runs the commands on this machine."""

import asyncio
import socket
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from understudy.findings import FindingsError
from understudy.hosts.connect import connected
from understudy.hosts.remote import Node
from understudy.hosts.ssh import Access, SshHost, Target, connect


@dataclass
class Server:
    """The server, how to log in to it, and what it was asked to run."""

    target: Target
    access: Access
    commands: list[str]


class Anybody(asyncssh.SSHServer):
    def connection_requested(self, dest_host: str, dest_port: int, orig_host: str, orig_port: int) -> bool:
        return dest_host == "127.0.0.1"


async def serve(process: asyncssh.SSHServerProcess[bytes], server: Server) -> None:
    command = process.command or ""
    server.commands.append(command)
    child = await asyncio.create_subprocess_exec(
        "sh",
        "-c",
        command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={"PATH": f"{Path(server.access.key or '').parent}/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
    )
    output, errors = await child.communicate(await process.stdin.read())
    process.stdout.write(output)
    process.stderr.write(errors)
    process.exit(child.returncode or 0)


def program(directory: Path, name: str, text: str) -> None:
    (directory / "bin").mkdir(exist_ok=True)
    file = directory / "bin" / name
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    host_key = asyncssh.generate_private_key("ssh-ed25519")
    client_key = asyncssh.generate_private_key("ssh-ed25519")
    client_key.write_private_key(str(tmp_path / "key"))
    client_key.write_public_key(str(tmp_path / "authorized"))
    program(tmp_path, "id", "echo 0")
    access = Access(user="operator", key=tmp_path / "key", known_hosts=tmp_path / "known", limit=5)
    made = Server(Target("one", "127.0.0.1"), access, [])

    async def handle(process: asyncssh.SSHServerProcess[bytes]) -> None:
        await serve(process, made)

    listener = await asyncssh.listen(
        "127.0.0.1",
        0,
        server_factory=Anybody,
        server_host_keys=[host_key],
        authorized_client_keys=str(tmp_path / "authorized"),
        process_factory=handle,
        encoding=None,
    )
    made.target = replace(made.target, port=listener.get_port())
    known = f"[127.0.0.1]:{listener.get_port()} {host_key.export_public_key().decode()}"
    (tmp_path / "known").write_text(known)
    yield made
    listener.close()
    await listener.wait_closed()


async def codes(server: Server, **changed: object) -> list[str]:
    with pytest.raises(FindingsError) as caught:
        async with connected([server.target], replace(server.access, **changed)):  # type: ignore[arg-type]
            raise AssertionError("it connected")
    assert caught.value.exit_status == 1
    return [finding.code for finding in caught.value.findings]


async def test_arguments_input_and_status_arrive_as_they_are(server: Server) -> None:
    async with connected([server.target], server.access) as hosts:
        argv = ["printf", "%s|", "a b", "$HOME", "it's", "", "ü\n"]
        assert (await hosts["one"].run(argv)).stdout == "a b|$HOME|it's||ü\n|".encode()
        done = await hosts["one"].run(["sh", "-c", "cat; echo $LC_ALL >&2; exit 3"], stdin=b"\x00\xff")
    assert (done.exit_status, done.stdout, done.stderr) == (3, b"\x00\xff", b"C\n")


async def test_command_is_ended_when_its_time_is_over(server: Server, tmp_path: Path) -> None:
    mark = tmp_path / "late"
    async with connected([server.target], server.access) as hosts:
        with pytest.raises(FindingsError, match="host-command-timed-out"):
            await hosts["one"].run(["sh", "-c", f"sleep 2; touch {mark}"], timeout=0.3)
        await hosts["one"].run(["sleep", "2"])
    assert not mark.exists()


async def test_status_124_of_a_quick_command_is_its_own(server: Server) -> None:
    async with connected([server.target], server.access) as hosts:
        assert (await hosts["one"].run(["sh", "-c", "exit 124"])).exit_status == 124


async def test_login_that_is_not_root_uses_sudo(server: Server, tmp_path: Path) -> None:
    program(tmp_path, "id", "echo 1000")
    program(
        tmp_path, "sudo", '[ "$1" = -n ] || exit 9\nshift\n[ "$1" != -- ] || shift\nAS_ROOT=yes exec "$@"'
    )
    async with connected([server.target], server.access) as hosts:
        assert (await hosts["one"].run(["printenv", "AS_ROOT"])).text == "yes\n"


async def test_no_sudo_is_said_in_its_own_words(server: Server, tmp_path: Path) -> None:
    program(tmp_path, "id", "echo 1000")
    program(tmp_path, "sudo", "echo 'sudo: a password is required' >&2; exit 1")
    with pytest.raises(FindingsError) as caught:
        await connect(server.target, server.access)
    (finding,) = caught.value.findings
    assert finding.code == "host-no-sudo"
    assert finding.values["reason"] == "sudo: a password is required"


async def test_unknown_host_key(server: Server, tmp_path: Path) -> None:
    (tmp_path / "known").write_text("")
    assert await codes(server) == ["host-key-unknown"]
    (tmp_path / "known").unlink()
    assert await codes(server) == ["host-key-unknown"]


async def test_other_host_key_than_the_known_one(server: Server, tmp_path: Path) -> None:
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    (tmp_path / "known").write_text(f"[127.0.0.1]:{server.target.port} {other}")
    assert await codes(server) == ["host-key-mismatch"]
    assert server.commands == []


async def test_other_kind_of_host_key_than_the_known_one(server: Server, tmp_path: Path) -> None:
    other = asyncssh.generate_private_key("ecdsa-sha2-nistp256").export_public_key().decode()
    (tmp_path / "known").write_text(f"[127.0.0.1]:{server.target.port} {other}")
    assert await codes(server) == ["host-key-mismatch"]


async def test_wrong_key(server: Server, tmp_path: Path) -> None:
    asyncssh.generate_private_key("ssh-ed25519").write_private_key(str(tmp_path / "other"))
    assert await codes(server, key=tmp_path / "other") == ["host-authentication-failed"]


async def test_key_file_that_is_none(server: Server, tmp_path: Path) -> None:
    assert await codes(server, key=tmp_path / "none") == ["host-login-set-up-wrong"]


async def test_user_and_key_come_from_the_ssh_configuration(server: Server, tmp_path: Path) -> None:
    (tmp_path / "config").write_text(
        f"Host 127.0.0.1\n  User somebody\n  IdentityFile {tmp_path}/key\n  UserKnownHostsFile {tmp_path}/known\n"
    )
    access = Access(configuration=tmp_path / "config")
    async with connected([server.target], access) as hosts:
        assert (await hosts["one"].run(["true"])).exit_status == 0


async def test_all_unreachable_nodes_are_named(server: Server) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        targets = [Target(name, "127.0.0.1", closed.getsockname()[1]) for name in ("two", "three")]
        with pytest.raises(FindingsError) as caught:
            async with connected([server.target, *targets], server.access):
                raise AssertionError("it connected")
    assert [(finding.code, finding.subject) for finding in caught.value.findings] == [
        ("host-unreachable", "two"),
        ("host-unreachable", "three"),
    ]


async def test_something_else_than_ssh_answers(server: Server) -> None:
    async def silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(5)
        writer.close()

    other = await asyncio.start_server(silent, "127.0.0.1", 0)
    server.target = replace(server.target, port=other.sockets[0].getsockname()[1])
    assert await codes(server, limit=0.2) == ["host-unreachable"]
    other.close()


async def test_ready_socket_is_used(server: Server) -> None:
    asked = []

    def factory(address: str, port: int) -> socket.socket:
        asked.append((address, port))
        return socket.create_connection(("127.0.0.1", server.target.port or 0))

    known = server.access.known_hosts or Path()
    known.write_text(known.read_text().replace("127.0.0.1", "192.0.2.7"))
    target = replace(server.target, address="192.0.2.7")
    async with connected([target], replace(server.access, socket_factory=factory)) as hosts:
        assert (await hosts["one"].run(["true"])).exit_status == 0
    assert asked == [("192.0.2.7", server.target.port)]


async def test_port_is_forwarded(server: Server) -> None:
    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")
        writer.close()

    listener = await asyncio.start_server(greet, "127.0.0.1", 0)
    async with connected([server.target], server.access) as hosts:
        port = await hosts["one"].open_connection_port("127.0.0.1", listener.sockets[0].getsockname()[1])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await reader.read() == b"hello"
        writer.close()
    listener.close()


async def test_broken_connection_is_a_finding(server: Server) -> None:
    async with connected([server.target], server.access) as hosts:
        host = hosts["one"]
        assert isinstance(host, SshHost)
        host._connection.abort()
        with pytest.raises(FindingsError, match="host-connection-lost"):
            await host.run(["true"])


async def test_calls_made_together_travel_together(server: Server, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("first")
    async with connected([server.target], server.access) as hosts:
        server.commands.clear()
        node = Node(hosts["one"])
        answers: Any = await asyncio.gather(
            node.ask("read-file", path=str(tmp_path / "a")),
            node.ask("read-packages", names=["no-such-package"]),
            node.ask("read-file", path="/proc"),
            return_exceptions=True,
        )
    file, packages, refused = answers
    assert file["content"] == "first"
    assert packages == {"no-such-package": None}
    assert isinstance(refused, FindingsError)
    assert refused.findings[0].values["node"] == "one"
    assert len(server.commands) == 1


async def test_no_secret_is_on_a_command_line(server: Server, tmp_path: Path) -> None:
    async with connected([server.target], server.access) as hosts:
        content = "password = s3cret"
        attributes: dict[str, Any] = {"owner": "root", "group": "root", "mode": 0o600, "keep": True}
        (tmp_path / "f").write_text("")
        await Node(hosts["one"]).ask("write-file", path=str(tmp_path / "f"), content=content, **attributes)
    assert (tmp_path / "f").read_text() == content
    assert not any("s3cret" in command for command in server.commands)


async def test_node_without_python(server: Server) -> None:
    class Bare:
        name = "one"

        async def run(self, *_: object, **__: object) -> object:
            return await host.run([f"{sys.executable}-none"])

    async with connected([server.target], server.access) as hosts:
        host = hosts["one"]
        with pytest.raises(FindingsError, match="node-no-python"):
            await Node(Bare()).ask("read-file", path="/x")  # type: ignore[arg-type]
