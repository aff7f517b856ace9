"""Playing scenarios: fault, scheduler, execution, again and again until nothing changes any more."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Protocol

from lxml import etree

from understudy.proof.configuration import Configuration
from understudy.proof.execute import Failing, Transition, World, execute, read_graph
from understudy.proof.faults import NOTHING, Struck, expired, lose, strike
from understudy.proof.lean import Lean
from understudy.proof.scenarios import Fault, Scenario
from understudy.proof.state import CLOCK, NodeView, State, Variant
from understudy.proof.status import Template, read_state, state_key, template
from understudy.proof.values import is_true, milliseconds

ROUNDS = 15
REMEMBERED = 3000
TEMPLATES = 300


class Scheduler(Protocol):
    """Whatever turns a CIB into a transition graph."""

    def graph(self, cib: bytes, now: int | None) -> bytes:
        """Return the graph as XML; raises ``ValueError`` if the scheduler refuses the CIB."""


@dataclass(frozen=True)
class Step:
    """A fault and what followed until the cluster came to rest."""

    fault: Fault
    view: str
    before: State
    struck: Struck
    after: State
    transitions: tuple[Transition, ...]
    settled: bool
    applied: bool = True


@dataclass(frozen=True)
class Outcome:
    """A scenario played: its steps; a partition gives two for one fault, one for each side."""

    scenario: Scenario
    steps: tuple[Step, ...]


class Player:
    """Plays scenarios on one configuration; what was scheduled once is remembered.

    Without ``slim`` the scheduler is given everything that is written, whether or not it decides anything.
    """

    def __init__(
        self,
        cib: etree._Element,
        facts: Configuration,
        scheduler: Scheduler,
        durations: Mapping[tuple[str, str], int] | None = None,
        *,
        slim: bool = True,
    ) -> None:
        self.cib = cib
        self.facts = facts
        self.scheduler = scheduler
        self.scheduled = 0
        self.recalled = 0
        promotable = frozenset(
            item.id
            for root in facts.resources.values()
            if root.promotable
            for item in facts.primitives(root.id)
        )
        limit = milliseconds(facts.option("stonith-timeout", "fencing-timeout"), 60_000)
        timeouts = {
            (item.id, operation.name): operation.timeout
            for item in facts.primitives()
            for operation in item.operations
            if operation.timeout and not operation.interval
        }
        self.world = World(promotable, limit, {**timeouts, **(durations or {})})
        self._templates: OrderedDict[tuple[Variant, frozenset[str]], Template] = OrderedDict()
        self._lean = Lean(facts, cib)
        self._stable: set[bytes] = set()
        self._memory: OrderedDict[tuple[bytes, Failing], tuple[Transition, State]] = OrderedDict()
        self._starts: OrderedDict[tuple[Fault, ...], tuple[Step, ...]] = OrderedDict()
        self._slim = slim
        self._dated = cib.find(".//date_expression") is not None
        self.boot: Step = self._boot()
        if slim:
            self._lean = Lean(facts, cib, self.baseline)
            self.world = replace(self.world, recurring=self._lean.recurring)
            self._templates.clear()

    @property
    def baseline(self) -> State:
        """Return the state from which scenarios start."""
        return self.boot.after

    def _boot(self) -> Step:
        state = read_state(self.cib)
        given = bool(state.up())
        self._slim = self._slim and not given
        if not given:
            nodes = [NodeView(node.id, node.name).joined() for node in self.facts.cluster_nodes]
            state = State({node.name: node for node in nodes}, now=CLOCK)
        struck = Struck(state)
        transitions, after, settled = self.settle(state, NOTHING)
        return Step(Fault("boot"), "" if given else "cold", state, struck, after, transitions, settled)

    def text(self, state: State) -> bytes:
        """Return the CIB that the scheduler is given for a state."""
        watched = self._lean.watched(state)
        key = (state.variant, watched)
        cut = self._templates.get(key)
        if cut is None:
            cut = template(self.cib, state.variant, slim=self._slim, lean=self._lean, watched=watched)
            self._templates[key] = cut
            if len(self._templates) > TEMPLATES:
                self._templates.popitem(last=False)
        return cut.fill(state, self._lean.hidden(watched)).encode()

    def schedule(self, state: State, failing: Failing) -> tuple[Transition, State]:
        """Ask the scheduler once and carry out its graph; raises ``ValueError`` if it refuses."""
        self.scheduled += 1
        graph = read_graph(self.scheduler.graph(self.text(state), state.now))
        return execute(
            graph,
            state,
            failing=failing,
            world=self.world,
        )

    def _recall(self, state: State, failing: Failing) -> tuple[bytes, tuple[Transition, State]]:
        digest = _digest(state)
        if digest in self._stable or (
            (calm := self._lean.calm(state)) != state and _digest(calm) in self._stable
        ):
            self.recalled += 1
            return digest, (Transition(), state)
        key = (digest, failing)
        found = self._memory.get(key)
        if found is None:
            found = self._memory[key] = self.schedule(state, failing)
            if len(self._memory) > REMEMBERED:
                self._memory.popitem(last=False)
        else:
            self.recalled += 1
        return digest, found

    def settle(self, state: State, failing: Failing) -> tuple[tuple[Transition, ...], State, bool]:
        """Return the transitions until nothing changes, the state then, and whether it came to rest."""
        transitions: list[Transition] = []
        for _ in range(ROUNDS):
            digest, (transition, after) = self._recall(state, failing)
            if transition.actions or transition.waiting:
                transitions.append(transition)
            if after == state:
                if not transition.waiting and not transition.effective:
                    self._stable.add(digest)
                return tuple(transitions), state, True
            state = after
        return tuple(transitions), state, False

    def _step(self, fault: Fault, state: State) -> Step:
        struck = strike(fault, state, self.facts)
        if struck is None:
            return Step(fault, "", state, Struck(state), state, (), settled=True, applied=False)
        if fault.kind == "healed" and not self._dated:
            # Once the failures are forgotten their time does not matter, and many failures end alike.
            _, (first, after) = self._recall(struck.state, struck.failing)
            transitions, after, settled = self.settle(expired(after), NOTHING)
            return Step(fault, "", state, struck, after, (first, *transitions), settled)
        transitions, after, settled = self.settle(struck.state, struck.failing)
        if fault.kind == "fencing-slow":
            more, after, settled = self.settle(after, NOTHING)
            transitions = (*transitions, *more)
        if fault.kind == "maintenance":
            # A node in maintenance is only worth a scenario for what happens when it dies.
            lost = lose(after, fault.nodes, self.facts)
            more, after, settled = self.settle(lost, NOTHING)
            transitions = (*transitions, *more)
        if fault.kind == "moved":
            back = replace(after, variant=Variant())
            more, after, settled = self.settle(back, NOTHING)
            transitions = (*transitions, *more)
        return Step(fault, "", state, struck, after, transitions, settled)

    def _partition(self, fault: Fault, state: State) -> tuple[Step, ...]:
        one = set(fault.nodes)
        other = {node.name for node in self.facts.cluster_nodes} - one
        steps = []
        for side, gone in ((other, one), (one, other)):
            seen = lose(state, tuple(sorted(gone)), self.facts)
            transitions, after, settled = self.settle(seen, NOTHING)
            struck = Struck(seen, nodes=frozenset(gone))
            steps.append(Step(fault, ",".join(sorted(side)), state, struck, after, transitions, settled))
        return tuple(steps)

    def play(self, scenario: Scenario) -> Outcome:
        """Play one scenario from the baseline; raises ``ValueError`` if the scheduler refuses."""
        steps: tuple[Step, ...] = ()
        for index, fault in enumerate(scenario.faults):
            begun = scenario.faults[: index + 1]
            known = self._starts.get(begun)
            if known is None:
                state = steps[-1].after if steps else self.baseline
                if fault.kind == "partition":
                    known = (*steps, *self._partition(fault, state))
                else:
                    known = (*steps, self._step(fault, state))
                if index == 0:
                    self._starts[begun] = known
                    if len(self._starts) > REMEMBERED:
                        self._starts.popitem(last=False)
            steps = known
        return Outcome(scenario, steps)


def _digest(state: State) -> bytes:
    text, *rest = state_key(state)
    return blake2b(f"{text}{rest}".encode(), digest_size=16).digest()


def unmanaged(facts: Configuration, resource: str) -> bool:
    """Tell whether the configuration keeps Pacemaker's hands off this resource."""
    item = facts.resources.get(resource)
    meta: Mapping[str, str] = item.meta if item else {}
    return is_true(meta.get("maintenance")) or meta.get("is-managed", "true").lower() in (
        "false",
        "no",
        "off",
        "0",
    )
