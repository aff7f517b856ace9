"""Whether a helper that runs as root may be what it is asked to be: not more than sudo and rootwrap would allow.

A helper is asked for with the command line that would be run otherwise. It is granted where that has one of two exact
forms, names only option files and a context that the resource knows, where rootwrap's own filters match it and sudo's
rules allow it to whoever asks. Sources: oslo_rootwrap/wrapper.py; sudo(8), option -l; oslo_privsep/daemon.py.
"""

from __future__ import annotations

import configparser
import importlib
import os
import pwd
import stat
import subprocess

from .ocf import ERR_GENERIC, Failure
from .service import SEARCH_PATH

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .service import Service

SUDO_PATIENCE = 10


def granted(service: Service, command: object, uid: int) -> list[str]:
    """Return program and arguments of what stands behind a command line; raises Failure where it is not allowed."""
    allowed: dict[str, Any] = service.data["prepares"]["helpers"]
    if not isinstance(command, list) or not all(isinstance(word, str) for word in command):
        raise Failure(ERR_GENERIC, "that is no command line")
    for beginning in allowed["commands"]:
        if command[: len(beginning)] == beginning:
            return _granted(service, beginning, command[len(beginning) :], uid)
    raise Failure(ERR_GENERIC, f"{' '.join(command[:3])} is no command of a helper")


def _granted(service: Service, beginning: list[str], arguments: list[str], uid: int) -> list[str]:
    rootwrap, configuration, *program = beginning[1:]
    if uid:
        _ask_sudo(uid, [service.program_called(rootwrap), configuration, *program, *arguments])
    if not program:
        if arguments:
            raise Failure(ERR_GENERIC, f"{rootwrap} takes no arguments here: {' '.join(arguments)}")
        return [service.program_called(rootwrap), configuration]
    _check(service.data["prepares"]["helpers"], arguments, uid)
    _ask_rootwrap(configuration, [*program, *arguments])
    return [service.program_called(program[0]), *arguments]


def _check(allowed: dict[str, Any], arguments: list[str], uid: int) -> None:
    """Check the arguments of a privsep daemon, each an option with a value."""
    given: dict[str, list[str]] = {}
    for name, value in zip(arguments[::2], arguments[1::2]):
        given.setdefault(name, []).append(value)
    files = given.pop("--config-file", [])
    contexts, sockets = given.pop("--privsep_context", []), given.pop("--privsep_sock_path", [])
    if given or len(arguments) % 2 or len(contexts) != 1 or len(sockets) != 1:
        raise Failure(ERR_GENERIC, f"not the arguments of a helper: {' '.join(arguments)}")
    if contexts[0] not in allowed["contexts"]:
        raise Failure(ERR_GENERIC, f"{contexts[0]} is not allowed")
    strange = [path for path in files if path not in allowed["config_files"]]
    if strange:
        raise Failure(ERR_GENERIC, f"{strange[0]} is no option file of an agent")
    if not sockets[0].startswith("/") or not _is_own_socket(sockets[0], uid):
        raise Failure(ERR_GENERIC, f"{sockets[0]} is no socket of whoever asks")


def _is_own_socket(path: str, uid: int) -> bool:
    found = os.lstat(path)
    return stat.S_ISSOCK(found.st_mode) and found.st_uid == uid


def _ask_sudo(uid: int, command: list[str]) -> None:
    """Raise Failure where sudo's rules do not let a user run the command as root without a password."""
    user = pwd.getpwuid(uid).pw_name
    words = ["sudo", "-n", "-l", "-U", user, "-u", "root", *command]
    environment = {"PATH": ":".join(SEARCH_PATH), "LANG": "C"}
    try:
        done = subprocess.run(words, env=environment, capture_output=True, timeout=SUDO_PATIENCE, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Failure(ERR_GENERIC, f"sudo cannot be asked: {error}") from None
    if done.returncode:
        raise Failure(ERR_GENERIC, f"sudo does not allow {user} {' '.join(command)}")


def _ask_rootwrap(path: str, command: list[str]) -> None:
    """Raise Failure where rootwrap's filters do not let the command be run as root."""
    wrapper: Any = importlib.import_module("oslo_rootwrap.wrapper")
    raw = configparser.RawConfigParser()
    raw.read(path)
    configuration = wrapper.RootwrapConfig(raw)
    filters = wrapper.load_filters(configuration.filters_path)
    try:
        match = wrapper.match_filter(filters, command, exec_dirs=configuration.exec_dirs)
    except (wrapper.NoFilterMatched, wrapper.FilterMatchNotExecutable):
        raise Failure(ERR_GENERIC, f"rootwrap does not allow {' '.join(command)}") from None
    if match.run_as != "root":
        raise Failure(ERR_GENERIC, f"rootwrap runs {command[0]} as {match.run_as}")
