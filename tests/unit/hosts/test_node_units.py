"""What the service managers really answer, and what is believed of it."""

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from understudy.hosts.fake import FakeMachine
from understudy.hosts.node import machine
from understudy.hosts.node.base import Refused, System


class Answers(FakeMachine):
    """A machine whose programs give fixed answers."""

    def __init__(self, root: Path, answers: dict[str, tuple[int, str, str]]) -> None:
        super().__init__(root)
        self.answers = answers
        self.asked: list[list[str]] = []

    def run(self, argv: list[str], **_: Any) -> tuple[int, str, str]:
        self.asked.append(argv)
        return self.answers.get(argv[0], (0, "", ""))


def process(  # noqa: PLR0917
    root: Path,
    pid: int,
    cmdline: str,
    environment: str = "",
    state: str = "S",
    parent: int = 1,
    name: str = "a) b",
) -> None:
    directory = root / "proc" / str(pid)
    directory.mkdir(parents=True)
    (directory / "stat").write_text(f"{pid} ({name}) {state} {parent} 1")
    (directory / "cmdline").write_text(cmdline.replace(" ", "\0"))
    (directory / "environ").write_text(environment.replace(" ", "\0"))


@pytest.mark.parametrize(
    ("status", "output", "running"),
    [
        (0, "glance-api is running.", True),
        (0, "", False),  # the program is not installed: the script left without a word
        (1, "dead, but the pid file exists", False),
        (3, "not running", False),
        (4, "status is unclear", False),
    ],
)
def test_exit_status_of_an_init_script(tmp_path: Path, status: int, output: str, running: bool) -> None:
    fake = Answers(tmp_path, {"service": (status, output, "")})
    fake.add_unit("glance-api")
    process(tmp_path, 78, "python3 /usr/bin/glance-api")
    assert machine.read_unit(fake, {"name": "glance-api"}) == {
        "manager": "sysv",
        "known": True,
        "enabled": True,
        "running": running,
    }


def test_pid_file_shows_a_daemon_that_status_does_not_find(tmp_path: Path) -> None:
    fake = Answers(tmp_path, {"service": (3, "not running", "")})
    fake.add_unit("glance-api", enabled=False)
    fake.put("/run/glance/glance-api.pid", "77\n")
    assert machine.read_unit(fake, {"name": "glance-api"})["running"] is False  # type: ignore[index]
    process(tmp_path, 77, "python3 glance-api")
    assert machine.read_unit(fake, {"name": "glance-api"}) == {
        "manager": "sysv",
        "known": True,
        "enabled": False,
        "running": True,
    }


@pytest.mark.parametrize("state", ["Z", "X"])
def test_dead_process_does_not_run(tmp_path: Path, state: str) -> None:
    fake = Answers(tmp_path, {"service": (3, "not running", "")})
    fake.add_unit("cron")
    fake.put("/run/cron.pid", "77\n")
    process(tmp_path, 77, "cron", state=state)
    assert machine.read_unit(fake, {"name": "cron"})["running"] is False  # type: ignore[index]


def test_daemon_of_pacemaker_is_not_the_units(tmp_path: Path) -> None:
    fake = Answers(tmp_path, {"service": (0, "mariadb is running", "")})
    fake.add_unit("mariadb", enabled=False, running=False)
    fake.put("/run/mysqld/mariadb.pid", "77\n")
    process(tmp_path, 77, "/usr/sbin/mariadbd", "OCF_RESOURCE_INSTANCE=mariadb PATH=/bin")
    assert machine.read_unit(fake, {"name": "mariadb"})["running"] is False  # type: ignore[index]


def test_daemon_in_an_agents_pid_file_is_not_the_units(tmp_path: Path) -> None:
    fake = Answers(tmp_path, {"service": (0, "glance-api is running", "")})
    fake.add_unit("glance-api", enabled=False, running=False)
    fake.put("/run/resource-agents/glance-api.pid", "77\n12345\n")
    process(tmp_path, 77, "python3 /usr/bin/glance-api", "PATH=/bin")
    assert machine.read_unit(fake, {"name": "glance-api"})["running"] is False  # type: ignore[index]


def test_script_that_takes_another_daemon_for_its_own_is_not_believed(tmp_path: Path) -> None:
    fake = Answers(tmp_path, {"service": (0, "neutron-api is running", "")})
    fake.add_unit("neutron-api", enabled=False, running=False)
    process(tmp_path, 77, "uwsgi_python3 --ini /etc/keystone/keystone-uwsgi.ini", "PATH=/bin")
    assert machine.read_unit(fake, {"name": "neutron-api"})["running"] is False  # type: ignore[index]
    assert not fake.asked
    process(tmp_path, 78, "uwsgi_python3 --ini /etc/neutron/neutron-api-uwsgi.ini", "PATH=/bin")
    assert machine.read_unit(fake, {"name": "neutron-api"})["running"] is True  # type: ignore[index]


