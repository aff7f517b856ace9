"""Whether the layers agree: address in the cluster, bind, HAProxy front, endpoint, URL in consumers' options (pure).

A client finds an endpoint in the catalogue, the endpoint names a virtual address, the cluster has it, and there HAProxy
or the service listens. Each layer is taken as it would be written, or as it was observed, and compared with the next.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from understudy.agents import ADDRESS_AGENT
from understudy.catalog.model import Catalog
from understudy.catalog.releases import Release
from understudy.design.context import WILDCARD, Cloud, ServiceContext
from understudy.design.items import Endpoint, File, Options
from understudy.design.make import Design, make_design
from understudy.design.nodes import option_items
from understudy.design.proxy import fronts
from understudy.findings import Finding, Place, Severity
from understudy.formats.haproxy import binds_of
from understudy.secret import Secret, reveal
from understudy.spec.load import LoadedSpec
from understudy.spec.places import Places

_AUTHORITIES = re.compile(r"(?P<scheme>[a-z][a-z0-9+.]*)://(?P<authorities>[^/?\s]+)")
_SPOT = re.compile(r"^(?:[^@]*@)?(?P<host>\[[0-9a-fA-F:]+\]|[^:\[\]]+)(?::(?P<port>\d+))?$")
_PORTS = {"http": 80, "https": 443, "mysql": 3306, "mysql+pymysql": 3306, "rabbit": 5672, "qpid": 5672}
_HOST_OPTION = re.compile(r"(host|hostname)$")
Spot = tuple[str, str, int]
"""Scheme, host and port of a URL; 0 for a port that it does not say."""
Key = tuple[str, str, str]
"""Path, group and name of an option."""
ADDRESS_AGENTS = frozenset({"ocf:heartbeat:IPaddr2", ADDRESS_AGENT})


@dataclass(frozen=True)
class Setting:
    """One option as it is on a node; ``place`` is where the operator wrote it."""

    service: str
    node: str
    path: str
    group: str
    name: str
    value: str
    place: Place | None = None

    @property
    def words(self) -> str:
        """Return how a finding names it."""
        return f"[{self.group}] {self.name}"


@dataclass(frozen=True)
class Published:
    """An endpoint of the catalogue."""

    service: str
    type: str
    interface: str
    url: str


@dataclass(frozen=True)
class Layers:
    """What each layer says; ``fronts`` holds by node what HAProxy listens on, as ``host:port``."""

    addresses: frozenset[str]
    settings: tuple[Setting, ...]
    parameters: Mapping[str, Mapping[str, str]]
    fronts: Mapping[str, frozenset[str]]
    endpoints: tuple[Published, ...]


def check_consistency(loaded: LoadedSpec, catalog: Catalog, release: Release) -> tuple[Finding, ...]:
    """Return where the layers of a spec's design disagree; secrets are stood in for."""
    cloud = Cloud(loaded.spec, catalog, release, lambda _: Secret("stand-in"))
    design = make_design(loaded.spec, catalog, release, cloud.secret)
    return disagreements(cloud, placed(layers_of(cloud, design), cloud, loaded.places))


def layers_of(cloud: Cloud, design: Design) -> Layers:
    """Return what a design says in each layer."""
    types = {
        endpoint.type: name
        for name in cloud.spec.services
        if (identity := cloud.entry(name).identity)
        for endpoint in cloud.select(identity.endpoints)
    }
    primitives = tuple(design.cluster.primitives())
    return Layers(
        addresses=frozenset(one.parameters["ip"] for one in primitives if one.agent in ADDRESS_AGENTS),
        settings=tuple(_settings(cloud, cloud.spec.nodes)),
        parameters={one.id: one.parameters for one in primitives if one.id in cloud.spec.services},
        fronts={
            item.node: binds_of(reveal(item.content))
            for item in design.items
            if isinstance(item, File) and item.path in proxy_files(cloud)
        },
        endpoints=tuple(
            Published(types[item.service_type], item.service_type, item.interface, item.url)
            for item in design.items
            if isinstance(item, Endpoint)
        ),
    )


def proxy_files(cloud: Cloud) -> tuple[str, ...]:
    """Return the paths of the load balancer's own files."""
    balancer = cloud.provider("balancing")
    return tuple(file.path for file in cloud.select(cloud.entry(balancer).own_files)) if balancer else ()


def _settings(cloud: Cloud, nodes: Iterable[str]) -> Iterator[Setting]:
    for node in nodes:
        for name in cloud.spec.services:
            for item in option_items(ServiceContext(cloud, name, node)):
                yield from settings_of(name, item)


def settings_of(service: str, item: Options) -> Iterator[Setting]:
    """Give the options of one file that have a value."""
    for option in item.options:
        if option.value is not None:
            value = option.value.reveal() if isinstance(option.value, Secret) else option.value
            yield Setting(service, item.node, item.path, option.group, option.name, value)


