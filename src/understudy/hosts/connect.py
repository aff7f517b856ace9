"""Reaching all nodes at once."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from understudy.hosts.parallel import all_of
from understudy.hosts.ssh import Access, SshHost, Target, connect


@asynccontextmanager
async def connected(targets: Sequence[Target], access: Access) -> AsyncIterator[Mapping[str, SshHost]]:
    """Connect to all nodes in parallel, for as long as the context lasts.

    Raises FindingsError (exit status 1) with what is wrong at every node that cannot be used.
    """
    hosts: dict[str, SshHost] = {}

    async def reach(target: Target) -> None:
        hosts[target.name] = await connect(target, access)

    try:
        await all_of(reach(target) for target in targets)
        yield {target.name: hosts[target.name] for target in targets}
    finally:
        await asyncio.gather(*(host.close() for host in hosts.values()))
