"""Looking at processes through /proc."""

from collections.abc import Iterator
from pathlib import Path


def all_processes() -> Iterator[int]:
    """Yield the ids of all processes in sight."""
    return (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal())


def namespace_of(pid: int, kind: str) -> str:
    """Return the name of a process's namespace, such as ``net:[4026531840]``; empty if the process is gone."""
    try:
        return str(Path(f"/proc/{pid}/ns/{kind}").readlink())
    except OSError:
        return ""


def in_pid_namespace_of(pid: int) -> list[int]:
    """Return the ids of all processes that share a process's PID namespace, itself included."""
    wanted = namespace_of(pid, "pid")
    return [each for each in all_processes() if wanted and namespace_of(each, "pid") == wanted]


def is_stopped(pid: int) -> bool:
    """Tell whether a process does not run: stopped by a signal, a zombie, or gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return True
    return stat.rpartition(")")[2].split()[0] in "TtZX"
