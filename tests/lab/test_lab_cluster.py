"""Corosync and Pacemaker run in a lab's nodes as they are installed, unmodified."""

import time
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from tests.lab.conftest import management, run

from understudy.lab.client import Lab

pytestmark = [pytest.mark.root, pytest.mark.lab]

CLUSTER_SECONDS = 90
_HEAD = """\
totem { version: 2  cluster_name: lab  transport: knet  crypto_cipher: none  crypto_hash: none  token: 1000 }
quorum { provider: corosync_votequorum }
logging { to_logfile: yes  logfile: /var/log/corosync/corosync.log  to_syslog: no }
nodelist {
"""


def corosync_conf(lab: Lab) -> str:
    nodes = "".join(
        f"  node {{ ring0_addr: {management(lab, name)}  name: {name}  nodeid: {number} }}\n"
        for number, name in enumerate(lab.topology.nodes, start=1)
    )
    # Corosync's grammar wants each setting on a line of its own.
    text = f"{_HEAD}{nodes}}}\n"
    return text.replace("{ ", "{\n").replace("  ", "\n").replace(" }", "\n}")


def online(lab: Lab, node: str) -> set[str]:
    """Return which nodes a node's Pacemaker sees online, as ``crm_mon`` tells."""
    result = lab.run_in(node, ["crm_mon", "--one-shot", "--output-as=xml"])
    if result.returncode != 0:
        return set()
    nodes = ET.fromstring(result.stdout).iterfind("nodes/node")  # noqa: S314 - our own cluster's output
    return {each.attrib["name"] for each in nodes if each.attrib["online"] == "true"}


def wait_until_online(lab: Lab, node: str, names: set[str]) -> None:
    deadline = time.monotonic() + CLUSTER_SECONDS
    while online(lab, node) != names:
        assert time.monotonic() < deadline, lab.run_in(node, ["crm_mon", "-1"]).stdout
        time.sleep(0.5)


def _may_raise_limits() -> bool:
    """Tell whether this machine lets root raise the limit on locked memory (CAP_SYS_RESOURCE)."""
    status = Path("/proc/self/status").read_text(encoding="ascii").split("CapBnd:")[1].split()[0]
    return bool(int(status, 16) >> 24 & 1)


def test_three_nodes_form_a_cluster_and_lose_one(lab: Lab) -> None:
    names = set(lab.topology.nodes)
    for name in names:
        result = lab.run_in(name, ["tee", "/etc/corosync/corosync.conf"], text=corosync_conf(lab))
        assert result.returncode == 0
        run(lab, name, "update-rc.d corosync enable; update-rc.d pacemaker enable")
        run(lab, name, "service corosync start; service pacemaker start")
    for name in names:
        wait_until_online(lab, name, names)
    run(lab, "controller-1", "chrt -p $(pidof corosync) | grep SCHED_RR")
    if _may_raise_limits():  # else Corosync says that it does without, and goes on
        run(lab, "controller-1", "grep 'VmLck:.*[1-9]' /proc/$(pidof corosync)/status")
    lab.crash("controller-3")
    wait_until_online(lab, "controller-1", names - {"controller-3"})
    lab.boot("controller-3")
    wait_until_online(lab, "controller-3", names)
    lab.power_off("controller-2")
    wait_until_online(lab, "controller-1", names - {"controller-2"})
    lab.boot("controller-2")
    for name in names:
        run(lab, name, "service pacemaker stop; service corosync stop", timeout=120)
        run(lab, name, "update-rc.d corosync disable; update-rc.d pacemaker disable")
