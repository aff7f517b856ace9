"""The whole control plane on the real OpenStack: what each fault does to its users, and what it must not touch.

Bringing it up on two cores takes minutes, so that it runs on request.
"""

import os
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.lab.cloud_client import CloudClient, client_of
from tests.lab.cluster import Site, banned, brought_up, make_site, masters, pid_file

from understudy.lab.client import CLIENT, in_network_of

pytestmark = [pytest.mark.root, pytest.mark.lab, pytest.mark.long]

EXAMPLE = Path(__file__).parents[2] / "examples" / "control-plane.yaml"
API, API_INSIDE = "198.51.100.103", "10.91.42.103"
TYPES = ("identity", "image", "placement", "volumev3", "network", "compute")
BALANCED = {
    "keystone": "identity",
    "placement": "placement",
    "neutron-server": "network",
    "nova-api": "compute",
}
ASKED = {
    "identity": "/users",
    "image": "/v2/images",
    "placement": "/resource_providers",
    "volumev3": "/volumes",
    "network": "/v2.0/networks",
    "compute": "/servers",
}


@pytest.fixture(scope="module")
def whole(apply_labs: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = make_site(tmp_path_factory.mktemp("control"), f"test-{os.getpid()}-control", example=EXAMPLE)
    with brought_up(site):
        yield site


@pytest.fixture
def site(whole: Site) -> Site:
    whole.settle()
    return whole


@pytest.fixture
def client(site: Site) -> CloudClient:
    return client_of(site)


def test_every_service_answers_at_the_virtual_address(site: Site, client: CloudClient) -> None:
    assert site.understudy("plan", "--exit-code").returncode == 0
    for service, path in ASKED.items():
        assert client.call(service, "GET", path) is not None
    for (service, interface), url in client.endpoints().items():
        wanted = {"image": ("198.51.100.104", "10.91.42.104")}.get(service, (API, API_INSIDE))
        assert f"//{wanted[0 if interface == 'public' else 1]}:" in url, (service, interface, url)


def test_endpoints_are_put_right_and_those_of_others_left_alone(site: Site, client: CloudClient) -> None:
    found = client.call("identity", "GET", "/endpoints")["endpoints"]
    services = {one["type"]: one["id"] for one in client.call("identity", "GET", "/services")["services"]}
    ours = next(
        one for one in found if one["service_id"] == services["network"] and one["interface"] == "public"
    )
    elsewhere = {"url": "http://198.51.100.11:9696"}
    client.call("identity", "PATCH", f"/endpoints/{ours['id']}", {"endpoint": elsewhere})
    client.call("identity", "POST", "/regions", {"region": {"id": "RegionTwo"}})
    theirs = {"service_id": services["network"], "interface": "public", "url": "http://192.0.2.1:9696"}
    body = {"endpoint": {**theirs, "region_id": "RegionTwo"}}
    made = client.call("identity", "POST", "/endpoints", body)["endpoint"]["id"]
    plan = site.understudy("plan", "--exit-code")
    assert plan.returncode == 3
    assert "http://198.51.100.11:9696 → http://198.51.100.103:9696" in plan.stdout
    assert site.understudy("apply").returncode == 0
    after = {one["id"]: one["url"] for one in client.call("identity", "GET", "/endpoints")["endpoints"]}
    assert (after[ours["id"]], after[made]) == (f"http://{API}:9696", "http://192.0.2.1:9696")
    client.call("identity", "DELETE", f"/endpoints/{made}")


@pytest.mark.parametrize("service", BALANCED)
def test_a_killed_api_stops_no_other_and_fails_nobody_who_tries_twice(
    site: Site, client: CloudClient, service: str
) -> None:
    node = site.where("ip-api-public")
    beside = ("haproxy", "cinder-api", "nova-scheduler")
    others = masters(site, *beside)
    before = site.placement()
    killed = site.on(node, f"head -n 1 {pid_file(service)}").strip()
    site.on(node, f"kill -KILL {killed}")
    type_ = BALANCED[service]
    until = time.monotonic() + 8
    while time.monotonic() < until:
        try:
            client.call(type_, "GET", ASKED[type_])
        except Exception:  # noqa: BLE001 - a request that was under way is tried once more
            client.call(type_, "GET", ASKED[type_])
    site.settle()
    assert site.placement() == before
    assert masters(site, *beside) == others
    assert site.on(node, f"head -n 1 {pid_file(service)}").strip() != killed


def test_an_address_that_moves_restarts_nothing_and_resets_old_connections(
    site: Site, client: CloudClient
) -> None:
    services = ("haproxy", "neutron-server", "keystone")
    before = masters(site, *services)
    held = in_network_of(site.lab.pid_of(CLIENT), lambda: socket.create_connection((API, 9696), 5))
    held.sendall(b"GET / HTTP/1.1\r\nHost: cloud\r\nConnection: keep-alive\r\n\r\n")
    assert held.recv(65536).startswith(b"HTTP/1.1 ")
    with banned(site, "ip-api-public") as left:
        begun = time.monotonic()
        with held, pytest.raises(OSError, match=r"reset|Broken pipe|closed"):
            _use_until_it_breaks(held)
        assert time.monotonic() - begun < 5
        assert site.where("ip-api-public") != left
        assert client.patiently("network", "GET", ASKED["network"])
        assert masters(site, *services) == before


def _use_until_it_breaks(held: socket.socket) -> None:
    held.settimeout(5)
    while True:
        held.sendall(b"GET / HTTP/1.1\r\nHost: cloud\r\nConnection: keep-alive\r\n\r\n")
        if not held.recv(65536):
            raise ConnectionError("closed")


@pytest.mark.parametrize(
    ("resource", "address"), [("mariadb", "ip-database-internal"), ("rabbitmq", "ip-broker-internal")]
)
def test_a_database_or_broker_that_moves_restarts_no_api(
    site: Site, client: CloudClient, resource: str, address: str
) -> None:
    services = ("neutron-server", "nova-api", "cinder-scheduler", "haproxy")
    before = masters(site, *services)
    made = f"before {resource} moved"
    client.volume(made)
    with banned(site, resource) as left:
        assert site.where(resource) != left
        assert site.where(address) == site.where(resource)
        client.volume(f"after {resource} moved")
        client.network(f"after {resource} moved")
        assert made in client.names()["volumes"]
    assert masters(site, *services) == before


def test_everything_survives_the_power_loss_of_the_node_that_served(site: Site, client: CloudClient) -> None:
    made = {"networks": client.network, "volumes": client.volume, "images": client.image}
    for make in made.values():
        make("before")
    victim = site.where("ip-api-public")
    survivors = [node for node in site.nodes if node != victim]
    haproxies = masters(site, "haproxy")["haproxy"]
    begun = time.time()
    site.lab.crash(victim)
    for make in made.values():
        make("after")
    site.recover(victim, begun)
    names = client.names()
    assert all({"before", "after"} <= names[kind] for kind in made)
    now = masters(site, "haproxy")["haproxy"]
    assert {node: now[node] for node in survivors} == {node: haproxies[node] for node in survivors}
    # cinder-volume may run once only; every address and whatever hangs on storage left the node for good.
    alone = re.compile(r"ip-|fs-|mariadb|rabbitmq|glance-api|cinder-volume")
    placed = {name: nodes for name, nodes in site.placement().items() if alone.match(name)}
    assert not {name for name, nodes in placed.items() if victim in nodes}
    time.sleep(5)
    assert {name: site.placement()[name] for name in placed} == placed


def test_the_whole_fits_the_memory_that_is_promised(site: Site) -> None:
    totals = [
        int(line.split()[1])
        for node in site.nodes
        for line in site.on(
            node, "cat /proc/[0-9]*/smaps_rollup 2>/dev/null | grep ^Pss: || true"
        ).splitlines()
    ]
    assert sum(totals) / 2**20 < 12, "GiB in all nodes"
