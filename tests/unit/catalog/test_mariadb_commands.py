"""The command that stands between the agent of the database and its client: what it does about a server that hangs."""

import signal
import subprocess
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from tests.unit.catalog.conftest import daemon

from understudy.catalog.load import load_catalog

ASK = "/usr/lib/understudy/ask-mariadb"


@pytest.fixture
def command(tmp_path: Path) -> Path:
    """Return the command, beside a client that gets no answer."""
    files = load_catalog().services["mariadb"].by_standby["cold"].own_files
    text = next(file.text for file in files if file.path == ASK)
    text = text.replace("/run/mysqld/mysqld.pid", str(tmp_path / "pid"))
    text = text.replace("/usr/bin/mariadb", str(tmp_path / "client")).replace("timeout 5", "timeout 0.3")
    client(tmp_path, "sleep 60")
    path = tmp_path / "ask-mariadb"
    path.write_text(text)
    path.chmod(0o755)
    return path


def client(folder: Path, script: str) -> None:
    path = folder / "client"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def server(
    command: Path, script: str, title: str = "mariadbd"
) -> AbstractContextManager[subprocess.Popen[bytes]]:
    return daemon(command.with_name("pid"), script, title)


def ask(command: Path) -> subprocess.CompletedProcess[str]:
    words = [str(command), "-e", "SELECT 1"]
    return subprocess.run(words, check=False, capture_output=True, text=True)


def test_a_server_that_hangs_is_ended_and_has_failed(command: Path) -> None:
    with server(command, "while :; do :; done") as process:
        process.send_signal(signal.SIGSTOP)
        assert ask(command).returncode == 1
        assert process.wait(5) == -signal.SIGKILL


def test_a_server_that_works_and_does_not_answer_yet_lives_on(command: Path) -> None:
    with server(command, "while :; do :; done") as process:
        assert ask(command).returncode == 0
        assert process.poll() is None


def test_another_process_under_the_servers_number_lives_on(command: Path) -> None:
    with server(command, "while :; do :; done", "other") as process:
        process.send_signal(signal.SIGSTOP)
        assert ask(command).returncode == 0
        assert process.poll() is None


@pytest.mark.parametrize("script", ["echo 1", "echo 'ERROR 1040: Too many connections' >&2; exit 1"])
def test_whatever_a_server_answers_it_does_not_hang(command: Path, script: str) -> None:
    client(command.parent, script)
    with server(command, "while :; do :; done") as process:
        process.send_signal(signal.SIGSTOP)
        assert ask(command).returncode == 0
        assert process.poll() is None


def test_without_a_server_there_is_nothing_to_end(command: Path) -> None:
    assert ask(command).returncode == 0
