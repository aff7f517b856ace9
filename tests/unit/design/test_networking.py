"""The network nodes: what a spec may ask for, and what becomes of it in the cluster and in the agents' options."""

from pathlib import Path

import pytest

from understudy.catalog.load import load_catalog
from understudy.catalog.releases import release_named
from understudy.design.check import check_against_catalog
from understudy.design.items import Options
from understudy.design.make import Design, make_design
from understudy.design.networking import GROUP, PREFERENCE
from understudy.findings import advice_for, message_for
from understudy.formats.cluster import Clone, Colocation, Group, Location, Order, forbidden_nodes
from understudy.secret import Secret
from understudy.spec.check import check_spec
from understudy.spec.load import LoadedSpec, parse_spec

EXAMPLE = (Path(__file__).parents[3] / "examples" / "network-stack.yaml").read_text(encoding="utf-8")
NODES = "  nodes: [controller-1, controller-2]"
EXTERNAL = "  external: {interface: eth2}"
AGENTS = EXAMPLE[EXAMPLE.index("  neutron-dataplane:") :]
NETWORKING = EXAMPLE[EXAMPLE.index("networking:") : EXAMPLE.index("services:")]
WARM = (AGENTS, AGENTS.replace("cold", "warm"))
L3 = "neutron-l3-agent:          {standby: cold}"
LAYER2 = "neutron-linuxbridge-agent: {standby: cold}"


def more(line: str) -> tuple[str, str]:
    """Add a line to the spec's networking."""
    return (EXTERNAL, f"{EXTERNAL}\n  {line}")


CASES = {
    "agents, and nothing about networking": ([(NETWORKING, "")], "networking-missing"),
    "no network node": ([(NODES, "  nodes: []")], "network-node-missing"),
    "a network node that is none": ([(NODES, "  nodes: [controller-9]")], "network-node-unknown"),
    "no external network": ([(EXTERNAL, "")], "external-network-missing"),
    "no layer-2 agent": ([(f"  {LAYER2}\n", "")], "service-need-missing"),
    "no data plane": ([("  neutron-dataplane:         {standby: cold}\n", "")], "service-need-missing"),
    "agents where no layer-2 agent is": ([(L3, L3.replace("cold", "warm"))], "agent-without-layer2"),
    "two layer-2 agents": ([(L3, f"{L3}\n  neutron-openvswitch-agent: {{standby: cold}}")], "layer2-twice"),
    "the name of a machine for the stack": (
        [more("host: controller-1")],
        "networking-host-taken",
    ),
    "the name of the stack for another agent": (
        [
            more("host: net"),
            (
                "neutron-server: {standby: warm,",
                "neutron-server: {options: {DEFAULT: {host: net}}, standby: warm,",
            ),
        ],
        "networking-host-taken",
    ),
    "l3_ha with a shared host": ([more("l3_ha: true")], "l3-ha-shared-host"),
    "l3_ha on one node": (
        [more("l3_ha: true"), (NODES, "  nodes: [controller-1]"), WARM],
        "l3-ha-single-node",
    ),
    "rescheduling with a shared host": (
        [more("automatic_rescheduling: true")],
        "rescheduling-shared-host",
    ),
    "a shared host without fencing": (
        [("redfish: {user: admin, password: {file: secrets/fencing}}", "none: data may be lost")],
        "shared-host-without-fencing",
    ),
    "more DHCP agents than there are": (
        [more("dhcp_agents_per_network: 3"), WARM],
        "dhcp-agents-too-few",
    ),
    "a tunnel that the layer-2 agent cannot make": (
        [more("tenant: {type: gre}")],
        "tenant-network-unsupported",
    ),
    "tunnels over a network that is none": (
        [more("tenant: {over: data}")],
        "network-unknown",
    ),
    "a group of agents that run everywhere": (
        [more("grouped: true"), WARM],
        "network-group-warm",
    ),
}


def loaded(*replacements: tuple[str, str]) -> LoadedSpec:
    text = EXAMPLE
    for before, after in replacements:
        assert text.count(before) == 1, before
        text = text.replace(before, after)
    return parse_spec(text, "cloud.yaml", Path("/nowhere"))


def design(*replacements: tuple[str, str]) -> Design:
    spec = loaded(*replacements)
    assert not check_spec(spec)
    assert not check_against_catalog(spec, load_catalog())
    return make_design(spec.spec, load_catalog(), release_named(spec.spec.release), Secret)


