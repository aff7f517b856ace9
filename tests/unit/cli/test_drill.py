"""The drill's command line, as far as it needs no cluster."""

from datetime import time
from pathlib import Path

import pytest

from understudy.cli.drill import _window
from understudy.cli.main import run
from understudy.findings import FindingsError


def test_a_window_of_time() -> None:
    assert _window("02:00-04:30") == (time(2), time(4, 30))
    assert _window(None) is None


@pytest.mark.parametrize("text", ["2-4", "02:00", "02:00-25:00", "at night"])
def test_a_window_that_is_none(text: str) -> None:
    with pytest.raises(FindingsError) as caught:
        _window(text)
    assert [finding.code for finding in caught.value.findings] == ["drill-window-wrong"]


@pytest.mark.parametrize("rate", ["0", "-1", "1000", "nan"])
def test_a_rate_that_cannot_be(rate: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["drill", "examples/image-api.yaml", f"--rate={rate}", "--json"]) == 2
    assert '"code": "drill-rate-wrong"' in capsys.readouterr().out


def test_a_record_that_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = tmp_path / "drill.jsonl"
    record.write_text("no history\n")
    assert run(["report", str(record), "--json"]) == 2
    assert '"code": "history-unreadable"' in capsys.readouterr().out
