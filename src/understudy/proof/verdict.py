"""What a verdict on a scenario consists of."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import NamedTuple

VERDICTS = ("twice", "lost", "blocked", "bystander", "restarted", "moved", "stopped", "kept")


_WORDS = (
    ("twice", {"running-twice"}),
    ("lost", {"service-lost", "address-down"}),
    ("blocked", {"blocked-after-stop-failure", "transition-stuck"}),
    ("bystander", {"bystander-interrupted"}),
)


def worst(codes: AbstractSet[str]) -> str:
    """Return the word for the worst that broke; empty where nothing did."""
    return next((word for word, signs in _WORDS if codes & signs), "")


class Violation(NamedTuple):
    """An invariant that broke in a scenario; ``object`` is the resource or node at fault."""

    code: str
    object: str
    detail: str = ""


@dataclass(frozen=True)
class Verdict:
    """What a scenario did to every service, which nodes were fenced, and what broke."""

    services: Mapping[str, str]
    fenced: tuple[str, ...]
    violations: tuple[Violation, ...]
    applied: bool = True
