"""The meta-data of an agent: XML that fits OCF 1.1, and OCF 1.0's DTD as long as it does not tell of reload-agent."""

from __future__ import annotations

from . import parameters
from .service import DEFAULTS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .service import Service

DOCTYPE = '<!DOCTYPE resource-agent SYSTEM "ra-api-1.dtd">\n'
TYPES = {"port": "integer"}
DEFAULT_TIMEOUTS = {"start": 60, "stop": 60, "status": 20, "monitor": 30, "interval": 10}
SHORT = 5


def document(service: Service) -> str:
    """Return the meta-data."""
    reloads = can_reload(service)
    lines = [
        f'<resource-agent name="{_escaped(service.name)}" version="1.0">',
        "<version>1.1</version>",
        f'<longdesc lang="en">\n{_escaped(service.data["description"].strip())}\n</longdesc>',
        f'<shortdesc lang="en">{_escaped(service.data["title"])}</shortdesc>',
        "<parameters>",
    ]
    for name, (kind, description) in parameters.described(service).items():
        lines += _parameter(service, name, kind, description, reloads=reloads)
    lines += [
        "</parameters>",
        "<actions>",
        *_actions(service, reloads=reloads),
        "</actions>",
        "</resource-agent>",
    ]
    head = '<?xml version="1.0"?>\n' + ("" if reloads else DOCTYPE)
    return head + "\n".join(lines) + "\n"


def can_reload(service: Service) -> bool:
    """Return whether the service, launched as usual, can read its options again."""
    return "reload" in next(iter(service.modes.values()), ())


def _parameter(service: Service, name: str, kind: str, description: str, *, reloads: bool) -> list[str]:
    default = _default(service, name)
    content = f'<content type="{TYPES.get(kind, kind)}"'
    content += f' default="{_escaped(default)}"/>' if default else "/>"
    reloadable = ' reloadable="1"' if reloads and name == "config_digest" else ""
    short = description.partition(".")[0]
    return [
        f'<parameter name="{_escaped(name)}" unique="0" required="0"{reloadable}>',
        f'<longdesc lang="en">\n{_escaped(description)}\n</longdesc>',
        f'<shortdesc lang="en">{_escaped(short)}</shortdesc>',
        content,
        "</parameter>",
    ]


def _default(service: Service, name: str) -> str:
    """Return the default that is true on every host; of several paths that is the first."""
    if name == "binary":
        return str(next(iter(service.modes.values()))["binary"])
    default: Any = service.data.get(name) if name in ("config", "user") else None
    if default is None:
        default = service.data.get("parameters", {}).get(name, {}).get("default", DEFAULTS.get(name, ""))
    return str(default[0] if isinstance(default, list) else default)


def _actions(service: Service, *, reloads: bool) -> list[str]:
    times = {**DEFAULT_TIMEOUTS, **service.data.get("timeouts", {})}
    actions = [("start", times["start"]), ("stop", times["stop"]), ("status", times["status"])]
    lines = [f'<action name="{name}" timeout="{seconds}s"/>' for name, seconds in actions]
    monitor = f'timeout="{times["monitor"]}s" interval="{times["interval"]}s"'
    lines.append(f'<action name="monitor" depth="0" {monitor}/>')
    if reloads:
        lines.append(f'<action name="reload-agent" timeout="{times["start"]}s"/>')
    return [
        *lines,
        *(f'<action name="{name}" timeout="{SHORT}s"/>' for name in ("validate-all", "meta-data")),
    ]


def _escaped(text: object) -> str:
    return str(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
