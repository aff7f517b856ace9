"""What a copy of a prepared process does: check what it is asked for, become that, and run it."""

from __future__ import annotations

import _socket
import array
import ast
import ctypes
import os
import pwd
import runpy
import signal
import sys
import traceback

from . import launch, prepared, processes
from .ocf import ERR_GENERIC, Failure
from .service import SEARCH_PATH

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from .forkserver import Prepared
    from .service import Service

PATIENCE = 5.0
"""Seconds that the other side has for what it wants and for its last word."""
STANDARD = 3
_DUMPABLE = 4
"""PR_SET_DUMPABLE, see prctl(2)."""


def program(service: Service, role: str, made: Prepared, connection: _socket.socket) -> int:
    """Serve one connection: run what is asked for and return its exit code, or end."""
    connection.settimeout(PATIENCE)
    # Ignored, it would make every command seem to have succeeded.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        script = _checked(service, role, made, connection)
        connection.send(prepared.READY + b"%d %d" % (os.getpid(), _own_start()))
        if connection.recv(16) != prepared.GO:
            os._exit(0)
    except Failure as failure:
        _decline(connection, failure.reason)
    except Exception as error:  # noqa: BLE001 - whatever it is, the other side goes on without this process
        _decline(connection, f"{type(error).__name__}: {error}")
    if role == prepared.AGENTS:
        connection.close()
        return _run(script)
    return _run_for(connection, script)


def _decline(connection: _socket.socket, reason: str) -> NoReturn:
    try:
        connection.send(reason.encode())
    finally:
        os._exit(1)


def _own_start() -> int:
    own = processes.look(os.getpid())
    return own.start if own else 0


def _checked(service: Service, role: str, made: Prepared, connection: _socket.socket) -> str:
    """Become what is asked for, up to its own first line; return the path of its script."""
    message, ancillary, _flags, _address = connection.recvmsg(
        prepared.MESSAGE, _socket.CMSG_SPACE(STANDARD * 4)
    )
    changed = made.stale()
    if changed:
        if os.getppid() == made.keeper:
            os.kill(made.keeper, signal.SIGHUP)
        raise Failure(ERR_GENERIC, f"{changed} is not what was imported")
    if message == prepared.PING:
        connection.send(prepared.READY)
        os._exit(0)
    request: Any = ast.literal_eval(message.decode())
    os.setsid()
    if role == prepared.AGENTS:
        return _agent(made, request, connection.fileno())
    return _helper(service, made, request, connection, _received(ancillary))


def _agent(made: Prepared, request: dict[str, Any], keep: int) -> str:
    command, account = request["command"], pwd.getpwnam(request["user"])
    path = command[0]
    if path not in made.programs:
        raise Failure(ERR_GENERIC, f"{path} is not prepared")
    launch.become(account.pw_name, account.pw_uid, account.pw_gid)
    launch.wire(request["log"], keep)
    os.chdir(account.pw_dir if os.path.isdir(account.pw_dir) else "/")
    _take_on(made.programs[path], command, request["environment"])
    return str(path)


def _take_on(interpreter: str, command: list[str], environment: dict[str, str]) -> None:
    """Be for oneself and for others what the interpreter would be after it had been told to run this."""
    os.environ.clear()
    os.environ.update(environment)
    sys.argv[:] = command
    sys.path[0] = os.path.dirname(command[0])
    title: Any = sys.modules["setproctitle"]
    title.setproctitle(" ".join([interpreter, *command]))
    # As the interpreter has them when it starts.
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # A change of user takes it away until the next execve.
    ctypes.CDLL(None).prctl(_DUMPABLE, 1, 0, 0, 0)
    if "random" in sys.modules:
        sys.modules["random"].seed()


def _run(script: str) -> int:
    """Run a console script as the interpreter would."""
    try:
        runpy.run_path(script, run_name="__main__")
    except Exception:  # noqa: BLE001 - as the interpreter, which shows it and ends
        traceback.print_exc()
        return 1
    return 0


def _received(ancillary: list[tuple[int, int, bytes]]) -> list[int]:
    """Return the descriptors that came with a message."""
    found = array.array("i")
    for level, kind, data in ancillary:
        if (level, kind) == (_socket.SOL_SOCKET, _socket.SCM_RIGHTS):
            found.frombytes(data[: len(data) - len(data) % found.itemsize])
    return list(found)


def _helper(
    service: Service, made: Prepared, command: list[str], connection: _socket.socket, outputs: list[int]
) -> str:
    from . import permission

    pid, uid, _gid = prepared.peer(connection)
    customer = processes.look(pid)
    if customer is None or len(outputs) != STANDARD:
        raise Failure(ERR_GENERIC, "whoever asks is not there, or without its outputs")
    argv = permission.granted(service, command, uid)
    if argv[0] not in made.programs:
        raise Failure(ERR_GENERIC, f"{argv[0]} is not prepared")
    launch.raise_limits()
    os.umask(0o022)
    launch.use(outputs, connection.fileno())
    os.chdir("/")
    environment = {"PATH": ":".join(SEARCH_PATH), "LANG": "C.UTF-8", "HOME": "/root", "USER": "root"}
    _take_on(made.programs[argv[0]], argv, environment)
    with open("/proc/self/comm", "w", encoding="ascii") as stream:
        stream.write(processes.helper_of(customer.session))
    return argv[0]


def _run_for(connection: _socket.socket, script: str) -> int:
    """Run a helper and tell the one that waits for it how it ended; what the helper leaves behind tells nobody."""
    own = os.getpid()
    os.register_at_fork(after_in_child=connection.close)
    code: object = 1
    try:
        code = _run(script)
    except SystemExit as ended:
        code = ended.code
        raise
    finally:
        if os.getpid() == own:
            if not sys.stdout.closed:
                sys.stdout.flush()
            connection.send(b"%d" % (code if isinstance(code, int) else int(code is not None)))
    return int(code) if isinstance(code, int) else 1
