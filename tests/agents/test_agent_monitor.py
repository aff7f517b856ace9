"""What a monitor tells apart: not serving, serving without a dependency, serving."""

from __future__ import annotations

import os
import stat
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.agents.conftest import Agent, FakeServer

PACEMAKER = {"OCF_RA_VERSION_MAJOR": "1", "OCF_RA_VERSION_MINOR": "1"}
DEEP = {"OCF_CHECK_LEVEL": "10"}


@pytest.fixture
def whole(agent: Agent, database: FakeServer, broker: FakeServer, keystone: FakeServer) -> Agent:
    """A service that runs with all of its dependencies."""
    agent.write_config(
        tokens=agent.directory / "tokens",
        default=f"transport_url = rabbit://openstack:verysecret@127.0.0.1:{broker.port}/",
        extra=f"""
[oslo_messaging_notifications]
driver = messagingv2
[database]
connection = mysql+pymysql://glance:verysecret@127.0.0.1:{database.port}/glance
[keystone_authtoken]
auth_url = http://127.0.0.1:{keystone.port}
username = glance
password = verysecret
project_name = service
""",
    )
    assert agent.run("start").code == 0
    return agent


def test_all_is_well(whole: Agent) -> None:
    done = whole.run("monitor", PACEMAKER)
    assert (done.code, done.err) == (0, "")


@pytest.mark.parametrize("which", ["database", "broker", "keystone"])
def test_dependency_gone_is_no_failure(whole: Agent, request: pytest.FixtureRequest, which: str) -> None:
    server: FakeServer = request.getfixturevalue(which)
    server.down()
    word = {"database": "database", "broker": "message broker", "keystone": "Keystone"}[which]
    degraded = whole.run("monitor", PACEMAKER)
    assert degraded.code == 190
    assert f"{word}: 127.0.0.1:{server.port} refuses connections" in degraded.reason
    assert "verysecret" not in degraded.err
    assert whole.run("monitor").code == 0
    assert whole.probe().code == 0
    server.up()
    assert whole.run("monitor", PACEMAKER).code == 0


def test_dependencies_are_left_politely(whole: Agent, database: FakeServer, broker: FakeServer) -> None:
    """A MariaDB locks out a host that leaves without a word too often; a RabbitMQ complains in its log."""
    assert whole.run("monitor").code == 0
    assert database.handler.good_byes == 1
    assert broker.handler.good_byes == 1
    assert broker.handler.virtual_host == "/"


def test_broker_that_refuses_the_service(whole: Agent, broker: FakeServer) -> None:
    broker.handler.refuse = True
    degraded = whole.run("monitor", PACEMAKER)
    assert degraded.code == 190
    assert "refuses the service (AMQP reply 403)" in degraded.reason


def test_hung_service_is_failed_within_the_deadline(agent: Agent) -> None:
    agent.run("start")
    agent.write_config(behaviour="hang")
    agent.run("stop")
    process = agent.by_hand()
    hung = agent.run("monitor", timeout=4)
    assert hung.code == 1
    assert "accepts connections but does not answer in time" in hung.reason
    process.kill()
    process.wait()


def test_service_that_has_too_much_to_do_is_left_alone_for_a_while(agent: Agent) -> None:
    agent.write_config(behaviour="toil")
    process = agent.by_hand()
    busy = agent.run("monitor", PACEMAKER, timeout=8)
    assert busy.code == 190
    assert "keeps its clients waiting: it has more to do than it can" in busy.reason
    mark = agent.directory / "run" / "p_glance-api.busy"
    os.utime(mark, (time.time() - 100,) * 2)
    endless = agent.run("monitor", PACEMAKER, timeout=8)
    assert endless.code == 1
    assert "accepts connections but does not answer in time" in endless.reason
    process.kill()
    process.wait()
    agent.write_config()
    assert agent.run("start").code == 0
    assert not mark.exists()


