"""haproxy.cfg: what stands in front of several copies of HTTP services.

Source: HAProxy 2.6 Configuration Manual, sections 3 (global), 4.2 (proxy keywords) and 5 (bind and server options).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

SOCKET = "/run/haproxy-understudy.sock"
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
    # Connections to a client or a server that is gone are noticed. A server is gone that confirms nothing for 3 s (see
    # tcp-ut, too).
    option clitcpka
    option srvtcpka
    srvtcpka-idle 1s
    srvtcpka-intvl 1s
    srvtcpka-cnt 2
    # A request that no server has answered goes to another one at once (of those that may change something only what no
    # server has seen: see the rule in each section).
    option redispatch 1
    retries 3
    retry-on conn-failure empty-response response-timeout
    # What waits for a copy that has enough to do is dropped when its client has given up.
    option abortonclose
    timeout connect 1s
    timeout client 60s
    timeout server 60s
    timeout queue 30s
    timeout check 1500ms
    timeout http-request 10s
    # Consoles of servers are open for long without a word.
    timeout tunnel 1h
    # A copy that hangs gets no more requests within 4.5 s. What it was asked goes to another one when it is ended, or
    # its node is lost; to end that when it is marked down would end what was about to try it, too.
    default-server inter 1s fastinter 500ms downinter 1s fall 2 rise 2 tcp-ut 3s
    default-server observe layer4 error-limit 1 on-error fastinter
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

    A copy is healthy that answers a request for ``check_path`` with one of the statuses of ``accept``; without a path
    it is taken to be. When none is, all are tried: copies that have too much to do answer their checks late, and are
    better than nobody. An address with a certificate, the path of a file that holds its key too, speaks TLS only. A
    copy is given ``at_once`` requests at a time; others wait here.
    """

    name: str
    addresses: tuple[str, ...]
    port: int
    servers: tuple[Server, ...]
    check_path: str = "/"
    accept: tuple[int, ...] = (200,)
    certificates: Mapping[str, str] = field(default_factory=dict)
    at_once: int | None = None


def render(fronts: Sequence[Front]) -> str:
    """Return the file; a front without addresses or servers is no service, and raises ValueError.

    With certificates there is a socket, root's, over which they are renewed.
    """
    head = GLOBAL
    if any(front.certificates for front in fronts):
        head = GLOBAL.replace("\n", f"\n    stats socket {SOCKET} user root mode 600 level admin\n", 1)
    return "\n".join([head, *("\n".join(_listen(front)) + "\n" for front in fronts)])


def binds_of(text: str) -> frozenset[str]:
    """Return everything that a configuration listens on, as ``host:port``; options of ``bind`` are left out."""
    lines = (line.split() for line in text.splitlines())
    return frozenset(words[1] for words in lines if len(words) > 1 and words[0] == "bind")


def _listen(front: Front) -> Iterator[str]:
    if not front.addresses or not front.servers:
        raise ValueError(f"{front.name} has no address or no server")
    yield f"listen {front.name}"
    for address in front.addresses:
        certificate = front.certificates.get(address)
        secured = f" ssl crt {certificate} ssl-min-ver TLSv1.2" if certificate else ""
        yield f"    bind {_spot(address, front.port)}{secured}"
    if front.certificates:
        # What the service says of itself, such as links, is to be what the client has asked for.
        yield "    http-request set-header X-Forwarded-Proto https if { ssl_fc }"
    yield "    http-request disable-l7-retry unless { method GET HEAD OPTIONS }"
    if front.check_path:
        yield "    option httpchk"
        yield f"    http-check send meth GET uri {front.check_path}"
        yield f"    http-check expect status {','.join(str(status) for status in front.accept)}"
        yield "    option allbackups"
    for server in front.servers:
        spot = _spot(server.host, server.port)
        limit = f" maxconn {front.at_once}" if front.at_once else ""
        yield f"    server {server.name} {spot}{' check' if front.check_path else ''}{limit}"
        if front.check_path:
            yield f"    server {server.name}-unchecked {spot} backup{limit}"


def _spot(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
