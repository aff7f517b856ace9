"""A lab as its users meet it: it boots, it is reached over SSH, and nothing of it shows on the host."""

import asyncio
import os
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest
from tests.lab.conftest import NewLab, host_state, management, over_ssh, run, small_topology

from understudy.findings import FindingsError
from understudy.lab.cleanup import leftovers, wait_until_gone
from understudy.lab.client import CLIENT, SWITCH, Lab, LabError, wait_until_ended
from understudy.lab.lifecycle import Materials, bring_up, sweep, take_down

pytestmark = [pytest.mark.root, pytest.mark.lab]


async def test_all_nodes_are_reached_over_ssh_with_their_own_keys_and_names(lab: Lab) -> None:
    names = list(lab.topology.nodes)
    answers = await asyncio.gather(*(over_ssh(lab, name, "hostname; id -un") for name in names))
    assert [answer.split() for answer in answers] == [[name, "root"] for name in names]


async def test_no_password_logs_in(lab: Lab) -> None:
    settings = await over_ssh(lab, "controller-1", "sshd -T")
    assert "passwordauthentication no" in settings
    assert "permitrootlogin without-password" in settings


def test_nodes_reach_one_another_by_name_in_every_network_and_nothing_else(lab: Lab) -> None:
    run(
        lab,
        "controller-1",
        "ping -c1 -W2 controller-2; ping -c1 -W2 203.0.113.13; ping -c1 -W2 192.168.43.12",
    )
    beyond = lab.run_in("controller-1", ["ping", "-c1", "-W1", "192.0.2.1"])
    assert beyond.returncode != 0
    assert "unreachable" in beyond.stderr


def test_a_client_reaches_the_public_network_only(lab: Lab) -> None:
    lab.open_socket("203.0.113.11", 22, 5, where=CLIENT).close()
    with pytest.raises(OSError, match="unreachable"):
        lab.open_socket(management(lab, "controller-1"), 22, 5, where=CLIENT)


def test_a_socket_from_the_lab_leaves_the_caller_where_it_is(lab: Lab) -> None:
    before = Path("/proc/thread-self/ns/net").readlink()
    with lab.open_socket(management(lab, "controller-1"), 22, 5, where=SWITCH) as connection:
        assert connection.recv(4) == b"SSH-"
    assert Path("/proc/thread-self/ns/net").readlink() == before


def test_a_node_has_its_own_of_everything_that_memory_holds(lab: Lab) -> None:
    for folder in ("/run", "/tmp", "/dev/shm"):
        run(lab, "controller-1", f"touch {folder}/mine")
        assert lab.run_in("controller-2", ["test", "-e", f"{folder}/mine"]).returncode == 1
    processes = run(lab, "controller-1", "ps -e -o pid=,comm=").split()
    assert processes[:2] == ["1", "python3"]
    assert len(processes) < 20


@pytest.mark.parametrize(
    "script",
    [
        "date -s 2001-01-01",
        "echo 1 > /proc/sys/kernel/panic",
        "echo 1 > /proc/sys/vm/drop_caches",
        "mount -o remount,rw /proc/sys && echo 65 > /proc/sys/kernel/sysrq && false",
        "dmesg --clear",
        "test -b /dev/vda",
    ],
)
def test_a_node_does_not_reach_through_to_the_host(lab: Lab, script: str) -> None:
    # Over SSH: what logs in there has the node's capabilities; run_in enters with the caller's.
    with pytest.raises(Exception, match="exit"):
        asyncio.run(over_ssh(lab, "controller-1", script))


def test_a_node_begins_with_nothing_enabled_but_sshd(lab: Lab) -> None:
    assert run(lab, "controller-1", "cd /etc/rc2.d; ls -d S*") == "S01ssh\n"
    run(lab, "controller-1", "ls /etc/rc2.d/K01corosync")


def test_what_is_enabled_starts_at_boot_and_orphans_are_reaped(lab: Lab) -> None:
    run(lab, "controller-3", "update-rc.d memcached enable; (sleep 0.1 &)")
    lab.crash("controller-3")
    lab.boot("controller-3")
    run(
        lab,
        "controller-3",
        "service memcached status; (sleep 0.05 &); sleep 0.3; ! ps -e -o stat= | grep -q Z",
    )
    run(lab, "controller-3", "update-rc.d memcached disable; service memcached stop")


def test_an_orderly_shutdown_stops_services_and_keeps_what_they_wrote(lab: Lab) -> None:
    script = "#!/bin/sh\n[ $1 = stop ] && sleep 0.2 && echo $1 > /root/said\nexit 0\n"
    run(lab, "controller-3", f"printf '{script}' > /etc/init.d/probe; chmod 755 /etc/init.d/probe")
    run(lab, "controller-3", "ln -s ../init.d/probe /etc/rc2.d/S99probe")
    lab.power_off("controller-3")
    assert lab.status().nodes["controller-3"].power == "off"
    lab.boot("controller-3")
    assert run(lab, "controller-3", "cat /root/said; rm /etc/rc2.d/S99probe") == "stop\n"


