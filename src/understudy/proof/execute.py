"""A transition graph carried out on a state, as the cluster's controllers would.

An action fires when all its inputs have fired; an input that the graph does not hold never fires. A failing action ends
the transition, and the scheduler is asked again; a failing fencing only holds up what waits for it. A promotion score
that changes ends it too, once what had begun is done: the transition was computed with the old one.
"""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple, cast

from lxml import etree

from understudy.proof.state import FAILED, OK, PROMOTED, History, NodeView, Op, State, failed
from understudy.proof.status import failure, operation_digest

Failing = AbstractSet[tuple[str, str, str]]


class Action(NamedTuple):
    """One action of a transition graph; ``timeout`` and ``interval`` in milliseconds, ``until`` in seconds.

    ``until`` bounds when the action is done, counted from the start of the transition, if every action before it takes
    its whole timeout.
    """

    id: str
    task: str
    resource: str = ""
    node: str = ""
    interval: int = 0
    timeout: int = 0
    until: float = 0.0
    failed: bool = False

    @property
    def effective(self) -> bool:
        """Tell whether the action does something to a resource or a node."""
        return bool(self.task == "stonith" or (self.resource and self.task in _CHANGES))


_CHANGES = frozenset(
    {"start", "stop", "promote", "demote", "migrate_to", "migrate_from", "reload", "reload-agent"}
)


@dataclass(frozen=True)
class Transition:
    """What was done of one graph, in order, and what could not be done."""

    actions: tuple[Action, ...] = ()
    waiting: tuple[Action, ...] = ()
    inputs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @cached_property
    def _masks(self) -> tuple[dict[str, int], dict[str, int]]:
        """Return by action its bit, and the bits of all that had to be done before it."""
        bits = {action.id: 1 << index for index, action in enumerate(self.actions)}
        before: dict[str, int] = {}
        for action in self.actions:
            mask = 0
            for name in self.inputs.get(action.id, ()):
                mask |= bits.get(name, 0) | before.get(name, 0)
            before[action.id] = mask
        return bits, before

    def precedes(self, first: str, action: Action) -> bool:
        """Tell whether an action (by its id) had to be done before another one."""
        bits, before = self._masks
        return bool(bits.get(first, 0) & before.get(action.id, 0))

    @cached_property
    def effective(self) -> tuple[Action, ...]:
        """Return the actions that changed a resource or a node."""
        return tuple(action for action in self.actions if action.effective)


class Element(NamedTuple):
    """An action as a graph describes it: ``values`` are its attributes, ``primitive`` those of its resource."""

    tag: str
    action: Action
    uuid: str
    values: Mapping[str, str]
    primitive: Mapping[str, str]


class Synapse(NamedTuple):
    """One synapse of a graph: its actions, and the ids of the actions that must have fired."""

    elements: list[Element]
    inputs: tuple[str, ...]


def read_graph(text: bytes) -> list[Synapse]:
    """Read a transition graph as the scheduler wrote it; raises ``ValueError`` if it is none."""
    try:
        root = etree.fromstring(text)
    except etree.XMLSyntaxError as error:
        raise ValueError(str(error)) from error
    if root.tag != "transition_graph":
        raise ValueError(f"a {root.tag} element where a transition graph was expected")
    synapses = []
    for synapse in root:
        elements: list[Element] = []
        inputs: tuple[str, ...] = ()
        for part in synapse:
            if part.tag == "action_set":
                elements = [_described(element) for element in part]
            elif part.tag == "inputs":
                inputs = tuple([trigger[0].get("id", "") for trigger in part if len(trigger)])
        synapses.append(Synapse(elements, inputs))
    return synapses


_NOTHING: Mapping[str, str] = {}


def _attributes(element: etree._Element) -> Mapping[str, str]:
    return cast("dict[str, str]", dict(element.items()))


def _described(element: etree._Element) -> Element:
    about = _attributes(element)
    tag, name, task = str(element.tag), about.get("id", ""), about.get("operation", "")
    if tag == "pseudo_event":
        resource = next((part.get("id", "") for part in element if part.tag == "primitive"), "")
        action = Action(name, f"pseudo:{task}", resource, about.get("on_node", ""))
        return Element(tag, action, "", _NOTHING, _NOTHING)
    values = primitive = _NOTHING
    for part in element:
        if part.tag == "attributes":
            values = _attributes(part)
        elif part.tag == "primitive":
            primitive = _attributes(part)
    limit = values.get("CRM_meta_timeout", "0") if tag == "rsc_op" else "0"
    action = Action(
        name,
        task,
        primitive.get("id", ""),
        about.get("on_node", ""),
        int(values.get("CRM_meta_interval") or 0),
        int(limit) if limit.isdigit() else 0,
    )
    return Element(tag, action, about.get("on_node_uuid", ""), values, primitive)


