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
    if "prepares" in service.data:
        return _preparing(service)
    from . import dataplane

    own = {"start": dataplane.start, "stop": dataplane.stop, "monitor": dataplane.monitor}
    return {**own, "status": dataplane.monitor, "validate-all": lambda _: ocf.SUCCESS}


def _preparing(service: Service) -> Mapping[str, Callable[[Service], int]]:
    from . import preparing

    found: dict[str, Callable[[Service], int]] = {
        "start": preparing.start,
        "stop": preparing.stop,
        "monitor": preparing.monitor,
        "status": preparing.monitor,
        "validate-all": lambda _: ocf.SUCCESS,
    }
    for role in service.data["prepares"]:
        found[f"prepare-{role}"] = functools.partial(_prepare, role=role)
    return found


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
