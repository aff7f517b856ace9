"""Messages through a RabbitMQ: published with its confirmation, consumed, and kept over its death (AMQP 0-9-1).

Parameters: ``user``, ``password``, ``virtual_host``. Queues are the client's own, durable, and deleted in the end.
"""

import secrets
from typing import ClassVar

from understudy.drill.probes.base import MADE_BY, NotServedError, ProbeSettings
from understudy.drill.probes.session import SessionProbe, Stream

HEADER = b"AMQP\0\0\x09\x01"
METHOD, CONTENT, BODY = 1, 2, 3
FRAME_END = b"\xce"
DURABLE, AT_ONCE = b"\x02", b"\0"
PERSISTENT = (0x1000).to_bytes(2, "big") + b"\2"


def _method(class_: int, method: int) -> bytes:
    return class_.to_bytes(2, "big") + method.to_bytes(2, "big")


START, START_OK, TUNE, TUNE_OK, OPEN, OPEN_OK, CLOSE = (_method(10, n) for n in (10, 11, 30, 31, 40, 41, 50))
CHANNEL_OPEN, CHANNEL_OPEN_OK, CHANNEL_CLOSE = (_method(20, n) for n in (10, 11, 40))
DECLARE, DECLARE_OK, DELETE, DELETE_OK = (_method(50, n) for n in (10, 11, 40, 41))
PUBLISH, GET, GET_OK, GET_EMPTY, ACK, NACK = (_method(60, n) for n in (40, 70, 71, 72, 80, 120))
CONFIRM, CONFIRM_OK = (_method(85, n) for n in (10, 11))
LOGIN, CHANNEL = 0, 1


class MessagePassed(SessionProbe):
    """A persistent message is published, confirmed by the broker, consumed and acknowledged."""

    def __init__(self, settings: ProbeSettings) -> None:
        super().__init__(settings)
        self._queue = f"{MADE_BY}{secrets.token_hex(4)}"

    async def log_in(self, line: Stream) -> None:
        """Log in, open a channel and declare the queue."""
        place = self.settings
        line.writer.write(HEADER)
        await _expect(line, START)
        login = _long(f"\0{place.text('user')}\0{place.text('password')}")
        _send(line, LOGIN, START_OK + bytes(4) + _short("PLAIN") + login + _short("en_US"))
        limits = await _expect(line, TUNE)
        _send(line, LOGIN, TUNE_OK + limits[:6] + bytes(2))
        _send(line, LOGIN, OPEN + _short(place.text("virtual_host", "/")) + _short("") + b"\0")
        await _expect(line, OPEN_OK)
        _send(line, CHANNEL, CHANNEL_OPEN + _short(""))
        await _expect(line, CHANNEL_OPEN_OK)
        _send(line, CHANNEL, CONFIRM + AT_ONCE)
        await _expect(line, CONFIRM_OK)
        _send(line, CHANNEL, DECLARE + bytes(2) + _short(self._queue) + DURABLE + bytes(4))
        await _expect(line, DECLARE_OK)

    async def over(self, line: Stream, number: int) -> str:
        """Publish and consume one message."""
        await self._publish(line, str(number))
        if await self._get(line) is None:
            raise NotServedError("the message is not there")
        return ""

    async def _publish(self, line: Stream, text: str) -> None:
        body = text.encode()
        _send(line, CHANNEL, PUBLISH + bytes(2) + _short("") + _short(self._queue) + b"\0")
        content = (60).to_bytes(2, "big") + bytes(2) + len(body).to_bytes(8, "big") + PERSISTENT
        _frame(line, CONTENT, CHANNEL, content)
        _frame(line, BODY, CHANNEL, body)
        await _expect(line, ACK)

    async def _get(self, line: Stream) -> str | None:
        """Consume one message; None when there is none."""
        _send(line, CHANNEL, GET + bytes(2) + _short(self._queue) + b"\0")
        method, arguments = await _next(line)
        if method == GET_EMPTY:
            return None
        if method != GET_OK:
            raise NotServedError("the answer is no message")
        body = b""
        _, _, content = await _read(line)
        size = int.from_bytes(content[4:12], "big")
        while len(body) < size:
            body += (await _read(line))[2]
        _send(line, CHANNEL, ACK + arguments[:8] + b"\0")
        return body.decode()

    async def tidy(self) -> None:
        """Delete the queue."""
        line = await self.line()
        try:
            _send(line, CHANNEL, DELETE + bytes(2) + _short(self._queue) + b"\0")
            await _expect(line, DELETE_OK)
        finally:
            line.abort()


class MessageKept(MessagePassed):
    """A persistent message is published and confirmed; all of them are consumed in the end."""

    writes: ClassVar[bool] = True

    async def over(self, line: Stream, number: int) -> str:
        """Publish one message and return its text."""
        await self._publish(line, str(number))
        return str(number)

    async def collect(self) -> list[str] | None:
        """Return the texts of all messages; they go back to the queue when the connection ends before it is done."""
        line = await self.line()
        found: list[str] = []
        try:
            while (text := await self._get(line)) is not None:
                found.append(text)
        finally:
            line.abort()
        return found


def _send(stream: Stream, channel: int, payload: bytes) -> None:
    _frame(stream, METHOD, channel, payload)


def _frame(stream: Stream, kind: int, channel: int, payload: bytes) -> None:
    head = bytes([kind]) + channel.to_bytes(2, "big") + len(payload).to_bytes(4, "big")
    stream.writer.write(head + payload + FRAME_END)


async def _read(stream: Stream) -> tuple[int, int, bytes]:
    """Return kind, channel and content of the next frame."""
    head = await stream.exactly(7)
    payload = (await stream.exactly(int.from_bytes(head[3:7], "big") + 1))[:-1]
    return head[0], int.from_bytes(head[1:3], "big"), payload


async def _next(stream: Stream) -> tuple[bytes, bytes]:
    """Return the next method and its arguments. Raises NotServedError when the broker ends the talk."""
    while True:
        kind, _, payload = await _read(stream)
        if kind != METHOD:
            continue
        if payload[:4] in (CLOSE, CHANNEL_CLOSE):
            raise NotServedError(f"AMQP reply {int.from_bytes(payload[4:6], 'big')}")
        return payload[:4], payload[4:]


async def _expect(stream: Stream, wanted: bytes) -> bytes:
    method, arguments = await _next(stream)
    if method != wanted:
        raise NotServedError("refused by the broker" if method == NACK else "the answer is another")
    return arguments


def _short(text: str) -> bytes:
    data = text.encode()
    return bytes([len(data)]) + data


def _long(text: str) -> bytes:
    data = text.encode()
    return len(data).to_bytes(4, "big") + data
