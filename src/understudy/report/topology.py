"""Nodes and what runs on them as a picture (pure SVG)."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from html import escape

WIDTH, GAP, LINE, TOP = 170, 18, 19, 74


def topology(
    nodes: Sequence[str],
    running: Mapping[str, Sequence[str]],
    away: Collection[str],
    addresses: Mapping[str, str],
    title: str,
) -> str:
    """Return an SVG: a box a node with its resources, crossed out when it is away; clients above.

    ``addresses`` maps address resources to what they are, such as ``203.0.113.103``; who runs one is where clients go.
    """
    most = max((len(running.get(node, ())) for node in nodes), default=0)
    height = TOP + 34 + LINE * max(most, 1) + 10
    width = len(nodes) * (WIDTH + GAP) + GAP
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    middle = width / 2
    parts = [
        f'<svg {size} role="img" aria-label="{escape(title)}">',
        f'<g class="clients"><rect x="{middle - 45}" y="4" width="90" height="26" rx="13"/>',
        f'<text x="{middle}" y="21" text-anchor="middle">clients</text></g>',
    ]
    for index, node in enumerate(nodes):
        left = GAP + index * (WIDTH + GAP)
        mine = list(running.get(node, ()))
        if any(name in addresses for name in mine) and node not in away:
            to = left + WIDTH / 2
            parts.append(f'<path class="way" d="M{middle} 30 C {middle} 52, {to} 48, {to} {TOP - 3}"/>')
        state = "away" if node in away else "on" if mine else "idle"
        box = f'x="{left}" y="{TOP}" width="{WIDTH}" height="{height - TOP - 6}"'
        parts.append(f'<g class="node {state}"><rect {box} rx="7"/>')
        parts += _words(node, left, [(name in addresses, addresses.get(name, name)) for name in mine])
        if node in away:
            parts.append(
                f'<text class="gone" x="{left + WIDTH - 10}" y="{TOP + 20}" text-anchor="end">lost</text>'
            )
        parts.append("</g>")
    return "".join([*parts, "</svg>"])


def _words(node: str, left: float, entries: Sequence[tuple[bool, str]]) -> Iterator[str]:
    yield f'<text class="name" x="{left + 10}" y="{TOP + 20}">{escape(node)}</text>'
    for number, (is_address, words) in enumerate(entries):
        kind = "address" if is_address else "resource"
        yield f'<text class="{kind}" x="{left + 14}" y="{TOP + 42 + number * LINE}">{escape(words)}</text>'
