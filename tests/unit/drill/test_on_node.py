"""The node's side of faults: noted before it is done, taken back once, by hand or by its own timer."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from understudy.drill.faults import on_node

SERVER = (
    "import socket, time\n"
    "s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True); time.sleep(60)\n"
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(on_node, "FOLDER", tmp_path / "notes")
    return tmp_path / "notes"


@pytest.fixture
def server() -> Iterator[tuple[subprocess.Popen[str], int]]:
    process = subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    yield process, int(process.stdout.readline())
    process.kill()
    process.wait()
    process.stdout.close()


def order(*steps: on_node.Step, timer: float = 60, paths: tuple[str, ...] = ()) -> on_node.Step:
    return {"id": "fault-1", "steps": list(steps), "timer": timer, "paths": list(paths)}


def state_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def wait_for(pid: int, states: str) -> None:
    deadline = time.monotonic() + 10
    while state_of(pid) not in states:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_hung_server_is_found_by_its_port_and_goes_on_when_healed(
    server: tuple[subprocess.Popen[str], int],
) -> None:
    process, port = server
    on_node.inject(order({"do": "signal", "signal": "STOP", "port": port}))
    wait_for(process.pid, "T")
    assert any(str(process.pid) in each for each in on_node.left({}))
    assert on_node.heal(order()) == []
    wait_for(process.pid, "SR")
    assert on_node.heal(order()) == []


def test_killed_server_is_dead_and_nothing_is_to_be_healed(server: tuple[subprocess.Popen[str], int]) -> None:
    process, port = server
    on_node.inject(order({"do": "signal", "signal": "KILL", "port": port}))
    assert process.wait(10) == -signal.SIGKILL
    assert on_node.heal(order()) == []


def test_process_without_a_port_is_found_by_its_agents_note_with_its_children(tmp_path: Path) -> None:
    note = tmp_path / "conductor.pid"
    argv = ["sh", "-c", "sleep 600 & echo $!; wait"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        note.write_text(f"{parent.pid}\n{on_node.born(parent.pid)}\n")
        assert on_node.chosen({"pid_file": str(note)}) == sorted([parent.pid, child])
        on_node.inject(order({"do": "signal", "signal": "KILL", "pid_file": str(note)}))
        assert parent.wait(10) == -signal.SIGKILL
        note.write_text(f"{os.getppid()}\n1\n")
        with pytest.raises(OSError, match=r"noted in .*conductor.pid"):
            on_node.inject(order({"do": "signal", "signal": "KILL", "pid_file": str(note)}))
    assert on_node.heal(order()) == []


def test_nobody_to_signal_is_an_error_and_leaves_nothing(folder: Path) -> None:
    with pytest.raises(OSError, match="nothing runs here"):
        on_node.inject(order({"do": "signal", "signal": "KILL", "names": ["no-such-process"]}))
    assert on_node.heal(order()) == []
    assert list(folder.glob("*")) == []


def test_recycled_process_number_is_not_signalled(server: tuple[subprocess.Popen[str], int]) -> None:
    process, _ = server
    on_node.send([(process.pid, "1")], signal.SIGKILL)
    time.sleep(0.1)
    assert process.poll() is None


@pytest.mark.parametrize("change", [{"content": "broken"}, {"mode": 0}], ids=["content", "mode"])
def test_file_is_broken_and_comes_back_as_it_was(tmp_path: Path, change: dict[str, object]) -> None:
    path = tmp_path / "service.conf"
    path.write_text("good")
    path.chmod(0o640)
    before = path.stat()
    on_node.inject(order({"do": "file", "path": str(path), **change}))
    assert (path.stat().st_mode & 0o7777, path.read_bytes() if os.geteuid() == 0 else b"") != (0o640, b"good")
    assert on_node.left({"paths": [str(path)]})
    assert on_node.heal(order()) == []
    after = path.stat()
    assert path.read_text() == "good"
    assert (before.st_ino, before.st_mode, before.st_uid) == (after.st_ino, after.st_mode, after.st_uid)


def test_file_comes_back_also_when_a_reboot_forgot_the_note(tmp_path: Path, folder: Path) -> None:
    path = tmp_path / "service.conf"
    path.write_text("good")
    on_node.inject(order({"do": "file", "path": str(path), "content": "broken"}))
    (folder / "fault-1.json").unlink()
    assert on_node.heal(order(paths=(str(path),))) == []
    assert path.read_text() == "good"


def test_second_drill_does_not_take_the_broken_file_for_the_good_one(tmp_path: Path) -> None:
    path = tmp_path / "service.conf"
    path.write_text("good")
    step = {"do": "file", "path": str(path), "content": "broken"}
    on_node.inject(order(step))
    with pytest.raises(OSError, match="not mended"):
        on_node.inject(order(step))
    on_node.heal(order(paths=(str(path),)))
    assert path.read_text() == "good"


def test_steps_are_taken_back_last_first_and_what_fails_stays_noted(tmp_path: Path, folder: Path) -> None:
    log = tmp_path / "log"

    def step(name: str, undo: str) -> on_node.Step:
        return {"do": "command", "argv": ["sh", "-c", f"echo {name} >> {log}"], "undo": ["sh", "-c", undo]}

    gate = tmp_path / "gate"
    on_node.inject(order(step("a", f"echo -a >> {log}"), step("b", f"test -e {gate} && echo -b >> {log}")))
    assert len(on_node.heal(order())) == 1
    assert log.read_text().split() == ["a", "b", "-a"]
    assert len(json.loads((folder / "fault-1.json").read_text())) == 1
    gate.touch()
    assert on_node.heal(order()) == []
    assert log.read_text().split() == ["a", "b", "-a", "-b"]


def test_what_the_cluster_was_told_is_taken_back_although_a_reboot_has_forgotten_the_note(
    tmp_path: Path, folder: Path
) -> None:
    log, gate = tmp_path / "log", tmp_path / "gate"
    undo = ["sh", "-c", f"test -e {gate} && echo undone >> {log}"]
    on_node.inject(order({"do": "command", "argv": ["true"], "undo": undo}))
    for note in folder.iterdir():
        note.unlink()
    folder.rmdir()
    assert len(on_node.heal({**order(), "commands": [undo]})) == 1  # the cluster does not run yet
    gate.touch()
    assert on_node.heal({**order(), "commands": [undo]}) == []
    assert log.read_text().split() == ["undone"]


@pytest.mark.parametrize(
    ("constraint", "word"),
    [("cli-prefer-ip-api-public", "preferred"), ("cli-ban-ip-api-public-on-controller-1", "banned")],
)
def test_a_resource_that_is_still_pinned_to_a_node_is_left_behind(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, constraint: str, word: str
) -> None:
    del folder
    asked = tmp_path / "cibadmin"
    asked.write_text(f"""#!/bin/sh\necho '<rsc_location id="{constraint}" rsc="ip-api-public"/>'\n""")
    asked.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    found = list(on_node.pinned(["ip-api", "ip-api-public"]))
    assert found == [f"ip-api-public is {word} somewhere: crm_resource --resource ip-api-public --clear"]
    asked.write_text("#!/bin/sh\nexit 102\n")
    assert list(on_node.pinned(["ip-api-public"])) == []


