"""Quorum as Corosync counts it."""

import pytest

from understudy.proof.lint.corosync import corosync_quorum
from understudy.proof.quorum import Quorum


def nodes(count: int) -> list[str]:
    return [f"n{number}" for number in range(1, count + 1)]


def conf(count: int, quorum: str, heavy: str = "") -> str:
    listed = "".join(
        f"  node {{\n    name: {name}\n    nodeid: {number}\n"
        + ("    quorum_votes: 3\n" if name == heavy else "")
        + "  }\n"
        for number, name in enumerate(nodes(count), 1)
    )
    return f"nodelist {{\n{listed}}}\nquorum {{\n  provider: corosync_votequorum\n{quorum}}}\n"


@pytest.mark.parametrize(
    ("members", "total", "answer"), [(2, 3, True), (1, 3, False), (2, 4, False), (1, 2, True), (3, 5, True)]
)
def test_a_majority_has_quorum(members: int, total: int, answer: bool) -> None:
    assert Quorum().holds(nodes(members), nodes(total)) is answer


def device(algorithm: str = "ffsplit", more: str = "") -> str:
    return f"  device {{\n    model: net\n    net {{\n      host: q\n      algorithm: {algorithm}\n{more}    }}\n  }}\n"


@pytest.mark.parametrize(
    ("count", "quorum", "members", "rivals", "answer"),
    [
        (2, "", ["n1"], False, False),
        (2, "  two_node: 1\n", ["n2"], False, True),
        (2, device(), ["n2"], False, True),
        (2, device(), ["n1"], True, True),
        (2, device(), ["n2"], True, False),
        (2, device(more="      tie_breaker: highest\n"), ["n2"], True, True),
        (2, device(more="      tie_breaker: 2\n"), ["n2"], True, True),
        (4, device(), ["n3", "n4"], False, True),
        (4, device(), ["n3", "n4"], True, False),
        (4, device(), ["n1", "n2"], True, True),
        (4, device(), ["n1"], False, False),
        (4, device("lms"), ["n4"], False, True),
        (4, device("lms"), ["n4"], True, False),
        (4, device("lms"), ["n2", "n3", "n4"], True, True),
        (4, "", ["n1", "n2"], True, False),
        (4, "  auto_tie_breaker: 1\n", ["n1", "n2"], True, True),
        (4, "  auto_tie_breaker: 1\n", ["n3", "n4"], True, False),
        (4, "  auto_tie_breaker: 1\n  auto_tie_breaker_node: highest\n", ["n3", "n4"], True, True),
    ],
)
def test_devices_and_ties_count(
    count: int, quorum: str, members: list[str], rivals: bool, answer: bool
) -> None:
    counted = corosync_quorum(conf(count, quorum))
    assert counted.holds(members, nodes(count), rivals=rivals) is answer


def test_a_node_may_have_more_votes() -> None:
    counted = corosync_quorum(conf(3, "", heavy="n1"))
    assert counted.holds(["n1"], nodes(3))
    assert not counted.holds(["n2", "n3"], nodes(3))


@pytest.mark.parametrize("text", ["", "}", "quorum {", "node {\n nodeid: x\n}\n", "\x00"])
def test_anything_can_be_read(text: str) -> None:
    assert not corosync_quorum(text).holds([], nodes(3))
