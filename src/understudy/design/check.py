"""What a spec asks of the catalog that cannot be had (pure)."""

from collections.abc import Iterator
from difflib import get_close_matches

from understudy.catalog.model import Catalog, ServiceEntry
from understudy.catalog.releases import Release, UnknownReleaseError, release_named, release_range, releases
from understudy.design.check_networking import check_networking
from understudy.design.context import Cloud
from understudy.design.tls import check_tls
from understudy.findings import Finding
from understudy.secret import Secret
from understudy.spec.load import LoadedSpec
from understudy.spec.model import Service


def check_against_catalog(loaded: LoadedSpec, catalog: Catalog) -> list[Finding]:
    """Return every wish of the spec that the catalog cannot fulfil."""
    spec, places = loaded.spec, loaded.places
    findings: list[Finding] = []
    release: Release | None = None
    try:
        release = release_named(spec.release)
    except UnknownReleaseError as error:
        known = [one.name for one in releases()]
        suggestion = f"write {error.nearest}" if error.nearest else f"known: {', '.join(known)}"
        values = {"name": spec.release, "suggestion": suggestion}
        findings.append(Finding("release-unknown", values=values, place=places.value("release")))
    known_distributions = ("debian",)
    if spec.distribution not in known_distributions:
        values = {"name": spec.distribution, "suggestion": f"known: {', '.join(known_distributions)}"}
        findings.append(Finding("distribution-unknown", values=values, place=places.value("distribution")))
    for name, service in spec.services.items():
        if name not in catalog.services:
            findings.append(_unknown_service(name, list(catalog.services), loaded))
            continue
        entry = catalog.entry(name, service.standby)
        findings += _check_service(loaded, catalog, entry, service, release)
    findings += _check_providers(loaded, catalog)
    findings += _check_ports(loaded, catalog)
    findings += check_networking(loaded, catalog)
    if release is not None and spec.services.keys() <= catalog.services.keys():
        findings += check_tls(loaded, Cloud(spec, catalog, release, lambda _: Secret("-")))
    return findings


def _unknown_service(name: str, known: list[str], loaded: LoadedSpec) -> Finding:
    near = get_close_matches(name, known, n=1, cutoff=0.5)
    values = {"name": name, "suggestion": f"write {near[0]}" if near else f"known: {', '.join(known)}"}
    return Finding("service-unknown", values=values, place=loaded.places.key("services", name))


def _check_service(
    loaded: LoadedSpec, catalog: Catalog, entry: ServiceEntry, service: Service, release: Release | None
) -> Iterator[Finding]:
    places, name = loaded.places, entry.name
    key = places.key("services", name)
    if release is not None and release not in release_range(entry.releases):
        advice = entry.instead or "leave it out, or choose another release"
        values = {
            "service": name,
            "release": release.name,
            "range": entry.releases,
            "suggestion": advice,
        }
        yield Finding("service-not-in-release", values=values, place=key)
    yield from _check_standby(loaded, entry, service)
    if entry.port is not None and service.address is None and entry.reached_at == "address":
        yield Finding("service-without-address", values={"service": name}, place=key)
    if entry.reached_at == "copies" and service.address is not None:
        place = places.value("services", name, "address")
        yield Finding("service-needs-no-address", values={"service": name}, place=place)
    if entry.storage == "required" and service.storage is None:
        yield Finding("service-without-storage", values={"service": name}, place=key)
    if entry.storage == "none" and service.storage is not None:
        place = places.value("services", name, "storage")
        yield Finding("service-needs-no-storage", values={"service": name}, place=place)
    if service.storage is not None and service.standby != "cold":
        values = {"service": name, "standby": service.standby}
        yield Finding(
            "storage-only-when-cold", values=values, place=places.value("services", name, "standby")
        )
    yield from _check_needs(loaded, catalog, entry)
    if entry.provides == "database":
        address = loaded.spec.addresses.get(service.address or "")
        if address is not None and address.internal is None:
            values = {"service": name}
            yield Finding(
                "database-needs-internal", values=values, place=places.value("services", name, "address")
            )


def _check_standby(loaded: LoadedSpec, entry: ServiceEntry, service: Service) -> Iterator[Finding]:
    name = entry.name
    place = loaded.places.value("services", name, "standby")
    if service.standby not in entry.standby:
        values = {"service": name, "standby": service.standby, "known": ", ".join(entry.standby)}
        yield Finding(_standby_code(entry, service), values=values, place=place)
    if len(loaded.spec.nodes) < entry.least_nodes:
        count = {"service": name, "count": len(loaded.spec.nodes), "least": entry.least_nodes}
        yield Finding("too-few-nodes-for-service", values=count, place=place)


def _standby_code(entry: ServiceEntry, service: Service) -> str:
    if entry.once:
        return "standby-of-single-service"
    if service.standby == "cold":
        return "standby-of-service-on-every-node"
    return "standby-unsupported"


def _check_needs(loaded: LoadedSpec, catalog: Catalog, entry: ServiceEntry) -> Iterator[Finding]:
    balanced = loaded.spec.services[entry.name].standby == "balanced"
    for need in (*entry.needs, "balancing") if balanced else entry.needs:
        providers = [other for other, candidate in catalog.services.items() if candidate.provides == need]
        if not any(provider in loaded.spec.services for provider in providers):
            values = {
                "service": entry.name,
                "need": need,
                "providers": " or ".join(providers) or "none that is known",
            }
            yield Finding(
                "service-need-missing", values=values, place=loaded.places.key("services", entry.name)
            )


def _check_providers(loaded: LoadedSpec, catalog: Catalog) -> Iterator[Finding]:
    """Give each service that provides what another one does: those that need it are told of one only."""
    found: dict[str, str] = {}
    for name in loaded.spec.services:
        need = catalog.services[name].provides if name in catalog.services else None
        # Layer-2 agents are another matter: more of them wire the same ports.
        if need not in (None, "layer2") and found.setdefault(need, name) != name:
            values = {"service": name, "other": found[need], "need": need}
            yield Finding("service-provided-twice", values=values, place=loaded.places.key("services", name))


def _check_ports(loaded: LoadedSpec, catalog: Catalog) -> Iterator[Finding]:
    taken: dict[tuple[str, int], str] = {}
    for name, service in loaded.spec.services.items():
        if name not in catalog.services or service.address is None:
            continue
        entry = catalog.entry(name, service.standby)
        if entry.port is None:
            continue
        spot = (service.address, entry.port)
        if spot in taken:
            values = {"service": name, "other": taken[spot], "port": entry.port, "address": service.address}
            yield Finding("port-used-twice", values=values, place=loaded.places.key("services", name))
        taken.setdefault(spot, name)