def test_worker_of_a_daemon_of_pacemaker_is_not_the_units(tmp_path: Path) -> None:
    fake = Answers(tmp_path, {"service": (0, "nova-api is running", "")})
    fake.add_unit("nova-api", enabled=False, running=False)
    fake.put("/run/resource-agents/nova-api.pid", "77\n")
    process(tmp_path, 77, "python3 /usr/bin/nova-api", "PATH=/bin")
    process(tmp_path, 78, "python3 /usr/bin/nova-api", "PATH=/bin", parent=77)
    assert machine.read_unit(fake, {"name": "nova-api"})["running"] is False  # type: ignore[index]


def test_somebodys_command_is_no_daemon(tmp_path: Path) -> None:
    fake = Answers(tmp_path, {"service": (0, "mariadb is running", "")})
    fake.add_unit("mariadb", enabled=False, running=False)
    process(tmp_path, 76, "sshd: root@notty", name="sshd")
    process(tmp_path, 77, "/usr/bin/python3 -IS -c pass", parent=76, name="python3")
    process(tmp_path, 78, "mariadb -N", parent=77, name="mariadb")
    assert machine.read_unit(fake, {"name": "mariadb"})["running"] is False  # type: ignore[index]
    assert not fake.asked
    process(tmp_path, 79, "/usr/sbin/mariadbd", name="mariadbd")
    assert machine.read_unit(fake, {"name": "mariadb"})["running"] is True  # type: ignore[index]


def test_a_process_that_ends_while_it_is_looked_at_is_no_daemon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = Answers(tmp_path, {"service": (0, "mariadb is running", "")})
    fake.add_unit("mariadb", enabled=False, running=False)
    process(tmp_path, 78, "mariadb -N", "OCF_RESOURCE_INSTANCE=mariadb")
    read = machine._of_an_agent

    def ended(system: System, one: Path) -> bool:
        shutil.rmtree(one)
        return read(system, one)

    monkeypatch.setattr(machine, "_of_an_agent", ended)
    assert machine.read_unit(fake, {"name": "mariadb"})["running"] is False  # type: ignore[index]


def test_unknown_init_script_cannot_be_switched(tmp_path: Path) -> None:
    fake = Answers(tmp_path, {})
    assert machine.read_unit(fake, {"name": "none"})["known"] is False  # type: ignore[index]
    with pytest.raises(Refused, match="node-unit-unknown"):
        machine.write_unit(fake, {"name": "none", "enabled": False, "running": False})


def test_script_without_links_gets_them_before_it_is_switched(tmp_path: Path) -> None:
    fake = Answers(tmp_path, {})
    fake.put("/etc/init.d/haproxy", "")
    machine.write_unit(fake, {"name": "haproxy", "enabled": False, "running": None})
    assert fake.asked == [["update-rc.d", "haproxy", "defaults"], ["update-rc.d", "haproxy", "disable"]]


@pytest.mark.parametrize(
    ("shown", "known", "enabled", "running"),
    [
        ("LoadState=loaded\nUnitFileState=enabled\nActiveState=active", True, True, True),
        ("LoadState=loaded\nUnitFileState=disabled\nActiveState=failed", True, False, False),
        ("LoadState=loaded\nUnitFileState=static\nActiveState=inactive", True, None, False),
        ("LoadState=masked\nUnitFileState=masked\nActiveState=inactive", True, False, False),
        ("LoadState=not-found\nUnitFileState=\nActiveState=inactive", False, False, False),
        ("LoadState=loaded\nUnitFileState=generated\nActiveState=activating", True, False, True),
    ],
)
def test_states_of_systemd(
    tmp_path: Path, shown: str, known: bool, enabled: bool | None, running: bool
) -> None:
    fake = Answers(tmp_path, {"systemctl": (0, shown, "")})
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    assert machine.read_unit(fake, {"name": "x"}) == {
        "manager": "systemd",
        "known": known,
        "enabled": enabled,
        "running": running,
    }


def test_systemd_is_told_to_disable_and_stop(tmp_path: Path) -> None:
    fake = Answers(tmp_path, {})
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    machine.write_unit(fake, {"name": "x", "enabled": False, "running": False})
    assert fake.asked == [["systemctl", "disable", "--", "x"], ["systemctl", "stop", "--", "x"]]


def test_packages_that_dpkg_only_remembers_are_not_installed(tmp_path: Path) -> None:
    rows = "a\tinstalled\t1.2\nb\tconfig-files\t3\n"
    fake = Answers(tmp_path, {"dpkg-query": (1, rows, "dpkg-query: no packages found matching c")})
    assert machine.read_packages(fake, {"names": ["a", "b", "c"]}) == {"a": "1.2", "b": None, "c": None}


def test_lists_are_fetched_when_apt_does_not_know_a_name(tmp_path: Path) -> None:
    fake = Answers(tmp_path, {"apt-get": (100, "", "E: Unable to locate package a")})
    with pytest.raises(Refused):
        machine.install_packages(fake, {"names": ["a"]})
    assert [argv[len(machine.APT)] for argv in fake.asked] == ["install", "update"]


def test_own_process_is_alive(tmp_path: Path) -> None:
    pid_file = tmp_path / "x.pid"
    pid_file.write_text(str(os.getpid()))
    assert machine._alive(System(), pid_file)
