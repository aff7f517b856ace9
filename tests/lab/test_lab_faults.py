"""What a lab can do to its nodes: power loss, fencing by the real agent, hangs, cut networks."""

import sys
import time

import pytest
from tests.lab.conftest import DISK, PASSWORD, management, run

from understudy.lab.client import TENANT, Lab, LabError
from understudy.lab.tenant import INSIDE, wait_for

pytestmark = [pytest.mark.root, pytest.mark.lab]

_RECEIVER = 'import socket; s = socket.socket(2, 2); s.bind(("", 9999)); print(s.recv(1).decode(), end="", flush=True)'


def fence(lab: Lab, action: str, *more: str, password: str = PASSWORD) -> int:
    """Run the real fencing agent in controller-1 against controller-2, its password on standard input."""
    options = {
        "ip": "192.168.43.12",
        "username": "admin",
        "password": password,
        "ssl_insecure": "1",
        "action": action,
    }
    text = "".join(f"{name}={value}\n" for name, value in options.items()) + "".join(
        f"{each}\n" for each in more
    )
    return lab.run_in("controller-1", ["fence_redfish"], 60, text).returncode


def reachable(lab: Lab, source: str, target: str) -> bool:
    """Tell whether one ping of a few gets through; an unanswered ARP request is not asked again within a second."""
    command = ["ping", "-c4", "-i0.5", "-w3", management(lab, target)]
    return ", 0 received" not in lab.run_in(source, command).stdout


def test_power_loss_keeps_the_disk_and_loses_the_memory(lab: Lab) -> None:
    run(lab, "controller-1", "echo kept > /root/kept; touch /run/lost /tmp/lost /dev/shm/lost")
    lab.crash("controller-1")
    assert lab.status().nodes["controller-1"].power == "off"
    with pytest.raises(LabError, match="is off"):
        lab.run_in("controller-1", ["true"])
    lab.boot("controller-1")
    assert run(lab, "controller-1", "cat /root/kept") == "kept\n"
    run(lab, "controller-1", "for each in /run /tmp /dev/shm; do test ! -e $each/lost; done")


def test_power_loss_loses_what_was_not_synced_to_the_shared_disk(lab: Lab) -> None:
    run(lab, "controller-1", f"mount {DISK} /mnt; echo synced > /mnt/synced; sync; echo no > /mnt/unsynced")
    assert lab.status().nodes["controller-1"].mounts == {DISK: ["/mnt"]}
    lab.crash("controller-1")
    listing = run(lab, "controller-2", f"mount {DISK} /mnt; ls /mnt; cat /mnt/synced; umount /mnt")
    assert listing.split() == ["synced", "synced"]


def test_power_loss_of_one_node_does_not_harm_another_that_has_the_disk_mounted(lab: Lab) -> None:
    for name in ("controller-1", "controller-2"):
        run(lab, name, f"mount {DISK} /mnt")
    lab.crash("controller-1")
    run(lab, "controller-2", "echo fine > /mnt/fine; sync; umount /mnt")


def test_peers_of_a_node_without_power_hear_nothing_from_it(lab: Lab) -> None:
    connection = lab.open_socket(management(lab, "controller-3"), 22, 5)
    connection.settimeout(0.5)
    while not connection.recv(1024).endswith(b"\n"):
        pass
    lab.crash("controller-3")
    with connection, pytest.raises(TimeoutError):  # neither an end of file nor a reset
        connection.recv(1)


def test_the_real_fencing_agent_switches_a_peer_off_and_on(lab: Lab) -> None:
    assert fence(lab, "status") == 0
    assert fence(lab, "off") == 0
    assert lab.status().nodes["controller-2"].power == "off"
    assert fence(lab, "status", "systems_uri=/redfish/v1/Systems/1") == 2
    assert fence(lab, "on", "systems_uri=/redfish/v1/Systems/1") == 0
    assert lab.status().nodes["controller-2"].power == "on"
    lab.boot("controller-2")


