"""What the guides' configurations do when something fails, as Pacemaker's scheduler has it."""

import pytest
from lxml import etree

from understudy.proof.configuration import read_configuration
from understudy.proof.judge import Judge
from understudy.proof.lint import lint
from understudy.proof.play import Outcome, Player
from understudy.proof.runner.command import CommandScheduler
from understudy.proof.scenarios import Fault, Scenario
from understudy.proof.verdict import Verdict


def primitive(name: str, agent: str) -> str:
    standard, provider, kind = agent.split(":")
    return (
        f'<primitive id="{name}" class="{standard}" provider="{provider}" type="{kind}"><operations>'
        f'<op id="{name}-monitor" name="monitor" interval="10s" timeout="20s"/></operations></primitive>'
    )


def cib(resources: str, constraints: str = "", nodes: int = 3, fencing: str = "true") -> etree._Element:
    names = "".join(f'<node id="{n}" uname="n{n}"/>' for n in range(1, nodes + 1))
    devices = (
        '<primitive id="fence" class="stonith" type="fence_redfish"><operations>'
        '<op id="fence-monitor" name="monitor" interval="60s"/></operations></primitive>'
        if fencing == "true"
        else ""
    )
    return etree.fromstring(
        '<cib validate-with="pacemaker-3.7" crm_feature_set="3.16.1" epoch="1" num_updates="0" admin_epoch="0">'
        '<configuration><crm_config><cluster_property_set id="options">'
        f'<nvpair id="stonith" name="stonith-enabled" value="{fencing}"/></cluster_property_set></crm_config>'
        f"<nodes>{names}</nodes><resources>{devices}{resources}</resources>"
        f"<constraints>{constraints}</constraints><rsc_defaults>"
        '<meta_attributes id="defaults"><nvpair id="stickiness" name="resource-stickiness" value="100"/>'
        "</meta_attributes></rsc_defaults></configuration><status/></cib>"
    )


def played(
    root: etree._Element, command: CommandScheduler, *faults: Fault
) -> tuple[Outcome, Verdict, Player]:
    facts = read_configuration(root)
    player = Player(root, facts, command)
    outcome = player.play(Scenario(faults))
    return outcome, Judge(facts, player.baseline).judge(outcome), player


def did(outcome: Outcome) -> set[tuple[str, str, str]]:
    return {
        (action.task, action.resource, action.node)
        for step in outcome.steps
        for transition in step.transitions
        for action in transition.effective
    }


APIS = "".join(
    primitive(name, f"ocf:openstack:{kind}")
    for name, kind in (
        ("p_keystone", "keystone"),
        ("p_glance-api", "glance-api"),
        ("p_cinder-api", "cinder-api"),
        ("p_neutron-server", "neutron-server"),
        ("p_glance-registry", "glance-registry"),
    )
)
GUIDE_GROUP = f'<group id="g_services_api">{primitive("p_api-ip", "ocf:heartbeat:IPaddr2")}{APIS}</group>'


def test_one_image_api_failure_restarts_block_storage_and_networking(command: CommandScheduler) -> None:
    outcome, verdict, player = played(cib(GUIDE_GROUP, nodes=2), command, Fault("monitor", "p_glance-api"))
    stopped = {resource for task, resource, _ in did(outcome) if task == "stop"}
    assert stopped == {"p_glance-api", "p_cinder-api", "p_neutron-server", "p_glance-registry"}
    assert player.baseline.running() == outcome.steps[0].after.running()
    bystanders = {item.object for item in verdict.violations if item.code == "bystander-interrupted"}
    assert bystanders == {"p_cinder-api", "p_neutron-server"}
    assert verdict.services["g_services_api"] == "bystander"


def test_a_failed_stop_without_fencing_blocks_what_follows(command: CommandScheduler) -> None:
    outcome, verdict, _ = played(
        cib(GUIDE_GROUP, nodes=2, fencing="false"), command, Fault("stop", "p_cinder-api")
    )
    after = outcome.steps[0].after.running()
    assert not {"p_neutron-server", "p_glance-registry"} & set(after)
    codes = {(item.code, item.object) for item in verdict.violations}
    assert ("blocked-after-stop-failure", "p_cinder-api") in codes
    assert ("service-lost", "p_neutron-server") in codes


def proxied(kind: str, *, reverse: bool) -> etree._Element:
    """Return an address and a clone of HAProxy; ``reverse`` has HAProxy follow the address, not the other way round."""
    clone = (
        '<clone id="haproxy-clone"><meta_attributes id="m"><nvpair id="i" name="interleave" value="true"/>'
        f"</meta_attributes>{primitive('haproxy', 'ocf:heartbeat:haproxy')}</clone>"
    )
    ends = ("haproxy-clone", "vip") if reverse else ("vip", "haproxy-clone")
    constraints = (
        f'<rsc_order id="order" first="vip" then="haproxy-clone" kind="{kind}"/>'
        f'<rsc_colocation id="near" rsc="{ends[0]}" with-rsc="{ends[1]}" score="INFINITY"/>'
    )
    return cib(primitive("vip", "ocf:heartbeat:IPaddr2") + clone, constraints)


