"""An emulated BMC: as much of DMTF's Redfish (DSP0266, ComputerSystem v1) as fencing agents and operators use.

HTTPS with a certificate of its own making, basic authentication, one system in the collection. It reports a power
state only when that is true, so that a fencing confirmed here is a fencing done.
"""

import base64
import datetime as dt
import hmac
import ipaddress
import json
import socket
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

REQUEST_SECONDS = 60
_ROOT = "/redfish/v1"
_SYSTEMS = f"{_ROOT}/Systems"

ResetType = Literal[
    "On", "ForceOn", "ForceOff", "ForceRestart", "GracefulShutdown", "GracefulRestart", "PushPowerButton"
]
RESET_TYPES: tuple[ResetType, ...] = (
    "On",
    "ForceOn",
    "ForceOff",
    "ForceRestart",
    "GracefulShutdown",
    "GracefulRestart",
    "PushPowerButton",
)


@dataclass(frozen=True)
class Bmc:
    """One BMC: whose it is, where its system is, who may log in, and what it is connected to.

    ``system`` is the path of the one system. ``is_on`` tells the power state; ``reset`` does a reset, given its type
    and the address it was asked from, and returns when its effect is there.
    """

    node: str
    system: str
    user: str
    password: str
    is_on: Callable[[], bool]
    reset: Callable[[ResetType, str], None]

    def answer(
        self, method: str, path: str, body: bytes, caller: str
    ) -> tuple[HTTPStatus, Mapping[str, object] | None]:
        """Return status and content for an authenticated request."""
        path = path.rstrip("/")
        if method == "POST":
            return self._post(path, body, caller)
        resources: dict[str, Mapping[str, object]] = {
            "/redfish": {"v1": f"{_ROOT}/"},
            _ROOT: self._root(),
            _SYSTEMS: self._systems(),
            self._uri: self._system(),
        }
        content = resources.get(path)
        return (
            (HTTPStatus.OK, content)
            if content is not None
            else _error(HTTPStatus.NOT_FOUND, "ResourceMissingAtURI")
        )

    @property
    def _uri(self) -> str:
        return self.system.rstrip("/")

    @property
    def _target(self) -> str:
        return f"{self._uri}/Actions/ComputerSystem.Reset"

    def _root(self) -> dict[str, object]:
        return {
            "@odata.id": f"{_ROOT}/",
            "@odata.type": "#ServiceRoot.v1_5_0.ServiceRoot",
            "Id": "RootService",
            "Name": "Root Service",
            "RedfishVersion": "1.6.0",
            "Systems": {"@odata.id": _SYSTEMS},
        }

    def _systems(self) -> dict[str, object]:
        return {
            "@odata.id": _SYSTEMS,
            "@odata.type": "#ComputerSystemCollection.ComputerSystemCollection",
            "Name": "Computer System Collection",
            "Members@odata.count": 1,
            "Members": [{"@odata.id": self._uri}],
        }

    def _system(self) -> dict[str, object]:
        return {
            "@odata.id": self._uri,
            "@odata.type": "#ComputerSystem.v1_10_0.ComputerSystem",
            "Id": self._uri.rpartition("/")[2],
            "Name": self.node,
            "SystemType": "Virtual",
            "PowerState": "On" if self.is_on() else "Off",
            "Status": {"State": "Enabled", "Health": "OK"},
            "Actions": {
                "#ComputerSystem.Reset": {
                    "target": self._target,
                    "ResetType@Redfish.AllowableValues": list(RESET_TYPES),
                }
            },
        }

    def _post(self, path: str, body: bytes, caller: str) -> tuple[HTTPStatus, Mapping[str, object] | None]:
        if path != self._target:
            return _error(HTTPStatus.NOT_FOUND, "ResourceMissingAtURI")
        try:
            wanted = json.loads(body or b"{}").get("ResetType", "On")
        except (ValueError, AttributeError):
            return _error(HTTPStatus.BAD_REQUEST, "MalformedJSON")
        for known in RESET_TYPES:
            if wanted == known:
                self.reset(known, caller)
                return HTTPStatus.NO_CONTENT, None
        return _error(HTTPStatus.BAD_REQUEST, "ActionParameterNotSupported")

    def admits(self, authorization: str) -> bool:
        """Tell whether an Authorization header holds this BMC's user and password (RFC 7617)."""
        scheme, _, token = authorization.partition(" ")
        expected = base64.b64encode(f"{self.user}:{self.password}".encode())
        return scheme.lower() == "basic" and hmac.compare_digest(token.strip().encode(), expected)


