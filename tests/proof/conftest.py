"""What the tests of the proof share: the scheduler, and a correct configuration to break."""

from collections.abc import Callable
from pathlib import Path

import pytest
from lxml import etree

from understudy.findings.model import Finding
from understudy.proof.cib import load_cib
from understudy.proof.configuration import Configuration, read_configuration
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


def read(file: Path, library: LibraryScheduler) -> tuple[etree._Element, Configuration]:
    """Return a configuration and what it says; the test is skipped where it cannot be played."""
    source = load_cib(file.read_bytes(), file.name)
    if source.root is None or not source.playable:
        pytest.skip("this is no configuration that can be played")
    text = library.upgrade(etree.tostring(source.root)) if source.old else etree.tostring(source.root)
    assert text is not None
    root = etree.fromstring(text)
    return root, read_configuration(root)
