"""Real faults on a real cluster: three nodes, an address and a small web server behind it."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from itertools import islice
from pathlib import Path

import pytest
from tests.lab.conftest import NewLab, run
from tests.lab.small_cluster import form

from understudy.drill.faults.aim import random_turns, read_wishes
from understudy.drill.faults.model import Facts, NodeStep, ServiceFacts
from understudy.drill.faults.strike import Injected, Site, inject, left_behind
from understudy.drill.history import Event, FaultEvent, History, Observation
from understudy.drill.nodes import Nodes
from understudy.drill.preflight import Permission
from understudy.drill.probes.base import ProbeSettings
from understudy.drill.run import Drill, Pace, Watchers
from understudy.drill.verdicts import judge
from understudy.hosts.ssh import Access, SshHost, Target, connect
from understudy.lab.client import CLIENT, Lab

pytestmark = [pytest.mark.root, pytest.mark.lab]

ADDRESS, PORT = "203.0.113.103", 8080
CONFIGURATION = "/etc/web.conf"
WEB = f"""#!/bin/sh
grep -q good {CONFIGURATION} || exit 1
exec python3 -m http.server {PORT} --bind {ADDRESS} --directory /srv
"""
RESOURCES = [
    f"primitive address ocf:heartbeat:IPaddr2 params ip={ADDRESS} cidr_netmask=24 op monitor interval=5",
    "primitive web ocf:heartbeat:anything params binfile=/usr/local/bin/web op monitor interval=2",
    "colocation together inf: web address",
    "property load-threshold=1000% no-quorum-policy=stop",
    "rsc_defaults resource-stickiness=1000 migration-threshold=3",
]
PREPARE = f"""
mkdir -p /srv
echo good > {CONFIGURATION}
cat > /usr/local/bin/web <<'END'
{WEB}END
chmod 755 /usr/local/bin/web
"""


@pytest.fixture(scope="module")
def cluster(new_lab: NewLab) -> Lab:
    lab = new_lab("drill")
    form(lab, PREPARE, RESOURCES)
    return lab


def _may_raise_limits() -> bool:
    """Tell whether this machine lets root raise the limit on locked memory (CAP_SYS_RESOURCE)."""
    status = Path("/proc/self/status").read_text(encoding="ascii").split("CapBnd:")[1].split()[0]
    return bool(int(status, 16) >> 24 & 1)


def test_corosync_runs_as_it_is_installed(cluster: Lab) -> None:
    run(cluster, "controller-1", "chrt -p $(pidof corosync) | grep SCHED_RR")
    if _may_raise_limits():  # else Corosync says that it does without, and goes on
        run(cluster, "controller-1", "grep 'VmLck:.*[1-9]' /proc/$(pidof corosync)/status")


@asynccontextmanager
async def drill_of(lab: Lab, events: list[Event]) -> AsyncIterator[Drill]:
    names = tuple(lab.topology.nodes)
    addresses: Mapping[str, str] = {
        name: node.addresses["management"] for name, node in lab.topology.nodes.items()
    }
    access = Access(
        user="root",
        key=lab.private_key,
        known_hosts=lab.known_hosts,
        configuration=Path("/dev/null"),
        socket_factory=lambda address, port: lab.open_socket(address, port, 5),
        limit=5,
    )

    async def reach(name: str) -> SshHost:
        return await connect(Target(name, addresses[name], 22), access)

    facts = Facts(
        nodes=names,
        links={name: (addresses[name],) for name in names},
        client_networks=(lab.topology.networks["public"],),
        services={"web": ServiceFacts("web", "web", "web", "address", PORT, (CONFIGURATION,))},
        board_controllers={name: str(node.bmc_address) for name, node in lab.topology.nodes.items()},
        mounts={},
        roles={},
    )
    clients = [
        ProbeSettings("connect", "web", "tcp", ADDRESS, PORT),
        ProbeSettings("health", "web", "http", ADDRESS, PORT),
        ProbeSettings("owner-web-public", "web", "owner", ADDRESS),
    ]
    nodes = Nodes(names, reach)
    site = Site(nodes.host, facts, lab)
    watchers = [Watchers(clients, lab.argv_in(CLIENT, []))]
    try:
        yield Drill(nodes, site, watchers, events.append, Permission(in_lab=True), pace=Pace(patience=60))
    finally:
        await nodes.close()


SEED, MOST, SOAK_SECONDS = 7, 100, 240
FAULTS = (
    "process-killed:web",
    "configuration-broken:web",
    "move:web",
    "standby",
    "corosync-killed",
    "cluster-cut",
    "power-loss",
)


@pytest.mark.timeout(600)
async def test_cluster_survives_faults_and_all_of_it_is_told(cluster: Lab) -> None:
    events: list[Event] = []
    async with drill_of(cluster, events) as drill:
        turns = [read_wishes(text, drill.site.facts) for text in FAULTS]
        assert await drill.check([wish for turn in turns for wish in turn]) == []
        await drill.run(turns)
    judged = judge(History.of(events))
    answers = {verdict.question: (verdict.answer, verdict.details) for verdict in judged.verdicts}
    asked = set(answers) - {"writes-kept", "as-predicted"}
    assert {question: answers[question] for question in asked if answers[question][0] != "yes"} == {}
    assert [outcome.fault for outcome in judged.outcomes] == [text.split(":")[0] for text in FAULTS]
    power_loss = judged.outcomes[-1]
    (victim,) = power_loss.targets
    assert power_loss.died == (victim,)
    assert [span.subject for span in power_loss.fenced] == [victim]
    assert power_loss.fenced[0].detail == f"fence-{victim}"
    assert victim not in power_loss.took_over.values()
    health = power_loss.client("health")
    assert health is not None
    assert health.longest is not None
    assert [span.name for span in health.phases][:3] == ["detection", "decision", "fencing"]
    total = sum(span.seconds or 0 for span in health.phases)
    assert total == pytest.approx(health.longest.blackout, abs=0.3)


@pytest.mark.long
@pytest.mark.timeout(1200)
async def test_random_faults_lose_nothing_and_leave_nothing(cluster: Lab) -> None:
    events: list[Event] = []
    async with drill_of(cluster, events) as drill:
        turns = list(islice(random_turns(SEED, drill.site.facts, in_lab=True), MOST))
        await drill.run(turns, seconds=SOAK_SECONDS)
    judged = judge(History.of(events))
    asked = {
        one.question: one for one in judged.verdicts if one.question not in {"writes-kept", "as-predicted"}
    }
    assert {question: one.details for question, one in asked.items() if one.answer != "yes"} == {}
    assert len(judged.outcomes) >= 5


async def tables(lab: Lab) -> str:
    return "".join(lab.run_in(name, ["nft", "list", "tables"]).stdout for name in lab.topology.nodes)


async def test_interrupted_drill_is_healed_on_its_way_out(cluster: Lab) -> None:
    events: list[Event] = []
    async with drill_of(cluster, events) as drill:
        task = asyncio.create_task(drill.run([read_wishes("client-cut", drill.site.facts)]))
        while not any(isinstance(event, FaultEvent) and event.phase == "injected" for event in events):
            assert not task.done()
            await asyncio.sleep(0.1)
        assert "understudy_drill" in await tables(cluster)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        assert "understudy_drill" not in await tables(cluster)
    (left,) = (event for event in events if isinstance(event, Observation) and event.what == "left")
    assert left.values["left"] == {}


async def test_node_mends_itself_when_nobody_comes_back(cluster: Lab) -> None:
    events: list[Event] = []
    async with drill_of(cluster, events) as drill:
        site = Site(drill.site.host, drill.site.facts, cluster, timer=1)
        node = site.facts.nodes[0]
        step = {"do": "filter", "peers": ["203.0.113.0/24"], "direction": "both", "percent": 100}
        await inject(site, Injected("fault-9", "client-cut", (NodeStep(node, step),)))
        assert await left_behind(site, [node])
        deadline = time.monotonic() + 30
        while await left_behind(site, [node]):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.5)
