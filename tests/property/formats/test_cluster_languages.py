"""Whatever a configuration says, writing, reading and merging it keeps it."""

import itertools
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any, get_args

from hypothesis import assume, given
from hypothesis import strategies as st
from lxml import etree

from understudy.formats import crmsh
from understudy.formats.cib import canonical, diff, load, merge, parse, render, with_owner_tag
from understudy.formats.cluster import (
    INFINITY,
    OWNER,
    Action,
    Clone,
    ClusterConfiguration,
    Colocation,
    Expression,
    FencingLevel,
    Group,
    Location,
    Node,
    OnFail,
    Operation,
    Order,
    OrderKind,
    Primitive,
    Role,
    Rule,
    Tag,
)

NAMES = st.from_regex(r"[a-z][a-z0-9_.-]{0,6}", fullmatch=True)
TEXTS = st.text(
    st.characters(exclude_categories=["Cc", "Cs", "Cn"], exclude_characters="\ufffe\uffff"), max_size=8
)
PAIRS = st.dictionaries(NAMES.filter(lambda name: name != "promotable"), TEXTS, max_size=3)
SCORES = st.one_of(st.sampled_from([INFINITY, -INFINITY, 0]), st.integers(-INFINITY, INFINITY))
DURATIONS = st.one_of(st.integers(0, 10**5), st.integers(0, 10**5).map(lambda ms: ms / 1000))


