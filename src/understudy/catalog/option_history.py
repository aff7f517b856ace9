"""What became of an option: the last release that had it, and what to write instead.

Curated facts stand in ``releases/successors.yaml``; where they say nothing, the option data of other releases does.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from ruamel.yaml import YAML

from understudy.catalog.option_data import (
    Option,
    normal_group,
    normal_name,
    releases_with_data,
    service_options,
)
from understudy.catalog.releases import Release, release_named


@dataclass(frozen=True)
class History:
    """What is known about an option that a release does not have."""

    last: str = ""
    """Name of the last earlier release known to have it."""
    first: str = ""
    """Name of the first later release known to have it, if no earlier one did."""
    successor: str = ""
    """What to write instead."""
    never: bool = False
    """No release of the service ever had it."""
    option: Option | None = None
    """The option that the name stood for in the last release that had it."""


def known_as_gone(service: str, group: str, name: str, release: Release) -> bool:
    """Return whether the curated facts say that the option does nothing in this release, registered or not."""
    fact = _fact_about(service, (normal_group(group), normal_name(name)))
    return bool(fact.get("never")) or ("last" in fact and release_named(fact["last"]) < release)


def history_of(service: str, group: str, name: str, release: Release) -> History:
    """Return what is known of an option that ``release`` does not have, or no longer heeds."""
    key = normal_group(group), normal_name(name)
    fact = _fact_about(service, key)
    successor = fact.get("successor", "")
    if fact.get("never"):
        return History(successor=successor, never=True)
    if "last" in fact and release_named(fact["last"]) < release:
        return History(last=fact["last"], successor=successor)
    known = [release_named(other) for other in releases_with_data()]
    for other in sorted((other for other in known if other < release), reverse=True):
        option = _in(other.name, service, key)
        if option:
            return History(last=other.name, successor=successor, option=option)
    later = (other for other in known if other > release and _in(other.name, service, key))
    return History(first=next((other.name for other in later), ""))


def _in(release: str, service: str, key: tuple[str, str]) -> Option | None:
    options = service_options(release, service)
    return options.groups.get(key[0], {}).get(key[1]) or options.old_names.get(key)


def _fact_about(service: str, key: tuple[str, str]) -> Mapping[str, Any]:
    project = service.partition("-")[0]
    for asked in (service, project, "*"):
        found = _facts().get((asked, *key))
        if found:
            return found
    return {}


@cache
def _facts() -> dict[tuple[str, str, str], Mapping[str, Any]]:
    text = (resources.files(__package__) / "releases" / "successors.yaml").read_text(encoding="utf-8")
    return {
        (service, normal_group(fact["group"]), normal_name(name)): fact
        for fact in YAML(typ="safe").load(text)
        for service in fact.get("services", ["*"])
        for name in fact["names"]
    }
