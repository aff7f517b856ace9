"""The example of a whole control plane: what it becomes, and that services behind one address are independent."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from lxml import etree

from understudy.catalog.load import load_catalog
from understudy.catalog.releases import release_named
from understudy.design.check import check_against_catalog
from understudy.design.cluster import with_nodes
from understudy.design.make import Design, make_design
from understudy.design.options import check_options
from understudy.formats import cib
from understudy.formats.cluster import INFINITY, Clone, ClusterConfiguration, Colocation, Location, Order
from understudy.proof.configuration import read_configuration
from understudy.proof.play import Player
from understudy.proof.prove import prove
from understudy.proof.result import Options
from understudy.proof.runner.command import CommandScheduler
from understudy.proof.runner.library import SchedulerUnavailableError
from understudy.proof.scenarios import Fault, Scenario
from understudy.secret import Secret
from understudy.spec.check import check_spec
from understudy.spec.load import load_spec
from understudy.spec.model import Spec

EXAMPLE = Path(__file__).parents[3] / "examples" / "control-plane.yaml"
LOADED = load_spec(EXAMPLE)
NODES = tuple(LOADED.spec.nodes)
BEHIND_API = ("keystone", "placement", "cinder-api", "neutron-server", "nova-api")


def warm() -> Spec:
    """Return the example with its APIs warm, and without HAProxy."""
    changed = {
        name: service.model_copy(update={"standby": "warm"}) if service.standby == "balanced" else service
        for name, service in LOADED.spec.services.items()
        if name != "haproxy"
    }
    return LOADED.spec.model_copy(update={"services": changed})


@pytest.fixture(scope="module")
def example() -> ClusterConfiguration:
    design = make_design(LOADED.spec, load_catalog(), release_named("zed"), Secret)
    return with_nodes(design.cluster, LOADED.spec)


@pytest.fixture(scope="module")
def design() -> Design:
    return make_design(warm(), load_catalog(), release_named("zed"), Secret)


@pytest.fixture(scope="module")
def whole(design: Design) -> ClusterConfiguration:
    return with_nodes(design.cluster, LOADED.spec)


@pytest.fixture(scope="module")
def scheduler() -> CommandScheduler:
    try:
        return CommandScheduler()
    except SchedulerUnavailableError as error:
        pytest.skip(str(error))


def where(
    whole: ClusterConfiguration, scheduler: CommandScheduler, broken: Iterable[tuple[str, str]]
) -> Mapping[str, set[str]]:
    """Return where each primitive runs once these services may not run on these nodes."""
    bans = tuple(
        Location(id=f"ban-{name}-{node}", resource=f"{name}-clone", node=node, score=-INFINITY)
        for name, node in broken
    )
    root = etree.fromstring(cib.render(replace(whole, constraints=(*whole.constraints, *bans))).encode())
    running = Player(root, read_configuration(root), scheduler).baseline.running()
    return {resource: set(nodes) for resource, nodes in running.items()}


def off_coordinator(whole: ClusterConfiguration) -> set[str]:
    """Return what prefers other nodes than the coordinator."""
    return {
        one.resource
        for one in whole.constraints
        if isinstance(one, Location) and one.rule and one.rule.expressions[0].attribute == "#is_dc"
    }


def test_nothing_is_wrong_with_the_example() -> None:
    release = release_named(LOADED.spec.release)
    findings = [
        *check_spec(LOADED),
        *check_against_catalog(LOADED, load_catalog()),
        *check_options(LOADED, load_catalog(), release),
    ]
    assert not findings


def test_every_failure_of_the_example_is_survived(
    example: ClusterConfiguration, scheduler: CommandScheduler
) -> None:
    del scheduler
    proof = prove(cib.render(example).encode(), str(EXAMPLE), Options())
    assert proof.sound, [str(finding) for finding in proof.findings]
    assert not proof.accepted


def test_the_address_of_warm_apis_leaves_a_copy_that_cannot_start(
    whole: ClusterConfiguration, scheduler: CommandScheduler
) -> None:
    del scheduler
    accepted = {"bystander-interrupted": "that is what the address is there for"}
    proof = prove(cib.render(whole).encode(), str(EXAMPLE), Options(accepted=accepted))
    assert proof.sound, [str(finding) for finding in proof.findings]
    assert {one["object"] for one in proof.accepted} == {"ip-api-internal", "ip-api-public"}


def test_no_order_stands_between_services(whole: ClusterConfiguration) -> None:
    orders = [one for one in whole.constraints if isinstance(one, Order)]
    assert orders
    assert all(one.first.startswith("fs-") for one in orders)


def test_no_order_stands_between_an_address_and_what_is_behind_it(whole: ClusterConfiguration) -> None:
    ordered = {name for one in whole.constraints if isinstance(one, Order) for name in (one.first, one.then)}
    assert not {name for name in ordered if name.startswith("ip-") or name.endswith("-clone")}


def test_an_address_is_drawn_to_copies_by_more_than_its_stickiness_and_less_than_infinity(
    whole: ClusterConfiguration,
) -> None:
    clones = {one.id for one in whole.resources if isinstance(one, Clone)}
    scores = {
        one.score for one in whole.constraints if isinstance(one, Colocation) and one.with_resource in clones
    }
    assert len(scores) == 1
    assert int(whole.resource_defaults["resource-stickiness"]) < scores.pop() < INFINITY


def test_an_address_of_copies_starts_off_the_coordinator_and_stays_when_that_changes(
    example: ClusterConfiguration, scheduler: CommandScheduler
) -> None:
    root = etree.fromstring(cib.render(example).encode())
    player = Player(root, read_configuration(root), scheduler)
    first = player.baseline.up()[0]
    (before,) = player.baseline.running()["ip-api-internal"]
    assert before != first  # the player's coordinator is the first node that is up
    changes = Scenario((Fault("node-lost", node=first), Fault("node-returns", node=first)))
    for step in player.play(changes).steps:
        assert set(step.after.running()["ip-api-internal"]) == {before}
    assert off_coordinator(example) == {"ip-api-internal"}


@pytest.mark.parametrize("name", BEHIND_API)
def test_an_api_that_starts_nowhere_stops_no_other(
    name: str, whole: ClusterConfiguration, scheduler: CommandScheduler
) -> None:
    healthy = where(whole, scheduler, ())
    running = where(whole, scheduler, [(name, node) for node in NODES])
    assert name not in running or not running[name]
    assert {one for one in healthy if running.get(one)} == set(healthy) - {name}
    for other in BEHIND_API:
        if other != name:
            assert running[other] == set(NODES)


def test_an_address_leaves_a_copy_that_its_watcher_calls_unhealthy_and_nothing_restarts(
    whole: ClusterConfiguration, scheduler: CommandScheduler
) -> None:
    root = etree.fromstring(cib.render(whole).encode())
    player = Player(root, read_configuration(root), scheduler)
    state = player.baseline
    (before,) = state.running()["ip-api-internal"]
    sick = {"unhealthy-keystone": "1"}
    transitions, after, settled = player.settle(
        state.with_node(state.nodes[before].with_attributes(sick)), frozenset()
    )
    moved = {
        action.resource for each in transitions for action in each.actions if action.task in ("start", "stop")
    }
    assert settled
    assert moved == {"ip-api-internal", "ip-api-public"}
    everywhere = state
    for node in state.nodes.values():
        everywhere = everywhere.with_node(node.with_attributes(sick))
    assert set(after.running()["ip-api-internal"]) != {before}
    assert set(player.settle(everywhere, frozenset())[1].running()["ip-api-internal"]) == {before}


@pytest.mark.parametrize("name", BEHIND_API)
def test_an_address_leaves_a_broken_copy(
    name: str, whole: ClusterConfiguration, scheduler: CommandScheduler
) -> None:
    (before,) = where(whole, scheduler, ())["ip-api-internal"]
    running = where(whole, scheduler, [(name, before)])
    assert before not in running["ip-api-internal"]
    assert running["ip-api-internal"] == running["ip-api-public"] <= running[name]


def test_two_apis_broken_on_different_nodes_leave_the_address_on_the_third(
    whole: ClusterConfiguration, scheduler: CommandScheduler
) -> None:
    broken = [("keystone", NODES[0]), ("nova-api", NODES[1])]
    assert where(whole, scheduler, broken)["ip-api-internal"] == {NODES[2]}


def test_three_apis_broken_on_three_nodes_leave_the_address_somewhere(
    whole: ClusterConfiguration, scheduler: CommandScheduler
) -> None:
    broken = [("keystone", NODES[0]), ("nova-api", NODES[1]), ("placement", NODES[2])]
    running = where(whole, scheduler, broken)
    assert len(running["ip-api-internal"]) == 1
    assert running["keystone"] == set(NODES[1:])
