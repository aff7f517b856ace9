"""The guides' systems for the guides' own releases: cluster, option files, endpoints, and what became of their options.

``UNDERSTUDY_GOLDEN=write`` writes the expected files anew.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from understudy.catalog.options import Setting, option_set
from understudy.cli.inputs import read_input
from understudy.cli.render import rendered
from understudy.findings.messages import advice_for, message_for

HERE = Path(__file__).parent
GUIDES = sorted(path.stem for path in (HERE / "specs").glob("*.yaml"))
NODE = "nodes/controller-1"
SHOWN = (f"{NODE}/etc/", "cluster/configuration.crm", "keystone/")


def expected(name: str) -> Path:
    return HERE / f"{name}.txt"


def whole(name: str) -> str:
    given = read_input(HERE / "specs" / f"{name}.yaml", with_secrets=False)
    files = rendered(given.loaded, given.design())
    parts = [(path, text) for path, text in files.items() if path.startswith(SHOWN)]
    notes = "\n".join(_notes(name)) or "The guide names no option."
    return "".join(
        f"==== {path.removeprefix(NODE)}\n{text.rstrip()}\n\n"
        for path, text in (*parts, ("what the guide writes", notes))
    )


def _notes(name: str) -> Iterator[str]:
    guide, release = name.split("-")
    for project, group, option, value in YAML(typ="safe").load((HERE / "lines.yaml").read_text())[guide]:
        findings = option_set(release, project).check(Setting(group, option, str(value)))
        yield f"{project}: [{group}] {option} = {value}"
        yield from (f"    {message_for(one)}. {advice_for(one)}" for one in findings)
        if not findings:
            yield "    It is an option of this release."


@pytest.mark.parametrize("name", GUIDES)
def test_a_guide_is_rendered_for_its_release_as_expected(name: str) -> None:
    text = whole(name)
    if os.environ.get("UNDERSTUDY_GOLDEN") == "write":
        expected(name).write_text(text, encoding="utf-8")
    assert text == expected(name).read_text(encoding="utf-8")


@pytest.mark.parametrize(("name", "project"), [("000-folsom", "quantum"), ("001-newton", "cinder")])
def test_an_option_that_never_existed_is_noted_and_not_written(name: str, project: str) -> None:
    text = whole(name)
    assert f"no release of {project} ever had an option [DEFAULT] notifier_strategy" in text
    assert "notifier_strategy" not in text.partition("==== what the guide writes")[0]
