"""Every fault: aimed by role, healed, documented, tested."""

from itertools import islice
from pathlib import Path

import pytest

from understudy.catalog.load import load_catalog
from understudy.catalog.releases import release_named
from understudy.design.context import Cloud
from understudy.drill.faults import on_node
from understudy.drill.faults.aim import State, Wish, aim_of, facts_of, random_turns, read_wishes
from understudy.drill.faults.model import Aim, Facts, FaultError, LabStep, NodeStep, ServiceFacts
from understudy.drill.faults.registry import FAULTS
from understudy.drill.prepare import prepare
from understudy.findings import FindingsError
from understudy.hosts.ssh import SshHost
from understudy.secret import Secret
from understudy.spec.load import load_spec

ROOT = Path(__file__).parents[3]
FACTS = Facts(
    nodes=("a", "b", "c"),
    links={"a": ("10.0.0.1",), "b": ("10.0.0.2",), "c": ("10.0.0.3",)},
    client_networks=("203.0.113.0/24",),
    services={
        "mariadb": ServiceFacts(
            "mariadb", "mariadb", "mariadb", "ip-db", 3306, ("/etc/mysql/x.cnf",), "shared"
        ),
        "rabbitmq": ServiceFacts("rabbitmq", "rabbitmq", "rabbitmq", "rabbitmq", 5672),
        "keystone": ServiceFacts(
            "keystone", "keystone-clone", "keystone", "ip-api", 5000, ("/etc/keystone/k.conf",)
        ),
        "glance-api": ServiceFacts(
            "glance-api", "glance-api", "glance-api", "ip-api", 9292, ("/etc/glance/g.conf",), "shared"
        ),
    },
    board_controllers={"a": "10.1.0.1", "b": "10.1.0.2", "c": "10.1.0.3"},
    mounts={"shared": "/var/lib/understudy/shared"},
    roles={"database": "mariadb", "messaging": "rabbitmq", "identity": "keystone"},
)
STATE = State(
    online=("a", "b", "c"),
    coordinator="c",
    active={
        "ip-api": ("a",),
        "glance-api": ("a",),
        "ip-db": ("b",),
        "mariadb": ("b",),
        "rabbitmq": ("b",),
        "keystone": ("a", "b", "c"),
    },
)
LAB_UNDO = {"crash": "boot", "power_off": "boot", "freeze": "thaw"}


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_has_label_colour_steps_and_a_heal_for_each_step(name: str) -> None:
    fault = FAULTS[name]
    aim = aim_of(Wish(fault), FACTS, STATE)
    steps = fault.steps(FACTS, aim)
    assert steps
    assert fault.title in fault.label(aim)
    assert all(node in fault.label(aim) for node in aim.nodes)
    assert len(fault.colour) == 7
    for step in steps:
        match step:
            case LabStep():
                assert LAB_UNDO[step.verb] == step.undo
                assert fault.reach == "lab"
            case NodeStep():
                assert step.step["do"] in on_node.STEPS
                assert step.step["do"] != "command" or step.step["undo"]


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_has_a_line_in_the_reference(name: str) -> None:
    lines = (ROOT / "docs/reference/faults.md").read_text(encoding="utf-8").splitlines()
    assert any(line.startswith(f"| `{name}` |") for line in lines)


def test_cut_leaves_the_active_node_with_either_side() -> None:
    five = State(("a", "b", "c", "d", "e"), "c", STATE.active)
    assert aim_of(Wish(FAULTS["cluster-cut-minority"]), FACTS, five).nodes == ("a", "b")
    majority = aim_of(Wish(FAULTS["cluster-cut-majority"]), FACTS, five)
    assert majority.nodes == ("d", "e")
    assert majority.others == ("a", "b", "c")
    with pytest.raises(FaultError, match="no minority"):
        aim_of(Wish(FAULTS["cluster-cut-majority"]), FACTS, State(("a", "b"), "a", STATE.active))


def test_reference_names_no_fault_that_is_none() -> None:
    lines = (ROOT / "docs/reference/faults.md").read_text(encoding="utf-8").splitlines()
    named = {line.split("`")[1] for line in lines if line.startswith("| `")}
    assert named == set(FAULTS)


@pytest.mark.parametrize(
    ("text", "nodes", "service"),
    [
        ("power-loss", ("a",), ""),
        ("power-loss:passive", ("b",), ""),
        ("power-loss:coordinator", ("c",), ""),
        ("power-loss:all", ("a", "b", "c"), ""),
        ("power-loss:b", ("b",), ""),
        ("power-loss:mariadb", ("b",), ""),
        ("process-killed:mariadb", ("b",), "mariadb"),
        ("process-killed:mariadb@c", ("c",), "mariadb"),
        ("database-lost", ("b",), "mariadb"),
        ("identity-lost", ("a",), "keystone"),
        ("disk-full", ("b",), "mariadb"),
    ],
)
def test_wish_is_aimed(text: str, nodes: tuple[str, ...], service: str) -> None:
    (wish,) = read_wishes(text, FACTS)
    aim = aim_of(wish, FACTS, STATE)
    assert (aim.nodes, aim.service) == (nodes, service)
    assert not set(aim.others) & set(aim.nodes)


