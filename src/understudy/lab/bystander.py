"""Machines without a system of their own: a network namespace, kept by a process that sleeps.

The lab's client is one, and so is a tenant's machine. They end with the machine room, whose children they are.
"""

import asyncio
import subprocess
from pathlib import Path

from understudy.lab.supply import NodeError

TOOL_SECONDS = 60


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


def configure(image: Path, pid: int, batch: str) -> None:
    """Give ``ip`` a batch inside; raises CalledProcessError."""
    enter = ["nsenter", f"--net=/proc/{pid}/ns/net", "chroot", str(image), "/usr/sbin/ip", "-batch", "-"]
    run_tool(enter, batch)


def run_tool(command: list[str], text: str = "") -> None:
    """Run a program that has to succeed; raises CalledProcessError, TimeoutExpired."""
    subprocess.run(command, input=text, text=True, check=True, capture_output=True, timeout=TOOL_SECONDS)