def placed(layers: Layers, cloud: Cloud, places: Places) -> Layers:
    """Return the layers with the place of every option that the operator wrote in the spec."""
    found: dict[tuple[str, str, str], Place] = {}
    for name, service in cloud.spec.services.items():
        first = next(iter(cloud.select(cloud.entry(name).files)), None)
        for group, options in service.options.items():
            for option in options:
                place = places.value("services", name, "options", group, option)
                found[(first.path if first else "", group, option)] = place
    settings = (replace(one, place=found.get((one.path, one.group, one.name))) for one in layers.settings)
    return replace(layers, settings=tuple(settings))


def disagreements(cloud: Cloud, layers: Layers, severity: Severity = "error") -> tuple[Finding, ...]:
    """Return each pair of layers that do not fit together, once for all nodes where it is the same."""
    checker = _Checker(cloud, layers, severity)
    found = (*checker.addresses(), *checker.binds(), *checker.fronts(), *checker.endpoints(), *checker.urls())
    once: dict[tuple[object, ...], Finding] = {}
    for one in found:
        # What several services read from one file, the operator wrote once.
        key = (one.place, one.values["value"]) if one.place else (one.subject, str(one.values))
        once.setdefault((one.code, *key), one)
    return tuple(once.values())


class _Checker:
    def __init__(self, cloud: Cloud, layers: Layers, severity: Severity) -> None:
        self._cloud = cloud
        self._layers = layers
        self._severity: Severity = severity
        self._own = {str(address): node for node, own in cloud.spec.nodes.items() for address in own.values()}
        self._spots = {spot: name for name in cloud.spec.services for spot in self._spots_of(name)}
        self._meanings = _meanings(cloud, self._spots)

    def _spots_of(self, name: str) -> list[tuple[str, int]]:
        address, port = self._cloud.address_of(name), self._cloud.port(name)
        if address is None or port is None:
            return []
        return [(str(side), port) for side in address.sides().values()]

    def _finding(self, code: str, subject: str, place: Place | None = None, **values: object) -> Finding:
        return Finding(code, self._severity, values, place, "" if place else subject)

    def _whose(self, host: str, port: int) -> str:
        if host in self._own:
            return f"{self._own[host]}'s own address"
        if (host, port) in self._spots:
            return f"where {self._spots[(host, port)]} is"
        if host in {spot[0] for spot in self._spots}:
            return "where nothing listens"
        return "not in this cloud"

    def addresses(self) -> Iterator[Finding]:
        """Give addresses of the spec that the cluster does not have."""
        for name, virtual in self._cloud.spec.addresses.items():
            for side, address in virtual.sides().items():
                if str(address) not in self._layers.addresses:
                    behind = [s for s, one in self._cloud.spec.services.items() if one.address == name]
                    yield self._finding(
                        "address-not-in-cluster",
                        f"addresses.{name}",
                        address=address,
                        name=name,
                        side=side,
                        services=", ".join(behind) or "nothing",
                    )

    def binds(self) -> Iterator[Finding]:
        """Give services that listen where neither their address nor HAProxy leads."""
        for name, service in self._cloud.spec.services.items():
            proxied, balanced = self._cloud.proxied(name), service.standby == "balanced"
            listen = self._cloud.entry(name).agent.get("listen")
            if listen is None or not self._spots_of(name):
                continue
            parameters = self._layers.parameters.get(name, {})
            for node in self._cloud.spec.nodes:
                wanted = ServiceContext(self._cloud, name, node).bind()
                for part, expected in (("host", wanted.host), ("port", str(wanted.port))):
                    setting = self._option(name, node, listen.get(f"{part}_options", ()))
                    value = setting.value if setting else str(listen["port"]) if part == "port" else expected
                    anywhere = part == "host" and value in WILDCARD.values()
                    if f"bind_{part}" in parameters or anywhere or value == expected:
                        continue
                    yield self._finding(
                        "bind-disagrees",
                        f"{name} {setting.path if setting else ''}".rstrip(),
                        setting.place if setting else None,
                        service=name,
                        option=setting.words if setting else "its own default",
                        value=value,
                        seeker="HAProxy" if proxied else f"its address {service.address}",
                        expected="its node's own address" if part == "host" and balanced else expected,
                    )

    def _option(self, service: str, node: str, options: Iterable[Iterable[str]]) -> Setting | None:
        for group, name in (tuple(option) for option in options):
            for one in self._layers.settings:
                if (one.service, one.node, one.group, one.name) == (service, node, group, name):
                    return one
        return None

    def fronts(self) -> Iterator[Finding]:
        """Give balanced services that HAProxy on a node has no front for."""
        for front in fronts(self._cloud):
            for address in front.addresses:
                spot = _spot_text(address, front.port)
                for node, binds in self._layers.fronts.items():
                    if spot not in binds:
                        yield self._finding("front-missing", node, node=node, service=front.name, spot=spot)

    def endpoints(self) -> Iterator[Finding]:
        """Give endpoints that lead elsewhere than to their service's address."""
        for one in self._layers.endpoints:
            side = "public" if one.interface == "public" else "internal"
            expected = self._cloud.url(one.service, side)
            (spot, *_) = [*_spots_in(one.url), ("", "", 0)]
            wanted = _spot_in(expected)
            if wanted != spot:
                yield self._finding(
                    "endpoint-disagrees",
                    f"{one.type} {one.interface}",
                    type=one.type,
                    interface=one.interface,
                    url=one.url,
                    whose="with the wrong scheme" if wanted[1:] == spot[1:] else self._whose(*spot[1:]),
                    service=one.service,
                    expected=expected,
                )

    def urls(self) -> Iterator[Finding]:
        """Give options that send a consumer elsewhere than to the service's address."""
        for one in self._layers.settings:
            for scheme, host, port in _spots_in(one.value) or self._bare(one):
                service = self._meant(one, host, port)
                if service is None:
                    continue
                spots = self._spots_of(service)
                wanted_scheme = _spot_in(self._cloud.url(service))[0]
                wrong_scheme = {scheme, wanted_scheme} == {"http", "https"}
                if (host, port or spots[0][1]) in spots and not wrong_scheme:
                    continue
                shown = _spot_text(host, port) if port else host
                expected = self._cloud.url(service) if scheme.startswith("http") else _spot_text(*spots[0])
                yield self._finding(
                    "consumer-disagrees",
                    f"{one.service} {one.path}",
                    one.place,
                    consumer=one.service,
                    option=one.words,
                    value=f"{scheme}://{shown}" if scheme.startswith("http") else shown,
                    whose="with the wrong scheme" if wrong_scheme else self._whose(host, port),
                    service=service,
                    address=self._cloud.spec.services[service].address,
                    expected=expected,
                )

    def _meant(self, one: Setting, host: str, port: int) -> str | None:
        """Return the service that an option is about: the one that the design has there, else the one at its port."""
        meant = self._meanings.get(_key(one), frozenset())
        if len(meant) == 1:
            return next(iter(meant))
        if (host, port) in self._spots:
            return self._spots[(host, port)]
        known = host in self._own or host in {spot[0] for spot in self._spots}
        at_port = [name for spot, name in self._spots.items() if spot[1] == port]
        return at_port[0] if known and at_port else None

    def _bare(self, one: Setting) -> list[Spot]:
        """Return the host that an option names without a URL, where the design names a service's address."""
        if len(self._meanings.get(_key(one), ())) != 1:
            return []
        host, _, port = (
            one.value.strip("[]").rpartition(":") if one.value.count(":") == 1 else (one.value, "", "")
        )
        return [("", host, int(port) if port.isdecimal() else 0)]


