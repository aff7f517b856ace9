"""Services, databases and brokers that speak TLS."""

from __future__ import annotations

import datetime as dt
import ipaddress
import ssl
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests.agents.conftest import make_agent

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.agents.conftest import Agent, FakeServer

PACEMAKER = {"OCF_RA_VERSION_MAJOR": "1", "OCF_RA_VERSION_MINOR": "1"}


def make_certificate(path: Path, address: str) -> Path:
    """Write a self-signed certificate for an address, and its key, to one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "fake")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    encoding = serialization.Encoding.PEM
    private = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(private + certificate.public_bytes(encoding))
    return path


def server_context(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


@pytest.fixture
def service(ocf_root: Path, tmp_path: Path) -> Iterator[Agent]:
    """A cinder-api, which can speak TLS by itself."""
    made = make_agent("cinder-api", ocf_root, tmp_path)
    yield made
    made.clean_up()


def address(agent: Agent) -> str:
    return f"osapi_volume_listen = 127.0.0.1\nosapi_volume_listen_port = {agent.port}"


def test_service_that_speaks_tls(service: Agent, tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path / "service.pem", "127.0.0.1")
    service.write_config(default=f"{address(service)}\nosapi_volume_use_ssl = true", certificate=certificate)
    assert service.run("start").code == 0
    assert service.run("monitor").code == 0
    service.config.write_text(service.config.read_text().replace("use_ssl = true", "use_ssl = false"))
    assert service.run("monitor").code == 1


@pytest.mark.parametrize(("named", "code"), [("127.0.0.1", 0), ("127.0.0.2", 190)])
def test_database_over_tls(
    service: Agent, database: FakeServer, tmp_path: Path, named: str, code: int
) -> None:
    certificate = make_certificate(tmp_path / "database.pem", named)
    database.handler.context = server_context(certificate)
    url = f"mysql+pymysql://cinder:verysecret@127.0.0.1:{database.port}/cinder?charset=utf8&ssl_ca={certificate}"
    service.write_config(default=address(service), extra=f"[database]\nconnection = {url}")
    assert service.run("start").code == 0
    done = service.run("monitor", PACEMAKER)
    assert done.code == code
    assert database.handler.good_byes == (code == 0)
    if code:
        assert "certificate" in done.reason


def test_broker_over_tls(service: Agent, broker: FakeServer, tmp_path: Path) -> None:
    broker.handler.context = server_context(make_certificate(tmp_path / "broker.pem", "127.0.0.1"))
    url = f"rabbit://cinder:verysecret@127.0.0.1:{broker.port}/cinder%2Fhost"
    secure = "[oslo_messaging_rabbit]\nssl = true"
    service.write_config(default=f"{address(service)}\ntransport_url = {url}", extra=secure)
    assert service.run("start").code == 0
    assert service.run("monitor", PACEMAKER).code == 0
    assert broker.handler.virtual_host == "cinder/host"
