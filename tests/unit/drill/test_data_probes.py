"""Probes of database, broker and tenants' machines, against servers that speak just enough, on the loopback."""

import asyncio
import json
import socket
import struct
from collections.abc import Awaitable, Callable
from hashlib import sha1
from unittest.mock import AsyncMock

import pytest

from understudy.drill.clients import tenant_clients
from understudy.drill.probes import broker, tenant
from understudy.drill.probes.base import NotServedError, ProbeSettings
from understudy.drill.probes.http import Answer, Request
from understudy.drill.probes.identity import WithToken
from understudy.drill.probes.registry import PROBES
from understudy.drill.probes.volume import VolumeWritten

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


async def listening(serve: Serve) -> int:
    async def quietly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except (asyncio.IncompleteReadError, OSError):
            writer.close()

    server = await asyncio.start_server(quietly, "127.0.0.1", 0)
    return int(server.sockets[0].getsockname()[1])


def settings(kind: str, port: int, password: str = PASSWORD) -> ProbeSettings:
    login = {"user": "u", "password": password, "database": "d"}
    return ProbeSettings("client", "service", kind, "127.0.0.1", port, parameters=login)


async def test_rows_are_written_read_back_and_found_again_over_one_connection() -> None:
    server = Mysql()
    port = await listening(server.serve)
    probe = PROBES["row"](settings("row", port))
    await probe.prepare()
    assert [await probe.operate(number) for number in range(3)] == ["0", "1", "2"]
    assert server.connections == 2, "one for the table, one for all rows"
    assert await probe.collect() == ["0", "1", "2"]
    server.lost = True
    with pytest.raises(NotServedError, match="not there"):
        await probe.operate(3)
    await probe.tidy()
    with pytest.raises(NotServedError, match="MySQL error 1045"):
        await PROBES["row"](settings("row", port, "wrong")).operate(0)


async def test_messages_are_confirmed_consumed_and_found_again() -> None:
    server = Rabbit()
    port = await listening(server.serve)
    passed = PROBES["message"](settings("message", port))
    assert [await passed.operate(number) for number in range(2)] == ["", ""]
    assert server.messages == []
    kept = PROBES["message-kept"](settings("message-kept", port))
    assert [await kept.operate(number) for number in range(3)] == ["0", "1", "2"]
    assert await kept.collect() == ["0", "1", "2"]
    await kept.tidy()


class Volumes(VolumeWritten):
    """Talks to a volume service with a quota, which deletes as long as it ``works``."""

    def __init__(self) -> None:
        super().__init__(settings("volume", 0))
        self.there: dict[str, str] = {}
        self.works = True

    async def call(self, request: Request) -> Answer:
        if request.method == "GET":
            volumes = [{"id": name, "name": name} for name in self.there]
            return Answer(200, {}, json.dumps({"volumes": volumes}).encode())
        if request.path.endswith("/action"):
            if self.works:
                del self.there[request.path.split("/")[3]]
            return Answer(202, {}, b"")
        name = json.loads(request.body)["volume"]["name"]
        self.there[name] = name
        return Answer(202 if len(self.there) <= 10 else 413, {}, b"")


async def test_volumes_stay_below_the_quota_and_each_is_found_again() -> None:
    probe = Volumes()
    written = [await probe.operate(number) for number in range(12)]
    assert all(written)
    assert len(probe.there) == 4
    assert set(await probe.collect() or ()) == set(written)
    probe.works = False
    while_away = [await probe.operate(number) for number in range(12, 30)]
    assert while_away.count("") > 10, "nothing more is ordered while none is deleted"
    assert set(await probe.collect() or ()) >= {name for name in while_away if name}
    probe.works = True
    assert await probe.operate(30) or await probe.operate(31)
    assert len(probe.there) <= 8
    probe.there.clear()
    lost = await probe.collect() or ()
    assert {name for name in written if name not in lost} == set(), "what was seen and deleted is not lost"
    await probe.tidy()


async def test_volumes_that_a_drill_cut_short_has_left_are_deleted_and_nobody_elses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(WithToken, "prepare", AsyncMock())
    probe = Volumes()
    probe.there = {name: name for name in ("understudy-drill-0a1b2c3d-7", "database")}
    await probe.prepare()
    assert list(probe.there) == ["database"]


async def test_volume_that_is_gone_before_it_was_looked_for_is_missed() -> None:
    probe = Volumes()
    first, second = [await probe.operate(number) for number in range(2)]
    del probe.there[first]
    assert await probe.collect() == [second]


def test_offers_are_told_from_other_packets() -> None:
    asked = tenant.discover(bytes(6), b"abcd")
    assert asked[236:240] == tenant.COOKIE
    answer = bytearray(asked)
    answer[16:20] = socket.inet_aton("10.0.0.5")
    offer = bytes(answer[:240]) + bytes([0, 53, 1, tenant.OFFER, 255])
    assert tenant.offered(offer, b"abcd") == "10.0.0.5"
    assert tenant.offered(offer, b"dcba") == ""
    assert tenant.offered(asked, b"abcd") == ""
    assert tenant.offered(b"short", b"abcd") == ""


def test_echo_request_has_a_checksum_that_adds_up() -> None:
    assert tenant.checksum(tenant.echo_request(7, 9)) == 0


def test_tenants_machine_has_its_clients() -> None:
    clients = {one.kind: one for one in tenant_clients("tenant", "10.0.0.5", "tap0")}
    assert clients["ping"].address == "10.0.0.5"
    assert clients["http"].address == "169.254.169.254"
    assert clients["dhcp"].text("interface") == "tap0"


@pytest.mark.root
async def test_loopback_answers_a_ping() -> None:
    probe = PROBES["ping"](settings("ping", 0))
    async with asyncio.timeout(5):
        assert await probe.operate(1) == ""
