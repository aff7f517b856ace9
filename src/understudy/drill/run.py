"""Running a drill: fault after fault, watched from outside, healed, and recorded (the rim: clock, processes, nodes)."""

import asyncio
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime

from understudy.drill.faults.aim import Wish, aim_of
from understudy.drill.faults.model import Aim, FaultError
from understudy.drill.faults.strike import Injected, Site, left_behind, striking
from understudy.drill.history import SECOND, Completed, Event, FaultEvent, Note, Observation, Phase, now
from understudy.drill.judge import OWNER
from understudy.drill.nodes import Nodes, active, observed, state_of, unhealthy
from understudy.drill.preflight import (
    Permission,
    fencing_resources,
    filtering,
    fitting,
    outside_window,
    permitted,
    ready,
)
from understudy.drill.probes.base import ProbeSettings
from understudy.drill.watch import LogMarks, mark_logs, read_logs, watching
from understudy.findings import Finding, FindingsError
from understudy.kinds.pacemaker import ClusterView

QUIET_LOOKS = 3
"""The cluster is idle when it was found so that often in a row: it begins a moment after what makes it begin."""

Tell = Callable[[str], None]
Record = Callable[[Event], None]


@dataclass(frozen=True)
class Pace:
    """How long a drill waits, in seconds."""

    baseline: float = 3.0
    """Before the first fault, so that usual answers are known."""
    calm: float = 3.0
    """So long without a failure a fault counts as survived."""
    patience: float = 90.0
    """The longest that a fault stands while clients fail."""
    poll: float = 0.25
    probe: float = 20.0
    """The longest that the cluster may take to probe what it has just forgotten."""


@dataclass(frozen=True)
class Watchers:
    """Clients that come from one side; ``prefix`` puts their process where they stand."""

    clients: Sequence[ProbeSettings]
    prefix: Sequence[str] = ()


