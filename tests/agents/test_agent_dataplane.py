"""What a stop takes away and what it leaves, with real namespaces, bridges and processes in a namespace of the test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.agents.conftest import TIMEOUT, apart

from understudy.agents.understudy_agent.leftovers import without_chains

if TYPE_CHECKING:
    from pathlib import Path

SITE = """
mount -t sysfs sysfs /sys
ip link set lo up
for name in qrouter-1 qdhcp-2 foreign; do
    ip netns add $name
    ip netns exec $name sleep 1000 &
done
sleep 1000 & # as libvirt's dnsmasq, in no namespace
beside=$!
for name in qrouter-1 foreign; do # as neutron-keepalived-state-change, which looks in from outside
    python3 -c 'import time; time.sleep(1000)' --namespace=$name &
done
for bridge in brq1 brq2 virbr0; do ip link add $bridge type bridge; ip link set $bridge up; done
ip link add eth9 type veth peer name wire
ip link set eth9 master brq1 up
ip address add 198.51.100.9/24 dev brq1
ip route add 192.0.2.0/24 via 198.51.100.1 dev brq1
ip link add vxlan-5 type vxlan id 5 dstport 0 dev lo 2>/dev/null && ip link set vxlan-5 master brq1
ip link add tap1 type veth peer name qr-1 netns qrouter-1
ip link set tap1 master brq1
ip link add tap7 type veth peer name guest # an instance's
ip link set tap7 master brq2
"""
REPORT = """
echo namespaces: $(ls /run/netns)
echo bridges: $(ls -d /sys/class/net/*/bridge | cut -d/ -f5)
echo links: $(ls /sys/class/net)
echo address: $(ip -o -4 address show dev eth9 | grep -o '198[0-9./]*' | head -1)
echo route: $(ip route show dev eth9 | grep -o '192.0.2.0/24 via [0-9.]*')
echo sleeping: $(pgrep -cx sleep)
echo looking: $(pgrep -fa '^[^ ]*python3[^ ]* .*--namespace=' | grep -o '[^=]*$')
kill -0 $beside && echo beside lives
"""


def report(root: Path, folder: Path, commands: str) -> dict[str, str]:
    """Set the site up, run agents' actions in it, and return what is there afterwards, with each action's exit code."""
    exports = f"export OCF_ROOT={root} HA_RSCTMP={folder} OCF_RESKEY_CRM_meta_timeout={TIMEOUT * 1000}\n"
    agent = f'agent() {{ {root}/resource.d/openstack/$1 $2 >/dev/null; echo "$1-$2: $?"; }}\n'
    done = apart(SITE + exports + agent + commands + REPORT)
    assert "beside lives" in done.stdout, done.stdout + done.stderr
    return dict(line.split(": ", 1) for line in done.stdout.splitlines() if ": " in line)


@pytest.mark.root
def test_the_data_plane_takes_everything_away_and_nothing_else(ocf_root: Path, tmp_path: Path) -> None:
    seen = report(
        ocf_root, tmp_path, "touch $HA_RSCTMP/neutron-dataplane.active\nagent neutron-dataplane stop\n"
    )
    assert seen["neutron-dataplane-stop"] == "0"
    assert seen["namespaces"] == "foreign"
    assert seen["bridges"] == "brq2 virbr0", "one with an instance in it stays"
    assert {"eth9", "tap7"} <= set(seen["links"].split())
    assert not {"vxlan-5", "tap1"} & set(seen["links"].split())
    assert seen["address"] == "198.51.100.9/24"
    assert seen["route"] == "192.0.2.0/24 via 198.51.100.1"
    assert seen["sleeping"] == "2", "the one in the foreign namespace, and the one in none"
    assert seen["looking"] == "foreign"


@pytest.mark.root
def test_a_data_plane_that_runs_is_told_from_one_that_does_not(ocf_root: Path, tmp_path: Path) -> None:
    actions = "".join(f"agent neutron-dataplane {one}\n" for one in ("start", "monitor", "stop"))
    seen = report(ocf_root, tmp_path, actions + "echo probe: $(agent neutron-dataplane monitor)\n")
    assert seen["neutron-dataplane-start"] == seen["neutron-dataplane-monitor"] == "0"
    assert seen["probe"].endswith("7")


@pytest.mark.root
def test_an_agent_alone_takes_away_what_is_its_own(ocf_root: Path, tmp_path: Path) -> None:
    seen = report(ocf_root, tmp_path, "agent neutron-agent-l3 stop\n")
    assert seen["neutron-agent-l3-stop"] == "0"
    assert seen["namespaces"] == "foreign qdhcp-2"
    assert "brq1" in seen["bridges"]


@pytest.mark.root
def test_an_agent_beside_a_data_plane_leaves_it_alone(ocf_root: Path, tmp_path: Path) -> None:
    keep = "export OCF_RESKEY_dataplane=keep\n"
    seen = report(ocf_root, tmp_path, f"{keep}agent neutron-l3-agent stop\nagent neutron-dhcp-agent stop\n")
    assert seen["namespaces"] == "foreign qdhcp-2 qrouter-1"
    assert seen["sleeping"] == "4"


def test_only_neutrons_chains_leave_the_packet_filter() -> None:
    saved = """# Generated
*filter
:INPUT ACCEPT [0:0]
:neutron-linuxbri-INPUT - [0:0]
-A INPUT -j neutron-linuxbri-INPUT
-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT
-A neutron-linuxbri-INPUT -j ACCEPT
COMMIT
"""
    assert without_chains(saved).splitlines() == [
        "*filter",
        "-F neutron-linuxbri-INPUT",
        "-D INPUT -j neutron-linuxbri-INPUT",
        "-X neutron-linuxbri-INPUT",
        "COMMIT",
    ]
