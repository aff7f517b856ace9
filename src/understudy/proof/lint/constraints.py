"""Checks of location, order and colocation constraints."""

import re
from collections.abc import Iterable, Iterator
from itertools import pairwise

from lxml import etree

from understudy.findings.model import Finding
from understudy.proof.configuration import Colocation, Configuration
from understudy.proof.kinship import FOUNDATION_AGENTS, family
from understudy.proof.values import INFINITY


def existing(facts: Configuration, _: etree._Element) -> Iterator[Finding]:
    """Constraints name resources and nodes that exist."""
    named = [(rule.id, rule.resource) for rule in facts.locations]
    named += [(order.id, name) for order in facts.orders for name in (order.first, order.then)]
    named += [(rule.id, name) for rule in facts.colocations for name in (rule.resource, rule.with_resource)]
    for identifier, name in named:
        if name not in facts.resources and name not in facts.tags:
            yield Finding("constraint-unknown-resource", values={"resource": name}, subject=identifier)
    for rule in facts.locations:
        if rule.node and rule.node not in facts.nodes:
            yield Finding("constraint-unknown-node", "warning", {"node": rule.node}, subject=rule.id)
    for target, names in facts.levels.items():
        for name in names:
            if name not in facts.resources:
                yield Finding("level-unknown-device", values={"device": name}, subject=target)


def members(facts: Configuration, _: etree._Element) -> Iterator[Finding]:
    """Constraints bind groups and clones, not single members of them."""
    named = [(rule.id, name) for rule in facts.colocations for name in (rule.resource, rule.with_resource)]
    named += [(rule.id, rule.resource) for rule in facts.locations]
    for identifier, name in named:
        item = facts.resources.get(name)
        if item and item.parent:
            values = {"member": name, "parent": item.parent}
            yield Finding("constraint-on-member", "warning", values, subject=identifier)


def leftovers(facts: Configuration, _: etree._Element) -> Iterator[Finding]:
    """No constraint of a past move or ban is left over."""
    for rule in facts.locations:
        if rule.id.startswith("cli-ban-"):
            yield Finding(
                "leftover-ban", "warning", {"resource": rule.resource, "node": rule.node}, subject=rule.id
            )
        elif re.match(r"cli-(prefer|standby)-", rule.id):
            yield Finding(
                "leftover-move", "warning", {"resource": rule.resource, "node": rule.node}, subject=rule.id
            )


def loops(facts: Configuration, _: etree._Element) -> Iterator[Finding]:
    """Orders and colocations do not go round in circles, and do not contradict each other."""
    starts = {"start", "promote"}
    edges = [
        (facts.root(order.first), facts.root(order.then), order.id)
        for order in facts.orders
        if order.kind != "Serialize" and {order.first_action, order.then_action} <= starts
    ]
    for group in facts.resources.values():
        if group.kind == "group":
            edges += [(one, two, group.id) for one, two in pairwise(group.children)]
    for identifier in _cycles(edges):
        yield Finding("order-loop", subject=identifier)
    together = [(rule.resource, rule.with_resource, rule.id) for rule in facts.colocations if rule.score > 0]
    for identifier in _cycles(together):
        yield Finding("colocation-loop", subject=identifier)
    apart = {
        frozenset((rule.resource, rule.with_resource)): rule
        for rule in facts.colocations
        if rule.score <= -INFINITY
    }
    for rule in facts.colocations:
        other = apart.get(frozenset((rule.resource, rule.with_resource)))
        if other and rule.score >= INFINITY:
            yield Finding("colocation-contradiction", values={"other": other.id}, subject=rule.id)
    for child, parent in _inside_order(facts):
        yield Finding("order-loop", subject=f"{child}, {parent}")


def _inside_order(facts: Configuration) -> Iterator[tuple[str, str]]:
    for order in facts.orders:
        one, two = facts.resources.get(order.first), facts.resources.get(order.then)
        if (
            one
            and two
            and one.parent
            and one.parent == two.parent
            and facts.resources[one.parent].kind == "group"
        ):
            children = facts.resources[one.parent].children
            if children.index(one.id) > children.index(two.id):
                yield order.id, one.parent


def _cycles(edges: Iterable[tuple[str, str, str]]) -> Iterator[str]:
    """Yield the ids of edges that lie on a cycle, the last edge of each cycle found."""
    follow: dict[str, list[tuple[str, str]]] = {}
    for one, two, identifier in edges:
        if one != two:
            follow.setdefault(one, []).append((two, identifier))
    colour: dict[str, int] = {}
    for start in follow:
        if colour.get(start):
            continue
        colour[start] = 1
        stack = [(start, iter(follow.get(start, ())))]
        while stack:
            node, rest = stack[-1]
            for two, identifier in rest:
                if colour.get(two) == 1:
                    yield identifier
                elif not colour.get(two):
                    colour[two] = 1
                    stack.append((two, iter(follow.get(two, ()))))
                    break
            else:
                colour[node] = 2
                stack.pop()


