"""The process that is a lab: ``python -m understudy.lab.daemon FOLDER IMAGE [PID]``, detached from whoever started it.

It reads the BMCs' passwords as a JSON object by node from its standard input, says how far it is on its standard
output, a line each, ending with ``ready``, and then serves its control socket: a JSON object a line each way,
``{"verb": ..., "arguments": {...}}`` and ``{"ok": true, "result": ...}`` or ``{"ok": false, "error": ...}``.

Whatever ends it ends the lab: nodes and client are children that die with it, the switch is its network namespace,
loop devices are detached when its descriptors close. With PID given it ends when that process does.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
from asyncio import StreamReader, StreamWriter
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from understudy.lab import bystander, kernel, redfish, switch
from understudy.lab.image import hold
from understudy.lab.room import RequestError, Room
from understudy.lab.state import Folder
from understudy.lab.supply import NodeError
from understudy.lab.topology import LabTopology

BOOT_SECONDS = 120
FORMAT_SECONDS = 60


def main() -> None:
    """Run a lab until it is told to end."""
    folder, image = Folder(Path(sys.argv[1])), Path(sys.argv[2])
    passwords = json.loads(sys.stdin.readline())
    topology = LabTopology.from_json(folder.topology.read_text(encoding="utf-8"))
    os.umask(0o022)
    folder.write_record()
    hold(image)  # until this process ends
    kernel.unshare(kernel.CLONE_NEWNET)
    for setting in Path("/proc/sys/net/bridge").glob("bridge-nf-call-*"):
        setting.write_text(
            "0", encoding="ascii"
        )  # the switch has no packet filter of its own above its bridges
    asyncio.run(_run(folder, topology, image, passwords))


async def _run(folder: Folder, topology: LabTopology, image: Path, passwords: Mapping[str, str]) -> None:
    room = Room(folder, topology, image, passwords)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, room.closing.set)
    if len(sys.argv) > 3:
        loop.add_reader(os.pidfd_open(int(sys.argv[3])), room.closing.set)
    switch.run_ip(str(image), switch.bridges(room.wiring))
    room.client_pid = await _start_client(room)
    addresses = [node.bmc_address for node in topology.nodes.values() if node.bmc_address]
    if addresses:
        room.install_bmcs(redfish.make_certificate(folder.path, addresses))
    await _boot_all(room)
    await _format_disks(room)
    server = await asyncio.start_unix_server(
        lambda reader, writer: _converse(room, reader, writer), folder.socket
    )
    folder.socket.chmod(0o600)
    _say("ready")
    _let_go_of_starter()
    async with server:
        await room.closing.wait()
    room.event("down")


def _say(line: str) -> None:
    with suppress(BrokenPipeError):
        os.write(1, f"{line}\n".encode())


def _let_go_of_starter() -> None:
    null = os.open("/dev/null", os.O_RDWR)
    for descriptor in (0, 1):
        os.dup2(null, descriptor)


async def _start_client(room: Room) -> int:
    """Start the process that keeps the clients' network namespace; return its id."""
    pid, client = await bystander.hold(), room.wiring.client
    switch.run_ip(str(room.image), switch.plug([client], room.wiring, pid))
    switch.run_ip(str(room.image), switch.configure([client]), inside=pid)
    return pid


async def _boot_all(room: Room) -> None:
    await asyncio.gather(*(node.power_on("lab up") for node in room.nodes.values()))

    async def booted(name: str) -> None:
        await asyncio.wait_for(room.nodes[name].booted.wait(), BOOT_SECONDS)
        _say(f"booted {name}")

    await asyncio.gather(*(booted(name) for name in room.nodes))


async def _format_disks(room: Room) -> None:
    """Make the file systems on the shared disks, with a node's own tools."""
    first = next(iter(room.nodes.values()))
    for path, disk in room.topology.disks.items():
        if disk.filesystem:
            enter = ["nsenter", f"--target={first.pid}", "--mount", "--pid", "--root", "--wd"]
            command = [*enter, "/usr/sbin/mkfs", "-t", disk.filesystem, path]
            await asyncio.to_thread(
                subprocess.run, command, check=True, capture_output=True, text=True, timeout=FORMAT_SECONDS
            )
            room.event("formatted", disk=path, filesystem=disk.filesystem)


async def _converse(room: Room, reader: StreamReader, writer: StreamWriter) -> None:
    async for line in reader:
        try:
            reply: dict[str, object] = {"ok": True, "result": await room.serve(json.loads(line))}
        except (RequestError, NodeError, ValueError) as error:
            reply = {"ok": False, "error": str(error)}
        except (OSError, subprocess.SubprocessError) as error:
            reply = {"ok": False, "error": f"{error} {getattr(error, 'stderr', '') or ''}".strip()}
        writer.write(json.dumps(reply).encode() + b"\n")
        with suppress(ConnectionError):
            await writer.drain()
    writer.close()


if __name__ == "__main__":
    main()
