"""From a spec to the clients that watch it (pure but for the data file)."""

from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from ruamel.yaml import YAML

from understudy.catalog.model import Catalog
from understudy.drill.probes.base import ProbeSettings
from understudy.secret import Secret
from understudy.spec.model import Address, Spec

Side = Literal["public", "internal"]
KEYSTONE = "keystone"
_LOGGED_IN = ("token", "list", "image")


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
    spec: Spec, catalog: Catalog, password: Secret | None, rate: float = 20.0
) -> dict[Side, list[ProbeSettings]]:
    """Return the clients of a spec by the side from which they come: users' where there is one, else internal.

    ``password`` is that of Keystone's administrator; without it there are no clients that log in.
    """
    found: dict[Side, list[ProbeSettings]] = {"public": [], "internal": []}
    for name, service in spec.services.items():
        virtual = spec.addresses.get(service.address or "")
        if virtual is None:
            continue
        side: Side = "public" if virtual.public is not None else "internal"
        for client in known_clients().get(name, ()):
            needs_login = client.kind in _LOGGED_IN
            port = client.port or catalog.services[name].port
            if port is None or (needs_login and (password is None or KEYSTONE not in spec.services)):
                continue
            parameters = dict(client.parameters)
            if needs_login and password is not None:
                parameters |= _login(spec, catalog, side, password)
            settings = ProbeSettings(
                client=client.client,
                service=name,
                kind=client.kind,
                address=str(virtual.sides()[side]),
                port=port,
                rate=min(client.rate or rate, rate),
                deadline=client.deadline,
                parameters=parameters,
            )
            found[side].append(settings)
    for name, virtual in spec.addresses.items():
        sides: dict[Side, Address | None] = {"public": virtual.public, "internal": virtual.internal}
        for whence, address in sides.items():
            if address is not None and address.version == 4:
                owner = ProbeSettings(f"owner-{name}-{whence}", name, "owner", str(address), rate=rate)
                found[whence].append(owner)
    return found


def _login(spec: Spec, catalog: Catalog, side: Side, password: Secret) -> dict[str, Any]:
    virtual = spec.addresses[spec.services[KEYSTONE].address or ""]
    address = virtual.public if side == "public" and virtual.public else virtual.internal or virtual.public
    return {
        "identity_address": str(address),
        "identity_port": catalog.services[KEYSTONE].port,
        "user": "admin",
        "password": password.reveal(),
        "project": "admin",
    }
