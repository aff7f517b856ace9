"""The statements of crmsh that are about constraints."""

from typing import cast, get_args

from understudy.formats.cluster import (
    INFINITY,
    Action,
    Colocation,
    Comparison,
    Discovery,
    Expression,
    Location,
    Order,
    OrderKind,
    Role,
    Rule,
    ValueType,
    parse_score,
)
from understudy.formats.crmsh.resources import read_role
from understudy.formats.crmsh.words import NotUnderstood, Word, Words

_KINDS = {kind.lower(): kind for kind in get_args(OrderKind)}
_BRACKETS = frozenset("()[]{}")
_COMPARISONS = frozenset({"lt", "gt", "lte", "gte", "eq", "ne"})


def colocation(words: Words) -> Colocation:
    """Read ``colocation ID SCORE: RSC[:ROLE] WITH-RSC[:ROLE]``."""
    name = words.take("the constraint's id")
    head = words.take_head()
    score = INFINITY if head is None else _score(head)
    first, second, options = _two(words)
    _no_options(options, "a colocation")
    return Colocation(
        id=name.text,
        resource=first.text.partition(":")[0],
        with_resource=second.text.partition(":")[0],
        score=score,
        role=_suffix_role(first),
        with_role=_suffix_role(second),
    )


def order(words: Words) -> Order:
    """Read ``order ID {KIND|SCORE}: FIRST[:ACTION] THEN[:ACTION] [symmetrical=...]``."""
    name = words.take("the constraint's id")
    head = words.take_head()
    kind: str = "Mandatory"
    if head is not None:
        kind = _KINDS.get(head.text.lower()) or ("Optional" if _score(head) == 0 else "Mandatory")
    first, second, options = _two(words)
    symmetrical = "true"
    for word in options:
        if word.pair and word.pair[0] == "symmetrical":
            symmetrical = word.pair[1]
        else:
            _no_options([word], "an order")
    first_action = _action(first) or "start"
    return Order(
        id=name.text,
        first=first.text.partition(":")[0],
        then=second.text.partition(":")[0],
        kind=cast("OrderKind", kind),
        first_action=first_action,
        then_action=_action(second) or first_action,
        symmetrical=kind != "Serialize" and symmetrical.lower() in {"true", "yes", "on", "y", "1"},
    )


def location(words: Words) -> Location:
    """Read ``location ID RSC [role=] [resource-discovery=] {SCORE: NODE | rule [ROLE] SCORE: EXPRESSION}``."""
    name, resource = words.take("the constraint's id"), words.take("a resource")
    if _BRACKETS & set(resource.text) or resource.text.startswith("/"):
        raise NotUnderstood("crmsh-not-held", resource, "note", what="a location of several resources")
    options = _options(words)
    role = _role(options)
    discovery = options.get("resource-discovery")
    node, rule = None, None
    if words.take_if("rule"):
        own = _options(words)
        role = _role(own) or role
        head = words.take_head()
        score = _score(head) if head is not None else 0
        rule = _rule(words)
    else:
        head = words.take_head()
        if head is None:
            raise NotUnderstood(
                "crmsh-syntax", words.peek() or words.last, reason="a score such as inf: is missing"
            )
        score = _score(head)
        node = words.take("a node").text
        _no_options(words.rest(), "a location")
    if discovery is not None and discovery.pair and discovery.pair[1] not in get_args(Discovery):
        raise _bad(discovery, ", ".join(get_args(Discovery)))
    return Location(
        id=name.text,
        resource=resource.text,
        node=node,
        score=score,
        rule=rule,
        role=role,
        resource_discovery=cast(
            "Discovery | None", discovery.pair[1] if discovery and discovery.pair else None
        ),
    )


def _two(words: Words) -> tuple[Word, Word, list[Word]]:
    """Take two resources, and the options behind them; more of them, or brackets, are a set."""
    rest = words.rest()
    names = [word for word in rest if word.pair is None]
    if len(names) > 2 or any(_BRACKETS & set(word.text) for word in names):
        raise NotUnderstood("crmsh-not-held", names[0], "note", what="a constraint on a set of resources")
    if len(names) < 2:
        raise NotUnderstood("crmsh-syntax", words.last, reason="a constraint needs two resources")
    return names[0], names[1], [word for word in rest if word.pair is not None]


def _no_options(words: list[Word], what: str) -> None:
    for word in words:
        name = word.pair[0] if word.pair else word.text
        if not name.startswith("$"):
            raise NotUnderstood("crmsh-not-held", word, "note", what=f"{name} of {what}")


def _options(words: Words) -> dict[str, Word]:
    """Take pairs, by their names without the dollar sign that crmsh puts before some."""
    found = {}
    while (pair := words.take_pair()) is not None:
        found[pair[1].removeprefix("$")] = pair[0]
    return found


def _role(options: dict[str, Word]) -> Role | None:
    word = options.get("role")
    return _read_role(word, word.pair[1]) if word is not None and word.pair else None


def _suffix_role(word: Word) -> Role | None:
    _, colon, role = word.text.partition(":")
    return _read_role(word, role) if colon else None


def _read_role(word: Word, text: str) -> Role:
    try:
        return cast("Role", read_role(text))
    except ValueError:
        raise NotUnderstood(
            "crmsh-bad-value", word, name="role", value=text, expected=", ".join(get_args(Role))
        ) from None


def _action(word: Word) -> Action | None:
    _, colon, action = word.text.partition(":")
    if not colon:
        return None
    if action not in get_args(Action):
        raise NotUnderstood(
            "crmsh-bad-value", word, name="action", value=action, expected=", ".join(get_args(Action))
        )
    return cast("Action", action)


def _score(head: Word) -> int:
    try:
        return parse_score(head.text)
    except ValueError:
        raise NotUnderstood(
            "crmsh-bad-value", head, name="score", value=head.text, expected="inf, -inf or a number"
        ) from None


def _bad(word: Word, expected: str) -> NotUnderstood:
    name, value = word.pair or ("", word.text)
    return NotUnderstood("crmsh-bad-value", word, name=name, value=value, expected=expected)


def _rule(words: Words) -> Rule:
    expressions: list[Expression] = []
    operators: set[str] = set()
    while not expressions or (joint := words.peek()) is not None:
        if expressions:
            joint = words.take("and, or")
            operators.add(joint.text)
            if joint.text not in {"and", "or"} or len(operators) > 1:
                what = "a rule that is more than comparisons joined by and, or by or"
                raise NotUnderstood("crmsh-not-held", joint, "note", what=what)
        expressions.append(_expression(words))
    return Rule(expressions=tuple(expressions), boolean_operator="or" if "or" in operators else "and")


def _expression(words: Words) -> Expression:
    first = words.take("an expression")
    if first.text in {"defined", "not_defined"}:
        return Expression(attribute=words.take("an attribute").text, operation=cast("Comparison", first.text))
    comparison = words.take("a comparison")
    kind, colon, operation = comparison.text.rpartition(":")
    if first.text == "date" or operation not in _COMPARISONS or (colon and kind not in get_args(ValueType)):
        raise NotUnderstood(
            "crmsh-not-held", first, "note", what="a rule of another kind than attribute comparisons"
        )
    value = words.take("a value")
    return Expression(
        attribute=first.text,
        operation=cast("Comparison", operation),
        value=value.text,
        type=cast("ValueType", kind) if colon else None,
    )
