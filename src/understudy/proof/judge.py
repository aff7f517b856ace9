"""Verdicts on played scenarios: what happened to each service, and which invariants broke.

Whether an interruption was due is decided by what a service stands on, not by what the configuration chains to it:
the storage and addresses it shares a node with, the same service's other processes, the node itself. Everything else
that was stopped on a healthy node is a bystander.
"""

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from functools import cached_property

from understudy.proof.configuration import Configuration
from understudy.proof.execute import Action
from understudy.proof.kinship import FOUNDATION_AGENTS, STORAGE_AGENTS, Kinship
from understudy.proof.play import REMEMBERED, Outcome, Step, unmanaged
from understudy.proof.scenarios import RECOVERIES, allowed_nodes
from understudy.proof.state import State
from understudy.proof.values import is_true
from understudy.proof.verdict import Verdict, Violation, worst

ORDERLY = frozenset({"healed", "moved", "cluster-maintenance"})


class Judge:
    """Judges the outcomes on one configuration, whose resources ran like this before."""

    def __init__(self, facts: Configuration, baseline: State) -> None:
        self.facts = facts
        self.baseline = baseline
        self.kinship = Kinship(facts)
        self._cloned = frozenset(name for name in facts.resources if facts.cloned(name))
        self._steps: OrderedDict[tuple[int, bool], tuple[Step, tuple[Violation, ...]]] = OrderedDict()
        self.policy = facts.option("no-quorum-policy", default="stop")

    @cached_property
    def services(self) -> list[str]:
        """Return what the verdicts are about: the outermost resources that are no fencing devices."""
        return [
            root.id
            for root in self.facts.roots()
            if not all(item.fencing for item in self.facts.primitives(root.id)) or root.kind == "bundle"
        ]

    def judge(self, outcome: Outcome, *, services: bool = True) -> Verdict:
        """Return the verdict on one scenario; without ``services`` only what broke, and where it was fenced."""
        violations: list[Violation] = []
        fenced: set[str] = set()
        for step in outcome.steps:
            if step.applied:
                violations += self._judged(step, several=outcome.scenario.order > 1)
                fenced |= {
                    action.node for item in step.transitions for action in _done(item.actions, "stonith")
                }
        violations += self._both_sides(outcome)
        struck = [step for step in outcome.steps if step.fault.kind not in RECOVERIES] or list(outcome.steps)
        words = self._words(struck, violations) if services else {}
        applied = any(step.applied for step in struck)
        return Verdict(words, tuple(sorted(fenced)), tuple(dict.fromkeys(violations)), applied)

    @cached_property
    def _members(self) -> Mapping[str, str]:
        """Return for each primitive the service it belongs to."""
        return {item.id: service for service in self.services for item in self.facts.primitives(service)}

    def _places(self, state: State) -> Mapping[str, Mapping[str, Mapping[str, str]]]:
        """Return by service where its primitives run."""
        found: dict[str, dict[str, Mapping[str, str]]] = {}
        for name, where in state.running().items():
            service = self._members.get(name.partition(":")[0])
            if service is not None:
                found.setdefault(service, {})[name] = where
        return found

    def _words(self, steps: list[Step], violations: list[Violation]) -> dict[str, str]:
        """Return what became of each service."""
        # A service lives on the side of a partition that kept quorum.
        ends = [step for step in steps if step.fault.kind != "partition" or step.after.quorum] or steps
        ends = ends if any(step.fault.kind == "partition" for step in steps) else steps
        was, now = self._places(ends[0].before), self._places(ends[-1].after)
        done = {
            self._members.get(action.resource.partition(":")[0], "")
            for step in ends
            for item in step.transitions
            for action in item.effective
        }
        codes: dict[str, set[str]] = {}
        for violation in violations:
            service = self._members.get(violation.object, violation.object)
            codes.setdefault(service, set()).add(violation.code)
        nothing: Mapping[str, Mapping[str, str]] = {}
        return {
            service: worst(codes.get(service, set()))
            or self._word(service, was.get(service, nothing), now.get(service, nothing), service in done)
            for service in self.services
        }

    def _word(
        self,
        service: str,
        was: Mapping[str, Mapping[str, str]],
        now: Mapping[str, Mapping[str, str]],
        acted: bool,
    ) -> str:
        if was and not now:
            return "stopped"
        if not acted:
            return "kept"
        stayed = all(set(was[name]) >= set(now.get(name, {})) for name in was)
        return "restarted" if stayed or self.facts.cloned(service) else "moved"

    def _judged(self, step: Step, *, several: bool) -> tuple[Violation, ...]:
        """Return what broke in a step; many scenarios begin with the same one."""
        key = id(step), several
        known = self._steps.get(key)
        if known is None or known[0] is not step:
            known = self._steps[key] = (step, tuple(self._step(step, several=several)))
            if len(self._steps) > REMEMBERED:
                self._steps.popitem(last=False)
        return known[1]

    def _step(self, step: Step, *, several: bool) -> Iterator[Violation]:
        kind = step.fault.kind
        if not step.settled:
            yield Violation("never-settles", _last_resource(step), str(step.fault))
        yield from self._waiting(step)
        if kind != "cluster-maintenance":
            yield from self._fencing_first(step)
            yield from self._lost(step, several=several)
        yield from self._without_quorum(step)
        yield from self._twice(step)
        yield from self._bystanders(step)
        yield from self._data(step)
        yield from self._capacity(step)
        if kind == "cluster-maintenance":
            for action in _effective(step):
                yield Violation("maintenance-touched", action.resource or action.node)
        if kind == "stop":
            yield from self._after_stop_failure(step)
        if kind == "monitor-limit":
            yield from self._after_limit(step)

    def _waiting(self, step: Step) -> Iterator[Violation]:
        if step.fault.kind == "fencing-fails" or not step.transitions:
            return
        waiting = [action for action in step.transitions[-1].waiting if action.effective]
        if waiting:
            first = waiting[0]
            yield Violation("transition-stuck", first.resource or first.node, f"{first.task} on {first.node}")

    def _fencing_first(self, step: Step) -> Iterator[Violation]:
        silent = (
            {
                name
                for name in step.struck.nodes
                if (node := step.struck.state.nodes.get(name)) and not node.up
            }
            if step.fault.kind in ("node-lost", "partition", "fencing-fails", "fencing-slow")
            else set()
        )
        fenced: set[str] = set()
        for transition in step.transitions:
            stonith = {action.id: action.node for action in _done(transition.actions, "stonith")}
            for action in transition.actions:
                base = action.resource.partition(":")[0]
                if action.task not in ("start", "promote") or base not in self.facts.resources:
                    continue
                if self.facts.resources[base].fencing or base in self._cloned:
                    continue
                owners = {name for name in silent if self._ran(step.before, name, action.resource)} - fenced
                if owners:
                    owners -= {node for name, node in stonith.items() if transition.precedes(name, action)}
                if owners:
                    yield Violation("start-before-fencing", base, ",".join(sorted(owners)))
            fenced |= set(stonith.values())

    @staticmethod
    def _ran(state: State, node: str, resource: str) -> bool:
        view = state.nodes.get(node)
        history = view.resources.get(resource) if view else None
        return history is not None and history.role != "Stopped"

    def _lost(self, step: Step, *, several: bool) -> Iterator[Violation]:
        state = step.after
        if not state.quorum or step.fault.kind == "fencing-fails" or (step.view and not state.quorum):
            return
        running, before = state.running(), self.baseline.running()
        for name in before:
            base = name.partition(":")[0]
            item = self.facts.resources.get(base)
            if item is None or running.get(name):
                continue
            if item.meta.get("target-role", "Started") == "Stopped":
                continue
            if several and not self._could_run(state, base):
                continue
            if set(allowed_nodes(self.facts, base)) <= step.struck.nodes and item.fencing:
                continue  # a device that only the lost node may run is not needed for the others
            if item.fencing:
                yield Violation("fencing-device-down", base)
            elif item.address:
                yield Violation("address-down", base)
            else:
                yield Violation("service-lost", base)

    def _free_nodes(self, state: State, name: str) -> list[str]:
        free = []
        for node in allowed_nodes(self.facts, name.partition(":")[0]):
            view = state.nodes.get(node)
            if (
                view is None
                or not view.up
                or "standby" in view.attributes
                or "maintenance" in view.attributes
            ):
                continue
            marked = f"fail-count-{name}#"
            if any(key.startswith(marked) and value == "INFINITY" for key, value in view.attributes.items()):
                continue
            free.append(node)
        return free

    def _could_run(self, state: State, base: str) -> bool:
        """Tell whether some node is free for a resource and everything it must share a node with."""
        group = {base, *self.kinship.together.get(base, ())}
        root = self.facts.root(base)
        if self.facts.resources[root].kind == "group":
            group |= {item.id for item in self.facts.primitives(root)}
        free = [
            set(self._free_nodes(state, name)) for name in group if not self.facts.resources[name].fencing
        ]
        needed = [name for name in group if name in self._cloned]
        running = state.running()
        free += [set(running.get(name, {})) for name in needed]
        return bool(set.intersection(*free)) if free else False

    def _without_quorum(self, step: Step) -> Iterator[Violation]:
        state = step.after
        if state.quorum or self.policy == "freeze":
            return
        if step.fault.kind != "partition" and step.view:
            return
        if self.policy == "ignore" and len(self.facts.cluster_nodes) <= 2:
            return
        for name in state.running():
            item = self.facts.resources.get(name.partition(":")[0])
            if item is None or item.fencing or unmanaged(self.facts, item.id):
                continue
            if item.meta.get("requires") == "nothing":
                continue
            yield Violation("runs-without-quorum", item.id, self.policy)

    def _twice(self, step: Step) -> Iterator[Violation]:
        for name, where in step.after.running().items():
            base = name.partition(":")[0]
            if base in self.facts.resources and base not in self._cloned and len(where) > 1:
                yield Violation("running-twice", base, ",".join(sorted(where)))

    def _both_sides(self, outcome: Outcome) -> Iterator[Violation]:
        views = [step for step in outcome.steps if step.fault.kind == "partition"]
        if len(views) < 2:
            return
        one, two = views[0], views[1]
        fenced = [
            {action.node for item in view.transitions for action in _done(item.actions, "stonith")}
            for view in views[:2]
        ]
        if fenced[0] >= set(two.view.split(",")) or fenced[1] >= set(one.view.split(",")):
            return
        for name in set(one.after.running()) & set(two.after.running()):
            base = name.partition(":")[0]
            item = self.facts.resources.get(base)
            if item and not item.fencing and base not in self._cloned:
                yield Violation("running-twice", base, f"{one.view} | {two.view}")

    def _bystanders(self, step: Step) -> Iterator[Violation]:
        kind = step.fault.kind
        if kind in ORDERLY or (not step.struck.state.quorum or not step.after.quorum):
            return
        code = "moves-back" if kind in RECOVERIES else "bystander-interrupted"
        hit = set(step.struck.hit)
        struck = set(step.struck.nodes)
        for transition in step.transitions:
            struck |= {action.node for action in _done(transition.actions, "stonith")}
            hit |= {(action.resource, action.node) for action in transition.actions if action.failed}
        for transition in step.transitions:
            for action in transition.effective:
                if action.task not in ("stop", "demote", "migrate_to"):
                    continue
                item = self.facts.resources.get(action.resource.partition(":")[0])
                if item is None or item.fencing or not self._ran(step.before, action.node, action.resource):
                    continue
                if not self.kinship.due(action.resource, action.node, frozenset(hit), frozenset(struck)):
                    yield Violation(code, item.id, action.node)

    @cached_property
    def _storage(self) -> Mapping[str, tuple[str, ...]]:
        """Return for what works on data the file systems and volumes that it must share a node with."""
        resources = self.facts.resources
        return {
            name: storage
            for name, near in self.kinship.together.items()
            if not resources[name].address and not FOUNDATION_AGENTS.match(resources[name].type)
            if (storage := tuple(other for other in near if resources[other].type in STORAGE_AGENTS))
        }

    def _data(self, step: Step) -> Iterator[Violation]:
        for transition in step.transitions:
            starts = {
                (action.resource, action.node): action
                for action in transition.actions
                if action.task == "start"
            }
            for (name, node), action in starts.items():
                for other in self._storage.get(name, ()):
                    storage = starts.get((other, node))
                    if storage is not None and not transition.precedes(storage.id, action):
                        yield Violation("starts-before-its-data", name, other)

    def _capacity(self, step: Step) -> Iterator[Violation]:
        load: dict[str, dict[str, int]] = {}
        for name, where in step.after.running().items():
            item = self.facts.resources.get(name.partition(":")[0])
            for node in where if item and item.utilization else ():
                for key, value in (item.utilization if item else {}).items():
                    loads = load.setdefault(node, {})
                    loads[key] = loads.get(key, 0) + value
        for node, loads in load.items():
            known = self.facts.nodes.get(node)
            for key, value in loads.items():
                if known and key in known.utilization and value > known.utilization[key]:
                    yield Violation("node-overloaded", node, f"{key} {value} > {known.utilization[key]}")

    def _after_stop_failure(self, step: Step) -> Iterator[Violation]:
        for name, node in step.struck.hit:
            base = name.partition(":")[0]
            view = step.after.nodes.get(node)
            still = view is not None and view.up and self._ran(step.after, node, name)
            if still and not any(_done(item.actions, "stonith") for item in step.transitions):
                yield Violation("blocked-after-stop-failure", base, node)

    def _after_limit(self, step: Step) -> Iterator[Violation]:
        running = step.after.running()
        for name, node in step.struck.hit:
            others = [other for other in self._free_nodes(step.after, name) if other != node]
            if others and node in running.get(name, {}) and not self.facts.resources[name].fencing:
                yield Violation("stays-after-failures", name, node)


