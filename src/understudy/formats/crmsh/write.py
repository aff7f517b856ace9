"""crmsh's language: what ``crm configure load update FILE`` takes, and what administrators write by hand.

What crmsh (4.4) cannot take is a finding ``crmsh-cannot-say``, and the text says it as well as it can: values with
tabs, line breaks or characters beyond ASCII, which it alters; rules that compare with an empty value, spaces or
braces; fencing levels that do not count 1, 2, 3 for a node; the order of resources, as it puts groups behind primitives
and clones last.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from understudy.findings import Finding
from understudy.formats.cluster import (
    Clone,
    ClusterConfiguration,
    Colocation,
    Constraint,
    Expression,
    FencingLevel,
    Group,
    Location,
    Node,
    Operation,
    Order,
    Primitive,
    Resource,
    Tag,
    score_text,
    seconds_text,
)

_PLAIN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.:/,%@+-#")
# Other values of a comparison make it fail; braces say that a value comes from somewhere else.
_COMPARABLE = re.compile(r"[^\s{}]+")
_CONTINUED = " \\\n\t"


@dataclass(frozen=True)
class Rendered:
    """crmsh input, and what it cannot say."""

    text: str
    findings: tuple[Finding, ...]


def render(configuration: ClusterConfiguration) -> Rendered:
    """Write a configuration as batch input for ``crm configure load update``."""
    statements = [
        *(_node(node) for node in configuration.nodes),
        *(text for resource in configuration.resources for text in _resource(resource)),
        *(_constraint(constraint) for constraint in configuration.constraints),
        *_fencing_topology(configuration.fencing_levels),
        *_settings("property cib-bootstrap-options:", configuration.properties),
        *_settings("rsc_defaults rsc-options:", configuration.resource_defaults),
        *_settings("op_defaults op-options:", configuration.operation_defaults),
        *(_tag(tag) for tag in configuration.tags),
    ]
    return Rendered("".join(f"{statement}\n" for statement in statements), tuple(_cannot_say(configuration)))


def quote(value: str) -> str:
    """Write a value so that crmsh reads it back."""
    if value and _PLAIN.issuperset(value):
        return value
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _pairs(values: Mapping[str, str]) -> str:
    return " ".join(f"{name}={quote(value)}" for name, value in values.items())


def _settings(head: str, values: Mapping[str, str]) -> Iterator[str]:
    if values:
        yield _CONTINUED.join((head, *(f"{name}={quote(value)}" for name, value in values.items())))


def _parts(head: str, named: Mapping[str, Mapping[str, str]]) -> list[str]:
    return [head, *(f"{name} {_pairs(values)}" for name, values in named.items() if values)]


def _node(node: Node) -> str:
    sets = {"attributes": node.attributes, "utilization": node.utilization}
    return _CONTINUED.join(_parts(f"node {node.id}: {node.name}", sets))


def _resource(resource: Resource) -> Iterator[str]:
    """Give the statements of a resource: what is inside of a container stands before it."""
    match resource:
        case Primitive():
            sets = {"params": resource.parameters, "meta": resource.meta, "utilization": resource.utilization}
            parts = _parts(f"primitive {resource.id} {resource.agent}", sets)
            yield _CONTINUED.join((*parts, *(_operation(operation) for operation in resource.operations)))
        case Group():
            for primitive in resource.primitives:
                yield from _resource(primitive)
            members = " ".join(primitive.id for primitive in resource.primitives)
            yield _CONTINUED.join(_parts(f"group {resource.id} {members}", {"meta": resource.meta}))
        case Clone():
            yield from _resource(resource.resource)
            meta = {"promotable": "true", **resource.meta} if resource.promotable else resource.meta
            yield _CONTINUED.join(_parts(f"clone {resource.id} {resource.resource.id}", {"meta": meta}))


def _operation(operation: Operation) -> str:
    values = {
        "interval": seconds_text(operation.interval),
        "timeout": None if operation.timeout is None else seconds_text(operation.timeout),
        "on-fail": operation.on_fail,
        "role": operation.role,
        "enabled": None if operation.enabled else "false",
        # crmsh wants what the agent is told behind what Pacemaker is told.
        "OCF_CHECK_LEVEL": None if operation.check_level is None else str(operation.check_level),
    }
    return (
        f"op {operation.name} {_pairs({name: value for name, value in values.items() if value is not None})}"
    )


def _constraint(constraint: Constraint) -> str:
    match constraint:
        case Colocation():
            ends = ((constraint.resource, constraint.role), (constraint.with_resource, constraint.with_role))
            names = " ".join(f"{name}:{role}" if role else name for name, role in ends)
            return f"colocation {constraint.id} {score_text(constraint.score)}: {names}"
        case Order():
            one_way = constraint.kind != "Serialize" and not constraint.symmetrical
            steps = f"{constraint.first}:{constraint.first_action} {constraint.then}:{constraint.then_action}"
            return (
                f"order {constraint.id} {constraint.kind}: {steps}{' symmetrical=false' if one_way else ''}"
            )
        case Location():
            return _location(constraint)


def _location(constraint: Location) -> str:
    discovery = constraint.resource_discovery
    head = f"location {constraint.id} {constraint.resource}"
    if discovery:
        head += f" resource-discovery={discovery}"
    score = score_text(constraint.score)
    if constraint.rule is None:
        role = f" role={constraint.role}" if constraint.role else ""
        return f"{head}{role} {score}: {constraint.node}"
    role = f"$role={constraint.role} " if constraint.role else ""
    joined = f" {constraint.rule.boolean_operator} ".join(map(_expression, constraint.rule.expressions))
    return f"{head}{_CONTINUED}rule {role}{score}: {joined}"


def _expression(expression: Expression) -> str:
    if expression.value is None:
        return f"{expression.operation} {expression.attribute}"
    kind = f"{expression.type}:" if expression.type else ""
    return f"{expression.attribute} {kind}{expression.operation} {quote(expression.value)}"


def _levels(levels: Iterable[FencingLevel]) -> dict[str, list[FencingLevel]]:
    """Return the levels of each node in their order."""
    targets: dict[str, list[FencingLevel]] = {}
    for level in levels:
        targets.setdefault(level.target, []).append(level)
    return {target: sorted(own, key=lambda level: level.index) for target, own in targets.items()}


def _fencing_topology(levels: Iterable[FencingLevel]) -> Iterator[str]:
    targets = [
        f"{target}: {' '.join(','.join(level.devices) for level in own)}"
        for target, own in _levels(levels).items()
    ]
    if targets:
        yield _CONTINUED.join(("fencing_topology", *targets))


def _tag(tag: Tag) -> str:
    return _CONTINUED.join((f"tag {tag.id}:", " ".join(tag.references)))


def _cannot_say(configuration: ClusterConfiguration) -> Iterator[Finding]:
    for subject, name, value in _values(configuration):
        if any(not " " <= character <= "~" for character in value):
            values = {
                "what": f"{name} of {subject}",
                "reason": "it alters tabs, line breaks, and what is not ASCII",
            }
            yield Finding("crmsh-cannot-say", "warning", values, subject=subject)
    for target, levels in _levels(configuration.fencing_levels).items():
        if [level.index for level in levels] != list(range(1, len(levels) + 1)):
            values = {
                "what": f"the fencing levels of {target}",
                "reason": "it counts levels from 1 without gaps",
            }
            yield Finding("crmsh-cannot-say", "warning", values, subject=target)
    for constraint in configuration.constraints:
        expressions = (
            constraint.rule.expressions if isinstance(constraint, Location) and constraint.rule else ()
        )
        if any(item.value is not None and not _COMPARABLE.fullmatch(item.value) for item in expressions):
            reason = "it cannot compare with an empty value, spaces or braces"
            values = {"what": f"the rule of {constraint.id}", "reason": reason}
            yield Finding("crmsh-cannot-say", "warning", values, subject=constraint.id)
    ranks = [(Primitive, Group, Clone).index(type(resource)) for resource in configuration.resources]
    if ranks != sorted(ranks):
        values = {
            "what": "the order of resources",
            "reason": "it puts groups behind primitives and clones last",
        }
        yield Finding("crmsh-cannot-say", "note", values)


def _values(configuration: ClusterConfiguration) -> Iterator[tuple[str, str, str]]:
    """Give every free value with the object and the name that it belongs to."""
    sets: list[tuple[str, Mapping[str, str]]] = [
        ("properties", configuration.properties),
        ("resource defaults", configuration.resource_defaults),
        ("operation defaults", configuration.operation_defaults),
    ]
    for node in configuration.nodes:
        sets += [(node.name, node.attributes), (node.name, node.utilization)]
    for primitive in configuration.primitives():
        sets += [
            (primitive.id, values) for values in (primitive.parameters, primitive.meta, primitive.utilization)
        ]
    for resource in configuration.resources:
        if isinstance(resource, Clone) and isinstance(resource.resource, Group):
            sets.append((resource.resource.id, resource.resource.meta))
        if not isinstance(resource, Primitive):
            sets.append((resource.id, resource.meta))
    for subject, values in sets:
        yield from ((subject, name, value) for name, value in values.items())
    for constraint in configuration.constraints:
        if isinstance(constraint, Location) and constraint.rule:
            for item in constraint.rule.expressions:
                yield constraint.id, item.attribute, item.value or ""
