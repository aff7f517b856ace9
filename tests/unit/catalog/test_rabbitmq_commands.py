"""The commands that stand between the agent of RabbitMQ and rabbitmqctl: what they do about a broker that hangs."""

import signal
import subprocess
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from tests.unit.catalog.conftest import daemon

from understudy.catalog.load import load_catalog

ENTRY = load_catalog().services["rabbitmq"]
END_HUNG = "/usr/lib/understudy/end-hung-rabbitmq"
CTL = "/usr/lib/understudy/rabbitmqctl"


@pytest.fixture
def commands(tmp_path: Path) -> Path:
    """Return a folder with the commands, beside a rabbitmqctl that gives no answer but its exit code."""
    texts = {file.path: file.text for file in (*ENTRY.own_files, *ENTRY.by_standby["cold"].own_files)}
    places = {
        "/var/run/rabbitmq/pid": str(tmp_path / "pid"),
        "/usr/sbin/rabbitmqctl": str(tmp_path / "real"),
        END_HUNG: str(tmp_path / "end-hung-rabbitmq"),
    }
    (tmp_path / "real").write_text("#!/bin/sh\nexit 69\n")
    for path in (END_HUNG, CTL):
        text = texts[path]
        for here, there in places.items():
            text = text.replace(here, there)
        (tmp_path / Path(path).name).write_text(text)
    for file in tmp_path.iterdir():
        file.chmod(0o755)
    return tmp_path


def broker(
    commands: Path, script: str, title: str = "rabbitmq"
) -> AbstractContextManager[subprocess.Popen[bytes]]:
    return daemon(commands / "pid", script, title)


def status(commands: Path) -> int:
    words = [str(commands / "rabbitmqctl"), "-n", "rabbit@localhost", "status"]
    return subprocess.run(words, check=False, capture_output=True).returncode


def test_a_broker_that_hangs_is_ended_so_that_it_does_not_run(commands: Path) -> None:
    with broker(commands, "while :; do :; done") as process:
        process.send_signal(signal.SIGSTOP)
        assert status(commands) == 69
        assert process.wait(5) == -signal.SIGKILL


def test_a_broker_that_works_and_does_not_answer_yet_lives_on(commands: Path) -> None:
    with broker(commands, "while :; do :; done") as process:
        assert status(commands) == 69
        assert process.poll() is None


def test_another_process_under_the_brokers_number_lives_on(commands: Path) -> None:
    with broker(commands, "while :; do :; done", "other") as process:
        process.send_signal(signal.SIGSTOP)
        assert status(commands) == 69
        assert process.poll() is None


def test_without_a_broker_there_is_nothing_to_end(commands: Path) -> None:
    assert status(commands) == 69


def test_one_that_answers_is_not_looked_at(commands: Path) -> None:
    (commands / "real").write_text("#!/bin/sh\nexit 0\n")
    (commands / "end-hung-rabbitmq").unlink()
    assert status(commands) == 0


def test_a_machine_without_a_broker_is_something_to_stop_and_does_not_serve(commands: Path) -> None:
    (commands / "real").write_text("#!/bin/sh\nexit 64\n")
    agent = commands / "rabbitmq-server"
    agent.write_text(f"#!/bin/sh\n{commands}/rabbitmqctl -n rabbit@localhost status; exit $?\n")
    agent.chmod(0o755)
    assert subprocess.run([str(agent), "stop"], check=False).returncode == 0
    assert subprocess.run([str(agent), "monitor"], check=False).returncode == 64
