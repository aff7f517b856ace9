"""Starting: when it is done, and what is said when it fails."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.agents.conftest import Agent, FakeServer


def test_returns_only_when_it_serves(agent: Agent) -> None:
    agent.write_config(delay=1.5)
    begun = time.monotonic()
    assert agent.run("start").code == 0
    assert time.monotonic() - begun > 1.5
    assert agent.run("monitor").code == 0


def test_daemon_that_dies_ends_the_start_at_once(agent: Agent) -> None:
    agent.write_config(behaviour="die")
    begun = time.monotonic()
    failed = agent.run("start", timeout=60)
    assert failed.code == 1
    assert time.monotonic() - begun < 20
    assert "ended with exit code 1: ERROR: cannot connect" in failed.reason
    assert "verysecret" not in failed.err
    assert not agent.pid_file.exists()


def test_daemon_that_dies_without_its_database_is_launched_until_it_is_back(
    agent: Agent, database: FakeServer
) -> None:
    url = f"mysql+pymysql://glance:verysecret@127.0.0.1:{database.port}/glance"
    agent.write_config(behaviour="need", needed=database.port, extra=f"[database]\nconnection = {url}")
    database.down()
    back = threading.Timer(3, database.up)
    back.start()
    started = agent.run("start", timeout=40)
    back.join()
    assert started.code == 0, started.err
    assert "launched again, as database: 127.0.0.1" in started.err
    assert agent.run("stop").code == 0
    database.down()
    failed = agent.run("start", timeout=6)
    assert failed.code == 1
    assert "nobody is there" in failed.reason


def test_daemon_that_lived_for_long_is_launched_once_more_whatever_answers_now(agent: Agent) -> None:
    agent.write_config(gives_up_after=11)
    started = agent.run("start", timeout=60)
    assert started.code == 0, started.err
    assert "answered 503; launched again, as it had begun its work" in started.err


def test_own_deadline_before_the_timeout(agent: Agent) -> None:
    agent.write_config(delay=60)
    begun = time.monotonic()
    failed = agent.run("start", timeout=4)
    assert failed.code == 1
    assert time.monotonic() - begun < 4 + 1.5
    assert "does not listen" in failed.reason
    assert agent.run("stop").code == 0


def test_service_that_answers_wrongly_is_not_started(agent: Agent) -> None:
    agent.write_config(status=500)
    failed = agent.run("start", timeout=3)
    assert failed.code == 1
    assert "answers 500 to GET /" in failed.reason


def test_cause_of_a_start_that_waits_for_its_database(agent: Agent, database: FakeServer) -> None:
    database.down()
    url = f"mysql+pymysql://glance:verysecret@127.0.0.1:{database.port}/glance"
    agent.write_config(delay=60, extra=f"[database]\nconnection = {url}")
    failed = agent.run("start", timeout=3)
    assert failed.code == 1
    assert f"database: 127.0.0.1:{database.port} refuses connections" in failed.reason
    assert "verysecret" not in failed.err


def test_database_gone_does_not_hinder_a_service_that_serves(agent: Agent, database: FakeServer) -> None:
    database.down()
    url = f"mysql+pymysql://glance:verysecret@127.0.0.1:{database.port}/glance"
    agent.write_config(extra=f"[database]\nconnection = {url}")
    assert agent.run("start").code == 0


def test_start_does_not_wait_for_workers_that_wait_for_the_database(
    agent: Agent, database: FakeServer
) -> None:
    url = f"mysql+pymysql://glance:verysecret@127.0.0.1:{database.port}/glance"
    agent.write_config(behaviour="hang", extra=f"[database]\nconnection = {url}")
    assert agent.run("start", timeout=4).code == 1
    assert agent.run("stop").code == 0
    database.down()
    assert agent.run("start", timeout=30).code == 0


def test_file_that_cannot_be_executed(agent: Agent) -> None:
    agent.program.write_text("#!/no/such/interpreter\n")
    failed = agent.run("start")
    assert failed.code == 5
    assert "cannot be executed" in failed.reason


def test_validation(agent: Agent) -> None:
    assert agent.run("validate-all").code == 0
    for name, value in (
        ("bind_port", "http"),
        ("bind_port", "70000"),
        ("launch", "magic"),
        ("shutdown_timeout", "x"),
    ):
        wrong = agent.run("validate-all", {f"OCF_RESKEY_{name}": value})
        assert wrong.code == 6
        assert f"{name}={value}" in wrong.reason
        assert agent.run("start", {f"OCF_RESKEY_{name}": value}).code == 6
    torn = agent.run("start", {"OCF_RESKEY_additional_parameters": "--name 'x"})
    assert torn.code == 6
    assert "additional_parameters" in torn.reason
    agent.config.unlink()
    assert agent.run("validate-all").code == 0
    assert agent.run("validate-all", {"OCF_CHECK_LEVEL": "10"}).code == 5


def test_additional_parameters(agent: Agent) -> None:
    agent.parameters["additional_parameters"] = "--name 'a b' --debug"
    assert agent.run("start").code == 0
    arguments = Path(f"/proc/{agent.pid()}/cmdline").read_text().split("\0")
    assert arguments[-4:] == ["--name", "a b", "--debug", ""]


def test_pid_file_that_cannot_be_written(agent: Agent) -> None:
    agent.parameters["pid"] = str(agent.config / "x.pid")
    failed = agent.run("start")
    assert failed.code == 1
    assert "Traceback" not in failed.err
    assert agent.run("stop").code == 0
    assert agent.processes() == []


def test_unknown_actions(agent: Agent) -> None:
    for action in ("promote", "demote", "notify", "migrate_to", "reload", "nonsense"):
        assert agent.run(action).code == 3
    usage = agent.run("usage")
    assert (usage.code, usage.err) == (0, "")
    assert usage.out.startswith("usage: glance-api")
