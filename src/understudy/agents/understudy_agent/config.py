"""Reading a service's own option files, as oslo.config does: the last one wins, options may refer to others."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

FORMER_NAMES = {
    ("database", "connection"): (
        ("database", "sql_connection"),
        ("sql", "connection"),
        ("default", "sql_connection"),
    ),
    ("database", "sql_connection"): (("default", "sql_connection"),),
}
MAX_DEPTH = 8


def with_directories(files: Iterable[str], names: Iterable[str]) -> list[str]:
    """Return the files and after them those in the ``<name>.conf.d`` directories beside the first one."""
    found = [path for path in files if path]
    if not found:
        return []
    base = os.path.dirname(found[0])
    for name in (*names, os.path.basename(base)):
        directory = os.path.join(base, name + ".conf.d")
        try:
            entries = sorted(os.listdir(directory))
        except OSError:
            continue
        found.extend(os.path.join(directory, entry) for entry in entries if entry.endswith(".conf"))
    return found


class Configuration:
    """The options that a service finds; a file that cannot be read has none."""

    def __init__(self, paths: Iterable[str]) -> None:
        self._values: dict[tuple[str, str], str] = {}
        for path in paths:
            try:
                with open(path, encoding="utf-8", errors="replace") as stream:
                    self._parse(stream.read())
            except OSError:
                continue

    def _parse(self, text: str) -> None:
        group, key = "default", ("", "")
        for line in text.split("\n"):
            if not line or line[0] in "#;\r":
                continue
            if line[0] in " \t":
                more = line.strip()
                if more and key[1]:
                    self._values[key] += "\n" + more
            elif line[0] == "[":
                group, key = line.partition("]")[0][1:].strip().lower(), ("", "")
            else:
                at = min((i for i in (line.find("="), line.find(":")) if i > 0), default=-1)
                if at > 0:
                    key = (group, line[:at].strip().replace("-", "_"))
                    self._values[key] = _without_quotes(line[at + 1 :].strip())

    def get(self, group: str, name: str, default: str = "") -> str:
        """Return the value of an option, of its former name, or the default."""
        key = (group.lower(), name)
        for candidate in (key, *FORMER_NAMES.get(key, ())):
            if self._values.get(candidate):
                return self._expand(self._values[candidate], candidate[0], MAX_DEPTH)
        return default

    def _expand(self, value: str, group: str, depth: int) -> str:
        if "$" not in value or not depth:
            return value
        done, rest = "", value
        while "$" in rest:
            before, _, rest = rest.partition("$")
            done += before
            if rest[:1] == "$":
                done, rest = done + "$", rest[1:]
                continue
            if rest[:1] == "{":
                name, _, after = rest[1:].partition("}")
            else:
                end = next(
                    (i for i, char in enumerate(rest) if not (char.isalnum() or char == "_")), len(rest)
                )
                name, after = rest[:end], rest[end:]
            section, _, option = name.rpartition(".")
            found = self._values.get((section.lower() or group, option)) or self._values.get(
                ("default", option)
            )
            if found is None:
                done += "$"
            else:
                done, rest = done + self._expand(found, section.lower() or group, depth - 1), after
        return done + rest

    def is_true(self, group: str, name: str) -> bool:
        """Return whether a boolean option is on."""
        return is_true(self.get(group, name))


def _without_quotes(value: str) -> str:
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'" else value


def is_true(text: str) -> bool:
    """Return whether a word means yes, to oslo.config and to OCF."""
    return text.lower() in ("1", "t", "true", "on", "y", "yes")


def unquote(text: str) -> str:
    """Return the text with its percent escapes resolved."""
    if "%" not in text:
        return text
    parts = text.encode().split(b"%")
    out = parts[0]
    for part in parts[1:]:
        try:
            out += bytes([int(part[:2], 16)]) + part[2:]
        except ValueError:
            out += b"%" + part
    return out.decode("utf-8", "replace")


class Url:
    """The parts of a URL; ``text`` is what may be shown of it (no user, no password)."""

    def __init__(self, url: str) -> None:
        self.scheme, _, rest = url.strip().partition("://")
        rest, _, self.query = rest.partition("?")
        authority, slash, path = rest.partition("/")
        self.path = slash + path
        credentials, _, address = authority.rpartition("@")
        user, _, password = credentials.partition(":")
        self.user, self.password = unquote(user), unquote(password)
        self.host, self.port = split_address(address)

    def text(self, port: int) -> str:
        """Return host and port, for a person to read."""
        return join_address(self.host, self.port or port)


def split_address(address: str) -> tuple[str, int]:
    """Return host and port of ``host:port``, ``[v6]:port`` or ``host``; port 0 where there is none."""
    if address.startswith("["):
        host, _, port = address[1:].partition("]")
        port = port.lstrip(":")
    else:
        host, _, port = address.partition(":")
    return host, int(port) if port.isdigit() else 0


def join_address(host: str, port: int) -> str:
    """Return ``host:port`` as a URL writes it."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
