"""Whether this machine can run a lab, asked before anything is touched."""

import os
import shutil
import subprocess
from pathlib import Path

from understudy.findings import Finding
from understudy.lab.image import no_space
from understudy.lab.state import LABS

NAMESPACES = ("mnt", "net", "pid", "uts", "ipc")
PROGRAMS = ("chroot", "mmdebstrap", "nsenter", "setpriv", "unshare")
LOOP_CONTROL = Path("/dev/loop-control")
SPACE = 4_000_000_000
"""What a lab's nodes may come to write, in bytes."""

_OVERLAY = "overlay"


def host_problems() -> list[Finding]:
    """Return everything that keeps this machine from running a lab."""
    findings = []
    if os.geteuid() != 0:
        findings.append(Finding("lab-not-root"))
    missing = [f"{name} namespaces" for name in NAMESPACES if not Path("/proc/self/ns", name).exists()]
    if not _has_overlay():
        missing.append("overlay file systems")
    if not LOOP_CONTROL.exists():
        missing.append("loop devices")
    findings += [Finding("lab-kernel-lacks", values={"feature": each}) for each in missing]
    absent = [program for program in PROGRAMS if shutil.which(program) is None]
    if absent:
        findings.append(Finding("lab-program-missing", values={"programs": ", ".join(absent)}))
    return [*findings, *_storage_problems(LABS)]


def _has_overlay() -> bool:
    """Tell whether the kernel has overlayfs, loading the module if it is one."""

    def known() -> bool:
        return any(
            line.split()[-1] == _OVERLAY for line in Path("/proc/filesystems").read_text("ascii").splitlines()
        )

    if not known() and os.geteuid() == 0 and shutil.which("modprobe"):
        subprocess.run(["modprobe", "--quiet", _OVERLAY], check=False, timeout=20, capture_output=True)
    return known()


def _storage_problems(path: Path) -> list[Finding]:
    folder = path
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    findings = [no_space(folder, SPACE, free)] if free < SPACE else []
    if _kind_of_file_system(folder) == _OVERLAY:
        findings.append(Finding("lab-on-overlay", values={"path": folder}))
    return findings


def _kind_of_file_system(folder: Path) -> str:
    """Return the type of the file system that a folder is on, such as ``ext4``."""
    device = folder.stat().st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines():
        fields, _, details = line.partition(" - ")
        if fields.split()[2] == wanted:
            return details.split()[0]
    return ""
