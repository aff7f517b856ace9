"""The journal of applies: lines of JSON, on disk before and after each step, enough to go on or to go back.

No secret is in it: what a file was before lies beside the file on its node.
"""

import json
import os
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from understudy.design.items import Item
from understudy.findings import Finding, FindingsError
from understudy.kinds.registry import UNDOING

FILE = "journal.jsonl"
Entry = Mapping[str, Any]


def state_directory(cloud: str, environment: Mapping[str, str]) -> Path:
    """Return where the journal of a cloud lies (XDG Base Directory Specification)."""
    home = environment.get("XDG_STATE_HOME", "")
    base = Path(home) if home.startswith("/") else Path(environment.get("HOME", "/root"), ".local/state")
    return base / "understudy" / cloud


class Journal:
    """The writing end: one run of an apply or a rollback."""

    def __init__(self, directory: Path) -> None:
        self.run = uuid.uuid4().hex[:12]
        try:
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._descriptor = os.open(directory / FILE, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            self._end_torn_line(directory / FILE)
        except OSError as error:
            raise _unwritable(directory, error) from None
        self._directory = directory

    def _end_torn_line(self, file: Path) -> None:
        """A line that a dying run wrote by half must not swallow the next one."""
        content = file.read_bytes()
        if content and not content.endswith(b"\n"):
            os.write(self._descriptor, b"\n")

    def write(self, event: str, **values: object) -> None:
        """Append one line; it is on disk when this returns."""
        entry = {
            "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "run": self.run,
            "event": event,
            **values,
        }
        try:
            os.write(self._descriptor, (json.dumps(entry) + "\n").encode())
            os.fsync(self._descriptor)
        except OSError as error:
            raise _unwritable(self._directory, error) from None

    def close(self) -> None:
        """End it."""
        os.close(self._descriptor)


def _unwritable(directory: Path, error: OSError) -> FindingsError:
    values = {"path": str(directory), "reason": error.strerror or str(error)}
    return FindingsError([Finding("journal-unwritable", values=values)], exit_status=1)


def read_journal(directory: Path) -> list[Entry]:
    """Return all entries; lines that were written by half are passed over."""
    try:
        lines = (directory / FILE).read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []
    entries: list[Entry] = []
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and "run" in entry:
            entries.append(entry)
    return entries


def undo_as_json(item: Item) -> dict[str, object] | None:
    """Return an item that takes a step back as plain data; None for one that cannot be written down."""
    return {"kind": item.kind, **asdict(item)} if item.kind in UNDOING else None


@dataclass(frozen=True)
class Undo:
    """What takes the last work back: the runs, the items to make true, the keys of steps that cannot be undone."""

    runs: tuple[str, ...]
    items: tuple[Item, ...]
    left: tuple[str, ...]


def undo_of(entries: Sequence[Entry]) -> Undo:
    """Return what takes back the last apply, and the unfinished ones right before it (pure).

    A step that was begun counts as done: taking back what did not happen changes nothing.
    """
    runs: dict[str, list[Entry]] = {}
    for entry in entries:
        runs.setdefault(str(entry["run"]), []).append(entry)
    gone = {run for entry in entries if entry["event"] == "rolled-back" for run in entry["runs"]}
    chosen: list[str] = []
    for run, of_run in reversed(runs.items()):
        steps = any(entry["event"] == "step-begin" for entry in of_run)
        if run in gone or not steps or of_run[0].get("undoes"):
            continue
        complete = any(entry["event"] == "end" and entry.get("outcome") == "complete" for entry in of_run)
        if chosen and complete:
            break
        chosen.append(run)
    begun = [entry for run in reversed(chosen) for entry in runs[run] if entry["event"] == "step-begin"]
    items: dict[str, Item] = {}
    for entry in begun:
        if entry.get("undo"):
            item = _item(entry["undo"])
            items.setdefault(item.key, item)
    left = dict.fromkeys(str(entry["key"]) for entry in begun if not entry.get("undo"))
    return Undo(tuple(chosen), tuple(items.values()), tuple(left))


def _item(undo: Mapping[str, Any]) -> Item:
    return UNDOING[undo["kind"]](**{name: value for name, value in undo.items() if name != "kind"})
