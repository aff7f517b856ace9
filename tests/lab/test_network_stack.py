"""What a tenant has before, during and after each fault of the network stack, on the real Neutron under Pacemaker.

The tenant's machine is a stand-in (a namespace with a port of the tenant's network), and so is the metadata service of
the Compute API. A lab of its own and many faults take a quarter of an hour, so that it runs on request.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from benchmarks.network_stack import (
    AGENTS,
    NAME,
    PATIENCE,
    STRIKES,
    Site,
    example_text,
    site_of,
    strike,
    take_guides_way,
)
from tests.lab.conftest import run

from understudy.lab.tenant import wait_for

pytestmark = [pytest.mark.root, pytest.mark.lab, pytest.mark.long]
KEPT_SECONDS = 1.0
"""No more than this may be missing where the data plane is kept; a packet may be lost on a busy machine."""


@pytest.fixture(scope="module")
def site(image: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    spec = tmp_path_factory.mktemp("network") / "cloud.yaml"
    spec.write_text(example_text(vrrp=False))
    with site_of(spec) as made:
        yield made


def test_neutron_sees_one_stack_wherever_it_runs(site: Site) -> None:
    assert {one["host"] for one in site.tenant.api.agents()} == {NAME}
    for agent in ("neutron-l3-agent", "neutron-dhcp-agent", "neutron-linuxbridge-agent"):
        assert site.where(agent) == site.where("neutron-dataplane")


@pytest.mark.parametrize("kind", ["kill", "hang"])
def test_an_agent_that_fails_costs_the_tenant_nothing(site: Site, kind: str) -> None:
    for name, fault in STRIKES[kind].items():
        node = site.active()
        seen = strike(site, name, fault)
        assert float(str(seen["interrupted_out_seconds"])) < KEPT_SECONDS, name
        assert float(str(seen["interrupted_in_seconds"])) < KEPT_SECONDS, name
        assert all(site.tenant.view().values()), name
        assert site.active() == node, name


def test_a_lost_broker_is_no_reason_to_restart_an_agent(site: Site) -> None:
    seen = strike(site, "broker lost", STRIKES["broker"]["broker lost"])
    assert seen["note"] is True
    assert float(str(seen["interrupted_out_seconds"])) < KEPT_SECONDS


def test_a_move_leaves_nothing_behind_and_touches_nothing_else(site: Site) -> None:
    node = site.active()
    run(site.lab, node, "ip netns add libvirt; ip netns exec libvirt sleep 600 >/dev/null 2>&1 &")
    beside = run(
        site.lab, node, "setsid dnsmasq --port=0 --pid-file=/run/beside.pid && cat /run/beside.pid"
    ).strip()
    seen = strike(site, "planned move", STRIKES["move"]["planned move"])
    assert seen["came_back"] == ["in", "out"]
    assert seen["note"] == {"left_behind": ["libvirt", beside]}
    assert all(site.tenant.view().values())


def prepared(site: Site, node: str, role: str) -> str:
    return site.on(node, f"head -1 /run/resource-agents/neutron-prepared.{role}.pid").strip()


def test_agents_and_helpers_were_made_of_prepared_processes(site: Site) -> None:
    node = site.active()
    keeper = prepared(site, node, "agents")
    for agent in AGENTS:
        pid = site.pid(agent, node)
        assert site.on(node, f"ps -o ppid= -p {pid}").strip() == keeper, agent
    l3 = site.pid("neutron-l3-agent", node)
    assert len(site.on(node, f"grep -lx helper-{l3} /proc/[0-9]*/comm").split()) >= 3


def test_a_lost_prepared_process_moves_and_restarts_no_agent(site: Site) -> None:
    node = site.active()
    before = [site.pid(agent, node) for agent in AGENTS]
    seen = [prepared(site, node, role) for role in ("agents", "helpers")]
    site.on(node, f"kill -9 {' '.join(seen)}")
    wait_for(lambda: prepared(site, node, "helpers") not in ("", seen[1]), PATIENCE)
    assert site.active() == node
    assert [site.pid(agent, node) for agent in AGENTS] == before
    assert all(site.tenant.view().values())


@pytest.mark.parametrize("kind", ["power", "cut"])
def test_the_tenant_gets_everything_back_when_a_node_is_lost(site: Site, kind: str) -> None:
    for name, fault in STRIKES[kind].items():
        seen = strike(site, name, fault)
        assert seen["came_back"] == ["in", "out"]
        assert all(site.tenant.view().values())


def test_the_guides_text_loads_through_the_real_crmsh_and_runs(site: Site) -> None:
    take_guides_way(site)
    assert all(site.tenant.view().values())