def test_the_real_fencing_agent_reboots_a_peer(lab: Lab) -> None:
    run(lab, "controller-2", "touch /run/before")
    assert fence(lab, "reboot") == 0
    lab.boot("controller-2")
    run(lab, "controller-2", "test ! -e /run/before")


def test_fencing_with_a_wrong_password_changes_nothing(lab: Lab) -> None:
    before = lab.status().nodes["controller-2"].pid
    assert fence(lab, "off", password="wrong") != 0
    assert lab.status().nodes["controller-2"].pid == before


def test_a_frozen_node_does_nothing_until_it_is_thawed(lab: Lab) -> None:
    run(
        lab,
        "controller-2",
        "nohup sh -c 'while sleep 0.05; do date +%N > /run/tock; mv /run/tock /run/tick; done' > /dev/null 2>&1 &",
    )
    paused = run(
        lab, "controller-2", "sleep 100 > /dev/null 2>&1 & sleep 0.2; kill -STOP $!; echo $!"
    ).strip()
    lab.freeze("controller-2")
    with lab.open_socket(management(lab, "controller-2"), 22, 5) as connection:  # its kernel still answers
        connection.settimeout(0.5)
        with pytest.raises(TimeoutError):
            connection.recv(1)
    assert lab.status().nodes["controller-2"].frozen
    lab.thaw("controller-2")
    run(lab, "controller-2", 'a=$(cat /run/tick); sleep 1; test "$a" != "$(cat /run/tick)"')
    assert run(lab, "controller-2", f"ps -o stat= -p {paused}").startswith("T")


def test_a_frozen_node_is_fenced_like_any_other(lab: Lab) -> None:
    lab.freeze("controller-2")
    assert fence(lab, "off") == 0
    assert lab.status().nodes["controller-2"].power == "off"


def test_a_cut_network_is_cut_for_that_node_alone_and_heals(lab: Lab) -> None:
    lab.cut("controller-1", "management")
    assert not reachable(lab, "controller-2", "controller-1")
    assert reachable(lab, "controller-2", "controller-3")
    run(lab, "controller-1", "ping -c1 -W2 203.0.113.12")
    lab.heal("controller-1")
    assert reachable(lab, "controller-2", "controller-1")


def test_a_cut_outlives_a_reboot_of_the_node(lab: Lab) -> None:
    lab.cut("controller-1", "management")
    lab.crash("controller-1")
    lab.boot("controller-1")
    assert not reachable(lab, "controller-2", "controller-1")


@pytest.mark.parametrize(("direction", "received"), [("in", ("", "x")), ("out", ("x", ""))])
def test_one_direction_only(lab: Lab, direction: str, received: tuple[str, str]) -> None:
    """Send a datagram each way, with neighbours known beforehand, as ARP needs both directions."""
    assert reachable(lab, "controller-1", "controller-2")
    lab.cut("controller-1", "management", direction)
    got = []
    for target, source in (("controller-1", "controller-2"), ("controller-2", "controller-1")):
        run(lab, target, f"(timeout 2 python3 -c '{_RECEIVER}' > /run/got 2>/dev/null &); sleep 0.5")
        run(
            lab,
            source,
            f"bash -c 'for i in 1 2 3; do echo -n x > /dev/udp/{management(lab, target)}/9999; done'",
        )
        time.sleep(0.3)
        got.append(run(lab, target, "cat /run/got"))
    assert tuple(got) == received


def test_a_partition_cuts_between_groups_only(lab: Lab) -> None:
    lab.cut("controller-1", "management", peers=["controller-2", "controller-3"])
    assert not reachable(lab, "controller-2", "controller-1")
    assert not reachable(lab, "controller-3", "controller-1")
    assert reachable(lab, "controller-3", "controller-2")
    lab.open_socket(management(lab, "controller-1"), 22, 5).close()


def test_some_packets_are_lost_and_some_are_not(lab: Lab) -> None:
    assert reachable(lab, "controller-2", "controller-1")
    lab.lose("controller-1", "management", 50, "in")
    command = ["ping", "-q", "-i0.01", "-w1", management(lab, "controller-1")]
    words = lab.run_in("controller-2", command).stdout.split("statistics ---")[1].split()
    sent, received = int(words[0]), int(words[3])
    assert 0 < received < sent


