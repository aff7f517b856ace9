"""The protocol of reaching a machine: a handful of methods, so that wrappers and fakes stay small."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Completed:
    """A finished command."""

    argv: tuple[str, ...]
    exit_status: int
    stdout: bytes
    stderr: bytes

    @property
    def text(self) -> str:
        """Return standard output as text."""
        return self.stdout.decode(errors="replace")


class Host(Protocol):
    """A machine on which commands can be run as root."""

    @property
    def name(self) -> str:
        """Return the node's name in the spec."""

    async def run(self, argv: Sequence[str], *, stdin: bytes = b"", timeout: float = 30.0) -> Completed:  # noqa: ASYNC109
        """Run a command as root and wait for it, at most ``timeout`` seconds; it is ended when they are over.

        Raises FindingsError (exit status 1) when the machine cannot be reached or the time is over; a
        command that exits with another status than 0 is returned, not raised.
        """

    async def open_connection_port(self, address: str, port: int) -> int:
        """Forward a free loopback port of this machine to ``address:port`` as seen from the host; return the port."""
