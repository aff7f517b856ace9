"""How option files spell things: oslo.config's INI, MariaDB's option files, sysctl.conf.

A dialect says what a line is and what its value means to the program that reads it, and how to write a value.
"""

import re
from dataclasses import dataclass
from typing import Literal, Protocol

DialectName = Literal["oslo", "mysql", "sysctl"]
LineKind = Literal["blank", "comment", "section", "option", "continuation", "error"]

_OSLO_ASSIGNMENT = re.compile(r"(?P<key>[^=:]*)(?P<separator>[=:])(?P<value>.*)", re.DOTALL)
_QUOTES = ('"', "'")
_MYSQL_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "s": " ", '"': '"', "'": "'", "\\": "\\"}
_MYSQL_PLAIN = re.compile(r"[\w./:,@%+=()*-]+", re.ASCII)


@dataclass(frozen=True)
class Line:
    """One line, understood.

    ``name`` is that of the section or option, or a comment's text; ``value`` is what the reader gets; ``prefix`` is the
    line's text up to where the value starts.
    """

    kind: LineKind
    name: str = ""
    value: str = ""
    prefix: str = ""


class Dialect(Protocol):
    """What the editor has to know of a language."""

    has_sections: bool
    default_separator: str

    def read(self, text: str) -> Line:
        """Understand one line, given without its end."""

    def section_key(self, name: str) -> str:
        """Return what two names of one section have in common."""

    def option_key(self, name: str) -> str:
        """Return what two names of one option have in common."""

    def write(self, value: str) -> list[str]:
        """Return the lines of a value; the first stands behind the separator. The editor checks the result."""


class Oslo:
    """oslo.config's files, as its module ``iniparser`` reads them.

    ``=`` or ``:`` separates; comments start in the first column with ``#`` or ``;``; an indented line goes on with the
    value before it; a repeated key is one more value; one pair of quotes around a value is dropped. The case of section
    names does not matter, but for ``DEFAULT``; that of keys does.
    """

    has_sections = True
    default_separator = " = "

    def read(self, text: str) -> Line:
        """Understand one line."""
        text = text.rstrip()
        if not text:
            return Line("blank")
        if text.startswith((" ", "\t")):
            return Line("continuation", value=text.lstrip())
        if text.startswith("["):
            return Line("section", text[1:-1]) if text.endswith("]") and len(text) > 2 else Line("error")
        if text.startswith(("#", ";")):
            return Line("comment", text[1:].lstrip())
        match = _OSLO_ASSIGNMENT.match(text)
        if match is None or not match["key"].strip():
            return Line("error")
        value = match["value"].strip()
        prefix = text.removesuffix(match["value"].lstrip())
        if value and value[0] == value[-1] and value.startswith(_QUOTES):
            value = value[1:-1]
        return Line("option", match["key"].strip(), value, prefix)

    def section_key(self, name: str) -> str:
        """Return the name in lower case, but for ``DEFAULT``."""
        return name if name == "DEFAULT" else name.lower()

    def option_key(self, name: str) -> str:
        """Return the name itself."""
        return name

    def write(self, value: str) -> list[str]:
        """Return the lines; the first is put in quotes where oslo.config would strip something off it."""
        first, *rest = value.split("\n")
        looks_quoted = first[:1] == first[-1:] and first.startswith(_QUOTES)
        return [f'"{first}"' if looks_quoted or first != first.strip() else first, *rest]


class MySql:
    """MariaDB's option files, as its ``my_default.c`` reads them.

    Keys may stand without a value; ``-`` and ``_`` are one in names; lines that start with ``!`` include other files;
    ``#`` outside of quotes ends a line; a backslash escapes. An empty value is written as the key alone.
    """

    has_sections = True
    default_separator = " = "

    def read(self, text: str) -> Line:
        """Understand one line."""
        stripped = text.strip()
        if not stripped:
            return Line("blank")
        if stripped.startswith(("#", ";", "!")):
            return Line("comment", stripped[1:].lstrip())
        if stripped.startswith("["):
            name, bracket, _ = stripped[1:].partition("]")
            return Line("section", name.strip()) if bracket else Line("error")
        key, equal, value = _without_comment(text).partition("=")
        if not key.strip():
            return Line("error")
        start = len(key) + len(equal) + len(value) - len(value.lstrip())
        return Line("option", key.strip(), _mysql_value(value.strip()), text[:start] if equal else "")

    def section_key(self, name: str) -> str:
        """Return the name itself."""
        return name

    def option_key(self, name: str) -> str:
        """Return the name with ``_`` for ``-``."""
        return name.replace("-", "_")

    def write(self, value: str) -> list[str]:
        """Return the value, in quotes and escaped where it is more than plain characters."""
        if not value or _MYSQL_PLAIN.fullmatch(value):
            return [value]
        for letter, meaning in (("\\", "\\"), ('"', '"'), ("n", "\n"), ("r", "\r"), ("t", "\t"), ("b", "\b")):
            value = value.replace(meaning, f"\\{letter}")
        return [f'"{value}"']


class Sysctl:
    """sysctl.conf(5): ``key = value`` without sections; ``/`` and ``.`` are one; a ``-`` in front ignores errors."""

    has_sections = False
    default_separator = " = "

    def read(self, text: str) -> Line:
        """Understand one line."""
        stripped = text.strip()
        if not stripped:
            return Line("blank")
        if stripped.startswith(("#", ";")):
            return Line("comment", stripped[1:].lstrip())
        key, equal, value = text.partition("=")
        name = key.strip().removeprefix("-").strip()
        if not equal or not name:
            # A bare "-key" takes a key out of what a pattern sets (sysctl.d(5)).
            return Line("comment") if stripped.startswith("-") and not equal else Line("error")
        return Line("option", name, value.strip(), text[: len(text) - len(value.lstrip())])

    def section_key(self, name: str) -> str:
        """Return the name itself; there are no sections."""
        return name

    def option_key(self, name: str) -> str:
        """Return the name with dots."""
        return name.replace("/", ".")

    def write(self, value: str) -> list[str]:
        """Return the value as it is."""
        return [value]


DIALECTS: dict[DialectName, Dialect] = {"oslo": Oslo(), "mysql": MySql(), "sysctl": Sysctl()}


def _without_comment(text: str) -> str:
    """Cut a MariaDB line at the first ``#`` that stands outside of quotes."""
    quote, escaped = "", False
    for position, character in enumerate(text):
        if character in _QUOTES and not escaped:
            quote = "" if quote == character else quote or character
        if character == "#" and not quote:
            return text[:position]
        escaped = bool(quote) and character == "\\" and not escaped
    return text


def _mysql_value(text: str) -> str:
    if len(text) > 1 and text[0] == text[-1] and text.startswith(_QUOTES):
        text = text[1:-1]
    return re.sub(r"\\(.)", lambda match: _MYSQL_ESCAPES.get(match[1], match[0]), text, flags=re.DOTALL)