def _meanings(cloud: Cloud, spots: Mapping[tuple[str, int], str]) -> Mapping[Key, frozenset[str]]:
    """Return the services whose addresses the options name as the design has them, without the operator's own."""
    services = {
        name: service.model_copy(update={"options": {}}) for name, service in cloud.spec.services.items()
    }
    bare = replace(cloud, spec=cloud.spec.model_copy(update={"services": services}))
    by_host: dict[str, set[str]] = {}
    for (host, _), name in spots.items():
        by_host.setdefault(host, set()).add(name)
    found: dict[Key, frozenset[str]] = {}
    for one in _settings(bare, [next(iter(cloud.spec.nodes))]):
        named = {spots[(host, port)] for _, host, port in _spots_in(one.value) if (host, port) in spots}
        host, _, port = one.value.partition(":")
        if (host, int(port) if port.isdecimal() else 0) in spots:
            named.add(spots[(host, int(port))])
        elif (
            _HOST_OPTION.search(one.name) and "bind" not in one.name and len(by_host.get(one.value, ())) == 1
        ):
            named |= by_host[one.value] - {one.service}
        if named:
            found[_key(one)] = frozenset(named)
    return found


def _key(one: Setting) -> Key:
    return (one.path, one.group, one.name)


def _spot_text(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _spot_in(url: str) -> Spot:
    return _spots_in(url)[0]


def _spots_in(text: str) -> list[Spot]:
    """Return scheme, host and port of every URL in an option's value; several servers may share one scheme."""
    found = []
    for match in _AUTHORITIES.finditer(text):
        scheme = match["scheme"]
        for authority in match["authorities"].split(","):
            spot = _SPOT.match(authority)
            if spot is not None:
                port = int(spot["port"]) if spot["port"] else _PORTS.get(scheme, 0)
                found.append((scheme, spot["host"].strip("[]"), port))
    return found
