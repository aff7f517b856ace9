"""Capacity and load of a spec: checked, put into the cluster's configuration, and judged by the proof."""

from pathlib import Path

import pytest

from understudy.catalog.load import load_catalog
from understudy.catalog.releases import release_named
from understudy.design.cluster import with_nodes
from understudy.design.items import ClusterResources
from understudy.design.make import make_design
from understudy.findings import message_for
from understudy.formats.cib import render
from understudy.kinds.cluster_resources import ClusterResourcesKind
from understudy.proof.prove import prove
from understudy.proof.result import Options
from understudy.proof.runner.command import command_version
from understudy.secret import Secret
from understudy.spec.check import check_spec
from understudy.spec.load import LoadedSpec, parse_spec

EXAMPLE = Path(__file__).parents[3] / "examples" / "image-api.yaml"
LOAD = "standby: cold, load: {memory: 5}"


def loaded(each: int, load: str = LOAD, first: str = "controller-1") -> LoadedSpec:
    nodes = (first, "controller-2", "controller-3")
    capacity = "capacity:\n" + "".join(f"  {node}: {{memory: {each}}}\n" for node in nodes)
    text = EXAMPLE.read_text(encoding="utf-8").replace("standby: cold", load)
    return parse_spec(text + capacity, "cloud.yaml", EXAMPLE.parent)


def test_names_are_checked() -> None:
    unknown = check_spec(loaded(8, first="controller-9"))
    assert [(one.code, one.values["node"]) for one in unknown] == [("capacity-node-unknown", "controller-9")]
    lacking = check_spec(loaded(8, "standby: cold, load: {cores: 5}"))
    assert {one.code for one in lacking} == {"load-without-capacity"}
    assert "memory" in message_for(lacking[0]) + str(lacking[0].values)
    assert check_spec(loaded(8)) == []


def test_the_cluster_is_told_and_the_plan_shows_it() -> None:
    design = make_design(loaded(8).spec, load_catalog(), release_named("zed"), Secret)
    assert design.cluster.properties["placement-strategy"] == "balanced"
    assert {node.utilization["memory"] for node in design.cluster.nodes} == {"8"}
    item = next(item for item in design.items if isinstance(item, ClusterResources))
    change = ClusterResourcesKind().compare(item, {"cib": None})
    assert change is not None
    assert any("memory" in one.name and one.after == "8" for one in change.differences)


@pytest.mark.skipif(command_version() is None, reason="crm_simulate is not installed")
def test_the_proof_says_whether_the_survivors_can_carry_it() -> None:
    verdicts = {}
    for each in (100, 14):
        spec = loaded(each)
        design = make_design(spec.spec, load_catalog(), release_named("zed"), Secret)
        text = render(with_nodes(design.cluster, spec.spec)).encode()
        proof = prove(text, "cib", Options(limit=120, accepted={"bystander-interrupted": "shared storage"}))
        verdicts[each] = {item["code"] for item in proof.violations}
    assert verdicts[100] == set()
    assert verdicts[14] & {"service-lost", "does-not-start"}
