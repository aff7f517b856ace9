"""The agent for virtual addresses: what it resets, and when, around the work of IPaddr2."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from lxml import etree
from tests.agents.conftest import apart

from understudy.agents import address_agent

Call = Callable[..., subprocess.CompletedProcess[str]]
LOG = 'echo "$(basename "$0") $*" >> "$LOG"\n'
# Whether the address is here is a file.
IP = LOG + 'case "$*" in *"show to"*) cat "$HERE" 2>/dev/null;; esac\n'
SS = LOG + 'case "$*" in *-K*) exit 1;; *) echo "ESTAB 0 0 192.0.2.9:80 192.0.2.1:4711";; esac\n'
IPADDR2 = LOG + (
    'case "$1" in\n'
    'start) echo "3: eth0 inet $OCF_RESKEY_ip/24" > "$HERE";;\n'
    'stop) rm -f "$HERE"; exit "${STOP:-0}";;\n'
    "esac\n"
)


@pytest.fixture
def call(tmp_path: Path) -> Call:
    """Return a function that runs an action and returns the outcome; the log tells which programs were run."""
    for path, body in (
        ("bin/ip", IP),
        ("bin/ss", SS),
        ("resource.d/heartbeat/IPaddr2", IPADDR2),
    ):
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"#!/bin/sh\n{body}")
        file.chmod(0o755)
    agent = tmp_path / "virtual-address"
    agent.write_text(address_agent().content)

    def run(action: str, **environment: str) -> subprocess.CompletedProcess[str]:
        given = {
            "PATH": f"{tmp_path}/bin:{os.environ['PATH']}",
            "OCF_ROOT": str(tmp_path),
            "OCF_RESKEY_ip": "192.0.2.9",
            "LOG": str(tmp_path / "log"),
            "HERE": str(tmp_path / "here"),
            **environment,
        }
        argv = [sys.executable, "-IS", str(agent), action]
        return subprocess.run(argv, env=given, text=True, capture_output=True, timeout=30, check=False)

    return run


def log(tmp_path: Path) -> list[str]:
    path = tmp_path / "log"
    lines = path.read_text().splitlines() if path.exists() else []
    path.unlink(missing_ok=True)
    return lines


RESET_DST = "ss --no-header --tcp --numeric -K dst 192.0.2.9"
RESET_SRC = "ss --no-header --tcp --numeric -K src 192.0.2.9"


def test_what_a_node_still_holds_of_another_is_reset_before_the_address_comes(
    call: Call, tmp_path: Path
) -> None:
    assert call("start").returncode == 0
    lines = log(tmp_path)
    assert lines[-1] == "IPaddr2 start"
    assert {RESET_DST, RESET_SRC} < set(lines)


def test_an_address_that_is_here_already_loses_no_connection(call: Call, tmp_path: Path) -> None:
    call("start")
    log(tmp_path)
    assert call("start").returncode == 0
    assert not [line for line in log(tmp_path) if "-K" in line]


def test_clients_are_reset_when_the_address_has_left(call: Call, tmp_path: Path) -> None:
    call("start")
    log(tmp_path)
    assert call("stop").returncode == 0
    lines = log(tmp_path)
    added, reset, gone = (
        lines.index(line)
        for line in ("ip address add 192.0.2.9/32 dev lo", RESET_SRC, "ip address del 192.0.2.9/32 dev lo")
    )
    assert lines.index("IPaddr2 stop") < added < reset < gone


def test_a_stop_of_what_is_not_here_and_one_that_fails_reset_nothing(call: Call, tmp_path: Path) -> None:
    assert call("stop").returncode == 0
    assert not [line for line in log(tmp_path) if "-K" in line]
    call("start")
    log(tmp_path)
    assert call("stop", STOP="1").returncode == 1
    assert not [line for line in log(tmp_path) if "-K" in line]


def test_a_version_6_address_is_written_as_ss_takes_it(call: Call, tmp_path: Path) -> None:
    call("start", OCF_RESKEY_ip="2001:db8::9")
    assert "ss --no-header --tcp --numeric -K dst [2001:db8::9]" in log(tmp_path)


@pytest.mark.parametrize("action", ["monitor", "validate-all", "status", "nonsense"])
def test_everything_else_is_ipaddr2s_own(call: Call, tmp_path: Path, action: str) -> None:
    call(action)
    assert log(tmp_path) == [f"IPaddr2 {action}"]


SITE = """
ip link set lo up
ip link add eth0 type veth peer name far
ip link set far up
ip link set eth0 up
ip address add 192.0.2.1/24 dev eth0
"""
ACTED = """
import os, socket, subprocess, sys

action = sys.argv.pop(1)

far = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0806))
far.bind(("far", 0x0806))
far.settimeout(0.3)
environment = {**os.environ, "OCF_ROOT": sys.argv[2], "OCF_RESKEY_ip": "192.0.2.9", "OCF_RESKEY_cidr_netmask": "24"}
environment |= dict(one.split("=") for one in sys.argv[3:])
client = None
if environment.pop("CLIENT", None):
    server = socket.create_server(("192.0.2.9", 80))
    client = socket.create_connection(("192.0.2.9", 80), timeout=1)
