"""The power supply of one node: makes its namespaces and mounts, starts its PID 1, and waits for its end.

Run as ``python -m understudy.lab.machine PARENT`` by the machine room, which writes one line of JSON (:class:`Machine`)
to its standard input and reads what happens, a word a line, from its standard output: ``unshared`` (the network
namespace is there to be plugged in), then, after another line came in, ``started PID``, ``booted`` (from PID 1 itself)
and ``ended STATUS``. It dies with the machine room, PID 1 dies with it, and with PID 1 the kernel ends all the rest.
"""

import json
import os
import shutil
import socket
import stat
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from understudy.lab import kernel

INIT = Path(__file__).with_name("inside") / "init.py"
"""The program that is PID 1 in a node; it runs under the node's own Python."""

RUN_DIRECTORY = "run/understudy-lab"
"""Where PID 1 and the files it reads lie, below the node's root."""

_DEVICES = {
    "null": (1, 3),
    "zero": (1, 5),
    "full": (1, 7),
    "random": (1, 8),
    "urandom": (1, 9),
    "tty": (5, 0),
    "console": (1, 3),  # what is written to a console must not reach the host's
    "net/tun": (10, 200),
}
_NOTIFY = 10  # the descriptor on which PID 1 reports; above those that are open by then
_LINKS = {"fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2", "ptmx": "pts/ptmx"}

# Reading them or writing to them would reach the host: sysrq-trigger above all, with which Pacemaker panics a node.
# Finding it useless, Pacemaker calls reboot(2), which ends the PID namespace only.
_MASKED = ("proc/sysrq-trigger", "proc/kcore", "proc/kmsg")
_READ_ONLY = ("proc/sys", "proc/irq", "proc/bus", "proc/fs", "sys")
_WRITABLE = ("proc/sys/net", "sys/devices/virtual/net")

# A node must not load modules, touch hardware, set the host's clock or clear its kernel log. All else it may do:
# Corosync locks memory and asks for real-time priority, Neutron makes namespaces, sshd switches users.
_CAPABILITIES_WITHHELD = (
    16,
    17,
    25,
    34,
    35,
    36,
)  # SYS_MODULE SYS_RAWIO SYS_TIME SYSLOG WAKE_ALARM BLOCK_SUSPEND


@dataclass(frozen=True)
class Machine:
    """What a node is made of; ``network`` is input for ``ip -batch``, ``disks`` gives device numbers by path.

    For ``firmware_seconds`` it has power and does nothing else.
    """

    name: str
    image: str
    upper: str
    work: str
    mount_point: str
    console: str
    network: str
    disks: Mapping[str, tuple[int, int]]
    firmware_seconds: float

    def to_json(self) -> str:
        """Return the one line that :func:`main` reads."""
        return json.dumps(asdict(self))


def main() -> None:
    """Run a node from power on to power off."""
    kernel.die_with_parent(int(sys.argv[1]))
    machine = Machine(**json.loads(sys.stdin.readline()))
    kernel.unshare(
        kernel.CLONE_NEWNET
        | kernel.CLONE_NEWNS
        | kernel.CLONE_NEWUTS
        | kernel.CLONE_NEWIPC
        | kernel.CLONE_NEWPID
    )
    _tell("unshared")
    if not sys.stdin.readline():
        return
    child = os.fork()
    if child == 0:
        try:
            _become_init(machine)
        finally:
            os._exit(70)
    _tell(f"started {child}")
    _, status = os.waitpid(child, 0)
    _tell(f"ended {os.waitstatus_to_exitcode(status)}")


def _tell(line: str) -> None:
    os.write(1, f"{line}\n".encode())


def _become_init(machine: Machine) -> None:
    os.setsid()
    console = os.open(machine.console, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
    os.dup2(1, _NOTIFY)
    _build_root(machine)
    socket.sethostname(machine.name)
    for capability in _CAPABILITIES_WITHHELD:
        kernel.drop_capability(capability)
    null = os.open("/dev/null", os.O_RDONLY)
    for source, target in ((null, 0), (console, 1), (console, 2)):
        os.dup2(source, target)
    kernel.die_with_parent(0)
    environment = {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "LANG": "C.UTF-8",
        "HOME": "/root",
        "TERM": "linux",
        "UNDERSTUDY_LAB": machine.mount_point,
    }
    init = f"/{RUN_DIRECTORY}/init.py"
    command = ["/usr/bin/python3", "-IS", init, str(_NOTIFY), str(machine.firmware_seconds)]
    os.execve(command[0], command, environment)  # noqa: S606 - PID 1 is no child


def _build_root(machine: Machine) -> None:
    """Mount the node's root with all that belongs below it and make it the root."""
    root = Path(machine.mount_point)
    kernel.mount("none", "/", flags=kernel.MS_REC | kernel.MS_PRIVATE)
    layers = f"lowerdir={machine.image},upperdir={machine.upper},workdir={machine.work}"
    kernel.mount("overlay", str(root), "overlay", options=layers)
    quiet = kernel.MS_NOSUID | kernel.MS_NODEV
    kernel.mount("proc", f"{root}/proc", "proc", quiet | kernel.MS_NOEXEC)
    kernel.mount("sysfs", f"{root}/sys", "sysfs", quiet | kernel.MS_NOEXEC)
    for name, mode in (("run", "755"), ("tmp", "1777")):
        kernel.mount("tmpfs", str(root / name), "tmpfs", quiet, f"mode={mode}")
    _fill_dev(root / "dev", machine.disks)
    _protect_host(root)
    files = root / RUN_DIRECTORY
    files.mkdir(mode=0o700)
    shutil.copy(INIT, files / "init.py")
    (files / "network").write_text(machine.network, encoding="utf-8")
    kernel.pivot_root(str(root))


def _fill_dev(dev: Path, disks: Mapping[str, tuple[int, int]]) -> None:
    kernel.mount("tmpfs", str(dev), "tmpfs", kernel.MS_NOSUID, "mode=755")
    for name in ("pts", "shm", "net"):
        (dev / name).mkdir()
    kernel.mount("tmpfs", f"{dev}/shm", "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "mode=1777")
    kernel.mount(
        "devpts", f"{dev}/pts", "devpts", kernel.MS_NOSUID, "newinstance,ptmxmode=0666,mode=620,gid=5"
    )
    for name, (major, minor) in _DEVICES.items():
        _make_device(dev / name, stat.S_IFCHR | 0o666, major, minor)
    for name, target in _LINKS.items():
        (dev / name).symlink_to(target)
    for path, (major, minor) in disks.items():
        device = dev / f"loop{minor}"
        _make_device(device, stat.S_IFBLK | 0o660, major, minor)
        link = dev.parent / path.lstrip("/")
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(f"/dev/{device.name}")


def _make_device(path: Path, mode: int, major: int, minor: int) -> None:
    os.mknod(path, mode, os.makedev(major, minor))
    path.chmod(stat.S_IMODE(mode))  # whatever the umask is


def _protect_host(root: Path) -> None:
    writable_flags = kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC
    for name in _MASKED:
        if (root / name).exists():
            kernel.mount(f"{root}/dev/null", f"{root}/{name}", flags=kernel.MS_BIND)
    for names, flags in ((_READ_ONLY, writable_flags | kernel.MS_RDONLY), (_WRITABLE, writable_flags)):
        for name in names:
            target = f"{root}/{name}"
            if Path(target).is_dir():
                kernel.mount(target, target, flags=kernel.MS_BIND)
                kernel.mount("none", target, flags=kernel.MS_BIND | kernel.MS_REMOUNT | flags)


if __name__ == "__main__":
    main()
