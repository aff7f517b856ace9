"""Keystone over TLS, through a forwarded port: the certificate is that of the address behind the port."""

import socket
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from ipaddress import ip_address

import pytest
import requests
from cryptography.hazmat.primitives import serialization

from understudy.cli.authority import new_authority, new_certificate
from understudy.design.items import IdentityAccess
from understudy.kinds.identity import _forwarded_session
from understudy.secret import Secret

ADDRESS = "192.0.2.103"
PEM = serialization.Encoding.PEM


class Answers(BaseHTTPRequestHandler):
    """Answers every GET."""

    def do_GET(self) -> None:
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, str]]:
    """Give the port of a server with a certificate for ADDRESS, and the authority that signed it."""
    authority, signer = new_authority("tests")
    certificate, key = new_certificate("server", (ip_address(ADDRESS),), authority, signer)
    file = tmp_path_factory.mktemp("tls") / "both.pem"
    private = key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file.write_bytes(private + certificate.public_bytes(PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    listening = HTTPServer(("127.0.0.1", 0), Answers)
    listening.socket = context.wrap_socket(listening.socket, server_side=True)
    threading.Thread(target=listening.serve_forever, daemon=True).start()
    yield listening.server_port, authority.public_bytes(PEM).decode()
    listening.shutdown()


def ask(port: int, authority: str, host: str) -> int:
    access = IdentityAccess(f"https://{host}:5000/v3", "admin", "admin", Secret("x"), "RegionOne", authority)
    return _forwarded_session(access, host).get(f"https://127.0.0.1:{port}/v3", timeout=10).status_code


def test_the_right_authority_and_address(server: tuple[int, str]) -> None:
    assert ask(*server, ADDRESS) == 204


def test_a_certificate_of_another_address_is_refused(server: tuple[int, str]) -> None:
    with pytest.raises(requests.exceptions.SSLError, match=r"192\.0\.2\.104"):
        ask(*server, "192.0.2.104")


def test_a_certificate_of_another_authority_is_refused(server: tuple[int, str]) -> None:
    other = new_authority("other")[0].public_bytes(PEM).decode()
    with pytest.raises(requests.exceptions.SSLError, match="verify failed"):
        ask(server[0], other, ADDRESS)


def test_a_forwarded_port_that_nobody_listens_behind_is_no_matter_of_certificates(
    server: tuple[int, str],
) -> None:
    """It is closed at once, as a keystone that takes up a certificate is away for a moment."""

    def close_the_first() -> None:
        behind.accept()[0].close()

    with socket.create_server(("127.0.0.1", 0)) as behind:
        closing = threading.Thread(target=close_the_first, daemon=True)
        closing.start()
        with pytest.raises(requests.exceptions.ConnectionError) as caught:
            ask(behind.getsockname()[1], server[1], ADDRESS)
        closing.join()
    assert not isinstance(caught.value, requests.exceptions.SSLError)


def test_without_an_authority_those_of_the_machine_count(server: tuple[int, str]) -> None:
    with pytest.raises(requests.exceptions.SSLError, match="verify failed"):
        ask(server[0], "", ADDRESS)
