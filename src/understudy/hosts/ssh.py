"""Reaching a machine over SSH, with the keys, agent, configuration and known hosts of an OpenSSH user."""

import asyncio
import shlex
import socket
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from inspect import isawaitable
from pathlib import Path

import asyncssh

from understudy.findings import Finding, FindingsError
from understudy.hosts.model import Completed

KNOWN_HOSTS = (
    "~/.ssh/known_hosts",
    "~/.ssh/known_hosts2",
    "/etc/ssh/ssh_known_hosts",
    "/etc/ssh/ssh_known_hosts2",
)
"""Where OpenSSH looks when its configuration does not say otherwise (ssh_config(5))."""

ACCESS_CHECK = 'if [ "$(id -u)" = 0 ]; then echo root; else sudo -n true && echo sudo; fi'
SSH_PORT = 22
KILL_AFTER = 5
"""Seconds between the polite and the final signal to a command whose time is over."""

SocketFactory = Callable[[str, int], socket.socket | Awaitable[socket.socket]]


@dataclass(frozen=True)
class Target:
    """A node to reach: its name in the spec and where it answers."""

    name: str
    address: str
    port: int | None = None


@dataclass(frozen=True)
class Access:
    """How to log in; what is left empty is as OpenSSH would have it.

    ``socket_factory`` returns a connected socket for an address and port, for nodes that this machine's own network
    does not reach. ``limit`` is in seconds, for the connection and for the login each.
    """

    user: str | None = None
    key: Path | None = None
    known_hosts: Path | None = None
    configuration: Path | None = None
    socket_factory: SocketFactory | None = None
    limit: float = 10.0


class SshHost:
    """A machine reached over one SSH connection; commands run as root, through ``sudo -n`` if need be."""

    def __init__(self, name: str, connection: asyncssh.SSHClientConnection, *, sudo: bool) -> None:
        self.name = name
        self._connection = connection
        self._sudo = sudo

    async def run(self, argv: Sequence[str], *, stdin: bytes = b"", timeout: float = 30.0) -> Completed:  # noqa: ASYNC109
        """Run a command as root; see ``Host.run``. The node itself ends it when the time is over."""
        limit = ["timeout", f"--kill-after={KILL_AFTER}", f"{timeout:g}"]
        whole = [*(["sudo", "-n", "--"] if self._sudo else []), "env", "LC_ALL=C", *limit, *argv]
        started = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(timeout + 2 * KILL_AFTER):
                done = await _run(self._connection, whole, stdin)
        except TimeoutError:
            raise self._failure("host-command-timed-out", command=argv[0], limit=timeout) from None
        except (asyncssh.Error, OSError) as error:
            raise self._failure("host-connection-lost", command=argv[0], reason=str(error)) from None
        status = 255 if done.exit_status is None else done.exit_status
        if status in {124, 137} and asyncio.get_running_loop().time() - started >= timeout:
            raise self._failure("host-command-timed-out", command=argv[0], limit=timeout)
        if done.exit_status is None and done.exit_signal is None:
            raise self._failure("host-connection-lost", command=argv[0], reason="it was closed")
        return Completed(tuple(argv), status, _bytes(done.stdout), _bytes(done.stderr))

    async def open_connection_port(self, address: str, port: int) -> int:
        """Forward a free loopback port; it stays open as long as the connection."""
        try:
            listener = await self._connection.forward_local_port("127.0.0.1", 0, address, port)
        except (asyncssh.Error, OSError) as error:
            raise self._failure(
                "host-forward-failed", address=address, port=port, reason=str(error)
            ) from None
        return listener.get_port()

    async def close(self) -> None:
        """End the connection."""
        self._connection.close()
        with suppress(TimeoutError, asyncssh.Error, OSError):
            async with asyncio.timeout(KILL_AFTER):
                await self._connection.wait_closed()

    def _failure(self, code: str, **values: object) -> FindingsError:
        return _failure(self.name, code, **values)


async def _run(
    connection: asyncssh.SSHClientConnection, argv: Sequence[str], stdin: bytes
) -> asyncssh.SSHCompletedProcess:
    """Run a command; asyncssh tells the end of an empty input only when it is the null device."""
    command = shlex.join(argv)
    if not stdin:
        return await connection.run(command, stdin=asyncssh.DEVNULL, encoding=None)
    return await connection.run(command, input=stdin, encoding=None)


