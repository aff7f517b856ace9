"""The authenticated request: a token from Keystone v3, kept until shortly before it expires, then a GET of the API."""

from __future__ import annotations

import os
import time

from . import http, net, processes
from .config import join_address
from .dependencies import identity_section, identity_target, identity_url

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .ocf import Deadline
    from .service import Service

SPARE = 120.0
"""Seconds before its expiry from which on a token is no longer used."""
RETRY_AFTER = 1.0


class Credentials:
    """Who the agent is to Keystone; the v2.0 word tenant means project."""

    def __init__(self, root: str, user: str, password: str, project: str, domains: tuple[str, str]) -> None:
        self.root = root
        self.user = user
        self._password = password
        self.project = project
        self.user_domain, self.project_domain = domains

    def key(self) -> str:
        """Return what makes a kept token one of these credentials; the password is no part of it."""
        return f"{self.root}\t{self.user}\t{self.user_domain}\t{self.project}\t{self.project_domain}"

    def request(self) -> bytes:
        """Return the body of a request for a token (Identity API v3, password authentication with scope)."""
        import json

        user = {"name": self.user, "domain": {"name": self.user_domain}, "password": self._password}
        project = {"name": self.project, "domain": {"name": self.project_domain}}
        identity = {"methods": ["password"], "password": {"user": user}}
        return json.dumps({"auth": {"identity": identity, "scope": {"project": project}}}).encode()


def credentials(service: Service, *, own: bool) -> Credentials | None:
    """Return the credentials that the resource gives, or, if ``own``, those in the service's own option file."""
    root = _own_root(service) or identity_url(service)
    given = [service.given(name) for name in ("os_username", "os_password", "os_tenant_name")]
    if root and all(given):
        domains = [service.given(f"os_{kind}_domain_name") or "Default" for kind in ("user", "project")]
        return Credentials(root, given[0], given[1], given[2], (domains[0], domains[1]))
    section = identity_section(service)
    if not (own and root and section):
        return None
    options = service.configuration
    section = options.get(section, "auth_section") or section
    user = options.get(section, "username") or options.get(section, "admin_user")
    password = options.get(section, "password") or options.get(section, "admin_password")
    project = options.get(section, "project_name") or options.get(section, "admin_tenant_name")
    if not (user and password and project):
        return None
    domains = [options.get(section, f"{kind}_domain_name") or "Default" for kind in ("user", "project")]
    return Credentials(root, user, password, project, (domains[0], domains[1]))


def _own_root(service: Service) -> str:
    """Return the root of the service itself where it is the one that issues tokens."""
    if not service.data.get("api", {}).get("issues_tokens"):
        return ""
    host, port, secure = service.target()
    return f"{'https' if secure else 'http'}://{join_address(host, port)}"


class Token:
    """A token and the id of the project that it is for."""

    def __init__(self, value: str, project: str, expires: float) -> None:
        self.value = value
        self.project = project
        self.expires = expires


def request(service: Service, who: Credentials, deadline: Deadline) -> int:
    """GET the API as ``who`` and return the status. A token that is not taken is replaced once."""
    return ask_with_token(service, who, service.target(), str(service.data["api"]["path"]), deadline).status


def ask_with_token(
    service: Service, who: Credentials, target: tuple[str, int, bool], path: str, deadline: Deadline
) -> http.Answer:
    """GET a path, in which ``{project}`` stands for the project's id. A token that is not taken is replaced once."""
    cache = service.state_file("token")
    token = _kept(cache, who)
    fresh = token is None
    if token is None:
        token = _issue(cache, who, deadline)
    answer = _get(target, path, token, deadline)
    if answer.status == 401 and not fresh:
        processes.remove(cache)
        answer = _get(target, path, _issue(cache, who, deadline), deadline)
    return answer


def _get(target: tuple[str, int, bool], path: str, token: Token, deadline: Deadline) -> http.Answer:
    path = path.replace("{project}", token.project)
    try:
        return http.ask(target, path, deadline, {"X-Auth-Token": token.value})
    except net.NoAnswer as error:
        raise ApiError(f"GET {path}: {error.text}") from None


class ApiError(Exception):
    """The API itself gave no answer."""


class TokenError(Exception):
    """Keystone gave no token; ``refused`` tells that it answers and does not want to."""

    def __init__(self, text: str, *, refused: bool) -> None:
        super().__init__(text)
        self.refused = refused


def _issue(cache: str, who: Credentials, deadline: Deadline) -> Token:
    import json
    from datetime import datetime

    target, path = identity_target(who.root)
    try:
        answer = http.ask(
            target, f"{path}/auth/tokens", deadline.within(deadline.left() / 2), body=who.request()
        )
    except net.NoAnswer as error:
        raise TokenError(f"Keystone issues no token: {error.text}", refused=False) from None
    if answer.status != 201:
        text = f"Keystone answers {answer.status} to {who.user}'s request for a token"
        raise TokenError(text, refused=answer.status < 500)
    try:
        body = json.loads(answer.body)["token"]
        expires = datetime.fromisoformat(body["expires_at"].replace("Z", "+00:00")).timestamp()
        token = Token(answer.headers["x-subject-token"], body["project"]["id"], expires)
    except (ValueError, KeyError, TypeError):
        raise TokenError("Keystone's answer holds no token", refused=False) from None
    _keep(cache, who, token)
    return token


def _kept(cache: str, who: Credentials) -> Token | None:
    try:
        descriptor = os.open(cache, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return None
    with open(descriptor, encoding="utf-8", errors="replace") as stream:
        if os.fstat(descriptor).st_uid != os.geteuid():
            return None
        lines = stream.read().split("\n")
    if (
        len(lines) < 4
        or lines[0] != who.key()
        or not lines[1].isdigit()
        or int(lines[1]) - SPARE < time.time()
    ):
        return None
    return Token(lines[3], lines[2], float(lines[1]))


def _keep(cache: str, who: Credentials, token: Token) -> None:
    text = f"{who.key()}\n{int(token.expires)}\n{token.project}\n{token.value}\n"
    try:
        os.makedirs(os.path.dirname(cache), 0o755, exist_ok=True)
        processes.write_private(cache, text, 0o600)
    except OSError:
        return


def trouble(service: Service, who: Credentials, deadline: Deadline) -> str:
    """Return why the API fails although everything that it depends on answers, empty if it works.

    An error is asked about twice, since the first request after an outage may meet a connection that has died.
    Raise TokenError where there is no token to ask with.
    """
    text = ""
    for attempt in (0, 1):
        if attempt:
            # With a new token, since only that shows that Keystone does all of its work.
            processes.remove(service.state_file("token"))
            deadline.sleep(RETRY_AFTER)
        try:
            status = request(service, who, deadline.within(deadline.left() / (2 - attempt)))
        except ApiError as error:
            text = str(error)
            continue
        if status < 500 and status != 401:
            return ""
        text = f"answers {status} to an authenticated GET {service.data['api']['path']}"
    return f"{service.name} {text}"
