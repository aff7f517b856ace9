"""What the proof says is what a real cluster does: each failure foretold from the live CIB, then done, then compared.

The cluster has the shapes of our presets and of the guides': groups, clones, a promotable clone, addresses that follow
a clone, mandatory and optional orders. Compared are where everything runs, in which role, and what was started anew.
"""

import pytest
from tests.lab.conftest import NewLab, run
from tests.lab.proved_cluster import (
    ADDRESSES,
    NODES,
    ONLINE,
    SETTLE_SECONDS,
    SINGLES,
    Cluster,
    cib_of,
    clean,
    die,
    form,
    offline,
    return_of,
    victim,
)

from understudy.proof.runner.library import LibraryScheduler, SchedulerUnavailableError
from understudy.proof.scenarios import Fault

pytestmark = [pytest.mark.root, pytest.mark.lab, pytest.mark.long]


@pytest.fixture(scope="module")
def formed(new_lab: NewLab) -> Cluster:
    try:
        scheduler = LibraryScheduler()
    except SchedulerUnavailableError as error:
        pytest.skip(str(error))
    lab = new_lab("proof")
    form(lab)
    made = Cluster(lab, scheduler)
    made.settled(NODES[0])
    return made


@pytest.fixture
def cluster(formed: Cluster) -> Cluster:
    """Return the cluster with all its nodes, whatever a test before left of it."""
    lab = formed.lab
    off = [name for name, node in lab.status().nodes.items() if node.power != "on"]
    if off or ONLINE not in lab.run_in(NODES[0], ["crm_mon", "-1"]).stdout:
        lab.heal()
        for node in NODES:
            lab.boot(node)
            lab.run_in(node, ["sh", "-c", "service corosync start; service pacemaker start"], SETTLE_SECONDS)
        return_of(formed)
        clean(formed)
    return formed


@pytest.mark.parametrize("resource", [*SINGLES, *ADDRESSES])
def test_monitor_fails(cluster: Cluster, resource: str) -> None:
    node = cluster.home(resource)
    (step,), before = cluster.foretell(Fault("monitor", resource))
    die(cluster, resource, node)
    cluster.compare(step, before, node)


@pytest.mark.parametrize("beside_the_address", [True, False])
def test_monitor_of_one_copy_fails(cluster: Cluster, beside_the_address: bool) -> None:
    home = cluster.home("api-address")
    node = home if beside_the_address else next(name for name in NODES if name != home)
    (step,), before = cluster.foretell(Fault("monitor", "api", node))
    die(cluster, "api", node)
    cluster.compare(step, before, node)


@pytest.mark.parametrize("role", ["Promoted", "Started"])
def test_monitor_of_a_promotable_copy_fails(cluster: Cluster, role: str) -> None:
    node = cluster.home("stateful", role)
    (step,), before = cluster.foretell(Fault("monitor", "stateful", node))
    die(cluster, "stateful", node)
    cluster.compare(step, before, node)
    clean(cluster)


def test_monitor_fails_up_to_the_threshold(cluster: Cluster) -> None:
    node = cluster.home("broker")
    (step, after), before = cluster.foretell(Fault("monitor-limit", "broker"), Fault("healed", "broker"))
    run(cluster.lab, node, "attrd_updater --name fail-count-broker#monitor_1000 --update 2")
    die(cluster, "broker", node)
    cluster.compare(step, before, node)
    before = cib_of(cluster.lab, node)
    clean(cluster)
    cluster.compare(after, before, node)


@pytest.mark.parametrize("resource", ["keystone", "worker", "api"])
def test_start_fails(cluster: Cluster, resource: str) -> None:
    node = cluster.home("api-address" if resource == "api" else resource)
    faults = Fault("start", resource, node if resource == "api" else ""), Fault("healed", resource)
    (step, after), before = cluster.foretell(*faults)
    run(cluster.lab, node, f"mkdir -p /run/broken; touch /run/broken/{resource}-start")
    die(cluster, resource, node)
    cluster.compare(step, before, node)
    before = cib_of(cluster.lab, node)
    clean(cluster)
    cluster.compare(after, before, node)