class _Run:
    """One graph being carried out; the state is replaced as actions complete."""

    def __init__(self, state: State, failing: Failing, world: "World") -> None:
        self._given = state
        self._nodes = dict(state.nodes)
        self.failing = failing
        self.promotable = world.promotable
        self.rescored = False
        self.recurring = world.recurring

    @property
    def state(self) -> State:
        """Return the state as it is now."""
        given = self._given
        if self._nodes == given.nodes:
            return given
        return State(self._nodes, given.quorum, given.now, given.variant)

    def fire(self, element: Element) -> bool:
        """Apply one action; return False if it fails."""
        if element.tag == "crm_event":
            return self._controller(element)
        if element.tag != "rsc_op":
            return True
        if self.failing and self._fails(element.action):
            self._fail(element)
            return False
        self._resource(element)
        return True

    def _fails(self, action: Action) -> bool:
        failing = {(action.resource, action.task, action.node), (action.resource, action.task, "")}
        return bool(failing & self.failing) and not (action.task == "monitor" and action.interval)

    def _node(self, element: Element) -> NodeView:
        name = element.action.node
        return self._nodes.get(name) or NodeView(element.uuid or name, name, remote=True)

    def _controller(self, element: Element) -> bool:
        action = element.action
        node = self._nodes.get(action.node)
        if action.task == "stonith" and node is not None:
            if ("", "stonith", action.node) in self.failing or ("", "stonith", "") in self.failing:
                return False
            self._nodes[node.name] = node.down() if not node.remote else node.joined()
        elif action.task == "do_shutdown" and node is not None:
            self._nodes[node.name] = node.down()
        elif action.task in ("clear_failcount", "lrm_delete"):
            self._resource(element)
        return True

    def _fail(self, element: Element) -> None:
        action, now = element.action, self._given.now
        node = self._node(element)
        if action.resource not in node.resources:
            node = node.with_history(action.resource, self._blank(element))
        op = failure(None, action.task, action.interval, FAILED, now)
        op = op._replace(digest=operation_digest(element.values, action.interval))
        node = failed(node, action.resource, op, now, fatal=action.task in ("start", "stop"))
        self._nodes[node.name] = node

    @staticmethod
    def _blank(element: Element) -> History:
        about = element.primitive
        ops = (Op("last_0", element.action.task, 0, OK),)
        return History(about.get("class", ""), about.get("provider", ""), about.get("type", ""), ops)

    def _resource(self, element: Element) -> None:
        node, values = self._node(element), element.values
        name, task = element.action.resource, element.action.task
        history = node.resources.get(name)
        if task == "clear_failcount":
            node = _cleared(node, name)
        elif task in ("delete", "lrm_delete"):
            node = node.with_history(name, None)
        elif task == "stop":
            kept = tuple(op for op in history.ops if op.key == "last_failure_0") if history else ()
            if kept and history is not None:
                last = Op("last_0", "stop", 0, OK)
                node = node.with_history(name, history._replace(ops=(*kept, last)))
            else:
                node = node.with_history(name, None)
        elif task == "cancel" and history is not None:
            key = f"{values.get('CRM_meta_operation', 'monitor')}_{values.get('CRM_meta_interval', '')}"
            ops = tuple(op for op in history.ops if op.key != key)
            node = node.with_history(name, history._replace(ops=ops))
        elif task in ("start", "promote", "demote", "migrate_to", "migrate_from", "monitor"):
            node = self._record(element, node)
        else:
            return
        self._nodes[node.name] = self._scored(node, name, task) if self.promotable else node

    def _record(self, element: Element, node: NodeView) -> NodeView:
        action, values = element.action, element.values
        target = int(values.get("CRM_meta_op_target_rc", "0") or 0)
        history = node.resources.get(action.resource)
        if action.task == "monitor" and (history is None or not action.interval):
            return node
        key = f"{action.task}_{action.interval}" if action.interval else "last_0"
        extra = tuple(
            (name.removeprefix("CRM_meta_"), value)
            for name, value in sorted(values.items())
            if name in ("CRM_meta_migrate_source", "CRM_meta_migrate_target")
        )
        promoted = target == PROMOTED or (
            action.task == "monitor" and history is not None and history.role == "Promoted"
        )
        rc = PROMOTED if promoted and action.task == "monitor" else OK
        digest = operation_digest(values, action.interval)
        op = Op(key, action.task, action.interval, rc, rc, 0, digest, extra)
        blank = history or self._blank(element)
        keep = ("last_failure_0",) if action.task in ("start", "migrate_from") else None
        kept = tuple(
            item
            for item in (blank.ops if history else ())
            if item.key != key and (keep is None or item.key in keep)
        )
        monitors: tuple[Op, ...] = ()
        if action.task in ("start", "migrate_from"):
            monitors = self.recurring.get(action.resource.partition(":")[0], ())
        return node.with_history(action.resource, blank._replace(ops=(*kept, op, *monitors)))

    def _scored(self, node: NodeView, name: str, task: str) -> NodeView:
        """Write the promotion score that an agent would: higher where it is promoted, none where it is stopped."""
        scores = self.promotable.get(name.partition(":")[0])
        if scores is None:
            return node
        plain, promoted = scores
        value = {"start": plain, "demote": plain, "promote": promoted, "stop": None}
        key = f"master-{name}"
        if task not in value or node.attributes.get(key) == value[task]:
            return node
        self.rescored = True
        return node.with_attributes({key: value[task]})


