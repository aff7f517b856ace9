"""Asking a message broker whether it serves.

RabbitMQ (AMQP 0-9-1, class connection) is asked for a whole login, with a polite good-bye: it writes a warning each
time that it is left in the middle of one. A broker that speaks AMQP 0-10 or 1.0 has to begin a login (0-10, control
connection.start; 1.0, performative sasl-mechanisms).
"""

from __future__ import annotations

from .config import unquote
from .net import Connection, NoAnswer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .config import Url
    from .ocf import Deadline

HEADER_0_9_1 = b"AMQP\0\0\x09\x01"
HEADER_0_10 = b"AMQP\1\1\0\x0a"
HEADER_1_0 = b"AMQP\3\1\0\0"
"""That of SASL, which comes before AMQP 1.0 itself."""
PREFIX = b"AMQP"
HEADER_SIZE = 8
FRAME_END = b"\xce"
METHOD = 1
MAX_FRAME = 1 << 20
START, START_OK, TUNE, TUNE_OK, OPEN, OPEN_OK, CLOSE, CLOSE_OK = (
    b"\0\x0a" + number.to_bytes(2, "big") for number in (10, 11, 30, 31, 40, 41, 50, 51)
)


def greet(host: str, port: int, deadline: Deadline, *, secure: bool = False) -> None:
    """Have a broker of AMQP 0-10 or 1.0 begin a login; raise NoAnswer where it does neither.

    One that does not speak the version that it is asked for answers with its own or just closes.
    """
    try:
        _begin(host, port, HEADER_0_10, deadline, secure=secure)
    except NoAnswer as trouble:
        if trouble.kind != "broken":
            raise
        _begin(host, port, HEADER_1_0, deadline, secure=secure)


def _begin(host: str, port: int, header: bytes, deadline: Deadline, *, secure: bool) -> None:
    with Connection(host, port, deadline) as connection:
        if secure:
            connection.secure()
        connection.send(header)
        answer = connection.receive_exactly(HEADER_SIZE)
        if answer != header:
            trouble = "speaks another version of AMQP" if answer[:4] == PREFIX else "does not speak AMQP"
            raise NoAnswer("broken", f"{connection.name} {trouble}")
        # A frame of 0-10: flags, type (0 control), ..., in the payload class and control; of 1.0: size, offset, type
        # (1 SASL).
        frame = connection.receive_exactly(14 if header == HEADER_0_10 else 8)
        begun = frame[1:2] + frame[12:] == b"\0\1\1" if header == HEADER_0_10 else frame[5] == 1
        if not begun:
            raise NoAnswer("broken", f"{connection.name} does not begin a login")


def ask(url: Url, deadline: Deadline, *, secure: bool) -> None:
    """Log in to the broker at the URL as the service does; raise NoAnswer where that does not work."""
    if url.scheme == "qpid":
        greet(url.host, url.port, deadline, secure=secure)
        return
    with Connection(url.host, url.port, deadline) as connection:
        if secure:
            connection.secure()
        if url.scheme == "amqp":
            connection.send(HEADER_1_0)
            if connection.receive_exactly(4) != PREFIX:
                raise NoAnswer("broken", f"{connection.name} does not speak AMQP")
            return
        connection.send(HEADER_0_9_1)
        _expect(connection, START)
        if not url.user:
            return
        login = _long(f"\0{url.user}\0{url.password}")
        _send(connection, START_OK + bytes(4) + _short("PLAIN") + login + _short("en_US"))
        limits = _expect(connection, TUNE)
        _send(connection, TUNE_OK + limits[:6] + bytes(2))
        _send(connection, OPEN + _short(unquote(url.path[1:]) or "/") + _short("") + b"\0")
        _expect(connection, OPEN_OK)
        _send(connection, CLOSE + (200).to_bytes(2, "big") + _short("") + bytes(4))
        _expect(connection, CLOSE_OK)


def _send(connection: Connection, payload: bytes) -> None:
    head = bytes([METHOD]) + bytes(2) + len(payload).to_bytes(4, "big")
    connection.send(head + payload + FRAME_END)


def _expect(connection: Connection, method: bytes) -> bytes:
    """Read frames up to this method and return its arguments."""
    while True:
        head = connection.receive_exactly(7)
        size = int.from_bytes(head[3:7], "big")
        if head[0] not in (METHOD, 8) or size > MAX_FRAME:
            raise NoAnswer("broken", f"{connection.name} does not speak AMQP")
        payload = connection.receive_exactly(size + 1)[:-1]
        if payload[:4] == method:
            return payload[4:]
        if payload[:4] == CLOSE:
            code = int.from_bytes(payload[4:6], "big")
            raise NoAnswer("refused", f"{connection.name} refuses the service (AMQP reply {code})")


def _short(text: str) -> bytes:
    data = text.encode()
    return bytes([len(data)]) + data


def _long(text: str) -> bytes:
    data = text.encode()
    return len(data).to_bytes(4, "big") + data
