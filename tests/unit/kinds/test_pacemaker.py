"""What is read from a live cluster."""

import pytest
from tests.unit.kinds.conftest import NODES, Cluster, completed

from understudy.findings import FindingsError
from understudy.kinds import pacemaker


async def test_the_view_of_the_node_that_is_in_the_quorate_part(cluster: Cluster) -> None:
    cluster.running["web"] = "two"
    seen = await pacemaker.view(cluster.world())
    assert seen is not None
    assert (seen.online, seen.quorate, seen.coordinator) == (NODES, True, "one")
    assert (seen.where("web"), seen.where("other")) == ("two", None)


async def test_it_is_asked_once_until_it_is_asked_afresh(cluster: Cluster) -> None:
    world = cluster.world()
    await pacemaker.view(world)
    asked = len(cluster.commands)
    await pacemaker.view(world)
    assert len(cluster.commands) == asked
    cluster.running["web"] = "one"
    seen = await pacemaker.view(world, fresh=True)
    assert seen is not None
    assert seen.where("web") == "one"
    pacemaker.forget(world)
    await pacemaker.view(world)
    assert len(cluster.commands) == 3 * asked


async def test_where_no_node_is_in_a_cluster_there_is_no_view(cluster: Cluster) -> None:
    cluster.formed = False
    assert await pacemaker.view(cluster.world()) is None


@pytest.mark.parametrize(
    ("code", "told"),
    [("0", False), ("7", False), ("8", False), ("190", False), ("193", False), ("1", True), ("5", True)],
)
async def test_operations_that_ended_badly_are_failures(cluster: Cluster, code: str, told: bool) -> None:
    operation = f'<lrm_rsc_op operation_key="web_monitor_10" rc-code="{code}"/>'
    cluster.cib = cluster.cib.replace(
        "<status/>", f'<status><node_state uname="two">{operation}</node_state></status>'
    )
    cluster.failed = [("web_monitor_10", "two")]
    seen = await pacemaker.view(cluster.world())
    assert seen is not None
    assert seen.failures == ((f"web_monitor_10 on two: exit code {code}",) if told else ())


async def test_a_failure_whose_time_is_over_is_none_any_more_but_a_probe_is(cluster: Cluster) -> None:
    keys = ("web_start_0", "web_monitor_0")
    operations = "".join(f'<lrm_rsc_op operation_key="{key}" rc-code="1"/>' for key in keys)
    cluster.cib = cluster.cib.replace(
        "<status/>", f'<status><node_state uname="two">{operations}</node_state></status>'
    )
    seen = await pacemaker.view(cluster.world())
    assert seen is not None
    assert seen.failures == ("web_monitor_0 on two: exit code 1",)


async def test_copies_that_their_watcher_marks_are_silent(cluster: Cluster) -> None:
    marks = "".join(
        f'<nvpair id="{name}" name="{name}" value="{value}"/>'
        for name, value in (
            ("unhealthy-web", "1"),
            ("unhealthy-other", "0"),
            ("unhealthy-starting", "1"),
            ("#health-disk", "1"),
        )
    )
    cluster.running = {"web": "two", "other": "two", "starting": "one"}
    attributes = (
        f"<transient_attributes><instance_attributes>{marks}</instance_attributes></transient_attributes>"
    )
    cluster.cib = cluster.cib.replace(
        "<status/>", f'<status><node_state uname="two">{attributes}</node_state></status>'
    )
    seen = await pacemaker.view(cluster.world())
    assert seen is not None
    assert seen.silent == ("web on two",)


async def test_waiting_ends_at_its_limit(cluster: Cluster) -> None:
    cluster.online = ("one", "two")
    with pytest.raises(FindingsError) as caught:
        await pacemaker.wait_online(cluster.world(), NODES, 1)
    assert caught.value.findings[0].code == "cluster-not-online"
    assert (await pacemaker.wait_online(cluster.world(), ("one", "two"), 1)).quorate
    with pytest.raises(FindingsError) as caught:
        await pacemaker.wait_running(cluster.world(), ["web"], 1)
    assert caught.value.findings[0].values["failures"] == "none reported"


async def test_copies_are_waited_for_where_they_may_run(cluster: Cluster) -> None:
    cluster.running["agent"] = "one"
    with pytest.raises(FindingsError):
        await pacemaker.wait_running(cluster.world(), ["agent"], 1, {"agent": ()})
    assert await pacemaker.wait_running(cluster.world(), ["agent"], 1, {"agent": set(NODES) - {"one"}})


async def test_a_simulation_that_fails_is_told(cluster: Cluster) -> None:
    cluster.programs["crm_simulate"] = lambda *_: completed(exit_status=65, stderr="Input is not valid")
    host = cluster.world().hosts["one"]
    with pytest.raises(FindingsError) as caught:
        await pacemaker.simulate(host, "<cib/>")
    (finding,) = caught.value.findings
    assert (finding.code, finding.values["reason"]) == ("simulation-failed", "Input is not valid")
