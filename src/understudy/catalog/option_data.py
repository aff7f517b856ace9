"""The option data of a release as ``tools/option_metadata.py`` wrote it, read into objects."""

import fnmatch
import json
import lzma
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any, Literal

from understudy.catalog.releases import release_named, releases

Source = Literal["generator", "source", "none"]
"""The release's own generator, a reading of its source code (which may miss some options), or nothing."""

ANY_GROUP = "*"


@dataclass(frozen=True)
class Option:
    """One option of a service in a release."""

    group: str
    name: str
    """As it is written in a file, with underscores."""
    type: str = "string"
    """oslo.config's own word: string, integer, boolean, floating point, port, list, dict, host address, uri, ..."""
    default: object = None
    """None if there is none, if it is long, or if it depends on the machine."""
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    multi: bool = False
    """May stand in a file several times."""
    deprecated_names: tuple[tuple[str, str], ...] = ()
    """Old (group, name) pairs under which the release still reads it."""
    for_removal: bool = False
    secret: bool = False
    mutable: bool = False


@dataclass(frozen=True)
class Dynamic:
    """Groups that an operator names: by the option at (group, option), or ``groups`` that are always there."""

    like: tuple[str, ...]
    """Patterns of the groups whose options they take; where no group matches, those of DEFAULT."""
    group: str = ""
    option: str = ""
    groups: tuple[str, ...] = ()


@dataclass(frozen=True)
class ServiceOptions:
    """What a service's option file may hold in a release: normalised group -> name -> option."""

    source: Source
    groups: Mapping[str, Mapping[str, Option]] = field(default_factory=dict)
    old_names: Mapping[tuple[str, str], Option] = field(default_factory=dict)
    dynamic: tuple[Dynamic, ...] = ()


def normal_group(group: str) -> str:
    """Return the group as oslo.config compares it: in lower case, but for DEFAULT, which is upper case only."""
    return group if group == "DEFAULT" else group.lower()


def normal_name(name: str) -> str:
    """Return the name as it stands in a file."""
    return name.replace("-", "_")


def releases_with_data() -> tuple[str, ...]:
    """Return the names of the releases whose options are known, oldest first."""
    return tuple(release.name for release in releases() if _path(release.name).is_file())


def services_with_data(release: str) -> tuple[str, ...]:
    """Return the services whose options are known in a release."""
    document = _document(release)
    return tuple(document["services"]) if document else ()


@cache
def service_options(release: str, service: str) -> ServiceOptions:
    """Return the options of a service; ``source`` is ``none`` if they are not known.

    A process takes the options of its project: ``glance-api`` those of ``glance``, unless it has some of its own.
    """
    document = _document(release)
    key = _service_key(document, service) if document else None
    if document is None or key is None:
        return ServiceOptions("none")
    entry = document["services"][key]
    groups: dict[str, dict[str, Option]] = {}
    kinds: set[Source] = set()
    anywhere: list[Option] = []
    for name in entry["sets"]:
        found = document["sets"][name]
        kinds.add(found["kind"])
        for group, options in found["options"].items():
            read = [_option(group, option_name, data) for option_name, data in options.items()]
            if group == ANY_GROUP:
                anywhere += read
            else:
                known = groups.setdefault(
                    normal_group(group), {}
                )  # the service's own set stands first, and wins
                known.update((option.name, option) for option in read if option.name not in known)
    for group, options in groups.items():
        if {"auth_type", "auth_plugin"} & options.keys():
            _add_plugin_options(group, options, anywhere)
    dynamic = [
        Dynamic(tuple(d["like"]), group=d["group"], option=d["option"]) for d in entry.get("dynamic", ())
    ]
    dynamic += [Dynamic(tuple(d["like"]), groups=tuple(d["groups"])) for d in entry.get("reserved", ())]
    old: dict[tuple[str, str], Option] = {}
    for options in groups.values():
        for option in options.values():
            for group, name in option.deprecated_names:
                old.setdefault((normal_group(group), name), option)
    return ServiceOptions("source" if "source" in kinds else "generator", groups, old, tuple(dynamic))


def options_like(groups: Mapping[str, Mapping[str, Option]], patterns: tuple[str, ...]) -> dict[str, Option]:
    """Return the options of all groups that match one of the patterns, or of DEFAULT where none does."""
    matching = [name for name in groups if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)]
    return {key: option for name in matching or ["DEFAULT"] for key, option in groups.get(name, {}).items()}


def _add_plugin_options(group: str, options: dict[str, Option], plugins: list[Option]) -> None:
    for plugin_option in plugins:
        old = tuple((group, name) for _group, name in plugin_option.deprecated_names)
        options.setdefault(
            plugin_option.name,
            Option(group, plugin_option.name, secret=plugin_option.secret, deprecated_names=old),
        )


def _service_key(document: Mapping[str, Any], service: str) -> str | None:
    parts = service.split("-")
    candidates = ["-".join(parts[:length]) for length in range(len(parts), 0, -1)]
    if parts[0] in {"neutron", "quantum"}:  # one project under two names
        other = "quantum" if parts[0] == "neutron" else "neutron"
        candidates += [candidate.replace(parts[0], other, 1) for candidate in candidates]
    return next((candidate for candidate in candidates if candidate in document["services"]), None)


def _option(group: str, name: str, data: Mapping[str, Any]) -> Option:
    return Option(
        group=group,
        name=name,
        type=data.get("type", "string"),
        default=data.get("default"),
        choices=tuple(data.get("choices", ())),
        minimum=data.get("min"),
        maximum=data.get("max"),
        multi=data.get("multi", False),
        deprecated_names=tuple((old_group, old_name) for old_group, old_name in data.get("deprecated", ())),
        for_removal=data.get("removal", False),
        secret=data.get("secret", False),
        mutable=data.get("mutable", False),
    )


def _path(release: str) -> Any:  # noqa: ANN401 - Traversable moved between modules after Python 3.11
    return resources.files(__package__) / "releases" / "options" / f"{release}.json.xz"


@cache
def _document(release: str) -> Mapping[str, Any] | None:
    path = _path(release_named(release).name)
    if not path.is_file():
        return None
    document: Mapping[str, Any] = json.loads(lzma.decompress(path.read_bytes()))
    return document