@pytest.mark.parametrize("fault", [Fault("monitor", "vip"), Fault("node-lost")])
def test_the_mandatory_order_restarts_every_surviving_haproxy(
    command: CommandScheduler, fault: Fault
) -> None:
    root = proxied("Mandatory", reverse=False)
    home = next(iter(Player(root, read_configuration(root), command).baseline.running()["vip"]))
    if fault.kind == "node-lost":
        fault = Fault("node-lost", node=home)
    outcome, verdict, player = played(root, command, fault)
    assert set(player.baseline.running()["haproxy"]) == {"n1", "n2", "n3"}
    survivors = {"n1", "n2", "n3"} - set(fault.nodes)
    assert {node for task, name, node in did(outcome) if (task, name) == ("stop", "haproxy")} == survivors
    hurt = {item.detail for item in verdict.violations if item.code == "bystander-interrupted"}
    assert hurt == survivors


def test_the_reversed_colocation_leaves_one_haproxy(command: CommandScheduler) -> None:
    root = proxied("Optional", reverse=True)
    facts = read_configuration(root)
    player = Player(root, facts, command)
    assert len(player.baseline.running()["haproxy"]) == 1
    assert "colocation-reversed" in {finding.code for finding in lint(facts, root)}


def test_the_reversed_colocation_starts_haproxy_only_when_the_address_has_moved(
    command: CommandScheduler,
) -> None:
    root = proxied("Optional", reverse=True)
    (home,) = Player(root, read_configuration(root), command).baseline.running()["vip"]
    outcome, _, _ = played(root, command, Fault("monitor", "vip"))
    assert did(outcome) == {("stop", "vip", home), ("start", "vip", home)}
    outcome, _, _ = played(root, command, Fault("node-lost", node=home))
    (moved,) = outcome.steps[0].after.running()["vip"]
    assert {("start", "vip", moved), ("start", "haproxy", moved)} <= did(outcome)
    assert set(outcome.steps[0].after.running()["haproxy"]) == {moved}


def test_mandatory_and_reversed_restarts_the_only_haproxy_with_the_address(command: CommandScheduler) -> None:
    root = proxied("Mandatory", reverse=True)
    (home,) = Player(root, read_configuration(root), command).baseline.running()["vip"]
    outcome, _, player = played(root, command, Fault("monitor", "vip"))
    assert set(player.baseline.running()["haproxy"]) == {home}
    both = {(task, name, home) for task in ("stop", "start") for name in ("vip", "haproxy")}
    assert did(outcome) == both
    outcome, _, _ = played(root, command, Fault("node-lost", node=home))
    (moved,) = outcome.steps[0].after.running()["vip"]
    assert {("start", "vip", moved), ("start", "haproxy", moved)} <= did(outcome)


@pytest.mark.parametrize("fault", [Fault("monitor", "vip"), Fault("node-lost")])
def test_the_advisory_order_touches_no_surviving_haproxy(command: CommandScheduler, fault: Fault) -> None:
    root = proxied("Optional", reverse=False)
    home = next(iter(Player(root, read_configuration(root), command).baseline.running()["vip"]))
    if fault.kind == "node-lost":
        fault = Fault("node-lost", node=home)
    outcome, verdict, _ = played(root, command, fault)
    assert not [item for item in did(outcome) if item[1] == "haproxy"]
    assert verdict.violations == ()


def test_the_mandatory_order_keeps_a_database_alive_without_quorum(command: CommandScheduler) -> None:
    members = primitive("fs", "ocf:heartbeat:Filesystem") + primitive("mysql", "ocf:heartbeat:mysql")
    database = f'<group id="db">{members}</group>'
    apis = "".join(primitive(f"api{n}", f"ocf:openstack:svc{n}") for n in range(1, 5))
    orders = "".join(f'<rsc_order id="o{n}" first="db" then="api{n}" kind="{{kind}}"/>' for n in range(1, 5))
    found = {}
    for kind in ("Mandatory", "Optional"):
        root = cib(database + apis, orders.format(kind=kind))
        player = Player(root, read_configuration(root), command)
        home = next(iter(player.baseline.running()["mysql"]))
        lost = ",".join(sorted({"n1", "n2", "n3"} - {home}))
        _, verdict, _ = played(root, command, Fault("node-lost", node=lost))
        found[kind] = {item.object for item in verdict.violations if item.code == "runs-without-quorum"}
    assert {"fs", "mysql"} <= found["Mandatory"]
    assert found["Optional"] == set()
