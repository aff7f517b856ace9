"""The entrance of every agent: the name of the started file is the service, the first argument the action."""

from __future__ import annotations

import functools
import os
import sys

from . import actions, ocf, watcher
from .service import Service, load

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

ACTIONS: dict[str, Callable[[Service], int]] = {
    "start": actions.start,
    "stop": actions.stop,
    "monitor": actions.monitor,
    "status": actions.status,
    "validate-all": actions.validate_all,
    "watch": watcher.watch,
}
USAGE = "usage: {name} {{start|stop|monitor|status|{reload}validate-all|meta-data|usage}}\n"


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run an action and return its exit code."""
    name = os.path.basename(arguments[0])
    action = arguments[1] if len(arguments) > 1 else ""
    path = os.path.join(environ.get("OCF_ROOT", "/usr/lib/ocf"), "lib/openstack/services", name + ".json")
    try:
        service = Service(name, load(path), environ)
    except OSError as error:
        ocf.exit_reason(f"there is no data for {name}: {error.strerror}: {path}", environ)
        return ocf.ERR_INSTALLED
    try:
        return _run(service, action)
    except ocf.Failure as failure:
        ocf.exit_reason(failure.reason, environ)
        return failure.code
    except OSError as error:
        ocf.exit_reason(f"{name}: {error}", environ)
        return ocf.ERR_GENERIC


def _actions(service: Service) -> Mapping[str, Callable[[Service], int]]:
    if service.modes:
        return ACTIONS
    if "prepares" not in service.data:
        from . import dataplane

        return _without_daemon(dataplane)
    from . import preparing

    prepare = {f"prepare-{role}": functools.partial(_prepare, role=role) for role in service.data["prepares"]}
    return {**_without_daemon(preparing), **prepare}


def _without_daemon(module: Any) -> dict[str, Callable[[Service], int]]:  # noqa: ANN401 - a module has no better type
    """Return the actions of a resource that has no daemon of its own."""
    own = {"start": module.start, "stop": module.stop, "monitor": module.monitor}
    return {**own, "status": module.monitor, "validate-all": lambda _: ocf.SUCCESS}


def _prepare(service: Service, role: str) -> int:
    from . import forkserver

    return forkserver.run(service, role)


def _run(service: Service, action: str) -> int:
    known = _actions(service).get(action)
    if known:
        return known(service)
    from . import metadata

    reloads = metadata.can_reload(service)
    if action == "meta-data":
        sys.stdout.write(metadata.document(service))
        return ocf.SUCCESS
    if action == "reload-agent" and reloads:
        return actions.reload_agent(service)
    usage = USAGE.format(name=service.name, reload="reload-agent|" if reloads else "")
    if action in ("usage", "help"):
        sys.stdout.write(usage)
        return ocf.SUCCESS
    sys.stderr.write(usage)
    return ocf.ERR_UNIMPLEMENTED if action else ocf.ERR_ARGS
