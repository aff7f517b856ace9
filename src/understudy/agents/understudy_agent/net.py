"""Connections with deadlines, and what the kernel knows of sockets.

``_socket`` is what ``socket`` is made of; importing the latter takes longer than a whole monitor may.
"""

from __future__ import annotations

import _socket
import errno
import os
import sys

from .config import join_address

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

    from .ocf import Deadline

LISTEN = "0A"
ESTABLISHED = "01"
PAGE, LINE = 4096, 256
"""The kernel hands out at most a page at a time, less only at the end; a line is shorter than this."""
TABLES = {_socket.AF_INET: "/proc/net/tcp", _socket.AF_INET6: "/proc/net/tcp6"}


class NoAnswer(Exception):
    """Nothing came back.

    ``kind`` is ``refused``, ``unreachable``, ``silent`` (accepted, never answered) or ``broken``.
    """

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind
        self.text = text


class Connection:
    """A TCP connection of which every operation ends by the deadline."""

    def __init__(self, host: str, port: int, deadline: Deadline) -> None:
        self.name = join_address(host, port)
        self._deadline = deadline
        self._stream = self._connect(host, port)

    def _connect(self, host: str, port: int) -> _socket.socket:
        family, address = resolve(host, port, self._deadline)
        stream = _socket.socket(family, _socket.SOCK_STREAM)
        stream.settimeout(max(0.01, self._deadline.left()))
        try:
            stream.connect(address)
        except _socket.timeout:
            stream.close()
            raise NoAnswer("unreachable", f"{self.name} does not accept a connection in time") from None
        except OSError as error:
            stream.close()
            refused = error.errno == errno.ECONNREFUSED
            text = "refuses connections" if refused else f"cannot be reached ({error.strerror})"
            raise NoAnswer("refused" if refused else "unreachable", f"{self.name} {text}") from None
        return stream

    def secure(self, authority: str = "", name: str = "") -> None:
        """Go on in TLS; the certificate is verified against a file of authorities and a name, where they are given."""
        import socket
        import ssl

        context = ssl.create_default_context(cafile=authority or None)
        context.check_hostname = bool(name)
        context.verify_mode = ssl.CERT_REQUIRED if authority else ssl.CERT_NONE
        plain = socket.socket(fileno=self._stream.detach())
        plain.settimeout(max(0.01, self._deadline.left()))
        try:
            self._stream = context.wrap_socket(plain, server_hostname=name or None)
        except OSError as error:
            plain.close()
            raise self._failed(error) from None

    def send(self, data: bytes) -> None:
        """Send all of the data."""
        self._stream.settimeout(max(0.01, self._deadline.left()))
        try:
            self._stream.sendall(data)
        except OSError as error:
            raise self._failed(error) from None

    def receive(self, size: int = 65536) -> bytes:
        """Return what has come, at least a byte; nothing when the other side is done."""
        self._stream.settimeout(max(0.01, self._deadline.left()))
        try:
            return self._stream.recv(size)
        except OSError as error:
            raise self._failed(error) from None

    def receive_exactly(self, size: int) -> bytes:
        """Return this many bytes."""
        data = b""
        while len(data) < size:
            more = self.receive(size - len(data))
            if not more:
                raise NoAnswer("broken", f"{self.name} closes the connection without an answer")
            data += more
        return data

    def _failed(self, error: OSError) -> NoAnswer:
        if isinstance(error, _socket.timeout):
            return NoAnswer("silent", f"{self.name} accepts connections but does not answer in time")
        return NoAnswer("broken", f"{self.name} breaks the connection ({error.strerror or error})")

    def close(self) -> None:
        """End the connection."""
        self._stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def packed(host: str) -> tuple[int, bytes] | None:
    """Return family and bytes of a literal address, None for a name."""
    for family in TABLES:
        try:
            return family, _socket.inet_pton(family, host)
        except OSError:
            continue
    return None


