"""The meta-data of the resource agents that are installed here, read from the agents themselves."""

import os
import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from lxml import etree

from understudy.proof.values import milliseconds

OCF = Path("/usr/lib/ocf/resource.d")
FENCE = Path("/usr/sbin")
LIMIT = 10.0


@dataclass(frozen=True)
class Metadata:
    """What an agent says of itself: parameters and whether they are required, advised timeouts in milliseconds."""

    parameters: dict[str, bool] = field(default_factory=dict)
    timeouts: dict[str, int] = field(default_factory=dict)


def parse(text: bytes) -> Metadata | None:
    """Return the meta-data in an agent's answer; None if it is none (OCF Resource Agent API, "Metadata")."""
    try:
        root = etree.fromstring(
            text, etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
        )
    except (etree.XMLSyntaxError, ValueError):
        return None
    parameters = {
        item.get("name", ""): item.get("required") == "1" for item in root.iterfind("parameters/parameter")
    }
    timeouts: dict[str, int] = {}
    for action in root.iterfind("actions/action"):
        name, value = action.get("name", ""), milliseconds(action.get("timeout"))
        timeouts[name] = min(timeouts.get(name, value), value)
    return Metadata(parameters, timeouts)


def _program(agent: str, ocf: Path, fence: Path) -> list[str] | None:
    parts = agent.split(":")
    if not all(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", part) for part in parts):
        return None
    if parts[0] == "ocf" and len(parts) == 3:
        return [str(ocf / parts[1] / parts[2]), "meta-data"]
    if parts[0] == "stonith" and parts[-1].startswith("fence_"):
        return [str(fence / parts[-1]), "-o", "metadata"]
    return None


def read_metadata(
    agents: Iterable[str], ocf: Path = OCF, fence: Path = FENCE
) -> dict[str, Metadata | None] | None:
    """Ask each OCF and fence agent for its meta-data; None for an agent that is not installed or does not answer.

    Returns None where this machine has no agents at all and nothing can be said.
    """
    if not ocf.is_dir():
        return None
    found: dict[str, Metadata | None] = {}
    for agent in sorted(set(agents)):
        command = _program(agent, ocf, fence)
        if command is None and not agent.startswith("ocf:"):
            continue
        found[agent] = _ask(command, ocf.parent) if command and Path(command[0]).is_file() else None
    return found


def _ask(command: list[str], root: Path) -> Metadata | None:
    environment = {"PATH": os.environ.get("PATH", "/usr/bin:/bin") + ":/usr/sbin:/sbin", "LC_ALL": "C"}
    environment |= {"OCF_ROOT": str(root), "OCF_RESOURCE_INSTANCE": "meta-data"}
    try:
        answer = subprocess.run(command, capture_output=True, timeout=LIMIT, check=False, env=environment)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return parse(answer.stdout)
