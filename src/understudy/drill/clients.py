"""From a spec to the clients that watch it (pure but for the data file)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from importlib import resources
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from ruamel.yaml import YAML

from understudy.design.context import MESSAGING_USER, Cloud
from understudy.drill.probes.base import ProbeSettings
from understudy.secret import Secret
from understudy.spec.tls import AUTHORITY, has_authority, pem

Side = Literal["public", "internal"]
Place = Literal["machine", "outside"]
SIDES: tuple[Side, ...] = ("public", "internal")
KEYSTONE = "keystone"
RATE = 20.0
"""Operations a second of a client whose own rate is not given."""
_LOGGED_IN = ("token", "list", "image", "volume")
_MESSAGING = ("message", "message-kept")
_LEAVES = ("image", "volume")
"""What these write stays until the drill is over, and fills a quota."""


class _Client(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    client: str
    kind: str
    place: Place | Literal["users"] = "users"
    address: str = ""
    """Whom it asks, where that is the same in all clouds."""
    port: int = 0
    rate: float | None = None
    deadline: float = 1.0
    parameters: dict[str, Any] = Field(default_factory=dict)


@cache
def known_clients() -> Mapping[str, Sequence[_Client]]:
    """Return the clients of every service that has any."""
    text = resources.files("understudy.drill.probes").joinpath("services.yaml").read_text(encoding="utf-8")
    return TypeAdapter(dict[str, tuple[_Client, ...]]).validate_python(YAML(typ="safe").load(text))


def clients_of(cloud: Cloud, secrets: Mapping[str, Secret]) -> dict[Side, list[ProbeSettings]]:
    """Return the clients of a cloud by the side from which they come: users' where there is one, else internal.

    Clients log in with what ``secrets`` has, by its names there; one whose secret is missing is left out.
    """
    found: dict[Side, list[ProbeSettings]] = {"public": [], "internal": []}
    for name in cloud.spec.services:
        virtual = cloud.address_of(name)
        if virtual is None:
            continue
        side: Side = "public" if virtual.public is not None else "internal"
        for client in known_clients().get(name, ()):
            port = client.port or cloud.port(name)
            login = _login(client.kind, cloud, side, secrets)
            if port is None or login is None:
                continue
            parameters = {**login, **_secured(cloud, name, secrets)}
            found[side].append(_settings(client, name, str(virtual.sides()[side]), port, parameters))
    for name, virtual in cloud.spec.addresses.items():
        for whence in SIDES:
            address = virtual.sides().get(whence)
            if address is not None and address.version == 4:
                owner = ProbeSettings(f"owner-{name}-{whence}", name, "owner", str(address), rate=RATE)
                found[whence].append(owner)
    return found


def at_rate(clients: Iterable[ProbeSettings], rate: float) -> list[ProbeSettings]:
    """Return the clients with so many operations a second each, but for those that leave something at each."""
    return [client if client.kind in _LEAVES else replace(client, rate=rate) for client in clients]


def tenant_clients(
    cloud: Cloud, reached: str, outside: str, *, metadata: bool
) -> dict[Place, list[ProbeSettings]]:
    """Return the clients of a tenant's machine by where they work: in it, or outside the cloud.

    ``reached`` is where the outside reaches the machine, ``outside`` what the machine reaches there. ``metadata`` says
    whether somebody answers for the machine's.
    """
    asked: dict[Place, str] = {"machine": outside, "outside": reached}
    found: dict[Place, list[ProbeSettings]] = {"machine": [], "outside": []}
    for name in cloud.spec.services:
        for client in known_clients().get(name, ()):
            if client.place != "users" and (metadata or client.kind != "http"):
                address = client.address or asked[client.place]
                found[client.place].append(_settings(client, name, address, client.port))
    return found


def _settings(
    client: _Client, service: str, address: str, port: int, parameters: Mapping[str, Any] = {}
) -> ProbeSettings:
    return ProbeSettings(
        client=client.client,
        service=service,
        kind=client.kind,
        address=address,
        port=port,
        rate=client.rate or RATE,
        deadline=client.deadline,
        parameters={**client.parameters, **parameters},
    )


def _secured(cloud: Cloud, service: str, secrets: Mapping[str, Secret]) -> dict[str, Any]:
    """Return how a client speaks TLS, where it has to, and whom it trusts (nothing: whom this machine trusts)."""
    if not cloud.secured(service):
        return {}
    return {"tls": True, "authority": secrets[pem(AUTHORITY)].reveal() if has_authority(cloud.spec) else ""}


def _login(kind: str, cloud: Cloud, side: Side, secrets: Mapping[str, Secret]) -> dict[str, Any] | None:
    """Return what a client of this kind logs in with; None where that is not known."""
    if kind in _LOGGED_IN:
        return _identity(cloud, side, secrets) if KEYSTONE in cloud.spec.services else None
    if kind == "row":
        bases = (cloud.entry(name).database for name in cloud.spec.services)
        names = (database.name for database in bases if database)
        return next((_account(name, secrets, f"database-{name}", database=name) for name in names), None)
    if kind in _MESSAGING:
        return _account(MESSAGING_USER, secrets, "messaging")
    return {}


def _account(user: str, secrets: Mapping[str, Secret], secret: str, **more: str) -> dict[str, Any] | None:
    if secret not in secrets:
        return None
    return {"user": user, "password": secrets[secret].reveal(), **more}


def _identity(cloud: Cloud, side: Side, secrets: Mapping[str, Secret]) -> dict[str, Any] | None:
    virtual = cloud.address_of(KEYSTONE)
    if virtual is None:
        return None
    address = virtual.public if side == "public" and virtual.public else virtual.internal or virtual.public
    account = _account("admin", secrets, "identity-admin", project="admin")
    return account and {
        "identity_address": str(address),
        "identity_port": cloud.port(KEYSTONE),
        **account,
    }
