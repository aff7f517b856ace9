"""HTTP over asyncio streams: one connection a request, so that no request depends on another."""

import asyncio
import contextlib
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from understudy.drill.probes.base import NotServedError, Probe, ProbeSettings

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


def tls_of(settings: ProbeSettings) -> ssl.SSLContext | None:
    """Return how to speak TLS (``tls``), or None where it is not; ``authority`` has certificates to trust, in PEM."""
    return _trusting(settings.text("authority")) if settings.parameters.get("tls") else None


@cache
def _trusting(authority: str) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=authority or None)


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
        check_status(await ask(self.settings, self._request()), self.settings)
        return ""

    def _request(self) -> Request:
        return Request("GET", self.settings.text("path", "/"), {})


class HttpSession(HttpHealth):
    """The same page over one connection that stays open, as clients with a pool keep one; broken, it is made anew."""

    def __init__(self, settings: ProbeSettings) -> None:
        super().__init__(settings)
        self._turn = asyncio.Lock()
        self._open: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def operate(self, number: int) -> str:
        """Ask once over the connection, when it is free; an answer that did not come ends the connection."""
        del number
        async with self._turn:
            try:
                answer = await self._ask()
            except BaseException:
                self._drop()
                raise
        check_status(answer, self.settings)
        return ""

    async def _ask(self) -> Answer:
        place = self.settings
        if self._open is not None and self._open[0].at_eof():
            self._drop()  # the server closed it while nothing was asked, which clients with a pool do not notice either
        if self._open is None:
            self._open = await asyncio.open_connection(place.address, place.port, ssl=tls_of(place))
        reader, writer = self._open
        writer.write(self._request().encoded(f"{place.address}:{place.port}", keep=True))
        answer = await read_answer(reader)
        if answer.closes:
            self._drop()
        return answer

    def _drop(self) -> None:
        if self._open is not None:
            with contextlib.suppress(OSError):
                self._open[1].transport.abort()
        self._open = None


def check_status(answer: Answer, settings: ProbeSettings) -> None:
    """Raise NotServedError unless the status is expected."""
    expected = settings.parameters.get("expect")
    good = answer.status in expected if expected else answer.status < 400
    if not good:
        raise NotServedError(f"HTTP {answer.status}")
