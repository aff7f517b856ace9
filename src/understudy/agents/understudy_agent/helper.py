"""A command in front of a helper's: ``helper.py SOCKET COMMAND...`` has a prepared process become it, or else runs it.

It runs as whoever needs the helper, and stands for it as long as that runs. A file of its own, which imports as little
as it can: it is started once for each helper.
"""

from __future__ import annotations

import _socket
import os
import struct
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

PATIENCE = 3.0
READY, GO = b"ready ", b"go"


def main(arguments: Sequence[str]) -> int:
    """Return the exit code of the helper."""
    path, command = arguments[1], list(arguments[2:])
    code = prepared(path, command)
    if code is None:
        os.execvp(command[0], command)
    return code


def prepared(path: str, command: list[str]) -> int | None:
    """Return how a prepared process ended that became this helper, None where there was none."""
    try:
        stream = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
        stream.settimeout(PATIENCE)
        stream.connect(path)
        who = stream.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, struct.calcsize("3i"))
        if struct.unpack("3i", who)[1] != 0:
            return None
        rights = (_socket.SOL_SOCKET, _socket.SCM_RIGHTS, struct.pack("3i", 0, 1, 2))
        stream.sendmsg([repr(command).encode()], [rights])
        answer = stream.recv(4096)
        if not answer.startswith(READY):
            sys.stderr.write(f"{path}: {answer.decode('utf-8', 'replace')}; the helper is started as usual\n")
            return None
        stream.send(GO)
    except OSError:
        return None
    return _awaited(stream)


def _awaited(stream: _socket.socket) -> int:
    """Return the exit code, 1 where the helper was killed."""
    stream.settimeout(None)
    try:
        return int(stream.recv(16) or b"1")
    except (OSError, ValueError):
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv))