@dataclass
class Drill:
    """All that a drill needs; ``about`` goes into the record for whoever reads it later."""

    nodes: Nodes
    site: Site
    watchers: Sequence[Watchers]
    record: Record
    permission: Permission
    tell: Tell = lambda _text: None
    pace: Pace = Pace()
    about: Mapping[str, object] = field(default_factory=dict)
    _bad: dict[str, int] = field(default_factory=dict)
    _unfit: frozenset[str] = frozenset()
    _expected: Mapping[str, int] = field(default_factory=dict)
    _fencing: Sequence[str] = ()

    async def run(self, turns: Iterable[Sequence[Wish]], *, seconds: float | None = None) -> None:
        """Drill each turn (the faults of one strike together) until all are done or the time is over.

        Raises FindingsError when the cluster is not fit, and when a fault could not be injected or healed. Ends healed
        also on Ctrl-C and SIGTERM.
        """
        with _cancelled_by_sigterm():
            await self._prepare()
            marks = await mark_logs(await self.nodes.reachable())
            try:
                async with self._watched():
                    await self._baseline()
                    await self._all(turns, seconds)
            finally:
                await self._bring_home(marks)

    async def check(self, wishes: Sequence[Wish]) -> list[Finding]:
        """Return everything that speaks against a drill, without breaking anything."""
        findings = permitted(wishes, self.permission, datetime.now().astimezone().time())
        view = await self.nodes.view()
        left = await left_behind(self.site, list(await self.nodes.reachable()))
        services = [one.primitive for one in self.site.facts.services.values()]
        findings += ready(view, self.nodes.names, services, left)
        if view is not None:
            findings += fitting(wishes, self.site.facts, view, in_lab=self.permission.in_lab)
            findings += await self._missing_tools(filtering(wishes, self.site.facts, view))
        return findings

    async def _missing_tools(self, faults: Sequence[str]) -> list[Finding]:
        """Return the nodes that lack what filters packets, if a fault needs it."""
        findings = []
        for name, host in (await self.nodes.reachable()).items() if faults else ():
            done = await host.run(["sh", "-c", "command -v nft"], timeout=30)
            if done.exit_status:
                values = {"node": name, "tool": "nft", "fault": ", ".join(faults)}
                findings.append(Finding("drill-tool-missing", values=values))
        return findings

    async def _prepare(self) -> None:
        view = await self.nodes.view()
        if view is None:
            raise FindingsError([Finding("drill-cluster-down")], exit_status=1)
        self._expected = Counter({name: len(nodes) for name, nodes in active(view).items()})
        self._fencing = fencing_resources(view)
        self._take(Observation(*now(), "about", self.about))
        self._look(view)

    def _look(self, view: ClusterView) -> None:
        self._take(Observation(*now(), "cluster", observed(view, self._fencing)))

    @asynccontextmanager
    async def _watched(self) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            watches = [
                await stack.enter_async_context(watching(one.clients, self._take, one.prefix))
                for one in self.watchers
                if one.clients
            ]
            self.tell("clients begin")
            for watch in watches:
                for client, problem in (await watch.ready()).items():
                    if problem:
                        self._take(Note(*now(), f"Client {client} was not ready: {problem}"))
            yield

    async def _baseline(self) -> None:
        """Learn what is usual; who fails already is recorded, but not waited for later.

        Services that nobody has asked yet do with the first questions what they do once, and may refuse some meanwhile:
        what they do later counts.
        """
        await asyncio.sleep(self.pace.baseline)
        await self._calm()
        begin = time.monotonic_ns()
        await asyncio.sleep(self.pace.baseline)
        self._unfit = frozenset(client for client, moment in self._bad.items() if moment >= begin)
        if self._unfit:
            self._take(Observation(*now(), "unfit", {"clients": sorted(self._unfit)}))

    def _take(self, event: Event) -> None:
        """Record an event, and keep in mind when each client failed last."""
        if isinstance(event, Completed) and event.outcome != "ok" and not event.client.startswith(OWNER):
            self._bad[event.client] = event.monotonic
        self.record(event)

    async def _all(self, turns: Iterable[Sequence[Wish]], seconds: float | None) -> None:
        end = None if seconds is None else time.monotonic() + seconds
        for number, wishes in enumerate(turns, start=1):
            if end is not None and time.monotonic() >= end:
                return
            closed = outside_window(self.permission, datetime.now().astimezone().time())
            if closed:
                raise FindingsError(closed, exit_status=1)
            await self._one(number, wishes)

    async def _one(self, number: int, wishes: Sequence[Wish]) -> None:
        view = await self.nodes.view()
        if view is None:
            raise FindingsError([Finding("drill-cluster-down")], exit_status=1)
        self._look(view)
        try:
            aims = [(wish, aim_of(wish, self.site.facts, state_of(view))) for wish in wishes]
            steps = tuple(step for wish, aim in aims for step in wish.fault.steps(self.site.facts, aim))
        except FaultError as error:
            self._take(Note(*now(), f"{'+'.join(map(str, wishes))} does not fit here: {error}"))
            return
        injected = Injected(f"fault-{number}", "+".join(wish.fault.name for wish in wishes), steps)
        begin = time.monotonic()
        try:
            self._fault(number, aims, "injecting")
            async with striking(self.site, injected):
                self._fault(number, aims, "injected")
                if all(wish.fault.asked for wish in wishes):
                    await self._idle(view, self.pace.patience)
                await self._hold(number, aims, begin)
                self._fault(number, aims, "healing")
        except FindingsError as error:
            unhealed = any(finding.code == "fault-not-healed" for finding in error.findings)
            self._fault(number, aims, "heal-failed" if unhealed else "healed", str(error))
            raise
        self._fault(number, aims, "healed")
        if any(wish.fault.mended_by_hand for wish in wishes):
            await self._forget_failures()
        await self._recover(number, max(wish.fault.settle for wish in wishes))

    def _fault(self, number: int, aims: Sequence[tuple[Wish, Aim]], phase: Phase, detail: str = "") -> None:
        name = "+".join(wish.fault.name for wish, _ in aims)
        label = " and ".join(wish.fault.label(aim) for wish, aim in aims)
        nodes = tuple(dict.fromkeys(node for _, aim in aims for node in aim.nodes))
        service = "+".join(aim.service for _, aim in aims if aim.service)
        self._take(FaultEvent(*now(), number, name, phase, label, nodes, detail, service))
        self.tell(f"{phase} {label}")

    async def _hold(self, number: int, aims: Sequence[tuple[Wish, Aim]], begin: float) -> None:
        """Let a fault stand until clients have been served for a while, or patience ends."""
        least = max(wish.fault.stands(self.site.facts) for wish, _ in aims)
        while (stood := time.monotonic() - begin) < max(self.pace.patience, least):
            quiet = self._quiet_seconds()
            if stood >= least and quiet >= self.pace.calm:
                return
            self.tell(f"fault {number} stands for {stood:.0f} s, served for {min(quiet, stood):.0f} s")
            await asyncio.sleep(self.pace.poll)

    def _quiet_seconds(self) -> float:
        failed = (moment for client, moment in self._bad.items() if client not in self._unfit)
        return (time.monotonic_ns() - max(failed, default=0)) / SECOND

    async def _recover(self, number: int, limit: float) -> None:
        """Wait until the cluster is as it was before and clients are served; record how long that took."""
        begin = time.monotonic()
        problems = ["not looked yet"]
        view = None
        while problems and time.monotonic() - begin < limit:
            view = await self.nodes.view()
            problems = unhealthy(view, self.nodes.names, self._expected)
            if problems:
                self.tell(f"waiting: {problems[0]}")
                await asyncio.sleep(self.pace.poll)
        seconds = None if problems else round(time.monotonic() - begin, 3)
        values = {"number": number, "seconds": seconds, "limit": limit, "problems": problems}
        self._take(Observation(*now(), "healthy", values))
        if view is not None:
            self._look(view)
        await self._forget_failures()
        if view is not None:
            await self._idle(view, self.pace.probe)
        await self._calm()
        if problems:
            raise FindingsError(
                [
                    Finding(
                        "drill-not-healthy-again", values={"limit": limit, "problems": "; ".join(problems)}
                    )
                ],
                exit_status=1,
            )

    async def _calm(self) -> None:
        """Wait until no client has failed for a while, but not longer than patience allows."""
        deadline = time.monotonic() + self.pace.patience
        while True:
            rest = min(self.pace.calm - self._quiet_seconds(), deadline - time.monotonic())
            if rest <= 0:
                return
            await asyncio.sleep(rest)

    async def _forget_failures(self) -> None:
        """Have the cluster forget the failures of this fault, so that the next one finds it as this one did."""
        for host in (await self.nodes.reachable()).values():
            with suppress(FindingsError):
                done = await host.run(["crm_resource", "--cleanup"], timeout=60)
                if done.exit_status == 0:
                    return

    async def _idle(self, view: ClusterView, limit: float) -> None:
        """Wait until the cluster has done what it was asked for, but not longer than ``limit`` seconds.

        That is a move, which would end where it began if it were taken back halfway, and to probe what it forgot: a
        node lost meanwhile is taken over only after that. Its coordinator says when it has nothing to do (crmadmin(8)).
        ``crm_resource --wait`` does not serve: it waits for what cannot be done too.
        """
        deadline = time.monotonic() + limit
        quiet = 0
        while quiet < QUIET_LOOKS and time.monotonic() < deadline:
            await asyncio.sleep(self.pace.poll)
            quiet = quiet + 1 if await self.nodes.idle(view) else 0

    async def _bring_home(self, marks: Mapping[str, LogMarks]) -> None:
        """Record the cluster's log and what is left on the nodes, whatever happened."""
        self.tell("reading the cluster's log")
        hosts = {name: host for name, host in (await self.nodes.reachable()).items() if name in marks}
        for event in await read_logs(hosts, marks):
            self.record(event)
        try:
            left = await left_behind(self.site, list(hosts))
        except FindingsError as error:
            self.record(Note(*now(), f"what is left on the nodes is unknown: {error}"))
            return
        self.record(Observation(*now(), "left", {"nodes": list(hosts), "left": left}))


@contextmanager
def _cancelled_by_sigterm() -> Iterator[None]:
    """Have SIGTERM cancel the current task, as Ctrl-C does, so that it heals on its way out."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    if task is not None:
        loop.add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGTERM)
