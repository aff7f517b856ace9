"""Rows written to a MariaDB or MySQL server and read back (MySQL client/server protocol).

Parameters: ``user``, ``password``, ``database``. The table is the client's own, and dropped in the end. One connection
is kept: a server that hangs counts each connection that is given up during its login, and locks the host out after a
hundred.
"""

import secrets
from hashlib import sha1
from typing import ClassVar

from understudy.drill.probes.base import NotServedError, ProbeSettings
from understudy.drill.probes.session import SessionProbe, Stream, tls_of

CAPABILITIES = (
    0x1 | 0x8 | 0x200 | 0x8000 | 0x80000
)  # long password, with database, 4.1, secure connection, plugins
TLS = 0x800
OK, END, ERROR = 0x00, 0xFE, 0xFF
QUERY = b"\x03"
UTF8 = 33
NATIVE = b"mysql_native_password"
SHORT = 9
"""An answer that begins as an end of rows does and is longer is a row."""


class RowWritten(SessionProbe):
    """A row is inserted, committed and read back."""

    writes: ClassVar[bool] = True
    tls_in_login: ClassVar[bool] = True

    def __init__(self, settings: ProbeSettings) -> None:
        super().__init__(settings)
        self._table = f"understudy_drill_{secrets.token_hex(4)}"

    async def prepare(self) -> None:
        """Make the table."""
        await self._ask(f"CREATE TABLE IF NOT EXISTS {self._table} (id BIGINT PRIMARY KEY) ENGINE=InnoDB")

    async def log_in(self, line: Stream) -> None:
        """Log in, over TLS where the server speaks it."""
        place = self.settings
        sequence, greeting = await _packet(line)
        proof = _proof(place.text("password"), _scramble(greeting))
        secured = tls_of(place)
        head = _client_head(CAPABILITIES | (TLS if secured else 0))
        if secured:
            sequence += 1
            _send(line, sequence, head)
            await line.writer.start_tls(secured, server_hostname=place.address)
        user = place.text("user").encode() + b"\0" + bytes([len(proof)]) + proof
        _send(line, sequence + 1, head + user + place.text("database").encode() + b"\0" + NATIVE + b"\0")
        sequence, answer = await _packet(line)
        if answer[0] == END:
            plugin, _, scramble = answer[1:].partition(b"\0")
            if plugin != NATIVE:
                raise NotServedError(f"login by {plugin.decode(errors='replace')}")
            _send(line, sequence + 1, _proof(place.text("password"), scramble.rstrip(b"\0")))
            await _packet(line)

    async def over(self, line: Stream, number: int) -> str:
        """Insert a row and read it back; return its number."""
        await _query(line, f"INSERT INTO {self._table} VALUES ({number})")  # noqa: S608 - all of it is ours
        wanted = f"SELECT id FROM {self._table} WHERE id = {number}"  # noqa: S608
        if await _query(line, wanted) != [str(number)]:
            raise NotServedError("the row is not there")
        return str(number)

    async def collect(self) -> list[str] | None:
        """Return the numbers of all rows."""
        return await self._ask(f"SELECT id FROM {self._table}")  # noqa: S608

    async def tidy(self) -> None:
        """Drop the table."""
        await self._ask(f"DROP TABLE IF EXISTS {self._table}")

    async def _ask(self, text: str) -> list[str]:
        stream = await self.line()
        try:
            return await _query(stream, text)
        finally:
            stream.abort()


async def _query(stream: Stream, text: str) -> list[str]:
    """Return the first column of what a statement gives. Raises NotServedError with the server's error number."""
    _send(stream, 0, QUERY + text.encode())
    _, answer = await _packet(stream)
    if answer[0] == OK:
        return []
    await _rows(stream)  # the columns' descriptions end as rows do
    return [_text(row) for row in await _rows(stream)]


async def _rows(stream: Stream) -> list[bytes]:
    found: list[bytes] = []
    while True:
        _, packet = await _packet(stream)
        if packet[0] == END and len(packet) < SHORT:
            return found
        found.append(packet)


def _text(row: bytes) -> str:
    return row[1 : 1 + row[0]].decode()


def _send(stream: Stream, sequence: int, payload: bytes) -> None:
    stream.writer.write(len(payload).to_bytes(3, "little") + bytes([sequence & 0xFF]) + payload)


async def _packet(stream: Stream) -> tuple[int, bytes]:
    head = await stream.exactly(4)
    payload = await stream.exactly(int.from_bytes(head[:3], "little"))
    if not payload:
        raise NotServedError("the answer is no MySQL")
    if payload[0] == ERROR:
        raise NotServedError(f"MySQL error {int.from_bytes(payload[1:3], 'little')}")
    return head[3], payload


def _client_head(capabilities: int) -> bytes:
    return capabilities.to_bytes(4, "little") + (1 << 24).to_bytes(4, "little") + bytes([UTF8]) + bytes(23)


def _scramble(greeting: bytes) -> bytes:
    rest = greeting[greeting.index(b"\0", 1) + 1 :]
    length = max(13, rest[20] - 8)
    return rest[4:12] + rest[31 : 31 + length].rstrip(b"\0")


def _proof(password: str, scramble: bytes) -> bytes:
    inner = sha1(password.encode()).digest()  # noqa: S324 - MySQL's login demands it
    outer = sha1(scramble[:20] + sha1(inner).digest()).digest()  # noqa: S324
    return bytes(left ^ right for left, right in zip(inner, outer, strict=True))
