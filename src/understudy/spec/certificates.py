"""Whether the certificates of a spec do what they are for (pure).

Sources: RFC 5280, sections 4.1.2.5 (validity) and 4.2.1.6 (subject alternative names); RFC 2818, section 3.1: a client
that connects to an address compares it with the addresses in the certificate only.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

from understudy.findings import Finding, Place
from understudy.secret import Secret
from understudy.spec.load import LoadedSpec
from understudy.spec.secrets import reference_for
from understudy.spec.tls import AUTHORITY, Certificate, certificates, has_authority, pem

if TYPE_CHECKING:
    from cryptography import x509

DAY = timedelta(days=1)
EXPIRED = "tls-expired"


@dataclass(frozen=True)
class Validity:
    """How long a certificate is good: its name, and the last moment of its validity."""

    name: str
    until: datetime
    state: str
    """``valid``, ``expires soon``, ``expired`` or ``not valid yet``."""


def check_certificates(loaded: LoadedSpec, texts: Mapping[str, Secret], now: datetime) -> list[Finding]:
    """Return what is wrong with the certificates among the secrets of a spec, and with their keys."""
    if loaded.spec.tls is None:
        return []
    findings: list[Finding] = []
    authorities: Sequence[x509.Certificate] | None = None
    if has_authority(loaded.spec) and pem(AUTHORITY) in texts:
        authorities, wrong = _loaded(loaded, pem(AUTHORITY), texts)
        findings += wrong
        findings += [finding for one in authorities for finding in _time(loaded, AUTHORITY, one, now)]
    for certificate in certificates(loaded.spec):
        if certificate.pem in texts:
            findings += _check(loaded, certificate, texts, authorities, now)
    return findings


def validities(loaded: LoadedSpec, texts: Mapping[str, Secret], now: datetime) -> list[Validity]:
    """Return how long each certificate that can be read is good, the authority's first."""
    names = [AUTHORITY] if has_authority(loaded.spec) else []
    names += [certificate.name for certificate in certificates(loaded.spec)] if loaded.spec.tls else []
    found = []
    for name in names:
        chain, _ = _loaded(loaded, pem(name), texts) if pem(name) in texts else ([], [])
        if chain:
            first = min(chain, key=lambda one: one.not_valid_after_utc)
            found.append(Validity(name, first.not_valid_after_utc, _state(loaded, first, now)))
    return found


def _check(
    loaded: LoadedSpec,
    certificate: Certificate,
    texts: Mapping[str, Secret],
    authorities: "Sequence[x509.Certificate] | None",
    now: datetime,
) -> Iterator[Finding]:
    chain, wrong = _loaded(loaded, certificate.pem, texts)
    yield from wrong
    if not chain:
        return
    leaf = chain[0]
    yield from (finding for one in chain for finding in _time(loaded, certificate.name, one, now))
    named = _addresses(leaf)
    for address in certificate.addresses:
        if address not in named:
            values = {
                "name": certificate.name,
                "address": address,
                "named": ", ".join(map(str, named)) or "none",
            }
            yield Finding("tls-address-mismatch", values=values, place=_place(loaded, certificate.pem))
    if certificate.key in texts:
        yield from _check_key(loaded, certificate, leaf, texts[certificate.key])
    if authorities is not None and not _signed(chain, authorities):
        values = {"name": certificate.name}
        yield Finding("tls-not-of-authority", values=values, place=_place(loaded, certificate.pem))


def _check_key(
    loaded: LoadedSpec, certificate: Certificate, leaf: "x509.Certificate", text: Secret
) -> Iterator[Finding]:
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415 - only with TLS

    place = _place(loaded, certificate.key)
    try:
        key = load_pem_private_key(text.reveal().encode(), password=None)
    except (ValueError, TypeError) as error:  # TypeError: it wants a passphrase
        locked = isinstance(error, TypeError)
        reason = "it has a passphrase" if locked else "it is no key in PEM"
        values = {"name": certificate.name, "reason": reason}
        yield Finding("tls-key-unreadable", values=values, place=place)
        return
    if key.public_key() != leaf.public_key():
        yield Finding("tls-key-mismatch", values={"name": certificate.name}, place=place)


def _loaded(
    loaded: LoadedSpec, name: str, texts: Mapping[str, Secret]
) -> "tuple[Sequence[x509.Certificate], list[Finding]]":
    from cryptography.x509 import load_pem_x509_certificates  # noqa: PLC0415 - only with TLS

    try:
        return load_pem_x509_certificates(texts[name].reveal().encode()), []
    except ValueError:
        values = {"name": name.removesuffix(".pem")}
        return [], [Finding("tls-certificate-unreadable", values=values, place=_place(loaded, name))]


def _state(loaded: LoadedSpec, certificate: "x509.Certificate", now: datetime) -> str:
    warn = loaded.spec.tls.warn_days if loaded.spec.tls else 0
    if certificate.not_valid_after_utc < now:
        return "expired"
    if certificate.not_valid_before_utc > now:
        return "not valid yet"
    return "expires soon" if certificate.not_valid_after_utc < now + warn * DAY else "valid"


def _time(loaded: LoadedSpec, name: str, certificate: "x509.Certificate", now: datetime) -> Iterator[Finding]:
    state, until = _state(loaded, certificate, now), certificate.not_valid_after_utc
    days = max(0, (until - now) // DAY)
    own = loaded.spec.tls is not None and loaded.spec.tls.internal_ca and name != AUTHORITY
    renew = (
        "'understudy secrets --renew' makes new ones, 'understudy apply' puts them in place"
        if own
        else "put a new one in its place, then run 'understudy apply'"
    )
    place = _place(loaded, pem(name))
    match state:
        case "expired":
            values = {"name": name, "until": f"{until:%Y-%m-%d %H:%M}", "suggestion": renew}
            yield Finding("tls-expired", values=values, place=place)
        case "expires soon":
            values = {"name": name, "days": str(days), "until": f"{until:%Y-%m-%d}", "suggestion": renew}
            yield Finding("tls-expires-soon", "warning", values=values, place=place)
        case "not valid yet":
            values = {"name": name, "since": f"{certificate.not_valid_before_utc:%Y-%m-%d %H:%M}"}
            yield Finding("tls-not-valid-yet", values=values, place=place)


def _addresses(certificate: "x509.Certificate") -> list[object]:
    from cryptography import x509  # noqa: PLC0415 - only with TLS

    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return list(names.get_values_for_type(x509.IPAddress))


def _signed(chain: "Sequence[x509.Certificate]", authorities: "Sequence[x509.Certificate]") -> bool:
    """Tell whether each certificate is signed by the next, and the last by an authority or is one itself."""
    pairs = pairwise(chain)
    whole = all(_is_issued_by(one, issuer) for one, issuer in pairs)
    return whole and any(chain[-1] == one or _is_issued_by(chain[-1], one) for one in authorities)


def _is_issued_by(certificate: "x509.Certificate", issuer: "x509.Certificate") -> bool:
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - only with TLS

    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _place(loaded: LoadedSpec, name: str) -> Place:
    """Return where the spec says where it is, else where it speaks of TLS."""
    reference, place = reference_for(loaded, name)
    default = reference.file == f"{loaded.spec.secrets.directory}/{name}"
    return loaded.places.key("tls") if default else place
