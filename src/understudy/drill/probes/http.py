"""HTTP over asyncio streams: one connection a request, so that no request depends on another."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from understudy.drill.probes.base import NotServedError, Probe, ProbeSettings
from understudy.drill.probes.session import SessionProbe, Stream, tls_of

READ_LIMIT = 1 << 20


@dataclass(frozen=True)
class Answer:
    """What a server answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    version: str = "HTTP/1.1"

    @property
    def closes(self) -> bool:
        """Tell whether the server closes the connection after this answer (RFC 9112, section 9.3)."""
        said = self.headers.get("connection", "").lower()
        return said == "close" or (self.version == "HTTP/1.0" and said != "keep-alive")

    def json(self) -> Any:  # noqa: ANN401 - JSON
        """Return the body's content. Raises NotServedError when it is no JSON."""
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise NotServedError("the answer is no JSON") from error


@dataclass(frozen=True)
class Request:
    """What a client asks for."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes = b""

    def encoded(self, host: str, *, keep: bool) -> bytes:
        """Return the bytes of the request; ``keep`` leaves the connection open after it."""
        lines = [f"{self.method} {self.path} HTTP/1.1", f"Host: {host}", "User-Agent: understudy-drill"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        if self.body or self.method in {"POST", "PUT"}:
            lines.append(f"Content-Length: {len(self.body)}")
        lines.append("Connection: keep-alive" if keep else "Connection: close")
        return ("\r\n".join(lines) + "\r\n\r\n").encode() + self.body


async def read_answer(reader: asyncio.StreamReader, *, method: str = "GET") -> Answer:
    """Read one answer. Raises NotServedError, OSError, asyncio.IncompleteReadError as OSError."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        version, status, headers = _head(head)
        body = b"" if method == "HEAD" or status in {204, 304} else await _body(reader, headers)
        return Answer(status, headers, body, version)
    except asyncio.IncompleteReadError as error:
        raise ConnectionResetError("closed before the answer") from error
    except (ValueError, asyncio.LimitOverrunError) as error:
        raise NotServedError("the answer is no HTTP") from error


async def _body(reader: asyncio.StreamReader, headers: Mapping[str, str]) -> bytes:
    if headers.get("transfer-encoding", "").lower() == "chunked":
        return await _chunks(reader)
    if "content-length" in headers:
        return await reader.readexactly(int(headers["content-length"]))
    return await reader.read(READ_LIMIT)


def _head(head: bytes) -> tuple[str, int, dict[str, str]]:
    first, *lines = head.decode("latin-1").split("\r\n")
    version, status = first.split(" ", 2)[:2]
    if not version.startswith("HTTP/"):
        raise ValueError(first)
    pairs = (line.partition(":") for line in lines if line)
    return version, int(status), {name.strip().lower(): value.strip() for name, _, value in pairs}


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    await reader.readuntil(b"\r\n")
    return body


async def ask(settings: ProbeSettings, request: Request, port: int = 0, address: str = "") -> Answer:
    """Send one request over a connection of its own and return the answer."""
    host, to = address or settings.address, port or settings.port
    reader, writer = await asyncio.open_connection(host, to, ssl=tls_of(settings), limit=READ_LIMIT)
    try:
        writer.write(request.encoded(f"{host}:{to}", keep=False))
        return await read_answer(reader, method=request.method)
    finally:
        writer.transport.abort()


class TcpConnect(Probe):
    """A connection is made and closed again."""

    async def operate(self, number: int) -> str:
        """Connect once."""
        del number
        _, writer = await asyncio.open_connection(self.settings.address, self.settings.port)
        writer.transport.abort()
        return ""


class HttpHealth(Probe):
    """A page answers with one of the expected states (``expect``; without it any below 400)."""

    async def operate(self, number: int) -> str:
        """Ask once."""
        del number
        check_status(await ask(self.settings, _page(self.settings)), self.settings)
        return ""


class HttpSession(SessionProbe):
    """The same page over one connection that stays open, as clients with a pool keep one; broken, it is made anew."""

    _answer: Answer

    async def operate(self, number: int) -> str:
        """Ask once over the connection; an answer that did not come ends it, and a bad one does not."""
        if self.closed():
            self.end()  # the server closed it while nothing was asked, which clients with a pool do not notice either
        await super().operate(number)
        check_status(self._answer, self.settings)
        return ""

    async def over(self, line: Stream, number: int) -> str:
        """Ask, and keep the answer."""
        del number
        place = self.settings
        line.writer.write(_page(place).encoded(f"{place.address}:{place.port}", keep=True))
        self._answer = await read_answer(line.reader)
        if self._answer.closes:
            self.end()
        return ""


def _page(settings: ProbeSettings) -> Request:
    return Request("GET", settings.text("path", "/"), {})


def check_status(answer: Answer, settings: ProbeSettings) -> None:
    """Raise NotServedError unless the status is expected."""
    expected = settings.parameters.get("expect")
    good = answer.status in expected if expected else answer.status < 400
    if not good:
        raise NotServedError(f"HTTP {answer.status}")
