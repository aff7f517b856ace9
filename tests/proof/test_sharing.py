"""Answers that faults share, and states that go on alike: each is what the scheduler says if asked for itself."""

import random
from pathlib import Path

import pytest
from lxml import etree
from tests.proof.conftest import CORPUS, read
from tests.proof.random_cluster import Cluster
from tests.proof.test_lean import CORRECT, GOLDEN, told

from understudy.proof.configuration import read_configuration
from understudy.proof.execute import Transition, execute
from understudy.proof.faults import Struck
from understudy.proof.judge import Judge
from understudy.proof.play import Player
from understudy.proof.runner.library import LibraryScheduler
from understudy.proof.scenarios import Fault, Scenario, atomic, combined
from understudy.proof.sharing import Shared, tied
from understudy.proof.story import Storyteller

GUIDE = next(path for path in GOLDEN if path.stem == "guide-control-plane")
MANY = 240
CIBS = [
    CORRECT,
    *GOLDEN,
    *sorted((CORPUS / "cib").glob("*.xml")),
    *sorted((CORPUS / "scheduler").glob("*.xml"))[::25],
]


class Asking(Player):
    """Asks for itself as well whenever an answer is shared, and compares."""

    compared = 0

    def _share(self, shared: Shared, struck: Struck) -> None:
        known = shared in self._shared
        super()._share(shared, struck)
        if known:
            first, after = self._remembered(struck.state.digest, struck.state, struck.failing)
            graph = self._asked(self._calm(struck.state))
            own, own_after = execute(graph, struck.state, failing=struck.failing, world=self.world)
            assert _done(first) == _done(own)
            assert after == own_after
            self.compared += 1


def _done(transition: Transition) -> list[tuple[str, str, str, float, bool]]:
    done = [*transition.effective, *(action for action in transition.waiting if action.effective)]
    return sorted((item.task, item.resource, item.node, item.until, item.failed) for item in done)


@pytest.mark.parametrize("file", CIBS, ids=lambda path: path.stem)
def test_a_shared_answer_is_the_own_one(file: Path, library: LibraryScheduler) -> None:
    root, facts = read(file, library)
    player = Asking(root, facts, library)
    pairs = list(combined(facts, player.baseline.running(), 2))
    for scenario in random.Random(2).sample(pairs, min(MANY, len(pairs))):  # noqa: S311 - the same sample each time
        player.play(scenario)
    if file in (CORRECT, *GOLDEN):
        assert player.compared > MANY // 20


@pytest.mark.parametrize("file", CIBS, ids=lambda path: path.stem)
def test_what_goes_on_alike_ends_alike(file: Path, library: LibraryScheduler) -> None:
    """After a failure whose state is taken for another one: the same end, verdict and story as if it were not."""
    root, facts = read(file, library)
    player, whole = Player(root, facts, library), Player(root, facts, library, slim=False)
    faults = atomic(facts, player.baseline.running())
    chance = random.Random(3)  # noqa: S311 - the same sample each time
    replaced = []
    for fault in chance.sample(faults, min(MANY // 10, len(faults))):
        state = player.play(Scenario((fault,))).steps[-1].after
        if player.ending(state) is not state:
            replaced.append(fault)
    judges = Judge(facts, player.baseline), Judge(facts, whole.baseline)
    teller = Storyteller(facts)
    for first in replaced:
        for second in chance.sample(faults, min(3, len(faults))):
            one, two = (one.play(Scenario((first, second))) for one in (player, whole))
            assert told(one) == told(two), (first, second)
            assert judges[0].judge(one) == judges[1].judge(two)
            assert teller.tell(one) == teller.tell(two)
    if file in GOLDEN:
        assert replaced


def test_members_of_a_group_are_one(library: LibraryScheduler) -> None:
    root, facts = read(GUIDE, library)
    player, whole = Player(root, facts, library), Player(root, facts, library, slim=False)
    members = facts.resources["g_services_api"].children
    ends = {
        player.ending(player.play(Scenario((Fault("start", name),))).steps[-1].after).digest
        for name in members
    }
    assert len(ends) == 1
    nodes = [node.name for node in facts.cluster_nodes]
    chance = random.Random(4)  # noqa: S311 - the same sample each time
    for (
        first
    ) in members:  # with a third fault there may be no other node left, and then it matters which one failed
        second = Fault("node-lost", node=chance.choice(nodes))
        third = Fault(chance.choice(("start", "monitor", "stop")), chance.choice(members))
        for faults in ((Fault("start", first), third), (second, Fault("start", first), third)):
            scenario = Scenario(faults)
            assert told(player.play(scenario)) == told(whole.play(scenario)), scenario.name


@pytest.mark.parametrize("seed", [*range(20), 203, 292, 299])
def test_any_cluster_ends_alike(seed: int, library: LibraryScheduler) -> None:
    """How often the scheduler tries again what fails each time may differ, where it ends and what breaks not."""
    root = Cluster(seed).cib
    facts = read_configuration(root)
    player, whole = Player(root, facts, library), Player(root, facts, library, slim=False)
    judges = Judge(facts, player.baseline), Judge(facts, whole.baseline)
    faults = atomic(facts, player.baseline.running())
    chance = random.Random(seed)  # noqa: S311 - the same sample each time
    for count in (2, 2, 2, 3) * 8:
        scenario = Scenario(tuple(chance.sample(faults, count)))
        one, two = player.play(scenario), whole.play(scenario)
        assert [step.after.running() for step in one.steps] == [step.after.running() for step in two.steps]
        assert judges[0].judge(one) == judges[1].judge(two), scenario.name


def test_what_is_tied() -> None:
    root = etree.fromstring(GOLDEN[0].read_bytes())
    near = tied(read_configuration(root), root)
    assert near["mariadb"] == {"mariadb", "fs-database", "ip-database-internal"}
    assert near["keystone"] == {"keystone"}
    assert "haproxy" in near["ip-api-internal"]
