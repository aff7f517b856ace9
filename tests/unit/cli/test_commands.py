"""What all commands have in common."""

import asyncio
import inspect
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cyclopts import App
from tests.unit.cli.conftest import Understudy

from understudy.cli import main
from understudy.cli.main import app

WITHOUT_JSON = {"schema", "lab shell", "completion"}
"""A schema is JSON already, a shell is a person's, completion is the library's own."""


def commands(parent: App = app, prefix: str = "") -> Iterator[tuple[str, Callable[..., Any]]]:
    for name in parent:
        if name.startswith("-"):
            continue
        child = parent[name]
        if child.default_command is not None:
            yield f"{prefix}{name}", child.default_command
        elif prefix == "":
            yield from commands(child, f"{name} ")


@pytest.mark.parametrize(("name", "command"), list(commands()))
def test_every_command_prints_json(name: str, command: Callable[..., Any]) -> None:
    assert ("json" in inspect.signature(command).parameters) is (name not in WITHOUT_JSON)


def test_all_commands_are_walked() -> None:
    assert {"init", "check", "plan", "lab up", "lab shell"} <= {name for name, _ in commands()}


def test_what_init_and_render_print_is_json(understudy: Understudy, spec: Path, tmp_path: Path) -> None:
    written = tmp_path / "new.yaml"
    assert json.loads(understudy("init", written, "--json").out) == {"written": str(written)}
    rendered = json.loads(understudy("render", spec, "--to", tmp_path / "rendered", "--json").out)
    assert "cluster/cib.xml" in rendered["files"]
    assert (tmp_path / "rendered" / "cluster" / "cib.xml").is_file()


def test_output_that_cannot_be_written_is_one_sentence(spec: Path) -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        done = subprocess.run(
            [Path(sys.executable).with_name("understudy"), "check", spec],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stderr) == (1, "The output cannot be written: No space left on device.\n")


@pytest.mark.parametrize(("raised", "status"), [(KeyboardInterrupt, 130), (asyncio.CancelledError, 143)])
def test_command_that_is_ended_says_so_in_a_word(
    raised: type[BaseException],
    status: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def ended() -> None:
        raise raised

    bound = inspect.signature(ended).bind()
    monkeypatch.setattr(main, "app", SimpleNamespace(parse_args=lambda *_, **__: (ended, bound, {})))
    assert main.run(["drill"]) == status
    assert len(capsys.readouterr().err.splitlines()) == 1
