"""Clients of a secured cloud speak TLS with every service and believe none whose certificate is another's."""

import asyncio
import ssl
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from tests.unit.drill.servers import PASSWORD, Mysql, Rabbit, listening, turning_to_tls

from understudy.cli.authority import new_authority, new_certificate
from understudy.drill.probes.base import ProbeSettings
from understudy.drill.probes.registry import PROBES


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ssl.SSLContext]:
    """Give whom to trust, in PEM, and what a server at 127.0.0.1 shows."""
    whom, signer = new_authority("test")
    certificate, key = new_certificate("server", (ip_address("127.0.0.1"),), whom, signer)
    file = tmp_path_factory.mktemp("tls") / "both.pem"
    plain = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(certificate.public_bytes(Encoding.PEM) + plain)
    return whom.public_bytes(Encoding.PEM).decode(), _shown(file)


def _shown(file: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


def settings(kind: str, port: int, trusted: str) -> ProbeSettings:
    login = {"user": "u", "password": PASSWORD, "database": "d", "tls": True, "authority": trusted}
    return ProbeSettings("client", "service", kind, "127.0.0.1", port, parameters=login)


async def page(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while await reader.readuntil(b"\r\n\r\n"):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


async def test_pages_come_over_tls(authority: tuple[str, ssl.SSLContext]) -> None:
    trusted, shown = authority
    port = await listening(page, shown)
    for kind in ("http", "http-session"):
        assert await PROBES[kind](settings(kind, port, trusted)).operate(0) == ""


async def test_rows_and_messages_go_over_tls(authority: tuple[str, ssl.SSLContext]) -> None:
    trusted, shown = authority
    port = turning_to_tls(await listening(Mysql().serve), shown)
    rows = PROBES["row"](settings("row", port, trusted))
    await rows.prepare()
    assert await rows.operate(7) == "7"
    assert await rows.collect() == ["7"]
    passed = PROBES["message"](settings("message", await listening(Rabbit().serve, shown), trusted))
    assert await passed.operate(0) == ""


@pytest.mark.parametrize("kind", ["http", "row", "message"])
async def test_server_of_another_authority_is_not_believed(
    authority: tuple[str, ssl.SSLContext], kind: str
) -> None:
    other = new_authority("other")[0].public_bytes(Encoding.PEM).decode()
    port = await listening(page, authority[1])
    if kind == "row":
        port = turning_to_tls(await listening(Mysql().serve), authority[1])
    with pytest.raises(ssl.SSLCertVerificationError):
        await PROBES[kind](settings(kind, port, other)).operate(0)
