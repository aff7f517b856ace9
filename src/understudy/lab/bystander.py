"""Machines without a system of their own: a network namespace, kept by a process that sleeps.

The lab's client is one, and so is a tenant's machine. They end with the machine room, whose children they are.
"""

import asyncio

from understudy.lab.supply import NodeError


async def hold() -> int:
    """Start the process that keeps a new network namespace, and return its id. Raises NodeError."""
    keeper = ["unshare", "--net", "sh", "-c", "echo ready; exec sleep infinity"]
    holder = await asyncio.create_subprocess_exec(
        *("setpriv", "--pdeathsig", "KILL", *keeper),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
    )
    if holder.stdout is None or not await holder.stdout.readline():
        raise NodeError("a network namespace did not start")
    return holder.pid
