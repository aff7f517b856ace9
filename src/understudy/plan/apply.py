"""Executing a plan: phase by phase, nodes in parallel, journalled, interruptible at every step."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from understudy.design.items import Item, NodeItem, Phase, phase_of
from understudy.findings import Finding, FindingsError
from understudy.hosts.parallel import all_of
from understudy.kinds.model import Change, Kind, World, public
from understudy.plan.journal import Journal, undo_as_json
from understudy.plan.lock import locked
from understudy.plan.make import compare_all
from understudy.plan.model import Plan
from understudy.plan.observe import observe

GRACE_SECONDS = 15
"""How long an interrupted apply waits for the steps that are under way before it abandons them."""


@dataclass(frozen=True)
class Event:
    """What an apply reports while it goes on; ``text`` is the holder of a lock that was passed over."""

    name: Literal[
        "phase", "begin", "done", "already-true", "failed", "abandoned", "interrupted", "lock-passed-over"
    ]
    phase: Phase | None = None
    change: Change | None = None
    node: str = ""
    text: str = ""
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """What an apply did, by the keys of the items: ``remaining`` is what a next apply still has to do."""

    done: tuple[str, ...] = ()
    already_true: tuple[str, ...] = ()
    remaining: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    interrupted: bool = False

    @property
    def complete(self) -> bool:
        """Whether everything that was planned is true now."""
        return not (self.findings or self.interrupted or self.remaining)


async def apply_plan(  # noqa: PLR0913 - what it works on, where it writes, whom it tells
    world: World,
    items: Sequence[Item],
    plan: Plan,
    kinds: Mapping[str, Kind],
    *,
    directory: Path,
    report: Callable[[Event], None] = lambda _event: None,
    undoes: Sequence[str] = (),
) -> Outcome:
    """Make a plan true; ``items`` are all that it was made from, ``directory`` holds journal and lock.

    Stops at the first failure, and at a cancellation once the steps under way are at their end (they are abandoned
    after 15 seconds, times the world's factor); both are told by the outcome. Raises FindingsError (exit status 1)
    when it cannot begin: another apply is running, the journal cannot be written. ``undoes`` are the journal's runs
    that this plan takes back.
    """
    if plan.empty:
        return Outcome()
    async with locked(world, directory) as passed_over:
        for node, holder in passed_over.items():
            report(Event("lock-passed-over", node=node, text=holder))
        journal = Journal(directory)
        try:
            return await _Run(world, items, plan, kinds, journal, report).to_its_end(undoes)
        finally:
            journal.close()


class _Run:
    """One apply."""

    def __init__(  # noqa: PLR0913, PLR0917
        self,
        world: World,
        items: Sequence[Item],
        plan: Plan,
        kinds: Mapping[str, Kind],
        journal: Journal,
        report: Callable[[Event], None],
    ) -> None:
        self._world = world
        self._items = items
        self._plan = plan
        self._planned = {change.item.key: change for change in plan.changes}
        self._kinds = kinds
        self._journal = journal
        self._report = report
        self._stopping = False
        self._finished = False
        self._done: list[Item] = []
        self._already_true: list[str] = []
        self._findings: list[Finding] = []

    async def to_its_end(self, undoes: Sequence[str]) -> Outcome:
        """Do the work; a cancellation ends it at a step's boundary."""
        self._journal.write("begin", plan=self._plan.digest, cloud=self._plan.cloud, undoes=list(undoes))
        work = asyncio.create_task(self._work())
        interrupted = False
        try:
            await asyncio.shield(work)
        except asyncio.CancelledError:
            interrupted = True
            await self._wind_up(work)
        outcome = self._outcome(interrupted=interrupted)
        if undoes and outcome.complete:
            self._journal.write("rolled-back", runs=list(undoes))
        word = "interrupted" if outcome.interrupted else "failed" if outcome.findings else "complete"
        self._journal.write("end", outcome=word)
        return outcome

    async def _wind_up(self, work: asyncio.Task[None]) -> None:
        """Let the steps that are under way come to their end, abandon them when that takes too long."""
        self._stopping = True
        self._report(Event("interrupted"))
        current = asyncio.current_task()
        if current:
            current.uncancel()
        await asyncio.wait({work}, timeout=GRACE_SECONDS * self._world.wait_factor)
        if not work.done():
            work.cancel()
            await asyncio.wait({work})
        if not work.cancelled():
            work.result()

    def _outcome(self, *, interrupted: bool) -> Outcome:
        done = [item.key for item in self._done]
        settled = {*done, *self._already_true}
        remaining = tuple(key for key in self._planned if key not in settled)
        return Outcome(
            tuple(done),
            tuple(self._already_true),
            remaining,
            tuple(self._findings),
            interrupted and bool(remaining),
        )

    async def _work(self) -> None:
        phases = sorted({phase_of(item) for item in self._items}, reverse=self._plan.backwards)
        first = phases.index(phase_of(self._plan.changes[0].item))
        for phase in phases[first:]:
            if self._stopping:
                return
            world = self._world.afresh()
            try:
                changes = await self._look_again(world, phase)
            except FindingsError as error:
                self._fail(error)
                return
            if changes:
                self._report(Event("phase", phase=phase))
                await self._phase(world, changes)
        self._finished = not self._stopping

    async def _look_again(self, world: World, phase: Phase) -> list[Change]:
        """Return what still has to be changed; refuse where somebody else changed what the plan had seen."""
        items = [item for item in self._items if phase_of(item) == phase]
        changes = compare_all(items, await observe(world, items, self._kinds), self._kinds)
        needed = {change.item.key for change in changes}
        for item in items:
            if item.key in self._planned and item.key not in needed:
                self._already_true.append(item.key)
                self._report(Event("already-true", phase, self._planned[item.key]))
        moved = [
            change.item for change in changes if self._moved(change) and not self._may_have_moved(change.item)
        ]
        if moved:
            raise FindingsError(
                [
                    Finding(
                        "changed-meanwhile",
                        values={"path": item.subject, "node": item.target},
                        subject=item.target,
                    )
                    for item in moved
                ],
                exit_status=1,
            )
        return list(changes)

    def _moved(self, change: Change) -> bool:
        planned = self._planned.get(change.item.key)
        return planned is None or public(planned.observed) != public(change.observed)

    def _may_have_moved(self, item: Item) -> bool:
        """Whether an earlier step of this run can be why the item is not as the plan had seen it.

        On a node only packages bring files and units; what belongs to all nodes follows from everything before it.
        """
        if isinstance(item, NodeItem):
            return any(
                isinstance(done, NodeItem) and done.node == item.node and done.phase == Phase.PACKAGES
                for done in self._done
            )
        return bool(self._done)

    async def _phase(self, world: World, changes: Sequence[Change]) -> None:
        """Take the steps on the nodes, then those that belong to all of them; chains side by side."""
        for on_node in (True, False):
            chains: dict[str, list[Change]] = {}
            for change in changes:
                if isinstance(change.item, NodeItem) == on_node:
                    chains.setdefault(change.item.chain, []).append(change)
            await all_of(self._steps(world, chain) for chain in chains.values())

    async def _steps(self, world: World, changes: Sequence[Change]) -> None:
        for change in changes:
            if self._stopping:
                return
            await self._step(world, change)

    async def _step(self, world: World, change: Change) -> None:
        kind, key = self._kinds[change.item.kind], change.item.key
        inverse = kind.invert(change) if change.reversible else None
        phase = phase_of(change.item)
        self._report(Event("begin", phase, change))
        try:
            self._journal.write("step-begin", key=key, undo=undo_as_json(inverse.item) if inverse else None)
            await kind.apply(world, change)
            self._journal.write("step-done", key=key)
        except FindingsError as error:
            self._fail(error, change)
        except asyncio.CancelledError:
            self._journal.write("step-abandoned", key=key)
            self._report(Event("abandoned", phase, change))
            raise
        else:
            self._done.append(change.item)
            self._report(Event("done", phase, change))

    def _fail(self, error: FindingsError, change: Change | None = None) -> None:
        self._stopping = True
        # Steps that run side by side fail for the same reason: it is told once.
        self._findings += [finding for finding in error.findings if finding not in self._findings]
        phase = phase_of(change.item) if change else None
        self._report(Event("failed", phase, change, findings=error.findings))
        codes = [finding.code for finding in error.findings]
        if "journal-unwritable" not in codes:
            self._journal.write("step-failed", key=change.item.key if change else None, codes=codes)
