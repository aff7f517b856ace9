"""One node as the machine room sees it: power, and what breaks it."""

import asyncio
import os
import shutil
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from understudy.lab import disks, switch
from understudy.lab.disks import AttachedDisk
from understudy.lab.machine import Machine
from understudy.lab.processes import in_pid_namespace_of, is_stopped
from understudy.lab.supply import NodeError, Supply
from understudy.lab.topology import Interface, Wiring

START_SECONDS = 60
"""How long the namespaces of a node may take to be there."""

END_SECONDS = 30
"""How long the kernel may take to end a node's processes and mounts after SIGKILL."""

SHUTDOWN_SECONDS = 120
"""How long an orderly shutdown may take before the power is cut."""

FIRMWARE_SECONDS = 5
"""How long a node has power before it boots, but for its first boot.

Servers test themselves for a minute and more, virtual machines have a boot menu. A node that came back within a second
of its fencing, as namespaces do, would join the cluster in the middle of the recovery from its loss and hold that up.
"""

_REBOOT_CALLED = -signal.SIGHUP
"""How PID 1 ends when a process in its namespace restarts the machine (reboot(2), "Behavior inside PID namespaces")."""


@dataclass(frozen=True)
class Site:
    """What all nodes of a lab share; ``event`` takes what happened as a word, then details by keyword."""

    image: Path
    wiring: Wiring
    disks: Sequence[AttachedDisk]
    event: Callable[..., None]