done = subprocess.run([sys.executable, "-IS", sys.argv[1], action], env=environment)
shown = subprocess.run(["ip", "-oneline", "address", "show", "to", "192.0.2.9"], capture_output=True, text=True).stdout
print("exit", done.returncode, *shown.split()[1:6])
try:
    while frame := far.recv(100):
        operation, sender, target = frame[21], frame[28:32], frame[38:42]
        print("heard", operation, socket.inet_ntoa(sender), socket.inet_ntoa(target), frame[6:12] == frame[22:28])
except TimeoutError:
    pass
try:
    print("client", client and client.recv(1))
except OSError as error:
    print("client", type(error).__name__)
"""


def acted(tmp_path: Path, action: str, site: str, *environment: str) -> list[str]:
    """Start or stop the address in a network of its own; return what IPaddr2 was asked, and what came of it."""
    file = tmp_path / "resource.d/heartbeat/IPaddr2"
    file.parent.mkdir(parents=True)
    file.write_text('#!/bin/sh\necho "IPaddr2 $1 ${OCF_RESKEY_arp_count_refresh-}"\n')
    file.chmod(0o755)
    agent = tmp_path / "virtual-address"
    agent.write_text(address_agent().content)
    script = f'{SITE}{site}\nexec "$0" -c "$@"'
    done = apart(script, sys.executable, ACTED, action, str(agent), str(tmp_path), *environment)
    assert not done.stderr
    return done.stdout.splitlines()


@pytest.mark.root
@pytest.mark.parametrize("environment", [(), ("OCF_RESKEY_nic=eth0",)])
def test_a_plain_address_is_added_and_announced_before_ipaddr2_confirms_it(
    tmp_path: Path, environment: tuple[str, ...]
) -> None:
    assert acted(tmp_path, "start", "", *environment) == [
        "IPaddr2 monitor 5",
        "exit 0 eth0 inet 192.0.2.9/24 brd 192.0.2.255",
        "heard 1 192.0.2.9 192.0.2.9 True",
        "heard 2 192.0.2.9 192.0.2.9 True",
        "client None",
    ]


@pytest.mark.root
@pytest.mark.parametrize(
    ("site", "environment"),
    [
        ("ip address add 192.0.2.2/24 dev far", ()),
        ("ip link set eth0 down", ()),
        ("ip link set eth0 down", ("OCF_RESKEY_nic=eth0",)),
        ("ip address flush dev eth0", ()),
        ("", ("OCF_RESKEY_nic=far",)),
        ("", ("OCF_RESKEY_nic=eth0:1",)),
        ("", ("OCF_RESKEY_cidr_netmask=25",)),
        ("", ("OCF_RESKEY_cidr_netmask=",)),
        ("", ("OCF_RESKEY_cidr_netmask=255.255.255.0",)),
        ("", ("OCF_RESKEY_ip=2001:db8::9",)),
        ("", ("OCF_RESKEY_ip=here",)),
    ],
)
def test_an_address_whose_interface_is_in_doubt_is_left_to_ipaddr2(
    tmp_path: Path, site: str, environment: tuple[str, ...]
) -> None:
    assert acted(tmp_path, "start", site, *environment) == ["IPaddr2 start ", "exit 0", "client None"]


HERE = "ip address add 192.0.2.9/24 dev eth0"


@pytest.mark.root
def test_a_plain_address_is_deleted_without_ipaddr2_and_its_clients_are_reset(tmp_path: Path) -> None:
    assert acted(tmp_path, "stop", HERE, "CLIENT=1") == ["exit 0", "client ConnectionResetError"]


@pytest.mark.root
@pytest.mark.parametrize(
    ("site", "environment"),
    [
        ("", ()),
        ("ip address add 192.0.2.9/32 dev far", ()),
        (f"{HERE}\nip address add 192.0.2.9/32 dev far", ()),
        (HERE, ("OCF_RESKEY_cidr_netmask=25",)),
        ("ip address add 2001:db8::9/64 dev eth0 nodad", ("OCF_RESKEY_ip=2001:db8::9",)),
        (
            f"{HERE}\nmkdir -p /run/netns/announced; touch /run/netns/announced/send_arp-192.0.2.9",
            ("HA_RSCTMP=/run/netns/announced",),
        ),
    ],
)
def test_a_stop_that_is_in_doubt_is_left_to_ipaddr2(
    tmp_path: Path, site: str, environment: tuple[str, ...]
) -> None:
    assert acted(tmp_path, "stop", site, *environment)[0] == "IPaddr2 stop "


def test_its_description_names_its_parameters(call: Call) -> None:
    root = etree.fromstring(call("meta-data").stdout.encode())
    assert [one.get("name") for one in root.iterfind("parameters/parameter")] == ["ip", "cidr_netmask", "nic"]
