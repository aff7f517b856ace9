"""From crmsh text, as ``crm configure show`` prints it and administrators write it, to a configuration."""

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TypeVar, cast

from understudy.findings import Finding, Place
from understudy.formats.cluster import (
    Clone,
    ClusterConfiguration,
    Constraint,
    FencingLevel,
    Group,
    Node,
    Operation,
    Primitive,
    Resource,
    Role,
    Tag,
    parse_seconds,
)
from understudy.formats.crmsh.constraints import colocation, location, order
from understudy.formats.crmsh.resources import Container, body, container, primitive, read_role
from understudy.formats.crmsh.words import NotUnderstood, Word, Words, statements

T = TypeVar("T")

_NOWHERE = Place("")
_NO_CONFIGURATION = frozenset({
    "bye", "cd", "commit", "configure", "edit", "end", "erase", "exit", "quit", "refresh", "resource", "save", "show",
    "up", "verify",
})  # fmt: skip
_NOT_HELD = frozenset({
    "acl_group", "acl_role", "acl_target", "acl_user", "alert", "bundle", "role", "rsc_ticket", "user", "xml",
})  # fmt: skip


def parse(text: str, file: str = "") -> tuple[ClusterConfiguration, tuple[Finding, ...]]:
    """Read crmsh text.

    Findings, each with line and column: ``crmsh-syntax``, ``crmsh-unknown-keyword``, ``crmsh-bad-value``,
    ``crmsh-duplicate-id`` (the first one counts), ``crmsh-unknown-resource`` for a member or template that is not
    there, and ``crmsh-not-held`` (a note) for what the model has no place for. Groups stand behind primitives and
    clones last, as crmsh puts them.
    """
    reader = _Reader()
    for statement in statements(text):
        if isinstance(statement, NotUnderstood):
            reader.problems.append(statement)
        else:
            reader.read(statement)
    configuration = reader.configuration()
    findings = [problem.finding(file) for problem in reader.problems]
    return configuration, tuple(sorted(findings, key=lambda finding: finding.place or _NOWHERE))


