"""Read, replace and bring back files: in one step, with owner and mode, the version before kept beside."""

import contextlib
import glob
import grp
import hashlib
import os
import pwd
import stat
from pathlib import Path

from understudy.hosts.node.base import Call, Refused, System

LARGEST_FILE = 8 * 1024 * 1024
BEFORE = ".understudy-before"


def owner_and_group(found: os.stat_result) -> tuple[str, str]:
    """Return the names; a number stands for itself where there is no name."""
    try:
        owner = pwd.getpwuid(found.st_uid).pw_name
    except KeyError:
        owner = str(found.st_uid)
    try:
        group = grp.getgrgid(found.st_gid).gr_name
    except KeyError:
        group = str(found.st_gid)
    return owner, group


def ids(call: Call) -> tuple[int, int]:
    """Return the numbers of the call's owner and group."""
    owner, group = call["owner"], call["group"]
    try:
        uid = int(owner) if owner.isdigit() else pwd.getpwnam(owner).pw_uid
        gid = int(group) if group.isdigit() else grp.getgrnam(group).gr_gid
    except KeyError:
        raise Refused("node-unknown-owner", owner=owner, group=group, path=call["path"]) from None
    return uid, gid


def content_of(path: Path) -> bytes | None:
    """Return a regular file's content, None where there is none."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise Refused("node-not-a-file", path=str(path))
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    if len(content) > LARGEST_FILE:
        raise Refused("node-file-too-large", path=str(path), limit=LARGEST_FILE)
    return content


def _digest(content: bytes | None) -> str:
    return "" if content is None else hashlib.sha256(content).hexdigest()


def stamp_of(path: Path) -> str:
    """Name a version of a file without telling of its content; a second link to it shares the name."""
    found = path.stat()
    return hashlib.sha256(f"{found.st_size}:{found.st_mtime_ns}".encode()).hexdigest()[:20]


def read_file(system: System, call: Call) -> object:
    """Return content, digest, stamp, owner, group and mode of ``path``."""
    path = system.real(call["path"])
    content = content_of(path)
    if content is None:
        return {"exists": False}
    found = path.stat()
    owner, group = owner_and_group(found)
    return {
        "exists": True,
        "stamp": stamp_of(path),
        "digest": _digest(content),
        "content": content.decode("utf-8", "surrogateescape"),
        "owner": owner,
        "group": group,
        "mode": stat.S_IMODE(found.st_mode),
        "before": _stamp_of_version_before(path),
    }


def _stamp_of_version_before(path: Path) -> str:
    before = path.with_name(path.name + BEFORE)
    return stamp_of(before) if before.is_file() else ""


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_directories(directory: Path, mode: int) -> None:
    """Make a directory and what is missing above it."""
    missing = []
    while not directory.is_dir():
        missing.append(directory)
        directory = directory.parent
    for new in reversed(missing):
        new.mkdir()
        new.chmod(mode)
        _sync(new.parent)


def set_attributes(path: Path, uid: int, gid: int, mode: int) -> None:
    """Set owner, group and mode where they differ."""
    found = path.stat()
    if (found.st_uid, found.st_gid) != (uid, gid):
        os.chown(path, uid, gid)
    if stat.S_IMODE(path.stat().st_mode) != mode:
        path.chmod(mode)


def replace(path: Path, content: bytes, owner: tuple[int, int], mode: int, changed: int = 0) -> None:
    """Put a new version in place of the old in one step; on any error the old one stays and nothing else.

    ``owner`` is a user and a group by number. ``changed`` is the time of the new version in nanoseconds; 0 means now.
    """
    for left in path.parent.glob(f".{glob.escape(path.name)}.understudy-*"):
        left.unlink()
    temporary = path.with_name(f".{path.name}.understudy-{os.getpid()}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            set_attributes(temporary, *owner, mode)
            if changed:
                os.utime(descriptor, ns=(changed, changed))
            os.fsync(descriptor)
        if path.exists():
            _second_link(path).rename(path.with_name(path.name + BEFORE))
        temporary.rename(path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
        raise
    _sync(path.parent)


def _second_link(path: Path) -> Path:
    """Give the present version a second name: same owner, mode and time, and no space needed."""
    link = path.with_name(path.name + BEFORE + ".new")
    with contextlib.suppress(FileNotFoundError):
        link.unlink()
    os.link(path, link)
    return link


def _demand(path: Path, call: Call, content: bytes | None) -> None:
    if "expected" in call and call["expected"] != _digest(content):
        raise Refused("changed-meanwhile", path=str(path))


def write_file(system: System, call: Call) -> object:
    """Replace or make a file; ``keep`` leaves owner, group and mode of an existing one as they are."""
    path = system.real(call["path"])
    before = content_of(path)
    _demand(path, call, before)
    content = call["content"].encode("utf-8", "surrogateescape")
    if before is not None and call.get("keep"):
        found = path.stat()
        uid, gid, mode = found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)
    else:
        (uid, gid), mode = ids(call), call["mode"]
    if before == content:
        set_attributes(path, uid, gid, mode)
    else:
        make_directories(path.parent, call.get("directory_mode", 0o755))
        replace(path, content, (uid, gid), mode)
    return {}


def restore_file(system: System, call: Call) -> object:
    """Bring back the version with this ``stamp`` (empty: no file); the present one becomes the version before."""
    path = system.real(call["path"])
    _demand(path, call, content_of(path))
    before = path.with_name(path.name + BEFORE)
    if not call["stamp"]:
        if path.exists():
            path.rename(before)
            _sync(path.parent)
        return {}
    if not path.exists() or stamp_of(path) != call["stamp"]:
        if not before.exists() or stamp_of(before) != call["stamp"]:
            raise Refused("node-version-gone", path=str(path))
        present = _second_link(path) if path.exists() else None
        before.rename(path)
        if present:
            present.rename(before)
        _sync(path.parent)
    set_attributes(path, *ids(call), call["mode"])
    return {}