@pytest.mark.parametrize(
    ("verb", "arguments"),
    [
        ("cut", {"node": "controller-1", "network": "storage"}),
        ("cut", {"node": "controller-1", "network": "management", "direction": "up"}),
        ("cut", {"node": "controller-9", "network": "management"}),
        ("cut", {"node": "controller-1", "network": "management", "peers": ["nobody"]}),
        ("lose", {"node": "controller-1", "network": "management", "percent": 0}),
    ],
)
def test_a_cut_that_cannot_be_is_refused_and_nothing_is_cut(
    lab: Lab, verb: str, arguments: dict[str, object]
) -> None:
    with pytest.raises(LabError):
        lab.call(verb, **arguments)
    assert not lab.status().drops


def test_a_dead_bmc_does_not_answer_and_the_others_do(lab: Lab) -> None:
    lab.kill_bmc("controller-2")
    assert lab.status().dead_bmcs == ["192.168.43.12"]
    with pytest.raises(TimeoutError):
        lab.open_socket("192.168.43.12", 443, 0.5, where="controller-1")
    lab.open_socket("192.168.43.13", 443, 2, where="controller-1").close()
    lab.revive_bmc("controller-2")
    assert fence(lab, "status") == 0


def test_a_node_that_lost_its_disk_cannot_use_it_and_another_can(lab: Lab) -> None:
    run(lab, "controller-1", f"mount {DISK} /mnt; touch /mnt/before; sync")
    lab.fail_disk("controller-1", DISK)
    assert lab.run_in("controller-1", ["touch", "/mnt/after"]).returncode != 0
    run(lab, "controller-1", "umount /mnt")
    run(lab, "controller-2", f"mount {DISK} /mnt; ls /mnt/before; umount /mnt")
    with pytest.raises(LabError, match="not mounted"):
        lab.fail_disk("controller-1", DISK)


def test_a_node_that_lost_its_disk_can_still_lose_its_power(lab: Lab) -> None:
    run(lab, "controller-1", f"mount {DISK} /mnt")
    lab.fail_disk("controller-1", DISK)
    lab.crash("controller-1")
    run(lab, "controller-2", f"mount {DISK} /mnt; touch /mnt/fine; umount /mnt")


def test_a_tenants_machine_stands_in_a_tunnelled_network_whichever_node_is_lost(lab: Lab) -> None:
    ping = [sys.executable, "-IS", str(INSIDE), "ping", "10.11.12.1"]
    with pytest.raises(LabError, match="no node tenant"):
        lab.run_in(TENANT, ping)
    for name in ("controller-1", "controller-2"):
        own = management(lab, name)
        run(
            lab,
            name,
            "ip link add v7 address 02:00:00:00:00:07 type vxlan id 7 group 224.0.0.1 dev eth0"
            f" local {own} dstport 8472; ip link set v7 up",
        )
    run(lab, "controller-1", "ip address add 10.11.12.1/24 dev v7")
    for _ in range(2):
        lab.plug_tenant(7, "management", "fa:16:3e:00:00:07")
    lab.lease_tenant("10.11.12.7/24", "10.11.12.1", 1450)
    assert lab.run_in(TENANT, ping).returncode == 0
    lab.crash("controller-1")
    run(lab, "controller-2", "ip address add 10.11.12.1/24 dev v7; ping -c1 -w9 10.11.12.7")
    assert lab.run_in(TENANT, ping).returncode == 0


def test_a_stand_in_for_metadata_answers_in_the_labs_network(lab: Lab) -> None:
    lab.serve_metadata("192.168.42.150", "management", "a secret")
    ask = "import http.client as h; c = h.HTTPConnection('192.168.42.150', 8775); c.request('GET', '/'); "
    command = ["python3", "-c", f"{ask}print(c.getresponse().status)"]
    wait_for(lambda: lab.run_in("controller-1", command).stdout == "403\n", 20, 0.2)
