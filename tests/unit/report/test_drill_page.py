"""The report of a drill: whole, self-contained, escaped."""

import json
import re
from html.parser import HTMLParser

import pytest

from understudy.drill.activity import absences, stays
from understudy.drill.history import (
    SECOND,
    ClusterEvent,
    Completed,
    Event,
    FaultEvent,
    History,
    Invoked,
    Observation,
)
from understudy.drill.verdicts import judge
from understudy.report.drill_page import drill_page, sentence
from understudy.report.timeline import timeline
from understudy.report.topology import topology

PROOF = {
    "summary": "9 failures tried, all survived.",
    "services": ["ip", "web"],
    "lines": [
        {"fault": "node lost a", "words": ["moved", "kept"]},
        {"fault": "stop fails", "words": ["lost", ""]},
    ],
}
EVIL = "</script><script>alert(1)</script>"


def at(seconds: float) -> tuple[int, int]:
    return 10**18 + round(seconds * SECOND), round(seconds * SECOND)


def log(seconds: float, node: str, what: str, subject: str, **values: str) -> ClusterEvent:
    return ClusterEvent(*at(seconds), node, what, subject, values)


def history(label: str = "power loss: a", outage: float = 2.0) -> History:
    seen = {"active": {"ip": ["a"]}, "fencing": [], "online": ["a", "b"]}
    events: list[Event] = [
        Observation(
            *at(0),
            "about",
            {
                "address_resources": {"ip": "203.0.113.103"},
                "prediction": {"power-loss": {"web": 3.0}},
                "proof": PROOF,
            },
        ),
        Observation(*at(0), "cluster", seen),
        FaultEvent(*at(5), 1, "power-loss", "injecting", label, ("a",)),
        log(6, "b", "node-lost", "a"),
        log(6.1, "b", "fencing-begun", "a"),
        log(6.5, "b", "fencing-ended", "a", by="b", result="OK"),
        log(6.6, "b", "operation-begun", "ip", operation="start"),
        log(6.9, "b", "operation-ended", "ip", operation="start", code="0"),
        FaultEvent(*at(9), 1, "power-loss", "healed", label, ("a",)),
        log(9.5, "b", "node-joined", "a"),
    ]
    for number in range(240):
        down = 5 <= number / 20 < 5 + outage
        events.append(Invoked(*at(number / 20), "images", "web", number))
        events.append(Completed(*at(number / 20 + 0.01), "images", number, "fail" if down else "ok"))
    for number in range(3):
        events.append(Invoked(*at(7 + number), "writer", "web", number))
        events.append(Completed(*at(7.1 + number), "writer", number, "ok", "", f"w{number}"))
    events.append(Observation(*at(11), "written", {"client": "writer", "values": ["w0", "w1", "w2"]}))
    return History.of(events)


class Parsed(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in {"meta", "link", "br", "img", "rect", "path", "line"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self.open and self.open[-1] == tag:
            self.open.pop()


def page(label: str = "power loss: a", **more: object) -> str:
    record = history(label)
    return drill_page(record, judge(record), "Drill", **more)  # type: ignore[arg-type]


def test_page_is_balanced_and_loads_nothing() -> None:
    parsed = Parsed(page())
    assert parsed.open == []
    assert not [
        tag for tag, of in parsed.tags if {"src", "href"} & set(of) or tag in {"link", "img", "iframe"}
    ]
    assert not re.search(r"url\((?!#)", page())


def test_what_the_record_says_is_escaped() -> None:
    text = page(EVIL)
    assert EVIL not in text
    assert len(re.findall("<script", text)) == 2


def test_data_of_the_time_line_is_readable_json() -> None:
    found = re.search(r'id="timeline-data">(.*?)</script>', page(EVIL), re.DOTALL)
    assert found is not None
    data = json.loads(found.group(1))
    assert data["bands"][0]["label"] == EVIL


def test_page_tells_the_verdict_the_pictures_and_the_figures() -> None:
    text = page()
    for words in (
        "1.95 s",
        "before",
        "during",
        "after",
        "203.0.113.103",
        "3.00 s",
        "detection a 1.00 s",
        "start ip",
    ):
        assert words in text, words


def test_guide_stands_beside_ours_with_the_ratio() -> None:
    slow = judge(history(outage=4.0))
    text = page(guide=slow)
    assert "3.95 s" in text
    assert "2.0</td>" in text


def test_matrix_of_the_proof_and_what_was_lost_are_told() -> None:
    text = page()
    assert "9 failures tried, all survived." in text
    assert '<td class="w-moved" title="moved">→</td>' in text
    assert '<td class="w-lost" title="lost">✗</td>' in text
    assert re.search(
        r"<td>writer</td><td[^>]*>3</td><td[^>]*>0</td>\s*<td class=\"number yes\">nothing</td>", text
    )


def test_every_picture_shows_what_ran_then() -> None:
    after = page().partition("<figcaption>after</figcaption>")[2].partition("</figure>")[0]
    assert "203.0.113.103" in after


def test_extra_is_taken_as_it_is() -> None:
    assert "<h2>Proof</h2>\n<table id=matrix></table>" in page(extra={"Proof": "<table id=matrix></table>"})


def test_sentence_names_the_gravest() -> None:
    told = sentence(judge(history()))
    assert told.startswith("1 fault, nothing found wrong, but unknown whether")
    assert "the longest outage was 1.95 s (power loss: a)" in told


def test_lanes_tell_who_was_where_and_when() -> None:
    record = history()
    data = timeline(record, judge(record).outcomes)
    lanes = {(lane["group"], lane["label"]): lane["items"] for lane in data["lanes"]}
    assert [
        (item["begin"], item["end"], item["title"])
        for item in lanes["resources", "ip"]
        if item["kind"] != "start"
    ] == [
        (0, 6, "on a"),
        (6.9, data["end"], "on b"),
    ]
    assert {item["kind"] for item in lanes["nodes", "a"]} == {"lost", "fencing"}
    assert lanes["nodes", "b"] == []
    assert lanes["clients of web", "images"][0]["begin"] == 5
    assert all(item["begin"] <= item["end"] <= data["end"] for items in lanes.values() for item in items)


def test_stays_and_absences() -> None:
    record = history()
    assert next((one.resource, one.node, one.end) for one in stays(record)) == ("ip", "a", 6 * SECOND)
    assert [(one.node, one.begin, one.end) for one in absences(record)] == [
        ("a", 6 * SECOND, round(9.5 * SECOND))
    ]


@pytest.mark.parametrize("away", [set(), {"a"}])
def test_clients_go_where_the_address_is_unless_that_node_is_lost(away: set[str]) -> None:
    svg = topology(["a", "b"], {"a": ["ip", "web"]}, away, {"ip": "203.0.113.103"}, "title <&>")
    assert ('class="way"' in svg) == (not away)
    assert (">lost<" in svg) == bool(away)
    assert "title &lt;&amp;&gt;" in svg


def test_empty_record_makes_a_page_too() -> None:
    record = History.of([])
    assert "0 faults" in drill_page(record, judge(record), "Drill")
