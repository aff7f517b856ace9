"""The node's end of the conversation: a request of calls on standard input, answers on standard output.

Each call is answered with ``{"ok": value}`` or ``{"refused": code, "values": {...}}``; after a refused change the
rest of the request is left undone.
"""

import errno
import json
import sys

from understudy.hosts.node.base import Call, Refused, System
from understudy.hosts.node.files import read_file, restore_file, write_file
from understudy.hosts.node.keys import read_keys, write_keys
from understudy.hosts.node.machine import (
    install_packages,
    read_packages,
    read_sysctl,
    read_unit,
    release_lock,
    run,
    take_lock,
    write_sysctl,
    write_unit,
)

READS = {
    "read-file": read_file,
    "read-keys": read_keys,
    "read-sysctl": read_sysctl,
    "read-unit": read_unit,
    "read-packages": read_packages,
    "run": run,
}
CHANGES = {
    "write-file": write_file,
    "restore-file": restore_file,
    "write-keys": write_keys,
    "write-sysctl": write_sysctl,
    "write-unit": write_unit,
    "install-packages": install_packages,
    "take-lock": take_lock,
    "release-lock": release_lock,
}


def answer(system: System, calls: list[Call]) -> list[Call]:
    """Answer calls one after the other."""
    answers: list[Call] = []
    for call in calls:
        try:
            answers.append({"ok": {**READS, **CHANGES}[call["do"]](system, call)})
        except Refused as refused:
            answers.append({"refused": refused.code, "values": refused.values})
        except OSError as error:
            answers.append(_refusal_for(error, call))
        if "refused" in answers[-1] and call["do"] in CHANGES:
            break
    return answers


def _refusal_for(error: OSError, call: Call) -> Call:
    path = str(call.get("path") or error.filename or "")
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return {"refused": "node-disk-full", "values": {"path": path}}
    return {"refused": "node-file-failed", "values": {"path": path, "reason": error.strerror or str(error)}}


def main() -> None:
    """Read the request, write the answers."""
    sys.stdout.write(json.dumps(answer(System(), json.loads(sys.stdin.buffer.read()))))
