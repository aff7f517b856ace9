"""Releases that can be compared, and ranges of them; the facts stand in ``releases.yaml``."""

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cache, total_ordering
from importlib import resources

from ruamel.yaml import YAML

RANGE = ".."


class UnknownReleaseError(ValueError):
    """No release has this name; ``nearest`` is the name that was probably meant, or empty."""

    def __init__(self, name: str, nearest: str) -> None:
        self.name = name
        self.nearest = nearest
        super().__init__(f"unknown OpenStack release {name!r}")


@total_ordering
@dataclass(frozen=True, eq=False)
class Release:
    """An OpenStack release; an earlier release is less than a later one."""

    name: str
    """The name to use: the code name up to Zed, the number (``2025.1``) from then on, as OpenStack itself does."""
    index: int
    """The place in the order of releases."""
    date: date
    """Day of the first release; in the future for one that is being made."""
    aliases: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    """Service to what its version numbers of this release begin with."""

    def __str__(self) -> str:
        return self.name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Release) and self.index == other.index

    def __hash__(self) -> int:
        return hash(self.index)

    def __lt__(self, other: "Release") -> bool:
        return self.index < other.index


@dataclass(frozen=True)
class ReleaseRange:
    """All releases from ``first`` to ``last``, both included."""

    first: Release
    last: Release

    def __contains__(self, release: Release) -> bool:
        return self.first <= release <= self.last

    def __iter__(self) -> Iterator[Release]:
        return iter(releases()[self.first.index : self.last.index + 1])

    def __str__(self) -> str:
        return self.first.name if self.first == self.last else f"{self.first}{RANGE}{self.last}"


def releases() -> tuple[Release, ...]:
    """Return all releases, oldest first."""
    return _facts()[0]


def release_named(name: str) -> Release:
    """Return the release of this name or alias, in any letter case.

    Raises ``UnknownReleaseError``, which knows the nearest name.
    """
    found = _by_name().get(name.strip().lower())
    if found is None:
        raise UnknownReleaseError(name, nearest_release(name))
    return found


def nearest_release(name: str) -> str:
    """Return the known name that is most like this one, or an empty string."""
    return next(iter(difflib.get_close_matches(name.strip().lower(), _by_name(), n=1, cutoff=0.6)), "")


def release_range(text: str) -> ReleaseRange:
    """Read a range: ``folsom..grizzly``, ``queens..``, ``..mitaka``, ``..`` (all) or the name of one release.

    Raises ``UnknownReleaseError`` for an unknown end and ``ValueError`` for ends in the wrong order.
    """
    first, dots, last = (part.strip() for part in text.partition(RANGE))
    if not dots:
        return ReleaseRange(release_named(first), release_named(first))
    found = ReleaseRange(
        release_named(first) if first else releases()[0], release_named(last) if last else releases()[-1]
    )
    if found.last < found.first:
        raise ValueError(f"{text}: {found.first} came after {found.last}")
    return found


def releases_of_distribution(distribution: str) -> Mapping[str, tuple[Release, ...]]:
    """Return archive name to the releases in it for a distribution such as ``debian-12``; empty if none is known.

    ``archive`` is the distribution's own; ``cloud-archive`` is Ubuntu's for later releases on the same distribution.
    """
    return _facts()[1].get(distribution, {})


@cache
def _by_name() -> dict[str, Release]:
    return {name: release for release in releases() for name in (release.name, *release.aliases)}


@cache
def _facts() -> tuple[tuple[Release, ...], dict[str, dict[str, tuple[Release, ...]]]]:
    text = (resources.files(__package__) / "releases.yaml").read_text(encoding="utf-8")
    data = YAML(typ="safe").load(text)
    known = tuple(
        Release(entry["name"], index, entry["date"], tuple(entry.get("aliases", ())), entry["versions"])
        for index, entry in enumerate(data["releases"])
    )
    by_name = {release.name: release for release in known}
    carried = {
        distribution: {archive: tuple(by_name[name] for name in names) for archive, names in archives.items()}
        for distribution, archives in data["distributions"].items()
    }
    return known, carried
