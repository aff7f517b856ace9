"""Verdicts are yes, no or unknown, from the history alone, and leave in three languages."""

import json
from dataclasses import replace

import pytest
from lxml import etree

from understudy.drill.export import as_json, as_junit, as_prometheus
from understudy.drill.history import (
    SECOND,
    ClusterEvent,
    Completed,
    Event,
    FaultEvent,
    History,
    Invoked,
    Observation,
    Outcome,
)
from understudy.drill.verdicts import QUESTIONS, Judgement, judge
from understudy.findings.messages import message_for


def at(seconds: float) -> tuple[int, int]:
    return 10**18 + round(seconds * SECOND), round(seconds * SECOND)


def operation(
    client: str, number: int, began: float, outcome: Outcome = "ok", value: str = ""
) -> list[Event]:
    service = "glance-api"
    return [
        Invoked(*at(began), client, service, number),
        Completed(*at(began + 0.01), client, number, outcome, "", value),
    ]


def log(seconds: float, node: str, what: str, subject: str, **values: str) -> ClusterEvent:
    return ClusterEvent(*at(seconds), node, what, subject, values)


def ran(begin: float, end: float, node: str, resource: str, operation_: str) -> list[Event]:
    return [
        log(begin, node, "operation-begun", resource, operation=operation_),
        log(end, node, "operation-ended", resource, operation=operation_, code="0"),
    ]


def good() -> list[Event]:
    """A power loss of a that everything survives."""
    events: list[Event] = [
        Observation(*at(0), "about", {"prediction": {"power-loss": {"glance-api": 4.0}}}),
        Observation(
            *at(0.1),
            "cluster",
            {
                "active": {"ip": ["a"], "db": ["a"], "copy": ["a", "b"]},
                "fencing": ["f"],
                "online": ["a", "b"],
            },
        ),
        FaultEvent(*at(5), 1, "power-loss", "injecting", "power loss: a", ("a",)),
        log(7, "b", "node-lost", "a"),
        log(7.1, "b", "fencing-begun", "a"),
        log(8, "b", "fencing-ended", "a", by="b", result="OK"),
        *ran(8.1, 8.5, "b", "ip", "start"),
        *ran(8.1, 8.6, "b", "db", "start"),
        *ran(8.1, 8.6, "b", "f", "start"),
        FaultEvent(*at(12), 1, "power-loss", "healed", "power loss: a", ("a",)),
        Observation(*at(13), "healthy", {"number": 1, "seconds": 1.0, "limit": 120, "problems": []}),
        Observation(
            *at(14), "written", {"client": "image-written", "values": ["i0", "i1", "i2", "maybe", "i4"]}
        ),
        Observation(*at(15), "left", {"nodes": ["a", "b"], "left": {}}),
        *operation("owner-api", 0, 1, value="02:00"),
        *operation("owner-api", 1, 9, value="03:00"),
        *operation("image-written", 0, 1, value="i0"),
        *operation("image-written", 1, 2, value="i1"),
        *operation("image-written", 2, 10, value="i2"),
        *operation("image-written", 3, 11, "unknown"),
        *operation("image-written", 4, 11.5, value="i4"),
    ]
    for number in range(280):
        down = 5 <= number / 20 < 8.6
        events += operation("images", number, number / 20, "fail" if down else "ok")
    return events


def verdicts(events: list[Event]) -> dict[str, str]:
    return {verdict.question: verdict.answer for verdict in judge(History.of(events)).verdicts}


def without(events: list[Event], what: str) -> list[Event]:
    return [event for event in events if not (isinstance(event, Observation) and event.what == what)]


def test_survived_is_yes_to_everything() -> None:
    judged = judge(History.of(good()))
    assert {verdict.answer for verdict in judged.verdicts} == {"yes"}, judged.verdicts
    assert judged.answer == "yes"
    assert {verdict.question for verdict in judged.verdicts} == set(QUESTIONS)
    (compared,) = judged.comparisons
    assert (compared.service, compared.predicted, compared.differs) == ("glance-api", 4.0, False)
    assert judged.findings() == []


