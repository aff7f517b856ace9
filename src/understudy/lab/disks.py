"""The shared disks: sparse files behind loop devices, and what a power loss does to the file systems on them."""

import errno
import fcntl
import os
import struct
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_LOOP_CTL_GET_FREE = 0x4C82
_LOOP_CONFIGURE = 0x4C0A
_LO_FLAGS_AUTOCLEAR = 4
_FS_IOC_SHUTDOWN = 0x8004587D
_SHUTDOWN_WITHOUT_LOG_FLUSH = 2
_ATTEMPTS = 10


@dataclass(frozen=True)
class AttachedDisk:
    """A loop device; it exists as long as ``descriptor`` is open in some process, and no longer."""

    path: str
    device: str
    major: int
    minor: int
    descriptor: int

    def in_use(self) -> bool:
        """Tell whether a file system on it is mounted anywhere on this machine, in whichever namespace.

        Asked of sysfs: to open the device exclusively would tell too, and make a mount at that moment fail.
        """
        return any(Path("/sys/fs").glob(f"*/{Path(self.device).name}"))


def create(file: Path, size: int) -> None:
    """Make a sparse file of this many bytes, unless it is there."""
    if not file.exists():
        with file.open("wb") as disk:
            disk.truncate(size)


def attach(file: Path, path: str) -> AttachedDisk:
    """Put a loop device before a file; the kernel detaches it when nobody has it open any more.

    Raises OSError when the kernel has no loop devices or none is free.
    """
    with file.open("r+b") as backing, Path("/dev/loop-control").open("r+b", buffering=0) as control:
        for attempt in range(_ATTEMPTS):
            number = fcntl.ioctl(control.fileno(), _LOOP_CTL_GET_FREE)
            descriptor = os.open(f"/dev/loop{number}", os.O_RDWR)
            information = struct.pack(
                "=5Q4I64s64s32s2Q", *[0] * 8, _LO_FLAGS_AUTOCLEAR, bytes(file)[-63:], b"", b"", 0, 0
            )
            configuration = struct.pack("=2I", backing.fileno(), 0) + information + bytes(64)
            try:
                fcntl.ioctl(descriptor, _LOOP_CONFIGURE, configuration)
            except OSError as error:
                os.close(descriptor)
                if error.errno != errno.EBUSY or attempt == _ATTEMPTS - 1:
                    raise
                continue  # somebody else was given the same free number
            device = os.fstat(descriptor).st_rdev
            return AttachedDisk(path, f"/dev/loop{number}", os.major(device), os.minor(device), descriptor)
    raise OSError(errno.EBUSY, "no free loop device")


def mounts_of(pid: int, disk: AttachedDisk) -> list[str]:
    """Return where a process (a node's PID 1) has this disk mounted, as paths in its own root."""
    try:
        lines = Path(f"/proc/{pid}/mountinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    fields = [line.split() for line in lines]
    return [_unescaped(each[4]) for each in fields if each[2] == f"{disk.major}:{disk.minor}"]


def _unescaped(path: str) -> str:
    return path.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")


def lose_unwritten(pid: int, disk: AttachedDisk) -> bool:
    """Shut down a process's file systems on this disk as a power loss does: what was not synced is lost.

    They answer every later access with an error. Returns whether there was one to shut down.
    """
    for mount_point in mounts_of(pid, disk):
        descriptor = os.open(f"/proc/{pid}/root{mount_point}", os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, _FS_IOC_SHUTDOWN, struct.pack("=I", _SHUTDOWN_WITHOUT_LOG_FLUSH))
        finally:
            os.close(descriptor)
        return True  # one superblock, however often it is mounted
    return False


def wait_until_free(attached: Iterable[AttachedDisk], seconds: float) -> None:
    """Wait until no file system on these is mounted anywhere; raises TimeoutError after ``seconds``."""
    deadline = time.monotonic() + seconds
    for disk in attached:
        while disk.in_use():
            if time.monotonic() >= deadline:
                raise TimeoutError(f"{disk.path} is still mounted")
            time.sleep(0.005)
