"""Certificates: made by the site's own authority, judged against addresses, keys, authority and clock."""

import stat
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from understudy.cli.authority import make_certificates, new_authority, new_certificate
from understudy.findings import Finding, FindingsError, advice_for, message_for
from understudy.secret import Secret
from understudy.spec.certificates import check_certificates, validities
from understudy.spec.load import LoadedSpec, parse_spec
from understudy.spec.secrets import resolve_all
from understudy.spec.tls import certificates

GOOD = (Path(__file__).parent / "good.yaml").read_text(encoding="utf-8")
TLS = "tls: {internal_ca: true}\n"
NAMES = [f"{name}.{part}" for name in ("tls-api", "tls-database", "tls-authority") for part in ("pem", "key")]
NOW = datetime.now(UTC)
DAY = timedelta(days=1)
PEM = serialization.Encoding.PEM


def loaded_in(folder: Path, tls: str = TLS) -> LoadedSpec:
    text = GOOD.replace("secrets: {directory", f"{tls}secrets: {{directory")
    assert text != GOOD
    return parse_spec(text, "cloud.yaml", folder)


@pytest.fixture
def site(tmp_path: Path) -> LoadedSpec:
    loaded = loaded_in(tmp_path)
    assert sorted(make_certificates(loaded)) == sorted(NAMES)
    return loaded


def findings(loaded: LoadedSpec, now: datetime = NOW) -> list[Finding]:
    return check_certificates(loaded, resolve_all(loaded, NAMES)[0], now)


def codes(loaded: LoadedSpec, now: datetime = NOW) -> list[tuple[str, str]]:
    found = findings(loaded, now)
    assert all(message_for(one) and advice_for(one) and one.place for one in found)
    return [(one.code, one.severity) for one in found]


def test_what_it_makes_has_no_finding(site: LoadedSpec) -> None:
    assert findings(site) == []
    states = {one.name: one.state for one in validities(site, resolve_all(site, NAMES)[0], NOW)}
    assert states == dict.fromkeys(("tls-authority", "tls-api", "tls-database"), "valid")


def test_one_certificate_is_for_both_sides_of_an_address(site: LoadedSpec) -> None:
    named = {one.name: one.addresses for one in certificates(site.spec)}
    assert named["tls-api"] == (ip_address("192.168.42.103"), ip_address("203.0.113.103"))


def test_keys_are_readable_by_their_owner_only(site: LoadedSpec) -> None:
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (site.folder / "secrets").iterdir()}
    assert {modes[name] for name in modes if name.endswith(".key")} == {0o600}


def test_what_is_there_stays_and_what_is_renewed_is_new(site: LoadedSpec) -> None:
    folder = site.folder / "secrets"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert make_certificates(site) == []
    made = make_certificates(site, renew=True)
    assert sorted(made) == sorted(name for name in NAMES if "authority" not in name)
    after = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert {name for name in after if after[name] != before[name]} == set(made)
    assert findings(site) == []


def test_an_authority_without_its_key_signs_nothing(site: LoadedSpec) -> None:
    (site.folder / "secrets" / "tls-authority.key").unlink()
    with pytest.raises(FindingsError) as caught:
        make_certificates(site, renew=True)
    assert [one.code for one in caught.value.findings] == ["tls-authority-key-missing"]


def _replace_certificate(loaded: LoadedSpec) -> None:
    authority, signer = new_authority("other")
    certificate, key = new_certificate("x", (ip_address("192.168.42.101"),), authority, signer)
    _write(loaded, "tls-database.pem", certificate.public_bytes(PEM))
    private = key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    _write(loaded, "tls-database.key", private)


def _with_passphrase(loaded: LoadedSpec) -> None:
    path = loaded.folder / "secrets" / "tls-api.key"
    key = serialization.load_pem_private_key(path.read_bytes(), None)
    locked = serialization.BestAvailableEncryption(b"secret")
    path.write_bytes(key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, locked))


def _write(loaded: LoadedSpec, name: str, content: bytes) -> None:
    (loaded.folder / "secrets" / name).write_bytes(content)


def _swap(loaded: LoadedSpec, one: str, other: str) -> None:
    folder = loaded.folder / "secrets"
    _write(loaded, one, (folder / other).read_bytes())


BROKEN: dict[str, tuple[Callable[[LoadedSpec], None], list[str]]] = {
    "no certificate": (
        lambda site: _write(site, "tls-api.pem", b"nothing"),
        ["tls-certificate-unreadable"],
    ),
    "no key": (lambda site: _write(site, "tls-api.key", b"nothing"), ["tls-key-unreadable"]),
    "a key with a passphrase": (_with_passphrase, ["tls-key-unreadable"]),
    "another key": (lambda site: _swap(site, "tls-api.key", "tls-database.key"), ["tls-key-mismatch"]),
    "a certificate for another address": (
        lambda site: _swap(site, "tls-api.pem", "tls-database.pem"),
        ["tls-address-mismatch", "tls-address-mismatch", "tls-key-mismatch"],
    ),
    "another authority": (_replace_certificate, ["tls-not-of-authority"]),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_wrong_is_said(site: LoadedSpec, name: str) -> None:
    broken, expected = BROKEN[name]
    broken(site)
    assert codes(site) == [(code, "error") for code in expected]


@pytest.mark.parametrize(
    ("later", "expected"),
    [
        (366 * DAY, []),
        (380 * DAY, [("tls-expires-soon", "warning")] * 2),
        (400 * DAY, [("tls-expired", "error")] * 2),
        (-2 * DAY, [("tls-not-valid-yet", "error")] * 3),
    ],
)
def test_time_passes(site: LoadedSpec, later: timedelta, expected: list[tuple[str, str]]) -> None:
    assert codes(site, NOW + later) == expected


def test_the_place_is_where_the_spec_names_the_file(site: LoadedSpec) -> None:
    own = (
        "tls:\n  internal_ca: true\n  certificates:\n"
        "    api: {certificate: mine.pem, key: {file: secrets/tls-api.key}}\n"
    )
    loaded = loaded_in(site.folder, own)
    (site.folder / "mine.pem").write_bytes((site.folder / "secrets" / "tls-database.pem").read_bytes())
    (first, *_) = findings(loaded)
    assert first.code == "tls-address-mismatch"
    assert first.place is not None
    lines = own.splitlines()
    assert first.place.column == lines[3].index("mine.pem") + 1


def test_each_side_may_have_its_own(site: LoadedSpec) -> None:
    own = "tls: {certificates: {api: {public: {certificate: public.pem, key: {environment: KEY}}}}}\n"
    named = {one.name: one.addresses for one in certificates(loaded_in(site.folder, own).spec)}
    assert named["tls-api-public"] == (ip_address("203.0.113.103"),)
    assert named["tls-api"] == (ip_address("192.168.42.103"),)


def test_a_certificate_may_be_read_by_others_and_its_key_not(site: LoadedSpec) -> None:
    for path in (site.folder / "secrets").iterdir():
        path.chmod(0o644)
    (site.folder / "secrets" / "fencing").write_text("x\n")
    (site.folder / "secrets" / "fencing").chmod(0o600)
    _, found = resolve_all(site, NAMES)
    assert {str(one.values["file"]) for one in found} == {
        f"secrets/{name}" for name in NAMES if name.endswith(".key")
    }


def test_without_tls_nothing_is_asked_of_certificates(tmp_path: Path) -> None:
    loaded = parse_spec(GOOD, "cloud.yaml", tmp_path)
    assert check_certificates(loaded, {"tls-api.pem": Secret("nothing")}, NOW) == []
    assert validities(loaded, {}, NOW) == []
