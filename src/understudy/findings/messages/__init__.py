"""The prose of every finding: one YAML file a domain, one entry a code."""

from functools import cache
from importlib import resources

from ruamel.yaml import YAML

from understudy.findings.model import Finding


@cache
def _entries() -> dict[str, dict[str, str]]:
    entries: dict[str, dict[str, str]] = {}
    for source in sorted(resources.files(__package__).iterdir(), key=lambda item: item.name):
        if source.name.endswith(".yaml"):
            own = YAML(typ="safe").load(source.read_text(encoding="utf-8"))
            if twice := entries.keys() & own.keys():
                raise ValueError(f"{source.name}: codes that stand elsewhere too: {', '.join(sorted(twice))}")
            entries.update(own)
    return entries


def known_codes() -> frozenset[str]:
    """Return every code that has a message."""
    return frozenset(_entries())


def message_for(finding: Finding) -> str:
    """Return the sentence that says what is wrong."""
    return _filled(finding, "message")


def advice_for(finding: Finding) -> str:
    """Return what to write or do instead; empty where nothing helps beyond the message."""
    return _filled(finding, "advice")


def _filled(finding: Finding, part: str) -> str:
    template = _entries()[finding.code].get(part, "")
    return template.format_map({**finding.values, "subject": finding.subject})
