"""Injecting and healing (the rim). A fault is healed on every way out; what cannot be healed is said.

Three things heal: the end of ``striking``, however it comes; the node's own timer, when this machine or its connection
is gone; and a reboot, for what is below /run or in memory. What the whole cluster was told outlives a reboot of the
node that told it, and is taken back by that node once it is a member again.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Protocol

from understudy.drill.faults.model import Facts, LabStep, NodeStep, Step
from understudy.findings import Finding, FindingsError
from understudy.hosts.model import Host
from understudy.lab.client import LabError

TIMER_SECONDS = 300
STEP_SECONDS = 90
HEAL_SECONDS = 240
RETRY_SECONDS = 1.0
UNDERWAY_SECONDS = 5.0
"""So long storage may be mounted nowhere, on its way from one node to another."""


class Machines(Protocol):
    """What the lab does to machines; each returns when it is done."""

    def crash(self, node: str) -> None:
        """Cut the power."""

    def boot(self, node: str) -> None:
        """Switch on."""

    def power_off(self, node: str) -> None:
        """Shut down in order."""

    def freeze(self, node: str) -> None:
        """Stop everything where it stands."""

    def thaw(self, node: str) -> None:
        """Let it go on."""


@dataclass(frozen=True)
class Site:
    """Where faults are injected: ``host`` returns a working connection to a node, made anew after a reboot."""

    host: Callable[[str], Awaitable[Host]]
    facts: Facts
    machines: Machines | None = None
    timer: float = TIMER_SECONDS


@cache
def _source() -> str:
    return resources.files(__package__).joinpath("on_node.py").read_text(encoding="utf-8")


async def ask_node(host: Host, order: Mapping[str, Any], limit: float = STEP_SECONDS) -> dict[str, Any]:
    """Have a node carry out an order of ``on_node``; raises FindingsError when it cannot be reached."""
    argv = ["/usr/bin/python3", "-IS", "-c", _source()]
    done = await host.run(argv, stdin=json.dumps(order).encode(), timeout=limit)
    try:
        answer: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        reason = done.stderr.decode(errors="replace").strip()[-300:] or f"exit status {done.exit_status}"
        return {"problem": reason, "found": []}
    return answer


@dataclass(frozen=True)
class Injected:
    """A fault that stands: its name for the nodes, and all of its steps."""

    id: str
    name: str
    steps: tuple[Step, ...]


@asynccontextmanager
async def striking(site: Site, injected: Injected) -> AsyncIterator[None]:
    """Have a fault stand inside the block; heal it on every way out, a cancellation too.

    Raises FindingsError when it could not be injected (what was done of it is healed) or not be healed.
    """
    try:
        await inject(site, injected)
        yield
    finally:
        await _in_spite_of_cancellation(heal(site, injected))


async def inject(site: Site, injected: Injected) -> None:
    """Do all steps: those of nodes side by side, then the lab's, after which a node may not be reachable any more."""
    await asyncio.gather(*(_inject_on(site, injected, node) for node in _nodes(injected.steps)))
    for step in injected.steps:
        if isinstance(step, LabStep):
            await _in_lab(site, step.verb, step.node)


async def _inject_on(site: Site, injected: Injected, node: str) -> None:
    steps = [dict(step.step) for step in injected.steps if isinstance(step, NodeStep) and step.node == node]
    order = {"do": "inject", "id": injected.id, "steps": steps, "timer": site.timer}
    answer = await ask_node(await site.host(node), order)
    if answer["problem"]:
        raise _failure("fault-not-injected", injected, node, answer["problem"])


async def heal(site: Site, injected: Injected) -> None:
    """Take everything back, within a limit; safe to repeat. Raises FindingsError with all that is not healed."""
    findings: list[Finding] = []
    for step in reversed(injected.steps):
        if isinstance(step, LabStep):
            try:
                await _in_lab(site, step.undo, step.node)
            except LabError as error:
                findings += _failure("fault-not-healed", injected, step.node, str(error)).findings
    nodes = _nodes(injected.steps)
    problems = await asyncio.gather(*(_heal_on(site, injected, node) for node in nodes))
    if any(isinstance(step, NodeStep) and step.step["do"] == "fill" for step in injected.steps):
        await asyncio.sleep(UNDERWAY_SECONDS)
        problems = await asyncio.gather(*(_heal_on(site, injected, node) for node in nodes))
    for node, problem in zip(nodes, problems, strict=True):
        if problem:
            findings += _failure("fault-not-healed", injected, node, problem).findings
    if findings:
        raise FindingsError(findings, exit_status=1)


async def _heal_on(site: Site, injected: Injected, node: str) -> str:
    """Return why a node is not healed; empty when it is. A node that is away is waited for: it may be rebooting."""
    commands = [
        step.step["undo"]
        for step in reversed(injected.steps)
        if isinstance(step, NodeStep) and step.node == node and step.step["do"] == "command"
    ]
    order = {"do": "heal", "id": injected.id, "paths": list(site.facts.paths()), "commands": commands}
    problem = "no time"
    try:
        async with asyncio.timeout(HEAL_SECONDS):
            while True:
                try:
                    problem = (await ask_node(await site.host(node), order))["problem"]
                except FindingsError as error:
                    problem = str(error)
                if not problem:
                    return ""
                await asyncio.sleep(RETRY_SECONDS)
    except TimeoutError:
        return problem


async def left_behind(site: Site, nodes: Sequence[str]) -> dict[str, list[str]]:
    """Return by node what drills have left there. Raises FindingsError for a node that cannot be asked."""
    moved = sorted({service.moves for service in site.facts.services.values()})
    order = {"do": "left", "paths": list(site.facts.paths()), "moved": moved}

    async def of(node: str) -> list[str]:
        answer = await ask_node(await site.host(node), order)
        return [*answer["found"], *([answer["problem"]] if answer["problem"] else [])]

    found = await asyncio.gather(*(of(node) for node in nodes))
    return {node: left for node, left in zip(nodes, found, strict=True) if left}


async def _in_lab(site: Site, verb: str, node: str) -> None:
    if site.machines is None:
        raise FindingsError(
            [Finding("fault-only-in-lab", values={"fault": verb}, subject=node)], exit_status=1
        )
    await asyncio.to_thread(getattr(site.machines, verb), node)


def _nodes(steps: Sequence[Step]) -> list[str]:
    return list(dict.fromkeys(step.node for step in steps if isinstance(step, NodeStep)))


def _failure(code: str, injected: Injected, node: str, reason: str) -> FindingsError:
    values = {"fault": injected.name, "node": node, "reason": reason}
    return FindingsError([Finding(code, values=values, subject=node)], exit_status=1)


async def _in_spite_of_cancellation(work: Coroutine[Any, Any, None]) -> None:
    """Finish some work although the task is cancelled meanwhile, then be cancelled."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            if task.cancelled():
                raise
            cancelled = error
    task.result()
    if cancelled is not None:
        raise cancelled
