"""An agent of Neutron is heard by Neutron, or it is not; and where nobody is heard, no agent is to blame."""

from __future__ import annotations

import http.server
import json
import os
import time
from typing import TYPE_CHECKING, Any

import pytest
from tests.agents.conftest import FakeServer, KeystoneHandler, make_agent

from understudy.agents.understudy_agent.processes import _without_title

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.agents.conftest import Agent

PACEMAKER = {"OCF_RA_VERSION_MAJOR": "1", "OCF_RA_VERSION_MINOR": "1"}
HOST = "stack"


class NetworkHandler(http.server.BaseHTTPRequestHandler):
    """The Networking API, as far as it tells of its agents."""

    agents: list[dict[str, Any]]
    asked: list[str]

    def do_GET(self) -> None:
        NetworkHandler.asked.append(self.path)
        good = self.headers["X-Auth-Token"] in KeystoneHandler.tokens.read_text().split()
        body = json.dumps({"agents": NetworkHandler.agents}).encode() if good else b"{}"
        self.send_response(200 if good else 401)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        return


def told(*, own: bool, other: bool) -> list[dict[str, Any]]:
    return [
        {"binary": "neutron-l3-agent", "host": HOST, "alive": own},
        {"binary": "neutron-dhcp-agent", "host": HOST, "alive": other},
        {"binary": "neutron-l3-agent", "host": "elsewhere", "alive": other},
    ]


@pytest.fixture
def network() -> Iterator[FakeServer]:
    NetworkHandler.agents, NetworkHandler.asked = told(own=True, other=True), []
    server = FakeServer(NetworkHandler)
    yield server
    server.down()


@pytest.fixture
def l3(
    ocf_root: Path, tmp_path: Path, broker: FakeServer, keystone: FakeServer, network: FakeServer
) -> Iterator[Agent]:
    """A running L3 agent that holds a connection to its broker."""
    made = make_agent("neutron-l3-agent", ocf_root, tmp_path)
    url = f"rabbit://openstack:verysecret@127.0.0.1:{broker.port}/"
    credentials = "username = neutron\npassword = secret\nproject_name = service\n"
    login = f"[keystone_authtoken]\nauth_url = http://127.0.0.1:{keystone.port}\n{credentials}"
    default = f"transport_url = {url}\nhost = {HOST}"
    made.write_config(listen=False, default=default, extra=login, hold=broker.port)
    own = tmp_path / "etc" / "l3_agent.ini"
    own.write_text("")
    made.parameters |= {
        "plugin_config": str(own),
        "network_api_url": f"http://127.0.0.1:{network.port}",
        "dataplane": "keep",
    }
    assert made.run("start").code == 0
    yield made
    made.clean_up()


def missed_for(agent: Agent, seconds: float) -> None:
    """Have it look as if Neutron had missed the agent for so long."""
    mark = agent.pid_file.with_suffix(".unheard")
    os.utime(mark, (time.time() - seconds,) * 2)


def test_heard(l3: Agent) -> None:
    for _ in range(2):
        done = l3.run("monitor", PACEMAKER)
        assert (done.code, done.err) == (0, "")
    assert all("/v2.0/agents?" in path for path in NetworkHandler.asked)
    assert len(KeystoneHandler.requests) == 1, "the token is kept"


def test_an_agent_that_neutron_no_longer_hears_is_to_blame_after_a_while(l3: Agent) -> None:
    NetworkHandler.agents = told(own=False, other=True)
    assert l3.run("monitor", PACEMAKER).code == 0
    missed_for(l3, 20)
    failed = l3.run("monitor", PACEMAKER)
    assert failed.code == 1
    assert "on stack has not been heard by Neutron for 20 s" in failed.reason
    NetworkHandler.agents = told(own=True, other=True)
    assert l3.run("monitor", PACEMAKER).code == 0
    NetworkHandler.agents = told(own=False, other=True)
    assert l3.run("monitor", PACEMAKER).code == 0, "it counts anew"


def test_where_neutron_hears_nobody_no_agent_is_to_blame(l3: Agent) -> None:
    NetworkHandler.agents = told(own=False, other=False)
    done = l3.run("monitor", PACEMAKER)
    assert done.code == 190
    assert "hears none of its agents" in done.reason


@pytest.mark.parametrize("away", ["network", "keystone"])
def test_an_api_that_is_away_is_no_reason_to_restart_an_agent(
    l3: Agent, away: str, request: pytest.FixtureRequest
) -> None:
    request.getfixturevalue(away).down()
    done = l3.run("monitor", PACEMAKER)
    assert done.code == 190
    assert "does not tell of its agents" in done.reason


def test_a_lost_broker_is_told_from_an_agent_that_is_not_heard(l3: Agent, broker: FakeServer) -> None:
    NetworkHandler.agents = told(own=False, other=True)
    l3.run("monitor", PACEMAKER)
    missed_for(l3, 20)
    broker.down()
    done = l3.run("monitor", PACEMAKER)
    assert done.code == 190
    assert "message broker" in done.reason


def test_without_the_parameter_nothing_is_asked(l3: Agent) -> None:
    del l3.parameters["network_api_url"]
    assert l3.run("monitor", PACEMAKER).code == 0
    assert not NetworkHandler.asked


@pytest.mark.parametrize("title", ["neutron-l3-agent", "neutron-server: api worker"])
def test_a_command_line_that_a_title_has_taken_the_place_of(title: str) -> None:
    command = ["/usr/bin/python3", "/usr/bin/neutron-l3-agent", "--config-file=/etc/neutron/neutron.conf"]
    assert _without_title([f"{title} ({' '.join(command)})"]) == command
    assert _without_title(command) == command
