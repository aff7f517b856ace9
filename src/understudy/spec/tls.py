"""The names of certificates and keys, under which the spec's secrets hold them (pure)."""

from collections.abc import Iterator
from typing import NamedTuple

from understudy.spec.model import Address, CertificateFiles, SecretReference, Spec

AUTHORITY = "tls-authority"
PREFIX = "tls-"
DEVICE_AUTHORITY, DEVICE_CERTIFICATE = "tie-breaker-authority.pem", "tie-breaker-certificate"


class Certificate(NamedTuple):
    """One certificate: its name, and what of the spec is reached under it."""

    name: str
    addresses: tuple[Address, ...]
    path: tuple[str, ...]
    """Where the spec speaks of it, if it does."""

    @property
    def pem(self) -> str:
        """Return the name of the certificate among the secrets."""
        return pem(self.name)

    @property
    def key(self) -> str:
        """Return the name of its key among the secrets."""
        return key(self.name)


def pem(name: str) -> str:
    """Return the name of a certificate among the secrets."""
    return f"{name}.pem"


def key(name: str) -> str:
    """Return the name of a certificate's key among the secrets."""
    return f"{name}.key"


def is_secret(name: str) -> bool:
    """Return whether what is called so among the secrets must not be seen: certificates may."""
    return not name.endswith(".pem")


def is_certificate(name: str) -> bool:
    """Return whether what is called so among the secrets is a certificate or its key, not a password."""
    return name.startswith((PREFIX, "tie-breaker-"))


def certificate_name(spec: Spec, address: str, side: str) -> str:
    """Return the name of the certificate of one side of a virtual address."""
    own = spec.tls.certificates.get(address) if spec.tls else None
    separate = own is not None and getattr(own, side) is not None
    return f"{PREFIX}{address}-{side}" if separate else f"{PREFIX}{address}"


def certificates(spec: Spec) -> tuple[Certificate, ...]:
    """Return the certificates of all virtual addresses."""
    found: dict[str, Certificate] = {}
    for address, virtual in spec.addresses.items():
        for side, value in virtual.sides().items():
            name = certificate_name(spec, address, side)
            separate = name == f"{PREFIX}{address}-{side}"
            path = ("tls", "certificates", address, *((side,) if separate else ()))
            known = found.get(name, Certificate(name, (), path))
            found[name] = known._replace(addresses=(*known.addresses, value))
    return tuple(found.values())


def has_authority(spec: Spec) -> bool:
    """Return whether services trust an authority that the spec names, not those of the system."""
    return spec.tls is not None and (spec.tls.internal_ca or spec.tls.authority is not None)


def references(spec: Spec) -> Iterator[tuple[str, SecretReference, tuple[str, ...]]]:
    """Give name, reference and path in the spec of every certificate and key that the spec itself points to."""
    device = spec.quorum.tie_breaker
    if device is not None and device.authority is not None and device.certificate is not None:
        authority = SecretReference(file=device.authority)
        yield DEVICE_AUTHORITY, authority, ("quorum", "tie_breaker", "authority")
        yield DEVICE_CERTIFICATE, device.certificate, ("quorum", "tie_breaker", "certificate")
    if spec.tls is None:
        return
    if spec.tls.authority is not None:
        yield pem(AUTHORITY), SecretReference(file=spec.tls.authority), ("tls", "authority")
    for address, own in spec.tls.certificates.items():
        path = ("tls", "certificates", address)
        if own.certificate is not None:
            yield pem(f"{PREFIX}{address}"), SecretReference(file=own.certificate), (*path, "certificate")
        if own.key is not None:
            yield key(f"{PREFIX}{address}"), own.key, (*path, "key")
        for side in ("internal", "public"):
            files: CertificateFiles | None = getattr(own, side)
            if files is not None:
                name = f"{PREFIX}{address}-{side}"
                yield pem(name), SecretReference(file=files.certificate), (*path, side, "certificate")
                yield key(name), files.key, (*path, side, "key")
