"""A lossless editor of option files: it changes options, every other byte stays as it was.

It speaks oslo.config's INI, and by its dialects MariaDB's option files and sysctl.conf.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from understudy.findings import Finding, FindingsError, Place
from understudy.formats.dialects import DIALECTS, Dialect, DialectName, LineKind
from understudy.secret import Secret, reveal

# Lines end as in Python's text mode, in which oslo.config opens its files.
_LINES = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
_END = re.compile(r"(?:\r\n|\r|\n)?\Z")
_INDENT = "    "


@dataclass(frozen=True)
class _Entry:
    """A piece of the file: one line, or an option with the lines that go on with its value."""

    kind: LineKind
    raw: str
    section: str
    name: str = ""
    value: str = ""
    prefix: str = ""

    @property
    def end(self) -> str:
        """The end of its last line; empty at the end of a file without a final newline."""
        match = _END.search(self.raw)
        return match[0] if match else ""


class OptionFile:
    """An option file that is being edited.

    ``text`` is the file as it is now. Raises FindingsError (``ini-syntax``, one for each bad line) when the program
    that owns the file could not read it. Options before the first section, and those of a dialect without sections,
    are in the section ``""``. Values go in and out as the owner's parser hands them on; see ``literal`` for ``$``.
    """

    def __init__(self, text: str, dialect: DialectName = "oslo", file: str = "") -> None:
        self._dialect: Dialect = DIALECTS[dialect]
        self._entries = list(_read_once(text, dialect) or _read(text, self._dialect, file))
        self._newline = next((entry.end for entry in self._entries if entry.end), "\n")

    @property
    def text(self) -> str:
        """Return the file's text."""
        return "".join(entry.raw for entry in self._entries)

    def sections(self) -> tuple[str, ...]:
        """Return the names of the sections as they are written, in order, each spelling once."""
        return tuple(dict.fromkeys(entry.name for entry in self._entries if entry.kind == "section"))

    def options(self, section: str) -> tuple[str, ...]:
        """Return the names of the options that are set in a section, in order, each once."""
        key = self._dialect.section_key(section)
        found = (entry.name for entry in self._entries if entry.kind == "option" and entry.section == key)
        return tuple(dict.fromkeys(found))

    def get(self, section: str, option: str) -> str | None:
        """Return the value that counts, which is the last one; None when the option is not set."""
        values = self.get_all(section, option)
        return values[-1] if values else None

    def get_all(self, section: str, option: str) -> tuple[str, ...]:
        """Return all values of an option that may be repeated."""
        return tuple(self._entries[position].value for position in self._positions(section, option))

    def set(self, section: str, option: str, value: str | Secret) -> None:
        """Give an option one value, whatever it had; ValueError when it cannot be written so that it is read again."""
        self.set_all(section, option, [value])

    def set_all(self, section: str, option: str, values: Sequence[str | Secret]) -> None:
        """Give an option these values, in place where it is set.

        Otherwise behind a commented sample of the option in its section, else at the section's end; a section that is
        not there goes to the end of the file. Raises ValueError, with the file unchanged, when a name or value cannot
        be written so that its reader gets it back.
        """
        wanted = [reveal(value) for value in values]
        positions = self._positions(section, option)
        present = [self._entries[position] for position in positions]
        if [entry.value for entry in present] == wanted:
            return
        fresh = [
            self._changed(present[number], value)
            if number < len(present)
            else self._written(section, option, value)
            for number, value in enumerate(wanted)
        ]
        for position, entry in zip(positions, fresh, strict=False):
            self._entries[position] = entry
        for position in reversed(positions[len(fresh) :]):
            del self._entries[position]
        if len(fresh) > len(positions):
            place = positions[-1] + 1 if positions else self._place_for(section, option)
            self._insert(place, fresh[len(positions) :])

    def remove(self, section: str, option: str) -> None:
        """Take an option out, with all its values; nothing happens when it is not set."""
        for position in reversed(self._positions(section, option)):
            del self._entries[position]

    def _positions(self, section: str, option: str) -> list[int]:
        section_key, option_key = self._dialect.section_key(section), self._dialect.option_key(option)
        return [
            position
            for position, entry in enumerate(self._entries)
            if entry.kind == "option"
            and entry.section == section_key
            and self._dialect.option_key(entry.name) == option_key
        ]

    def _changed(self, entry: _Entry, value: str) -> _Entry:
        if entry.value == value:
            return entry
        # Behind an empty value there may be no space yet.
        prefix = entry.prefix if entry.prefix[-1:].isspace() or entry.value else f"{entry.prefix.rstrip()} "
        fresh = self._written(entry.section, entry.name, value, prefix=prefix if entry.prefix else None)
        return replace(fresh, raw=_END.sub(entry.end, fresh.raw, count=1))

    def _written(self, section: str, option: str, value: str, *, prefix: str | None = None) -> _Entry:
        """Return the entry that sets an option; ValueError unless it is read back as exactly that."""
        separator = self._dialect.default_separator
        first, *rest = self._dialect.write(value)
        lead = f"{option}{separator}" if prefix is None else prefix
        lines = [f"{lead}{first}" if first else lead.rstrip(), *(_INDENT + line for line in rest)]
        if not value and self._dialect.read(option).kind == "option":
            lines = [option]
        raw = self._newline.join(lines) + self._newline
        key = self._dialect.section_key(section)
        try:
            read = list(_read(raw, self._dialect, ""))
        except FindingsError:
            read = []
        if len(read) != 1 or (read[0].kind, read[0].name, read[0].value) != ("option", option, value):
            raise ValueError(f"{option}: this value cannot be written so that it is read back as it is")
        return replace(read[0], section=key)

    def _place_for(self, section: str, option: str) -> int:
        key = self._dialect.section_key(section)
        if not self._dialect.has_sections and key:
            raise ValueError("this kind of file has no sections")
        start = 0
        if key:
            headers = [place for place, entry in enumerate(self._entries) if entry.kind == "section"]
            own = [place for place in headers if self._entries[place].section == key]
            start = own[-1] + 1 if own else self._add_section(section)
        samples = [
            place
            for place, entry in enumerate(self._entries)
            if entry.section == key and self._is_sample(entry, option)
        ]
        return samples[-1] + 1 if samples else self._end_of_section(start)

    def _is_sample(self, entry: _Entry, option: str) -> bool:
        if entry.kind != "comment":
            return False
        line = self._dialect.read(entry.name)
        same = line.kind == "option" and self._dialect.option_key(line.name) == self._dialect.option_key(
            option
        )
        return same and "=" in line.prefix

    def _end_of_section(self, start: int) -> int:
        """Return the place behind a section's last line; a comment right above the next header belongs to that."""
        entries = self._entries
        stop = next(
            (place for place in range(start, len(entries)) if entries[place].kind == "section"), len(entries)
        )
        end = self._before(start, stop, "blank")
        if end == stop < len(entries):
            comments = self._before(start, stop, "comment")
            if comments > start and entries[comments - 1].kind == "blank":
                end = self._before(start, comments, "blank")
        return end

    def _before(self, start: int, stop: int, kind: LineKind) -> int:
        """Return where the run of entries of one kind that ends at ``stop`` begins."""
        while stop > start and self._entries[stop - 1].kind == kind:
            stop -= 1
        return stop

    def _add_section(self, name: str) -> int:
        """Add a header at the end, a blank line before it, and return the place behind it."""
        header = self._dialect.read(f"[{name}]")
        if (header.kind, header.name) != ("section", name) or "\n" in name or "\r" in name:
            raise ValueError(f"{name!r} cannot be the name of a section")
        section = self._dialect.section_key(name)
        fresh = [_Entry("section", f"[{name}]{self._newline}", section, name)]
        if self._entries and self._entries[-1].kind != "blank":
            fresh.insert(0, _Entry("blank", self._newline, self._entries[-1].section))
        self._insert(len(self._entries), fresh)
        return len(self._entries)

    def _insert(self, place: int, entries: list[_Entry]) -> None:
        if place and not self._entries[place - 1].end:
            before = self._entries[place - 1]
            self._entries[place - 1] = replace(before, raw=before.raw + self._newline)
        self._entries[place:place] = entries


