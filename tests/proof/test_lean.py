"""What the scheduler is not given decides nothing: with it and without it, every failure ends alike."""

import random
from pathlib import Path

import pytest
from lxml import etree
from tests.proof.conftest import CORPUS, read

from understudy.proof.configuration import read_configuration
from understudy.proof.play import Outcome, Player
from understudy.proof.runner.library import LibraryScheduler
from understudy.proof.scenarios import Scenario, atomic, combined, single

CORRECT = Path(__file__).with_name("correct.xml")
GOLDEN = sorted((Path(__file__).parents[1] / "golden" / "proof").glob("*.xml"))
MANY = 40
CIBS = [
    CORRECT,
    *GOLDEN,
    *sorted((CORPUS / "cib").glob("*.xml")),
    *sorted((CORPUS / "scheduler").glob("*.xml"))[::9],
]


def told(outcome: Outcome) -> list[object]:
    return [
        (
            step.after.running(),
            step.settled,
            [
                sorted((item.task, item.resource, item.node) for item in one.effective)
                for one in step.transitions
                if one.effective
            ],
        )
        for step in outcome.steps
    ]


@pytest.mark.parametrize("file", CIBS, ids=lambda path: path.stem)
def test_every_failure_ends_alike(file: Path, library: LibraryScheduler) -> None:
    root, facts = read(file, library)
    lean, whole = Player(root, facts, library), Player(root, facts, library, slim=False)
    assert lean.baseline.running() == whole.baseline.running()
    scenarios = single(facts, lean.baseline.running()).scenarios
    for scenario in scenarios[:: max(len(scenarios) // MANY, 1)]:
        one, two = told(lean.play(scenario)), told(whole.play(scenario))
        assert one == two, scenario.name


@pytest.mark.parametrize("file", [CORRECT, *GOLDEN], ids=lambda path: path.stem)
def test_combined_failures_end_alike(file: Path, library: LibraryScheduler) -> None:
    root = etree.fromstring(file.read_bytes())
    facts = read_configuration(root)
    lean, whole = Player(root, facts, library), Player(root, facts, library, slim=False)
    pairs = list(combined(facts, lean.baseline.running(), 2))
    faults = atomic(facts, lean.baseline.running())
    chance = random.Random(1)  # noqa: S311 - the same sample each time
    threes = [Scenario(tuple(chance.sample(faults, 3))) for _ in range(MANY)]
    for scenario in [*chance.sample(pairs, MANY), *threes]:
        assert told(lean.play(scenario)) == told(whole.play(scenario)), scenario.name
    assert lean.scheduled < whole.scheduled


def test_less_is_scheduled_for_less(library: LibraryScheduler) -> None:
    root = etree.fromstring(CORRECT.read_bytes())
    facts = read_configuration(root)
    lean, whole = Player(root, facts, library), Player(root, facts, library, slim=False)
    texts = [etree.fromstring(player.text(player.baseline)) for player in (lean, whole)]
    assert [len(text.findall(".//lrm_rsc_op[@operation='monitor']")) for text in texts] != [0, 0]
    thresholds = {pair.get("value") for pair in texts[0].iterfind(".//nvpair[@name='migration-threshold']")}
    assert thresholds == {"0"}
    assert len(etree.tostring(texts[0])) < len(etree.tostring(texts[1])) / 1.5
