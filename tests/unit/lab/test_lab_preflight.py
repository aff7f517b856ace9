import os
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

import understudy.lab
from understudy.findings import known_codes, message_for
from understudy.lab import preflight
from understudy.lab.preflight import host_problems


@pytest.fixture(autouse=True)
def able(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pretend a machine that can run a lab."""
    monkeypatch.setattr(preflight, "LABS", tmp_path / "not" / "yet" / "there")
    monkeypatch.setattr(preflight, "PROGRAMS", ("sh",))
    monkeypatch.setattr(preflight, "LOOP_CONTROL", tmp_path)
    monkeypatch.setattr(preflight, "NAMESPACES", ("mnt",))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(preflight, "_has_overlay", lambda: True)
    monkeypatch.setattr(preflight, "_kind_of_file_system", lambda _folder: "ext4")
    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: SimpleNamespace(free=1 << 40))


def codes() -> list[str]:
    return [finding.code for finding in host_problems()]


def test_an_able_machine_has_no_problems() -> None:
    assert codes() == []


def test_without_root_nothing_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert codes() == ["lab-not-root"]


def test_everything_that_the_kernel_lacks_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "_has_overlay", lambda: False)
    monkeypatch.setattr(preflight, "LOOP_CONTROL", Path("/nowhere"))
    monkeypatch.setattr(preflight, "NAMESPACES", ("mnt", "bogus"))
    features = [str(finding.values["feature"]) for finding in host_problems()]
    assert features == ["bogus namespaces", "overlay file systems", "loop devices"]


def test_missing_programs_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "PROGRAMS", ("sh", "no-such-program"))
    finding = host_problems()[0]
    assert finding.code == "lab-program-missing"
    assert finding.values["programs"] == "no-such-program"


def test_a_full_disk_is_told_with_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: SimpleNamespace(free=500_000_000))
    finding = host_problems()[0]
    assert finding.code == "lab-no-space"
    assert "0.5 GB free" in message_for(finding)


def test_an_overlay_cannot_carry_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "_kind_of_file_system", lambda _folder: "overlay")
    assert codes() == ["lab-on-overlay"]


def test_the_file_system_of_proc_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert preflight._kind_of_file_system(Path("/proc")) == "proc"


def test_every_code_that_the_lab_uses_has_its_message_and_advice() -> None:
    folder = Path(understudy.lab.__file__).parent
    used = {
        code
        for file in folder.glob("*.py")
        for code in re.findall(r'"(lab-[a-z-]+)"', file.read_text("utf-8"))
    }
    assert len(used) > 15
    assert used <= known_codes()


def test_each_thing_that_the_kernel_lacks_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "NAMESPACES", ("mnt", "nothing"))
    monkeypatch.setattr(preflight, "_has_overlay", lambda: False)
    monkeypatch.setattr(preflight, "LOOP_CONTROL", tmp_path / "none")
    assert codes() == ["lab-kernel-lacks"] * 3
    assert [finding.values["feature"] for finding in host_problems()] == [
        "nothing namespaces",
        "overlay file systems",
        "loop devices",
    ]