def literal(value: str) -> str:
    """Return what to write so that oslo.config gives ``value`` and replaces no ``$name`` in it."""
    # A backslash in front of a dollar sign would be taken as an escape of it, so both spellings are needed.
    return value.replace("$", "\\$") if "\\$" in value else value.replace("$", "$$")


@lru_cache(maxsize=16)
def _read_once(text: str, dialect: DialectName) -> tuple[_Entry, ...]:
    """Return the entries of a file that is good: the nodes of a cloud have the same files, of thousands of lines."""
    try:
        return tuple(_read(text, DIALECTS[dialect], ""))
    except FindingsError:
        return ()  # the caller's reading tells where


def _read(text: str, dialect: Dialect, file: str) -> Iterator[_Entry]:
    findings: list[Finding] = []
    entries: list[_Entry] = []
    section = ""
    for number, raw in enumerate(_LINES.findall(text), 1):
        line = dialect.read(raw.rstrip("\r\n"))
        last = entries[-1] if entries else None
        if line.kind == "continuation" and last is not None and last.kind == "option":
            entries[-1] = replace(last, raw=last.raw + raw, value=f"{last.value}\n{line.value}")
            continue
        if line.kind in {"continuation", "error"}:
            findings.append(Finding("ini-syntax", "error", {"kind": line.kind}, Place(file, number, 1)))
            continue
        if line.kind == "section":
            section = dialect.section_key(line.name)
        entries.append(_Entry(line.kind, raw, section, line.name, line.value, line.prefix))
    if findings:
        raise FindingsError(findings)
    yield from entries
