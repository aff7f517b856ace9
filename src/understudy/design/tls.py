"""Certificates and keys on the nodes, and what stands in the way of TLS (pure)."""

import hashlib
from collections.abc import Iterator

from understudy.design.context import Cloud, ServiceContext
from understudy.design.items import File, Renewal
from understudy.design.proxy import CERTIFICATES, proxy_certificate
from understudy.findings import Finding
from understudy.secret import Secret, reveal
from understudy.spec.load import LoadedSpec
from understudy.spec.tls import AUTHORITY, certificate_name, has_authority, key, pem

READABLE, KEY_OF_SERVICE, KEY_OF_ROOT = 0o644, 0o640, 0o600
SECURED_NEEDS = ("database", "messaging")
DIGEST_LENGTH = 12


def certificate_files(context: ServiceContext) -> Iterator[File]:
    """Give the certificates and keys that one service reads on one node.

    A key is readable by root, and by the service's group where the service itself reads it. HAProxy reads the keys
    of all addresses that it stands at, before it gives up being root.
    """
    cloud, name, node = context.cloud, context.name, context.node or ""
    if cloud.spec.tls is None:
        return
    if has_authority(cloud.spec):
        yield File(
            node=node,
            path=cloud.authority(),
            content=_text(cloud, pem(AUTHORITY)),
            mode=READABLE,
            reason="whom the services trust",
        )
    if cloud.speaks_tls(name):
        own = certificate_name(cloud.spec, cloud.spec.services[name].address or "", _first_side(cloud, name))
        reason = f"{context.entry.title} speaks TLS"
        yield File(
            node=node,
            path=f"{CERTIFICATES}/{name}.pem",
            content=_text(cloud, pem(own)),
            mode=READABLE,
            reason=reason,
        )
        yield File(
            node=node,
            path=f"{CERTIFICATES}/{name}.key",
            content=Secret(_text(cloud, key(own))),
            group=cloud.select(context.entry.user)[0].group,
            mode=KEY_OF_SERVICE,
            reason=reason,
        )
    if name == cloud.provider("balancing"):
        yield from _of_proxy(cloud, node)


def read_at_start(context: ServiceContext) -> tuple[File, ...]:
    """Return those of one service's certificates and keys that it reads only when it starts or reloads."""
    files = tuple(certificate_files(context))
    return tuple(file for file in files if not (context.entry.renew and _own(context, file)))


def renewals(context: ServiceContext) -> Iterator[Renewal]:
    """Give what has one service on one node take up renewed certificates without a restart, if it can."""
    own = [file for file in certificate_files(context) if _own(context, file)]
    if own and context.entry.renew:
        texts = repr([(file.path, reveal(file.content)) for file in own])
        yield Renewal(
            node=context.node or "",
            service=context.name,
            digest=hashlib.sha256(texts.encode()).hexdigest()[:DIGEST_LENGTH],
            command=context.entry.renew,
            reason=f"{context.entry.title} goes on while it takes up a renewed certificate",
        )


def _own(context: ServiceContext, file: File) -> bool:
    return file.path != context.cloud.authority()


def _of_proxy(cloud: Cloud, node: str) -> Iterator[File]:
    fronted = {service.address for name, service in cloud.spec.services.items() if cloud.proxied(name)}
    for address, virtual in cloud.spec.addresses.items():
        for side in virtual.sides() if address in fronted else ():
            own = certificate_name(cloud.spec, address, side)
            yield File(
                node=node,
                path=proxy_certificate(address, side),
                content=Secret(_text(cloud, pem(own)) + _text(cloud, key(own))),
                mode=KEY_OF_ROOT,
                reason="HAProxy speaks TLS for the services behind it",
            )


def _text(cloud: Cloud, name: str) -> str:
    return cloud.secret(name).reveal().rstrip("\n") + "\n"


def _first_side(cloud: Cloud, name: str) -> str:
    address = cloud.address_of(name)
    return next(iter(address.sides())) if address else ""


def check_tls(loaded: LoadedSpec, cloud: Cloud) -> Iterator[Finding]:
    """Give what cannot be secured: a service that cannot speak TLS, one that would need two certificates."""
    spec, places = loaded.spec, loaded.places
    if spec.tls is None:
        return
    for name in spec.tls.certificates:
        if name not in spec.addresses:
            values = {"address": name, "known": ", ".join(spec.addresses) or "none"}
            yield Finding("tls-address-unknown", values=values, place=places.key("tls", "certificates", name))
    for name, service in spec.services.items():
        entry, address = cloud.entry(name), spec.addresses.get(service.address or "")
        place = places.key("services", name)
        if (address is None and entry.reached_at == "address") or cloud.proxied(name):
            continue
        reached = "serving" in entry.agent or entry.provides in SECURED_NEEDS
        if reached and not cloud.speaks_tls(name):
            balanced = "serving" in entry.agent and cloud.provider("balancing") is None
            advice = (
                "add 'haproxy: {standby: warm}' to the services, it then speaks TLS for this one"
                if balanced
                else "leave out 'tls', or take another service"
            )
            values = {"service": name, "release": cloud.release.name, "suggestion": advice}
            yield Finding("tls-unsupported", values=values, place=place)
        sides = address.sides() if address else ()
        names = {certificate_name(spec, service.address or "", side) for side in sides}
        if cloud.speaks_tls(name) and len(names) > 1:
            values = {"service": name, "address": service.address or ""}
            yield Finding("tls-one-certificate", values=values, place=place)
