"""What a lab has left on its machine: nothing, if all is well."""

import os
import time
from pathlib import Path

from understudy.lab.processes import all_processes, namespace_of
from understudy.lab.state import Folder


def leftovers(folder: Folder) -> list[str]:
    """Return what is left of a lab that is down, its folder aside: processes, mounts, loop devices, a line each."""
    return [*_processes(folder), *_mounts(folder), *_loop_devices(folder)]


def wait_until_gone(folder: Folder, seconds: float) -> list[str]:
    """Wait for the kernel to finish taking a lab down; return what is left after ``seconds`` at most."""
    deadline = time.monotonic() + seconds
    while (left := leftovers(folder)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


def _processes(folder: Folder) -> list[str]:
    """Find the lab's processes: by the mark in the environment that they inherit from the machine room."""
    mark = f"UNDERSTUDY_LAB={folder.path}".encode()
    found = []
    for pid in all_processes():
        try:
            environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
            command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if any(each == mark or each.startswith(mark + b"/") for each in environment):
            found.append(f"process {pid} {command.strip()}")
    return found


def _mounts(folder: Folder) -> list[str]:
    """Find mounts that use the lab's files in every mount namespace that a process is in, and who holds it."""
    needle, seen, found = f"{folder.path}/", set(), []
    for pid in all_processes():
        namespace = namespace_of(pid, "mnt")
        if not namespace or namespace in seen:
            continue
        seen.add(namespace)
        try:
            lines = Path(f"/proc/{pid}/mountinfo").read_text(encoding="utf-8").splitlines()
        except OSError:
            seen.discard(namespace)
            continue
        found += [f"mount {line.split()[4]} of process {pid}" for line in lines if needle in line]
    return found


def _loop_devices(folder: Folder) -> list[str]:
    found = []
    for file in Path("/sys/block").glob("loop*/loop/backing_file"):
        try:
            backing = file.read_text(encoding="utf-8").strip()
        except OSError:
            continue
        if backing.startswith(f"{folder.path}{os.sep}"):
            found.append(f"loop device {file.parts[3]} on {backing}")
    return found
