"""The Pacemaker configuration: in stages, validated, in one step, beside what is not ours."""

import json

import pytest
from lxml import etree
from tests.unit.kinds.conftest import NODES, Cluster, completed

from understudy.design.items import ClusterResources, Phase
from understudy.findings import FindingsError, message_for
from understudy.formats.cluster import ClusterConfiguration, Colocation, Primitive
from understudy.hosts.model import Completed
from understudy.kinds.cluster_resources import ClusterResourcesKind, configuration_only, wanted
from understudy.kinds.model import Change

KIND = ClusterResourcesKind()
WHOLE = ClusterConfiguration(
    resources=(
        Primitive(id="disk", agent="ocf:heartbeat:Dummy"),
        Primitive(id="web", agent="ocf:heartbeat:Dummy"),
    ),
    constraints=(Colocation(id="web-disk", resource="web", with_resource="disk"),),
    properties={"stonith-enabled": "true"},
)


def item(stage: Phase = Phase.CLUSTER, *ids: str, ready: tuple[str, ...] = ()) -> ClusterResources:
    return ClusterResources(
        stage=stage,
        stage_ids=frozenset(ids or ("disk", "web")),
        configuration=WHOLE,
        nodes=NODES,
        ready=ready,
    )


STORAGE = item(Phase.CLUSTER_STORAGE, "disk", ready=("disk",))


