"""OCF resource agents for the ``openstack`` provider: what to put on a controller.

``start`` is the file that Pacemaker runs, once under the name of each service; ``understudy_agent`` is the core that it
loads, which imports nothing of understudy; what differs between services is the ``agent`` block of the catalog, which
``model`` describes. ``virtual-address`` is an agent that stands for itself.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

OCF_ROOT = "/usr/lib/ocf"
AGENTS = f"{OCF_ROOT}/resource.d/openstack"
CORE = f"{OCF_ROOT}/lib/openstack/understudy_agent"
DATA = f"{OCF_ROOT}/lib/openstack/services"
ADDRESS_AGENT = "ocf:openstack:virtual-address"


@dataclass(frozen=True)
class DeployedFile:
    """A file on a controller, owned by root."""

    path: str
    content: str
    mode: int


def address_agent() -> DeployedFile:
    """Return the agent for virtual addresses."""
    name = ADDRESS_AGENT.rpartition(":")[2]
    return DeployedFile(
        f"{AGENTS}/{name}", (resources.files(__name__) / name).read_text(encoding="utf-8"), 0o755
    )


def deployment(services: Mapping[str, Mapping[str, Any]]) -> tuple[DeployedFile, ...]:
    """Return every file that the agents of these services need, by path.

    ``services`` gives the ``agent`` block of the catalog for each service. An agent is put down under the name of its
    service and under each of its other published names.
    """
    package = resources.files(__name__)
    start = (package / "start").read_text(encoding="utf-8")
    files = [
        DeployedFile(f"{CORE}/{module.name}", module.read_text(encoding="utf-8"), 0o644)
        for module in (package / "understudy_agent").iterdir()
        if module.name.endswith(".py")
    ]
    for service, data in services.items():
        text = json.dumps(data, ensure_ascii=False, indent=1) + "\n"
        for name in (service, *data.get("aliases", ())):
            files.append(DeployedFile(f"{DATA}/{name}.json", text, 0o644))
            files.append(DeployedFile(f"{AGENTS}/{name}", start, 0o755))
    return tuple(sorted(files, key=lambda file: file.path))