def _bytes(output: object) -> bytes:
    return output if isinstance(output, bytes) else str(output or "").encode()


def _failure(node: str, code: str, **values: object) -> FindingsError:
    return FindingsError([Finding(code, values={"node": node, **values}, subject=node)], exit_status=1)


async def connect(target: Target, access: Access) -> SshHost:
    """Connect, check the host key, log in and find out how to be root there.

    Raises FindingsError (exit status 1) that says which of these failed.
    """
    options = _options(target, access)
    connection = await _connection(target, access, options)
    try:
        async with asyncio.timeout(access.limit):
            done = await _run(connection, ["sh", "-c", ACCESS_CHECK], b"")
    except (TimeoutError, asyncssh.Error, OSError) as error:
        connection.abort()
        raise _failure(
            target.name, "host-connection-lost", command="sh", reason=str(error) or "time over"
        ) from None
    answer = _bytes(done.stdout).decode(errors="replace").split()
    if not answer or answer[-1] not in {"root", "sudo"}:
        connection.abort()
        reason = _bytes(done.stderr).decode(errors="replace").strip() or f"exit status {done.exit_status}"
        raise _failure(target.name, "host-no-sudo", user=options.username, reason=reason)
    return SshHost(target.name, connection, sudo=answer[-1] == "sudo")


def _options(target: Target, access: Access) -> asyncssh.SSHClientConnectionOptions:
    given: dict[str, object] = {
        "host": target.address,
        "connect_timeout": access.limit,
        "login_timeout": access.limit,
        "keepalive_interval": 5,
        "keepalive_count_max": 3,
    }
    if target.port is not None:
        given["port"] = target.port
    if access.user is not None:
        given["username"] = access.user
    if access.key is not None:
        given |= {"client_keys": [str(access.key)], "agent_path": None}
    if access.configuration is not None:
        given["config"] = [str(access.configuration)]
    try:
        options = asyncssh.SSHClientConnectionOptions(**given)
        configured = options.known_hosts
        if configured is None and not access.known_hosts:
            return options
        files = [str(name) for name in configured] if isinstance(configured, list) else []
        files = [str(access.known_hosts)] if access.known_hosts else files or list(KNOWN_HOSTS)
        return asyncssh.SSHClientConnectionOptions(options, known_hosts=_readable(files))
    except (asyncssh.Error, OSError, ValueError) as error:
        raise _failure(
            target.name, "host-login-set-up-wrong", address=target.address, reason=str(error)
        ) from None


def _readable(files: Sequence[str]) -> list[str] | bytes:
    found = [str(path) for path in (Path(name).expanduser() for name in files) if path.is_file()]
    return found or b"\n"


async def _connection(
    target: Target, access: Access, options: asyncssh.SSHClientConnectionOptions
) -> asyncssh.SSHClientConnection:
    where = {"address": options.host, "port": options.port, "user": options.username}
    try:
        ready = None
        if access.socket_factory is not None:
            made = access.socket_factory(options.host, options.port)
            ready = await made if isawaitable(made) else made
        return await asyncssh.connect(options.host, options.port, sock=ready, options=options)
    except asyncssh.HostKeyNotVerifiable as error:
        code = "host-key-mismatch" if _is_known(options) else "host-key-unknown"
        raise _failure(target.name, code, **where, reason=error.reason) from None
    except asyncssh.KeyExchangeFailed as error:
        code = (
            "host-key-mismatch" if "host key" in error.reason and _is_known(options) else "host-unreachable"
        )
        raise _failure(target.name, code, **where, reason=error.reason) from None
    except asyncssh.PermissionDenied as error:
        raise _failure(target.name, "host-authentication-failed", **where, reason=error.reason) from None
    except TimeoutError:
        raise _failure(target.name, "host-unreachable", **where, reason="no answer in time") from None
    except (asyncssh.Error, OSError) as error:
        raise _failure(target.name, "host-unreachable", **where, reason=_reason(error)) from None


def _reason(error: Exception) -> str:
    return (
        (error.strerror if isinstance(error, OSError) else str(error)) or str(error) or type(error).__name__
    )


def _is_known(options: asyncssh.SSHClientConnectionOptions) -> bool:
    """Say whether a known hosts file has a key for the host, though another than it showed."""
    port = options.port if options.port != SSH_PORT else None
    name = options.host_key_alias or options.host
    found = asyncssh.match_known_hosts(options.known_hosts, name, "", port)
    return any(found)