def _cleared(node: NodeView, name: str) -> NodeView:
    gone = {
        key: None
        for key in node.attributes
        if key.startswith((f"fail-count-{name}#", f"last-failure-{name}#")) or key == f"fail-count-{name}"
    }
    node = node.with_attributes(gone)
    history = node.resources.get(name)
    if history is None:
        return node
    ops = tuple(op for op in history.ops if op.key != "last_failure_0")
    left = history._replace(ops=ops)
    return node.with_history(name, left if left.role != "Stopped" else None)


@dataclass(frozen=True)
class World:
    """What a graph does not say: times in milliseconds.

    ``promotable`` are primitives whose agents write a promotion score, with the score of a plain copy and that of the
    promoted one; ``durations`` are measured ones by (resource, operation), fencing's by ``("", "stonith")``; where
    there is none, the operation's timeout counts; ``recurring`` are the monitors that run wherever a primitive does,
    although the graph does not say so.
    """

    promotable: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    fencing_timeout: int = 60_000
    durations: Mapping[tuple[str, str], int] = field(default_factory=dict)
    recurring: Mapping[str, tuple[Op, ...]] = field(default_factory=dict)

    def takes(self, action: Action) -> int:
        """Return how long an action takes at most."""
        if action.interval or action.task == "notify":
            return 0
        known = self.fencing_timeout if action.task == "stonith" else action.timeout
        resource = "" if action.task == "stonith" else action.resource.partition(":")[0]
        return self.durations.get((resource, action.task), known)


DEFAULT_WORLD = World()


class _Queue:
    """What of a graph may be begun: synapses whose inputs have all fired, in that order."""

    def __init__(self, graph: list[Synapse]) -> None:
        self.missing = [set(synapse.inputs) for synapse in graph]
        self.ready = [index for index, inputs in enumerate(self.missing) if not inputs]
        self.waiting = set(range(len(graph))) - set(self.ready)
        self._waiters: dict[str, list[int]] = {}
        for index, synapse in enumerate(graph):
            for name in synapse.inputs:
                self._waiters.setdefault(name, []).append(index)

    def fired(self, name: str) -> None:
        """Note that an action has fired."""
        for waiter in self._waiters.get(name, ()):
            self.missing[waiter].discard(name)
            if not self.missing[waiter] and waiter in self.waiting:
                self.waiting.discard(waiter)
                self.ready.append(waiter)


def execute(
    graph: list[Synapse],
    state: State,
    *,
    failing: Failing = frozenset(),
    world: World = DEFAULT_WORLD,
) -> tuple[Transition, State]:
    """Carry out a graph and return what was done with the state afterwards.

    ``failing`` names actions that fail as (resource, operation, node), an empty node meaning any; fencing is
    ``("", "stonith", node)``.
    """
    run, queue = _Run(state, failing, world), _Queue(graph)
    done: list[Action] = []
    withheld: list[Action] = []
    inputs_of: dict[str, tuple[str, ...]] = {}
    until: dict[str, float] = {}
    end: int | None = None
    for place, index in enumerate(queue.ready):
        if end is not None and place >= end:
            break
        elements, inputs = graph[index]
        begun = max([until.get(name, 0.0) for name in inputs], default=0.0)
        for element in elements:
            action, succeeded = element.action, run.fire(element)
            if not succeeded and action.task == "stonith":
                withheld.append(action._replace(failed=True))
                continue
            ended = until[action.id] = begun + world.takes(action) / 1000
            inputs_of[action.id] = inputs
            done.append(Action(*action[:6], ended, not succeeded))
            if not succeeded:
                end = place + 1
            elif run.rescored and end is None:
                end = len(queue.ready)
            queue.fired(action.id)
    if end is not None:
        return Transition(tuple(done), (), inputs_of), run.state
    stuck = [element.action for index in sorted(queue.waiting) for element in graph[index].elements]
    return Transition(tuple(done), (*withheld, *stuck), inputs_of), run.state
