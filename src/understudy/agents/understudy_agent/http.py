"""HTTP requests of the few kinds that an agent needs: one request, one answer, one deadline."""

from __future__ import annotations

from .config import join_address
from .net import Connection, NoAnswer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from .ocf import Deadline

MAX_ANSWER = 4 << 20


class Answer:
    """Status, headers (names in lower case) and body of an answer."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body


def ask(
    target: tuple[str, int, bool],
    path: str,
    deadline: Deadline,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
) -> Answer:
    """Send a GET, or a POST of JSON where there is a body, to (host, port, TLS or not); raise NoAnswer."""
    host, port, secure = target
    lines = [
        f"{'GET' if body is None else 'POST'} {path} HTTP/1.0",
        f"Host: {join_address(host, port)}",
        "User-Agent: understudy-agent",
        "Accept: application/json",
        *(f"{name}: {value}" for name, value in (headers or {}).items()),
    ]
    if body is not None:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    with Connection(host, port, deadline) as connection:
        if secure:
            connection.secure()
        connection.send(("\r\n".join(lines) + "\r\n\r\n").encode() + (body or b""))
        return _read(connection)


def _read(connection: Connection) -> Answer:
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.receive()
        if not more or len(data) > MAX_ANSWER:
            raise NoAnswer("broken", f"{connection.name} closes the connection without an answer")
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    first, *rest = head.decode("latin-1").split("\r\n")
    words = first.split()
    if len(words) < 2 or not words[0].startswith("HTTP/") or not words[1].isdigit():
        raise NoAnswer("broken", f"{connection.name} does not answer in HTTP")
    headers = {}
    for line in rest:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    length = headers.get("content-length", "")
    wanted = int(length) if length.isdigit() else MAX_ANSWER
    while len(body) < min(wanted, MAX_ANSWER):
        more = connection.receive()
        if not more:
            break
        body += more
    return Answer(int(words[1]), headers, body)
