"""What plan, apply and status share: look at everything and make the plan."""

from dataclasses import dataclass, replace

from understudy.cli.inputs import Input
from understudy.design.items import ClusterResources
from understudy.design.make import Design
from understudy.formats.cib import load
from understudy.kinds import pacemaker
from understudy.kinds.consequences import foretell, notices
from understudy.kinds.model import World
from understudy.kinds.registry import KINDS
from understudy.plan.make import make_plan
from understudy.plan.model import Plan
from understudy.plan.observe import observe


@dataclass(frozen=True)
class Planned:
    """A plan with the design it came from."""

    plan: Plan
    design: Design


async def make(given: Input, world: World) -> Planned:
    """Observe, compare, and foretell what Pacemaker will do and what clients will notice."""
    design = given.design()
    plan = make_plan(given.loaded.spec.cloud, design.items, await observe(world, design.items, KINDS), KINDS)
    actions = await foretell(world, plan.changes)
    clients = next((item.clients_of for item in design.items if isinstance(item, ClusterResources)), {})
    missed = notices(actions, clients)
    notes = [f"Pacemaker will {action.sentence()}." for action in actions]
    notes += [f"Clients miss {words}." for words in missed]
    seen = await pacemaker.view(world)
    foreign = tuple(_foreign(seen.cib)) if seen else ()
    return Planned(replace(plan, notes=tuple(notes), foreign=foreign), design)


def _foreign(cib: str) -> list[str]:
    """Return the resources and constraints of a cluster that understudy did not create."""
    root = load(cib)
    tag = root.find("configuration/tags/tag[@id='understudy']")
    ours = set() if tag is None else {reference.get("id", "") for reference in tag}
    return [
        f"{element.tag} {element.get('id')}"
        for section in ("resources", "constraints")
        for element in root.iterfind(f"configuration/{section}/*")
        if element.get("id") not in ours
    ]
