"""A small cluster in the lab that the proof is held against: its shapes, its failures, what is seen of it."""

import time
from dataclasses import dataclass

from lxml import etree
from tests.lab import small_cluster
from tests.lab.conftest import run
from tests.lab.small_cluster import wait_until

from understudy.lab.client import Lab
from understudy.proof.configuration import read_configuration
from understudy.proof.play import Player, Step
from understudy.proof.runner.library import LibraryScheduler
from understudy.proof.scenarios import Fault, Scenario

NODES = ("controller-1", "controller-2", "controller-3")
ONLINE = f"Online: [ {' '.join(NODES)} ]"
SETTLE_SECONDS = 60
STILL_SECONDS = 8

# Does what a Dummy or a Stateful does, but what a file asks for fails.
AGENT = """#!/bin/sh
name=${OCF_RESOURCE_INSTANCE%%:*}
mkdir -p /run/broken
if test "$1" = monitor && test "${OCF_RESKEY_CRM_meta_interval:-0}" != 0 && test -e /run/broken/$name-dies
then
    rm -f /run/broken/$name-dies /run/$name.state
fi
test -e /run/broken/$name-$1 && exit 1
export OCF_RESKEY_state=/run/$name.state
exec /usr/lib/ocf/resource.d/pacemaker/${0##*/} "$@"
"""
MONITORS = ("op monitor interval=1 role=Promoted", "op monitor interval=2 role=Unpromoted")
SINGLES = ("db-storage", "db-server", "keystone", "image", "block", "broker", "worker", "scheduler")

ADDRESSES = {"db-address": "203.0.113.101", "api-address": "203.0.113.103", "guide-address": "203.0.113.104"}
REMOVE = {
    name: f"ip address del {address}/24 dev $(ip -o address | awk '/{address}/ {{print $2}}')"
    for name, address in ADDRESSES.items()
}


def configuration() -> str:
    """Return a data group, the guides' group of APIs, a warm service and processes tied by orders, as crmsh text."""
    lines = [f"primitive {name} ocf:test:Dummy op monitor interval=1" for name in (*SINGLES, "api")]
    lines += [
        f"primitive {name} ocf:heartbeat:IPaddr2 params ip=203.0.113.{host} cidr_netmask=24 op monitor interval=1"
        for name, host in (("db-address", 101), ("api-address", 103), ("guide-address", 104))
    ]
    lines += [
        f"primitive stateful ocf:test:Stateful {' '.join(MONITORS)}",
        "group db db-storage db-address db-server",
        "group guide guide-address keystone image block",
        "clone api-clone api meta interleave=true",
        "clone stateful-clone stateful meta promotable=true",
        "colocation address-with-api inf: api-address api-clone",
        "order db-then-api Optional: db api-clone",
        "order broker-then-worker Mandatory: broker worker",
        "order scheduler-last Optional: db scheduler",
        "colocation scheduler-with-primary inf: scheduler stateful-clone:Promoted",
        # A fenced node stays off until the test has looked.
        "property load-threshold=1000% no-quorum-policy=stop stonith-action=off",
        "rsc_defaults resource-stickiness=1000 migration-threshold=3",
    ]
    return "\n".join(lines)


def cib_of(lab: Lab, node: str) -> etree._Element:
    return etree.fromstring(run(lab, node, "cibadmin --query").encode())


def member(lab: Lab) -> str:
    """Return a node whose Pacemaker can be asked."""
    return next(node for node in reversed(NODES) if lab.run_in(node, ["crmadmin", "-D"], 10).returncode == 0)


Placement = dict[str, dict[str, str]]


def placement(lab: Lab, node: str) -> Placement:
    """Return resource → node → role as ``crm_mon`` tells, of nodes that are online."""
    seen = etree.fromstring(run(lab, node, "crm_mon --one-shot --output-as=xml").encode())
    online = {each.get("name") for each in seen.iterfind("nodes/node") if each.get("online") == "true"}
    found: Placement = {}
    for resource in seen.iterfind("resources//resource"):
        for place in resource.iterfind("node"):
            name = str(place.get("name"))
            if name in online and resource.get("active") == "true":
                promoted = resource.get("role") in ("Promoted", "Master")
                role = "Promoted" if promoted else "Started"
                found.setdefault(str(resource.get("id")).partition(":")[0], {})[name] = role
    return found


def starts(cib: etree._Element) -> dict[tuple[str, str], str]:
    """Return by resource and node when each was started."""
    return {
        (str(resource.get("id")), str(state.get("uname"))): str(op.get("call-id"))
        for state in cib.iterfind("status/node_state")
        for resource in state.iterfind("lrm/lrm_resources/lrm_resource")
        for op in resource.iterfind("lrm_rsc_op[@operation='start']")
        if op.get("rc-code") == "0"
    }


