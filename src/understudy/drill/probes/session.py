"""One connection that stays open, as clients with a pool keep one; what breaks is made anew by the next operation."""

import asyncio
import contextlib

from understudy.drill.probes.base import Probe, ProbeSettings


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
    """A probe that does one operation at a time over one connection."""

    def __init__(self, settings: ProbeSettings) -> None:
        super().__init__(settings)
        self._turn = asyncio.Lock()
        self._line: Stream | None = None

    async def line(self) -> Stream:
        """Connect and log in."""
        raise NotImplementedError

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
                if self._line is not None:
                    self._line.abort()
                self._line = None
                raise
