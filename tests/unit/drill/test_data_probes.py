"""Probes of database, broker and tenants' machines, against servers that speak just enough, on the loopback."""

import asyncio
import json
import socket
from pathlib import Path
from unittest.mock import AsyncMock

import pytest
from tests.unit.drill.servers import PASSWORD, Mysql, Rabbit, listening

from understudy.catalog.load import load_catalog
from understudy.catalog.releases import release_named
from understudy.design.context import Cloud
from understudy.drill.clients import clients_of, tenant_clients
from understudy.drill.probes import tenant
from understudy.drill.probes.base import NotServedError, ProbeSettings
from understudy.drill.probes.http import Answer, Request
from understudy.drill.probes.identity import WithToken
from understudy.drill.probes.registry import PROBES
from understudy.drill.probes.volume import VolumeWritten
from understudy.secret import Secret
from understudy.spec.load import load_spec


def settings(kind: str, port: int, password: str = PASSWORD) -> ProbeSettings:
    login = {"user": "u", "password": password, "database": "d"}
    return ProbeSettings("client", "service", kind, "127.0.0.1", port, parameters=login)


async def test_rows_are_written_read_back_and_found_again_over_one_connection() -> None:
    server = Mysql()
    port = await listening(server.serve)
    probe = PROBES["row"](settings("row", port))
    await probe.prepare()
    assert [await probe.operate(number) for number in range(3)] == ["0", "1", "2"]
    assert server.connections == 2, "one for the table, one for all rows"
    assert await probe.collect() == ["0", "1", "2"]
    server.lost = True
    with pytest.raises(NotServedError, match="not there"):
        await probe.operate(3)
    await probe.tidy()
    with pytest.raises(NotServedError, match="MySQL error 1045"):
        await PROBES["row"](settings("row", port, "wrong")).operate(0)


async def test_messages_are_confirmed_consumed_and_found_again() -> None:
    server = Rabbit()
    port = await listening(server.serve)
    passed = PROBES["message"](settings("message", port))
    assert [await passed.operate(number) for number in range(2)] == ["", ""]
    assert server.messages == []
    kept = PROBES["message-kept"](settings("message-kept", port))
    assert [await kept.operate(number) for number in range(3)] == ["0", "1", "2"]
    assert await kept.collect() == ["0", "1", "2"]
    await kept.tidy()


class Volumes(VolumeWritten):
    """Talks to a volume service with a quota, which deletes as long as it ``works``."""

    def __init__(self) -> None:
        super().__init__(settings("volume", 0))
        self.there: dict[str, str] = {}
        self.works = True

    async def call(self, request: Request) -> Answer:
        if request.method == "GET":
            volumes = [{"id": name, "name": name} for name in self.there]
            return Answer(200, {}, json.dumps({"volumes": volumes}).encode())
        if request.path.endswith("/action"):
            if self.works:
                del self.there[request.path.split("/")[3]]
            return Answer(202, {}, b"")
        name = json.loads(request.body)["volume"]["name"]
        self.there[name] = name
        return Answer(202 if len(self.there) <= 10 else 413, {}, b"")


async def test_volumes_stay_below_the_quota_and_each_is_found_again() -> None:
    probe = Volumes()
    written = [await probe.operate(number) for number in range(12)]
    assert all(written)
    assert len(probe.there) == 4
    assert set(await probe.collect() or ()) == set(written)
    probe.works = False
    while_away = [await probe.operate(number) for number in range(12, 30)]
    assert while_away.count("") > 10, "nothing more is ordered while none is deleted"
    assert set(await probe.collect() or ()) >= {name for name in while_away if name}
    probe.works = True
    assert await probe.operate(30) or await probe.operate(31)
    assert len(probe.there) <= 8
    probe.there.clear()
    lost = await probe.collect() or ()
    assert {name for name in written if name not in lost} == set(), "what was seen and deleted is not lost"
    await probe.tidy()


async def test_volumes_that_a_drill_cut_short_has_left_are_deleted_and_nobody_elses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(WithToken, "prepare", AsyncMock())
    probe = Volumes()
    probe.there = {name: name for name in ("understudy-drill-0a1b2c3d-7", "database")}
    await probe.prepare()
    assert list(probe.there) == ["database"]


async def test_volume_that_is_gone_before_it_was_looked_for_is_missed() -> None:
    probe = Volumes()
    first, second = [await probe.operate(number) for number in range(2)]
    del probe.there[first]
    assert await probe.collect() == [second]


def test_offers_are_told_from_other_packets() -> None:
    asked = tenant.discover(bytes(6), b"abcd")
    assert asked[236:240] == tenant.COOKIE
    answer = bytearray(asked)
    answer[16:20] = socket.inet_aton("10.0.0.5")
    offer = bytes(answer[:240]) + bytes([0, 53, 1, tenant.OFFER, 255])
    assert tenant.offered(offer, b"abcd") == "10.0.0.5"
    assert tenant.offered(offer, b"dcba") == ""
    assert tenant.offered(asked, b"abcd") == ""
    assert tenant.offered(b"short", b"abcd") == ""


def test_echo_request_has_a_checksum_that_adds_up() -> None:
    assert tenant.checksum(tenant.echo_request(7, 9)) == 0


def network_stack() -> Cloud:
    spec = load_spec(Path("examples/network-stack.yaml")).spec
    return Cloud(spec, load_catalog(), release_named(spec.release), Secret)


def test_tenants_machine_has_its_clients() -> None:
    cloud = network_stack()
    clients = tenant_clients(cloud, "198.51.100.7", "198.51.100.254", metadata=True)
    outside, machine = ({one.kind: one for one in clients[place]} for place in ("outside", "machine"))
    assert (outside["ping"].address, outside["ping"].service) == ("198.51.100.7", "neutron-l3-agent")
    assert machine["ping"].address == "198.51.100.254"
    assert (machine["http"].address, machine["http"].port) == ("169.254.169.254", 80)
    assert (machine["dhcp"].text("interface"), machine["dhcp"].service) == ("eth0", "neutron-dhcp-agent")
    without = tenant_clients(cloud, "198.51.100.7", "198.51.100.254", metadata=False)
    assert {one.kind for one in without["machine"]} == {"ping", "dhcp"}


def test_no_tenants_client_is_among_the_users() -> None:
    cloud = network_stack()
    users = {client.client for side in clients_of(cloud, {}).values() for client in side}
    assert {"networks", "neutron-connect"} & users
    assert not {name for name in users if name.startswith("tenant")}


@pytest.mark.root
async def test_loopback_answers_a_ping() -> None:
    probe = PROBES["ping"](settings("ping", 0))
    async with asyncio.timeout(5):
        assert await probe.operate(1) == ""
