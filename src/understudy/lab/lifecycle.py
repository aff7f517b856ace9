"""Taking a lab up and down."""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from selectors import EVENT_READ, DefaultSelector

from understudy.findings import Finding, FindingsError
from understudy.lab.cleanup import wait_until_gone
from understudy.lab.client import Lab, LabError, wait_until_ended
from understudy.lab.furnish import furnish
from understudy.lab.image import Progress
from understudy.lab.state import LABS, Folder
from understudy.lab.topology import LabTopology, problems, wire

UP_SECONDS = 180
DOWN_SECONDS = 30
_LOG_LINES = 15


@dataclass(frozen=True)
class Materials:
    """What a lab is made from besides its topology.

    ``passwords`` are the BMCs', by node. ``dies_with`` is a process at whose end the lab ends; without one it lives
    on until it is taken down.
    """

    image: Path
    passwords: Mapping[str, str]
    dies_with: int | None = None


def bring_up(
    topology: LabTopology, materials: Materials, progress: Progress = lambda _phase, _share: None
) -> tuple[Lab, bool]:
    """Return the lab of this topology and whether it was brought up just now; one that is up is left as it is.

    Remains of an earlier lab of this name are removed first.
    Raises FindingsError: with exit status 2 for a topology that cannot be, 1 when the lab does not come up.
    """
    findings = problems(topology)
    if findings:
        raise FindingsError(findings)
    with _turn():
        lab = Lab.find(topology.name)
        if lab is not None:
            if lab.topology != topology:
                raise FindingsError(
                    [Finding("lab-is-another", values={"name": topology.name})], exit_status=1
                )
            return lab, False
        _remove(Folder.of(topology.name))
        return _start(topology, materials, progress), True


def take_down(name: str) -> bool:
    """End a lab and remove all that it has on disk; return False if there was nothing.

    Raises FindingsError when something of it cannot be ended.
    """
    with _turn():
        folder = Folder.of(name)
        return _remove(folder)


def sweep() -> list[str]:
    """Remove what is left of labs that ended without being taken down; return their names."""
    with _turn():
        dead = [Folder(path) for path in sorted(LABS.iterdir()) if Folder(path).room() is None]
        return [folder.path.name for folder in dead if _remove(folder)]


@contextmanager
def _turn() -> Iterator[None]:
    """Have labs of this machine taken up and down one after the other."""
    LABS.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(LABS, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _remove(folder: Folder) -> bool:
    if not folder.path.exists():
        return False
    room = folder.room()
    if room is not None:
        lab = Lab.find(folder.path.name)
        if lab is not None:
            with suppress(LabError):
                lab.call("down")
        if lab is None or not wait_until_ended(room, DOWN_SECONDS):
            os.kill(room.pid, signal.SIGKILL)
            wait_until_ended(room, DOWN_SECONDS)
    left = wait_until_gone(folder, DOWN_SECONDS)
    if left:
        values = {"name": folder.path.name, "left": "; ".join(left)}
        raise FindingsError([Finding("lab-not-gone", values=values)], exit_status=1)
    shutil.rmtree(folder.path)
    return True


def _start(topology: LabTopology, materials: Materials, progress: Progress) -> Lab:
    folder = Folder.of(topology.name)
    folder.path.mkdir(mode=0o700)
    folder.topology.write_text(topology.to_json(), encoding="utf-8")
    furnish(folder, materials.image, topology, wire(topology))
    command = [sys.executable, "-m", "understudy.lab.daemon", str(folder.path), str(materials.image)]
    command += [str(materials.dies_with)] if materials.dies_with else []
    environment = {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "LC_ALL": "C.UTF-8",
        "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        "UNDERSTUDY_LAB": str(folder.path),
    }
    with folder.log.open("ab") as log:
        room = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env=environment,
            cwd="/",
            start_new_session=True,
        )
    try:
        ready = _await_ready(room, materials.passwords, progress)
    except BaseException:
        room.kill()
        room.wait()
        raise
    lab = Lab.find(topology.name) if ready else None
    if lab is None:
        room.kill()
        room.wait()
        tail = "\n".join(folder.log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LOG_LINES:])
        values = {"name": topology.name, "log": tail or "it said nothing"}
        raise FindingsError([Finding("lab-failed", values=values)], exit_status=1)
    return lab


def _await_ready(room: subprocess.Popen[bytes], passwords: Mapping[str, str], progress: Progress) -> bool:
    if room.stdin is None or room.stdout is None:
        return False
    with suppress(BrokenPipeError), room.stdin as pipe:
        pipe.write(json.dumps(dict(passwords)).encode() + b"\n")
    deadline = time.monotonic() + UP_SECONDS
    steps = 0
    with room.stdout as lines, DefaultSelector() as selector:
        selector.register(lines, EVENT_READ)
        while (rest := deadline - time.monotonic()) > 0 and selector.select(rest):
            # One line is written at a time and read at once, so none can hide in the buffer behind another.
            for line in os.read(lines.fileno(), 65536).decode().splitlines() or [""]:
                if line in {"ready", ""}:
                    return line == "ready"
                steps += 1
                progress(line, steps / (len(passwords) + 1))
    return False
