"""Images written through the Image API and looked for again (Image API v2)."""

import asyncio
import json
import secrets

from understudy.drill.probes.base import NotServedError, ProbeSettings
from understudy.drill.probes.http import Request, check_status
from understudy.drill.probes.identity import WithToken

PAGE = 100
AT_ONCE = 4
"""So many images are looked at or deleted at once: a drill of an hour writes thousands."""


class ImageWritten(WithToken):
    """A small image is created and its data uploaded; it counts as written when both were acknowledged."""

    writes = True

    def __init__(self, settings: ProbeSettings) -> None:
        super().__init__(settings)
        self._mark = f"understudy-drill-{secrets.token_hex(4)}"

    async def operate(self, number: int) -> str:
        """Write one image and return its name."""
        name = f"{self._mark}-{number}"
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
        found = list((await self._all()).items())
        whole: list[str] = []
        for begin in range(0, len(found), AT_ONCE):
            some = found[begin : begin + AT_ONCE]
            looked = await asyncio.gather(*(self._is_whole(*one) for one in some))
            whole += [name for (name, _), is_whole in zip(some, looked, strict=True) if is_whole]
        return whole

    async def _is_whole(self, name: str, identity: str) -> bool:
        answer = await self.call(Request("GET", f"/v2/images/{identity}/file", self.headers()))
        return answer.status == 200 and answer.body == name.encode()

    async def _all(self) -> dict[str, str]:
        found: dict[str, str] = {}
        path = f"/v2/images?limit={PAGE}"
        while path:
            answer = await self.call(Request("GET", path, self.headers()))
            check_status(answer, self.settings)
            page = answer.json()
            images = [image for image in page["images"] if str(image.get("name", "")).startswith(self._mark)]
            found |= {image["name"]: image["id"] for image in images}
            path = page.get("next", "")
        return found

    async def tidy(self) -> None:
        """Delete what was written, acknowledged or not."""
        identities = list((await self._all()).values())
        for begin in range(0, len(identities), AT_ONCE):
            some = identities[begin : begin + AT_ONCE]
            gone = [self.call(Request("DELETE", f"/v2/images/{one}", self.headers())) for one in some]
            for answer in await asyncio.gather(*gone):
                if answer.status not in {204, 404}:
                    raise NotServedError(f"HTTP {answer.status}")
