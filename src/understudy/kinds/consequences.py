"""What Pacemaker would do about a new configuration, from its own scheduler's simulation."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from understudy.design.items import ClusterResources, Phase
from understudy.formats.cib import merge
from understudy.kinds import pacemaker
from understudy.kinds.cluster_resources import fresh_cib
from understudy.kinds.model import Change, World

WORDS = {
    "start": "start",
    "stop": "stop",
    "move": "move",
    "restart": "restart",
    "recover": "restart",
    "promote": "promote",
    "demote": "demote",
    "reload": "reload",
    "migrate": "move",
}
ABRUPT = frozenset({"stop", "move", "restart", "recover", "demote"})


@dataclass(frozen=True)
class Action:
    """One action of the simulated transition."""

    word: str
    resource: str
    source: str
    destination: str
    reason: str

    def sentence(self) -> str:
        """Return it in words."""
        match self.word:
            case "move":
                return f"move {self.resource} from {self.source} to {self.destination}"
            case "start" | "promote":
                return f"{self.word} {self.resource} on {self.destination or self.source}"
            case "fence":
                return f"fence {self.resource}"
            case _:
                return f"{self.word} {self.resource} on {self.source or self.destination}"


async def foretell(world: World, changes: Iterable[Change]) -> list[Action]:
    """Simulate the last change of the cluster's configuration among these; nothing when there is none.

    Where no cluster runs yet, all nodes are taken to be online with nothing running.
    """
    final = [change for change in changes if isinstance(change.item, ClusterResources)]
    if not final or not isinstance(final[-1].item, ClusterResources) or final[-1].item.stage != Phase.CLUSTER:
        return []
    item = final[-1].item
    seen = await pacemaker.view(world)
    cib = merge(seen.cib if seen else fresh_cib(item.nodes), item.configuration).cib
    host = world.hosts[seen.asked if seen else item.nodes[0]]
    extra = [] if seen else [f"--node-up={node}" for node in item.nodes]
    return [_action(raw) for raw in await pacemaker.simulate(host, cib, extra)]


def _action(raw: Mapping[str, str]) -> Action:
    task = raw.get("task") or raw.get("action") or ""
    if task.startswith("Fence"):
        return Action("fence", raw.get("node", ""), "", "", raw.get("reason", ""))
    return Action(
        word=WORDS.get(task, task),
        resource=raw.get("resource", ""),
        source=raw.get("source", raw.get("node", "")),
        destination=raw.get("dest", raw.get("node", "")),
        reason=raw.get("reason", ""),
    )


def notices(actions: Iterable[Action], clients_of: Mapping[str, str]) -> list[str]:
    """Return what clients would miss while Pacemaker does this; nothing for what only starts."""
    missed = {}
    for action in actions:
        name = action.resource.partition(":")[0]
        words = clients_of.get(name) or clients_of.get(f"{name}-clone")
        if action.word in ABRUPT and words:
            missed[name] = f"{words}, while {name} is {action.word}ed".replace("moveed", "moved").replace(
                "stoped", "stopped"
            )
    return list(missed.values())
