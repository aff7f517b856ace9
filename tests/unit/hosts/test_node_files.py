import grp
import os
import pwd
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from understudy.hosts.fake import FakeMachine
from understudy.hosts.node import files, machine, script
from understudy.hosts.node.base import Refused, System

OWNER, GROUP = pwd.getpwuid(os.geteuid()).pw_name, grp.getgrgid(os.getegid()).gr_name


def ask(system: System, do: str, **call: object) -> Any:
    return script.answer(system, [{"do": do, **call}])[0]


def write(system: System, path: str, content: str, **more: object) -> Any:
    call: dict[str, object] = {"owner": OWNER, "group": GROUP, "mode": 0o640, **more}
    return ask(system, "write-file", path=path, content=content, **call)


def names(directory: Path) -> list[str]:
    return sorted(entry.name for entry in directory.iterdir())


def test_new_file_has_its_mode_and_parents(tmp_path: Path) -> None:
    assert write(System(str(tmp_path)), "/a/b/c.conf", "x", directory_mode=0o750) == {"ok": {}}
    file = tmp_path / "a/b/c.conf"
    assert file.read_text() == "x"
    assert file.stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o750
    assert names(file.parent) == ["c.conf"]


def test_version_before_is_kept_with_owner_and_mode(tmp_path: Path) -> None:
    file = tmp_path / "c.conf"
    file.write_text("old")
    file.chmod(0o604)
    before = file.stat()
    write(System(str(tmp_path)), "/c.conf", "new", keep=True)
    assert file.read_text() == "new"
    assert file.stat().st_mode & 0o777 == 0o604
    kept = tmp_path / "c.conf.understudy-before"
    assert kept.read_text() == "old"
    assert (kept.stat().st_mode, kept.stat().st_uid, kept.stat().st_mtime_ns) == (
        before.st_mode,
        before.st_uid,
        before.st_mtime_ns,
    )


def test_bytes_that_are_not_utf8_survive(tmp_path: Path) -> None:
    (tmp_path / "c").write_bytes(b"caf\xe9\r\n\x00")
    system = System(str(tmp_path))
    content = ask(system, "read-file", path="/c")["ok"]["content"]
    write(system, "/d", content)
    assert (tmp_path / "d").read_bytes() == b"caf\xe9\r\n\x00"


def test_symbolic_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    write(System(str(tmp_path)), "/link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new"


def test_file_changed_meanwhile_is_refused(tmp_path: Path) -> None:
    (tmp_path / "c").write_text("seen")
    system = System(str(tmp_path))
    digest = ask(system, "read-file", path="/c")["ok"]["digest"]
    (tmp_path / "c").write_text("by somebody else")
    assert write(system, "/c", "ours", expected=digest)["refused"] == "changed-meanwhile"
    assert write(system, "/c", "ours", expected="")["refused"] == "changed-meanwhile"
    assert (tmp_path / "c").read_text() == "by somebody else"
    assert names(tmp_path) == ["c"]


def test_directory_in_place_of_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "c").mkdir()
    assert ask(System(str(tmp_path)), "read-file", path="/c")["refused"] == "node-not-a-file"
    assert write(System(str(tmp_path)), "/c", "x")["refused"] == "node-not-a-file"


def test_unknown_owner_is_refused(tmp_path: Path) -> None:
    answer = write(System(str(tmp_path)), "/c", "x", owner="nobody-of-this-name")
    assert answer["refused"] == "node-unknown-owner"
    assert names(tmp_path) == []


def test_left_over_of_an_interrupted_write_is_cleared_away(tmp_path: Path) -> None:
    (tmp_path / ".c.understudy-4711").write_text("half")
    write(System(str(tmp_path)), "/c", "x")
    assert names(tmp_path) == ["c"]


@pytest.mark.parametrize("call", ["fsync", "rename"])
def test_any_error_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def broken(*_: object) -> None:
        raise OSError(28, "No space left on device")

    (tmp_path / "c").write_text("old")
    monkeypatch.setattr(os, "fsync", broken) if call == "fsync" else monkeypatch.setattr(
        Path, "rename", broken
    )
    assert write(System(str(tmp_path)), "/c", "new")["refused"] == "node-disk-full"
    assert (tmp_path / "c").read_text() == "old"
    assert [name for name in names(tmp_path) if name.startswith(".")] == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    directory = tmp_path / uuid.uuid4().hex
    directory.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "understudy-test", directory], check=True)
    yield directory
    subprocess.run(["umount", directory], check=True)


@pytest.mark.root
def test_disk_full_leaves_the_old_file(small_disk: Path) -> None:
    system = System(str(small_disk))
    assert write(system, "/c", "old" * 5000) == {"ok": {}}
    assert write(system, "/c", "new" * 20000)["refused"] == "node-disk-full"
    assert names(small_disk) == ["c"]
    assert (small_disk / "c").read_text() == "old" * 5000


