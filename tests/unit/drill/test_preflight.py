"""A drill begins only on a whole cluster, with what is allowed, in its window; and clients come from the spec."""

from dataclasses import replace
from datetime import time

import pytest
from tests.unit.drill.whole import CLOUD, FENCED, NODES, SPEC, WHOLE, example

from understudy.catalog.load import load_catalog
from understudy.drill.clients import at_rate, clients_of
from understudy.drill.faults.aim import Wish, facts_of
from understudy.drill.faults.registry import FAULTS
from understudy.drill.nodes import active, observed, unhealthy
from understudy.drill.preflight import Permission, fencing_is_on, fitting, outside_window, permitted, ready
from understudy.drill.prepare import about_of
from understudy.findings.messages import message_for
from understudy.kinds.pacemaker import ClusterView
from understudy.secret import Secret


def test_whole_cluster_is_ready() -> None:
    assert ready(WHOLE, NODES, list(SPEC.services), {}) == []


@pytest.mark.parametrize(
    ("view", "left", "code"),
    [
        (None, {}, "drill-cluster-down"),
        (replace(WHOLE, quorate=False), {}, "drill-not-quorate"),
        (replace(WHOLE, online=NODES[:2]), {}, "drill-node-offline"),
        (replace(WHOLE, standby=NODES[:1]), {}, "drill-node-standby"),
        (replace(WHOLE, resources=WHOLE.resources[1:]), {}, "drill-resource-stopped"),
        (replace(WHOLE, failures=("web_monitor_5000 on a: not running",)), {}, "drill-resource-failed"),
        (replace(WHOLE, silent=("glance-api on a",)), {}, "drill-copy-silent"),
        (WHOLE, {NODES[0]: ["a filter"]}, "drill-left-behind"),
    ],
)
def test_cluster_that_is_not_whole_is_refused(
    view: ClusterView | None, left: dict[str, list[str]], code: str
) -> None:
    (finding,) = ready(view, NODES, list(SPEC.services), left)
    assert finding.code == code
    assert message_for(finding)


def test_live_nodes_allow_by_name_and_nothing_that_only_the_lab_can_heal() -> None:
    wishes = [Wish(FAULTS[name]) for name in ("move", "standby", "power-loss", "move")]
    live = Permission(in_lab=False, allowed=frozenset({"move", "power-loss"}))
    codes = {str(finding.values["fault"]): finding.code for finding in permitted(wishes, live, time(12))}
    assert codes == {"standby": "fault-not-allowed", "power-loss": "fault-only-in-lab"}
    assert permitted(wishes, Permission(in_lab=True), time(12)) == []


@pytest.mark.parametrize(
    ("window", "now", "closed"),
    [
        ((time(1), time(5)), time(3), False),
        ((time(1), time(5)), time(5), True),
        ((time(22), time(4)), time(23), False),
        ((time(22), time(4)), time(3), False),
        ((time(22), time(4)), time(12), True),
        (None, time(12), False),
    ],
)
def test_window(window: tuple[time, time] | None, now: time, closed: bool) -> None:
    found = outside_window(Permission(in_lab=False, window=window), now)
    assert [finding.code for finding in found] == (["drill-outside-window"] if closed else [])
    assert all(message_for(finding) for finding in found)


def test_fault_that_ends_in_fencing_needs_it() -> None:
    facts = facts_of(SPEC, load_catalog())
    off = FENCED.replace(
        "<crm_config/>", "<crm_config><p><nvpair name='stonith-enabled' value='false'/></p></crm_config>"
    )
    assert fencing_is_on(WHOLE)
    assert not fencing_is_on(replace(WHOLE, cib=off))
    wishes = [Wish(FAULTS["cluster-cut"]), Wish(FAULTS["move"]), Wish(FAULTS["broker-lost"])]
    found = fitting(wishes, facts, replace(WHOLE, cib=off), in_lab=True)
    assert [finding.code for finding in found] == ["drill-fencing-off", "fault-does-not-fit"]


def test_every_fault_that_fits_the_example_fits_it() -> None:
    facts = facts_of(SPEC, load_catalog())
    wishes = [Wish(fault) for fault in FAULTS.values() if fault.name != "broker-lost"]
    assert fitting(wishes, facts, WHOLE, in_lab=True) == []
    assert facts.roles == {"database": "mariadb", "identity": "keystone"}
    assert facts.services["glance-api"].moves == "ip-api-internal"


def test_health_is_what_it_was_before() -> None:
    before = {name: len(nodes) for name, nodes in active(WHOLE).items()}
    assert unhealthy(WHOLE, NODES, before) == []
    assert unhealthy(None, NODES, before)
    assert unhealthy(replace(WHOLE, resources=WHOLE.resources[1:]), NODES, before) == [
        "mariadb runs 0 times of 1"
    ]
    assert unhealthy(replace(WHOLE, online=NODES[1:]), NODES, before) == [f"{NODES[0]} is not online"]
    assert unhealthy(replace(WHOLE, silent=("glance-api on a",)), NODES, before) == [
        "glance-api on a does not answer"
    ]
    assert observed(WHOLE, ["f1"])["fencing"] == ["f1"]


SECRETS = {"identity-admin": Secret("pa55"), "database-keystone": Secret("pa55")}


def test_clients_come_from_both_sides_and_log_in_only_with_a_password() -> None:
    clients = clients_of(CLOUD, SECRETS)
    by_name = {client.client: client for side in clients.values() for client in side}
    assert (
        str(SPEC.addresses["api"].public)
        == by_name["images"].address
        == by_name["token"].parameters["identity_address"]
    )
    assert {client.client for client in clients["internal"]} == {
        "owner-api-internal",
        "owner-database-internal",
        "rows",
    }
    assert by_name["rows"].parameters["user"] == by_name["rows"].parameters["database"] == "keystone"
    assert all(client.port for client in by_name.values() if client.kind != "owner")
    assert "pa55" not in repr(clients)
    without = clients_of(CLOUD, {})
    assert not {"images", "token", "image-written", "rows"} & {
        client.client for side in without.values() for client in side
    }
    assert "pa55" not in str(about_of(SPEC))


def test_a_rate_is_every_clients_but_of_those_that_leave_something() -> None:
    clients = clients_of(CLOUD, SECRETS)["public"]
    own = {client.client: client.rate for client in clients}
    asked = {client.client: client.rate for client in at_rate(clients, 20)}
    assert own["images"] < 20
    assert asked.pop("image-written") == own["image-written"]
    assert set(asked.values()) == {20}


def test_clients_of_a_secured_cloud_speak_tls_and_trust_its_authority() -> None:
    cloud = example("secured")
    found = clients_of(cloud, {**SECRETS, "messaging": Secret("pa55"), "tls-authority.pem": Secret("whom")})
    clients = {client.client: client for side in found.values() for client in side}
    reached = [client for client in clients.values() if client.kind != "owner"]
    assert {client.service for client in reached} == set(cloud.spec.services) - {"haproxy"}
    assert all(client.parameters["tls"] and client.text("authority") == "whom" for client in reached)
    assert clients["messages"].port == cloud.port("rabbitmq") == 5671
