"""Authenticated calls, as users make them: a token from Keystone v3, a list with it.

Parameters: ``user``, ``password``, ``project``, ``domain`` (of both, by name); for a list also ``identity_address``,
``identity_port`` and ``path``.
"""

import asyncio
import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from understudy.drill.probes.base import NotServedError, Probe, ProbeSettings
from understudy.drill.probes.http import Answer, Request, ask, check_status

RENEW_SECONDS = 600
RETRY_SECONDS = 1.0
LOGIN_SECONDS = 10


def token_request(settings: ProbeSettings) -> Request:
    """Return the request for a token scoped to a project (Identity API v3, "Password authentication")."""
    domain = {"name": settings.text("domain", "Default")}
    user = {"name": settings.text("user"), "domain": domain, "password": settings.text("password")}
    scope = {"project": {"name": settings.text("project"), "domain": domain}}
    return _request({"methods": ["password"], "password": {"user": user}}, scope)


def _request(methods: Mapping[str, Any], scope: Mapping[str, Any]) -> Request:
    body = json.dumps({"auth": {"identity": methods, "scope": scope}}).encode()
    return Request("POST", "/v3/auth/tokens", {"Content-Type": "application/json"}, body)


def _token_of(answer: Answer) -> str:
    token = answer.headers.get("x-subject-token", "")
    if answer.status != 201 or not token:
        raise NotServedError(f"HTTP {answer.status}")
    return token


class WithToken(Probe):
    """A call with a token, fetched beforehand and anew in the background: only the call is measured."""

    def __init__(self, settings: ProbeSettings) -> None:
        super().__init__(settings)
        self._token = ""
        self._refused = asyncio.Event()
        self._renewing: asyncio.Task[None] | None = None

    async def prepare(self) -> None:
        """Log in; what fails now is tried again in the background."""
        if self._renewing is None:
            self._renewing = asyncio.create_task(self._renew())
        self._token = await self._login()

    async def _login(self) -> str:
        place = self.settings
        port = int(place.parameters.get("identity_port", 5000))
        answer = await ask(place, token_request(place), port, place.text("identity_address", place.address))
        return _token_of(answer)

    async def _renew(self) -> None:
        """Log in anew from time to time, and soon after a token was refused."""
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._refused.wait(), RENEW_SECONDS)
            self._refused.clear()
            try:
                async with asyncio.timeout(LOGIN_SECONDS):
                    self._token = await self._login()
            except (OSError, NotServedError):
                self._refused.set()  # the token in hand serves on meanwhile
                await asyncio.sleep(RETRY_SECONDS)

    async def call(self, request: Request) -> Answer:
        """Send a request with the token. Raises NotServedError when there is none or it is not taken."""
        if not self._token:
            self._refused.set()
            raise NotServedError("no token")
        answer = await ask(self.settings, request)
        if answer.status == 401:
            self._refused.set()
        return answer

    @property
    def token(self) -> str:
        """The token in hand."""
        return self._token

    def headers(self) -> dict[str, str]:
        """Return the header that carries the token."""
        return {"X-Auth-Token": self._token}


class ListWithToken(WithToken):
    """A list (of images, networks, volumes, servers) is returned to an authenticated user."""

    async def operate(self, number: int) -> str:
        """Ask for one list."""
        del number
        answer = await self.call(Request("GET", self.settings.text("path", "/"), self.headers()))
        check_status(answer, self.settings)
        answer.json()
        return ""


class TokenIssued(WithToken):
    """A token is issued for a token: with a password each one would cost the server a slow hash on purpose."""

    async def operate(self, number: int) -> str:
        """Ask for one token."""
        del number
        domain = {"name": self.settings.text("domain", "Default")}
        scope = {"project": {"name": self.settings.text("project"), "domain": domain}}
        methods = {"methods": ["token"], "token": {"id": self.token}}
        _token_of(await self.call(_request(methods, scope)))
        return ""
