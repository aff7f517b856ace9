"""Stand-ins for a database and a broker, as far as the drill's clients talk to them."""

import asyncio
import socket
import ssl
import struct
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from hashlib import sha1

from understudy.drill.probes import broker

SCRAMBLE = b"12345678901234567890"
PASSWORD = "pa55"


class Mysql:
    """Holds the rows of one table; ``lost`` forgets what it has acknowledged."""

    def __init__(self) -> None:
        self.rows: list[str] = []
        self.connections = 0
        self.lost = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        greeting = b"\x0a10.11-Fake\0" + bytes(4) + SCRAMBLE[:8] + b"\0" + struct.pack("<HBHH", 0, 33, 2, 8)
        greeting += bytes([21]) + bytes(10) + SCRAMBLE[8:] + b"\0mysql_native_password\0"
        self.send(writer, 0, greeting)
        login = await self.packet(reader)
        inner = sha1(PASSWORD.encode()).digest()  # noqa: S324 - MySQL's login demands it
        outer = sha1(SCRAMBLE + sha1(inner).digest()).digest()  # noqa: S324
        good = bytes(left ^ right for left, right in zip(inner, outer, strict=True)) in login
        self.send(writer, 2, bytes(7) if good else b"\xff\x15\x04no")
        while good and (query := (await self.packet(reader))[1:].decode()):
            self.answer(writer, query)

    def answer(self, writer: asyncio.StreamWriter, query: str) -> None:
        if query.startswith("INSERT") and not self.lost:
            self.rows.append(query.partition("(")[2].rstrip(")"))
        if not query.startswith("SELECT"):
            self.send(writer, 1, bytes(7))
            return
        wanted = query.partition("id = ")[2]
        rows = [row for row in self.rows if not wanted or row == wanted]
        end = b"\xfe\0\0\0\0"
        for number, each in enumerate(
            (b"\1", b"column", end, *(bytes([len(r)]) + r.encode() for r in rows), end)
        ):
            self.send(writer, number + 1, each)

    def send(self, writer: asyncio.StreamWriter, number: int, payload: bytes) -> None:
        writer.write(len(payload).to_bytes(3, "little") + bytes([number]) + payload)

    async def packet(self, reader: asyncio.StreamReader) -> bytes:
        head = await reader.readexactly(4)
        return await reader.readexactly(int.from_bytes(head[:3], "little"))


class Rabbit:
    """Holds the messages of one queue."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(8)
        self.send(writer, broker.START)
        answers = {
            broker.START_OK: broker.TUNE + bytes(8),
            broker.OPEN: broker.OPEN_OK,
            broker.CHANNEL_OPEN: broker.CHANNEL_OPEN_OK + bytes(4),
            broker.CONFIRM: broker.CONFIRM_OK,
            broker.DECLARE: broker.DECLARE_OK,
            broker.DELETE: broker.DELETE_OK + bytes(4),
        }
        while True:
            head = await reader.readexactly(7)
            payload = (await reader.readexactly(int.from_bytes(head[3:7], "big") + 1))[:-1]
            if head[0] == broker.BODY:
                self.messages.append(payload)
                self.send(writer, broker.ACK + bytes(9))
            elif head[0] == broker.METHOD and payload[:4] == broker.GET:
                self.give(writer)
            elif head[0] == broker.METHOD and payload[:4] in answers:
                self.send(writer, answers[payload[:4]])

    def give(self, writer: asyncio.StreamWriter) -> None:
        if not self.messages:
            self.send(writer, broker.GET_EMPTY + b"\0")
            return
        body = self.messages.pop(0)
        self.send(writer, broker.GET_OK + bytes(9) + b"\0\0" + bytes(4))
        self.send(writer, bytes(4) + len(body).to_bytes(8, "big") + bytes(2), broker.CONTENT)
        self.send(writer, body, broker.BODY)

    def send(self, writer: asyncio.StreamWriter, payload: bytes, kind: int = broker.METHOD) -> None:
        writer.write(bytes([kind, 0, 1]) + len(payload).to_bytes(4, "big") + payload + b"\xce")


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def listening(serve: Serve, tls: ssl.SSLContext | None = None) -> int:
    async def quietly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except (asyncio.IncompleteReadError, OSError):
            writer.close()

    server = await asyncio.start_server(quietly, "127.0.0.1", 0, ssl=tls)
    return int(server.sockets[0].getsockname()[1])


def turning_to_tls(port: int, shown: ssl.SSLContext) -> int:
    """Stand before a database as its own TLS would: after the greeting the client asks for TLS, then all is relayed."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            raw, _ = listener.accept()
            behind = socket.create_connection(("127.0.0.1", port))
            raw.sendall(behind.recv(4096))
            assert len(raw.recv(36, socket.MSG_WAITALL)) == 36
            try:
                client = shown.wrap_socket(raw, server_side=True)
            except ssl.SSLError:
                continue
            for source, target in ((client, behind), (behind, client)):
                threading.Thread(target=_relay, args=(source, target), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    return int(listener.getsockname()[1])


def _relay(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(4096):
            target.sendall(data)
        target.shutdown(socket.SHUT_RDWR)
