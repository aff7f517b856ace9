"""What networks learn of routers that have come to a node, with real namespaces, bridges and packets."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.agents.conftest import apart

from understudy.agents.understudy_agent.arrival import untranslated

CORE = Path(__file__).parents[2] / "src" / "understudy" / "agents"
SITE = """
mount -t sysfs sysfs /sys
ip netns add qrouter-1
ip netns add other
ip link add tapaaa-1 type veth peer name qr-aaa-1 netns qrouter-1
ip link set tapaaa-1 up
ip -n qrouter-1 link set qr-aaa-1 up
ip -n qrouter-1 address add 10.11.12.1/24 dev qr-aaa-1
ip -n qrouter-1 address add 10.11.12.7/32 dev qr-aaa-1
ip link add brq1 type bridge forward_delay 0
ip link set brq1 up
ip link add uplink type veth peer name far
ip link set far up
"""
PROGRAM = """
import os, socket, subprocess, sys, time
sys.path.insert(0, sys.argv[1])
from understudy_agent.arrival import Arrival

def heard():
    found = []
    while True:
        try:
            frame = far.recv(100)
        except TimeoutError:
            return sorted(found)
        if frame[12:14] == b"\\x08\\x06" and frame[28:32] == frame[38:42]:
            found.append(socket.inet_ntoa(frame[28:32]))

far = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0806))
far.bind(("far", 0x0806))
far.settimeout(0.3)
home = os.stat("/proc/self/ns/net").st_ino
os.makedirs("/run/netns/states/1")
arrival = Arrival(["qrouter-"], ["qr-"], translates=True, takeovers="/run/netns/states")
arrival.step()
print("before it is wired:", heard())
subprocess.run(["sh", "-ec", "ip link set tapaaa-1 master brq1; ip link set uplink master brq1 up"], check=True)
time.sleep(0.2)
arrival.step()
print("when it is wired:", heard())
arrival.step()
print("soon after:", heard())
time.sleep(1)
arrival.step()
print("once more:", heard())
arrival._until = 0
arrival.step()
print("long after:", heard())
with open("/run/netns/states/1/state", "w") as state:
    state.write("primary")
arrival.step()
print("when it is taken over:", heard())
time.sleep(1)
arrival.step()
print("and again:", heard())
arrival._taken["qrouter-1"] -= 40
arrival.step()
time.sleep(1)
arrival.step()
print("long after that:", heard())
print("at home:", os.stat("/proc/self/ns/net").st_ino == home)
print("lasts:", arrival.lasts())
"""


@pytest.mark.root
def test_addresses_are_announced_when_their_interface_is_wired() -> None:
    done = apart(f"set -e\n{SITE}\nexec python3 -IS -c \"$0\" '{CORE}'\n", PROGRAM)
    assert done.returncode == 0, done.stderr
    assert dict(line.split(": ", 1) for line in done.stdout.splitlines()) == {
        "before it is wired": "[]",
        "when it is wired": "['10.11.12.1', '10.11.12.7']",
        "soon after": "[]",
        "once more": "['10.11.12.1', '10.11.12.7']",
        "long after": "[]",
        "when it is taken over": "['10.11.12.1', '10.11.12.7']",
        "and again": "['10.11.12.1', '10.11.12.7']",
        "long after that": "[]",
        "at home": "True",
        "lasts": "True",
    }


LISTED = """\
icmp     1 29 src=10.11.12.185 dst=198.51.100.254 type=8 code=0 id=30069 src=198.51.100.254 dst=10.11.12.185 type=0 \
code=0 id=30069 mark=0 use=1
tcp      6 431999 ESTABLISHED src=10.11.12.185 dst=192.0.2.8 sport=4000 dport=80 src=192.0.2.8 dst=198.51.100.132 \
sport=80 dport=4000 [ASSURED] mark=0 use=1
udp      17 20 src=10.11.12.9 dst=192.0.2.8 sport=5000 dport=53 [UNREPLIED] src=192.0.2.8 dst=10.11.12.9 sport=53 \
dport=5000 mark=0 use=1
conntrack v1.4.7 (conntrack-tools): 3 flow entries have been shown.
"""


def test_connections_that_go_as_they_came_are_told_from_translated_ones() -> None:
    assert list(untranslated(LISTED)) == [("10.11.12.185", "198.51.100.254"), ("10.11.12.9", "192.0.2.8")]
