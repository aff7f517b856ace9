"""The statements of crmsh that are about resources."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import cast, get_args

from understudy.formats.cluster import OnFail, Operation, Primitive, Role, normal_role, parse_seconds
from understudy.formats.crmsh.words import NotUnderstood, Word, Words

Note = Callable[[NotUnderstood], None]

_SETS = ("params", "meta", "utilization", "attributes", "op_params", "op_meta")
_KEYWORDS = frozenset({*_SETS, "op", "operations"})
_OPERATION_ATTRIBUTES = frozenset({"interval", "timeout", "role", "on-fail", "enabled", "OCF_CHECK_LEVEL"})
_FALSE = frozenset({"false", "no", "off", "n", "0"})

# Agents that only the provider "pacemaker" has; crmsh takes the provider "heartbeat" for any other short name.
_OF_PACEMAKER = frozenset({
    "ClusterMon", "HealthCPU", "HealthIOWait", "HealthSMART", "Stateful", "SysInfo", "SystemHealth", "attribute",
    "controld", "ifspeed", "o2cb", "ping", "remote",
})  # fmt: skip


@dataclass
class Body:
    """What follows the name of an object: sets of pairs by their keyword, and operations."""

    sets: dict[str, dict[str, str]] = field(default_factory=dict)
    operations: list[Operation] = field(default_factory=list)

    def take(self, name: str) -> dict[str, str]:
        """Return the pairs of one keyword."""
        return self.sets.pop(name, {})


@dataclass(frozen=True)
class Container:
    """A group or clone whose members are known by name only."""

    id: str
    kind: str
    members: tuple[Word, ...]
    promotable: bool
    meta: Mapping[str, str]


def agent_name(text: str) -> str:
    """Return the full name of an agent that may have been written short (``IPaddr2``)."""
    if ":" in text:
        return text
    return f"ocf:{'pacemaker' if text in _OF_PACEMAKER else 'heartbeat'}:{text}"


def primitive(words: Words, templates: Mapping[str, Primitive], note: Note) -> Primitive:
    """Read ``primitive ID AGENT ...`` or ``rsc_template ID AGENT ...``; a template is written ``@ID``."""
    name, kind = words.take("the resource's id"), words.take("an agent")
    base = templates.get(kind.text[1:]) if kind.text.startswith("@") else None
    if kind.text.startswith("@") and base is None:
        raise NotUnderstood("crmsh-unknown-resource", kind, id=kind.text[1:], nearest="")
    found = body(words, note, default="params")
    parameters, meta, utilization = (found.take(key) for key in ("params", "meta", "utilization"))
    operations = found.operations
    if base is not None:
        own = {(operation.name, operation.interval) for operation in operations}
        operations += [item for item in base.operations if (item.name, item.interval) not in own]
        parameters, meta = {**base.parameters, **parameters}, {**base.meta, **meta}
        utilization = {**base.utilization, **utilization}
    return Primitive(
        id=name.text,
        agent=base.agent if base is not None else agent_name(kind.text),
        parameters=parameters,
        meta=meta,
        operations=tuple(operations),
        utilization=utilization,
    )


def container(words: Words, kind: str, note: Note) -> Container:
    """Read ``group ID MEMBER ...`` or ``clone ID MEMBER ...``, also its old forms ``ms`` and ``master``."""
    name = words.take(f"the {kind}'s id")
    members = []
    while (word := words.peek()) is not None and word.text not in _KEYWORDS and word.pair is None:
        members.append(words.take("a member"))
    if not members:
        raise NotUnderstood("crmsh-syntax", name, reason=f"the {kind} holds nothing")
    found = body(words, note, default="meta")
    meta = found.take("meta")
    promotable = meta.pop("promotable", "false").lower() not in _FALSE or kind in {"ms", "master"}
    if found.sets.get("params"):
        note(NotUnderstood("crmsh-not-held", name, "note", what=f"parameters of a {kind}"))
    return Container(name.text, "group" if kind == "group" else "clone", tuple(members), promotable, meta)


def body(words: Words, note: Note, default: str) -> Body:
    """Read sets of pairs and operations up to the end of the statement."""
    found, current = Body(), ""
    while (word := words.peek()) is not None:
        if word.text == "op":
            words.take("")
            found.operations.append(_operation(words, note))
        elif word.text in _KEYWORDS:
            current = words.take("").text
        else:
            _value(words, found.sets.setdefault(current or default, {}), note, described=not current)
    return found


def _value(words: Words, values: dict[str, str], note: Note, *, described: bool) -> None:
    word = words.take("a value")
    name, value = word.pair or (word.text, "")
    if name.startswith("$") or (described and name == "description"):
        if name == "$id-ref":
            note(
                NotUnderstood(
                    "crmsh-not-held", word, "note", what="a reference to the values of another object"
                )
            )
    elif word.pair is None and (word.text == "rule" or word.text.endswith(":")):
        raise NotUnderstood("crmsh-not-held", word, "note", what="values that depend on a rule")
    else:
        values[name] = value


def _operation(words: Words, note: Note) -> Operation:
    start = words.take("the operation's name")
    values: dict[str, tuple[str, Word]] = {}
    while (word := words.peek()) is not None and word.text not in _KEYWORDS - {"op_params", "op_meta"}:
        words.take("")
        if word.pair is None:
            if word.text not in {"op_params", "op_meta"}:
                raise NotUnderstood(
                    "crmsh-syntax", word, reason="an operation's attributes are written name=value"
                )
            continue
        name, value = word.pair
        values[name if name == "OCF_CHECK_LEVEL" else name.replace("_", "-")] = (value, word)
    level = _one(values, "OCF_CHECK_LEVEL", lambda text: str(int(text)), "a number", note)
    extra = sorted(name for name in values if name not in _OPERATION_ATTRIBUTES and not name.startswith("$"))
    if extra:
        note(NotUnderstood("crmsh-not-held", start, "note", what=f"{', '.join(extra)} of an operation"))
    interval, timeout = (_one(values, name, _duration, "20s", note) for name in ("interval", "timeout"))
    enabled = values.get("enabled", ("true", start))[0]
    return Operation(
        name=start.text,
        interval=parse_seconds(interval or "0"),
        timeout=None if timeout is None else parse_seconds(timeout),
        on_fail=cast(
            "OnFail | None", _one(values, "on-fail", _among(OnFail), ", ".join(get_args(OnFail)), note)
        ),
        role=cast("Role | None", _one(values, "role", read_role, ", ".join(get_args(Role)), note)),
        enabled=enabled.lower() not in _FALSE,
        check_level=None if level is None else int(level),
    )


def _duration(text: str) -> str:
    parse_seconds(text)
    return text


def _among(kind: object) -> Callable[[str], str]:
    def check(text: str) -> str:
        if text not in get_args(kind):
            raise ValueError(text)
        return text

    return check


def read_role(text: str) -> str:
    """Return a role by its present name, whatever its case; raises ValueError when it is none."""
    return _among(Role)(normal_role(text.capitalize()))


def _one(
    values: Mapping[str, tuple[str, Word]], name: str, read: Callable[[str], str], expected: str, note: Note
) -> str | None:
    """Return a value as ``read`` gives it; a bad one is noted and counts as not given."""
    if name not in values:
        return None
    text, word = values[name]
    try:
        return read(text)
    except ValueError:
        note(NotUnderstood("crmsh-bad-value", word, name=name, value=text, expected=expected))
        return None