def test_restore_brings_back_and_can_be_taken_back(tmp_path: Path) -> None:
    (tmp_path / "c").write_text("old")
    system = System(str(tmp_path))
    old = ask(system, "read-file", path="/c")["ok"]
    write(system, "/c", "new")
    new = ask(system, "read-file", path="/c")["ok"]
    assert new["before"] == old["stamp"]
    back = {"path": "/c", "owner": OWNER, "group": GROUP, "mode": 0o644}
    for _ in range(2):
        assert ask(system, "restore-file", **back, stamp=old["stamp"]) == {"ok": {}}
        assert (tmp_path / "c").read_text() == "old"
    assert ask(system, "restore-file", **back, stamp=new["stamp"]) == {"ok": {}}
    assert (tmp_path / "c").read_text() == "new"
    assert ask(system, "restore-file", **back, stamp="gone")["refused"] == "node-version-gone"
    assert ask(system, "restore-file", **back, stamp="") == {"ok": {}}
    assert names(tmp_path) == ["c.understudy-before"]


def test_stamp_tells_nothing_of_the_content(tmp_path: Path) -> None:
    system = System(str(tmp_path))
    for name, content in (("a", "s3cret"), ("b", "other1")):
        (tmp_path / name).write_text(content)
        os.utime(tmp_path / name, ns=(1, 1))
    assert files.stamp_of(system.real("/a")) == files.stamp_of(system.real("/b"))


def test_keys_are_made_equal(tmp_path: Path) -> None:
    one, two = System(str(tmp_path / "one")), System(str(tmp_path / "two"))
    for name, content in {"0": "zero", "1": "one", "2": "two", "readme": "no key"}.items():
        FakeMachine(tmp_path / "one").put(f"/keys/{name}", content)
    FakeMachine(tmp_path / "two").put("/keys/7", "stale")
    first = ask(one, "read-keys", path="/keys", content=True)["ok"]
    assert first["names"] == ["0", "1", "2"]
    ask(two, "write-keys", path="/keys", keys=first["keys"], owner=OWNER, group=GROUP)
    second = ask(two, "read-keys", path="/keys")["ok"]
    assert second["digest"] == first["digest"]
    assert "keys" not in second
    assert second["mode"] == 0o700
    assert (tmp_path / "two/keys/0").stat().st_mode & 0o777 == 0o600
    assert second["newest"] == first["newest"]
    assert (tmp_path / "two/keys/7.understudy-before").read_text() == "stale"


def test_sysctl_now_and_at_boot(tmp_path: Path) -> None:
    fake = FakeMachine(tmp_path)
    fake.put("/proc/sys/net/ipv4/ip_nonlocal_bind", "0\n")
    fake.put(machine.SYSCTL_FILE, "vm.swappiness = 10\n")
    name = "net.ipv4.ip_nonlocal_bind"
    assert ask(fake, "read-sysctl", name=name) == {"ok": {"now": "0", "kept": None}}
    ask(fake, "write-sysctl", name=name, value="1", keep=True)
    assert ask(fake, "read-sysctl", name=name) == {"ok": {"now": "1", "kept": "1"}}
    assert "vm.swappiness = 10" in (tmp_path / machine.SYSCTL_FILE[1:]).read_text()
    ask(fake, "write-sysctl", name=name, value="0", keep=False)
    assert ask(fake, "read-sysctl", name=name) == {"ok": {"now": "0", "kept": None}}
    assert ask(fake, "write-sysctl", name="no.such", value="0", keep=False)["refused"] == "node-sysctl-failed"


def test_lock_is_exclusive_and_stale_ones_are_passed_over(tmp_path: Path) -> None:
    fake = FakeMachine(tmp_path)
    mine = {"owner": "a", "holder": "ann on one", "stale": 300}
    other = {"owner": "b", "holder": "bob on two", "stale": 300}
    assert ask(fake, "take-lock", **mine)["ok"] == {"taken_over": ""}
    assert ask(fake, "take-lock", **mine)["ok"] == {"taken_over": ""}
    refused = ask(fake, "take-lock", **other)
    assert refused["refused"] == "node-locked"
    assert refused["values"]["holder"] == "ann on one"
    ask(fake, "release-lock", owner="b")
    lock = tmp_path / "run/understudy.lock"
    os.utime(lock, (1, 1))
    assert ask(fake, "take-lock", **other)["ok"] == {"taken_over": "ann on one"}
    ask(fake, "release-lock", owner="b")
    assert not lock.exists()


def test_rest_is_left_undone_after_a_refused_change(tmp_path: Path) -> None:
    calls: list[dict[str, object]] = [
        {"do": "read-file", "path": "/none"},
        {"do": "write-unit", "name": "none", "enabled": True, "running": None},
        {"do": "write-file", "path": "/x", "content": "", "owner": OWNER, "group": GROUP, "mode": 0o600},
    ]
    answers = script.answer(FakeMachine(tmp_path), calls)
    assert [next(iter(answer)) for answer in answers] == ["ok", "refused"]
    assert not (tmp_path / "x").exists()


def test_a_program_that_hangs_is_ended() -> None:
    with pytest.raises(Refused, match="node-command-timed-out"):
        System().run(["sleep", "30"], limit=0.05)


def test_unknown_user_to_run_as_is_refused(tmp_path: Path) -> None:
    answer = ask(System(str(tmp_path)), "run", argv=["true"], user="nobody-of-this-name")
    assert answer["refused"] == "node-unknown-user"


@pytest.mark.root
def test_program_runs_with_the_users_own_groups() -> None:
    answer = ask(System(), "run", argv=["id", "-Gn"], user="nobody")
    assert answer["ok"]["stdout"] == "nogroup\n"
