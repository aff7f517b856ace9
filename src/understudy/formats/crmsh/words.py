"""crmsh text as statements of words, each word with its place."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from understudy.findings import Finding, Place, Severity

_PIECE = re.compile(
    r"""(?P<space>\s+)|"(?P<quoted>(?:\\.|[^"\\])*)"|'(?P<single>[^']*)'|\\(?P<escaped>.)"""
    r"""|(?P<plain>[^\s"'\\]+)|(?P<open>["'])"""
)
_CONTINUES = re.compile(r"\\[ \t\r]*\Z")


@dataclass(frozen=True)
class Word:
    """A word without its quotes; line and column count from 1."""

    text: str
    line: int
    column: int

    @property
    def pair(self) -> tuple[str, str] | None:
        """The two sides of ``name=value``, None when it is none."""
        name, equal, value = self.text.partition("=")
        return (name, value) if equal and name else None


class NotUnderstood(Exception):  # noqa: N818 - it is how a statement is given up, not a failure of the program
    """A statement that cannot be read; ``word`` is where reading stopped."""

    def __init__(self, code: str, word: Word, severity: Severity = "error", **values: object) -> None:
        super().__init__(code)
        self.code, self.word, self.severity, self.values = code, word, severity, values

    def finding(self, file: str) -> Finding:
        """Return the finding."""
        return Finding(self.code, self.severity, self.values, Place(file, self.word.line, self.word.column))


class Words:
    """The words of a statement, read from left to right."""

    def __init__(self, words: list[Word]) -> None:
        self._words = words
        self._next = 0

    @property
    def last(self) -> Word:
        """The word taken last; the first one before anything was taken."""
        return self._words[max(self._next - 1, 0)]

    def peek(self) -> Word | None:
        """Return the next word without taking it, None at the end."""
        return self._words[self._next] if self._next < len(self._words) else None

    def take(self, expected: str) -> Word:
        """Take the next word; ``expected`` says what it should be, for the finding when there is none."""
        word = self.peek()
        if word is None:
            raise NotUnderstood("crmsh-syntax", self.last, reason=f"{expected} is missing")
        self._next += 1
        return word

    def take_if(self, *texts: str) -> Word | None:
        """Take the next word if it is one of these."""
        word = self.peek()
        return self.take("") if word is not None and word.text in texts else None

    def take_head(self) -> Word | None:
        """Take the next word if it ends with a colon, and return it without."""
        word = self.peek()
        if word is None or not word.text.endswith(":") or word.pair:
            return None
        self._next += 1
        return Word(word.text[:-1], word.line, word.column)

    def take_pair(self) -> tuple[Word, str, str] | None:
        """Take the next word if it is ``name=value``."""
        word = self.peek()
        if word is None or word.pair is None:
            return None
        self._next += 1
        return (word, *word.pair)

    def rest(self) -> list[Word]:
        """Take all words that are left."""
        words = self._words[self._next :]
        self._next = len(self._words)
        return words


def statements(text: str) -> Iterator[Words | NotUnderstood]:
    """Give the statements: lines without comments, joined where a backslash ends a line."""
    words: list[Word] = []
    problem: NotUnderstood | None = None
    for number, line in enumerate(text.split("\n"), 1):
        if not words and line.lstrip().startswith("#"):
            continue
        continues = _CONTINUES.search(line)
        try:
            words += _words(line[: continues.start()] if continues else line, number)
        except NotUnderstood as found:
            problem = problem or found
        if not continues:
            if problem or words:
                yield problem or Words(words)
            words, problem = [], None
    if problem or words:
        yield problem or Words(words)


def _words(line: str, number: int) -> list[Word]:
    """Split a line as a POSIX shell does, without expanding anything."""
    words: list[Word] = []
    text, start = "", -1
    for match in _PIECE.finditer(f"{line} "):
        if match["open"]:
            place = Word(text, number, match.start() + 1)
            raise NotUnderstood("crmsh-syntax", place, reason="a quotation mark is not closed")
        if match["space"]:
            if start >= 0:
                words.append(Word(text, number, start + 1))
            text, start = "", -1
            continue
        start = match.start() if start < 0 else start
        quoted = match["quoted"]
        text += match["plain"] or match["single"] or match["escaped"] or ""
        text += re.sub(r'\\(["\\])', r"\1", quoted) if quoted else ""
    return words