def hosts(made: Design, path: str) -> dict[str, str | None]:
    """Return by node the name under which Neutron knows the agent with this option file."""
    return {
        item.node: next((str(one.value) for one in item.options if one.name == "host"), None)
        for item in made.items
        if isinstance(item, Options) and item.path == path
    }


@pytest.mark.parametrize("name", CASES)
def test_what_neutron_forbids_is_told_with_its_place(name: str) -> None:
    replacements, code = CASES[name]
    spec = loaded(*replacements)
    found = [*check_spec(spec), *check_against_catalog(spec, load_catalog())]
    found = [one for one in found if one.severity == "error"]
    assert [one.code for one in found] == [code] * len(found)
    assert found
    assert all(one.place and message_for(one) and advice_for(one) for one in found)


def test_agents_that_run_once_go_by_one_name_on_the_network_nodes_only() -> None:
    made = design()
    for path in ("/etc/neutron/l3_agent.ini", "/etc/neutron/plugins/ml2/linuxbridge_agent.ini"):
        assert hosts(made, path) == {"controller-1": "network-stack", "controller-2": "network-stack"}
    assert hosts(made, "/etc/neutron/neutron.conf") == dict.fromkeys(
        ["controller-1", "controller-2", "controller-3"]
    )


def test_agents_that_run_everywhere_go_by_their_nodes_name() -> None:
    made = design(WARM, more("l3_ha: true\n  dhcp_agents_per_network: 2"))
    assert hosts(made, "/etc/neutron/l3_agent.ini") == {
        "controller-1": "controller-1",
        "controller-2": "controller-2",
    }
    clones = {one.id for one in made.cluster.resources if isinstance(one, Clone)}
    assert {"neutron-dataplane-clone", "neutron-l3-agent-clone"} <= clones


def test_separate_agents_stand_on_the_data_plane_and_not_on_each_other() -> None:
    constraints = design().cluster.constraints
    agents = {"neutron-linuxbridge-agent", "neutron-l3-agent", "neutron-dhcp-agent", "neutron-metadata-agent"}
    ordered = [one for one in constraints if isinstance(one, Order) and one.then in agents]
    orders = {(one.first, one.then) for one in ordered if one.kind == "Mandatory"}
    turns = [(one.first, one.then) for one in ordered if one.kind == "Optional" and not one.symmetrical]
    together = {
        (one.resource, one.with_resource)
        for one in constraints
        if isinstance(one, Colocation) and one.resource in agents
    }
    assert orders == {("neutron-dataplane", agent) for agent in agents}
    assert [first for first, _ in turns] == [
        "neutron-l3-agent",
        "neutron-linuxbridge-agent",
        "neutron-dhcp-agent",
    ]
    assert turns[-1][1] == "neutron-metadata-agent"
    assert together == {(agent, "neutron-dataplane") for agent in agents}
    away = {one.resource for one in constraints if isinstance(one, Location) and one.node == "controller-3"}
    assert agents | {"neutron-dataplane"} <= away


def test_the_group_of_the_guide_starts_what_the_others_need_first() -> None:
    cluster = design(more("grouped: true")).cluster
    (group,) = (one for one in cluster.resources if isinstance(one, Group))
    assert group.id == GROUP
    assert [one.id for one in group.primitives][:2] == ["neutron-dataplane", "neutron-linuxbridge-agent"]
    assert len(group.primitives) == 5
    references = {one.resource for one in cluster.constraints if isinstance(one, Location)}
    assert GROUP in references
    assert not {one.id for one in group.primitives} & references


def test_what_the_stack_needs_to_start_prefers_other_nodes_than_the_network_nodes() -> None:
    preferred = {
        (one.resource, one.node, one.score)
        for one in design().cluster.constraints
        if isinstance(one, Location) and one.score == PREFERENCE
    }
    assert preferred == {
        ("fs-database", "controller-3", PREFERENCE),
        ("fs-broker", "controller-3", PREFERENCE),
    }
    everywhere = design((NODES, "  nodes: [controller-1, controller-2, controller-3]"))
    assert not [one for one in everywhere.cluster.constraints if one.id.startswith("prefer-")]


def test_agents_that_run_everywhere_may_not_run_off_the_network_nodes() -> None:
    cluster = design(WARM).cluster
    clones = [one for one in cluster.resources if isinstance(one, Clone) and "neutron-l3-agent" in one.id]
    assert [forbidden_nodes(cluster, clone) for clone in clones] == [{"controller-3"}]
