"""A message broker is asked in AMQP, by its own agent and by those of its clients."""

from __future__ import annotations

import os
import shutil
import signal
import time
from typing import TYPE_CHECKING

import pytest
from tests.agents.conftest import FAKES, make_agent

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.agents.conftest import Agent

PACEMAKER = {"OCF_RA_VERSION_MAJOR": "1", "OCF_RA_VERSION_MINOR": "1"}


@pytest.fixture
def qpidd(ocf_root: Path, tmp_path: Path) -> Iterator[Agent]:
    """A qpidd that is not started yet."""
    folder = tmp_path / "broker"
    folder.mkdir()
    made = make_agent("qpidd", ocf_root, folder)
    shutil.copy(FAKES / "broker.py", made.program)
    made.program.chmod(0o755)
    write(made)
    yield made
    made.clean_up()


def write(agent: Agent, behaviour: str = "both") -> None:
    agent.config.write_text(f"# Written by a test.\nport={agent.port}\nbehaviour={behaviour}\n")


@pytest.mark.parametrize("version", ["both", "0-10", "1.0"])
def test_a_broker_of_any_version_lives_and_ends(qpidd: Agent, version: str) -> None:
    write(qpidd, version)
    assert qpidd.probe().code == 7
    assert qpidd.run("start").code == 0
    done = qpidd.run("monitor", PACEMAKER)
    assert (done.code, done.err) == (0, "")
    assert qpidd.probe().code == 0
    assert qpidd.run("stop").code == 0
    assert qpidd.run("monitor").code == 7
    assert not qpidd.processes()


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [
        ("silent", "accepts connections but does not answer in time"),
        ("stuck", "accepts connections but does not answer in time"),
        ("other", "does not speak AMQP"),
        ("without-login", "does not begin a login"),
        ("closes", "closes the connection without an answer"),
    ],
)
def test_a_broker_that_lives_and_does_not_serve(qpidd: Agent, behaviour: str, words: str) -> None:
    assert qpidd.run("start").code == 0
    os.kill(qpidd.pid(), signal.SIGKILL)
    assert qpidd.run("monitor").code == 7
    write(qpidd, behaviour)
    process = by_hand(qpidd)
    failed = qpidd.run("monitor", timeout=4)
    assert (failed.code, failed.reason.startswith(f"qpidd on 127.0.0.1:{qpidd.port}")) == (1, True)
    assert words in failed.reason
    assert qpidd.pid() == process
    assert qpidd.run("stop").code == 0
    assert not qpidd.processes()


def by_hand(qpidd: Agent) -> int:
    """Start the broker as somebody else would."""
    pid = os.posix_spawn(
        qpidd.program, [str(qpidd.program), f"--config={qpidd.config}"], os.environ, setsid=True
    )
    qpidd.await_listening()
    return pid


def test_a_stopped_broker_is_noticed_within_the_time_limit(qpidd: Agent) -> None:
    assert qpidd.run("start").code == 0
    os.kill(qpidd.pid(), signal.SIGSTOP)
    begun = time.monotonic()
    failed = qpidd.run("monitor", timeout=5)
    assert failed.code == 1
    assert "does not answer in time" in failed.reason
    assert time.monotonic() - begun < 5
    assert qpidd.run("stop").code == 0
    assert not qpidd.processes()


def test_a_broker_that_does_not_come_up_says_why(qpidd: Agent) -> None:
    write(qpidd, "die")
    failed = qpidd.run("start")
    assert failed.code == 1
    assert "lock held by another process" in failed.reason


def test_a_broker_with_another_file_is_another_one(qpidd: Agent, tmp_path: Path) -> None:
    """With the file that is its default, too, which a boot script need not name."""
    other = tmp_path / "other.conf"
    other.write_text(qpidd.config.read_text())
    pid = os.posix_spawn(qpidd.program, [str(qpidd.program), f"--config={other}"], os.environ, setsid=True)
    qpidd.await_listening()
    try:
        assert qpidd.probe().code == 7
        del qpidd.parameters["config"]
        assert qpidd.probe().code == 7
    finally:
        os.kill(pid, signal.SIGKILL)


@pytest.fixture
def scheduler(ocf_root: Path, tmp_path: Path) -> Iterator[Agent]:
    """A client of the broker."""
    folder = tmp_path / "client"
    folder.mkdir()
    made = make_agent("cinder-scheduler", ocf_root, folder)
    yield made
    made.clean_up()


HAVANA = """rpc_backend = cinder.openstack.common.rpc.impl_qpid
qpid_hostname = 127.0.0.1
qpid_port = {port}
qpid_username = openstack
qpid_password = verysecret
rabbit_host = 127.0.0.1
rabbit_port = 1
"""
ICEHOUSE = "transport_url = qpid://openstack:verysecret@127.0.0.1:{port}/"


@pytest.mark.parametrize("options", [HAVANA, ICEHOUSE])
def test_a_client_depends_on_its_qpid(qpidd: Agent, scheduler: Agent, options: str) -> None:
    assert qpidd.run("start").code == 0
    scheduler.write_config(listen=False, default=options.format(port=qpidd.port), hold=qpidd.port)
    assert scheduler.run("start").code == 0
    done = scheduler.run("monitor", PACEMAKER)
    assert (done.code, done.err) == (0, "")
    assert qpidd.run("stop").code == 0
    degraded = scheduler.run("monitor", PACEMAKER)
    assert degraded.code == 190
    assert f"message broker: 127.0.0.1:{qpidd.port} refuses connections" in degraded.reason


def test_other_parameters_than_those_of_an_api(qpidd: Agent) -> None:
    text = qpidd.run("meta-data").out
    assert 'name="bind_host"' in text
    assert 'name="url"' not in text
