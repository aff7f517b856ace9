"""From a spec to the clients that watch it (pure but for the data file)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from importlib import resources
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from ruamel.yaml import YAML

from understudy.catalog.model import Catalog
from understudy.design.context import MESSAGING_USER
from understudy.drill.probes.base import ProbeSettings
from understudy.secret import Secret
from understudy.spec.model import Address, Spec

Side = Literal["public", "internal"]
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
    port: int = 0
    rate: float | None = None
    deadline: float = 1.0
    parameters: dict[str, Any] = Field(default_factory=dict)


@cache
def known_clients() -> Mapping[str, Sequence[_Client]]:
    """Return the clients of every service that has any."""
    text = resources.files("understudy.drill.probes").joinpath("services.yaml").read_text(encoding="utf-8")
    return TypeAdapter(dict[str, tuple[_Client, ...]]).validate_python(YAML(typ="safe").load(text))


def clients_of(
    spec: Spec, catalog: Catalog, secrets: Mapping[str, Secret]
) -> dict[Side, list[ProbeSettings]]:
    """Return the clients of a spec by the side from which they come: users' where there is one, else internal.

    Clients log in with what ``secrets`` has, by its names there; one whose secret is missing is left out.
    """
    found: dict[Side, list[ProbeSettings]] = {"public": [], "internal": []}
    for name, service in spec.services.items():
        virtual = spec.addresses.get(service.address or "")
        if virtual is None:
            continue
        side: Side = "public" if virtual.public is not None else "internal"
        for client in known_clients().get(name, ()):
            port = client.port or catalog.services[name].port
            login = _login(client.kind, spec, catalog, side, secrets)
            if port is None or login is None:
                continue
            parameters = {**client.parameters, **login}
            settings = ProbeSettings(
                client=client.client,
                service=name,
                kind=client.kind,
                address=str(virtual.sides()[side]),
                port=port,
                rate=client.rate or RATE,
                deadline=client.deadline,
                parameters=parameters,
            )
            found[side].append(settings)
    for name, virtual in spec.addresses.items():
        sides: dict[Side, Address | None] = {"public": virtual.public, "internal": virtual.internal}
        for whence, address in sides.items():
            if address is not None and address.version == 4:
                owner = ProbeSettings(f"owner-{name}-{whence}", name, "owner", str(address), rate=RATE)
                found[whence].append(owner)
    return found


def at_rate(clients: Iterable[ProbeSettings], rate: float) -> list[ProbeSettings]:
    """Return the clients with so many operations a second each, but for those that leave something at each."""
    return [client if client.kind in _LEAVES else replace(client, rate=rate) for client in clients]


def tenant_clients(service: str, address: str, interface: str) -> list[ProbeSettings]:
    """Return the clients of a tenant's machine; they work from where its network is seen.

    ``service`` is what the record calls it, ``address`` the machine's, ``interface`` one in its network, for DHCP.
    """
    return [
        ProbeSettings(
            client=client.client,
            service=service,
            kind=client.kind,
            address=str(client.parameters.get("address", address)),
            port=client.port,
            rate=client.rate or RATE,
            deadline=client.deadline,
            parameters={**client.parameters, "interface": interface},
        )
        for client in known_clients()["tenant"]
    ]


def _login(
    kind: str, spec: Spec, catalog: Catalog, side: Side, secrets: Mapping[str, Secret]
) -> dict[str, Any] | None:
    """Return what a client of this kind logs in with; None where that is not known."""
    if kind in _LOGGED_IN:
        return _identity(spec, catalog, side, secrets) if KEYSTONE in spec.services else None
    if kind == "row":
        names = (entry.database.name for name in spec.services if (entry := catalog.services[name]).database)
        return next((_account(name, secrets, f"database-{name}", database=name) for name in names), None)
    if kind in _MESSAGING:
        return _account(MESSAGING_USER, secrets, "messaging")
    return {}


def _account(user: str, secrets: Mapping[str, Secret], secret: str, **more: str) -> dict[str, Any] | None:
    if secret not in secrets:
        return None
    return {"user": user, "password": secrets[secret].reveal(), **more}


def _identity(
    spec: Spec, catalog: Catalog, side: Side, secrets: Mapping[str, Secret]
) -> dict[str, Any] | None:
    virtual = spec.addresses[spec.services[KEYSTONE].address or ""]
    address = virtual.public if side == "public" and virtual.public else virtual.internal or virtual.public
    account = _account("admin", secrets, "identity-admin", project="admin")
    return account and {
        "identity_address": str(address),
        "identity_port": catalog.services[KEYSTONE].port,
        **account,
    }
