import os
import subprocess
from dataclasses import asdict, replace
from json import dumps
from pathlib import Path

import pytest

from understudy.lab.state import Folder, Process


def test_a_living_process_is_itself() -> None:
    process = Process.of(os.getpid())
    assert process is not None
    assert process.alive()


def test_a_recycled_process_id_is_not_believed() -> None:
    process = Process.of(os.getpid())
    assert process is not None
    assert not replace(process, started=process.started - 1).alive()
    assert not replace(process, boot="another boot").alive()


def test_a_zombie_is_dead() -> None:
    with subprocess.Popen(["true"]) as child:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert Process.of(child.pid) is None


def test_a_folder_knows_its_living_room(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    assert folder.room() is None
    folder.write_record()
    assert folder.room() == Process.of(os.getpid())


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"pid": 1}', dumps(asdict(Process(1, 1, "no")))])
def test_a_stale_or_broken_record_is_no_room(tmp_path: Path, text: str) -> None:
    folder = Folder(tmp_path)
    folder.record.write_text(text, encoding="utf-8")
    assert folder.room() is None
