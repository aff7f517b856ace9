"""Spec against reality at a glance: what cannot be looked at does not hide what can."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from tests.unit.cli.conftest import EXAMPLE, Understudy
from tests.unit.kinds.conftest import Cluster

from understudy.cli import status
from understudy.cli.authority import _authority, _put, new_certificate
from understudy.cli.inputs import Input
from understudy.cli.planning import Planned
from understudy.cli.reach import Reached
from understudy.findings import Finding, FindingsError
from understudy.formats.cluster import Clone, Primitive
from understudy.kinds.model import World
from understudy.kinds.pacemaker import ResourceState
from understudy.plan.model import Plan
from understudy.spec.load import load_spec

CONTROLLERS = ("controller-1", "controller-2", "controller-3")
KEYSTONE_DOWN = Finding(
    "keystone-unreachable", values={"url": "http://192.0.2.1:5000/v3", "reason": "refused"}
)


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """Return a cluster that the command reaches instead of real nodes; what belongs to Keystone cannot be seen."""
    scripted = Cluster(nodes=CONTROLLERS, online=CONTROLLERS, running={"mariadb": "controller-2"})

    @asynccontextmanager
    async def reach(*_: object, **__: object) -> AsyncIterator[Reached]:
        yield Reached(scripted.world(), "live nodes", in_lab=False, missing={})

    async def make(*_: object) -> None:
        raise FindingsError([KEYSTONE_DOWN], exit_status=1)

    monkeypatch.setattr(status, "reach", reach)
    monkeypatch.setattr(status, "make", make)
    return scripted


def test_what_cannot_be_looked_at_is_told_beside_the_rest(
    understudy: Understudy, spec: Path, cluster: Cluster
) -> None:
    done = understudy("status", spec, "--json")
    seen = done.document
    assert (done.status, seen["healthy"], done.codes) == (1, False, ["keystone-unreachable"])
    states = {each["name"]: each["state"] for each in seen["resources"]}
    assert (states["mariadb"], states["keystone"]) == ("running", "stopped")
    told = understudy("status", spec)
    assert told.status == 1
    assert "controller-2" in told.out
    assert "not as it should be" in told.out
    assert "keystone-unreachable" in told.err


def test_a_resource_that_runs_twice_is_not_well(understudy: Understudy, spec: Path, cluster: Cluster) -> None:
    cluster.more_running = [("mariadb", "controller-3")]
    seen = understudy("status", spec, "--json").document
    assert (
        next(each for each in seen["resources"] if each["name"] == "mariadb")["state"] == "running too often"
    )


def test_a_node_that_is_not_a_member_is_offline(understudy: Understudy, spec: Path, cluster: Cluster) -> None:
    cluster.online = CONTROLLERS[:2]
    assert understudy("status", spec, "--json").document["nodes"]["controller-3"] == "offline"


def test_an_expired_certificate_is_told_also_where_everything_can_be_looked_at(
    understudy: Understudy, tmp_path: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "secured.yaml"
    file.write_text((EXAMPLE.with_name("secured.yaml")).read_text(encoding="utf-8"), encoding="utf-8")
    assert understudy("secrets", file, "--generate").status == 0
    loaded = load_spec(file)
    authority, signer = _authority(loaded)
    address = (ip_address("192.168.42.102"),)
    _put(
        loaded,
        "tls-broker",
        *new_certificate("tls-broker", address, authority, signer, -timedelta(minutes=1)),
    )

    async def make(given: Input, _: World) -> Planned:
        return Planned(Plan("secured", (), "digest"), given.design())

    monkeypatch.setattr(status, "make", make)
    done = understudy("status", file, "--json")
    assert (done.status, done.codes) == (1, ["tls-expired"])
    assert understudy("check", file, "--json").codes == ["tls-expired"]


def test_where_there_is_no_cluster(understudy: Understudy, spec: Path, cluster: Cluster) -> None:
    cluster.formed = False
    seen = understudy("status", spec, "--json").document
    assert (seen["quorate"], seen["coordinator"]) == (False, None)
    assert set(seen["nodes"].values()) == {"offline"}


def test_nodes_that_were_not_reached_are_named(
    understudy: Understudy, spec: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    @asynccontextmanager
    async def reach(*_: object, **__: object) -> AsyncIterator[Reached]:
        hosts = {name: host for name, host in cluster.world().hosts.items() if name != "controller-3"}
        yield Reached(
            World(hosts), "live nodes", in_lab=False, missing={"controller-3": "it does not answer"}
        )

    cluster.online = CONTROLLERS[:2]
    monkeypatch.setattr(status, "reach", reach)
    seen = understudy("status", spec, "--json").document
    assert seen["nodes"]["controller-3"] == "unreachable: it does not answer"
    assert "findings" not in seen


def test_what_runs_after_a_failure_is_told_apart_from_what_never_failed() -> None:
    well = {"healthy": True, "failures": []}
    assert "all is well" in status._verdict(well)
    assert "something has failed before" in status._verdict(well | {"failures": ["keystone_monitor"]})
    assert "not as it should be" in status._verdict({"healthy": False, "failures": ["keystone_monitor"]})


def test_a_promoted_copy_is_one_that_serves() -> None:
    galera = Clone(
        id="mariadb-clone",
        resource=Primitive(id="mariadb", agent="ocf:heartbeat:galera"),
        promotable=True,
        meta={"promoted-max": "2"},
    )
    states = (
        ResourceState("mariadb:0", "controller-1", "Promoted", failed=False, managed=True),
        ResourceState("mariadb:1", "controller-2", "Promoted", failed=False, managed=True),
        ResourceState("mariadb:2", "controller-3", "Unpromoted", failed=False, managed=True),
    )
    assert status.running_copies(galera, 3, states) == [
        {"name": "mariadb", "state": "running", "nodes": ["controller-1", "controller-2"], "wanted": 2}
    ]
