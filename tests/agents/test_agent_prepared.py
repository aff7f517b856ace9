"""Daemons that a prepared process becomes, and the usual way wherever that is not to be had."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.agents.conftest import is_alive
from tests.agents.prepared_keeper import KEEPER, Prepared, keeper, parent, until

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def prepared(tmp_path: Path) -> Iterator[Prepared]:
    """A keeper that is not started yet."""
    yield from keeper(tmp_path)


def is_made_of_it(prepared: Prepared) -> bool:
    return parent(prepared.agent.pid()) == prepared.pid()


def test_daemon_is_made_of_the_prepared_process(prepared: Prepared) -> None:
    prepared.prepare()
    agent = prepared.agent
    assert agent.run("start").code == 0
    pid = agent.pid()
    assert is_made_of_it(prepared)
    assert f"loaded by {prepared.pid()}" in Path(agent.parameters["output_log"]).read_text()
    assert os.getsid(pid) == pid
    variables = Path(f"/proc/{pid}/environ").read_bytes()
    assert b"OCF_" not in variables
    log = agent.parameters["output_log"]
    names = {str(path.readlink()) for path in Path(f"/proc/{pid}/fd").iterdir()}
    assert all(name in ("/dev/null", log) or name.startswith("socket:") for name in names), names
    assert agent.processes() == [pid]
    assert (agent.run("monitor").code, agent.run("start").code, agent.pid()) == (0, 0, pid)
    assert agent.run("stop").code == 0
    assert agent.processes() == []
    assert agent.run("monitor").code == 7
    assert prepared.keeper.run("monitor").code == 0


def test_signals_are_those_of_a_daemon_that_was_just_started(prepared: Prepared) -> None:
    assert prepared.agent.run("start").code == 0
    usual = signals(prepared.agent.pid())
    prepared.agent.run("stop")
    prepared.prepare()
    assert prepared.agent.run("start").code == 0
    assert is_made_of_it(prepared)
    assert signals(prepared.agent.pid()) == usual


def signals(pid: int) -> list[str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return [line for line in lines if line.startswith(("SigBlk", "SigIgn", "SigCgt"))]


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can change the user")
def test_daemon_has_its_user(prepared: Prepared) -> None:
    for path in [prepared.agent.directory, *prepared.agent.directory.parents][:4]:
        path.chmod(0o755)
    prepared.agent.parameters["user"] = "nobody"
    prepared.prepare()
    assert prepared.agent.run("start").code == 0
    assert is_made_of_it(prepared)
    status = Path(f"/proc/{prepared.agent.pid()}/status").read_text().splitlines()
    fields = {line.split(":")[0]: line.split()[1:] for line in status}
    assert set(fields["Uid"]) == {"65534"}
    assert "0" not in fields["Groups"]
    assert fields["CapPrm"] == ["0000000000000000"]
    assert Path(f"/proc/{prepared.agent.pid()}/fd").stat().st_uid == 65534
    assert prepared.agent.run("stop").code == 0


def test_without_a_prepared_process_as_usual(prepared: Prepared) -> None:
    assert prepared.agent.run("start").code == 0
    prepared.agent.run("stop")
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as stream:
        stream.bind(str(prepared.socket()))  # as a keeper leaves it that was killed
    assert prepared.agent.run("start").code == 0
    assert len(prepared.agent.processes()) == 1


@pytest.mark.parametrize(
    "answer", [None, b"", b"no", b"ready 1", b"ready {pid} 12345", b"ready {pid} {start}"]
)
def test_odd_answers_lead_the_usual_way(prepared: Prepared, answer: bytes | None) -> None:
    with (
        subprocess.Popen(["sleep", "60"], start_new_session=True) as stranger,
        socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener,
    ):
        start = Path(f"/proc/{stranger.pid}/stat").read_text().rsplit(")", 1)[1].split()[19]
        heard: list[bytes] = []
        listener.bind(str(prepared.socket()))
        listener.listen()

        def serve() -> None:
            stream, _ = listener.accept()
            with stream:
                stream.recv(65536)
                if answer is None:
                    heard.append(stream.recv(100))
                    return
                stream.send(
                    answer.replace(b"{pid}", b"%d" % stranger.pid).replace(b"{start}", start.encode())
                )
                heard.append(stream.recv(100))

        thread = threading.Thread(target=serve)
        thread.start()
        assert prepared.agent.run("start", timeout=20).code == 0
        thread.join(10)
        stranger.kill()
    assert heard == [b""]
    assert len(prepared.agent.processes()) == 1


def test_one_that_hears_no_last_word_ends(prepared: Prepared) -> None:
    prepared.prepare()
    agent = prepared.agent
    user = agent.parameters["user"]
    command = [str(agent.program), f"--config-file={agent.config}"]
    request = {"command": command, "environment": {}, "user": user, "log": "/dev/null"}
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as stream:
        stream.connect(str(prepared.socket()))
        stream.send(repr(request).encode())
        words = stream.recv(100).split()
        assert words[0] == b"ready"
        assert agent.processes() == [int(words[1])]
    until(lambda: agent.processes() == [])


def test_what_was_imported_has_changed(prepared: Prepared) -> None:
    prepared.prepare()
    before = (prepared.pid(), Path(f"/proc/{prepared.pid()}/stat").read_text().rsplit(")", 1)[1].split()[19])
    module = prepared.site.modules / "fake_daemon.py"
    module.write_text(module.read_text() + "\n# changed\n")
    started = prepared.agent.run("start")
    assert started.code == 0
    assert f"{module} is not what was imported" in started.err
    assert not is_made_of_it(prepared)
    prepared.agent.run("stop")
    until(prepared.keeper_answers)
    after = (prepared.pid(), Path(f"/proc/{prepared.pid()}/stat").read_text().rsplit(")", 1)[1].split()[19])
    assert after == before
    assert prepared.agent.run("start").code == 0
    assert is_made_of_it(prepared)


def test_killed_keeper_takes_no_daemon_along(prepared: Prepared) -> None:
    prepared.prepare()
    assert prepared.agent.run("start").code == 0
    pid = prepared.agent.pid()
    os.kill(prepared.pid(), signal.SIGKILL)
    until(lambda: not is_alive(prepared.pid()))
    assert prepared.keeper.run("monitor").code == 1
    os.kill(prepared.pid("helpers"), signal.SIGKILL)
    until(lambda: not is_alive(prepared.pid("helpers")))
    assert prepared.keeper.run("monitor").code == 7
    assert prepared.agent.run("monitor").code == 0
    assert prepared.agent.pid() == pid
    prepared.prepare()
    assert prepared.agent.run("start").code == 0
    assert prepared.agent.processes() == [pid]


def test_stop_of_the_keeper_ends_it_alone(prepared: Prepared) -> None:
    prepared.prepare()
    pids = [prepared.pid(role) for role in ("agents", "helpers")]
    assert prepared.agent.run("start").code == 0
    assert prepared.keeper.run("stop").code == 0
    assert not any(is_alive(pid) for pid in pids)
    assert not any(path.name.startswith((KEEPER, f"p_{KEEPER}")) for path in prepared.run.iterdir())
    assert prepared.agent.run("monitor").code == 0
    assert prepared.keeper.run("stop").code == 0


def test_daemon_that_dies_ends_the_start(prepared: Prepared) -> None:
    prepared.prepare()
    prepared.agent.write_config(behaviour="die")
    failed = prepared.agent.run("start")
    assert failed.code == 1
    assert "ended: ERROR: cannot connect" in failed.reason
    assert prepared.agent.processes() == []


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("raise RuntimeError('torn')", "RuntimeError: torn"),
        (
            "import threading, time; threading.Thread(target=time.sleep, args=(60,), daemon=True).start()",
            "thread",
        ),
        ("kept = open('/etc/passwd')", "opened a file"),
    ],
)
def test_what_cannot_be_prepared_is_no_failure(prepared: Prepared, line: str, words: str) -> None:
    module = prepared.site.modules / "fake_daemon.py"
    module.write_text(module.read_text() + f"\n{line}\n")
    assert prepared.keeper.run("start").code == 0
    said = prepared.run / f"p_{KEEPER}.agents.said"
    until(lambda: words in said.read_text())
    degraded = prepared.keeper.run("monitor", {"OCF_RESKEY_crm_feature_set": "3.16.1"})
    assert degraded.code in (0, 190)
    assert words in degraded.reason
    assert prepared.keeper.probe().code == 0


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can change the user")
def test_nobody_else_is_served(prepared: Prepared) -> None:
    for path in [prepared.run, *prepared.run.parents][:5]:
        path.chmod(0o755)
    prepared.prepare()
    asking = (
        "import socket, sys; s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); "
        "s.connect(sys.argv[1]); s.send(b'ping'); sys.exit(0 if s.recv(100) == b'' else 3)"
    )
    for role in ("agents", "helpers"):
        command = ["/usr/bin/python3", "-c", asking, str(prepared.socket(role))]
        assert subprocess.run(command, user=65534, group=65534, check=False).returncode == 1, "the mode"
        prepared.socket(role).chmod(0o666)
        done = subprocess.run(command, user=65534, group=65534, check=False, stderr=subprocess.DEVNULL)
        assert done.returncode in (0, 1)  # closed before or after it was asked
        assert prepared.keeper_answers(role)
