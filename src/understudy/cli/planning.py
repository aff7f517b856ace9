"""What plan, apply and status share: look at everything and make the plan."""

import asyncio
from dataclasses import dataclass, replace

from understudy.cli.carried_proof import CarriedProof, carried_proof
from understudy.cli.inputs import Input
from understudy.design.consistency import layers_of
from understudy.design.items import ClusterResources
from understudy.design.make import Design
from understudy.findings import Finding
from understudy.formats.cib import load
from understudy.kinds import pacemaker
from understudy.kinds.consequences import foretell, notices
from understudy.kinds.model import World
from understudy.kinds.registry import KINDS
from understudy.plan.layers import observed_disagreements
from understudy.plan.make import make_plan
from understudy.plan.model import Plan
from understudy.plan.observe import observe


@dataclass(frozen=True)
class Planned:
    """A plan with the design it came from, where the layers disagree now, and the proof of the design."""

    plan: Plan
    design: Design
    disagreements: tuple[Finding, ...] = ()
    proof: CarriedProof | None = None


async def make(given: Input, world: World, *, proved: bool = False) -> Planned:
    """Observe, compare, and foretell what Pacemaker will do and what clients will notice; prove it meanwhile."""
    design = given.design()
    observations, proof = await asyncio.gather(
        observe(world, design.items, KINDS),
        asyncio.to_thread(carried_proof, given, design) if proved else _none(),
    )
    plan = make_plan(given.loaded.spec.cloud, design.items, observations, KINDS)
    actions = await foretell(world, plan.changes)
    clients = next((item.clients_of for item in design.items if isinstance(item, ClusterResources)), {})
    missed = notices(actions, clients)
    notes = [f"Pacemaker will {action.sentence()}." for action in actions]
    notes += [f"Clients miss {words}." for words in missed]
    seen = await pacemaker.view(world)
    foreign = tuple(_foreign(seen.cib)) if seen else ()
    cloud = given.cloud()
    live = seen.cib if seen else None
    found = observed_disagreements(cloud, layers_of(cloud, design), plan.changes, observations, live)
    return Planned(replace(plan, notes=tuple(notes), foreign=foreign), design, found, proof)


async def _none() -> None:
    return None


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
