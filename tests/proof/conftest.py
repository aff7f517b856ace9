"""What the tests of the proof share: the scheduler, and a correct configuration to break."""

from collections.abc import Callable
from pathlib import Path

import pytest
from lxml import etree

from understudy.findings.model import Finding
from understudy.proof.configuration import read_configuration
from understudy.proof.lint import lint
from understudy.proof.play import Player, Scheduler
from understudy.proof.runner.command import CommandScheduler
from understudy.proof.runner.library import LibraryScheduler, SchedulerUnavailableError

CORPUS = Path(__file__).resolve().parents[3] / "shared" / "corpus"
CORRECT = Path(__file__).with_name("correct.xml")


@pytest.fixture(scope="session")
def command() -> CommandScheduler:
    try:
        return CommandScheduler()
    except SchedulerUnavailableError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def library(command: CommandScheduler) -> LibraryScheduler:
    try:
        return LibraryScheduler()
    except SchedulerUnavailableError as error:
        pytest.skip(str(error))


@pytest.fixture
def correct() -> etree._Element:
    return etree.fromstring(CORRECT.read_bytes())


def findings_of(root: etree._Element) -> list[Finding]:
    return lint(read_configuration(root), root)


def player_for(root: etree._Element, scheduler: Scheduler) -> Player:
    return Player(root, read_configuration(root), scheduler)


Edit = Callable[[etree._Element], None]
