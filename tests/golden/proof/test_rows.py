"""The verdict on every single failure of two control planes, as it was when every scenario took a process of its own.

What makes the proof faster must change none of it. The configurations are those of ``examples/`` at one time.
"""

import hashlib
import re
from collections import Counter
from pathlib import Path

import pytest

from understudy.proof.prove import prove
from understudy.proof.report import SIGNS
from understudy.proof.result import Options, Proof
from understudy.proof.runner.command import command_version
from understudy.proof.runner.library import VERSION

FOLDER = Path(__file__).parent
SIGN = {**{word: sign for word, (sign, _) in SIGNS.items()}, "kept": "."}


def summary(proof: Proof) -> str:
    """Return a line a scenario: a sign a service, nodes fenced, seconds at most, what broke and its digest."""
    lines = [" ".join(proof.services)]
    for row in proof.rows:
        signs = "".join(SIGN[row.services[service]] for service in proof.services) if row.services else "-"
        fenced = f" fenced {','.join(row.fenced)}" if row.fenced and not row.same_as else ""
        broken = Counter(code for code, _, _ in row.violations)
        told = ", ".join(f"{count} {code}" for code, count in sorted(broken.items()))
        digest = hashlib.sha256(repr(sorted(row.violations)).encode()).hexdigest()[:8]
        bound = f" within {max(row.bounds.values()):g}" if row.bounds else ""
        lines.append(f"{row.name}: {signs}{fenced}{bound}{told and f' | {told} {digest}'}")
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("name", ["control-plane", "guide-control-plane"])
@pytest.mark.parametrize("equivalence", [True, False])
def test_every_row_is_what_it_was(name: str, equivalence: bool) -> None:
    if command_version() != VERSION:
        pytest.skip(f"the rows are those of Pacemaker {VERSION}")
    cib = (FOLDER / f"{name}.xml").read_bytes()
    proof = prove(cib, name, Options(limit=60, equivalence=equivalence))
    found, expected = summary(proof), (FOLDER / f"{name}.txt").read_text(encoding="utf-8")
    if equivalence:  # of an equivalent scenario the bound is the longest of its kind, and names are not known
        found, expected = (re.sub(r" (within|fenced) \S+", "", text) for text in (found, expected))
    assert found.splitlines() == expected.splitlines()
