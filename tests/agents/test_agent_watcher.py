"""The watcher beside a service: it tells Pacemaker of a death at once, and never of what was done in order."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.agents.conftest import is_alive, until

if TYPE_CHECKING:
    from tests.agents.conftest import Agent, FakeServer

SECONDS = 15
RECORDER = """#!/bin/sh
case "$*" in --query*) cat {log}.slow 2>/dev/null; exit;; esac
echo "$(basename "$0") $*" >> {log}
"""


class Watched:
    """A service with a watcher, and what that told Pacemaker."""

    def __init__(self, agent: Agent) -> None:
        self.agent = agent
        self.log = agent.directory / "told"
        self.log.touch()
        commands = agent.directory / "commands"
        commands.mkdir()
        for name in ("crm_resource", "attrd_updater"):
            (commands / name).write_text(RECORDER.format(log=self.log))
            (commands / name).chmod(0o755)
        self.environment = {
            "PATH": f"{commands}:/usr/sbin:/usr/bin:/sbin:/bin",
            "OCF_RESKEY_CRM_meta_on_node": "controller-1",
        }
        agent.parameters |= {"watch": "true", "addresses": "203.0.113.103"}

    def run(self, action: str, **options: int) -> int:
        return self.agent.run(action, self.environment, **options).code

    @property
    def file(self) -> Path:
        return self.agent.directory / "run" / f"p_{self.agent.service}.watcher"

    def pid(self) -> int:
        """Return the watcher's pid, 0 when there is none."""
        try:
            pid = int(self.file.read_text().split()[0])
            return pid if Path(f"/proc/{pid}").exists() else 0
        except (OSError, IndexError):
            return 0

    def say_slow(self, node: str, seconds_ago: float) -> None:
        """Have Pacemaker say that the copy on a node was slow then."""
        stamp = int(time.time() - seconds_ago)
        line = f'name="slow-p_glance-api" host="{node}" value="{stamp}"\n'
        Path(f"{self.log}.slow").write_text('name="slow-p_glance-api" host="controller-3" value=""\n' + line)

    def told(self) -> list[str]:
        return self.log.read_text().splitlines()


MARKED = "attrd_updater --name unhealthy-p_glance-api --update 1 --delay 0 --node controller-1"
UNMARKED = "attrd_updater --name unhealthy-p_glance-api --delete --node controller-1"
FAILED = "crm_resource --fail --resource p_glance-api --node controller-1"


@pytest.fixture
def watched(agent: Agent) -> Watched:
    made = Watched(agent)
    assert made.run("start") == 0
    until(made.pid)
    return made


def test_death_is_told_at_once_address_first(watched: Watched) -> None:
    until(lambda: UNMARKED in watched.told())
    pid, begun = watched.agent.pid(), time.monotonic()
    os.kill(pid, signal.SIGKILL)
    until(lambda: FAILED in watched.told())
    assert time.monotonic() - begun < 5
    assert [each for each in watched.told() if each != UNMARKED] == [MARKED, FAILED]
    until(lambda: not watched.pid() and not watched.file.exists())


def test_stop_is_no_death_and_leaves_nothing(watched: Watched) -> None:
    pid = watched.pid()
    assert watched.run("stop") == 0
    until(lambda: not is_alive(pid))
    assert not watched.file.exists()
    time.sleep(0.5)
    assert FAILED not in watched.told()
    assert MARKED not in watched.told()


def test_hung_copy_is_marked_and_unmarked_when_it_answers(watched: Watched) -> None:
    until(lambda: UNMARKED in watched.told())
    os.kill(watched.agent.pid(), signal.SIGSTOP)
    until(lambda: MARKED in watched.told())
    os.kill(watched.agent.pid(), signal.SIGCONT)
    until(lambda: watched.told()[-1] == UNMARKED)
    assert FAILED not in watched.told()


def test_copy_tells_the_others_privately_when_it_was_slow(watched: Watched) -> None:
    os.kill(watched.agent.pid(), signal.SIGSTOP)
    until(lambda: any("slow-p_glance-api" in line for line in watched.told()))
    (line,) = (line for line in watched.told() if "slow-p_glance-api" in line)
    given = line.partition("--private --update ")[2].split()
    assert abs(int(given[0]) - time.time()) < SECONDS


