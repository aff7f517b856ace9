"""Users and endpoints in Keystone, through a Keystone that is a memory."""

from collections.abc import Callable
from typing import Any

import pytest
from keystoneauth1.exceptions import ConnectFailure, Unauthorized
from tests.unit.kinds.conftest import Cluster, completed

from understudy.design.items import Endpoint, IdentityAccess, Item, ServiceUser
from understudy.findings import FindingsError, message_for
from understudy.hosts.model import Completed
from understudy.kinds import identity
from understudy.kinds.identity import EndpointKind, Grant, IdentityApi, ServiceUserKind
from understudy.kinds.model import Change, World
from understudy.secret import Secret

ACCESS = IdentityAccess("http://192.0.2.100:5000/v3", "admin", "admin", Secret("root"), "RegionOne")
USER = ServiceUser(name="glance", project="service", role="admin", password=Secret("right"), access=ACCESS)
URL = "http://192.0.2.100:9292"
ENDPOINT = Endpoint(
    service_name="glance",
    service_type="image",
    interface="public",
    url=URL,
    access=ACCESS,
)
KINDS: dict[str, ServiceUserKind | EndpointKind] = {
    "service-user": ServiceUserKind(),
    "endpoint": EndpointKind(),
}


class Keystone(IdentityApi):
    """What Keystone holds; ``sent`` are the changes that came."""

    def __init__(self) -> None:
        self.held: dict[str, list[dict[str, Any]]] = {
            name: [] for name in ("users", "projects", "roles", "services", "endpoints")
        }
        self.passwords: dict[str, str] = {"admin": "root"}
        self.assigned: set[str] = set()
        self.sent: list[tuple[str, str]] = []
        self.down = False
        self.down_for = ""

    def add(self, collection: str, **values: object) -> str:
        identifier = f"{collection}-{len(self.held[collection])}"
        self.held[collection].append({"id": identifier, **values})
        return identifier

    async def get(self, path: str) -> Any:
        collection, _, name = path.removeprefix("/").partition("?name=")
        found = [each for each in self.held[collection] if not name or each["name"] == name]
        return {collection: found}

    async def send(self, method: str, path: str, body: object = None) -> Any:
        self.sent.append((method, path))
        parts = path.strip("/").split("/")
        if method == "PUT":
            self.assigned.add(path)
            return None
        assert isinstance(body, dict)
        ((singular, values),) = body.items()
        if method == "POST":
            identifier = self.add(parts[0], **values)
        else:
            identifier = parts[1]
            next(each for each in self.held[parts[0]] if each["id"] == identifier).update(values)
        if singular == "user":
            name = next(each["name"] for each in self.held["users"] if each["id"] == identifier)
            self.passwords[name] = values["password"]
        return {singular: {"id": identifier}}

    async def connect(self, _: World, access: IdentityAccess) -> IdentityApi:
        if self.down or access.user == self.down_for:
            raise ConnectFailure("Unable to establish connection to http://127.0.0.1:1234/v3")
        if self.passwords.get(access.user) != access.password.reveal():
            raise Unauthorized("401")
        return LoggedIn(self, access)


class LoggedIn(IdentityApi):
    """A login, which tells of the user's own project and roles."""

    def __init__(self, keystone: Keystone, access: IdentityAccess) -> None:
        self.get = keystone.get  # type: ignore[method-assign]
        self.send = keystone.send  # type: ignore[method-assign]
        named = {
            kind: {each["name"]: each["id"] for each in keystone.held[kind]}
            for kind in ("users", "projects", "roles")
        }
        user, project = named["users"].get(access.user, ""), named["projects"].get(access.project, "")
        roles = {
            name: role
            for name, role in named["roles"].items()
            if f"/projects/{project}/users/{user}/roles/{role}" in keystone.assigned
        }
        self.grant = Grant(user, project, roles)