BAD: dict[str, list[Event]] = {
    "served-again": [*good(), *operation("late", 0, 6, "fail")],
    "one-active": [*good(), *ran(13, 13.2, "a", "ip", "start")],
    "one-owner": [*good(), *operation("owner-api", 2, 9.5, value="02:00,03:00")],
    "writes-kept": [
        *without(good(), "written"),
        Observation(*at(14), "written", {"client": "image-written", "values": ["i0"]}),
    ],
    "nothing-left": [
        *without(good(), "left"),
        Observation(*at(15), "left", {"nodes": ["a"], "left": {"a": ["x"]}}),
    ],
    "healthy-again": [
        *without(good(), "healthy"),
        Observation(
            *at(13), "healthy", {"number": 1, "seconds": None, "limit": 120, "problems": ["a is not online"]}
        ),
    ],
    "only-meant": [
        *good(),
        log(9, "a", "fencing-begun", "b"),
        log(9.5, "a", "fencing-ended", "b", by="a", result="OK"),
    ],
    "all-healed": [
        *good(),
        FaultEvent(*at(12.5), 1, "power-loss", "heal-failed", "power loss: a", ("a",), "why"),
    ],
    "as-predicted": [
        *without(good(), "about"),
        Observation(*at(0), "about", {"prediction": {"power-loss": {"glance-api": 1.0}}}),
    ],
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_each_question_can_be_answered_with_no(question: str) -> None:
    answers = verdicts(BAD[question])
    assert answers[question] == "no"
    assert [one for one, answer in answers.items() if answer == "no"] == [question]
    judged = judge(History.of(BAD[question]))
    assert judged.answer == "no"
    (finding,) = [finding for finding in judged.findings() if finding.severity == "error"]
    assert finding.code == "drill-verdict-no"
    assert message_for(finding)


@pytest.mark.parametrize(
    ("what", "question"),
    [
        ("left", "nothing-left"),
        ("healthy", "healthy-again"),
        ("written", "writes-kept"),
        ("about", "as-predicted"),
        ("cluster", "one-active"),
    ],
)
def test_what_was_not_looked_at_is_unknown(what: str, question: str) -> None:
    judged = judge(History.of(without(good(), what)))
    assert {one.question: one.answer for one in judged.verdicts}[question] == "unknown"
    assert judged.answer == "unknown"
    assert [finding.severity for finding in judged.findings()] == ["warning"]


def test_healed_that_was_never_told_is_unknown() -> None:
    events = [event for event in good() if not (isinstance(event, FaultEvent) and event.phase == "healed")]
    assert verdicts(events)["all-healed"] == "unknown"


def test_fencing_after_a_fault_that_should_not_end_in_it_is_wrong() -> None:
    events = [
        replace(event, fault="process-killed") if isinstance(event, FaultEvent) else event for event in good()
    ]
    assert verdicts(events)["only-meant"] == "no"


def test_what_a_node_without_quorum_says_of_the_others_does_not_count() -> None:
    events = [*good(), log(7.0, "a", "quorum-lost", ""), log(7.05, "a", "node-lost", "b")]
    assert judge(History.of(events)).outcomes[0].died == ("a",)


@pytest.fixture
def judged() -> Judgement:
    return judge(
        History.of([*good(), Observation(*at(16), "left", {"nodes": ["a"], "left": {"a": ['odd "<name>"']}})])
    )


def test_json_is_plain_data(judged: Judgement) -> None:
    data = json.loads(json.dumps(as_json(judged)))
    assert data["answer"] == "no"
    (fault,) = data["faults"]
    images = next(client for client in fault["clients"] if client["client"] == "images")
    assert images["outage"] == pytest.approx(3.55)
    assert sum(images["breakdown"].values()) == pytest.approx(3.61, abs=0.02)
    assert fault["fenced"][0]["by"] == "b"


def test_junit_counts_what_fails_and_what_is_unknown(judged: Judgement) -> None:
    suite = etree.fromstring(as_junit(judged, "image-api").encode()).find("testsuite")
    assert suite is not None
    assert suite.get("tests") == str(len(suite.findall("testcase")))
    assert suite.get("failures") == str(len(suite.findall("testcase/failure"))) == "1"
    assert suite.get("skipped") == str(len(suite.findall("testcase/skipped"))) == "0"


def test_prometheus_text_is_one_sample_a_line(judged: Judgement) -> None:
    lines = as_prometheus(judged, 'a"b').splitlines()
    assert 'understudy_drill_verdict{cloud="a\\"b",question="nothing-left"} 0' in lines
    assert any(
        line.startswith("understudy_drill_outage_seconds{") and line.endswith(" 3.550") for line in lines
    )
    assert all(line.startswith(("#", "understudy_drill_")) for line in lines)
