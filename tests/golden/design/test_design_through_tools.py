"""What render writes for crmsh and pcs, loaded by those into an empty cluster, is what apply puts there."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from lxml import etree

from understudy.cli.inputs import read_input
from understudy.design.cluster import with_nodes
from understudy.formats import cib, crmsh, pcs
from understudy.formats.cluster import ClusterConfiguration

pytestmark = [pytest.mark.root, pytest.mark.lab]

Run = Callable[..., subprocess.CompletedProcess[str]]
Tools = tuple[Path, Run]
EXAMPLES = sorted(path for path in (Path(__file__).parents[3] / "examples").glob("*.yaml"))
THROUGH_PCS = ("network-stack",)
"""Each command of pcs takes a second; this one has clones, rules and the most constraints."""


def applied(path: Path) -> tuple[str, str, ClusterConfiguration]:
    """Return an empty cluster, the same after an apply, and the design."""
    given = read_input(path, with_secrets=False)
    design = given.design().cluster
    nodes = with_nodes(ClusterConfiguration(), given.loaded.spec).nodes
    plain = ClusterConfiguration(nodes=tuple(type(node)(name=node.name, id=node.id) for node in nodes))
    empty = cib.render(plain)
    return empty, cib.merge(empty, design).cib, design


def without_owner(text: str) -> str:
    """Return a configuration without the tag that says what is understudy's, which only apply writes."""
    root = cib.load(text)
    for tags in root.iterfind("configuration/tags"):
        parent = tags.getparent()
        if parent is not None:
            parent.remove(tags)
    return cib.canonical(etree.tostring(root, encoding="unicode"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_crmsh_makes_of_its_text_what_apply_makes(with_agents: Tools, path: Path) -> None:
    folder, run = with_agents
    empty, wanted, design = applied(path)
    (folder / "cib.xml").write_text(empty)
    (folder / "design.crm").write_text(crmsh.render(design).text)
    load = "export CIB_file=/mnt/cib.xml; cp -r /mnt/agents/. /; crm -F configure load update /mnt/design.crm"
    done = run("sh", "-ec", load)
    assert done.returncode == 0, done.stdout + done.stderr
    assert without_owner((folder / "cib.xml").read_text()) == without_owner(wanted)


@pytest.mark.long
@pytest.mark.parametrize("name", THROUGH_PCS)
def test_pcs_makes_of_its_commands_what_apply_makes(with_agents: Tools, name: str) -> None:
    folder, run = with_agents
    empty, wanted, design = applied(next(path for path in EXAMPLES if path.stem == name))
    (folder / "cib.xml").write_text(empty)
    (folder / "design.pcs").write_text(pcs.render(design, file="/mnt/cib.xml").script)
    done = run("sh", "-ec", "cp -r /mnt/agents/. /; sh /mnt/design.pcs")
    assert done.returncode == 0, done.stdout + done.stderr
    assert without_owner((folder / "cib.xml").read_text()) == without_owner(wanted)
