"""Progress of long work: a live line on a terminal, plain lines elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.status import Status

from understudy.cli.console import err

QUIET_SECONDS = 5
"""Away from a terminal, the same phase is told again at most this often."""


@contextmanager
def steps(title: str) -> Iterator[Callable[[str], None]]:
    """Show what is going on and for how long; give a function that is told each step."""
    begun = time.monotonic()
    if not err.is_terminal:
        yield _plain(title, begun)
        return
    with Status(f"{title} …", console=err) as status:

        def tell(text: str) -> None:
            status.update(f"{title}: {text}  [dim]{time.monotonic() - begun:.0f} s[/dim]")

        yield tell


def _plain(title: str, begun: float) -> Callable[[str], None]:
    last: list[tuple[str, float]] = []

    def tell(text: str) -> None:
        now = time.monotonic()
        head = text.split(" ", maxsplit=1)[0]
        if last and last[-1][0] == head and now - last[-1][1] < QUIET_SECONDS:
            return
        last[:] = [(head, now)]
        err.print(f"{title}: {text} ({now - begun:.0f} s)")

    return tell
