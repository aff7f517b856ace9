"""Asking for a daemon that a prepared process becomes, which saves it the time to import itself.

Nothing depends on it: where nobody is prepared, or answers late or oddly, the caller starts the daemon as usual. There
are never two: the process that is to become the daemon waits for a last word, which is said only to one that will be
used, and ends without it.
"""

from __future__ import annotations

import os

from . import processes
from .processes import Identity

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket

    from .processes import Process
    from .service import Service

AGENTS, HELPERS = "agents", "helpers"
PATIENCE = 3.0
"""Seconds for an answer; the usual way takes longer than that."""
MESSAGE = 65536
PING, READY, GO = b"ping", b"ready ", b"go"
ROOM = 1024
"""Bytes of the environment of a prepared process that are there for the titles of those that it becomes."""
CANNOT = "it cannot prepare itself: "
"""How a process begins to say so; what it imports may say something, too."""
FOREIGN = "it is of another user"


def socket_path(directory: str, name: str, role: str) -> str:
    """Return where the processes that a resource of this name keeps prepared are asked."""
    return os.path.join(directory, f"{name}.{role}")


def ask(service: Service, log: str) -> Process | None:
    """Return the daemon as a process that goes its way, None where it has to be started as usual."""
    name = service.data.get("prepared_by", "")
    path = socket_path(service.state_directory, name, AGENTS)
    if not name or not os.path.exists(path):
        return None
    request = {
        "command": service.command(),
        "environment": service.surroundings(),
        "user": service.parameter("user"),
        "log": log,
    }
    return _agree(path, repr(request).encode(), Identity(service))


def peer(connection: socket) -> tuple[int, int, int]:
    """Return pid, user and group of whoever is on the other side of a Unix socket, see unix(7)."""
    import _socket
    import struct

    size = struct.calcsize("3i")
    pid, uid, gid = struct.unpack("3i", connection.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, size))
    return pid, uid, gid


def ping(path: str) -> str:
    """Return what is wrong with what is prepared, empty where nothing is; raises OSError where nobody answers."""
    import socket

    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as stream:
        stream.settimeout(PATIENCE)
        stream.connect(path)
        stream.send(PING)
        answer = stream.recv(MESSAGE)
    return "" if answer.startswith(READY) else answer.decode("utf-8", "replace")


def _agree(path: str, request: bytes, identity: Identity) -> Process | None:
    import socket

    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as stream:
            stream.settimeout(PATIENCE)
            stream.connect(path)
            if peer(stream)[1] != os.geteuid():
                _usual(path, FOREIGN)
                return None
            stream.send(request)
            answer = stream.recv(MESSAGE)
            process = _promised(answer, identity)
            if process is None:
                _usual(path, answer.decode("utf-8", "replace") or "nobody answers")
                return None
            stream.send(GO)
            return process
    except OSError as error:
        _usual(path, str(error))
        return None


def _promised(answer: bytes, identity: Identity) -> Process | None:
    """Return the process that answers, if it is what it says and would be recognised as the daemon."""
    words = answer[len(READY) :].split() if answer.startswith(READY) else []
    if len(words) != 2 or not all(word.isdigit() for word in words):
        return None
    process = processes.look(int(words[0]))
    if process is None or process.start != int(words[1]) or process.session != process.pid:
        return None
    return process if identity.matches(process.pid) else None


def _usual(path: str, reason: str) -> None:
    from .ocf import say

    say(f"{path}: {reason}; the daemon is started as usual")