def _done(actions: tuple[Action, ...], task: str) -> list[Action]:
    return [action for action in actions if action.task == task and not action.failed]


def _effective(step: Step) -> list[Action]:
    return [action for item in step.transitions for action in item.effective]


def _last_resource(step: Step) -> str:
    actions = _effective(step)
    return (actions[-1].resource or actions[-1].node) if actions else ""


def judge_boot(judge: Judge, boot: Step) -> list[Violation]:
    """Return what is wrong before anything fails: what never comes up, or a start that never comes to rest."""
    found = [] if boot.settled else [Violation("never-settles", _last_resource(boot), "start")]
    running = boot.after.running()
    names = {name.partition(":")[0] for name in running}
    for item in judge.facts.primitives():
        if item.id in names or not boot.after.quorum:
            continue
        meta = {**judge.facts.resources[judge.facts.root(item.id)].meta, **item.meta}
        stopped = meta.get("target-role", "Started") == "Stopped" or unmanaged(judge.facts, item.id)
        if not stopped and not is_true(judge.facts.option("maintenance-mode", default="false")):
            found.append(Violation("does-not-start", item.id))
    waiting = [action for item in boot.transitions[-1:] for action in item.waiting if action.effective]
    if waiting:
        found.append(Violation("transition-stuck", waiting[0].resource or waiting[0].node, "start"))
    return found