@dataclass
class Cluster:
    """The cluster in the lab, and what is known of it before a failure."""

    lab: Lab
    scheduler: LibraryScheduler

    def home(self, resource: str, role: str = "") -> str:
        where = placement(self.lab, member(self.lab))[resource]
        return next(node for node in where if role in ("", where[node]))

    def settled(self, node: str) -> None:
        """Wait until the cluster is idle, twice in a row: ``crm_resource --wait`` looks every two seconds only."""
        idle = "crmadmin --quiet --status $(crmadmin --quiet --dc_lookup) | grep -q S_IDLE"
        run(self.lab, node, f"until {idle} && sleep 0.3 && {idle}; do sleep 0.1; done", SETTLE_SECONDS)

    def foretell(self, *faults: Fault) -> tuple[list[Step], etree._Element]:
        cib = cib_of(self.lab, member(self.lab))
        player = Player(cib, read_configuration(cib), self.scheduler)
        assert player.boot.transitions == (), "the cluster is not at rest"
        return list(player.play(Scenario(faults)).steps), cib

    def compare(self, step: Step, before: etree._Element, node: str) -> None:
        """Compare what was foretold with what is, once that no longer changes."""
        assert step.applied
        assert step.settled
        foretold = {name: dict(where) for name, where in step.after.running().items()}
        deadline = time.monotonic() + STILL_SECONDS
        while True:
            self.settled(node)
            seen = placement(self.lab, node)
            if seen == foretold or time.monotonic() > deadline:
                break
            time.sleep(0.5)
        assert seen == foretold
        was, now = starts(before), starts(cib_of(self.lab, node))
        started = {
            key for key, call in now.items() if was.get(key) != call and key[1] in seen.get(key[0], {})
        }
        expected = {
            (action.resource, action.node)
            for transition in step.transitions
            for action in transition.effective
            if action.task == "start"
            and not action.failed
            and action.node in foretold.get(action.resource, {})
        }
        assert {key for key in started if key[0] != "stateful"} == {
            key for key in expected if key[0] != "stateful"
        }


def form(lab: Lab) -> None:
    """Make a cluster of the lab's nodes, with this configuration."""
    folder = "/usr/lib/ocf/resource.d/test"
    install = f"""install -d -m 755 {folder}
cat > {folder}/Dummy <<'END'
{AGENT}END
chmod 755 {folder}/Dummy
cp -p {folder}/Dummy {folder}/Stateful
"""
    small_cluster.form(lab, install, [])
    done = lab.run_in(NODES[0], ["crm", "configure"], 60, configuration())
    assert done.returncode == 0, done.stderr


def fail_counts(cluster: Cluster) -> set[str]:
    cib = cib_of(cluster.lab, member(cluster.lab))
    return {
        f"{state.get('uname')} {pair.get('name')} {pair.get('value')}"
        for state in cib.iterfind("status/node_state")
        for pair in state.iterfind("transient_attributes//nvpair")
        if str(pair.get("name")).startswith("fail-count-")
    }


def clean(cluster: Cluster) -> None:
    """Forget failures, as an administrator would, and wait until nothing changes any more."""
    node = member(cluster.lab)
    for name in NODES:
        cluster.lab.run_in(name, ["rm", "-rf", "/run/broken"], 10)
    run(cluster.lab, node, "crm_resource --cleanup", SETTLE_SECONDS)
    cluster.settled(node)


def die(cluster: Cluster, resource: str, node: str) -> None:
    """Have a resource's next monitor fail, and wait until the cluster has noticed."""
    before = fail_counts(cluster)
    if resource.endswith("-address"):
        run(cluster.lab, node, REMOVE[resource])
    else:
        run(cluster.lab, node, f"mkdir -p /run/broken; touch /run/broken/{resource}-dies")
    wait_until(lambda: fail_counts(cluster) != before)


def return_of(cluster: Cluster, *nodes: str) -> None:
    """Switch nodes on and wait until they are members."""
    for node in nodes:
        cluster.lab.boot(node)
    wait_until(lambda: ONLINE in cluster.lab.run_in(NODES[0], ["crm_mon", "-1"]).stdout)
    cluster.settled(NODES[0])


def offline(cluster: Cluster, witness: str, *nodes: str) -> None:
    """Wait until nodes are seen to be off, and cleanly."""

    def gone() -> bool:
        seen = etree.fromstring(run(cluster.lab, witness, "crm_mon --one-shot --output-as=xml").encode())
        states = {each.get("name"): each for each in seen.iterfind("nodes/node")}
        return all(states[node].get("online") == "false" for node in nodes)

    wait_until(gone)


def victim(cluster: Cluster) -> tuple[str, str]:
    """Return the busiest node without the primary, and another node.

    Where a promotion score changes in the midst of a transition, how far that had come decides between equal nodes.
    """
    where = placement(cluster.lab, member(cluster.lab))
    primary = cluster.home("stateful", "Promoted")
    busy = sorted(
        (node for node in NODES if node != primary), key=lambda node: sum(node in at for at in where.values())
    )
    return busy[-1], primary
