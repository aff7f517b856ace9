"""The story of a scenario as plain data: its steps, what Pacemaker did in each, and why.

A transition graph carries no reasons. They are told from what is known: what failed, which nodes were lost, and which
group, colocation or order ties an action to what was hit or moved before it.
"""

from collections import OrderedDict
from typing import Any

from understudy.proof.configuration import Configuration
from understudy.proof.execute import Action
from understudy.proof.play import REMEMBERED, Outcome, Step

MOST_WAITING = 10


class Storyteller:
    """Tells stories about one configuration."""

    def __init__(self, facts: Configuration) -> None:
        self._told: OrderedDict[int, tuple[Step, dict[str, Any]]] = OrderedDict()
        self._ties: dict[frozenset[str], str] = {}
        for item in facts.resources.values():
            if item.kind == "group":
                for member in item.children:
                    for other in item.children:
                        self._tie(facts, member, other, f"the group {item.id}")
        for rule in facts.colocations:
            self._tie(facts, rule.resource, rule.with_resource, f"the colocation {rule.id}")
        for order in facts.orders:
            self._tie(facts, order.first, order.then, f"the order {order.id}")

    def _tie(self, facts: Configuration, one: str, two: str, words: str) -> None:
        for first in facts.primitives(one):
            for second in facts.primitives(two):
                if first.id != second.id:
                    self._ties.setdefault(frozenset((first.id, second.id)), words)

    def tell(self, outcome: Outcome) -> list[dict[str, Any]]:
        """Return what happened, step by step; many scenarios have steps in common."""
        return [self._told_of(step) for step in outcome.steps]

    def _told_of(self, step: Step) -> dict[str, Any]:
        known = self._told.get(id(step))
        if known is None or known[0] is not step:
            story = {
                "fault": str(step.fault),
                "view": step.view,
                "applied": step.applied,
                "settled": step.settled,
                "transitions": self._transitions(step),
            }
            known = self._told[id(step)] = step, story
            if len(self._told) > REMEMBERED:
                self._told.popitem(last=False)
        return known[1]

    def _transitions(self, step: Step) -> list[dict[str, Any]]:
        hit = {(name.partition(":")[0], node) for name, node in step.struck.hit}
        touched = {name for name, _ in hit}
        told = []
        for transition in step.transitions:
            actions, reasons = [], []
            for action in transition.effective:
                actions.append(_said(action))
                reasons.append(self._reason(action, step, hit, touched))
                if action.resource:
                    touched.add(action.resource.partition(":")[0])
                if action.failed:
                    hit.add((action.resource.partition(":")[0], action.node))
            waiting = [
                f"{one.task} {one.resource or one.node}" for one in transition.waiting if one.effective
            ]
            if transition.effective or transition.waiting:
                told.append({"actions": actions, "reasons": reasons, "waiting": waiting[:MOST_WAITING]})
        return told

    def _reason(self, action: Action, step: Step, hit: set[tuple[str, str]], touched: set[str]) -> str:
        name, node = action.resource.partition(":")[0], action.node
        if action.task == "stonith":
            failed = sorted(resource for resource, where in hit if where == node)
            silent = node in step.struck.nodes or not failed
            return "it fell silent" if silent else f"{', '.join(failed)} failed to stop there"
        if (name, node) in hit:
            return "it failed there"
        was = step.before.running().get(action.resource, {})
        stated = self._because_of_nodes(action, step, set(was))
        return stated or self._because_of_others(action, hit, touched, ran=bool(was))

    @staticmethod
    def _because_of_nodes(action: Action, step: Step, was: set[str]) -> str:
        gone = sorted(was & step.struck.nodes)
        if action.task == "start":
            return f"it ran on {', '.join(gone)}" if gone else ""
        if action.node in step.struck.nodes:
            return "its node is to be left"
        return "" if step.struck.state.quorum else "there is no quorum"

    def _because_of_others(
        self, action: Action, hit: set[tuple[str, str]], touched: set[str], *, ran: bool
    ) -> str:
        name = action.resource.partition(":")[0]
        ties = ((self._ties.get(frozenset((name, other))), other) for other in sorted(touched))
        tied = next((f"it follows {other} by {words}" for words, other in ties if words), "")
        if tied and not any(resource == name for resource, _ in hit):
            return tied
        if name in touched:
            return "it was stopped before"
        return "Pacemaker places it anew" if ran or action.task != "start" else "it may run there again"


def _said(action: Action) -> str:
    where = f" on {action.node}" if action.resource else ""
    return f"{action.task} {action.resource or action.node}{where}{' FAILED' if action.failed else ''}"