def test_service_whose_workers_wait_for_the_database_is_left_alone(
    agent: Agent, database: FakeServer
) -> None:
    url = f"mysql+pymysql://glance:verysecret@127.0.0.1:{database.port}/glance"
    agent.write_config(behaviour="hang", extra=f"[database]\nconnection = {url}")
    process = agent.by_hand()
    hung = agent.run("monitor", PACEMAKER, timeout=6)
    assert hung.code == 1, "the database answers, so it is the service that hangs"
    database.down()
    waiting = agent.run("monitor", PACEMAKER, timeout=6)
    assert waiting.code == 190
    assert f"keeps its clients waiting: database: 127.0.0.1:{database.port} refuses" in waiting.reason
    process.kill()
    process.wait()


def test_dead_while_a_dependency_is_gone(whole: Agent, database: FakeServer) -> None:
    database.down()
    assert whole.run("stop").code == 0
    assert whole.run("monitor", PACEMAKER).code == 7


def test_silent_database(whole: Agent, database: FakeServer) -> None:
    database.handler.silent = True
    degraded = whole.run("monitor", PACEMAKER, timeout=5)
    assert degraded.code == 190
    assert "accepts connections but does not answer in time" in degraded.reason


def asked(agent: Agent) -> list[list[str]]:
    """Return path, token and status of every authenticated request."""
    path = agent.directory / "tokens.asked"
    return [line.split() for line in path.read_text().splitlines()] if path.exists() else []


def test_authenticated_with_the_credentials_of_the_service(whole: Agent, keystone: FakeServer) -> None:
    assert whole.run("monitor", PACEMAKER | DEEP).code == 0
    assert whole.run("monitor", PACEMAKER | DEEP).code == 0
    assert asked(whole) == [["/v2/images?limit=1", "token-1", "200"]] * 2
    (request,) = keystone.handler.requests
    assert request["path"] == "/v3/auth/tokens"
    kept = whole.directory / "run" / "p_glance-api.token"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert "verysecret" not in kept.read_text()


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("os_auth_url", "http://127.0.0.1:{port}/v2.0/"),
        ("os_auth_url", "http://127.0.0.1:{port}/v3"),
        ("keystone_get_token_url", "http://127.0.0.1:{port}/v2.0/tokens"),
        ("keystone_get_token_url", "http://127.0.0.1:{port}/v2.0/"),
    ],
)
def test_parameters_of_version_2_are_translated(
    whole: Agent, keystone: FakeServer, name: str, url: str
) -> None:
    whole.parameters |= {
        "os_username": "admin",
        "os_password": "verysecret",
        "os_tenant_name": "demo",
        name: url.format(port=keystone.port),
    }
    done = whole.run("monitor", PACEMAKER)
    assert (done.code, done.err) == (0, "")
    (request,) = keystone.handler.requests
    assert request["path"] == "/v3/auth/tokens"
    user = {"name": "admin", "domain": {"name": "Default"}, "password": "verysecret"}
    assert request["body"]["auth"]["identity"] == {"methods": ["password"], "password": {"user": user}}
    assert request["body"]["auth"]["scope"] == {"project": {"name": "demo", "domain": {"name": "Default"}}}


def test_token_that_is_no_longer_taken_is_replaced(whole: Agent, keystone: FakeServer) -> None:
    assert whole.run("monitor", DEEP).code == 0
    keystone.handler.tokens.write_text("another")
    assert whole.run("monitor", DEEP).code == 0
    assert [line[1:] for line in asked(whole)] == [["token-1", "200"], ["token-1", "401"], ["token-2", "200"]]


def test_keystone_that_refuses_is_no_failure_of_the_service(whole: Agent, keystone: FakeServer) -> None:
    keystone.handler.refuse = True
    degraded = whole.run("monitor", PACEMAKER | DEEP)
    assert degraded.code == 190
    assert "Keystone answers 401" in degraded.reason


def test_api_that_fails_while_all_else_answers(whole: Agent) -> None:
    whole.run("stop")
    text = whole.config.read_text()
    whole.config.write_text(text.replace("[fake]\n", "[fake]\napi_status = 500\n"))
    assert whole.run("start").code == 0
    assert whole.run("monitor", PACEMAKER).code == 0
    failed = whole.run("monitor", PACEMAKER | DEEP)
    assert failed.code == 1
    assert "everything that glance-api depends on answers" in failed.reason
    assert "answers 500" in failed.reason
    assert whole.probe().code == 0


def test_probe_of_a_node_without_the_option_file(agent: Agent) -> None:
    agent.config.unlink()
    assert agent.probe().code == 7