@pytest.fixture
def keystone(monkeypatch: pytest.MonkeyPatch, cluster: Cluster) -> Keystone:
    fake = Keystone()
    fake.add("roles", name="admin")
    monkeypatch.setattr(identity, "connect", fake.connect)
    cluster.running["keystone"] = "one"
    return fake


async def change_of(cluster: Cluster, item: Item) -> Change | None:
    kind = KINDS[item.kind]
    return kind.compare(item, (await kind.observe(cluster.world(), [item]))[item.key])


async def make_true(cluster: Cluster, item: Item) -> Change:
    change = await change_of(cluster, item)
    assert change is not None
    await KINDS[item.kind].apply(cluster.world(), change)
    assert await change_of(cluster, item) is None
    return change


@pytest.mark.parametrize("item", [USER, ENDPOINT], ids=["user", "endpoint"])
async def test_it_is_pending_where_the_cluster_has_no_keystone_yet(cluster: Cluster, item: Item) -> None:
    cluster.formed = False
    change = await change_of(cluster, item)
    assert change is not None
    assert change.differences[0].before == "not known yet"
    assert KINDS[item.kind].invert(change) is None


@pytest.mark.parametrize("item", [USER, ENDPOINT], ids=["user", "endpoint"])
async def test_a_keystone_that_is_down_is_told(
    cluster: Cluster, keystone: Keystone, monkeypatch: pytest.MonkeyPatch, item: Item
) -> None:
    keystone.down = True
    with pytest.raises(FindingsError) as caught:
        await change_of(cluster, item)
    (finding,) = caught.value.findings
    assert (finding.code, caught.value.exit_status) == ("keystone-unreachable", 1)
    assert "http://192.0.2.100:5000/v3" in message_for(finding)
    assert "127.0.0.1" not in message_for(finding)


