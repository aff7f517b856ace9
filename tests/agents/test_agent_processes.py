"""What an agent takes for its service, and what not."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.agents.conftest import Agent


def test_whole_life(agent: Agent) -> None:
    assert agent.run("monitor").code == 7
    assert agent.run("start").code == 0
    pid = agent.pid()
    assert agent.run("monitor").code == 0
    assert agent.run("status").code == 0
    assert agent.probe().code == 0
    assert agent.run("start").code == 0
    assert agent.pid() == pid
    assert agent.run("stop").code == 0
    assert not agent.pid_file.exists()
    assert agent.processes() == []
    assert agent.run("stop").code == 0
    assert agent.run("monitor").code == 7


def test_daemon_has_session_outputs_and_environment_of_its_own(agent: Agent) -> None:
    assert agent.run("start").code == 0
    pid = agent.pid()
    assert os.getsid(pid) == pid
    variables = Path(f"/proc/{pid}/environ").read_text()
    assert "OCF_" not in variables
    descriptors = {str(path.readlink()) for path in Path(f"/proc/{pid}/fd").iterdir()}
    log = agent.parameters["output_log"]
    assert all(name in ("/dev/null", log) or name.startswith("socket:") for name in descriptors), descriptors
    assert (
        agent.pid_file.read_text().split()[1]
        == Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19]
    )


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can change the user")
def test_daemon_runs_as_its_user(agent: Agent) -> None:
    for path in [agent.directory, *agent.directory.parents][:4]:
        path.chmod(0o755)
    agent.parameters["user"] = "nobody"
    assert agent.run("start").code == 0
    status = Path(f"/proc/{agent.pid()}/status").read_text()
    uids = next(line for line in status.splitlines() if line.startswith("Uid:")).split()[1:]
    assert set(uids) == {"65534"}
    assert agent.run("monitor").code == 0
    assert agent.run("stop").code == 0
    assert agent.processes() == []


def test_dead(agent: Agent) -> None:
    agent.run("start")
    os.kill(agent.pid(), signal.SIGKILL)
    assert agent.run("monitor").code == 7
    assert agent.run("stop").code == 0


def test_zombie_is_dead(agent: Agent) -> None:
    process = agent.by_hand()
    assert agent.run("monitor").code == 0
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert agent.pid() == process.pid
    assert agent.run("monitor").code == 7
    assert agent.run("stop").code == 0
    process.wait()


@pytest.mark.parametrize("start_time", ["", "\n12345"])
def test_recycled_pid_is_not_believed(agent: Agent, start_time: str) -> None:
    with subprocess.Popen(["sleep", "60"]) as stranger:
        try:
            agent.pid_file.write_text(f"{stranger.pid}{start_time}\n")
            assert agent.run("monitor").code == 7
            assert agent.run("stop").code == 0
            assert stranger.poll() is None
            assert agent.run("start").code == 0
            assert agent.pid() != stranger.pid
        finally:
            stranger.kill()


def test_stale_start_time_of_the_right_pid_is_not_believed(agent: Agent) -> None:
    process = agent.by_hand()
    agent.pid_file.write_text(f"{process.pid}\n1\n")
    assert agent.run("monitor").code == 0
    assert agent.pid_file.read_text().split()[1] != "1"
    process.kill()
    process.wait()


def test_pid_file_of_a_published_agent_is_understood(agent: Agent) -> None:
    process = agent.by_hand()
    agent.pid_file.write_text(f"{process.pid}\n")
    assert agent.run("status").code == 0
    assert agent.run("stop").code == 0
    process.wait()


def test_copy_that_something_else_started(agent: Agent) -> None:
    process = agent.by_hand()
    assert agent.probe().code == 0
    assert agent.run("start").code == 0
    assert agent.processes() == [process.pid]
    assert agent.run("stop").code == 0
    assert process.wait(5) == -signal.SIGTERM


def test_copy_with_other_option_file_is_not_ours(agent: Agent) -> None:
    other = agent.config.with_name("other.conf")
    other.write_text(agent.config.read_text())
    with subprocess.Popen([agent.program, f"--config-file={other}"], start_new_session=True) as process:
        try:
            agent.await_listening()
            assert agent.probe().code == 7
            refused = agent.run("start")
            assert refused.code == 1
            assert f"127.0.0.1:{agent.port} is in use by process {process.pid}" in refused.reason
            assert agent.processes() == []
            assert agent.run("stop").code == 0
            assert process.poll() is None
        finally:
            process.kill()


def test_stopped_process_is_alive_and_not_serving(agent: Agent) -> None:
    agent.run("start")
    os.kill(agent.pid(), signal.SIGSTOP)
    hung = agent.run("monitor", timeout=3)
    assert hung.code == 1
    assert "does not answer" in hung.reason
    assert agent.probe().code == 1
    assert agent.run("stop", timeout=4).code == 0
    assert agent.processes() == []


@pytest.mark.parametrize("behaviour", ["serve", "ignore-term"])
def test_workers_that_outlive_their_master(agent: Agent, behaviour: str) -> None:
    agent.write_config(workers=2, behaviour=behaviour)
    assert agent.run("start").code == 0
    master = agent.pid()
    orphans = set(agent.processes()) - {master}
    assert len(orphans) == 2
    os.kill(master, signal.SIGKILL)
    left = agent.run("monitor")
    assert left.code == 1
    assert "workers are left behind" in left.reason
    assert agent.probe().code == 1
    assert agent.run("start").code == 0
    assert not orphans & set(agent.processes())
    assert agent.run("monitor").code == 0

    os.kill(agent.pid(), signal.SIGKILL)
    assert agent.run("stop").code == 0
    assert agent.processes() == []


def test_stop_kills_what_ignores_it(agent: Agent) -> None:
    agent.write_config(workers=1, behaviour="ignore-term")
    agent.run("start")
    begun = time.monotonic()
    assert agent.run("stop", timeout=3).code == 0
    assert time.monotonic() - begun < 3
    assert agent.processes() == []


def test_shutdown_timeout(agent: Agent) -> None:
    agent.parameters["shutdown_timeout"] = "1"
    agent.write_config(behaviour="ignore-term")
    agent.run("start")
    assert "had to be killed" in agent.run("stop", timeout=60).err
    assert agent.processes() == []


@pytest.mark.parametrize("missing", ["binary", "config", "user"])
def test_stop_needs_neither_program_nor_file_nor_user(agent: Agent, missing: str) -> None:
    agent.run("start")
    if missing == "user":
        agent.parameters["user"] = "no-such-user"
    else:
        Path(agent.parameters[missing]).rename(agent.directory / "away")
    assert agent.run("stop").code == 0
    assert agent.processes() == []
    assert agent.run("stop").code == 0
    assert agent.probe().code == 7
    failed = agent.run("start")
    assert failed.code == 5
    assert agent.parameters[missing] in failed.reason


def test_command_line_holds_no_secret(agent: Agent) -> None:
    agent.parameters |= {"os_username": "glance", "os_password": "verysecret", "os_tenant_name": "service"}
    agent.run("start")
    pid = agent.pid()
    assert (
        "verysecret"
        not in Path(f"/proc/{pid}/cmdline").read_text() + Path(f"/proc/{pid}/environ").read_text()
    )


def test_reload(agent: Agent) -> None:
    agent.write_config(behaviour="hup")
    agent.run("start")
    pid = agent.pid()
    assert agent.run("reload-agent").code == 0
    assert agent.config.with_name(agent.config.name + ".hup").exists()
    assert agent.pid() == pid
    agent.run("stop")
    assert agent.run("reload-agent").code == 7


def titled(title: str) -> subprocess.Popen[bytes]:
    """Start a process whose command line is a title, as that of Neutron's workers."""
    process = subprocess.Popen(
        [title], executable="/usr/bin/python3", stdin=subprocess.PIPE, start_new_session=True
    )
    assert process.stdin
    process.stdin.write(b"import time; time.sleep(60)\n")
    process.stdin.close()
    time.sleep(0.3)
    return process


