"""What the templates of the catalog may refer to (pure)."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from ipaddress import ip_address
from typing import TypeVar
from urllib.parse import quote

from jinja2 import Environment, StrictUndefined, Template, UndefinedError

from understudy.catalog.model import Case, Catalog, ServiceEntry
from understudy.catalog.presets import Preset
from understudy.catalog.releases import Release, release_range
from understudy.design.proxy import BACKEND_OFFSET, CERTIFICATES, LOOPBACK, fronts
from understudy.formats.haproxy import render as render_haproxy
from understudy.secret import Secret
from understudy.spec.model import Service, Spec, VirtualAddress
from understudy.spec.tls import has_authority

CaseType = TypeVar("CaseType", bound=Case)
_ENVIRONMENT = Environment(undefined=StrictUndefined, autoescape=False)  # noqa: S701 - option files, not web pages
SYSTEM_AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"
MESSAGING_USER = "openstack"
"""The one user that all services log in as at the message broker."""
WILDCARD = {4: "0.0.0.0", 6: "::"}  # noqa: S104 - a service with two virtual addresses must answer on both


@cache
def _compiled(template: str) -> Template:
    return _ENVIRONMENT.from_string(template)


def service_resource(name: str, service: Service) -> str:
    """Return the id that constraints about a service name: its clone's when it runs everywhere."""
    return name if service.standby == "cold" else f"{name}-clone"


def storage_resource(name: str) -> str:
    """Return the id of the file system resource of a shared storage."""
    return f"fs-{name}"


def _in_url(address: str) -> str:
    return f"[{address}]" if ":" in address else address


@dataclass(frozen=True)
class Bind:
    """Where a service listens."""

    host: str
    port: int | None


@dataclass(frozen=True)
class Broker:
    """The message broker as its clients see it; ``host`` and ``port`` are the first of ``places``."""

    host: str
    port: int | None
    scheme: str
    places: tuple[str, ...]
    clustered: bool
    user: str = MESSAGING_USER


@dataclass(frozen=True)
class Mount:
    """Shared storage as a service sees it."""

    name: str
    mount: str
    device: str