def test_what_is_said_to_syslog_is_kept_with_a_precise_time(lab: Lab) -> None:
    run(lab, "controller-1", "logger -t probe hello")
    line = run(lab, "controller-1", "sleep 0.2; grep 'probe: hello' /var/log/syslog | tail -1")
    assert line.split()[0].count(".") == 1


def test_a_reboot_from_inside_boots_the_node_again(lab: Lab) -> None:
    before = lab.status().nodes["controller-2"].pid
    lab.run_in("controller-2", ["python3", "-c", "import ctypes; ctypes.CDLL(None).reboot(0x01234567)"])
    deadline = time.monotonic() + 20
    while (now := lab.status().nodes["controller-2"]).pid in {None, before} or not now.booted:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_an_unknown_order_or_node_is_refused_and_the_lab_lives_on(lab: Lab) -> None:
    for verb, arguments in (
        ("explode", {}),
        ("crash", {"node": "nobody"}),
        ("crash", {}),
        ("crash", {"nod": "x"}),
    ):
        with pytest.raises(LabError):
            lab.call(verb, **arguments)
    assert lab.status().nodes


def test_two_labs_with_the_same_addresses_do_not_meet(new_lab: NewLab, lab: Lab) -> None:
    other = new_lab("other")
    run(lab, "controller-1", "touch /root/first")
    assert other.run_in("controller-1", ["test", "-e", "/root/first"]).returncode == 1
    other.crash("controller-2")
    run(lab, "controller-1", "ping -c1 -W2 controller-2")
    assert other.run_in("controller-1", ["ping", "-c1", "-W1", "controller-2"]).returncode == 1


def test_the_same_lab_twice_is_the_same_lab(lab: Lab) -> None:
    materials = Materials(lab.folder.path, {})
    again, new = bring_up(lab.topology, materials)
    assert not new
    assert again.room == lab.room
    with pytest.raises(FindingsError) as error:
        bring_up(replace(lab.topology, reserved=()), materials)
    assert [finding.code for finding in error.value.findings] == ["lab-is-another"]


def test_down_leaves_nothing_and_the_host_is_as_before(new_lab: NewLab) -> None:
    before = host_state()
    lab = new_lab("down")
    assert host_state() == before
    assert leftovers(lab.folder), "leftovers() must see a lab that is up"
    assert take_down(lab.name)
    assert leftovers(lab.folder) == []
    assert not lab.folder.path.exists()
    assert Lab.find(lab.name) is None
    assert host_state() == before
    assert not take_down(lab.name)


def test_the_death_of_the_machine_room_is_the_end_of_everything(new_lab: NewLab) -> None:
    before = host_state()
    lab = new_lab("killed")
    run(lab, "controller-1", "mount /dev/disk/by-id/scsi-shared /mnt; sleep 300 > /dev/null 2>&1 &")
    os.kill(lab.room.pid, signal.SIGKILL)
    assert wait_until_gone(lab.folder, 10) == []
    assert Lab.find(lab.name) is None
    assert host_state() == before
    assert lab.name in sweep()
    assert not lab.folder.path.exists()


def test_remains_of_a_dead_lab_are_replaced_by_a_new_one(new_lab: NewLab) -> None:
    lab = new_lab("again")
    run(lab, "controller-1", "touch /root/old")
    os.kill(lab.room.pid, signal.SIGKILL)
    assert wait_until_ended(lab.room, 10)
    again = new_lab("again")
    assert again.room != lab.room
    assert again.run_in("controller-1", ["test", "-e", "/root/old"]).returncode == 1


def test_a_lab_that_does_not_come_up_leaves_nothing_running(new_lab: NewLab, tmp_path: Path) -> None:
    topology = small_topology(f"test-{os.getpid()}-fails")
    with pytest.raises(FindingsError) as error:
        bring_up(topology, Materials(tmp_path, {}))
    assert [finding.code for finding in error.value.findings] == ["lab-failed"]
    assert error.value.exit_status == 1
    assert take_down(topology.name)


def test_no_secret_is_in_an_argument_or_an_environment(lab: Lab) -> None:
    secret = b"a secret of the BMCs"
    for name in ("cmdline", "environ"):
        assert secret not in Path(f"/proc/{lab.room.pid}", name).read_bytes()
    for path in lab.folder.path.glob("*"):
        if path.is_file():
            assert secret not in path.read_bytes(), path


def test_what_happens_is_noted_with_its_time(lab: Lab) -> None:
    lab.crash("controller-2")
    lab.boot("controller-2")
    events = lab.events()
    last = [event["event"] for event in events if event.get("node") == "controller-2"][-4:]
    assert last == ["power-cut", "power-off", "power-on", "booted"]
    times = [event["time"] for event in events]
    assert times == sorted(times, key=str)


def test_a_lab_that_is_tied_to_a_process_ends_with_it(image: Path) -> None:
    topology = small_topology(f"test-{os.getpid()}-tied")
    with subprocess.Popen(["sleep", "300"]) as process:
        lab, _ = bring_up(
            topology, Materials(image, dict.fromkeys(topology.nodes, ""), dies_with=process.pid)
        )
        process.kill()
    assert wait_until_ended(lab.room, 20)
    assert wait_until_gone(lab.folder, 10) == []
    assert take_down(lab.name)