class Pacemaker:
    """Takes a new configuration as the nodes' programs would."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.valid = True
        self.starts = True
        self.status = 0
        self.taken: list[str] = []
        cluster.programs["crm_verify"] = self._verify
        cluster.programs["/usr/bin/python3"] = self._replace

    def _verify(self, _: list[str], stdin: bytes) -> Completed:
        etree.fromstring(stdin)
        return completed() if self.valid else completed(exit_status=78, stderr="error: web has no agent\n")

    def _replace(self, _: list[str], stdin: bytes) -> Completed:
        if self.status:
            return completed(exit_status=self.status, stderr="the patch was refused")
        request = json.loads(stdin)
        assert request["before"] == self.cluster.cib
        self.cluster.cib = request["after"]
        self.taken.append(request["after"])
        if self.starts:
            self.cluster.running |= dict.fromkeys(self.ids(), "two")
        return completed()

    def ids(self) -> list[str]:
        return [each.get("id", "") for each in etree.fromstring(self.cluster.cib).iter("primitive")]


@pytest.fixture
def pacemaker(cluster: Cluster) -> Pacemaker:
    return Pacemaker(cluster)


async def change_of(cluster: Cluster, one: ClusterResources) -> Change | None:
    return KIND.compare(one, (await KIND.observe(cluster.world(), [one]))[one.key])


async def test_stages_come_one_after_the_other(cluster: Cluster, pacemaker: Pacemaker) -> None:
    first = await change_of(cluster, STORAGE)
    assert first is not None
    assert not any("web" in line.name for line in first.differences)
    await KIND.apply(cluster.world(), first)
    assert pacemaker.ids() == ["disk"]
    last = await change_of(cluster, item(ready=("disk", "web")))
    assert last is not None
    await KIND.apply(cluster.world(), last)
    assert pacemaker.ids() == ["disk", "web"]
    assert await change_of(cluster, STORAGE) is None
    assert await change_of(cluster, item()) is None
    assert KIND.invert(last) is None


@pytest.mark.parametrize(("name", "value"), [("target-role", "Stopped"), ("is-managed", "false")])
async def test_an_early_stage_switches_on_what_later_work_needs(
    cluster: Cluster, pacemaker: Pacemaker, name: str, value: str
) -> None:
    whole = await change_of(cluster, item())
    assert whole is not None
    await KIND.apply(cluster.world(), whole)
    for resource in ("web", "disk"):
        held = f'<meta_attributes id="{resource}-meta"><nvpair id="{resource}-off" name="{name}" value="{value}"/>'
        opened = cluster.cib.index(">", cluster.cib.index(f'<primitive id="{resource}"'))
        end = opened - 1 if cluster.cib[opened - 1] == "/" else opened
        rest = cluster.cib[opened + 1 :]
        closing = "</primitive>" if end < opened else ""
        cluster.cib = f"{cluster.cib[:end]}>{held}</meta_attributes>{closing}{rest}"
        change = await change_of(cluster, STORAGE)
        assert (change is None) is (resource == "web")
    assert change is not None
    await KIND.apply(cluster.world(), change)
    assert await change_of(cluster, STORAGE) is None
    assert await change_of(cluster, item()) is None


async def test_what_somebody_else_made_stays(cluster: Cluster, pacemaker: Pacemaker) -> None:
    foreign = '<primitive id="by-hand" class="ocf" provider="heartbeat" type="Dummy"/>'
    cluster.cib = cluster.cib.replace("<resources/>", f"<resources>{foreign}</resources>")
    change = await change_of(cluster, item())
    assert change is not None
    assert not any("by-hand" in line.name for line in change.differences)
    await KIND.apply(cluster.world(), change)
    assert set(pacemaker.ids()) == {"by-hand", "disk", "web"}


async def test_an_object_of_the_same_name_that_is_not_ours_is_refused(cluster: Cluster) -> None:
    foreign = '<primitive id="web" class="ocf" provider="heartbeat" type="Stateful"/>'
    cluster.cib = cluster.cib.replace("<resources/>", f"<resources>{foreign}</resources>")
    with pytest.raises(FindingsError) as caught:
        await change_of(cluster, item())
    assert caught.value.exit_status == 1
    assert all("web" in message_for(finding) for finding in caught.value.findings)


async def test_what_is_invalid_is_not_put_in_place(cluster: Cluster, pacemaker: Pacemaker) -> None:
    change = await change_of(cluster, item())
    assert change is not None
    pacemaker.valid = False
    with pytest.raises(FindingsError) as caught:
        await KIND.apply(cluster.world(), change)
    assert caught.value.findings[0].code == "cluster-invalid"
    assert "web has no agent" in message_for(caught.value.findings[0])
    assert pacemaker.taken == []


@pytest.mark.parametrize(("status", "code"), [(3, "changed-meanwhile"), (1, "cluster-refused-change")])
async def test_a_configuration_that_moved_on_is_not_overwritten(
    cluster: Cluster, pacemaker: Pacemaker, status: int, code: str
) -> None:
    change = await change_of(cluster, item())
    assert change is not None
    pacemaker.status = status
    with pytest.raises(FindingsError) as caught:
        await KIND.apply(cluster.world(), change)
    assert caught.value.findings[0].code == code
    assert message_for(caught.value.findings[0])


async def test_without_quorum_nothing_is_planned(cluster: Cluster) -> None:
    cluster.quorate, cluster.online = False, ("one",)
    with pytest.raises(FindingsError) as caught:
        await change_of(cluster, item())
    (finding,) = caught.value.findings
    assert (finding.code, finding.values["online"]) == ("cluster-without-quorum", "one")


async def test_without_a_cluster_nothing_is_applied(cluster: Cluster) -> None:
    cluster.formed = False
    change = await change_of(cluster, item())
    assert change is not None
    with pytest.raises(FindingsError, match="cluster-not-running"):
        await KIND.apply(cluster.world(), change)


async def test_a_resource_that_does_not_start_is_told_with_its_failure(
    cluster: Cluster, pacemaker: Pacemaker
) -> None:
    change = await change_of(cluster, item(ready=("disk", "web")))
    assert change is not None
    pacemaker.starts, cluster.running["disk"] = False, "two"
    failed = (
        '<status><node_state uname="two"><lrm><lrm_resources><lrm_resource id="web"><lrm_rsc_op '
        'operation_key="web_start_0" rc-code="1" exit-reason="no such file"/></lrm_resource></lrm_resources></lrm>'
        "</node_state></status>"
    )
    cluster.cib = cluster.cib.replace("<status/>", failed)
    cluster.failed = [("web_start_0", "two")]
    with pytest.raises(FindingsError) as caught:
        await KIND.apply(cluster.world(), change)
    (finding,) = caught.value.findings
    assert finding.code == "resources-not-running"
    assert "web_start_0 on two: no such file" in message_for(finding)


def test_versions_and_status_are_no_change() -> None:
    one = '<cib epoch="5" num_updates="9" admin_epoch="0" dc-uuid="x"><configuration/><status><a/></status></cib>'
    other = '<cib epoch="7" num_updates="1" admin_epoch="0"><configuration/></cib>'
    assert configuration_only(one.replace("<a/>", "")) == configuration_only(one) == configuration_only(other)


def test_an_early_stage_never_takes_out_what_is_there(cluster: Cluster) -> None:
    everything = cluster.cib.replace("<resources/>", '<resources><primitive id="web"/></resources>')
    restricted = wanted(STORAGE, everything)
    assert restricted is not None
    assert {resource.id for resource in restricted.primitives()} == {"disk", "web"}
    both = cluster.cib.replace(
        "<resources/>", '<resources><primitive id="web"/><primitive id="disk"/></resources>'
    )
    assert wanted(STORAGE, both) is None
