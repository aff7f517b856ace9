"""What a client makes in a cloud bears its mark, so that it and nothing else is found again and deleted."""

import secrets
from typing import ClassVar

from understudy.drill.probes.base import MADE_BY, ProbeSettings
from understudy.drill.probes.identity import WithToken


class Marked(WithToken):
    """A client that makes things with a name; all names of one client begin with ``mark``."""

    writes: ClassVar[bool] = True

    def __init__(self, settings: ProbeSettings) -> None:
        super().__init__(settings)
        self.mark = f"{MADE_BY}{secrets.token_hex(4)}"

    async def prepare(self) -> None:
        """Delete what drills that were cut short have left: it may count against a quota."""
        await super().prepare()
        await self.delete_all(MADE_BY)

    async def tidy(self) -> None:
        """Delete what was made, acknowledged or not."""
        await self.delete_all(self.mark)

    async def delete_all(self, mark: str) -> None:
        """Delete everything whose name begins so."""
        raise NotImplementedError
