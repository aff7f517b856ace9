"""A certificate authority of the site's own: what ``internal_ca`` asks for (effects: makes keys and files)."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from understudy.findings import Finding, FindingsError
from understudy.spec.load import LoadedSpec
from understudy.spec.model import Address
from understudy.spec.secrets import reference_for
from understudy.spec.tls import AUTHORITY, certificates, key, pem

AUTHORITY_VALID = timedelta(days=3650)
CERTIFICATE_VALID = timedelta(days=397)
"""Common clients refuse certificates that are valid for more than 398 days."""
EARLIER = timedelta(hours=1)
"""How much earlier than now a certificate begins, for clocks that go behind."""


def make_certificates(loaded: LoadedSpec, *, renew: bool = False) -> list[str]:
    """Make the authority and the certificates that are missing, or every certificate anew; return their names.

    Nothing is made where the spec points to something other than a file. Raises FindingsError
    ``tls-authority-key-missing`` (exit status 2) when the authority is there and its key is not.
    """
    missing = [
        one
        for one in certificates(loaded.spec)
        if _path(loaded, one.pem)
        and _path(loaded, one.key)
        and (renew or not _exists(loaded, one.pem) or not _exists(loaded, one.key))
    ]
    if not missing:
        return []
    made = []
    if not _exists(loaded, pem(AUTHORITY)):
        made += _put(loaded, AUTHORITY, *new_authority(loaded.spec.cloud))
    authority, signer = _authority(loaded)
    for one in missing:
        made += _put(loaded, one.name, *new_certificate(one.name, one.addresses, authority, signer))
    return made


def new_authority(cloud: str) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """Return a certificate that may sign others, signed by itself, and its key."""
    private = ec.generate_private_key(ec.SECP256R1())
    builder = _builder(f"understudy {cloud}", private.public_key(), AUTHORITY_VALID)
    builder = builder.issuer_name(_name(f"understudy {cloud}"))
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_usage(signs_certificates=True), critical=True)
    return builder.sign(private, hashes.SHA256()), private


def new_certificate(
    name: str,
    addresses: tuple[Address, ...],
    authority: x509.Certificate,
    signer: ec.EllipticCurvePrivateKey,
    valid: timedelta = CERTIFICATE_VALID,
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """Return a server's certificate for these addresses, and its key."""
    private = ec.generate_private_key(ec.SECP256R1())
    builder = _builder(name, private.public_key(), valid).issuer_name(authority.subject)
    names = x509.SubjectAlternativeName([x509.IPAddress(address) for address in addresses])
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
    builder = builder.add_extension(names, critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(issuer, critical=False)
    builder = builder.add_extension(_usage(signs_certificates=False), critical=True)
    server = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    return builder.add_extension(server, critical=False).sign(signer, hashes.SHA256()), private


def _builder(name: str, public: ec.EllipticCurvePublicKey, valid: timedelta) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - EARLIER)
        .not_valid_after(now + valid)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text[:64])])


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _authority(loaded: LoadedSpec) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    path = _path(loaded, key(AUTHORITY))
    reason = "it is no key that signs with elliptic curves"
    try:
        found = x509.load_pem_x509_certificate(_read(loaded, pem(AUTHORITY)))
        signer = serialization.load_pem_private_key(_read(loaded, key(AUTHORITY)), password=None)
    except (OSError, ValueError, TypeError) as error:
        signer, reason = None, getattr(error, "strerror", "") or str(error)
    if isinstance(signer, ec.EllipticCurvePrivateKey):
        return found, signer
    place = loaded.places.value("tls", "internal_ca")
    values = {"path": str(path or key(AUTHORITY)), "reason": reason}
    raise FindingsError([Finding("tls-authority-key-missing", values=values, place=place)])


def _read(loaded: LoadedSpec, name: str) -> bytes:
    path = _path(loaded, name)
    return path.read_bytes() if path else b""


def _path(loaded: LoadedSpec, name: str) -> Path | None:
    reference, _ = reference_for(loaded, name)
    return loaded.folder / reference.file if reference.file else None


def _exists(loaded: LoadedSpec, name: str) -> bool:
    path = _path(loaded, name)
    return path is not None and path.exists()


def _put(
    loaded: LoadedSpec, name: str, certificate: x509.Certificate, private: ec.EllipticCurvePrivateKey
) -> list[str]:
    """Write both files, each in one step; the key is readable by the caller only."""
    encoding = serialization.Encoding.PEM
    secret = private.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    for what, content, mode in (
        (key(name), secret, 0o600),
        (pem(name), certificate.public_bytes(encoding), 0o644),
    ):
        path = _path(loaded, what)
        if path is None:
            raise ValueError(what)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = path.with_name(f".{path.name}.new")
        new.unlink(missing_ok=True)
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as stream:
            stream.write(content)
        new.replace(path)
    return [pem(name), key(name)]
