"""The pcs commands (0.11) that build a configuration.

pcs makes no nodes: they have joined already. What it cannot be told is a finding ``pcs-cannot-say`` and left out of the
commands: empty values; tags of anything but resources; a role in a location constraint that names its node.
"""

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from understudy.findings import Finding
from understudy.formats.cluster import (
    Clone,
    ClusterConfiguration,
    Colocation,
    Constraint,
    Group,
    Location,
    Operation,
    Order,
    Primitive,
    Resource,
    Rule,
    Tag,
    score_text,
    seconds_text,
)

Words = tuple[str, ...]

_NO_DEFAULT_OPERATIONS = "--no-default-ops"


@dataclass(frozen=True)
class Rendered:
    """The commands, each a list of arguments, in the order in which they must run, and what they cannot say."""

    commands: tuple[Words, ...]
    findings: tuple[Finding, ...]

    @property
    def script(self) -> str:
        """Return the commands as a shell script that stops at the first failure."""
        return "\n".join(("#!/bin/sh", "set -e", *map(shlex.join, self.commands), ""))


def render(configuration: ClusterConfiguration, *, file: str | None = None, force: bool = False) -> Rendered:
    """Write a configuration as pcs commands.

    With ``file`` they change that CIB file instead of the running cluster. With ``force`` pcs accepts agents and
    options that it does not know, such as agents that are not installed where it runs.
    """
    options = (*(("-f", file) if file else ()), *(("--force",) if force else ()))
    writer = _Writer(configuration)
    commands = tuple(_command(options, words) for words in writer.words())
    return Rendered(commands, tuple(writer.findings))


def _command(options: Words, words: Words) -> Words:
    """Return the whole command; behind ``--`` a negative score is not taken for an option."""
    if words[0] == _NO_DEFAULT_OPERATIONS:
        options, words = (*options, words[0]), words[1:]
    end = ("--",) if any(word.startswith("-") for word in words) else ()
    return ("pcs", *options, *end, *words)


