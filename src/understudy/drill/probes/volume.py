"""Volumes made through the Block Storage API and looked for again (Block Storage API v3)."""

import json

from understudy.drill.probes.base import NotServedError, ProbeSettings
from understudy.drill.probes.http import Answer, Request, check_status
from understudy.drill.probes.marked import Marked

PAGE = 500
KEPT = 4
"""Volumes that a client has at a time; more are deleted, oldest first, after they were seen: a project may have ten."""
MOST = 8
"""With so many, while the volume service deletes none, nothing is ordered."""


class VolumeWritten(Marked):
    """A volume of 1 GiB is ordered; it counts as written when the API has taken the order.

    It is looked for before it is deleted, in the course of things or at the end.
    """

    def __init__(self, settings: ProbeSettings) -> None:
        super().__init__(settings)
        self._seen: set[str] = set()

    async def operate(self, number: int) -> str:
        """Order one volume and return its name; empty when there are enough."""
        there = await self._all(self.mark)
        for name, identity in sorted(there.items(), key=_age)[: max(0, len(there) - KEPT + 1)]:
            # Beforehand: an order to delete that is not answered in time may be carried out.
            self._seen.add(name)
            await self._delete(identity)
        if len(there) >= MOST:
            return ""
        name = f"{self.mark}-{number}"
        check_status(await self._post("/v3/volumes", {"volume": {"name": name, "size": 1}}), self.settings)
        return name

    async def _post(self, path: str, content: object) -> Answer:
        headers = {**self.headers(), "Content-Type": "application/json"}
        return await self.call(Request("POST", path, headers, json.dumps(content).encode()))

    async def collect(self) -> list[str] | None:
        """Return the names of this client's volumes, and of those that were there before they were deleted."""
        return [*self._seen, *await self._all(self.mark)]

    async def _all(self, mark: str) -> dict[str, str]:
        answer = await self.call(Request("GET", f"/v3/volumes?limit={PAGE}", self.headers()))
        check_status(answer, self.settings)
        volumes = [one for one in answer.json()["volumes"] if str(one["name"]).startswith(mark)]
        return {one["name"]: one["id"] for one in volumes}

    async def delete_all(self, mark: str) -> None:
        """Delete all volumes whose names begin so, whatever became of them."""
        for identity in (await self._all(mark)).values():
            await self._delete(identity)

    async def _delete(self, identity: str) -> None:
        answer = await self._post(f"/v3/volumes/{identity}/action", {"os-force_delete": {}})
        if answer.status not in {202, 404}:
            raise NotServedError(f"HTTP {answer.status}")


def _age(volume: tuple[str, str]) -> int:
    return int(volume[0].rpartition("-")[2])
