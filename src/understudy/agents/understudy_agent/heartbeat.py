"""Whether Neutron hears one of its agents: the heartbeat that the Networking API shows.

An agent that hangs keeps its connections open; only what it no longer says gives it away. Where Neutron hears none of
its agents, it is Neutron that is deaf, and no agent is to blame. Source: Networking API v2.0, "Networking Agents".
"""

from __future__ import annotations

import os
import time

from . import identity, net, processes
from .config import Url

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .ocf import Deadline
    from .service import Service

PATIENCE = 12.0
"""Seconds that Neutron may miss an agent that lives: it has just been started, or Neutron was away itself."""
HTTP_OK = 200


def unheard(service: Service, deadline: Deadline) -> tuple[str, bool]:
    """Return what is wrong with the agent's heartbeat, empty when nothing is, and whether the agent is to blame.

    An API that gives no answer is nobody's fault here.
    """
    who = identity.credentials(service, own=True)
    url = service.given("network_api_url")
    if who is None or not url:
        return "", False
    try:
        agents = _agents(service, who, Url(url), deadline)
    except (identity.TokenError, identity.ApiError, net.NoAnswer, ValueError, KeyError) as error:
        return f"the Networking API does not tell of its agents: {error}", False
    host = service.configuration.get("DEFAULT", "host") or os.uname().nodename
    own = [
        one for one in agents if one.get("binary") == service.data["heartbeat"] and one.get("host") == host
    ]
    mark = service.state_file("unheard")
    if own and own[0].get("alive"):
        processes.remove(mark)
        return "", False
    if not any(one.get("alive") for one in agents):
        processes.remove(mark)
        return "Neutron hears none of its agents", False
    age = _age(service, mark)
    if age < PATIENCE:
        return "", False
    return f"{service.name} on {host} has not been heard by Neutron for {age:.0f} s and more", True


def forget(service: Service) -> None:
    """Forget since when Neutron has missed the agent."""
    processes.remove(service.state_file("unheard"))


def _age(service: Service, mark: str) -> float:
    try:
        return time.time() - os.stat(mark).st_mtime
    except OSError:
        if os.path.isdir(service.state_directory):
            processes.write_private(mark, "", 0o600)
        return 0.0


def _agents(
    service: Service, who: identity.Credentials, url: Url, deadline: Deadline
) -> list[dict[str, Any]]:
    import json

    secure = url.scheme == "https"
    target = (url.host, url.port or (443 if secure else 80), secure)
    path = url.path.rstrip("/") + "/v2.0/agents?fields=binary&fields=host&fields=alive"
    answer = identity.ask_with_token(service, who, target, path, deadline)
    if answer.status != HTTP_OK:
        raise identity.ApiError(f"GET {path} is answered {answer.status}")
    return list(json.loads(answer.body)["agents"])
