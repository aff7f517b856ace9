"""Asking a MySQL or MariaDB server whether it serves: a whole login, and a polite good-bye.

Reading the greeting and leaving would be enough to know, but the server counts such visitors and locks the whole host
out after ``max_connect_errors`` of them, the service included. (MySQL client/server protocol, connection phase.)
"""

from __future__ import annotations

from .net import Connection, NoAnswer

try:
    sha1 = __import__("_sha1").sha1
except ImportError:
    from hashlib import sha1  # which loads all of OpenSSL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .config import Url
    from .ocf import Deadline

PORT = 3306
PROTOCOL = 10
OK, MORE, SWITCH, ERROR = 0x00, 0x01, 0xFE, 0xFF
FULL_LOGIN, QUIT = 0x04, b"\x01"
CAPABILITIES = 0x1 | 0x200 | 0x8000 | 0x80000  # long password, protocol 4.1, secure connection, plugin login
TLS = 0x800
UTF8 = 33
NATIVE, CACHING = "mysql_native_password", "caching_sha2_password"


def ask(url: Url, deadline: Deadline) -> None:
    """Log in as the service does; raise NoAnswer, with the server's own words, where that does not work."""
    with Connection(url.host, url.port or PORT, deadline) as connection:
        sequence, greeting = _packet(connection)
        if greeting[0] == ERROR:
            raise _refused(connection, greeting)
        if greeting[0] != PROTOCOL:
            raise NoAnswer("broken", f"{connection.name} does not greet as a MySQL server does")
        if not url.user:
            return
        plugin, scramble = _greeting(greeting)
        flags = CAPABILITIES
        if "ssl" in url.query:
            flags |= TLS
            connection.send(_framed(sequence + 1, _flags(flags)))
            authority = _query(url, "ssl_ca")
            unnamed = not authority or _query(url, "ssl_check_hostname").lower() == "false"
            connection.secure(authority, "" if unnamed else url.host)
            sequence += 1
        known = plugin if plugin in (NATIVE, CACHING) else NATIVE
        proof = _proof(known, url.password, scramble)
        name = url.user.encode() + b"\0"
        login = _flags(flags) + name + bytes([len(proof)]) + proof + known.encode() + b"\0"
        connection.send(_framed(sequence + 1, login))
        if _admitted(connection, url.password):
            connection.send(_framed(0, QUIT))


def _admitted(connection: Connection, password: str) -> bool:
    """Go through the rest of the login; return False where only TLS or a key would let us on, which proves life."""
    while True:
        sequence, answer = _packet(connection)
        if answer[0] == OK:
            return True
        if answer[0] == ERROR:
            raise _refused(connection, answer)
        if answer[0] == SWITCH:
            plugin, _, scramble = answer[1:].partition(b"\0")
            if plugin.decode() not in (NATIVE, CACHING):
                return False
            connection.send(_framed(sequence + 1, _proof(plugin.decode(), password, scramble.rstrip(b"\0"))))
        elif answer[0] != MORE or answer[1:2] == bytes([FULL_LOGIN]):
            return False


def _packet(connection: Connection) -> tuple[int, bytes]:
    head = connection.receive_exactly(4)
    length = int.from_bytes(head[:3], "little")
    if not length:
        raise NoAnswer("broken", f"{connection.name} does not speak MySQL's protocol")
    return head[3], connection.receive_exactly(length)


def _framed(sequence: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "little") + bytes([sequence & 0xFF]) + payload


def _flags(flags: int) -> bytes:
    return flags.to_bytes(4, "little") + (1 << 24).to_bytes(4, "little") + bytes([UTF8]) + b"\0" * 23


def _greeting(packet: bytes) -> tuple[str, bytes]:
    """Return the login plugin and the scramble of a greeting."""
    rest = packet[packet.index(b"\0", 1) + 1 :]
    first, tail = rest[4:12], rest[13:]
    length = max(13, tail[7] - 8)
    second, plugin = tail[18 : 18 + length], tail[18 + length :]
    return plugin.rstrip(b"\0").decode("latin-1"), first + second.rstrip(b"\0")


def _proof(plugin: str, password: str, scramble: bytes) -> bytes:
    if not password:
        return b""
    secret = password.encode()
    if plugin == CACHING:
        from hashlib import sha256

        inner = sha256(secret).digest()
        return _xor(inner, sha256(sha256(inner).digest() + scramble).digest())
    inner = bytes(sha1(secret).digest())
    return _xor(inner, sha1(scramble + sha1(inner).digest()).digest())


def _xor(left: bytes, right: bytes) -> bytes:
    return bytes(byte ^ right[index] for index, byte in enumerate(left))


def _refused(connection: Connection, packet: bytes) -> NoAnswer:
    code = int.from_bytes(packet[1:3], "little")
    return NoAnswer("refused", f"{connection.name} refuses the service (MySQL error {code})")


def _query(url: Url, name: str) -> str:
    pairs = (item.partition("=") for item in url.query.split("&"))
    return next((value for key, _, value in pairs if key == name), "")
