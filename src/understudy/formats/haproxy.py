"""haproxy.cfg: what stands in front of several copies of HTTP services.

Source: HAProxy 2.6 Configuration Manual, sections 3 (global), 4.2 (proxy keywords) and 5 (bind and server options).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

GLOBAL = """\
global
    user haproxy
    group haproxy
    maxconn 4000

defaults
    mode http
    balance leastconn
    option forwardfor
    option http-server-close
    # Connections to a client or a server that is gone are noticed.
    option clitcpka
    option srvtcpka
    # A request that reached no server goes to another one.
    option redispatch
    retries 3
    timeout connect 2s
    timeout client 60s
    timeout server 60s
    timeout queue 30s
    timeout check 10s
    timeout http-request 10s
    # Consoles of servers are open for long without a word.
    timeout tunnel 1h
    default-server inter 2s fastinter 1s fall 2 rise 2 on-marked-down shutdown-sessions
"""


@dataclass(frozen=True)
class Server:
    """One copy: the name of its node, and where it listens."""

    name: str
    host: str
    port: int


@dataclass(frozen=True)
class Front:
    """One service: where clients reach it, and its copies.

    A copy is healthy that answers a request for ``check_path`` with one of the statuses of ``accept``.
    """

    name: str
    addresses: tuple[str, ...]
    port: int
    servers: tuple[Server, ...]
    check_path: str = "/"
    accept: tuple[int, ...] = (200,)


def render(fronts: Sequence[Front]) -> str:
    """Return the file; a front without addresses or servers is no service, and raises ValueError."""
    return "\n".join([GLOBAL, *("\n".join(_listen(front)) + "\n" for front in fronts)])


def _listen(front: Front) -> Iterator[str]:
    if not front.addresses or not front.servers:
        raise ValueError(f"{front.name} has no address or no server")
    yield f"listen {front.name}"
    for address in front.addresses:
        yield f"    bind {_spot(address, front.port)}"
    yield "    option httpchk"
    yield f"    http-check send meth GET uri {front.check_path}"
    yield f"    http-check expect status {','.join(str(status) for status in front.accept)}"
    for server in front.servers:
        yield f"    server {server.name} {_spot(server.host, server.port)} check"


def _spot(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
