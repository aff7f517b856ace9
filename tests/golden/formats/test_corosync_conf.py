"""corosync.conf as a whole; ``UNDERSTUDY_GOLDEN=write`` writes the expected files anew."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from understudy.formats.corosync_conf import (
    CorosyncConfiguration,
    Member,
    Quorum,
    QuorumDevice,
    render,
)

GOLDEN = Path(__file__).parent / "corosync"


def members(count: int, links: int = 2) -> tuple[Member, ...]:
    networks = ("192.0.2", "198.51.100")[:links]
    return tuple(
        Member(name=f"n{number}", id=number, addresses=tuple(f"{network}.{number}" for network in networks))
        for number in range(1, count + 1)
    )


CONFIGURATIONS = {
    "three-nodes": CorosyncConfiguration(
        cluster_name="region-one",
        nodes=members(3),
        crypto_cipher="aes256",
        crypto_hash="sha256",
        token=1000,
        token_coefficient=0,
        consensus=1200,
        options={"join": "60"},
    ),
    "two-nodes": CorosyncConfiguration(
        cluster_name="pair",
        nodes=members(2, links=1),
        transport="udpu",
        quorum=Quorum(two_node=True, wait_for_all=True),
    ),
    "quorum-device": CorosyncConfiguration(
        cluster_name="four",
        nodes=members(4),
        quorum=Quorum(expected_votes=5, device=QuorumDevice(host="192.0.2.99", votes=1, tls="on")),
    ),
}


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_it_is_written_as_expected(name: str) -> None:
    written = render(CONFIGURATIONS[name])
    path = GOLDEN / f"{name}.conf"
    if os.environ.get("UNDERSTUDY_GOLDEN") == "write":
        path.write_text(written)
    assert written == path.read_text()


@pytest.mark.root
@pytest.mark.lab
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_corosync_accepts_it(
    name: str, tools: tuple[Path, Callable[..., subprocess.CompletedProcess[str]]]
) -> None:
    folder, run = tools
    (folder / "corosync.conf").write_text(render(CONFIGURATIONS[name]))
    key = "head -c 128 /dev/zero > /etc/corosync/authkey"
    done = run("sh", "-c", f"{key}; exec corosync -c /mnt/corosync.conf -t")
    assert done.returncode == 0, done.stdout + done.stderr
    (folder / "corosync.conf").write_text("totem {\n")
    assert run("corosync", "-c", "/mnt/corosync.conf", "-t").returncode != 0
