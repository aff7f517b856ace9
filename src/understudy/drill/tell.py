"""A drill in a few lines for a person (pure)."""

from collections.abc import Sequence

from understudy.drill.breakdown import Span
from understudy.drill.judge import ClientOutcome, FaultOutcome

_WORDS = {
    "detection": "detection",
    "decision": "decision",
    "fencing": "fencing",
    "stop": "stop of",
    "start": "start of",
    "client": "client's next try",
}
SHORTEST = 0.02
"""Phases below so many seconds are left out of the sentence, but for fencing."""


def closing(outcome: FaultOutcome, client: str = "") -> list[str]:
    """Return who died, who fenced it, who took over, and how long a client was without service, and why.

    Without a ``client`` it is the one that was without service for longest.
    """
    lines = [f"Died        {', '.join(outcome.died) or 'no node'}  ({outcome.label})"]
    lines += [
        f"Fenced      {span.subject}, by {span.node}{f' with {span.detail}' if span.detail else ''}"
        f" in {_seconds(span.seconds)}"
        for span in outcome.fenced
        if span.result == "ok"
    ]
    by_node: dict[str, list[str]] = {}
    for resource, node in outcome.took_over.items():
        by_node.setdefault(node, []).append(resource)
    lines += [f"Took over   {node}: {', '.join(resources)}" for node, resources in by_node.items()]
    seen = outcome.client(client) if client else outcome.worst
    return [*lines, *_without(seen)]


def _without(seen: ClientOutcome | None) -> list[str]:
    if seen is None or seen.longest is None:
        return ["Without service: nobody"]
    figures, longest = seen.figures, seen.longest
    state = "" if figures.ended else ", and still is"
    more = f", in {len(figures.outages)} outages" if len(figures.outages) > 1 else ""
    head = (
        f"Without service: client {figures.client!r} for {_seconds(figures.total)}"
        f" (at most {figures.precision:.2f} s more){more}{state}"
    )
    return [head, *(f"  {line}" for line in phase_lines(seen.phases))] if longest else [head]


def phase_lines(phases: Sequence[Span]) -> list[str]:
    """Return one line for each kind of phase and each start and stop, in order, with its share of the time."""
    shares: dict[str, float] = {}
    for span in phases:
        word = _WORDS[span.name]
        name = f"{word} {span.subject}" if span.name in {"start", "stop"} else word
        shares[name] = shares.get(name, 0.0) + (span.seconds or 0.0)
    shown = {name: share for name, share in shares.items() if share >= SHORTEST or name == _WORDS["fencing"]}
    width = max((len(name) for name in shown), default=0)
    return [f"{name:<{width}}  {_seconds(share):>8}" for name, share in shown.items()]


def _seconds(value: float | None) -> str:
    return "no end" if value is None else f"{value:.2f} s"
