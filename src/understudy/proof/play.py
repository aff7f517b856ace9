"""Playing scenarios: fault, scheduler, execution, again and again until nothing changes any more."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from lxml import etree

from understudy.proof.configuration import Configuration
from understudy.proof.cuts import Cuts, Need, Template
from understudy.proof.execute import Failing, Synapse, Transition, World, execute, read_graph
from understudy.proof.faults import NOTHING, Struck, expired, lose, strike
from understudy.proof.groups import Groups
from understudy.proof.lean import Lean
from understudy.proof.scenarios import RECOVERIES, Fault, Scenario
from understudy.proof.sharing import NODE_ACTIONS, Shared, Sharing, fences_untouched, stays_within
from understudy.proof.state import CLOCK, NodeView, State, Variant
from understudy.proof.status import read_state
from understudy.proof.values import is_true, milliseconds
from understudy.proof.values import score as int_score

ROUNDS = 15
REMEMBERED = 3000
TEMPLATES = 300
GRAPHS = 600
PLAIN_SCORE, PROMOTED_SCORE = "10", "100"


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


_Answer = list[Synapse] | tuple[Transition, State]


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
        promotable = promotion_scores(facts, read_state(cib))
        limit = milliseconds(facts.option("stonith-timeout", "fencing-timeout"), 60_000)
        timeouts = {
            (item.id, operation.name): operation.timeout
            for item in facts.primitives()
            for operation in item.operations
            if operation.timeout and not operation.interval
        }
        self.world = World(promotable, limit, {**timeouts, **(durations or {})})
        self._templates: OrderedDict[Need, Template] = OrderedDict()
        self._lean = Lean(facts, cib)
        self._stable: set[bytes] = set()
        self._memory: OrderedDict[tuple[bytes, Failing], tuple[Transition, State]] = OrderedDict()
        self._graphs: OrderedDict[bytes, list[Synapse]] = OrderedDict()
        self._sharing = Sharing(facts, cib, self._lean)
        self._groups = Groups(facts, self._lean, self._sharing.tied)
        self._shared: OrderedDict[Shared, _Answer] = OrderedDict()
        self._taken_before: OrderedDict[tuple[bytes, Fault], tuple[Step, ...]] = OrderedDict()
        self._endings: OrderedDict[bytes, State] = OrderedDict()
        self._addresses = frozenset(item.id for item in facts.primitives() if item.address)
        self._slim = slim
        self._dated = cib.find(".//date_expression") is not None
        self._cuts = Cuts(cib, slim=slim and not read_state(cib).up())
        self.boot: Step = self._boot()
        if slim:
            self._lean = Lean(facts, cib, self.baseline, made_up=self._slim and not self._dated)
            self._cuts = Cuts(cib, self._lean, slim=self._slim)
            self.world = replace(self.world, recurring=self._lean.recurring)
            self._sharing = Sharing(facts, cib, self._lean)
            self._groups = Groups(facts, self._lean, self._sharing.tied)
            self._templates.clear()
            self._graphs.clear()

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

    def text(self, state: State, *, whole: bool = False) -> bytes:
        """Return the CIB that the scheduler is given for a state; ``whole`` with what does nothing there too."""
        return self._text(state, whole=whole)[0]

    def _text(self, state: State, *, whole: bool) -> tuple[bytes, frozenset[str]]:
        lean = self._lean
        watched = lean.watched(state)
        banned = lean.banned(state, watched)
        idle = frozenset() if whole or banned is None else lean.idle(state, watched)
        need = Need(state.variant, watched, banned, idle)
        cut = self._templates.get(need)
        if cut is None:
            cut = self._templates[need] = self._cuts.template(need)
            if len(self._templates) > TEMPLATES:
                self._templates.popitem(last=False)
        omitted = lean.omitted(watched, idle, banned is not None)
        return cut.fill(state, omitted).encode(), idle

    def schedule(self, state: State, failing: Failing) -> tuple[Transition, State]:
        """Ask the scheduler once and carry out its graph; raises ``ValueError`` if it refuses."""
        # Failures that are over change nothing: what was said to the state without them holds.
        asked = self._calm(state)
        key = asked.digest
        graph = self._graphs.get(key)
        if graph is None:
            graph = self._graphs[key] = self._asked(asked)
            if len(self._graphs) > GRAPHS:
                self._graphs.popitem(last=False)
        else:
            self.recalled += 1
        return execute(graph, state, failing=failing, world=self.world)

    def _asked(self, state: State) -> list[Synapse]:
        text, idle = self._text(state, whole=False)
        graph = self._graph(text, state.now)
        if idle and any(
            element.action.task in NODE_ACTIONS for synapse in graph for element in synapse.elements
        ):
            graph = self._graph(self.text(state, whole=True), state.now)
        return graph

    def _graph(self, text: bytes, now: int) -> list[Synapse]:
        self.scheduled += 1
        return read_graph(self.scheduler.graph(text, now))

    def _recall(
        self, state: State, failing: Failing, *, rests: bool = False
    ) -> tuple[bytes, tuple[Transition, State]]:
        """Return what the scheduler does about a state; ``rests`` where that is probably nothing."""
        digest = state.digest
        if digest in self._stable or self._known_to_rest(state, digest, rests=rests):
            self.recalled += 1
            return digest, (Transition(), state)
        return digest, self._remembered(digest, state, failing)

    def _known_to_rest(self, state: State, digest: bytes, *, rests: bool) -> bool:
        calm = self._lean.calm(state)
        if calm is not state and calm.digest in self._stable:
            return True
        lighter = self._lean.lighter(calm) if rests else calm
        if lighter is calm:
            return False
        other = lighter.digest
        if other not in self._stable:
            transition, after = self._remembered(other, lighter, NOTHING)
            if after == lighter and not transition.waiting and not transition.effective:
                self._stable.add(other)
        if other in self._stable:
            self._stable.add(digest)
            return True
        return False

    def _remembered(self, digest: bytes, state: State, failing: Failing) -> tuple[Transition, State]:
        key = (digest, failing)
        found = self._memory.get(key)
        if found is None:
            found = self._memory[key] = self.schedule(state, failing)
            if len(self._memory) > REMEMBERED:
                self._memory.popitem(last=False)
        else:
            self.recalled += 1
        return found

    def settle(self, state: State, failing: Failing) -> tuple[tuple[Transition, ...], State, bool]:
        """Return the transitions until nothing changes, the state then, and whether it came to rest."""
        transitions: list[Transition] = []
        for turn in range(ROUNDS):
            digest, (transition, after) = self._recall(state, failing, rests=turn > 0)
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
        shared = self._sharing.of(fault, state, struck, rests=state.digest in self._stable)
        if shared is not None:
            self._share(shared, struck)
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

    def _share(self, shared: Shared, struck: Struck) -> None:
        """Remember what the scheduler does about a state from another one to which it says the same."""
        known = self._shared.get(shared)
        digest = self._calm(struck.state).digest
        if known is not None:
            self.recalled += 1
        if isinstance(known, list):
            self._graphs[digest] = known
        elif known is not None:
            self._memory[struck.state.digest, struck.failing] = known
        else:
            first = self.schedule(struck.state, struck.failing)
            self._memory[struck.state.digest, struck.failing] = first
            if shared.kind == "stop" and fences_untouched(first[0], shared.node):
                self._shared[shared] = first
            elif shared.kind == "monitor" and stays_within(self._graphs[digest], shared.tied):
                self._shared[shared] = self._graphs[digest]
            if len(self._shared) > REMEMBERED:
                self._shared.popitem(last=False)

    def _partition(self, fault: Fault, state: State) -> tuple[Step, ...]:
        one = set(fault.nodes)
        other = {node.name for node in self.facts.cluster_nodes} - one
        steps = []
        for side, gone in ((other, one), (one, other)):
            seen = lose(state, tuple(sorted(gone)), self.facts, rivals=True)
            transitions, after, settled = self.settle(seen, NOTHING)
            struck = Struck(seen, nodes=frozenset(gone))
            steps.append(Step(fault, ",".join(sorted(side)), state, struck, after, transitions, settled))
        return tuple(steps)

    def play(self, scenario: Scenario) -> Outcome:
        """Play one scenario from the baseline; raises ``ValueError`` if the scheduler refuses."""
        steps: tuple[Step, ...] = ()
        state = self.baseline
        for index, fault in enumerate(scenario.faults, 1):
            steps += self._taken(fault, state, last=index == len(scenario.faults))
            state = steps[-1].after
        return Outcome(scenario, steps)

    def _taken(self, fault: Fault, state: State, *, last: bool) -> tuple[Step, ...]:
        """Return what a fault does to a state; many scenarios come to the same one, and go on alike from there.

        Nothing is asked of where a scenario ends but what runs and what may run. So for its last fault those failures
        are left out that are over, and it does not matter which member keeps a group from a node; unless it is what
        fails again.
        """
        if last and fault.kind not in RECOVERIES and not self._again(fault, state):
            like = self.ending(state)
            steps = self._remembered_steps(fault, like)
            if all(self._groups.roomy(step.after) for step in steps):
                return steps
        return self._remembered_steps(fault, state)

    def _remembered_steps(self, fault: Fault, state: State) -> tuple[Step, ...]:
        key = state.digest, fault
        known = self._taken_before.get(key)
        if known is None:
            partition = fault.kind == "partition"
            known = self._partition(fault, state) if partition else (self._step(fault, state),)
            self._taken_before[key] = known
            if len(self._taken_before) > REMEMBERED:
                self._taken_before.popitem(last=False)
        else:
            self._taken_before.move_to_end(key)
        return known

    def _again(self, fault: Fault, state: State) -> bool:
        """Tell whether a fault may strike what has failed before."""
        struck = self._addresses if fault.kind == "link-lost" else {fault.resource.partition(":")[0]}
        return any(struck & node.troubled for node in state.nodes.values())

    def ending(self, state: State) -> State:
        """Return a state without what tells it from others that go on alike."""
        known = self._endings.get(state.digest)
        if known is None:
            calm = self._calm(state)
            known = self._endings[state.digest] = self._groups.as_one(calm) if state.now == CLOCK else calm
            if state.digest in self._stable and self._groups.roomy(known):
                self._stable |= {calm.digest, known.digest}
            if len(self._endings) > REMEMBERED:
                self._endings.popitem(last=False)
        return known

    def _calm(self, state: State) -> State:
        return self._lean.calm(state) if state.now == CLOCK else state


def promotion_scores(facts: Configuration, state: State) -> dict[str, tuple[str, str]]:
    """Return for what can be promoted the scores of a plain and a promoted copy, as its agent wrote them if it runs."""
    found: dict[str, tuple[str, str]] = {}
    for root in facts.resources.values():
        for item in facts.primitives(root.id) if root.promotable else ():
            seen: dict[str, str] = {}
            for name, where in state.running().items():
                for node, role in where.items() if name.partition(":")[0] == item.id else ():
                    if score := state.nodes[node].attributes.get(f"master-{name}"):
                        seen[role] = score
            promoted = seen.get("Promoted", PROMOTED_SCORE)
            plain = PLAIN_SCORE if "Promoted" not in seen else str(int_score(promoted) // 2)
            found[item.id] = (seen.get("Started", plain), promoted)
    return found


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