def halves(facts: Configuration, _: etree._Element) -> Iterator[Finding]:
    """What must be ordered is colocated where it stands on the other, and the reverse."""
    near = _together(facts)
    ordered = {frozenset((facts.root(order.first), facts.root(order.then))) for order in facts.orders}
    for order in facts.orders:
        pair = frozenset((facts.root(order.first), facts.root(order.then)))
        if len(pair) == 2 and pair not in near and _local(facts, order.first) and order.mandatory:
            yield Finding(
                "order-without-colocation",
                "warning",
                {"first": order.first, "then": order.then},
                subject=order.id,
            )
    for rule in facts.colocations:
        pair = frozenset((facts.root(rule.resource), facts.root(rule.with_resource)))
        storage = any(
            item.type in ("Filesystem", "LVM-activate", "LVM", "drbd")
            for item in facts.primitives(rule.with_resource)
        )
        address = all(item.address for item in facts.primitives(rule.resource))
        if len(pair) == 2 and rule.score >= INFINITY and storage and not address and pair not in ordered:
            values = {"resource": rule.resource, "with": rule.with_resource}
            yield Finding("colocation-without-order", "warning", values, subject=rule.id)


def _together(facts: Configuration) -> set[frozenset[str]]:
    """Return the pairs that colocations keep on one node, also by way of others."""
    links: dict[str, set[str]] = {}
    for rule in facts.colocations:
        if rule.score > 0:
            links.setdefault(facts.root(rule.resource), set()).add(facts.root(rule.with_resource))
    pairs = set()
    for start in links:
        reached, waiting = {start}, [start]
        while waiting:
            new = links.get(waiting.pop(), set()) - reached
            reached |= new
            waiting += new
        pairs |= {frozenset((start, other)) for other in reached}
    return pairs


def _local(facts: Configuration, name: str) -> bool:
    """Tell whether what waits for this resource must be on its node: storage, not an address and not a service."""
    found = list(facts.primitives(name))
    return (
        bool(found)
        and all(item.type in ("Filesystem", "LVM-activate", "LVM") for item in found)
        and not facts.cloned(name)
    )


def reversed_colocation(facts: Configuration, _: etree._Element) -> Iterator[Finding]:
    """A single resource follows a clone, never the clone a single resource: that leaves one copy."""
    for rule in facts.colocations:
        if rule.resource not in facts.resources or rule.with_resource not in facts.resources:
            continue
        followers = facts.resources[facts.root(rule.resource)]
        leader = facts.resources[facts.root(rule.with_resource)]
        if followers.kind != "clone" or leader.kind not in ("primitive", "group") or rule.score < INFINITY:
            continue
        copies = followers.meta.get("clone-max", "2")
        if copies != "1" and not rule.role:
            yield _reversed(rule)


def _reversed(rule: Colocation) -> Finding:
    values = {"clone": rule.resource, "single": rule.with_resource}
    return Finding("colocation-reversed", values=values, subject=rule.id)


def services(facts: Configuration, _: etree._Element) -> Iterator[Finding]:
    """Orders between services are advisory: a mandatory one restarts the second whenever the first recovers."""
    near = _together(facts)
    for order in facts.orders:
        if not order.mandatory or not order.symmetrical:
            continue
        first, then = list(facts.primitives(order.first)), list(facts.primitives(order.then))
        if not first or not then or any(item.fencing for item in (*first, *then)):
            continue
        clone_waits = facts.cloned(order.then) and not facts.cloned(order.first)
        local = all(FOUNDATION_AGENTS.match(item.type) for item in first)
        pair = frozenset((facts.root(order.first), facts.root(order.then)))
        if local and (pair in near or len(pair) == 1) and not clone_waits:
            continue
        families = {family(item) for item in first if not FOUNDATION_AGENTS.match(item.type)}
        if {family(item) for item in then} & families and not clone_waits:
            continue
        if local and not clone_waits and all(FOUNDATION_AGENTS.match(item.type) for item in then):
            continue
        if all(item.address for item in then):
            continue
        values = {"first": order.first, "then": order.then}
        yield Finding("mandatory-order-between-services", "warning", values, subject=order.id)


CHECKS = (existing, members, leftovers, loops, halves, reversed_colocation, services)
