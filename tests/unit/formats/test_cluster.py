import pytest

from understudy.formats.cluster import (
    INFINITY,
    Clone,
    ClusterConfiguration,
    Expression,
    Group,
    Location,
    Order,
    Primitive,
    Rule,
    parse_score,
    parse_seconds,
    score_text,
    seconds_text,
)


def dummy(name: str) -> Primitive:
    return Primitive(id=name, agent="ocf:pacemaker:Dummy")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("INFINITY", INFINITY),
        ("-inf", -INFINITY),
        ("+INFINITY", INFINITY),
        ("-200", -200),
        ("0", 0),
        ("9999999", INFINITY),
    ],
)
def test_scores(text: str, expected: int) -> None:
    assert parse_score(text) == expected
    assert parse_score(score_text(expected)) == expected


@pytest.mark.parametrize("text", ["", "high", "1.5", "--1", "inf inity"])
def test_what_is_no_score(text: str) -> None:
    with pytest.raises(ValueError, match="score"):
        parse_score(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("20", 20), ("20s", 20), ("1500ms", 1.5), ("15min", 900), ("2h", 7200), ("20 s", 20), ("0", 0)],
)
def test_durations(text: str, expected: float) -> None:
    assert parse_seconds(text) == expected
    assert parse_seconds(seconds_text(expected)) == expected


@pytest.mark.parametrize("text", ["", "s", "10 parsecs", "-5", "PT10S"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="duration"):
        parse_seconds(text)


def test_a_location_has_a_node_or_a_rule() -> None:
    rule = Rule(expressions=(Expression(attribute="#uname", operation="eq", value="n1"),))
    with pytest.raises(ValueError, match="either"):
        Location(id="l", resource="r")
    with pytest.raises(ValueError, match="either"):
        Location(id="l", resource="r", node="n1", rule=rule)


def test_serialize_is_never_symmetrical() -> None:
    with pytest.raises(ValueError, match="symmetrical"):
        Order(id="o", first="a", then="b", kind="Serialize")


def test_resources_inside_of_containers_are_found() -> None:
    group = Group(id="g", primitives=(dummy("a"), dummy("b")))
    configuration = ClusterConfiguration(resources=(Clone(id="c", resource=group), dummy("d")))
    assert list(configuration.resource_ids()) == ["c", "g", "a", "b", "d"]
    assert [primitive.id for primitive in configuration.primitives()] == ["a", "b", "d"]
