"""A spec with its secrets in a folder, and a way to run commands as the shell would."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from understudy.cli import main

EXAMPLE = Path(__file__).parents[3] / "examples" / "image-api.yaml"
SECRETS = ("fencing", "identity-admin", "identity-glance", "database-keystone", "database-glance")


@dataclass(frozen=True)
class Ran:
    """A finished command."""

    status: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)

    @property
    def codes(self) -> list[str]:
        return [finding["code"] for finding in self.document["findings"]]


Understudy = Callable[..., Ran]


@pytest.fixture
def understudy(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Understudy:
    """Return a function that runs a command; whatever comes, it never prints a traceback."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))

    def run(*words: object) -> Ran:
        capsys.readouterr()
        status = main.run([str(word) for word in words])
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return Ran(status, out, err)

    return run


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    """Return the example under another name, with secrets that resolve."""
    file = tmp_path / "cloud.yaml"
    text = EXAMPLE.read_text(encoding="utf-8").replace("cloud: image-api", "cloud: unit-test")
    file.write_text(text, encoding="utf-8")
    (tmp_path / "secrets").mkdir()
    for name in SECRETS:
        secret = tmp_path / "secrets" / name
        secret.write_text(f"secret-{name}\n")
        secret.chmod(0o600)
    return file