@pytest.mark.parametrize("state", ["S_IDLE", "S_TRANSITION_ENGINE"])
async def test_a_keystone_is_waited_for_while_the_cluster_is_at_work(
    cluster: Cluster, keystone: Keystone, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    """It answers at the third look at the cluster, later than anybody waits for one that nobody starts."""
    monkeypatch.setattr(identity, "WORK_SECONDS", 10**6)

    def look(argv: list[str], _: bytes) -> Completed:
        assert argv == ["crmadmin", "--status", "one"]
        keystone.down = len(cluster.ran_itself("crmadmin")) < 3
        return completed(f"Controller on one in state {state}: ok")

    cluster.programs["crmadmin"] = look
    keystone.down = True
    if state == "S_IDLE":
        with pytest.raises(FindingsError):
            await change_of(cluster, USER)
        assert len(cluster.ran_itself("crmadmin")) == 1
    else:
        assert await change_of(cluster, USER) is not None


def nothing(_: Keystone) -> None:
    """Leave Keystone bare."""


def wrong_password(keystone: Keystone) -> None:
    keystone.add("projects", name="service")
    keystone.add("users", name="glance")
    keystone.passwords["glance"] = "wrong"


@pytest.mark.parametrize(
    ("prepare", "names"),
    [(nothing, ["project service", "user glance"]), (wrong_password, ["login of glance"])],
)
async def test_a_user_is_made_or_put_right(
    cluster: Cluster, keystone: Keystone, prepare: Callable[[Keystone], None], names: list[str]
) -> None:
    prepare(keystone)
    change = await make_true(cluster, USER)
    assert [line.name for line in change.differences] == names
    assert keystone.passwords["glance"] == "right"
    assert len(keystone.assigned) == 1
    assert [each["name"] for each in keystone.held["roles"]] == ["admin"]


async def test_a_user_that_logs_in_without_its_role_is_given_the_role(
    cluster: Cluster, keystone: Keystone
) -> None:
    await make_true(cluster, USER)
    keystone.assigned.clear()
    change = await make_true(cluster, USER)
    assert [line.name for line in change.differences] == ["login of glance"]
    assert len(keystone.assigned) == 1


async def test_a_keystone_that_goes_down_while_a_password_is_tried_is_told(
    cluster: Cluster, keystone: Keystone, monkeypatch: pytest.MonkeyPatch
) -> None:
    await make_true(cluster, USER)
    monkeypatch.setattr(identity, "LOGIN_SECONDS", 0)
    keystone.down_for = USER.name
    with pytest.raises(FindingsError) as caught:
        await change_of(cluster, USER)
    assert caught.value.findings[0].code == "keystone-unreachable"


async def test_an_endpoint_is_made_with_its_service(cluster: Cluster, keystone: Keystone) -> None:
    change = await make_true(cluster, ENDPOINT)
    assert (change.differences[0].before, change.impact) == (None, "")
    assert keystone.held["services"][0]["type"] == "image"
    assert keystone.held["endpoints"][0]["region_id"] == "RegionOne"


async def test_an_endpoint_elsewhere_is_moved_in_place(cluster: Cluster, keystone: Keystone) -> None:
    service = keystone.add("services", name="glance", type="image")
    old = {"service_id": service, "interface": "public", "url": "http://192.0.2.11:9292"}
    moved = keystone.add("endpoints", region_id="RegionOne", **old)
    elsewhere = keystone.add("endpoints", region_id="RegionTwo", **old)
    change = await make_true(cluster, ENDPOINT)
    assert change.differences[0].before == "http://192.0.2.11:9292"
    assert change.impact == "clients of image public use the new address"
    assert keystone.sent == [("PATCH", f"/endpoints/{moved}")]
    urls = {each["id"]: each["url"] for each in keystone.held["endpoints"]}
    assert urls == {moved: URL, elsewhere: "http://192.0.2.11:9292"}


async def test_of_several_endpoints_the_right_one_is_ours_and_the_others_stay(
    cluster: Cluster, keystone: Keystone
) -> None:
    service = keystone.add("services", name="glance", type="image")
    other = keystone.add("services", name="glance-of-another-team", type="image")
    shared = {"interface": "public", "region_id": "RegionOne"}
    left = keystone.add("endpoints", service_id=service, url="http://192.0.2.11:9292", **shared)
    keystone.add("endpoints", service_id=other, url="http://192.0.2.55:9292", **shared)
    keystone.add("endpoints", service_id=service, url=URL, **shared)
    observed = await KINDS["endpoint"].observe(cluster.world(), [ENDPOINT])
    assert await change_of(cluster, ENDPOINT) is None
    others = observed[ENDPOINT.key]["others"]  # type: ignore[index]
    assert [one["id"] for one in others] == [left]
    assert keystone.sent == []


async def test_a_disabled_endpoint_is_enabled_again(cluster: Cluster, keystone: Keystone) -> None:
    service = keystone.add("services", name="glance", type="image")
    where = {"service_id": service, "interface": "public", "region_id": "RegionOne"}
    off = keystone.add("endpoints", url=URL, enabled=False, **where)
    change = await make_true(cluster, ENDPOINT)
    assert change.differences[0].before == f"{URL} (disabled)"
    assert keystone.sent == [("PATCH", f"/endpoints/{off}")]


@pytest.mark.parametrize("interface", ["public", "internal", "admin"])
async def test_each_interface_is_reconciled_by_itself(
    cluster: Cluster, keystone: Keystone, interface: str
) -> None:
    one = Endpoint(
        service_name="glance",
        service_type="image",
        interface=interface,  # type: ignore[arg-type]
        url=f"https://{interface}.example:9292",
        access=ACCESS,
    )
    await make_true(cluster, one)
    await make_true(cluster, ENDPOINT) if interface != "public" else None
    held = {each["interface"]: each["url"] for each in keystone.held["endpoints"]}
    assert held[interface] == one.url
    assert len(keystone.held["services"]) == 1
