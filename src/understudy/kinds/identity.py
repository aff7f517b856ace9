"""Kinds service-user and endpoint: what is in Keystone, through its v3 API.

The API is reached through a node, so that the operator's machine needs no route to the virtual address.
Source: Identity API v3 reference (users, projects, roles, services, endpoints).
"""

import asyncio
import logging
import re
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from understudy.design.items import Endpoint, IdentityAccess, Item, ServiceUser
from understudy.findings import Finding, FindingsError
from understudy.hosts.parallel import all_of
from understudy.kinds import pacemaker
from understudy.kinds.common import Irreversible, expect, items_of
from understudy.kinds.model import Change, Difference, World

if TYPE_CHECKING:
    import requests
    from keystoneauth1.session import Session

ANSWER_SECONDS = 90
REQUEST_SECONDS = 10
CONNECT_RETRIES = 4
"""Tries after the first one, with pauses that double from half a second."""
NOT_DONE = (403, 503)
"""Answers of a Keystone that has just started, and of a balancer that finds none: nothing was done, so it is tried
again. While its first request fills Keystone's policy, those beside it are refused (keystone/common/rbac_enforcer)."""
STATUS_RETRIES = 3
LOGIN_SECONDS = 5
"""How long a look at Keystone tries to log in, in seconds; the wait factor stretches it."""
WORK_SECONDS = 120
"""How long it tries while the cluster is at work."""
NOBODY_THERE = (ssl.SSLZeroReturnError, ssl.SSLEOFError)
"""What TLS calls a forwarded port that is closed as nobody listens behind it: to be tried again, as without TLS."""
_NOTE = "keystone "
logging.getLogger("keystoneauth").addHandler(logging.NullHandler())  # its tries are ours to tell of
_FORWARDED = re.compile(r"https?://127\.0\.0\.1:\d+(?:/v3)?")
"""How an error names Keystone when it is reached over a forwarded port."""


@dataclass(frozen=True)
class Grant:
    """What a login was given: the ids of user and project, and those of the roles by their names."""

    user: str
    project: str
    roles: Mapping[str, str]


