"""Corosync and Pacemaker formed into one cluster."""

import base64
import hashlib
from dataclasses import replace
from typing import Any

import pytest
from tests.unit.kinds.conftest import NODES, Cluster, done

from understudy.design.items import Membership, TieBreakerCertificates
from understudy.findings import FindingsError
from understudy.formats.corosync_conf import cluster_name_of
from understudy.kinds import tie_breaker
from understudy.kinds.membership import CONFIGURATION, KEY, KEY_BYTES, MembershipKind
from understudy.kinds.model import Change
from understudy.secret import Secret

KIND = MembershipKind()
OURS = "totem {\n    cluster_name: cloud\n}\n"
OTHERS = "totem {\n    cluster_name: debian\n}\n"
ITEM = Membership(cluster_name="cloud", nodes=NODES, corosync_conf=OURS)
HOSTILE = "\xff'".encode("latin-1") * (KEY_BYTES // 2)


class Machines:
    """Files and daemons of three nodes behind a scripted cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.files: dict[tuple[str, str], bytes] = {}
        self.daemons: dict[tuple[str, str], tuple[bool, bool]] = {}
        self.resources = "<resources/>"
        cluster.answers |= {
            "read-file": self._read,
            "write-file": self._write,
            "read-unit": self._unit,
            "write-unit": self._switch,
            "run": self._run,
        }

    def have(self, node: str, configuration: str | None, key: bytes | None, *, running: bool) -> None:
        for path, content in ((CONFIGURATION, configuration and configuration.encode()), (KEY, key)):
            if content:
                self.files[node, path] = content
        for daemon in ("corosync", "pacemaker"):
            self.daemons[node, daemon] = (running, running)

    def _read(self, call: dict[str, Any]) -> object:
        content = self.files.get((call["node"], call["path"]))
        if content is None:
            return {"exists": False}
        text = content.decode("utf-8", "surrogateescape")
        return {"exists": True, "content": text, "digest": hashlib.sha256(content).hexdigest()}

    def _write(self, call: dict[str, Any]) -> object:
        self.files[call["node"], call["path"]] = call["content"].encode("utf-8", "surrogateescape")
        return {}

    def _unit(self, call: dict[str, Any]) -> object:
        enabled, running = self.daemons.get((call["node"], call["name"]), (False, False))
        return {"enabled": enabled, "running": running}

    def _switch(self, call: dict[str, Any]) -> object:
        enabled, running = self.daemons.get((call["node"], call["name"]), (False, False))
        state = (call.get("enabled", enabled), call.get("running", running))
        self.daemons[call["node"], call["name"]] = state
        if all(self.daemons.get((node, "pacemaker"), (False, False))[1] for node in NODES):
            self.cluster.formed = True
        return {}

    def _run(self, call: dict[str, Any]) -> object:
        match call["argv"]:
            case ["cibadmin", *_]:
                return done(self.resources)
            case ["base64", *_]:
                return done(base64.b64encode(self.files[call["node"], KEY]).decode())
            case ["test", "-e", _]:
                return done(exit_status=1)
            case ["sh", "-c", tie_breaker.FILL, "sh", tie_breaker.FOLDER, mark]:
                self.files[call["node"], tie_breaker.MARK] = mark.encode()
                return done()
            case _:
                return done()

    def keys(self) -> set[bytes]:
        return {self.files[node, KEY] for node in NODES}


@pytest.fixture
def machines(cluster: Cluster) -> Machines:
    return Machines(cluster)


async def change_of(cluster: Cluster, item: Membership = ITEM) -> Change | None:
    return KIND.compare(item, (await KIND.observe(cluster.world(), [item]))[item.key])


async def test_a_formed_cluster_needs_nothing(cluster: Cluster, machines: Machines) -> None:
    for node in NODES:
        machines.have(node, OURS, HOSTILE, running=True)
    assert await change_of(cluster) is None


async def test_bare_nodes_get_one_key_and_all_of_it(cluster: Cluster, machines: Machines) -> None:
    cluster.formed = False
    change = await change_of(cluster)
    assert change is not None
    assert {line.secret for line in change.differences if KEY in line.name} == {True}
    await KIND.apply(cluster.world(), change)
    (key,) = machines.keys()
    assert len(key) == KEY_BYTES
    assert all(machines.files[node, CONFIGURATION] == OURS.encode() for node in NODES)
    assert set(machines.daemons.values()) == {(True, True)}
    writes = {(call["path"], call["mode"]) for call in cluster.asked("write-file")}
    assert {(KEY, 0o400), (CONFIGURATION, 0o644)} <= writes
    assert any(
        b"dc-deadtime" in content for (_, path), content in machines.files.items() if path.endswith("cib.xml")
    )
    assert await change_of(cluster) is None


async def test_a_new_node_gets_the_key_of_the_cluster(cluster: Cluster, machines: Machines) -> None:
    for node in NODES[:2]:
        machines.have(node, OURS, HOSTILE, running=True)
    change = await change_of(cluster)
    assert change is not None
    assert {line.name.split()[0] for line in change.differences if CONFIGURATION in line.name} == {"three"}
    await KIND.apply(cluster.world(), change)
    assert machines.keys() == {HOSTILE}
    assert cluster.ran("corosync-cfgtool") == []


async def test_a_changed_configuration_is_reloaded_once(cluster: Cluster, machines: Machines) -> None:
    for node in NODES:
        machines.have(node, OURS.replace("}", "    token: 3\n}"), HOSTILE, running=True)
    change = await change_of(cluster)
    assert change is not None
    await KIND.apply(cluster.world(), change)
    assert cluster.ran("corosync-cfgtool") == [("one", ["corosync-cfgtool", "-R"])]
    assert machines.keys() == {HOSTILE}


async def test_an_empty_cluster_of_the_packages_own_is_left(cluster: Cluster, machines: Machines) -> None:
    for node in NODES:
        machines.have(node, OTHERS, None, running=True)
    change = await change_of(cluster)
    assert change is not None
    await KIND.apply(cluster.world(), change)
    stopped = [call["name"] for call in cluster.asked("write-unit") if call["running"] is False]
    assert sorted(stopped) == ["corosync"] * 3 + ["pacemaker"] * 3
    assert len(machines.keys()) == 1


async def test_a_node_of_another_cluster_with_resources_is_refused(
    cluster: Cluster, machines: Machines
) -> None:
    for node in NODES:
        machines.have(node, OTHERS, HOSTILE, running=True)
    machines.resources = '<resources><primitive id="web"/></resources>'
    change = await change_of(cluster)
    assert change is not None
    with pytest.raises(FindingsError) as caught:
        await KIND.apply(cluster.world(), change)
    assert {finding.code for finding in caught.value.findings} == {"node-in-other-cluster"}
    assert caught.value.findings[0].values["cluster"] == "debian"
    assert machines.files["one", CONFIGURATION] == OTHERS.encode()
    assert not [call for call in cluster.asked("write-unit") if call.get("running") is False]


async def test_a_node_that_does_not_join_is_told(cluster: Cluster, machines: Machines) -> None:
    for node in NODES:
        machines.have(node, OURS, HOSTILE, running=True)
    cluster.online = NODES[:2]
    change = await change_of(cluster)
    assert change is not None
    assert [line.name for line in change.differences] == ["three in the cluster"]
    with pytest.raises(FindingsError) as caught:
        await KIND.apply(cluster.world(), change)
    (finding,) = caught.value.findings
    assert finding.code == "cluster-not-online"
    assert finding.values["online"] == "one, two"


@pytest.mark.parametrize(
    ("text", "name"),
    [(OURS, "cloud"), ("totem{\ncluster_name:x\n}", "x"), ("# cluster_name: no\n", None), ("", None)],
)
def test_the_name_of_a_cluster(text: str, name: str | None) -> None:
    assert cluster_name_of(text) == name


WITH_DEVICE = Membership(
    cluster_name="cloud",
    nodes=NODES,
    corosync_conf=OURS,
    daemons=("corosync", "corosync-qdevice", "pacemaker"),
    tie_breaker=TieBreakerCertificates("the authority", Secret("the certificate")),
)


async def test_a_tie_breaker_is_known_by_certificates_before_its_daemon_runs(
    cluster: Cluster, machines: Machines
) -> None:
    change = await change_of(cluster, WITH_DEVICE)
    assert change is not None
    named = [difference.name for difference in change.differences]
    assert f"{NODES[0]} certificates for the tie-breaker" in named
    assert "the certificate" not in str(change.differences)
    await KIND.apply(cluster.world(), change)
    for node in NODES:
        assert machines.files[node, tie_breaker.CERTIFICATE] == b"the certificate\n"
        assert machines.daemons[node, "corosync-qdevice"] == (True, True)
    assert await change_of(cluster, WITH_DEVICE) is None


async def test_another_certificate_restarts_the_daemon_of_the_tie_breaker_only(
    cluster: Cluster, machines: Machines
) -> None:
    change = await change_of(cluster, WITH_DEVICE)
    assert change is not None
    await KIND.apply(cluster.world(), change)
    renewed = replace(WITH_DEVICE, tie_breaker=TieBreakerCertificates("the authority", Secret("another")))
    change = await change_of(cluster, renewed)
    assert change is not None
    assert {difference.name for difference in change.differences} == {
        f"{node} certificates for the tie-breaker" for node in NODES
    }
    cluster.calls.clear()
    await KIND.apply(cluster.world(), change)
    stopped = [call["name"] for call in cluster.asked("write-unit") if call["running"] is False]
    assert stopped == ["corosync-qdevice"] * 3
    assert await change_of(cluster, renewed) is None
