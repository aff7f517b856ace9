"""Images written through the Image API and looked for again (Image API v2)."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from understudy.drill.probes.base import NotServedError
from understudy.drill.probes.http import Answer, Request, check_status
from understudy.drill.probes.marked import Marked

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

PAGE = 100
AT_ONCE = 4
"""So many images are looked at or deleted at once: a drill of an hour writes thousands."""


class ImageWritten(Marked):
    """A small image is created and its data uploaded; it counts as written when both were acknowledged."""

    async def operate(self, number: int) -> str:
        """Write one image and return its name."""
        name = f"{self.mark}-{number}"
        described = {"name": name, "disk_format": "raw", "container_format": "bare", "visibility": "private"}
        body = json.dumps(described).encode()
        headers = {**self.headers(), "Content-Type": "application/json"}
        made = await self.call(Request("POST", "/v2/images", headers, body))
        check_status(made, self.settings)
        headers = {**self.headers(), "Content-Type": "application/octet-stream"}
        stored = await self.call(
            Request("PUT", f"/v2/images/{made.json()['id']}/file", headers, name.encode())
        )
        check_status(stored, self.settings)
        return name

    async def collect(self) -> list[str] | None:
        """Return the names of this client's images whose data is there and right."""
        there = await self._all(self.mark)
        whole = await _a_few_at_once(self._is_whole, there.items())
        return [name for name, is_whole in zip(there, whole, strict=True) if is_whole]

    async def _is_whole(self, image: tuple[str, str]) -> bool:
        name, identity = image
        answer = await self.call(Request("GET", f"/v2/images/{identity}/file", self.headers()))
        return answer.status == 200 and answer.body == name.encode()

    async def _all(self, mark: str) -> dict[str, str]:
        found: dict[str, str] = {}
        path = f"/v2/images?limit={PAGE}"
        while path:
            answer = await self.call(Request("GET", path, self.headers()))
            check_status(answer, self.settings)
            page = answer.json()
            images = [image for image in page["images"] if str(image.get("name", "")).startswith(mark)]
            found |= {image["name"]: image["id"] for image in images}
            path = page.get("next", "")
        return found

    async def delete_all(self, mark: str) -> None:
        """Delete all images whose names begin so."""
        for answer in await _a_few_at_once(self._delete, (await self._all(mark)).values()):
            if answer.status not in {204, 404}:
                raise NotServedError(f"HTTP {answer.status}")

    async def _delete(self, identity: str) -> Answer:
        return await self.call(Request("DELETE", f"/v2/images/{identity}", self.headers()))


async def _a_few_at_once(
    work: Callable[[_Item], Awaitable[_Result]], items: Iterable[_Item]
) -> list[_Result]:
    """Do something with each item, and return what came of each."""
    todo, done = list(items), list[_Result]()
    for begin in range(0, len(todo), AT_ONCE):
        done += await asyncio.gather(*map(work, todo[begin : begin + AT_ONCE]))
    return done
