"""What is said of pings that a tenant's machine asked all the while."""

import pytest

from understudy.lab.tenant import PING_INTERVAL, Pings


def answered(at: list[float]) -> Pings:
    """Return pings that began at 0, were answered at these moments, and have ended at 60."""
    pings = Pings([])
    pings.answers = {"out": at}
    pings.begun, pings.ended = 0.0, 60.0
    return pings


def test_the_longest_time_without_an_answer_is_told_with_its_beginning() -> None:
    pings = answered([1.0, 2.0, 12.0, 13.0, 59.9])
    since, seconds = pings.longest_pause("out")
    assert since == 13.0
    assert seconds == pytest.approx(46.9 - PING_INTERVAL)


def test_pings_that_are_never_answered_again_are_without_an_answer_until_their_end() -> None:
    since, seconds = answered([1.0, 2.0]).longest_pause("out")
    assert since == 2.0
    assert seconds == pytest.approx(58.0 - PING_INTERVAL)
    assert answered([]).interruption("out") == pytest.approx(60.0 - PING_INTERVAL)
