from pathlib import Path

import pytest

from understudy.lab.inside import init


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"<30>Nov 20 14:13:19 sshd[9]: Server listening", b"sshd[9]: Server listening"),
        (b"<13>Nov  2 14:13:19 root: hello\n\0", b"root: hello"),
        (b"<30>haproxy: without a time", b"haproxy: without a time"),
        (b"no priority", b"no priority"),
        (b"<30>Nov 20 14:13:19 x: two\nlines", b"x: two#012lines"),
        (b"", b""),
    ],
)
def test_a_log_line_is_freed_from_priority_and_coarse_time(raw: bytes, text: bytes) -> None:
    assert init._text_of(raw) == text


def test_sshd_starts_first_and_only_what_is_enabled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("S01corosync", "S02pacemaker", "S01ssh", "K01mariadb", "README"):
        (tmp_path / name).touch()
    monkeypatch.setattr(init, "ENABLED", tmp_path)
    assert init._enabled() == ["ssh", "corosync", "pacemaker"]


def test_packages_get_the_directories_they_declare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.conf").write_text(
        "# d /run/no 0755\nd /run/mysqld 0755 mysql root -\nD /var/run/old\nz /run/other 0600\nd /var/lib/no 0755\n",
        encoding="utf-8",
    )
    monkeypatch.setattr(init, "DECLARATIONS", (tmp_path,))
    assert [line[1:5] for line in init._declared_directories()] == [
        ["/run/mysqld", "0755", "mysql", "root"],
        ["/var/run/old", "-", "-", "-"],
    ]
