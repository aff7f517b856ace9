"""The reference is complete and true: its pages are what the models say now, and nothing is missing from them."""

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
from cyclopts import App

from understudy.catalog.load import load_catalog
from understudy.cli.main import app
from understudy.drill.faults.registry import FAULTS
from understudy.findings.messages import known_codes
from understudy.spec.schema import json_schema

ROOT = Path(__file__).resolve().parents[3]
REFERENCE = ROOT / "docs" / "reference"


def _load() -> ModuleType:
    specification = importlib.util.spec_from_file_location(
        "understudy_reference", ROOT / "tools/reference.py"
    )
    assert specification
    assert specification.loader
    module = importlib.util.module_from_spec(specification)
    sys.modules[specification.name] = module
    specification.loader.exec_module(module)
    return module


reference = _load()


def page(name: str) -> str:
    return (REFERENCE / name).read_text(encoding="utf-8")


def headings(text: str) -> set[str]:
    return set(re.findall(r"^#+ (.+)$", text, re.MULTILINE))


@pytest.mark.parametrize("name", sorted(reference.PAGES))
def test_a_generated_page_is_up_to_date(name: str) -> None:
    assert page(name) == reference.rendered()[name], "run tools/reference.py"


def test_every_finding_has_its_heading() -> None:
    missing = known_codes() - headings(page("findings.md"))
    assert not missing


def test_every_finding_belongs_to_a_titled_domain() -> None:
    assert set(reference.findings()) <= set(reference.DOMAINS)


def test_every_service_has_its_heading() -> None:
    assert set(load_catalog().services) <= headings(page("catalog.md"))


def test_every_agent_has_its_heading() -> None:
    assert set(reference.agents()) <= headings(page("agents.md"))


def test_every_key_of_the_spec_is_explained() -> None:
    text = page("spec.md")
    schema = json_schema()
    definitions = schema["$defs"]
    assert isinstance(definitions, dict)
    for name, definition in {"The file": schema, **definitions}.items():
        section = text.partition(f"## {name}\n")[2].partition("\n## ")[0]
        for key in definition.get("properties", {}):
            row = re.search(rf"^\| `{key}` \| (.+) \|$", section, re.MULTILINE)
            assert row, f"{name}: {key}"
            assert all(cell.strip() for cell in row[1].split(" | ")), f"{name}: {key} has an empty cell"


def every_command(within: App, prefix: str = "") -> list[str]:
    found = []
    for name in within:
        if not name.startswith("-"):
            nested = every_command(within[name], f"{prefix}{name} ")
            found += nested or [f"{prefix}{name}"]
    return found


def test_every_command_has_its_heading() -> None:
    assert set(every_command(app)) <= headings(page("commands.md"))


def test_every_option_of_a_command_is_explained() -> None:
    text = page("commands.md")
    for name, command in reference.commands():
        section = text.partition(f"## {name.removeprefix('understudy ')}\n")[2].partition("\n## ")[0]
        for argument in command.assemble_argument_collection():
            row = re.search(
                rf"^\| `.*{re.escape(argument.name)}\b.*` \| .* \| (.+) \|$", section, re.MULTILINE
            )
            assert row, f"{name}: {argument.name}"
            assert row[1].strip(), f"{name}: {argument.name}"


def test_every_fault_has_a_row() -> None:
    rows = set(re.findall(r"^\| `([a-z-]+)` \|", page("faults.md"), re.MULTILINE))
    assert set(FAULTS) <= rows


def test_a_page_that_differs_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference, "FOLDER", tmp_path)
    assert set(reference.outdated()) == set(reference.PAGES)
    assert reference.main(["--check"]) == 1
    assert not list(tmp_path.iterdir())
    assert reference.main([]) == 0
    assert reference.main(["--check"]) == 0


def test_the_parts_of_a_docstring() -> None:
    def command() -> None:
        """Do it.

        At once.

        Parameters
        ----------
        spec
            The file,
            as it is.
        json
            Print JSON.
        """

    text, explained = reference.parts_of_docstring(command)
    assert text.split() == ["Do", "it.", "At", "once."]
    assert explained == {"spec": "The file, as it is.", "json": "Print JSON."}