def test_title_in_place_of_the_command_line(agent: Agent) -> None:
    command = f"(/usr/bin/python3 {agent.program} --config-file={agent.config} --config-file=/x)"
    other = titled(f"neutron-server: rpc worker {command.replace('/glance-api ', '/neutron-rpc-server ')}")
    own = titled(f"neutron-server: api worker {command}")
    try:
        assert agent.run("status").code == 0
        assert agent.pid() == own.pid
        assert agent.run("stop").code == 0
        assert own.wait(5) == -signal.SIGTERM
        assert other.poll() is None
        assert agent.run("status").code == 7
    finally:
        for process in (own, other):
            process.kill()
            process.wait()


def test_address_that_is_on_another_node(agent: Agent) -> None:
    """A copy that waits for its virtual address listens; asking the address would ask the copy where it is."""
    text = agent.config.read_text()
    agent.config.write_text(text.replace("bind_host = 127.0.0.1", "bind_host = 192.0.2.77"))
    assert agent.run("start").code == 0
    begun = time.monotonic()
    assert agent.run("monitor").code == 0
    assert time.monotonic() - begun < 3
    agent.config.write_text(agent.config.read_text().replace("192.0.2.77", "192.0.2.78"))
    silent = agent.run("monitor")
    assert silent.code == 1
    assert "does not listen" in silent.reason
