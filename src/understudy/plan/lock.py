"""One apply at a time: a lock on this machine, and one on every node against other machines."""

import asyncio
import fcntl
import hashlib
import os
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

from understudy.findings import Finding, FindingsError
from understudy.hosts.parallel import all_of
from understudy.kinds.model import World

FILE = "lock"
STALE_SECONDS = 300
"""A node's lock that was not renewed for so long belongs to a run that is dead."""
RENEW_SECONDS = 60


@contextmanager
def local_lock(directory: Path) -> Iterator[str]:
    """Hold this machine's lock of a cloud and give the holder's words; the kernel frees it when the process dies."""
    holder = f"process {os.getpid()} on {socket.gethostname()}"
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = (directory / FILE).open("a+")
    except OSError as error:
        values = {"path": str(directory), "reason": error.strerror or str(error)}
        raise FindingsError([Finding("journal-unwritable", values=values)], exit_status=1) from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            values = {"holder": file.read().strip() or "another process"}
            raise FindingsError([Finding("apply-running", values=values)], exit_status=1) from None
        file.truncate(0)
        file.write(holder)
        file.flush()
        yield holder


def _owner(directory: Path) -> str:
    """Name the holder of the local lock, so that what a dead run of the same place left on nodes is our own."""
    machine = Path("/etc/machine-id")
    identity = machine.read_text() if machine.is_file() else socket.gethostname()
    return hashlib.sha256(f"{identity}:{os.getuid()}:{directory.resolve()}".encode()).hexdigest()[:20]


@asynccontextmanager
async def locked(world: World, directory: Path) -> AsyncIterator[dict[str, str]]:
    """Hold the lock here and on all nodes; give the holders of stale locks that were passed over, by node.

    Raises FindingsError (exit status 1): ``apply-running``, ``node-locked``.
    """
    with local_lock(directory) as holder:
        owner = _owner(directory)

        async def take(node: str) -> tuple[str, str]:
            answer = await world.node(node).ask("take-lock", owner=owner, holder=holder, stale=STALE_SECONDS)
            return node, answer["taken_over"]

        async def renew() -> None:
            while True:
                await asyncio.sleep(RENEW_SECONDS)
                with suppress(FindingsError):
                    await all_of(take(node) for node in world.hosts)

        renewing = None
        try:
            taken = await all_of(take(node) for node in world.hosts)
            renewing = asyncio.create_task(renew())
            yield {node: before for node, before in taken if before}
        finally:
            if renewing:
                renewing.cancel()
            with suppress(FindingsError):
                await all_of(world.node(node).ask("release-lock", owner=owner) for node in world.hosts)