class _Reader:
    def __init__(self) -> None:
        self.problems: list[NotUnderstood] = []
        self._nodes: list[Node] = []
        self._templates: dict[str, Primitive] = {}
        self._primitives: dict[str, Primitive] = {}
        self._containers: dict[str, Container] = {}
        self._constraints: dict[str, Constraint] = {}
        self._levels: list[FencingLevel] = []
        self._settings: dict[str, dict[str, str]] = {}
        self._tags: dict[str, Tag] = {}
        self._statements: Mapping[str, Callable[[Words, Word], None]] = {
            "node": self._node,
            "primitive": self._primitive,
            "rsc_template": self._primitive,
            **dict.fromkeys(("group", "clone", "ms", "master"), self._container),
            **dict.fromkeys(("location", "colocation", "collocation", "order"), self._constraint),
            **dict.fromkeys(("property", "rsc_defaults", "op_defaults"), self._setting),
            "fencing_topology": self._fencing_topology,
            "tag": self._tag,
            "monitor": self._monitor,
        }

    def read(self, words: Words) -> None:
        """Read one statement; a problem with it is kept, and the statement is not."""
        try:
            if words.take_if("crm"):
                words.take_if("configure")
            keyword = words.take("a keyword")
            self._statements.get(keyword.text, self._other)(words, keyword)
        except NotUnderstood as problem:
            self.problems.append(problem)

    def configuration(self) -> ClusterConfiguration:
        return ClusterConfiguration(
            nodes=tuple(self._nodes),
            resources=tuple(self._resources()),
            constraints=tuple(self._constraints.values()),
            fencing_levels=tuple(self._levels),
            properties=self._settings.get("property", {}),
            resource_defaults=self._settings.get("rsc_defaults", {}),
            operation_defaults=self._settings.get("op_defaults", {}),
            tags=tuple(self._tags.values()),
        )

    # Statements

    def _other(self, _words: Words, keyword: Word) -> None:
        if keyword.text in _NOT_HELD:
            raise NotUnderstood("crmsh-not-held", keyword, "note", what=keyword.text)
        if keyword.text not in _NO_CONFIGURATION:
            nearest = _nearest(keyword.text, self._statements)
            raise NotUnderstood("crmsh-unknown-keyword", keyword, keyword=keyword.text, nearest=nearest)

    def _new(self, name: str, word: Word) -> None:
        if any(
            name in known
            for known in (self._primitives, self._containers, self._constraints, self._templates)
        ):
            raise NotUnderstood("crmsh-duplicate-id", word, id=name)

    def _node(self, words: Words, _keyword: Word) -> None:
        head, number = words.take_head(), ""
        if head is not None:
            number = head.text
        while (pair := words.take_pair()) is not None:
            number = pair[2] if pair[1] in {"$id", "id"} else number
        name = words.take("the node's name").text.partition(":")[0]
        found = body(words, self.problems.append, default="attributes")
        attributes, utilization = found.take("attributes"), found.take("utilization")
        self._nodes.append(Node(name=name, id=number or name, attributes=attributes, utilization=utilization))

    def _primitive(self, words: Words, keyword: Word) -> None:
        read = primitive(words, self._templates, self.problems.append)
        self._new(read.id, keyword)
        (self._templates if keyword.text == "rsc_template" else self._primitives)[read.id] = read

    def _container(self, words: Words, keyword: Word) -> None:
        read = container(words, keyword.text, self.problems.append)
        self._new(read.id, keyword)
        self._containers[read.id] = read

    def _constraint(self, words: Words, keyword: Word) -> None:
        readers: dict[str, Callable[[Words], Constraint]] = {"location": location, "order": order}
        read = readers.get(keyword.text, colocation)(words)
        self._new(read.id, keyword)
        self._constraints[read.id] = read

    def _setting(self, words: Words, keyword: Word) -> None:
        words.take_head()
        values = self._settings.setdefault(keyword.text, {})
        for word in words.rest():
            if word.pair is None:
                raise NotUnderstood("crmsh-not-held", word, "note", what=f"{keyword.text} with {word.text}")
            name, value = word.pair
            if not name.startswith("$"):
                values[name] = value

    def _fencing_topology(self, words: Words, keyword: Word) -> None:
        target, index = "", 0
        for word in words.rest():
            if word.text.endswith(":"):
                target, index = word.text[:-1], 0
                if "=" in target or target.startswith("pattern:"):
                    raise NotUnderstood(
                        "crmsh-not-held", word, "note", what="fencing by attribute or pattern"
                    )
                continue
            if not target:
                raise NotUnderstood(
                    "crmsh-not-held", keyword, "note", what="one fencing topology for all nodes"
                )
            index += 1
            self._levels.append(FencingLevel(target=target, index=index, devices=tuple(word.text.split(","))))

    def _tag(self, words: Words, _keyword: Word) -> None:
        name = words.take("the tag's id").text.removesuffix(":")
        self._tags[name] = Tag(id=name, references=tuple(word.text for word in words.rest()))

    def _monitor(self, words: Words, _keyword: Word) -> None:
        """Read ``monitor RSC[:ROLE] INTERVAL[:TIMEOUT]``, which adds an operation."""
        subject, times = words.take("a resource"), words.take("an interval")
        name, _, role = subject.text.partition(":")
        known = self._primitives.get(name)
        if known is None:
            raise self._unknown(Word(name, subject.line, subject.column), self._primitives)
        interval, _, timeout = times.text.partition(":")
        try:
            operation = Operation(
                name="monitor",
                interval=parse_seconds(interval),
                timeout=parse_seconds(timeout) if timeout else None,
                role=cast("Role", read_role(role)) if role else None,
            )
        except ValueError:
            value = f"{subject.text} {times.text}"
            raise NotUnderstood(
                "crmsh-bad-value", subject, name="monitor", value=value, expected="RSC:Promoted 10s:20s"
            ) from None
        self._primitives[name] = replace(known, operations=(*known.operations, operation))

    # Containers find what they hold when everything has been read, as statements may come in any order.

    def _resources(self) -> list[Resource]:
        held: set[str] = set()
        groups: dict[str, Group] = {}
        clones: list[Clone] = []
        for item in self._containers.values():
            if item.kind == "group":
                members = self._members(item, self._primitives, held)
                if members:
                    groups[item.id] = Group(id=item.id, primitives=members, meta=item.meta)
        for item in self._containers.values():
            if item.kind == "clone":
                known: dict[str, Primitive | Group] = {**self._primitives, **groups}
                inner = self._members(item, known, held)
                clones += [
                    Clone(id=item.id, resource=one, promotable=item.promotable, meta=item.meta)
                    for one in inner[:1]
                ]
        every: tuple[Primitive | Group, ...] = (*self._primitives.values(), *groups.values())
        return [*(one for one in every if one.id not in held), *clones]

    def _members(self, item: Container, known: Mapping[str, T], held: set[str]) -> tuple[T, ...]:
        members = []
        for word in item.members:
            if word.text in known and word.text not in held:
                held.add(word.text)
                members.append(known[word.text])
            else:
                self.problems.append(self._unknown(word, known))
        return tuple(members)

    @staticmethod
    def _unknown(word: Word, known: Iterable[str]) -> NotUnderstood:
        return NotUnderstood("crmsh-unknown-resource", word, id=word.text, nearest=_nearest(word.text, known))


def _nearest(word: str, known: Iterable[str]) -> str:
    return next(iter(difflib.get_close_matches(word, list(known), n=1)), "")