def choices(kind: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from(get_args(kind))


OPERATIONS = st.lists(
    st.builds(
        Operation,
        name=st.sampled_from(["start", "stop", "monitor"]),
        interval=DURATIONS,
        timeout=st.none() | DURATIONS,
        on_fail=st.none() | choices(OnFail),
        role=st.none() | choices(Role),
        enabled=st.booleans(),
        check_level=st.none() | st.integers(0, 20),
    ),
    max_size=3,
    unique_by=lambda operation: (operation.name, operation.interval),
).map(tuple)


@st.composite
def configurations(draw: Callable[..., Any], prefix: str = "") -> ClusterConfiguration:
    unused = (f"{prefix}r{number}" for number in itertools.count(draw(st.integers(0, 3))))

    def settings() -> dict[str, str]:
        return {prefix + name: value for name, value in draw(PAIRS).items()}

    def primitive() -> Primitive:
        return Primitive(
            id=next(unused),
            agent=draw(st.sampled_from(["ocf:pacemaker:Dummy", "stonith:fence_redfish", "systemd:haproxy"])),
            parameters=draw(PAIRS),
            meta=draw(PAIRS),
            operations=draw(OPERATIONS),
            utilization=draw(PAIRS),
        )

    def group() -> Group:
        members = tuple(primitive() for _ in range(draw(st.integers(1, 2))))
        return Group(id=next(unused), primitives=members, meta=draw(PAIRS))

    def clone() -> Clone:
        inner = draw(st.sampled_from([primitive, group]))()
        return Clone(id=next(unused), resource=inner, promotable=draw(st.booleans()), meta=draw(PAIRS))

    makers = draw(st.lists(st.sampled_from([primitive, group, clone]), min_size=1, max_size=3))
    resources = tuple(make() for make in makers)
    ids = list(ClusterConfiguration(resources=resources).resource_ids())
    some_id = st.sampled_from(ids)

    def colocation() -> Colocation:
        roles = {name: draw(st.none() | choices(Role)) for name in ("role", "with_role")}
        return Colocation(
            id=next(unused), resource=draw(some_id), with_resource=draw(some_id), score=draw(SCORES), **roles
        )

    def order() -> Order:
        kind = draw(choices(OrderKind))
        actions = {name: draw(choices(Action)) for name in ("first_action", "then_action")}
        symmetrical = kind != "Serialize" and draw(st.booleans())
        names = {"id": next(unused), "first": draw(some_id), "then": draw(some_id)}
        return Order(**names, kind=kind, symmetrical=symmetrical, **actions)

    def location() -> Location:
        expressions = st.one_of(
            st.builds(Expression, attribute=NAMES, operation=st.sampled_from(["defined", "not_defined"])),
            st.builds(
                Expression, attribute=NAMES, operation=st.sampled_from(["eq", "lt", "gte"]), value=TEXTS
            ),
        )
        one = st.builds(Rule, expressions=st.tuples(expressions))
        operator = st.sampled_from(["and", "or"])
        rules = one | st.builds(
            Rule, expressions=st.tuples(expressions, expressions), boolean_operator=operator
        )
        rule = draw(st.none() | rules)
        node = None if rule else draw(NAMES)
        role = draw(st.none() | choices(Role))
        return Location(
            id=next(unused), resource=draw(some_id), score=draw(SCORES), node=node, rule=rule, role=role
        )

    constraints = tuple(
        make() for make in draw(st.lists(st.sampled_from([colocation, order, location]), max_size=3))
    )
    names = [prefix + name for name in draw(st.lists(NAMES, max_size=2, unique=True))]
    nodes = tuple(
        Node(name=name, id=str(number), attributes=draw(PAIRS), utilization=draw(PAIRS))
        for number, name in enumerate(names, 1)
    )
    levels = tuple(
        FencingLevel(
            target=target, index=index, devices=tuple(draw(st.lists(some_id, min_size=1, max_size=2)))
        )
        for target in names
        for index in draw(st.lists(st.integers(1, 9), max_size=2, unique=True))
    )
    return ClusterConfiguration(
        nodes=nodes,
        resources=resources,
        constraints=constraints,
        fencing_levels=levels,
        properties=settings(),
        resource_defaults=settings(),
        operation_defaults=settings(),
        tags=tuple(Tag(id=next(unused), references=tuple(ids)) for _ in range(draw(st.integers(0, 1)))),
    )


def nodes_only(configuration: ClusterConfiguration) -> str:
    nodes = tuple(Node(name=node.name, id=node.id) for node in configuration.nodes)
    return render(ClusterConfiguration(nodes=nodes))


@given(configurations())
def test_what_is_written_is_read_again(configuration: ClusterConfiguration) -> None:
    assert parse(render(configuration)) == (configuration, ())


@given(configurations())
def test_merging_into_an_empty_cluster_gives_the_configuration(configuration: ClusterConfiguration) -> None:
    merged = merge(nodes_only(configuration), configuration)
    assert merged.findings == ()
    assert canonical(merged.cib) == canonical(render(configuration))
    read, findings = parse(merged.cib)
    assert findings == ()
    assert set(read.tags) == set(with_owner_tag(configuration).tags)
    ids = re.findall(r'<(?!obj_ref|node )[^>]* id="([^"]*)"', merged.cib)
    assert len(ids) == len(set(ids))


@given(configurations(), configurations())
def test_a_second_merge_changes_nothing(live: ClusterConfiguration, ours: ClusterConfiguration) -> None:
    merged = merge(render(live), ours)
    again = merge(merged.cib, ours)
    assert again.cib == merged.cib
    assert diff(merged.cib, again.cib) == ()


@given(configurations("x"), configurations("y"))
def test_ours_goes_without_a_trace_and_the_rest_stays(
    live: ClusterConfiguration, ours: ClusterConfiguration
) -> None:
    before = render(live)
    merged = merge(before, replace(ours, nodes=()))
    assert merged.findings == ()
    removed = merge(merged.cib, ClusterConfiguration())
    assert removed.findings == ()
    assert removed.cib == merge(before, ClusterConfiguration()).cib


def unordered(configuration: ClusterConfiguration) -> ClusterConfiguration:
    """Return the configuration sorted by names, without the tag of what is owned."""
    return replace(
        configuration,
        nodes=(),
        resources=tuple(sorted(configuration.resources, key=lambda item: item.id)),
        constraints=tuple(sorted(configuration.constraints, key=lambda item: item.id)),
        fencing_levels=tuple(
            sorted(configuration.fencing_levels, key=lambda item: (item.target, item.index))
        ),
        tags=tuple(sorted((tag for tag in configuration.tags if tag.id != OWNER), key=lambda tag: tag.id)),
    )


@given(configurations(), configurations())
def test_one_configuration_of_ours_becomes_another(
    old: ClusterConfiguration, new: ClusterConfiguration
) -> None:
    first = merge(render(ClusterConfiguration()), replace(old, nodes=()))
    assert first.findings == ()
    second = merge(first.cib, replace(new, nodes=()))
    assert second.findings == ()
    assert unordered(parse(second.cib)[0]) == unordered(new)


@given(configurations(), configurations())
def test_every_difference_is_seen(one: ClusterConfiguration, other: ClusterConfiguration) -> None:
    assert diff(render(one), render(one)) == ()
    if unordered(one) != unordered(other):
        assert diff(render(one), render(other))


@given(configurations(), st.data())
def test_a_damaged_cib_gives_findings_and_no_crash(
    configuration: ClusterConfiguration, data: st.DataObject
) -> None:
    root = load(render(configuration))
    for element in data.draw(st.lists(st.sampled_from(list(root.iter())), max_size=4, unique=True)):
        if element.attrib:
            name = data.draw(st.sampled_from(sorted(map(str, element.attrib))))
            replacement = data.draw(st.sampled_from([None, "", "x", "-1"]))
            if replacement is None:
                del element.attrib[name]
            else:
                element.set(name, replacement)
    text = etree.tostring(root, encoding="unicode")
    parse(text)
    assert diff(text, text) == ()
    assert canonical(canonical(text)) == canonical(text)
    merge(text, configuration)


@given(configurations())
def test_crmsh_text_is_read_again(configuration: ClusterConfiguration) -> None:
    rank = (Primitive, Group, Clone)
    resources = tuple(sorted(configuration.resources, key=lambda resource: rank.index(type(resource))))
    written = crmsh.render(configuration)
    assume("the fencing levels" not in str([finding.values["what"] for finding in written.findings]))
    # It names the levels of a node in their order; which node comes first means nothing.
    targets = [level.target for level in configuration.fencing_levels]
    levels = tuple(
        sorted(configuration.fencing_levels, key=lambda level: (targets.index(level.target), level.index))
    )
    assert crmsh.parse(written.text) == (
        replace(configuration, resources=resources, fencing_levels=levels),
        (),
    )


@given(
    st.lists(
        st.sampled_from([*"=:\"'\\\n#@", " ", "primitive", "op", "rule", "x", "inf:", "location", "group"])
    ).map("".join)
)
def test_no_crmsh_text_is_too_odd(text: str) -> None:
    crmsh.parse(text)
