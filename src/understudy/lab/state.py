"""Where a lab keeps what it has on disk, and how a running lab is recognised.

A lab's folder holds the nodes' upper layers, the disks' files, keys, the control socket and ``room.json``, which says
what process runs it. That process is known by its id together with the time it started, so a recycled id is no lab.
"""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

LABS = Path("/var/lib/understudy/labs")
"""All labs of this machine, a folder each."""


@dataclass(frozen=True)
class Process:
    """A process beyond doubt: ``started`` in clock ticks after boot, ``boot`` the kernel's boot id."""

    pid: int
    started: int
    boot: str

    @classmethod
    def of(cls, pid: int) -> "Process | None":
        """Return the identity of a process that lives now; None if there is none or it is a zombie."""
        try:
            fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
            boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        except OSError:
            return None
        return None if fields[0] in "ZX" else cls(pid, int(fields[19]), boot)

    def alive(self) -> bool:
        """Tell whether this very process lives."""
        return Process.of(self.pid) == self


@dataclass(frozen=True)
class Folder:
    """The folder of one lab."""

    path: Path

    @classmethod
    def of(cls, name: str) -> "Folder":
        """Return the folder of the lab of this name, there or not."""
        return cls(LABS / name)

    @property
    def record(self) -> Path:
        """Who runs the lab (:class:`Process`)."""
        return self.path / "room.json"

    @property
    def topology(self) -> Path:
        """The topology as JSON."""
        return self.path / "topology.json"

    @property
    def socket(self) -> Path:
        """Where the machine room listens."""
        return self.path / "control"

    @property
    def log(self) -> Path:
        """What the machine room has to say."""
        return self.path / "room.log"

    @property
    def events(self) -> Path:
        """What happened to the machines: a JSON object a line, ``time`` in seconds since the epoch."""
        return self.path / "events.jsonl"

    @property
    def tenant(self) -> Path:
        """What the tenant of the cloud in the lab has, as JSON."""
        return self.path / "tenant.json"

    @property
    def private_key(self) -> Path:
        """The key that logs in to every node as root."""
        return self.path / "id_ed25519"

    @property
    def known_hosts(self) -> Path:
        """The nodes' host keys, under their names and all their addresses."""
        return self.path / "known_hosts"

    def node(self, name: str) -> Path:
        """Return the folder with a node's upper layer and console."""
        return self.path / "nodes" / name

    def disk(self, number: int) -> Path:
        """Return the file behind a shared disk, counted in the topology's order."""
        return self.path / "disks" / f"{number}.img"

    def write_record(self) -> None:
        """Say that this process runs the lab."""
        process = Process.of(os.getpid())
        if process is None:
            raise OSError("this process has no entry in /proc")
        temporary = self.record.with_suffix(".new")
        temporary.write_text(json.dumps(asdict(process)), encoding="utf-8")
        temporary.replace(self.record)

    def room(self) -> Process | None:
        """Return the living process that runs the lab; None if the lab is down or its remains are stale."""
        try:
            process = Process(**json.loads(self.record.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None
        return process if process.alive() else None
