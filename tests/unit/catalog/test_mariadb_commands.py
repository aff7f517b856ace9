"""The command that stands between the agent of the database and its client: what it does about a server that hangs."""

import re
import signal
import subprocess
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from jinja2 import Template
from tests.unit.catalog.conftest import daemon

from understudy.catalog.load import load_catalog
from understudy.spec.model import Standby

ASK = "/usr/lib/understudy/ask-mariadb"
TOO_LATE = 124
"""What timeout(1) ends with when it has ended its program."""


@pytest.fixture(params=["cold", "clustered"])
def standby(request: pytest.FixtureRequest) -> Standby:
    """Return how the database stands by."""
    found: Standby = request.param
    return found


@pytest.fixture
def command(tmp_path: Path, standby: Standby) -> Path:
    """Return the command, beside a client that gets no answer."""
    return made(tmp_path, standby)


def told(standby: Standby, client: int) -> int:
    """Return what the agent is told when the server does not hang and the client ends with a code."""
    return client if standby == "clustered" else 0


def made(tmp_path: Path, standby: Standby) -> Path:
    files = load_catalog().services["mariadb"].by_standby[standby].own_files
    template = next(file.text for file in files if file.path == ASK)
    text = Template(template).render(standby=standby)
    text = text.replace("/run/mysqld/mysqld.pid", str(tmp_path / "pid"))
    text = text.replace("/usr/bin/mariadb", str(tmp_path / "client"))
    text = re.sub("timeout (5|15) ", "timeout 0.3 ", text)
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


def test_a_server_that_works_and_does_not_answer_yet_lives_on(command: Path, standby: Standby) -> None:
    with server(command, "while :; do :; done") as process:
        assert ask(command).returncode == told(standby, TOO_LATE)
        assert process.poll() is None


def test_another_process_under_the_servers_number_lives_on(command: Path, standby: Standby) -> None:
    with server(command, "while :; do :; done", "other") as process:
        process.send_signal(signal.SIGSTOP)
        assert ask(command).returncode == told(standby, TOO_LATE)
        assert process.poll() is None


@pytest.mark.parametrize(
    ("script", "code"), [("echo 1", 0), ("echo 'ERROR 1040: Too many connections' >&2; exit 1", 1)]
)
def test_whatever_a_server_answers_it_does_not_hang(
    command: Path, standby: Standby, script: str, code: int
) -> None:
    client(command.parent, script)
    with server(command, "while :; do :; done") as process:
        process.send_signal(signal.SIGSTOP)
        assert ask(command).returncode == told(standby, code)
        assert process.poll() is None


def test_without_a_server_there_is_nothing_to_end(command: Path, standby: Standby) -> None:
    assert ask(command).returncode == told(standby, TOO_LATE)


@pytest.mark.parametrize(("standby", "expected"), [("cold", 0), ("clustered", 7)])
def test_what_the_client_says_is_passed_on_to_the_agent_of_galera_alone(
    tmp_path: Path, standby: Standby, expected: int
) -> None:
    """The agent for one server would take a refusal for a failure; Galera's reads the answer and has to."""
    command = made(tmp_path, standby)
    client(tmp_path, "echo answer; exit 7")
    asked = ask(command)
    assert (asked.returncode, asked.stdout) == (expected, "answer\n")
