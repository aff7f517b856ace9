"""The record of a drill survives being written, cut off and read in any order."""

from pathlib import Path

import pytest

from understudy.drill.history import (
    ClusterEvent,
    Completed,
    Event,
    FaultEvent,
    History,
    HistoryError,
    Invoked,
    Note,
    Observation,
    Recorder,
    decode,
    encode,
    read_history,
)

EVENTS: list[Event] = [
    Invoked(10, 1, "images", "glance-api", 0),
    FaultEvent(11, 2, 1, "power-loss", "injecting", "power loss of a", ("a", "b")),
    Completed(12, 3, "images", 0, "fail", "deadline"),
    ClusterEvent(13, 4, "b", "node-lost", "a", {"action": "reboot"}),
    Observation(14, 5, "written", {"client": "rows", "values": ["1"]}),
    Note(15, 6, "ä remark"),
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.kind)
def test_event_survives(event: Event) -> None:
    assert decode(encode(event)) == event


@pytest.mark.parametrize("name", ["h.jsonl", "h.jsonl.gz"])
def test_file_survives_and_is_appended_to(tmp_path: Path, name: str) -> None:
    for part in (EVENTS[3:], EVENTS[:3]):
        recorder = Recorder(tmp_path / name)
        for event in part:
            recorder.add(event)
        recorder.close()
    assert list(read_history(tmp_path / name).events) == EVENTS


def test_torn_last_line_is_left_out_but_not_a_torn_middle(tmp_path: Path) -> None:
    path = tmp_path / "h.jsonl"
    path.write_text(encode(EVENTS[0]) + "\n" + encode(EVENTS[1])[:30])
    assert read_history(path).events == (EVENTS[0],)
    path.write_text(encode(EVENTS[0])[:30] + "\n" + encode(EVENTS[1]) + "\n")
    with pytest.raises(HistoryError):
        read_history(path)


def test_operation_without_an_end_is_unknown() -> None:
    history = History.of([EVENTS[0], Invoked(10, 9, "images", "glance-api", 1), EVENTS[2]])
    assert [one.outcome for one in history.operations] == ["fail", "unknown"]


@pytest.mark.parametrize("line", ["", "[]", '{"kind":"no"}', '{"kind":"note"}', "nonsense"])
def test_what_is_no_event_is_refused(line: str) -> None:
    with pytest.raises(HistoryError):
        decode(line)


def test_unknown_field_of_a_later_version_is_passed_over() -> None:
    assert decode('{"kind":"note","wall":1,"monotonic":2,"text":"x","later":3}') == Note(1, 2, "x")