@dataclass(frozen=True)
class Cloud:
    """All inputs of a design."""

    spec: Spec
    catalog: Catalog
    release: Release
    secret: Callable[[str], Secret]

    def select(self, cases: Iterable[CaseType]) -> list[CaseType]:
        """Return the cases that hold for this cloud's release and distribution."""
        return [
            case
            for case in cases
            if self.release in release_range(case.releases)
            and (not case.distributions or self.spec.distribution in case.distributions)
        ]

    @property
    def preset(self) -> Preset:
        """Return the shape that the cluster's configuration is to have."""
        return self.catalog.presets[self.spec.preset]

    def entry(self, name: str) -> ServiceEntry:
        """Return the catalog's entry of a service of the spec, as it is for the way that it stands by."""
        return self.catalog.entry(name, self.spec.services[name].standby)

    def provider(self, need: str) -> str | None:
        """Return the service of the spec that provides what others need, such as the database."""
        return next((name for name in self.spec.services if self.entry(name).provides == need), None)

    def nodes_of(self, name: str) -> tuple[str, ...]:
        """Return the nodes that a service may run on."""
        networking = self.spec.networking
        if self.entry(name).place == "controllers" or networking is None or networking.nodes is None:
            return tuple(self.spec.nodes)
        return networking.nodes

    def port(self, name: str) -> int | None:
        """Return the port at which clients find a service."""
        entry = self.entry(name)
        return (self.spec.tls and entry.tls_port) or entry.port

    def proxied(self, name: str) -> bool:
        """Return whether HAProxy stands in front of a service: of all its copies, or of one to speak TLS for it."""
        if self.spec.services[name].standby == "balanced":
            return True
        secured = self.spec.tls is not None and self.address_of(name) is not None
        return secured and "serving" in self.entry(name).agent and self.provider("balancing") is not None

    def speaks_tls(self, name: str) -> bool:
        """Return whether a service speaks TLS itself."""
        reached = self.spec.tls is not None and self.address_of(name) is not None and not self.proxied(name)
        return reached and bool(self.select(self.entry(name).tls))

    def secured(self, name: str) -> bool:
        """Return whether clients speak TLS with a service: with itself or with what stands in front of it."""
        return self.spec.tls is not None and (self.proxied(name) or self.speaks_tls(name))

    def authority(self) -> str:
        """Return the file of authorities that the services trust."""
        return f"{CERTIFICATES}/authority.pem" if has_authority(self.spec) else SYSTEM_AUTHORITIES

    def mount(self, storage: str) -> Mount:
        """Return where a shared storage is mounted."""
        return Mount(storage, f"/var/lib/understudy/{storage}", self.spec.storage[storage].device)

    def address_of(self, name: str) -> VirtualAddress | None:
        """Return the virtual address of a service of the spec."""
        chosen = self.spec.services[name].address
        return self.spec.addresses[chosen] if chosen else None

    def host_of(self, name: str, side: str = "internal") -> str:
        """Return the host part of a service's URL on one side; the other side where there is only that."""
        if self.entry(name).reached_at == "copies":
            return self.hosts_of(name)[0]
        address = self.address_of(name)
        if address is None:
            raise LookupError(f"{name} has no virtual address")
        sides = address.sides()
        return _in_url(str(sides.get(side) or next(iter(sides.values()))))

    def hosts_of(self, name: str) -> tuple[str, ...]:
        """Return the hosts at which clients find a service: those of its copies, or that of its address."""
        if self._found_by_copies(name):
            return tuple(_in_url(self.own_address(node)) for node in self.spec.nodes)
        return (self.host_of(name),)

    def places_of(self, name: str) -> tuple[str, ...]:
        """Return host and port of each place where clients find a service."""
        return tuple(f"{host}:{self.port(name)}" for host in self.hosts_of(name))

    def nearest(self, name: str, node: str | None) -> str:
        """Return host and port at which a node finds a service: of its own copy, where clients choose among copies."""
        if self._found_by_copies(name):
            return f"{_in_url(self.own_address(node))}:{self.port(name)}"
        return self.places_of(name)[0]

    def _found_by_copies(self, name: str) -> bool:
        return self.entry(name).reached_at == "copies" and self.spec.services[name].standby != "cold"

    def url(self, name: str, side: str = "internal") -> str:
        """Return scheme, host and port of a service."""
        return f"{'https' if self.secured(name) else 'http'}://{self.host_of(name, side)}:{self.port(name)}"

    def broker(self) -> Broker:
        """Return where the message broker is."""
        provider = self.provider("messaging")
        if provider is None:
            raise LookupError("no service of the spec provides messaging")
        entry = self.entry(provider)
        return Broker(
            host=self.hosts_of(provider)[0],
            port=self.port(provider),
            scheme=self.select(entry.scheme)[0].name,
            places=self.places_of(provider),
            clustered=self.spec.services[provider].standby == "clustered",
        )

    def transport_url(self) -> str:
        """Return the URL of the message broker as oslo.messaging takes it; it holds the password."""
        broker = self.broker()
        password = quote(self.secret("messaging").reveal(), safe="")
        places = ",".join(f"{broker.user}:{password}@{place}" for place in broker.places)
        return f"{broker.scheme}://{places}/"

    def own_address(self, node: str | None) -> str:
        """Return a node's own address for the other services; the first node's when none is meant."""
        return str(self.spec.nodes[node or next(iter(self.spec.nodes))]["management"])

    def database_url(self, name: str, user: str = "") -> str:
        """Return the SQLAlchemy URL of the database called ``name``; it holds the password of its user."""
        user = user or name
        provider = self.provider("database")
        if provider is None:
            raise LookupError("no service of the spec provides a database")
        scheme = "mysql+pymysql" if self.release in release_range("liberty..") else "mysql"
        password = self.secret(f"database-{user}").reveal()
        secured = f"&ssl_ca={self.authority()}" if self.speaks_tls(provider) else ""
        return (
            f"{scheme}://{user}:{password}@{self.host_of(provider, 'internal')}/{name}?charset=utf8{secured}"
        )