def resolve(host: str, port: int, deadline: Deadline) -> tuple[int, tuple[str, int]]:
    """Return family and address to connect to. A name is looked up in a thread: the resolver knows no deadline."""
    literal = packed(host)
    if literal:
        return literal[0], (host, port)
    import _thread

    found: list[tuple[int, tuple[str, int]]] = []
    done = _thread.allocate_lock()
    done.acquire()

    def look_up() -> None:
        try:
            entries = _socket.getaddrinfo(host, port, 0, _socket.SOCK_STREAM)
            found.extend((entry[0], (str(entry[4][0]), port)) for entry in entries)
        except OSError:
            found.clear()
        finally:
            done.release()

    _thread.start_new_thread(look_up, ())
    if not done.acquire(timeout=deadline.left()) or not found:
        raise NoAnswer("unreachable", f"the name {host} cannot be resolved")
    return found[0]


class Endpoint:
    """A TCP socket in the kernel's table."""

    __slots__ = ("inode", "local", "port", "remote", "remote_port", "state", "uid")

    def __init__(self, columns: list[str]) -> None:
        self.local, port = columns[1].split(":")
        self.remote, remote_port = columns[2].split(":")
        self.port, self.remote_port = int(port, 16), int(remote_port, 16)
        self.state, self.uid, self.inode = columns[3], int(columns[7]), int(columns[9])


def table(state: str, *hosts: str) -> Iterator[Endpoint]:
    """Yield the TCP sockets of this network namespace that are in a state, of the families of these hosts only."""
    literals = [packed(host) for host in hosts]
    wanted = {literal[0] for literal in literals if literal}
    for family, path in TABLES.items():
        if hosts and None not in literals and family not in wanted:
            continue
        for line in _lines(path):
            columns = line.split()
            if columns[3] == state:
                yield Endpoint(columns)


def _lines(path: str) -> Iterator[str]:
    """Yield the lines of a table of the kernel. Each read makes it walk all of its sockets, so none is in vain."""
    rest, more = b"", True
    try:
        with open(path, "rb", buffering=0) as stream:
            while more:
                data = stream.read(PAGE)
                more = len(data) > PAGE - LINE
                *lines, rest = (rest + data).split(b"\n")
                yield from (line.decode() for line in lines if b": " in line)
    except OSError:
        return


def as_in_table(address: bytes) -> str:
    """Return an address as the kernel writes it there: words of four bytes, each in the machine's own order."""
    words = [address[index : index + 4] for index in range(0, len(address), 4)]
    return "".join(f"{int.from_bytes(word, sys.byteorder):08X}" for word in words)


def listeners(host: str, port: int) -> list[Endpoint]:
    """Return who listens on an address, or on the wildcard of its family."""
    host = "0.0.0.0" if host in ("", "*") else host
    on_port = [endpoint for endpoint in table(LISTEN, host) if endpoint.port == port]
    literal = packed(host)
    if literal is None:
        return on_port
    wanted = as_in_table(literal[1])
    wildcard = "0" * len(wanted)
    if wanted == wildcard:
        return on_port
    return [endpoint for endpoint in on_port if endpoint.local in (wanted, wildcard)]


def is_local(host: str) -> bool:
    """Return whether an address is one of this host; it may be bound without (``ip_nonlocal_bind``)."""
    literal = packed(host)
    if literal is None:
        return True
    family, address = literal
    if family == _socket.AF_INET6:
        if address == b"\0" * 15 + b"\1":
            return True
        return address.hex() in _read("/proc/net/if_inet6")
    if address[0] == 127:
        return True
    leaf = f"|-- {host}\n"
    text = _read("/proc/net/fib_trie")
    at = text.find(leaf)
    while at >= 0:
        after = text[at + len(leaf) :]
        if "host LOCAL" in after[: (after.find("--") + 1 or len(after) + 1) - 1]:
            return True
        at = text.find(leaf, at + 1)
    return False


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read()
    except OSError:
        return ""


def holders(inodes: set[int]) -> list[int]:
    """Return the processes of this pid namespace that have one of these sockets open."""
    from .processes import sockets

    return [int(name) for name in os.listdir("/proc") if name.isdigit() and sockets(int(name)) & inodes]
