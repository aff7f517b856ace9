"""The process that feeds a node (see :mod:`understudy.lab.machine`), seen from the machine room."""

import asyncio
import os
import sys
from asyncio import StreamReader, StreamWriter
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Self

from understudy.lab.machine import Machine


class NodeError(Exception):
    """A node did not do what it was told; the message says which and why."""


@dataclass(frozen=True)
class Supply:
    """A machine process and its two ends of conversation."""

    process: Process
    _orders: StreamWriter
    _reports: StreamReader

    @classmethod
    async def start(cls, machine: Machine) -> Self:
        """Start it; returns when its network namespace is there to be plugged in. Raises NodeError."""
        command = (sys.executable, "-m", "understudy.lab.machine", str(os.getpid()))
        process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE)
        if process.stdin is None or process.stdout is None:
            raise NodeError("no pipes to the machine process")
        supply = cls(process, process.stdin, process.stdout)
        await supply._say(machine.to_json())
        await supply._expect("unshared")
        return supply

    async def switch_on(self) -> int:
        """Let PID 1 start; return its process id on the host. Raises NodeError."""
        await self._say("go")
        return int(await self._expect("started"))

    async def reports(self) -> AsyncIterator[tuple[str, str]]:
        """Yield what it reports from then on, as a word and a detail, until it has ended."""
        async for raw in self._reports:
            word, _, detail = raw.decode().strip().partition(" ")
            yield word, detail
        await self.process.wait()

    async def abandon(self) -> None:
        """End it, and all that it feeds."""
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()

    async def _say(self, line: str) -> None:
        self._orders.write(f"{line}\n".encode())
        await self._orders.drain()

    async def _expect(self, word: str) -> str:
        said, _, detail = (await self._reports.readline()).decode().strip().partition(" ")
        if said != word:
            raise NodeError(f"expected the machine to say {word}, got {said or 'its end'} {detail}".rstrip())
        return detail
