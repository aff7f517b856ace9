"""The scheduler, in-process and as a command, gives the graphs that Pacemaker's own regression suite expects."""

from pathlib import Path

import pytest
from lxml import etree

from understudy.proof.configuration import read_configuration
from understudy.proof.play import Player
from understudy.proof.prove import prove
from understudy.proof.result import Options
from understudy.proof.runner.command import CommandScheduler
from understudy.proof.runner.library import LibraryScheduler
from understudy.proof.runner.worker import canonical
from understudy.proof.scenarios import single

CORPUS = Path(__file__).resolve().parents[3] / "shared" / "corpus"
CASES = sorted((CORPUS / "scheduler").glob("*.xml"))
CONFIGURATIONS = [*CASES, *sorted((CORPUS / "cib").glob("*.xml"))]
CORRECT = Path(__file__).with_name("correct.xml")

needs_corpus = pytest.mark.skipif(not CASES, reason=f"the scheduler's regression cases are not at {CORPUS}")


def date_of(text: bytes) -> int | None:
    date = etree.fromstring(text).get("execution-date")
    return int(date) if date else None


@needs_corpus
@pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
def test_the_library_gives_the_expected_graph(case: Path, library: LibraryScheduler) -> None:
    text = case.read_bytes()
    upgraded = library.upgrade(text)
    assert upgraded is not None
    expected = case.with_suffix(".exp").read_bytes()
    assert canonical(library.graph(upgraded, date_of(text))) == canonical(expected)


@needs_corpus
@pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
def test_the_command_gives_the_expected_graph(case: Path, command: CommandScheduler) -> None:
    expected = case.with_suffix(".exp").read_bytes()
    assert canonical(command.graph(case.read_bytes(), None)) == canonical(expected)


@needs_corpus
@pytest.mark.parametrize("case", CONFIGURATIONS, ids=lambda path: path.stem)
def test_any_configuration_is_judged_or_said_not_to_be(case: Path, command: CommandScheduler) -> None:
    proof = prove(case.read_bytes(), case.name, Options(limit=60))
    assert proof.played == proof.planned
    assert proof.played or proof.findings
    assert not [item for item in proof.violations if item["code"] == "indeterminate"]
    assert not [item for item in proof.findings if item.code in ("cross-check-differs", "self-test-differs")]


def test_both_ways_to_the_scheduler_lead_to_the_same_end(
    library: LibraryScheduler, command: CommandScheduler
) -> None:
    root = etree.fromstring(CORRECT.read_bytes())
    facts = read_configuration(root)
    one, two = Player(root, facts, library), Player(root, facts, command)
    assert one.baseline == two.baseline
    for scenario in single(facts, one.baseline.running()).scenarios[::9]:
        ends = [[step.after for step in player.play(scenario).steps] for player in (one, two)]
        assert ends[0] == ends[1], scenario.name


def test_what_is_recorded_is_what_crm_simulate_records(
    library: LibraryScheduler, command: CommandScheduler, tmp_path: Path
) -> None:
    """A cluster that was started by our executor needs nothing more done, by Pacemaker's own judgement."""
    root = etree.fromstring(CORRECT.read_bytes())
    player = Player(root, read_configuration(root), library)
    text = player.text(player.baseline)
    assert len(etree.fromstring(command.graph(text, None))) == 0


def test_a_live_clusters_own_status_is_the_baseline(library: LibraryScheduler) -> None:
    root = etree.fromstring(CORRECT.read_bytes())
    facts = read_configuration(root)
    before = Player(root, facts, library, slim=False)
    live = etree.fromstring(before.text(before.baseline))
    after = Player(live, read_configuration(live), library)
    assert after.boot.view == ""
    assert after.boot.transitions == ()
    assert after.baseline.running() == before.baseline.running()
