"""A cluster of two: brought up, applied and taken down by commands alone."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.lab.cluster import Site, make_site, taken_down

from understudy.lab.state import LABS

pytestmark = [pytest.mark.root, pytest.mark.lab]

THIRD = "  controller-3: {management: 10.91.42.13, public: 198.51.100.13, bmc: 10.91.43.13}\n"
GLANCE = "  glance-api: {standby: cold, address: api, storage: shared, workers: 1}"


@pytest.fixture(scope="module")
def pair(apply_labs: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("pair")
    with taken_down(make_site(folder, f"test-{os.getpid()}-pair", (THIRD, ""), (GLANCE, ""))) as site:
        yield site


def test_two_nodes_from_nothing_to_nothing(pair: Site) -> None:
    down = pair.understudy("lab", "down")
    assert (down.returncode, "There was no lab" in down.stdout) == (0, True)
    assert pair.document("lab", "status") == {"up": False, "nodes": {}}
    up = pair.understudy("lab", "up")
    assert up.returncode == 0, up.stderr
    assert "was up already" in pair.understudy("lab", "up").stdout
    assert {node["power"] for node in pair.document("lab", "status")["nodes"].values()} == {"on"}

    assert pair.understudy("plan", "--exit-code").returncode == 3
    applied = pair.understudy("apply")
    assert applied.returncode == 0, applied.stderr
    assert pair.understudy("plan", "--exit-code").returncode == 0
    seen = pair.settle()
    assert set(seen["nodes"]) == {"controller-1", "controller-2"}
    assert "two_node: 1" in pair.on("controller-2", "cat /etc/corosync/corosync.conf")
    assert "2Node" in pair.on("controller-1", "corosync-quorumtool -s || true")
    _survives_alone(pair)

    assert pair.understudy("lab", "down").returncode == 0
    assert not Path(LABS, pair.name).exists()


def _survives_alone(pair: Site) -> None:
    """Half of two goes on alone, after it has fenced the other half."""
    victim = pair.where("keystone")
    pair.lab.crash(victim)
    pair.settle(lambda now: now["healthy"] and pair.where("keystone") != victim)
    assert any(event["event"] == "bmc-reset" and event["node"] == victim for event in pair.lab.events())
