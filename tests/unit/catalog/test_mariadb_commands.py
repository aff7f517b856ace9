"""The command that stands between the agent of the database and its client: what it does about a server that hangs."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

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


@contextmanager
def server(command: Path, script: str, title: str = "mariadbd") -> Iterator[subprocess.Popen[bytes]]:
    """Run something with the title of a server, known by its pid file."""
    with subprocess.Popen([title, "-c", script], executable="/bin/sh") as process:
        command.with_name("pid").write_text(f"{process.pid}\n")
        try:
            yield process
        finally:
            if process.poll() is None:
                os.kill(process.pid, signal.SIGCONT)
                process.kill()


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