@pytest.mark.parametrize(
    ("node", "seconds_ago", "leaves"),
    [("controller-2", 10, False), ("controller-2", 60, True), ("controller-1", 10, True)],
    ids=("another has just been slow", "another was slow long ago", "only this one was slow"),
)
def test_address_that_left_a_slow_copy_stays_for_a_while(
    watched: Watched, node: str, seconds_ago: float, leaves: bool
) -> None:
    watched.say_slow(node, seconds_ago)
    until(lambda: UNMARKED in watched.told())
    os.kill(watched.agent.pid(), signal.SIGSTOP)
    begun = time.monotonic()
    while time.monotonic() - begun < SECONDS and MARKED not in watched.told():
        time.sleep(0.1)
    assert (MARKED in watched.told()) is leaves


def test_hung_copy_stops_in_order(watched: Watched) -> None:
    os.kill(watched.agent.pid(), signal.SIGSTOP)
    begun = time.monotonic()
    assert watched.run("stop") == 0
    assert time.monotonic() - begun < 8
    assert watched.agent.processes() == []


def test_killed_watcher_is_replaced_by_the_next_monitor(watched: Watched) -> None:
    killed = watched.pid()
    os.kill(killed, signal.SIGKILL)
    until(lambda: not watched.pid())
    assert watched.run("monitor", interval=0) == 0
    assert not watched.pid(), "a probe starts nothing"
    assert watched.run("monitor") == 0
    until(watched.pid)
    assert watched.pid() != killed
    assert watched.run("monitor") == 0
    assert watched.run("start") == 0
    watchers = [path for path in Path("/proc").glob("[0-9]*") if str(watched.agent.root) in _command(path)]
    assert len(watchers) == 1


def _command(path: Path) -> str:
    try:
        text = (path / "cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""
    return text if text.rstrip().endswith(" watch") else ""


def test_a_node_that_joins_without_a_copy_has_no_address_until_one_serves(agent: Agent) -> None:
    joined = Watched(agent)
    assert joined.run("monitor", interval=0) == 7
    assert joined.told() == [MARKED]
    assert joined.run("monitor") == 7
    assert joined.told() == [MARKED]
    assert joined.run("start") == 0
    until(lambda: joined.told()[-1] == UNMARKED)
    assert joined.run("monitor", interval=0) == 0
    assert joined.told() == [MARKED, UNMARKED]


@pytest.mark.parametrize("parameter", ["watch", "addresses"])
def test_nobody_is_marked_who_could_not_be_unmarked(agent: Agent, parameter: str) -> None:
    joined = Watched(agent)
    del agent.parameters[parameter]
    assert joined.run("monitor", interval=0) == 7
    assert joined.told() == []


def with_identity(agent: Agent, keystone: FakeServer) -> Watched:
    agent.write_config(
        tokens=agent.directory / "tokens",
        extra=f"""
[keystone_authtoken]
auth_url = http://127.0.0.1:{keystone.port}
username = glance
password = verysecret
project_name = service
""",
    )
    return Watched(agent)


def test_the_service_is_asked_what_a_client_would_ask_before_clients_come(
    agent: Agent, keystone: FakeServer
) -> None:
    watched = with_identity(agent, keystone)
    asked = agent.directory / "tokens.asked"
    assert watched.run("start") == 0
    until(asked.exists)
    until(lambda: UNMARKED in watched.told())
    assert asked.read_text() == "/v2/images?limit=1 token-1 200\n"
    assert watched.run("stop") == 0


def test_a_keystone_that_gives_no_token_keeps_nobody_from_watching(
    agent: Agent, keystone: FakeServer
) -> None:
    keystone.handler.refuse = True
    watched = with_identity(agent, keystone)
    assert watched.run("start") == 0
    until(watched.pid)
    os.kill(agent.pid(), signal.SIGKILL)
    until(lambda: FAILED in watched.told())


def test_without_the_parameter_nothing_watches(agent: Agent) -> None:
    assert agent.run("start").code == 0
    assert agent.run("monitor").code == 0
    assert not list((agent.directory / "run").glob("*.watcher"))
