"""Probes against servers of our own on the loopback, in the process that drills start."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from understudy.drill.clients import known_clients
from understudy.drill.history import Event, History
from understudy.drill.probes.base import ProbeSettings
from understudy.drill.probes.registry import PROBES
from understudy.drill.watch import watching
from understudy.findings import FindingsError

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
DEADLINE = 0.4
TOKEN = "HTTP/1.1 201 Created\r\nX-Subject-Token: t0ken\r\nContent-Length: 2\r\n\r\n{}"
LIST = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{"a\r\n4\r\n":1}\r\n0\r\n\r\n'


class Server:
    """Answers, refuses to answer or hangs, as told."""

    def __init__(self) -> None:
        self.answers = asyncio.Event()
        self.answers.set()
        self.status = 200
        self.pause = 0.0
        self.requests: list[bytes] = []
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while request := await reader.readuntil(b"\r\n\r\n"):
                length = [
                    line for line in request.split(b"\r\n") if line.lower().startswith(b"content-length")
                ]
                body = await reader.readexactly(int(length[0].split(b":")[1])) if length else b""
                self.requests.append(request + body)
                await self.answers.wait()
                await asyncio.sleep(self.pause)
                writer.write(self._answer(request).encode())
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            writer.close()

    def _answer(self, request: bytes) -> str:
        if self.status != 200:
            return f"HTTP/1.1 {self.status} No\r\nContent-Length: 0\r\n\r\n"
        if request.startswith(b"POST /v3/auth/tokens"):
            return TOKEN
        if request.startswith(b"GET /list"):
            return (
                LIST if b"X-Auth-Token: t0ken" in request else "HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n"
            )
        return "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@asynccontextmanager
async def serving() -> AsyncIterator[Server]:
    server = Server()
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()


def client(kind: str, port: int, **parameters: object) -> ProbeSettings:
    login = {"user": "admin", "password": "s3cret", "project": "admin", "identity_port": port}
    return ProbeSettings(kind, "web", kind, "127.0.0.1", port, 50, DEADLINE, {**login, **parameters})


async def test_all_kinds_are_served_at_their_rate_and_nothing_secret_is_recorded() -> None:
    events: list[Event] = []
    async with serving() as server:
        clients = [
            client(kind, server.port, path="/list") for kind in ("tcp", "http-session", "token", "list")
        ]
        clients[1] = client("http-session", server.port, path="/")
        clients.append(client("http", server.port, path="/"))
        clients = [replace(each, deadline=10) for each in clients]
        async with watching(clients, events.append) as watch:
            assert set((await watch.ready()).values()) == {""}
            await asyncio.sleep(1)
    found = History.of(events).by_client
    assert set(found) == {"tcp", "http", "http-session", "token", "list"}
    for operations in found.values():
        assert len(operations) > 5
        assert all(one.ok for one in operations), operations
        assert [one.number for one in operations] == list(range(len(operations)))
    assert "s3cret" not in repr(events)
    assert any(b"s3cret" in request for request in server.requests)


async def test_hanging_operation_does_not_hold_up_the_next() -> None:
    events: list[Event] = []
    async with serving() as server, watching([client("http", server.port)], events.append) as watch:
        await watch.ready()
        await asyncio.sleep(0.3)
        server.answers.clear()
        await asyncio.sleep(1)
        server.answers.set()
        await asyncio.sleep(0.3)
    operations = History.of(events).operations
    failed = [one for one in operations if not one.ok]
    assert len(failed) > 10
    assert {one.detail for one in failed} == {"deadline"}
    overlapping = [b for a, b in itertools.pairwise(failed) if a.ended and b.began < a.ended]
    assert len(overlapping) > 5
    assert operations[-1].ok


async def test_a_session_that_is_slow_is_asked_less_often_and_is_not_away() -> None:
    """At 50 a second each operation would wait for those before it, until all were given up."""
    events: list[Event] = []
    async with serving() as server, watching([client("http-session", server.port)], events.append) as watch:
        await watch.ready()
        server.pause = DEADLINE / 3
        await asyncio.sleep(10 * server.pause)
    operations = History.of(events).operations
    assert all(one.ok for one in operations), operations
    assert 3 < len(operations) < 40


async def test_broken_session_is_made_anew() -> None:
    events: list[Event] = []
    async with serving() as server, watching([client("http-session", server.port)], events.append) as watch:
        await watch.ready()
        server.answers.clear()
        await asyncio.sleep(0.6)
        server.answers.set()
        await asyncio.sleep(1.2)
    operations = History.of(events).operations
    assert any(not one.ok for one in operations)
    assert operations[-1].ok


async def test_refusals_are_told_apart() -> None:
    events: list[Event] = []
    async with serving() as server:
        server.status = 503
        clients = [client("http", server.port), client("tcp", 1)]
        async with watching(clients, events.append) as watch:
            await watch.ready()
            await asyncio.sleep(0.3)
    found = History.of(events).by_client
    assert {one.detail for one in found["http"]} == {"HTTP 503"}
    assert {one.detail for one in found["tcp"]} == {"ECONNREFUSED"}


async def test_probe_that_cannot_start_says_why() -> None:
    with pytest.raises(FindingsError) as caught:
        async with watching([client("no-such-kind", 1)], lambda _event: None) as watch:
            await watch.ready()
    assert "no-such-kind" in str(caught.value.findings[0].values["reason"])


def test_every_kind_is_told_in_the_settings_of_services() -> None:
    used = {each.kind for clients in known_clients().values() for each in clients}
    assert used <= set(PROBES)