class IdentityApi:
    """A session with Keystone, over a port that a node forwards."""

    def __init__(self, session: "Session", endpoint: str, grant: Grant) -> None:
        self._session = session
        self._endpoint = endpoint
        self.grant = grant

    async def get(self, path: str) -> Any:  # noqa: ANN401 - JSON
        """Return the answer to a GET."""
        return await self._call("GET", path, None)

    async def send(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - JSON
        """Send a change and return the answer."""
        return await self._call(method, path, body)

    async def _call(self, method: str, path: str, body: object) -> Any:  # noqa: ANN401 - JSON
        def call() -> Any:  # noqa: ANN401
            answer = self._session.request(
                self._endpoint + path,
                method,
                json=body,
                authenticated=True,
                headers={"Accept": "application/json"},
                connect_retries=CONNECT_RETRIES,
                retriable_status_codes=list(NOT_DONE),
                status_code_retries=STATUS_RETRIES,
            )
            return answer.json() if answer.content else None

        from keystoneauth1.exceptions import ClientException  # noqa: PLC0415 - costs a third of a second

        try:
            return await asyncio.to_thread(call)
        except ClientException as error:
            values = {"request": f"{method} {path}", "reason": str(error).splitlines()[0]}
            raise FindingsError([Finding("keystone-request-failed", values=values)], exit_status=1) from error


async def connect(world: World, access: IdentityAccess) -> IdentityApi:
    """Log in at Keystone, once; raises ``OSError`` or a keystoneauth error when it does not answer."""
    return await world.once(_NOTE + access.url, lambda: _log_in(world, access))


async def _log_in(world: World, access: IdentityAccess) -> IdentityApi:
    from keystoneauth1.identity import V3Password  # noqa: PLC0415 - costs a third of a second
    from keystoneauth1.session import Session  # noqa: PLC0415

    url = urlsplit(access.url)
    port = await _forward(world, url.hostname or "", url.port or 5000)
    endpoint = f"{url.scheme}://127.0.0.1:{port}{url.path}"
    login = V3Password(
        auth_url=endpoint,
        username=access.user,
        password=access.password.reveal(),
        project_name=access.project,
        user_domain_id="default",
        project_domain_id="default",
        reauthenticate=True,
    )
    session = Session(
        auth=login, timeout=REQUEST_SECONDS, session=_forwarded_session(access, url.hostname or "")
    )
    given = await asyncio.to_thread(login.get_access, session)
    roles = dict(zip(given.role_names or (), given.role_ids or (), strict=True))
    return IdentityApi(session, endpoint, Grant(given.user_id or "", given.project_id or "", roles))


def _forwarded_session(access: IdentityAccess, host: str) -> "requests.Session":
    """Return what sends requests over a forwarded port: a certificate is to be that of the host behind the port."""
    import requests  # noqa: PLC0415 - comes with keystoneauth, and takes as long

    session = requests.Session()
    if not access.url.startswith("https:"):
        return session  # loading the machine's authorities takes a tenth of a second
    context = ssl.create_default_context(cadata=access.authority or None)
    context.check_hostname = False  # the name is compared by urllib3, for it is not that of the connection

    class Forwarded(requests.adapters.HTTPAdapter):
        def init_poolmanager(self, *args: Any, **options: Any) -> None:  # noqa: ANN401
            super().init_poolmanager(*args, ssl_context=context, assert_hostname=host, **options)

        def cert_verify(self, *_: object) -> None:
            """Leave to the context which authorities count."""

        def send(self, *args: Any, **options: Any) -> "requests.Response":  # noqa: ANN401
            try:
                return super().send(*args, **options)
            except requests.exceptions.SSLError as error:
                reason = getattr(error.args[0], "reason", None)
                if isinstance(reason, Exception) and isinstance(reason.args[0], NOBODY_THERE):
                    raise requests.exceptions.ConnectionError(*error.args) from error
                raise

    session.mount("https://", Forwarded())
    return session


async def _forward(world: World, address: str, port: int) -> int:
    seen = await pacemaker.view(world)
    names = [*(seen.online if seen else ()), *world.hosts]
    return await world.hosts[names[0]].open_connection_port(address, port)


async def _reach(
    world: World, access: IdentityAccess, seconds: float, answers: tuple[type[Exception], ...] = ()
) -> IdentityApi:
    """Log in, trying again for so many seconds; raises FindingsError ``keystone-unreachable``.

    As long as the cluster is at work Keystone may be about to answer: all copies that read renewed certificates at once
    are away while they load. An error among ``answers`` is one, and raised as it is.
    """
    loop = asyncio.get_running_loop()
    deadline, last = (loop.time() + limit * world.wait_factor for limit in (seconds, WORK_SECONDS))
    while True:
        try:
            return await connect(world, access)
        except answers:
            raise
        except Exception as error:
            late = loop.time() > deadline
            if late and (loop.time() > last or not await pacemaker.is_at_work(world)):
                reason = str(error).splitlines()[0] if str(error) else type(error).__name__
                values = {"url": access.url, "reason": _FORWARDED.sub(access.url, reason)}
                raise FindingsError(
                    [Finding("keystone-unreachable", values=values)], exit_status=1
                ) from error
            await asyncio.sleep(0.5)


async def _collections(world: World, access: IdentityAccess, names: Sequence[str]) -> dict[str, list[Any]]:
    """Return whole collections of Keystone."""
    api = await _reach(world, access, LOGIN_SECONDS)
    answers = await asyncio.gather(*(api.get(f"/{name}") for name in names))
    return {name: answer[name] for name, answer in zip(names, answers, strict=True)}


async def _is_there(world: World) -> bool:
    """Tell whether the cluster runs a Keystone, or may do so: one that does not answer is told, not waited for."""
    loading = asyncio.create_task(asyncio.to_thread(import_module, "keystoneauth1.identity"))
    seen = await pacemaker.view(world)
    await loading
    return seen is not None and any(state.resource.startswith("keystone") for state in seen.resources)


class ServiceUserKind(Irreversible):
    """A service's user, the project of services, and the role."""

    name = ServiceUser.kind

    async def observe(self, world: World, items: Sequence[Item]) -> Mapping[str, object]:
        """Return for each user whether user, project, role and assignment exist and whether the password is right."""
        wanted = items_of(items, ServiceUser)
        if not wanted:
            return {}
        if not await _is_there(world):
            return {item.key: {"known": False} for item in wanted}
        grants = await all_of(self._grant(world, item) for item in wanted)
        # A login tells of user, project and roles; only without one are they looked for, which takes longer.
        found = {}
        if None in grants:
            found = await _collections(world, wanted[0].access, ("users", "projects", "roles"))
        return {item.key: self._state(item, grant, found) for item, grant in zip(wanted, grants, strict=True)}

    def _state(
        self, item: ServiceUser, grant: Grant | None, found: Mapping[str, list[Any]]
    ) -> dict[str, object]:
        if grant is not None:
            ids = {"user": grant.user, "project": grant.project, "role": grant.roles[item.role]}
            return {"known": True, **ids, "works": True}
        user = _named(found["users"], item.name)
        project = _named(found["projects"], item.project)
        role = _named(found["roles"], item.role)
        return {"known": True, "user": user, "project": project, "role": role, "works": False}

    async def _grant(self, world: World, item: ServiceUser) -> Grant | None:
        """Log in as the user, which needs the right password; None where that, the project or the role is missing."""
        from keystoneauth1.exceptions import Unauthorized  # noqa: PLC0415

        access = replace(item.access, user=item.name, project=item.project, password=item.password)
        own = World(world.hosts, world.wait_factor, {})
        own.notes.update({key: value for key, value in world.notes.items() if not key.startswith(_NOTE)})
        try:
            grant = (await _reach(own, access, LOGIN_SECONDS, (Unauthorized,))).grant
        except Unauthorized:
            return None
        return grant if item.role in grant.roles else None

    def compare(self, item: Item, observed: object) -> Change | None:
        """Return what is missing or different."""
        item = expect(item, ServiceUser)
        seen = cast("Mapping[str, Any]", observed)
        if not seen["known"]:
            return Change(
                item, (Difference(item.name, "not known yet", "present"),), observed, reversible=False
            )
        differences = []
        if not seen["project"]:
            differences.append(Difference(f"project {item.project}", None, "present"))
        if not seen["user"]:
            differences.append(Difference(f"user {item.name}", None, f"{item.role} of {item.project}"))
        elif not seen["works"]:
            differences.append(Difference(f"login of {item.name}", "refused", "possible", secret=True))
        return Change(item, tuple(differences), observed, reversible=False) if differences else None

    async def apply(self, world: World, change: Change) -> None:
        """Create or correct project, user and role assignment."""
        item = expect(change.item, ServiceUser)
        api = await _reach(world, item.access, ANSWER_SECONDS)
        project = await _ensure(api, "projects", item.project, {"domain_id": "default"})
        role = await _ensure(api, "roles", item.role, {})
        body = {"name": item.name, "domain_id": "default", "password": item.password.reveal()}
        users = (await api.get(f"/users?name={item.name}"))["users"]
        if users:
            user = users[0]["id"]
            await api.send(
                "PATCH", f"/users/{user}", {"user": {"password": item.password.reveal(), "enabled": True}}
            )
        else:
            user = (await api.send("POST", "/users", {"user": body}))["user"]["id"]
        await api.send("PUT", f"/projects/{project}/users/{user}/roles/{role}")


class EndpointKind(Irreversible):
    """An endpoint of the catalogue, created, or moved in place: clients keep what they know of it."""

    name = Endpoint.kind

    async def observe(self, world: World, items: Sequence[Item]) -> Mapping[str, object]:
        """Return for each endpoint the service's id, and id and URL of the endpoints there are."""
        wanted = items_of(items, Endpoint)
        if not wanted:
            return {}
        if not await _is_there(world):
            return {item.key: {"known": False} for item in wanted}
        found = await _collections(world, wanted[0].access, ("services", "endpoints"))
        return {item.key: _endpoint_state(item, found) for item in wanted}

    def compare(self, item: Item, observed: object) -> Change | None:
        """Return the creation or the move of the endpoint."""
        item = expect(item, Endpoint)
        seen = cast("Mapping[str, Any]", observed)
        name = f"{item.service_type} {item.interface}"
        if not seen["known"]:
            return Change(item, (Difference(name, "not known yet", item.url),), observed, reversible=False)
        current = seen["endpoint"]
        if current is not None and current["url"] == item.url and current["enabled"]:
            return None
        before = None
        if current is not None:
            before = current["url"] if current["enabled"] else f"{current['url']} (disabled)"
        impact = (
            "" if current is None else f"clients of {item.service_type} {item.interface} use the new address"
        )
        return Change(item, (Difference(name, before, item.url, item.reason),), observed, impact=impact)

    async def apply(self, world: World, change: Change) -> None:
        """Create the service and the endpoint, or set the URL of the one there is."""
        item = expect(change.item, Endpoint)
        api = await _reach(world, item.access, ANSWER_SECONDS)
        found = {name: (await api.get(f"/{name}"))[name] for name in ("services", "endpoints")}
        state = _endpoint_state(item, found)
        service = state["service"]
        if service is None:
            body = {"name": item.service_name, "type": item.service_type, "enabled": True}
            service = (await api.send("POST", "/services", {"service": body}))["service"]["id"]
        if state["endpoint"] is not None:
            body = {"url": item.url, "enabled": True}
            await api.send("PATCH", f"/endpoints/{state['endpoint']['id']}", {"endpoint": body})
            return
        body = {
            "service_id": service,
            "interface": item.interface,
            "url": item.url,
            "region_id": item.access.region,
            "enabled": True,
        }
        await api.send("POST", "/endpoints", {"endpoint": body})


def _endpoint_state(item: Endpoint, found: Mapping[str, list[Any]]) -> dict[str, Any]:
    services = [service for service in found["services"] if service["type"] == item.service_type]
    service = next(
        (one for one in services if one["name"] == item.service_name), services[0] if services else None
    )
    ours = [
        {"id": endpoint["id"], "url": endpoint["url"], "enabled": endpoint.get("enabled", True)}
        for endpoint in sorted(found["endpoints"], key=lambda one: str(one["id"]))
        if service is not None
        and endpoint["service_id"] == service["id"]
        and endpoint["interface"] == item.interface
        and endpoint.get("region_id") == item.access.region
    ]
    # Of several, the one that is right is ours; the others are somebody else's, and told.
    chosen = next((one for one in ours if one["url"] == item.url), ours[0] if ours else None)
    return {
        "known": True,
        "service": service["id"] if service else None,
        "endpoint": chosen,
        "others": [one for one in ours if one is not chosen and one["enabled"]],
    }


def _named(collection: Sequence[Any], name: str) -> str | None:
    return next((one["id"] for one in collection if one["name"] == name), None)


async def _ensure(api: IdentityApi, collection: str, name: str, more: Mapping[str, object]) -> str:
    path = f"/{collection}?name={name}"
    found = (await api.get(path))[collection]
    if found:
        return str(found[0]["id"])
    singular = collection.removesuffix("s")
    try:
        answer = await api.send("POST", f"/{collection}", {singular: {"name": name, **more}})
    except FindingsError:
        # Users are made side by side, so another one may have been faster.
        found = (await api.get(path))[collection]
        if not found:
            raise
        return str(found[0]["id"])
    return str(answer[singular]["id"])