class _Writer:
    def __init__(self, configuration: ClusterConfiguration) -> None:
        self.findings: list[Finding] = []
        self._configuration = configuration
        self._resources = frozenset(configuration.resource_ids())

    def words(self) -> Iterator[Words]:
        configuration = self._configuration
        yield from self._settings(("property", "set"), "cluster", configuration.properties)
        yield from self._settings(
            ("resource", "defaults", "update"), "resource defaults", configuration.resource_defaults
        )
        defaults = configuration.operation_defaults
        yield from self._settings(("resource", "op", "defaults", "update"), "operation defaults", defaults)
        for node in configuration.nodes:
            yield from self._settings(("node", "attribute", node.name), node.name, node.attributes)
            yield from self._settings(("node", "utilization", node.name), node.name, node.utilization)
        for resource in configuration.resources:
            yield from self._resource(resource)
        for constraint in configuration.constraints:
            yield from self._constraint(constraint)
        for level in configuration.fencing_levels:
            yield ("stonith", "level", "add", str(level.index), level.target, *level.devices)
        for tag in configuration.tags:
            yield from self._tag(tag)

    def _cannot_say(self, subject: str, what: str, reason: str) -> None:
        values = {"what": what, "reason": reason}
        self.findings.append(Finding("pcs-cannot-say", "warning", values, subject=subject))

    def _pairs(self, subject: str, values: Mapping[str, str]) -> Words:
        for name, value in values.items():
            if not value:
                self._cannot_say(subject, f"the empty {name} of {subject}", "it takes an empty value as none")
        return tuple(f"{name}={value}" for name, value in values.items() if value)

    def _settings(self, command: Words, subject: str, values: Mapping[str, str]) -> Iterator[Words]:
        if pairs := self._pairs(subject, values):
            yield (*command, *pairs)

    def _resource(self, resource: Resource) -> Iterator[Words]:
        match resource:
            case Primitive():
                yield from self._primitive(resource)
            case Group():
                for primitive in resource.primitives:
                    yield from self._primitive(primitive)
                yield (
                    "resource",
                    "group",
                    "add",
                    resource.id,
                    *(primitive.id for primitive in resource.primitives),
                )
                yield from self._settings(("resource", "meta", resource.id), resource.id, resource.meta)
            case Clone():
                yield from self._resource(resource.resource)
                verb = "promotable" if resource.promotable else "clone"
                yield (
                    "resource",
                    verb,
                    resource.resource.id,
                    resource.id,
                    *self._pairs(resource.id, resource.meta),
                )

    def _primitive(self, primitive: Primitive) -> Iterator[Words]:
        family = "stonith" if primitive.is_fencing else "resource"
        parameters = self._pairs(primitive.id, primitive.parameters)
        operations = [word for operation in primitive.operations for word in _operation(operation)]
        meta = self._pairs(primitive.id, primitive.meta)
        yield (
            _NO_DEFAULT_OPERATIONS,
            *(family, "create", primitive.id, primitive.agent.removeprefix("stonith:"), *parameters),
            *(("op", *operations) if operations else ()),
            *(("meta", *meta) if meta else ()),
        )
        if all(operation.name != "monitor" for operation in primitive.operations):
            # pcs gives every resource a monitor operation, wanted or not.
            yield (family, "op", "delete", primitive.id, "monitor")
        yield from self._settings(
            ("resource", "utilization", primitive.id), primitive.id, primitive.utilization
        )

    def _constraint(self, constraint: Constraint) -> Iterator[Words]:
        match constraint:
            case Colocation():
                yield (
                    *(
                        "constraint",
                        "colocation",
                        "add",
                        *_with_role(constraint.role, constraint.resource),
                        "with",
                    ),
                    *(
                        *_with_role(constraint.with_role, constraint.with_resource),
                        score_text(constraint.score),
                    ),
                    f"id={constraint.id}",
                )
            case Order():
                one_way = constraint.kind != "Serialize" and not constraint.symmetrical
                yield (
                    *("constraint", "order", constraint.first_action, constraint.first, "then"),
                    *(constraint.then_action, constraint.then, f"kind={constraint.kind}"),
                    *(("symmetrical=false",) if one_way else ()),
                    f"id={constraint.id}",
                )
            case Location(rule=Rule() as rule):
                yield from self._rule(constraint, rule)
            case Location():
                if constraint.role:
                    self._cannot_say(
                        constraint.id, f"the role of {constraint.id}", "it takes a role with a rule only"
                    )
                found = constraint.resource_discovery
                yield (
                    *(
                        "constraint",
                        "location",
                        "add",
                        constraint.id,
                        constraint.resource,
                        constraint.node or "",
                    ),
                    *(score_text(constraint.score), *((f"resource-discovery={found}",) if found else ())),
                )

    def _rule(self, constraint: Location, rule: Rule) -> Iterator[Words]:
        options = {"resource-discovery": constraint.resource_discovery, "role": constraint.role}
        expressions: list[str] = []
        for item in rule.expressions:
            expressions += [rule.boolean_operator] if expressions else []
            if item.value is None:
                expressions += [item.operation, item.attribute]
                continue
            if not item.value:
                self._cannot_say(
                    constraint.id, f"the rule of {constraint.id}", "it cannot compare with an empty value"
                )
                return
            expressions += [item.attribute, item.operation, *((item.type,) if item.type else ()), item.value]
        yield (
            *("constraint", "location", constraint.resource, "rule", f"constraint-id={constraint.id}"),
            *(f"{name}={value}" for name, value in options.items() if value),
            *(f"score={score_text(constraint.score)}", *expressions),
        )

    def _tag(self, tag: Tag) -> Iterator[Words]:
        if set(tag.references) - self._resources:
            self._cannot_say(tag.id, f"all that {tag.id} lists", "it tags resources only")
        if members := tuple(name for name in tag.references if name in self._resources):
            yield ("tag", "create", tag.id, *members)


def _with_role(role: str | None, resource: str) -> Words:
    return (role, resource) if role else (resource,)


def _operation(operation: Operation) -> Iterator[str]:
    yield operation.name
    yield f"interval={seconds_text(operation.interval)}"
    if operation.timeout is not None:
        yield f"timeout={seconds_text(operation.timeout)}"
    if operation.on_fail:
        yield f"on-fail={operation.on_fail}"
    if operation.role:
        yield f"role={operation.role}"
    if not operation.enabled:
        yield "enabled=false"
    if operation.check_level is not None:
        yield f"OCF_CHECK_LEVEL={operation.check_level}"