def _error(status: HTTPStatus, key: str) -> tuple[HTTPStatus, Mapping[str, object]]:
    return status, {"error": {"code": f"Base.1.8.{key}", "message": key}}


class _Handler(BaseHTTPRequestHandler):
    server: "BmcServer"
    protocol_version = "HTTP/1.1"
    server_version = "understudy-bmc"
    timeout = REQUEST_SECONDS
    disable_nagle_algorithm = True  # a body would wait 40 ms for the acknowledgement of its headers

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        bmc = self.server.bmc
        status: HTTPStatus
        content: Mapping[str, object] | None
        if self.path.rstrip("/") not in {"/redfish", _ROOT} and not bmc.admits(
            self.headers.get("Authorization", "")
        ):
            status, content = _error(HTTPStatus.UNAUTHORIZED, "NoValidSession")
        else:
            try:
                status, content = bmc.answer(self.command, self.path, body, self.client_address[0])
            except Exception as error:  # noqa: BLE001 - whatever went wrong, a caller must not take it for done
                status, content = _error(HTTPStatus.INTERNAL_SERVER_ERROR, f"InternalError: {error}")
        payload = json.dumps(content).encode() if content is not None else b""
        self.send_response(status)
        if status is HTTPStatus.UNAUTHORIZED:
            self.send_header("WWW-Authenticate", 'Basic realm="Redfish"')
        self.send_header("OData-Version", "4.0")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    do_GET = do_POST = _serve  # noqa: N815 - the names are given by http.server

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is given by http.server
        """Say nothing: what matters is in the lab's events."""


class BmcServer(ThreadingHTTPServer):
    """Serves one BMC at one address, in threads of its own, until :meth:`close`."""

    daemon_threads = True

    def __init__(self, bmc: Bmc, address: str, port: int, context: ssl.SSLContext) -> None:
        self.bmc = bmc
        self._context = context
        super().__init__((address, port), _Handler)
        self._thread = Thread(target=self.serve_forever, name=f"bmc-{bmc.node}", daemon=True)

    def open(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def close(self) -> None:
        """Stop answering and give the address back."""
        self.shutdown()
        self.server_close()

    def finish_request(
        self, request: socket.socket | tuple[bytes, socket.socket], client_address: object
    ) -> None:
        """Do the TLS handshake in the request's own thread, so that a silent caller holds up nobody."""
        if isinstance(request, tuple):  # datagram servers only
            return
        request.settimeout(REQUEST_SECONDS)
        with self._context.wrap_socket(request, server_side=True) as secured:
            super().finish_request(secured, client_address)

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: a caller that breaks off is no event."""


def make_certificate(folder: Path, addresses: list[str]) -> ssl.SSLContext:
    """Return a TLS context with a self-signed certificate for these addresses, written to a folder."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "understudy lab BMC")])
    now = dt.datetime.now(dt.UTC)
    alternatives = x509.SubjectAlternativeName(
        [x509.IPAddress(ipaddress.ip_address(each)) for each in addresses]
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=3650))
        .add_extension(alternatives, critical=False)
        .sign(key, hashes.SHA256())
    )
    file = folder / "bmc.pem"
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.touch(mode=0o600)
    file.write_bytes(secret + certificate.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context