def test_node_mends_itself_when_its_time_is_over(tmp_path: Path, folder: Path) -> None:
    path = tmp_path / "service.conf"
    path.write_text("good")
    on_node.inject(order({"do": "file", "path": str(path), "content": "broken"}, timer=0.2))
    deadline = time.monotonic() + 20
    while path.read_text() != "good" or list(folder.glob("*.json")):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_root_file_system_is_neither_filled_nor_lost() -> None:
    for what in ("fill", "lose-file-system"):
        with pytest.raises(OSError, match=r"root file system|not mounted"):
            on_node.inject(order({"do": what, "path": "/"}))
        assert on_node.heal(order()) == []


def test_storage_that_came_here_full_is_emptied(tmp_path: Path, folder: Path) -> None:
    on_node.inject(order({"do": "await-full", "path": str(tmp_path)}))
    filled = tmp_path / on_node.FILL
    filled.write_text("full")
    assert on_node.heal(order()) == []
    assert not filled.exists()
    assert not list(folder.glob("*.json"))


def test_storage_is_emptied_by_a_node_that_has_forgotten_the_fault(tmp_path: Path, folder: Path) -> None:
    file = tmp_path / "service.conf"
    file.write_text("good")
    filled = tmp_path / on_node.FILL
    filled.write_text("full")
    paths = [str(tmp_path), str(file), str(tmp_path / "nowhere")]
    assert on_node.heal({**order(), "paths": paths}) == []
    assert not filled.exists()
    assert not list(folder.glob("*.json"))


def test_it_runs_as_nodes_run_it_with_the_systems_python() -> None:
    source = Path(on_node.__file__).read_text()
    argv = ["/usr/bin/python3", "-IS", "-c", source]
    done = subprocess.run(
        argv,
        input='{"do": "heal", "id": "fault-none"}',
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert json.loads(done.stdout) == {"problem": "", "found": []}, done.stderr


def test_name_that_leads_elsewhere_is_refused() -> None:
    with pytest.raises(OSError, match="no name"):
        on_node.path_of("../../etc/passwd")
