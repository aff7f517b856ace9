"""A spec with an even number of nodes and a tie-breaker is proved with the tie-breaker's votes."""

from pathlib import Path

import pytest
from lxml import etree

from understudy.proof.configuration import read_configuration
from understudy.proof.lint.corosync import corosync_quorum
from understudy.proof.play import Player
from understudy.proof.runner.library import LibraryScheduler
from understudy.proof.scenarios import Fault, Scenario

CORRECT = Path(__file__).with_name("correct.xml")
DEVICE = "  device {\n    model: net\n    net {\n      host: q\n      algorithm: ffsplit\n    }\n  }\n"


def four(device: str, library: LibraryScheduler) -> Player:
    root = etree.fromstring(CORRECT.read_bytes())
    nodes = root.find("configuration/nodes")
    assert nodes is not None
    etree.SubElement(nodes, "node", id="4", uname="controller-4")
    facts = read_configuration(root)
    facts.quorum = corosync_quorum(f"quorum {{\n{device}}}\n")
    return Player(root, facts, library)


@pytest.mark.parametrize(("device", "survives"), [("", False), (DEVICE, True)])
def test_half_of_the_nodes_survive_with_a_tie_breaker(
    library: LibraryScheduler, device: str, survives: bool
) -> None:
    player = four(device, library)
    lost = Scenario((Fault("node-lost", node="controller-1,controller-2"),))
    (step,) = player.play(lost).steps
    assert step.after.quorum is survives
    assert bool(step.after.running()) is survives


def test_only_one_half_of_a_split_goes_on(library: LibraryScheduler) -> None:
    split = Scenario((Fault("partition", node="controller-1,controller-2"),))
    two, one = four(DEVICE, library).play(split).steps
    assert (one.after.quorum, two.after.quorum) == (True, False)
    assert one.after.running()
    assert not two.after.running()
