"""What apply asks before it changes live nodes."""

import io
from pathlib import Path

import pytest

from understudy.cli.apply import _confirmed
from understudy.findings import FindingsError


def test_live_nodes_are_not_changed_without_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("yes\n"))
    with pytest.raises(FindingsError) as caught:
        _confirmed(Path("cloud.yaml"))
    assert [finding.code for finding in caught.value.findings] == ["apply-needs-yes"]
    assert caught.value.exit_status == 2
