"""Processes of nobody's, which go on when the action that has started them ends."""

from __future__ import annotations

import os


def start(command: list[str], surroundings: dict[str, str], said: str = os.devnull) -> int:
    """Start one in a session and a group of its own, with nothing of ours open; return its pid, 0 where there is none.

    What it says on its standard error goes to the file ``said``, which is emptied first.
    """
    report, tell = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setsid()
            if os.fork() == 0:
                os.setpgid(0, 0)
                os.write(tell, str(os.getpid()).encode())
                _let_go(said)
                os.execve(command[0], command, surroundings)
        finally:
            os._exit(1)
    os.close(tell)
    os.waitpid(child, 0)
    with open(report, encoding="ascii") as stream:
        told = stream.read()
    return int(told) if told.isdigit() else 0


def _let_go(said: str) -> None:
    null = os.open(os.devnull, os.O_RDWR)
    error = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    for target, source in ((0, null), (1, null), (2, error)):
        os.dup2(source, target)
    os.closerange(3, 256)
    os.chdir("/")