@pytest.mark.parametrize("resource", ["db", "api-address", "guide"])
def test_moved_by_an_administrator(cluster: Cluster, resource: str) -> None:
    member_of = {"db": "db-server", "guide": "keystone"}.get(resource, resource)
    home = cluster.home(member_of)
    node = next(name for name in reversed(NODES) if name != home)
    (step,), before = cluster.foretell(Fault("moved", resource, node))
    run(cluster.lab, home, f"crm_resource --resource {resource} --move --node {node}")
    cluster.settled(home)
    run(cluster.lab, home, f"crm_resource --resource {resource} --clear")
    cluster.compare(step, before, home)


@pytest.mark.parametrize("resource", ["db-server", "api-address"])
def test_node_in_standby(cluster: Cluster, resource: str) -> None:
    node = cluster.home(resource)
    (step, after), before = cluster.foretell(Fault("standby", node=node), Fault("standby-ends", node=node))
    run(cluster.lab, node, f"crm_attribute --node {node} --name standby --update on --lifetime reboot")
    cluster.compare(step, before, node)
    before = cib_of(cluster.lab, node)
    run(cluster.lab, node, f"crm_attribute --node {node} --name standby --delete --lifetime reboot")
    cluster.compare(after, before, node)


def test_cluster_in_maintenance(cluster: Cluster) -> None:
    (step,), before = cluster.foretell(Fault("cluster-maintenance"))
    run(cluster.lab, NODES[0], "crm_attribute --name maintenance-mode --update true")
    cluster.compare(step, before, NODES[0])
    run(cluster.lab, NODES[0], "crm_attribute --name maintenance-mode --delete")
    cluster.settled(NODES[0])


def test_node_stopped(cluster: Cluster) -> None:
    node, witness = victim(cluster)
    (step, after), before = cluster.foretell(
        Fault("node-stopped", node=node), Fault("node-returns", node=node)
    )
    run(cluster.lab, node, "service pacemaker stop; service corosync stop", SETTLE_SECONDS)
    offline(cluster, witness, node)
    cluster.compare(step, before, witness)
    before = cib_of(cluster.lab, witness)
    run(cluster.lab, node, "service corosync start; service pacemaker start")
    return_of(cluster)
    cluster.compare(after, before, witness)


def test_node_lost_beside_one_that_only_votes(cluster: Cluster) -> None:
    """A node whose Pacemaker was stopped runs nothing, but its Corosync still counts."""
    node, witness = victim(cluster)
    (idle,) = {*NODES} - {node, witness}
    run(cluster.lab, idle, "service pacemaker stop", SETTLE_SECONDS)
    cluster.settled(witness)
    (step, *_), before = cluster.foretell(Fault("node-lost", node=node))
    cluster.lab.crash(node)
    offline(cluster, witness, node)
    cluster.compare(step, before, witness)
    run(cluster.lab, idle, "service pacemaker start")
    return_of(cluster, node)


def test_node_lost(cluster: Cluster) -> None:
    node, witness = victim(cluster)
    (step, after), before = cluster.foretell(Fault("node-lost", node=node), Fault("node-returns", node=node))
    cluster.lab.crash(node)
    offline(cluster, witness, node)
    cluster.compare(step, before, witness)
    before = cib_of(cluster.lab, witness)
    return_of(cluster, node)
    cluster.compare(after, before, witness)


def test_stop_fails(cluster: Cluster) -> None:
    node = cluster.home("broker")
    witness = next(name for name in NODES if name != node)
    (step, after), before = cluster.foretell(Fault("stop", "broker"), Fault("node-returns", node=node))
    run(cluster.lab, node, "mkdir -p /run/broken; touch /run/broken/broker-stop /run/broken/broker-dies")
    offline(cluster, witness, node)
    cluster.compare(step, before, witness)
    before = cib_of(cluster.lab, witness)
    return_of(cluster, node)
    cluster.compare(after, before, witness)


def test_node_cut_off(cluster: Cluster) -> None:
    node, witness = victim(cluster)
    (majority, _), before = cluster.foretell(Fault("partition", node=node))
    cluster.lab.cut(node, "management")
    offline(cluster, witness, node)
    cluster.compare(majority, before, witness)
    cluster.lab.heal(node)
    return_of(cluster, node)


def test_two_of_three_nodes_lost(cluster: Cluster) -> None:
    left = cluster.home("keystone")
    lost = [name for name in NODES if name != left]
    (step, _), before = cluster.foretell(Fault("node-lost", node=",".join(lost)), Fault("node-returns"))
    for node in lost:
        cluster.lab.crash(node)
    offline(cluster, left, *lost)
    cluster.compare(step, before, left)
