"""The proof that a plan carries is made once, and again when anything that it rests on is another."""

from pathlib import Path

import pytest

from understudy.cli import carried_proof as module
from understudy.cli.carried_proof import carried_proof
from understudy.cli.inputs import Input, read_input
from understudy.proof.result import Options, Proof

EXAMPLE = Path("examples/image-api.yaml")


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[bytes]:
    """Stand in for the scheduler; each entry is a configuration that was proved."""
    proved: list[bytes] = []

    def prove(configuration: bytes, source: str, _: Options) -> Proof:
        proved.append(configuration)
        return Proof(source, played=len(proved), planned=len(proved))

    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr("understudy.proof.prove.prove", prove)
    return proved


def given(path: Path = EXAMPLE) -> Input:
    return read_input(path, with_secrets=False)


def test_a_second_plan_has_the_proof_of_the_first(made: list[bytes]) -> None:
    first, second = (carried_proof(one, one.design()) for one in (given(), given()))
    assert first == second
    assert first.lines == ("Proof: 1 failures tried, all survived.",)
    assert len(made) == 1


def test_another_design_is_proved_again(made: list[bytes], tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(EXAMPLE.read_text().replace("203.0.113.103", "203.0.113.104"))
    for one in (given(), given(other), given()):
        carried_proof(one, one.design())
    assert len(made) == 3
    assert len(set(made)) == 2


def test_another_scheduler_proves_again(made: list[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    carried_proof(given(), given().design())
    monkeypatch.setattr(module, "_programs", lambda: iter(()))
    carried_proof(given(), given().design())
    assert len(made) == 2


@pytest.mark.parametrize("content", ["", "{", "[]", '{"digest": 1}'])
def test_a_damaged_keeping_is_made_anew(made: list[bytes], tmp_path: Path, content: str) -> None:
    carried_proof(given(), given().design())
    (file,) = (tmp_path / "state").rglob("proof.json")
    file.write_text(content)
    carried_proof(given(), given().design())
    assert len(made) == 2
    assert "digest" in file.read_text()


def test_a_state_directory_that_cannot_be_written_costs_only_time(
    made: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/proc/nowhere")
    for one in (given(), given()):
        assert carried_proof(one, one.design()).document["scenarios"]
    assert len(made) == 2