class Node:
    """A node of the lab; what changes its power may be called at any time and takes its turn."""

    def __init__(self, name: str, folder: Path, site: Site, peers: Mapping[str, "Node"]) -> None:
        self.name = name
        self.pid: int | None = None
        self.booted = asyncio.Event()
        self.boot_seconds: float | None = None
        self._stopped: set[int] = set()
        self._folder = folder
        self._site = site
        self._peers = peers
        self._turn = asyncio.Lock()
        self._ended = asyncio.Event()
        self._watch: asyncio.Task[None] | None = None

    @property
    def is_on(self) -> bool:
        """Tell whether the node has power."""
        return self.pid is not None

    @property
    def is_frozen(self) -> bool:
        """Tell whether the node has been frozen and not thawed."""
        return bool(self._stopped)

    @property
    def interfaces(self) -> tuple[Interface, ...]:
        """The node's network interfaces."""
        return self._site.wiring.interfaces[self.name]

    def mounts(self) -> dict[str, list[str]]:
        """Return where each shared disk is mounted in the node, for those that are."""
        if self.pid is None:
            return {}
        found = {disk.path: disks.mounts_of(self.pid, disk) for disk in self._site.disks}
        return {path: points for path, points in found.items() if points}

    async def power_on(self, reason: str) -> None:
        """Boot the node unless it is on; returns when PID 1 runs. Raises NodeError."""
        async with self._turn:
            await self._power_on(reason)

    async def power_off(self, reason: str) -> None:
        """Cut the power: nothing is flushed, nobody is told. Returns when nothing of the node is left running."""
        async with self._turn:
            await self._power_off(reason)

    async def power_cycle(self, reason: str) -> None:
        """Cut the power and boot again."""
        async with self._turn:
            await self._power_off(reason)
            await self._power_on(reason)

    async def shut_down(self, reason: str) -> None:
        """Stop the node's services in order and switch it off; cuts the power if that takes too long."""
        async with self._turn:
            if self.pid is None:
                return
            self._site.event("shutdown", node=self.name, reason=reason)
            self.thaw()
            os.kill(self.pid, signal.SIGTERM)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ended.wait(), SHUTDOWN_SECONDS)
            await self._power_off(reason)

    async def _power_on(self, reason: str) -> None:
        if self.is_on:
            return
        began = time.monotonic()
        self.booted.clear()
        self._ended.clear()
        self._unplug()
        supply = None
        try:
            async with asyncio.timeout(START_SECONDS):
                supply = await Supply.start(self._machine())
                batch = switch.plug(self.interfaces, self._site.wiring, supply.process.pid)
                switch.run_ip(str(self._site.image), batch)
                self.pid = await supply.switch_on()
        except (TimeoutError, NodeError, OSError) as error:
            if supply:
                await supply.abandon()
            raise NodeError(f"{self.name} did not start: {error or 'too slow'}") from error
        self._site.event("power-on", node=self.name, reason=reason)
        self._watch = asyncio.create_task(self._follow(supply, began))

    def _machine(self) -> Machine:
        work = self._folder / "work"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        return Machine(
            name=self.name,
            image=str(self._site.image),
            upper=str(self._folder / "upper"),
            work=str(work),
            mount_point=str(self._folder / "root"),
            console=str(self._folder / "console.log"),
            network=switch.configure(self.interfaces),
            disks={disk.path: (disk.major, disk.minor) for disk in self._site.disks},
            firmware_seconds=FIRMWARE_SECONDS if self._watch else 0,
        )

    async def _follow(self, supply: Supply, began: float) -> None:
        """Note what the machine reports until its end, and boot it again when it restarted itself."""
        status = 0
        async for word, detail in supply.reports():
            if word == "booted":
                self.boot_seconds = round(time.monotonic() - began, 3)
                self._site.event("booted", node=self.name, seconds=self.boot_seconds)
                self.booted.set()
            elif word == "ended":
                status = int(detail)
        try:
            self._unplug()
        finally:
            self.pid = None
            self._stopped = set()
            self._site.event("power-off", node=self.name, status=status)
            self._ended.set()
        if status == _REBOOT_CALLED and not self._turn.locked():
            await self.power_on("restarted itself")

    def _unplug(self) -> None:
        switch.run_ip(str(self._site.image), switch.unplug(self.interfaces), keep_going=True)

    async def _power_off(self, reason: str) -> None:
        if self.pid is None:
            return
        self._site.event("power-cut", node=self.name, reason=reason)
        # First the cables: dying processes must not say goodbye to their peers, as a FIN or RST would.
        self._unplug()
        lost = [disk for disk in self._site.disks if not self._mounted_by_peer(disk)]
        lost = [disk for disk in lost if self._lose_unwritten(self.pid, disk)]
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        try:
            async with asyncio.timeout(END_SECONDS):
                await self._ended.wait()
            await asyncio.to_thread(disks.wait_until_free, lost, END_SECONDS)
        except TimeoutError as error:
            raise NodeError(f"{self.name} still runs {END_SECONDS} s after its power was cut") from error

    def _lose_unwritten(self, pid: int, disk: AttachedDisk) -> bool:
        try:
            return disks.lose_unwritten(pid, disk)
        except (
            OSError
        ) as error:  # the file system has no such function, or is dead already: the power goes all the same
            self._site.event("disk-not-shut", node=self.name, disk=disk.path, error=str(error))
            return False

    def _mounted_by_peer(self, disk: AttachedDisk) -> bool:
        return any(disk.path in peer.mounts() for peer in self._peers.values() if peer is not self)

    def lose_disk(self, path: str) -> None:
        """Make every access to a shared disk that is mounted in this node alone fail; raises NodeError."""
        disk = next((each for each in self._site.disks if each.path == path), None)
        if self.pid is None or disk is None or not disks.mounts_of(self.pid, disk):
            raise NodeError(f"{path} is not mounted in {self.name}")
        if self._mounted_by_peer(disk):
            raise NodeError(f"{path} is mounted in another node too, which would lose it as well")
        disks.lose_unwritten(self.pid, disk)
        self._site.event("disk-failed", node=self.name, disk=path)

    def freeze(self) -> None:
        """Stop every process of the node where it stands, as a hung machine; its kernel still answers pings."""
        if self.pid is None:
            raise NodeError(f"{self.name} is off")
        while True:  # until a look finds nobody new: whoever runs may still fork
            running = {
                pid
                for pid in in_pid_namespace_of(self.pid)
                if pid not in self._stopped and not is_stopped(pid)
            }
            if not running:
                break
            for pid in running:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGSTOP)
            self._stopped |= running
        self._site.event("frozen", node=self.name)

    def thaw(self) -> None:
        """Let run again what :meth:`freeze` stopped, and only that."""
        if not self._stopped:
            return
        present = set(in_pid_namespace_of(self.pid)) if self.pid else set()
        for pid in self._stopped & present:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        self._stopped = set()
        self._site.event("thawed", node=self.name)
