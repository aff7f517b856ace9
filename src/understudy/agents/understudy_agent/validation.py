"""Whether the resource can be started: its parameters by themselves, and on this host."""

from __future__ import annotations

import os
import shlex

from . import ocf, parameters
from .ocf import Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .service import Service

BOOLEANS = ("true", "false", "yes", "no", "on", "off", "1", "0")
MAX_PORT = 65535


def of_parameters(service: Service) -> None:
    """Raise Failure for a parameter that would be wrong on every host."""
    for name, (kind, _description) in parameters.described(service).items():
        value = service.given(name)
        if value and not _fits(kind, value):
            raise Failure(
                ocf.ERR_CONFIGURED, f"{name}={value} is not a {'number' if kind == 'integer' else kind}"
            )
    if service.mode_name not in service.modes:
        known = ", ".join(service.modes)
        raise Failure(ocf.ERR_CONFIGURED, f"launch={service.mode_name} is none of: {known}")
    url = service.given("url")
    if url and not url.startswith(("http://", "https://")):
        raise Failure(ocf.ERR_CONFIGURED, f"url={url} is not a URL of HTTP")
    try:
        shlex.split(service.given("additional_parameters"))
    except ValueError as error:
        raise Failure(ocf.ERR_CONFIGURED, f"additional_parameters cannot be split: {error}") from None


def _fits(kind: str, value: str) -> bool:
    if kind == "port":
        return value.isdigit() and 0 < int(value) <= MAX_PORT
    if kind == "integer":
        return value.isdigit()
    return kind != "boolean" or value.lower() in BOOLEANS


def of_host(service: Service) -> None:
    """Raise Failure for what is missing on this host."""
    of_parameters(service)
    if not service.program():
        raise Failure(ocf.ERR_INSTALLED, f"there is no program {service.parameter('binary')}")
    if service.account() is None:
        raise Failure(ocf.ERR_INSTALLED, f"there is no user {service.parameter('user')}")
    files = service.config_files()
    if service.mode.get("file", "config") != "config":
        files.append(service.parameter(service.mode["file"]))
    for path in files:
        if not os.path.isfile(path):
            raise Failure(ocf.ERR_INSTALLED, f"there is no file {path}")
