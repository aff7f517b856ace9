"""Designs as whole files: cluster, corosync.conf, items; ``UNDERSTUDY_GOLDEN=write`` writes the expected files anew."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from understudy.agents import CORE
from understudy.catalog.load import load_catalog
from understudy.catalog.releases import release_named
from understudy.design.check import check_against_catalog
from understudy.design.cluster import with_nodes
from understudy.design.items import ClusterResources, File, Item, NodeItem, Options, OptionValue
from understudy.design.make import Design, make_design
from understudy.design.options import check_options
from understudy.formats import cib
from understudy.secret import MASK, Secret
from understudy.spec.check import check_spec
from understudy.spec.load import LoadedSpec, load_spec

HERE = Path(__file__).parent
SPECS = {
    "clustered-data": HERE.parents[2] / "examples" / "clustered-data.yaml",
    "image-api": HERE.parents[2] / "examples" / "image-api.yaml",
    "network-stack": HERE.parents[2] / "examples" / "network-stack.yaml",
    "network-vrrp": HERE / "specs" / "network-vrrp.yaml",
    "network-havana": HERE / "specs" / "network-havana.yaml",
    "two-nodes": HERE / "specs" / "two-nodes.yaml",
    "warm-and-cold": HERE / "specs" / "warm-and-cold.yaml",
}
PASSWORD = "a-password-for-tests"
NOT_IN_THE_DATA = {("havana", "keystone")}
"""Keystone kept its options in a table, of which the reading of that release's source missed some."""


def loaded(name: str) -> LoadedSpec:
    return load_spec(SPECS[name])


def design_of(spec: LoadedSpec) -> Design:
    release = release_named(spec.spec.release)
    return make_design(spec.spec, load_catalog(), release, lambda secret: Secret(f"{PASSWORD} {secret}"))


def items_text(design: Design) -> str:
    """Return all items by key; of those on nodes, what each says is shown for the first node."""
    first = next(item.node for item in design.items if isinstance(item, NodeItem))
    lines = []
    for item in design.items:
        if isinstance(item, File) and item.path.startswith(CORE):
            continue
        lines.append(f"{item.key}  ({item.reason})")
        if not isinstance(item, NodeItem) or item.node == first:
            lines += [f"    {name}: {value}" for name, value in _content(item)]
    return "\n".join(lines) + "\n"


def _content(item: Item) -> Iterator[tuple[str, str]]:
    for name, value in vars(item).items():
        if name in {"node", "reason", "configuration", "corosync_conf"}:
            continue
        if isinstance(item, Options) and name == "options":
            yield from (_option(option) for option in item.options)
        elif isinstance(item, File) and name == "content":
            yield name, MASK if isinstance(item.content, Secret) else "not shown"
        elif isinstance(item, ClusterResources) and name == "stage_ids":
            yield name, " ".join(sorted(item.stage_ids))
        else:
            yield name, f"{value:o}" if name.endswith("mode") else str(value)


def _option(option: OptionValue) -> tuple[str, str]:
    return f"[{option.group}] {option.name}", "must not be set" if option.value is None else str(option.value)


def rendered(name: str) -> dict[str, str]:
    spec = loaded(name)
    design = design_of(spec)
    return {
        "cib.xml": cib.render(with_nodes(design.cluster, spec.spec)),
        "corosync.conf": design.corosync_conf,
        "items.txt": items_text(design),
    }


@pytest.mark.parametrize("name", SPECS)
def test_the_spec_has_no_finding(name: str) -> None:
    spec = loaded(name)
    catalog = load_catalog()
    release = release_named(spec.spec.release)
    assert check_spec(spec) == []
    assert check_against_catalog(spec, catalog) == []
    found = check_options(spec, catalog, release)
    assert [one for one in found if (release.name, one.values.get("service")) not in NOT_IN_THE_DATA] == []


@pytest.mark.parametrize("name", SPECS)
def test_it_is_designed_as_expected(name: str) -> None:
    files = rendered(name)
    folder = HERE / name
    if os.environ.get("UNDERSTUDY_GOLDEN") == "write":
        folder.mkdir(exist_ok=True)
        for file, text in files.items():
            (folder / file).write_text(text, encoding="utf-8")
    assert files == {file: (folder / file).read_text(encoding="utf-8") for file in files}


@pytest.mark.parametrize("name", SPECS)
def test_no_secret_is_in_it(name: str) -> None:
    assert PASSWORD not in "".join(rendered(name).values())


@pytest.mark.parametrize("name", SPECS)
def test_the_same_spec_gives_the_same_design(name: str) -> None:
    assert design_of(loaded(name)) == design_of(loaded(name))


@pytest.mark.skipif(shutil.which("crm_verify") is None, reason="Pacemaker's tools are not installed")
@pytest.mark.parametrize("name", SPECS)
def test_pacemaker_accepts_the_cluster_without_a_warning(name: str, tmp_path: Path) -> None:
    written, up = tmp_path / "cib.xml", tmp_path / "up.xml"
    written.write_text(rendered(name)["cib.xml"], encoding="utf-8")
    nodes = [f"--node-up={node}" for node in loaded(name).spec.nodes]
    # A node of which nothing is known is one to be fenced, and a warning; so all of them are said to be there.
    simulate = ["crm_simulate", f"--xml-file={written}", "--quorum=true", *nodes, f"--save-output={up}"]
    subprocess.run(simulate, capture_output=True, timeout=60, check=True)
    verify = ["crm_verify", f"--xml-file={up}", "-VV"]
    done = subprocess.run(verify, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
