"""Directories of key files with numbers for names, such as Keystone's Fernet keys."""

import hashlib
import os
import stat
from pathlib import Path

from understudy.hosts.node.base import Call, System
from understudy.hosts.node.files import (
    BEFORE,
    content_of,
    ids,
    make_directories,
    owner_and_group,
    replace,
    set_attributes,
)


def read_keys(system: System, call: Call) -> object:
    """Return names and digest of the keys in a directory, with ``content`` true the keys themselves."""
    path = system.real(call["path"])
    if not path.is_dir():
        return {"exists": False, "names": [], "newest": 0, "digest": ""}
    found = path.stat()
    owner, group = owner_and_group(found)
    whole = hashlib.sha256()
    keys: dict[str, Call] = {}
    newest = 0
    for file in sorted(entry for entry in path.iterdir() if entry.name.isdigit()):
        content = content_of(file) or b""
        whole.update(f"{file.name}:{len(content)}:".encode() + content)
        changed = file.stat().st_mtime_ns
        keys[file.name] = {"content": content.decode("ascii", "surrogateescape"), "changed": changed}
        newest = max(newest, changed)
    answer = {
        "exists": True,
        "names": list(keys),
        "newest": newest,
        "digest": whole.hexdigest() if keys else "",
        "owner": owner,
        "group": group,
        "mode": stat.S_IMODE(found.st_mode),
    }
    return {**answer, "keys": keys} if call.get("content") else answer


def write_keys(system: System, call: Call) -> object:
    """Make the directory hold exactly these keys, with their times.

    The newest key comes last: a copy that was interrupted is never taken for the newest. What was there before stays
    beside under a name that is no number, which Keystone passes over.
    """
    path = system.real(call["path"])
    uid, gid = ids(call)
    make_directories(path, 0o700)
    set_attributes(path, uid, gid, 0o700)
    *older, newest = sorted(call["keys"].items(), key=lambda pair: (pair[1]["changed"], pair[0]))
    for name, key in older:
        _write_key(path / name, key, uid, gid)
    for file in sorted(path.iterdir()):
        if file.name.isdigit() and file.name not in call["keys"]:
            file.rename(file.with_name(file.name + BEFORE))
    _write_key(path / newest[0], newest[1], uid, gid)
    return {}


def _write_key(file: Path, key: Call, uid: int, gid: int) -> None:
    wanted = key["content"].encode("ascii", "surrogateescape")
    if content_of(file) == wanted:
        set_attributes(file, uid, gid, 0o600)
        os.utime(file, ns=(key["changed"], key["changed"]))
    else:
        replace(file, wanted, (uid, gid), 0o600, key["changed"])
