"""One connection that stays open, as clients with a pool keep one; what breaks is made anew by the next operation."""

import asyncio
import contextlib
import ssl
from functools import cache
from typing import ClassVar

from understudy.drill.probes.base import Probe, ProbeSettings

CONNECT_SECONDS = 0.25
"""How long the other side's kernel may take to answer; who asks a dead node tries again soon."""


def tls_of(settings: ProbeSettings) -> ssl.SSLContext | None:
    """Return how to speak TLS (``tls``), or None where it is not; ``authority`` has certificates to trust, in PEM."""
    return _trusting(settings.text("authority")) if settings.parameters.get("tls") else None


@cache
def _trusting(authority: str) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=authority or None)


class Stream:
    """Reader and writer of a connection that counts bytes exactly."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def exactly(self, size: int) -> bytes:
        """Return so many bytes. Raises ConnectionResetError when they do not come."""
        try:
            return await self.reader.readexactly(size)
        except asyncio.IncompleteReadError as error:
            raise ConnectionResetError("closed before the answer") from error

    def abort(self) -> None:
        """End the connection at once."""
        with contextlib.suppress(OSError):
            self.writer.transport.abort()


class SessionProbe(Probe):
    """A probe that does one operation at a time over one connection; ``tls_in_login`` where TLS is agreed on there."""

    tls_in_login: ClassVar[bool] = False

    def __init__(self, settings: ProbeSettings) -> None:
        super().__init__(settings)
        self._turn = asyncio.Lock()
        self._line: Stream | None = None

    def busy(self) -> bool:
        """Tell whether an operation is under way."""
        return self._turn.locked()

    async def line(self) -> Stream:
        """Connect to the service, with TLS where it speaks it from the first byte on, and log in. Raises OSError."""
        place = self.settings
        async with asyncio.timeout(CONNECT_SECONDS):
            line = Stream(*await asyncio.open_connection(place.address, place.port))
        try:
            secured = None if self.tls_in_login else tls_of(place)
            if secured:
                await line.writer.start_tls(secured, server_hostname=place.address)
            await self.log_in(line)
        except BaseException:
            line.abort()
            raise
        return line

    async def log_in(self, line: Stream) -> None:
        """Do what comes before the first operation; nothing where that is all."""

    async def over(self, line: Stream, number: int) -> str:
        """Do one operation over the connection."""
        raise NotImplementedError

    async def operate(self, number: int) -> str:
        """Do one operation when the connection is free; one that fails ends the connection."""
        async with self._turn:
            try:
                if self._line is None:
                    self._line = await self.line()
                return await self.over(self._line, number)
            except BaseException:
                self.end()
                raise

    def closed(self) -> bool:
        """Tell whether the other side has closed the connection."""
        return self._line is not None and self._line.reader.at_eof()

    def end(self) -> None:
        """End the connection; the next operation makes a new one."""
        if self._line is not None:
            self._line.abort()
        self._line = None
