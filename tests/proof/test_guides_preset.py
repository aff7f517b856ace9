"""The guides' consequences in what our own ``guide`` preset makes of a spec, and none of them in our own shape."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from lxml import etree

from understudy.cli import proving
from understudy.cli.inputs import read_input
from understudy.proof.configuration import Configuration, read_configuration
from understudy.proof.judge import Judge
from understudy.proof.lint import lint
from understudy.proof.play import Outcome, Player
from understudy.proof.runner.library import LibraryScheduler
from understudy.proof.scenarios import Fault, Scenario, single
from understudy.proof.verdict import Verdict

EXAMPLES = Path(__file__).parents[2] / "examples"
OWN, GUIDE = EXAMPLES / "control-plane.yaml", EXAMPLES / "guide-control-plane.yaml"
BLOCK_STORAGE = {"cinder-api", "cinder-scheduler", "cinder-volume"}
NETWORKING = {"neutron-server"}


class Cluster:
    """A spec's design, started on the scheduler."""

    def __init__(self, spec: Path, scheduler: LibraryScheduler) -> None:
        text, _ = proving.designed(read_input(spec, with_secrets=False))
        self.root = etree.fromstring(text)
        self.facts: Configuration = read_configuration(self.root)
        self.player = Player(self.root, self.facts, scheduler)
        self.judge = Judge(self.facts, self.player.baseline)

    @property
    def running(self) -> Mapping[str, Mapping[str, str]]:
        return self.player.baseline.running()

    def play(self, *faults: Fault) -> tuple[Outcome, Verdict]:
        outcome = self.player.play(Scenario(faults))
        return outcome, self.judge.judge(outcome)


def stopped(outcome: Outcome) -> set[tuple[str, str]]:
    """Return what was stopped on nodes that had not failed, and where."""
    return {
        (action.resource, action.node)
        for step in outcome.steps
        for transition in step.transitions
        for action in transition.effective
        if action.task == "stop" and action.node not in step.struck.nodes
    }


@pytest.fixture(scope="module")
def guide(library: LibraryScheduler) -> Cluster:
    return Cluster(GUIDE, library)


@pytest.fixture(scope="module")
def balanced(library: LibraryScheduler, tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    """Return our own example in the guides' shape: HAProxy on every node, the addresses before it."""
    spec = tmp_path_factory.mktemp("guide") / "cloud.yaml"
    own = OWN.read_text(encoding="utf-8")
    spec.write_text(own.replace("\nregion: ", "\npreset: guide\nregion: ", 1), encoding="utf-8")
    return Cluster(spec, library)


@pytest.fixture(scope="module")
def ours(library: LibraryScheduler) -> Cluster:
    return Cluster(OWN, library)


def test_one_image_api_failure_restarts_block_storage_and_networking(guide: Cluster) -> None:
    outcome, verdict = guide.play(Fault("monitor", "glance-api"))
    interrupted = {resource for resource, _ in stopped(outcome)}
    assert interrupted >= {"glance-api", *BLOCK_STORAGE, *NETWORKING}
    assert not interrupted & {"keystone", "mariadb", "rabbitmq"}
    hurt = {item.object for item in verdict.violations if item.code == "bystander-interrupted"}
    assert hurt >= {*BLOCK_STORAGE, *NETWORKING}
    assert verdict.services["g_services_api"] == "bystander"


@pytest.mark.parametrize("kind", ["monitor", "node-lost"])
def test_the_mandatory_order_restarts_every_surviving_haproxy(balanced: Cluster, kind: str) -> None:
    address = "ip-api-internal"
    (home,) = balanced.running[address]
    assert set(balanced.running["haproxy"]) == {"controller-1", "controller-2", "controller-3"}
    fault = Fault("monitor", address) if kind == "monitor" else Fault("node-lost", node=home)
    outcome, verdict = balanced.play(fault)
    survivors = {"controller-1", "controller-2", "controller-3"} - set(fault.nodes)
    assert {node for resource, node in stopped(outcome) if resource == "haproxy"} == survivors
    hurt = {item.detail for item in verdict.violations if item.object == "haproxy"}
    assert hurt == survivors


def test_our_own_shape_restarts_neither(ours: Cluster) -> None:
    outcome, _ = ours.play(Fault("monitor", "glance-api"))
    assert {resource for resource, _ in stopped(outcome)} == {"glance-api"}
    assert set(ours.running["haproxy"]) == {"controller-1", "controller-2", "controller-3"}
    for address in ("ip-api-internal", "ip-api-public"):
        (home,) = ours.running[address]
        for fault in (Fault("monitor", address), Fault("node-lost", node=home)):
            outcome, verdict = ours.play(fault)
            assert not [resource for resource, _ in stopped(outcome) if resource == "haproxy"]
            assert verdict.violations == ()
    assert not {"colocation-reversed"} & {finding.code for finding in lint(ours.facts, ours.root)}


def test_no_failure_of_a_service_touches_another_in_our_own_shape(ours: Cluster) -> None:
    failures = [
        scenario
        for scenario in single(ours.facts, ours.running).scenarios
        if scenario.faults[0].kind == "monitor" and not scenario.faults[0].resource.startswith("fence-")
    ]
    assert len(failures) > 20
    for scenario in failures:
        _, verdict = ours.play(*scenario.faults)
        assert verdict.violations == (), scenario.name
