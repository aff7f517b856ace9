"""The agent of Qpid on a real cluster. The broker itself is a test broker, as no distribution has qpidd any more."""

import base64
import io
import re
import tarfile
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.lab.conftest import DISK, NewLab, run
from tests.lab.small_cluster import form, wait_until

from understudy.agents import deployment
from understudy.catalog.load import load_catalog
from understudy.lab.client import Lab

pytestmark = [pytest.mark.root, pytest.mark.lab]

HERE = Path(__file__).parent
ADDRESS, PORT = "192.168.42.103", 5672
MOUNT = "/var/lib/understudy/shared"
CONFIGURATION = f"port={PORT}\ninterface={ADDRESS}\ndata-dir={MOUNT}/qpid\nauth=no\n"
CLIENT = "/usr/local/bin/amqp_client"
RESOURCES = [
    f"primitive disk ocf:heartbeat:Filesystem params device={DISK} directory={MOUNT} fstype=xfs",
    f"primitive address ocf:heartbeat:IPaddr2 params ip={ADDRESS} cidr_netmask=24 op monitor interval=5",
    "primitive qpid ocf:openstack:qpidd op start timeout=60 op stop timeout=60 op monitor interval=2 timeout=6",
    "group broker address disk qpid",
    "property load-threshold=1000% no-quorum-policy=stop",
    "rsc_defaults resource-stickiness=1000 migration-threshold=5",
]


def files() -> Mapping[str, tuple[str, int]]:
    """Return the agent, its option file, the broker that stands in and a client, by path with text and mode."""
    deployed = deployment({"qpid": load_catalog().services["qpid"].agent})
    return {
        **{file.path: (file.content, file.mode) for file in deployed},
        "/etc/qpid/qpidd.conf": (CONFIGURATION, 0o644),
        "/usr/sbin/qpidd": ((HERE / "amqp_broker.py").read_text(encoding="utf-8"), 0o755),
        CLIENT: ((HERE / "amqp_client.py").read_text(encoding="utf-8"), 0o755),
    }


def archive() -> str:
    """Return the files as an archive, in text."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for path, (text, mode) in files().items():
            member = tarfile.TarInfo(path.lstrip("/"))
            member.size, member.mode = len(text.encode()), mode
            tar.addfile(member, io.BytesIO(text.encode()))
    return base64.encodebytes(packed.getvalue()).decode()


@pytest.fixture(scope="module")
def cluster(new_lab: NewLab) -> Lab:
    lab = new_lab("qpid")
    prepare = f"""
    umask 022
    base64 -d <<'END' | tar -xz -C / --no-same-owner
{archive()}END
    useradd --system --uid 971 qpidd
    mkdir -p {MOUNT} /var/log/qpidd
    chown qpidd /var/log/qpidd
    """
    first = next(iter(lab.topology.nodes))
    run(lab, first, f"mount {DISK} /mnt; install -d -o 971 -g 971 -m 750 /mnt/qpid; umount /mnt")
    form(lab, prepare, RESOURCES)
    return lab


def seen(lab: Lab) -> str:
    """Return what the cluster says of itself, asked on the first node that knows."""
    up = [name for name, status in lab.status().nodes.items() if status.booted]
    answers = (lab.run_in(name, ["crm_mon", "-1rf"]) for name in up)
    return next((answer.stdout for answer in answers if answer.returncode == 0), "")


def where(lab: Lab) -> str:
    """Return the node on which the broker runs, empty while it runs nowhere."""
    found = re.search(r"qpid\s+\(ocf:openstack:qpidd\):\s+Started (\S+)$", seen(lab), re.MULTILINE)
    return found[1] if found else ""


def pid(lab: Lab) -> str:
    return lab.run_in(where(lab), ["head", "-1", "/run/resource-agents/qpid.pid"]).stdout.strip()


def send(lab: Lab, node: str, first: int, last: int) -> list[int]:
    """Publish numbers and return those that the broker has accepted."""
    return numbers(run(lab, node, f"{CLIENT} send {ADDRESS}:{PORT} letters {first} {last}"))


def receive(lab: Lab, node: str, count: int) -> list[int]:
    return numbers(run(lab, node, f"{CLIENT} receive {ADDRESS}:{PORT} letters {count}"))


def numbers(text: str) -> list[int]:
    return [int(line) for line in text.split()]


def test_what_was_accepted_outlives_the_power_of_the_active_node(cluster: Lab) -> None:
    active = where(cluster)
    client, other = (name for name in cluster.topology.nodes if name != active)
    wanted = list(range(1, 21))
    assert send(cluster, client, 1, 20) == wanted
    assert receive(cluster, client, 5) == wanted[:5]
    cluster.crash(active)
    wait_until(lambda: where(cluster) in (client, other))
    assert receive(cluster, other, 15) == wanted[5:]


@pytest.mark.parametrize(
    ("signal", "reason"),
    [("KILL", "not running"), ("STOP", "accepts connections but does not answer in time")],
)
def test_a_broker_that_gets_a_signal_is_started_again(cluster: Lab, signal: str, reason: str) -> None:
    active, before = where(cluster), pid(cluster)
    assert send(cluster, active, 1, 3) == [1, 2, 3]
    run(cluster, active, f"kill -{signal} {before}")
    begun = time.monotonic()
    wait_until(lambda: reason in seen(cluster), 20)
    wait_until(lambda: where(cluster) == active and pid(cluster) not in ("", before), 40)
    wait_until(lambda: receive_when_there(cluster, active) == [1, 2, 3], 20)
    assert time.monotonic() - begun < 40


def receive_when_there(lab: Lab, node: str) -> list[int]:
    done = lab.run_in(node, [CLIENT, "receive", f"{ADDRESS}:{PORT}", "letters", "3"])
    return numbers(done.stdout) if done.returncode == 0 else []
