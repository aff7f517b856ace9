"""Which of a host's apt sources an image is built from: those of the distribution itself that carry its suite.

A third party's source may be broken, or have packages that do not belong on a controller. Both formats of
sources.list(5) are read; what is kept is written in the deb822 one.
"""

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePath

_POCKETS = ("", "-updates", "-security")


@dataclass(frozen=True)
class Source:
    """One entry; ``signed_by`` is a keyring's path, an inline key as written, or empty."""

    uris: tuple[str, ...]
    suites: tuple[str, ...]
    components: tuple[str, ...]
    signed_by: str = ""

    def __str__(self) -> str:
        lines = ["Types: deb", f"URIs: {' '.join(self.uris)}", f"Suites: {' '.join(self.suites)}"]
        lines.append(f"Components: {' '.join(self.components)}")
        if self.signed_by:
            lines.append(f"Signed-By: {self.signed_by}")
        return "".join(f"{line}\n" for line in lines)


def choose(files: Mapping[str, str], suite: str, keyring: str) -> str:
    """Return the sources to build from as deb822 text; empty if there are none.

    ``files`` are the host's, content by name. Entries signed with another key than a ``keyring`` of the distribution
    count only when there are no others: then the distribution comes from a mirror that signs for itself.
    """
    carrying = []
    for name, text in files.items():
        for source in _deb822(text) if name.endswith(".sources") else _one_line(text):
            suites = tuple(each for each in source.suites if each in {suite + pocket for pocket in _POCKETS})
            if suites and "main" in source.components:
                carrying.append(Source(source.uris, suites, ("main",), source.signed_by))
    own = [
        each for each in carrying if not each.signed_by or PurePath(each.signed_by).name.startswith(keyring)
    ]
    return "\n".join(str(each) for each in own or carrying)


def _deb822(text: str) -> Iterator[Source]:
    for paragraph in _paragraphs(text):
        fields = {name.lower(): value for name, value in paragraph.items()}
        if "deb" in fields.get("types", "").split() and fields.get("enabled", "yes").lower() not in {
            "no",
            "false",
        }:
            lists = [tuple(fields.get(name, "").split()) for name in ("uris", "suites", "components")]
            yield Source(lists[0], lists[1], lists[2], fields.get("signed-by", ""))


def _paragraphs(text: str) -> Iterator[dict[str, str]]:
    paragraph: dict[str, str] = {}
    last = ""
    for line in [*text.splitlines(), ""]:
        if line.startswith("#"):
            continue
        if not line.strip():
            if paragraph:
                yield paragraph
            paragraph, last = {}, ""
        elif line[0].isspace() and last:
            paragraph[last] += f"\n{line}"
        else:
            last, _, value = line.partition(":")
            paragraph[last] = value.strip()


def _one_line(text: str) -> Iterator[Source]:
    for line in text.splitlines():
        head, opened, rest = line.partition("#")[0].partition("[")
        options, _, tail = rest.partition("]") if opened else ("", "", "")
        words = [*head.split(), *tail.split()]
        if len(words) > 2 and words[0] == "deb":
            signed_by = dict(word.partition("=")[::2] for word in shlex.split(options)).get("signed-by", "")
            yield Source((words[1],), (words[2],), tuple(words[3:]), signed_by)