class ServiceContext:
    """Renders templates for one service, on one node where that matters."""

    def __init__(self, cloud: Cloud, name: str, node: str | None = None, digest: str = "") -> None:
        self.cloud = cloud
        self.name = name
        self.entry = cloud.entry(name)
        self.service: Service = cloud.spec.services[name]
        self.node = node
        self.digest = digest
        self._secret_used = False

    def bind(self) -> Bind:
        """Return where the service listens: at its only virtual address, or everywhere when it has two.

        A copy that clients find by itself listens at its node's own address, one that shares its data with others
        everywhere.
        One that is balanced listens at its node's own address, on a port beside that of HAProxy; what is the same on
        all nodes, such as a parameter of a clone, says everywhere instead. One for which HAProxy only speaks TLS is
        reached by nobody else.
        """
        address = self.cloud.address_of(self.name)
        own = ip_address(self.cloud.own_address(self.node))
        at_own = str(own) if self.node else WILDCARD[own.version]
        if self.service.standby == "balanced" and self.entry.port is not None:
            return Bind(at_own, self.entry.port + BACKEND_OFFSET)
        if self.cloud.proxied(self.name) and self.entry.port is not None:
            return Bind(LOOPBACK, self.entry.port + BACKEND_OFFSET)
        port = self.cloud.port(self.name)
        if address is None:
            return Bind(LOOPBACK if self.entry.reached_at == "address" else at_own, port)
        if self.service.standby == "clustered":
            return Bind(WILDCARD[own.version], port)
        sides = tuple(address.sides().values())
        host = str(sides[0]) if len(sides) == 1 else WILDCARD[sides[0].version]
        return Bind(host, port)

    @cached_property
    def variables(self) -> Mapping[str, object]:
        """Return the names that a template may use."""
        return {
            "cloud": self.cloud.spec.cloud,
            "region": self.cloud.spec.region,
            "release": self.cloud.release.name,
            "services": tuple(self.cloud.spec.services),
            "workers": self.service.workers,
            "database": self.entry.database.name if self.entry.database else None,
            "identity_user": self.entry.identity.user if self.entry.identity else None,
            "messaging": self.cloud.broker() if self.cloud.provider("messaging") else None,
            "own_address": self.cloud.own_address(self.node),
            "own_addresses": {node: self.cloud.own_address(node) for node in self.cloud.spec.nodes},
            "standby": self.service.standby,
            "places": self.cloud.places_of,
            "nearest": lambda name: self.cloud.nearest(name, self.node),
            "digest": self.digest,
            "proxied": self.cloud.proxied(self.name),
            "tls": self.cloud.spec.tls is not None,
            "speaks_tls": self.cloud.speaks_tls(self.name),
            "certificate": f"{CERTIFICATES}/{self.name}.pem",
            "certificate_key": f"{CERTIFICATES}/{self.name}.key",
            "authority": self.cloud.authority(),
            "proxy_configuration": self._proxy_configuration,
            "bind": self.bind(),
            "storage": self.cloud.mount(self.service.storage) if self.service.storage else None,
            "node": self.node,
            "url": self.cloud.url,
            **self._networking(),
            "host": self.cloud.host_of,
            "secret": self._secret,
            "database_url": self._database_url,
            "transport_url": self._transport_url,
        }

    def _networking(self) -> Mapping[str, object]:
        """Return the names for the agents of the Networking service.

        Neutron binds a port to the host of the agent that serves it and wires it through the layer-2 agent of the same
        host. So agents that run once share one name wherever they run; those that run everywhere go by their node's.
        """
        spec, layer2 = self.cloud.spec, self.cloud.provider("layer2")
        networking, node = spec.networking, self.node or next(iter(spec.nodes))
        if networking is None:
            return {"networking": None, "layer2": None}
        return {
            "networking": networking,
            "layer2": self.cloud.entry(layer2).layer2 if layer2 else None,
            "agent_host": (networking.host or spec.cloud) if self.service.standby == "cold" else node,
            "tunnel_address": str(spec.nodes[node][networking.tenant.over]),
        }

    def render(self, template: str) -> str | Secret:
        """Return the text of a template; a Secret when a secret went into it.

        Raises LookupError where the spec lacks what the template refers to.
        """
        self._secret_used = False
        try:
            text = _compiled(template).render(self.variables)
        except UndefinedError as error:
            raise LookupError(f"{self.name}: {error.message}") from error
        return Secret(text) if self._secret_used else text

    def text(self, template: str) -> str:
        """Return the text of a template that holds no secret."""
        rendered = self.render(template)
        if isinstance(rendered, Secret):
            raise TypeError(f"{self.name}: a secret must not be used here")
        return rendered

    def holds(self, condition: str) -> bool:
        """Return whether a condition of the catalog is true; an empty one is."""
        return not condition or self.text(condition).strip().lower() == "true"

    def _secret(self, name: str) -> str:
        self._secret_used = True
        return self.cloud.secret(name).reveal()

    def _database_url(self, name: str, user: str = "") -> str:
        self._secret_used = True
        return self.cloud.database_url(name, user)

    def _proxy_configuration(self) -> str:
        return render_haproxy(fronts(self.cloud))

    def _transport_url(self) -> str:
        self._secret_used = True
        return self.cloud.transport_url()
