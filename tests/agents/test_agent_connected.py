"""A service without an address serves when it holds a connection to its message broker."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

import pytest
from tests.agents.conftest import make_agent

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.agents.conftest import Agent, FakeServer

PACEMAKER = {"OCF_RA_VERSION_MAJOR": "1", "OCF_RA_VERSION_MINOR": "1"}


@pytest.fixture
def scheduler(ocf_root: Path, tmp_path: Path, broker: FakeServer) -> Iterator[Agent]:
    """A scheduler that holds a connection to its broker."""
    made = make_agent("cinder-scheduler", ocf_root, tmp_path)
    write(made, broker, hold=broker.port)
    yield made
    made.clean_up()


def write(agent: Agent, broker: FakeServer, **fake: Any) -> None:
    """Point the scheduler at the broker."""
    url = f"rabbit://openstack:verysecret@127.0.0.1:{broker.port}/"
    agent.write_config(listen=False, default=f"transport_url = {url}", **fake)


def test_connected(scheduler: Agent) -> None:
    begun = time.monotonic()
    assert scheduler.run("start").code == 0
    assert time.monotonic() - begun < 3
    done = scheduler.run("monitor", PACEMAKER)
    assert (done.code, done.err) == (0, "")
    assert scheduler.run("stop").code == 0


def test_start_waits_for_the_connection(scheduler: Agent, broker: FakeServer) -> None:
    write(scheduler, broker, hold=broker.port, delay=3.5)
    begun = time.monotonic()
    assert scheduler.run("start").code == 0
    assert time.monotonic() - begun > 3.5


def test_never_connected(scheduler: Agent, broker: FakeServer) -> None:
    write(scheduler, broker)
    failed = scheduler.run("start", timeout=5)
    assert failed.code == 1
    assert "was not ready in time" in failed.reason


def test_start_without_broker_is_as_far_as_it_gets(scheduler: Agent, broker: FakeServer) -> None:
    write(scheduler, broker)
    broker.down()
    assert scheduler.run("start").code == 0
    assert scheduler.run("monitor", PACEMAKER).code == 190


def test_connection_lost_for_long(scheduler: Agent, broker: FakeServer) -> None:
    broker.down()
    write(scheduler, broker)
    assert scheduler.run("start").code == 0
    broker.up()
    assert scheduler.run("monitor").code == 0, "it may take a while to come back"
    mark = scheduler.pid_file.with_suffix(".unconnected")
    long_ago = time.time() - 600
    os.utime(mark, (long_ago, long_ago))
    failed = scheduler.run("monitor")
    assert failed.code == 1
    assert "has had no connection to its message broker" in failed.reason
    assert scheduler.probe().code == 0

    broker.down()
    assert scheduler.run("monitor", PACEMAKER).code == 190
    broker.up()
    assert scheduler.run("monitor").code == 0, "the time without a broker does not count"


def test_port_of_the_broker_as_parameter(scheduler: Agent, broker: FakeServer) -> None:
    url = "rabbit://openstack:verysecret@127.0.0.1:1/"
    scheduler.write_config(listen=False, default=f"transport_url = {url}", hold=broker.port)
    scheduler.parameters["amqp_server_port"] = str(broker.port)
    assert broker.port > 9999
    assert scheduler.run("start").code == 0
    assert scheduler.run("monitor", PACEMAKER).code == 0


def test_several_brokers(scheduler: Agent, broker: FakeServer) -> None:
    address = f"openstack:verysecret@127.0.0.1:{broker.port}"
    url = f"rabbit://openstack:verysecret@127.0.0.1:1,{address}/"
    scheduler.write_config(listen=False, default=f"transport_url = {url}", hold=broker.port)
    assert scheduler.run("start").code == 0
    assert scheduler.run("monitor", PACEMAKER).code == 0
