"""Which options a service knows in a release, and what is wrong with one that it is given (pure)."""

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from understudy.catalog.option_data import (
    Option,
    ServiceOptions,
    Source,
    normal_group,
    normal_name,
    options_like,
    service_options,
)
from understudy.catalog.option_history import History, history_of, known_as_gone
from understudy.catalog.option_types import expected, fits, fits_but_for_case
from understudy.catalog.releases import Release, release_named
from understudy.findings import Finding, Place, Severity

NEAREST = 3


class Setting(NamedTuple):
    """An option as somebody wrote it."""

    group: str
    name: str
    value: str
    place: Place | None = None


@dataclass(frozen=True)
class OptionSet:
    """The options that one service's files may hold in one release."""

    release: Release
    service: str
    options: ServiceOptions
    declared: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Groups that the operator's own settings name, such as Cinder's back ends, and the groups they are like."""

    @property
    def source(self) -> Source:
        """Return where the data comes from."""
        return self.options.source

    def declaring(self, settings: Iterable[Setting]) -> "OptionSet":
        """Return the set with the groups that these settings declare, such as those of ``enabled_backends``.

        Glance writes ``name:type``, Cinder and Manila ``name``; both are read.
        """
        values = {(normal_group(item.group), normal_name(item.name)): item.value for item in settings}
        found = dict(self.declared)
        for dynamic in self.options.dynamic:
            named = values.get((dynamic.group, dynamic.option), "").split(",")
            groups = (*dynamic.groups, *(item.partition(":")[0].strip() for item in named))
            found.update((normal_group(group), dynamic.like) for group in groups if group)
        return replace(self, declared=found)

    def lookup(self, group: str, name: str) -> Option | None:
        """Return the option of this name, current or old; dashes and underscores are the same, as is a group's case."""
        key = normal_group(group), normal_name(name)
        found = self._current(*key)
        return found or self.options.old_names.get(key)

    def check(self, setting: Setting, subject: str = "") -> tuple[Finding, ...]:
        """Return what is wrong with one setting; nothing if it will do what it says.

        A set without data gives the note ``option-unchecked``. ``subject`` names the file or object at fault.
        """
        return tuple(
            replace(finding, place=setting.place, subject=subject) for finding in self._findings(setting)
        )

    def check_all(self, settings: Iterable[Setting], subject: str = "") -> tuple[Finding, ...]:
        """Return what is wrong with the settings of one file or service, groups that they declare included."""
        every = tuple(settings)
        if self.source == "none":
            return (replace(self._finding("option-unchecked", "note"), subject=subject),) if every else ()
        widened = self.declaring(every)
        return tuple(finding for setting in every for finding in widened.check(setting, subject))

    def _current(self, group: str, name: str) -> Option | None:
        found = self.options.groups.get(group, {}).get(name)
        if found is None and group in self.declared:
            found = options_like(self.options.groups, self.declared[group]).get(name)
        return found

    def _findings(self, setting: Setting) -> Iterator[Finding]:
        if self.source == "none":
            yield self._finding("option-unchecked", "note")
            return
        group, name = normal_group(setting.group), setting.name
        option = self.lookup(group, name)
        if option is None or known_as_gone(self.service, group, name, self.release):
            yield self._unknown(setting)
            return
        if name != normal_name(name):  # oslo.config looks for underscores only
            yield self._finding("option-unknown", "error", setting, nearest=f"[{option.group}] {option.name}")
            return
        if self._current(group, name) is None:
            successor = f"[{option.group}] {option.name}"
            yield self._finding("option-deprecated", "warning", setting, successor=successor)
        if option.for_removal:
            yield self._finding("option-for-removal", "note", setting)
        if not fits(option, setting.value):
            severity: Severity = "warning" if fits_but_for_case(option, setting.value) else "error"
            value = "(secret)" if option.secret else setting.value
            yield self._finding(
                "option-wrong-type", severity, setting, value=value, expected=expected(option)
            )

    def _unknown(self, setting: Setting) -> Finding:
        past = history_of(self.service, setting.group, setting.name, self.release)
        instead = past.successor or self._successor_by_alias(past) or "nothing"
        if past.never:
            return self._finding("option-never-existed", "error", setting, successor=instead)
        # Data from a reading of the source may lack an option; what only looks unknown must not stop anybody.
        severity: Severity = "warning" if self.source == "source" else "error"
        if past.last:
            certain: Severity = "error" if past.successor else severity
            return self._finding("option-removed", certain, setting, last=past.last, successor=instead)
        if past.first:
            return self._finding("option-not-yet", severity, setting, first=past.first)
        nearest = ", ".join(self.nearest(setting.group, setting.name)) or "nothing like it"
        return self._finding("option-unknown", severity, setting, nearest=nearest)

    def _successor_by_alias(self, past: History) -> str:
        option = past.option
        current = self.lookup(option.group, option.name) if option else None
        return f"[{current.group}] {current.name}" if current else ""

    def nearest(self, group: str, name: str) -> list[str]:
        """Return up to three options that were probably meant, as ``[group] name``: spelling first, then place."""
        group, name = normal_group(group), normal_name(name)
        here = dict(self.options.groups.get(group, {}))
        if group in self.declared:
            here |= options_like(self.options.groups, self.declared[group])
        spelt = [
            f"[{group}] {close}" for close in difflib.get_close_matches(name, here, n=NEAREST, cutoff=0.75)
        ]
        elsewhere = [key for key, options in self.options.groups.items() if name in options]
        likely = sorted(elsewhere, key=lambda key: (-difflib.SequenceMatcher(None, key, group).ratio(), key))
        placed = [
            f"[{options[name].group}] {name}" for key in likely if (options := self.options.groups[key])
        ]
        return [*spelt, *placed][:NEAREST]

    def _finding(
        self, code: str, severity: Severity, setting: Setting | None = None, **values: object
    ) -> Finding:
        named = {"group": setting.group, "name": setting.name} if setting else {}
        return Finding(
            code, severity, {"service": self.service, "release": self.release.name, **named, **values}
        )


def option_set(release: Release | str, service: str) -> OptionSet:
    """Return the options of a service (a project, or one of its processes) in a release.

    Raises ``UnknownReleaseError`` for a release that does not exist; a release or service without data gives a set
    whose ``source`` is ``none``.
    """
    known = release if isinstance(release, Release) else release_named(release)
    return OptionSet(known, service, service_options(known.name, service)).declaring(())