def test_several_at_once() -> None:
    assert [wish.fault.name for wish in read_wishes("power-loss:a + client-cut:b", FACTS)] == [
        "power-loss",
        "client-cut",
    ]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("no-such", "fault-unknown"),
        ("move:nobody", "fault-target-unknown"),
        ("move:nova@a", "fault-service-unknown"),
    ],
)
def test_wish_for_nothing_that_is_there(text: str, code: str) -> None:
    with pytest.raises(FindingsError) as caught:
        read_wishes(text, FACTS)
    assert [finding.code for finding in caught.value.findings] == [code]


def test_cut_off_node_hears_nobody_and_a_minority_still_talks_within() -> None:
    fault = FAULTS["cluster-cut"]
    (step,) = fault.steps(FACTS, Aim(("a",), "", ("b", "c")))
    assert isinstance(step, NodeStep)
    assert (step.node, step.step["peers"], step.step["direction"]) == ("a", ["10.0.0.2", "10.0.0.3"], "both")
    both = fault.steps(FACTS, Aim(("a", "b"), "", ("c",)))
    assert [step.step["peers"] for step in both if isinstance(step, NodeStep)] == [["10.0.0.3"], ["10.0.0.3"]]


def test_dead_fencing_device_is_out_of_reach_for_all_others() -> None:
    steps = FAULTS["fencing-dead"].steps(FACTS, Aim(("a",), "", ("b", "c")))
    assert [(step.node, step.step["peers"]) for step in steps if isinstance(step, NodeStep)] == [
        ("b", ["10.1.0.1"]),
        ("c", ["10.1.0.1"]),
    ]


def test_fault_about_a_service_that_is_not_there_does_not_fit() -> None:
    facts = Facts(("a",), {}, (), {}, {}, {}, {})
    for name in ("process-killed", "storage-gone", "client-cut", "fencing-dead", "cluster-cut"):
        with pytest.raises(FaultError):
            FAULTS[name].steps(facts, Aim(("a",)))
    with pytest.raises(FaultError):
        aim_of(Wish(FAULTS["broker-lost"]), facts, STATE)


def test_random_sequence_is_the_same_for_the_same_seed_and_reaches_every_fault() -> None:
    def strikes(seed: int) -> list[tuple[str, ...]]:
        turns = islice(random_turns(seed, FACTS, in_lab=True), 50)
        return [tuple(str(wish) for wish in turn) for turn in turns]

    assert strikes(7) == strikes(7) != strikes(8)
    assert {len(strike) for strike in strikes(7)} == {1, 2}
    assert not any(
        all(FAULTS[one.partition(":")[0]].fences for one in each) for each in strikes(7) if len(each) > 1
    )
    seen = {wish.fault.name for turn in islice(random_turns(1, FACTS, in_lab=True), 3000) for wish in turn}
    assert seen == set(FAULTS)


def test_random_strikes_can_be_done_to_what_they_are_about() -> None:
    seen = [wish for turn in islice(random_turns(1, FACTS, in_lab=True), 3000) for wish in turn]
    assert all(wish.fault.steps(FACTS, aim_of(wish, FACTS, STATE)) for wish in seen)
    broken = {wish.service for wish in seen if wish.fault.name == "configuration-broken"}
    assert broken == {"mariadb", "keystone", "glance-api"}, "RabbitMQ has no file here"
    assert {wish.service for wish in seen if wish.fault.name == "disk-full"} == {"mariadb", "glance-api"}


def test_random_sequence_on_live_nodes_keeps_to_what_is_allowed_and_can_be_healed() -> None:
    live = {wish.fault.name for turn in islice(random_turns(1, FACTS, in_lab=False), 3000) for wish in turn}
    assert live == {name for name, fault in FAULTS.items() if fault.reach == "anywhere"}
    allowed = {
        wish.fault.name
        for turn in islice(random_turns(1, FACTS, in_lab=False, allowed={"move"}), 20)
        for wish in turn
    }
    assert allowed == {"move"}


@pytest.mark.parametrize(
    ("example", "cut", "killed"), [("control-plane", 10.0, 5.0), ("guide-control-plane", 27.0, 5.0)]
)
def test_a_cut_stands_until_it_can_have_been_noticed(example: str, cut: float, killed: float) -> None:
    """Corosync is sure of a loss after a token of ten seconds and a consensus of twelve in the guides' shape."""
    spec = load_spec(Path(f"examples/{example}.yaml")).spec
    cloud = Cloud(spec, load_catalog(), release_named(spec.release), Secret)
    _, site, _ = prepare(cloud, connect_nowhere, None, {})
    assert FAULTS["cluster-cut"].stands(site.facts) == cut
    assert FAULTS["process-killed"].stands(site.facts) == killed


async def connect_nowhere(node: str) -> SshHost:
    raise NotImplementedError(node)


def test_processes_are_found_by_port_or_by_the_agents_note() -> None:
    spec = load_spec(Path("examples/network-stack.yaml")).spec
    facts = facts_of(spec, load_catalog())
    aim = Aim(("controller-1",), "neutron-l3-agent")
    (step,) = FAULTS["process-killed"].steps(facts, aim)
    assert isinstance(step, NodeStep)
    assert step.step["pid_file"] == "/run/resource-agents/neutron-l3-agent.pid"
    (step,) = FAULTS["process-killed"].steps(facts, Aim(("controller-1",), "neutron-server"))
    assert isinstance(step, NodeStep)
    assert "pid_file" not in step.step
    with pytest.raises(FaultError, match="no processes"):
        FAULTS["process-killed"].steps(facts, Aim(("controller-1",), "neutron-dataplane"))
