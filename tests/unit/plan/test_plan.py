"""The plan as data, the journal as lines, the lock."""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from understudy.design.items import Item
from understudy.findings import FindingsError
from understudy.kinds.model import public
from understudy.kinds.registry import KINDS
from understudy.plan.journal import FILE, Journal, read_journal, state_directory, undo_of
from understudy.plan.lock import local_lock, locked
from understudy.plan.make import demand_same


async def test_same_world_same_plan(site: Any) -> None:
    first, second = await site.plan(), await site.plan()
    assert first.digest == second.digest
    assert json.dumps(first.as_json()) == json.dumps(second.as_json())
    demand_same(second, json.loads(json.dumps(first.as_json())))


async def test_plan_says_what_why_and_what_clients_notice(site: Any) -> None:
    plan = (await site.plan()).as_json()
    changes = {change["key"]: change for change in plan["changes"]}
    assert changes["file one /etc/agent"]["differences"][0] == {
        "name": "content",
        "before": "old\n",
        "after": "new\n",
        "reason": "",
        "secret": False,
    }
    assert plan["impacts"] == [f"mariadb on {node} stops until Pacemaker starts it" for node in site.machines]
    assert plan["changes"][0]["phase"] == "packages"


async def test_saved_plan_is_refused_in_a_world_that_moved_on(site: Any) -> None:
    saved = (await site.plan()).as_json()
    site.machines["two"].put("/etc/agent", "other", 0o644)
    with pytest.raises(FindingsError) as caught:
        demand_same(await site.plan(), saved)
    (finding,) = caught.value.findings
    assert finding.code == "plan-outdated"
    assert finding.values["what"] == "two /etc/agent"


async def test_saved_plan_holds_while_what_it_leaves_alone_moves(site: Any) -> None:
    await site.apply()
    site.machines["one"].put("/etc/agent", "other", 0o755)
    saved = (await site.plan()).as_json()
    own = "[DEFAULT]\nbind_host = 192.0.2.3\n[auth]\npassword = s3cret\n# somebody was here\n"
    site.machines["two"].put("/etc/glance/api.conf", own, 0o640)
    demand_same(await site.plan(), saved)


async def test_saved_plan_is_refused_when_the_spec_changed(site: Any) -> None:
    saved = (await site.plan()).as_json()
    site.items = [replace(item, mode=0o700) if item.subject == "/etc/agent" else item for item in site.items]
    with pytest.raises(FindingsError, match="plan-outdated"):
        demand_same(await site.plan(), saved)


@pytest.mark.parametrize(
    "saved", [{}, {"format": 2, "changes": [], "digest": ""}, {"format": 1, "changes": 3}]
)
async def test_file_that_is_no_plan(site: Any, saved: dict[str, object]) -> None:
    with pytest.raises(FindingsError) as caught:
        demand_same(await site.plan(), saved)
    assert (caught.value.findings[0].code, caught.value.exit_status) == ("plan-file-wrong", 2)


def test_private_parts_are_nobodys_business() -> None:
    assert public({"a": [{"_b": 1, "c": 2}], "_d": 3}) == {"a": [{"c": 2}]}


def test_every_kind_is_registered_under_its_name() -> None:
    assert all(kind.name == name for name, kind in KINDS.items())


def test_every_item_of_a_design_has_its_kind() -> None:
    def leaves(item: type[Item]) -> set[type[Item]]:
        below = {leaf for sub in item.__subclasses__() for leaf in leaves(sub)}
        return below or {item}

    assert {item.kind for item in leaves(Item) if item.__module__.startswith("understudy")} == set(KINDS)


# Journal


def test_state_directory() -> None:
    assert state_directory("a", {"HOME": "/h"}) == Path("/h/.local/state/understudy/a")
    assert state_directory("a", {"HOME": "/h", "XDG_STATE_HOME": "/s"}) == Path("/s/understudy/a")
    assert state_directory("a", {"HOME": "/h", "XDG_STATE_HOME": "relative"}) == Path(
        "/h/.local/state/understudy/a"
    )


def test_journal_is_private_and_survives_torn_lines(tmp_path: Path) -> None:
    first = Journal(tmp_path / "state")
    first.write("begin")
    with (tmp_path / "state" / FILE).open("a") as file:
        file.write('{"run": "torn')
    Journal(tmp_path / "state").write("begin")
    assert [entry["event"] for entry in read_journal(tmp_path / "state")] == ["begin", "begin"]
    assert (tmp_path / "state" / FILE).stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700


def test_journal_that_cannot_be_written_is_a_finding(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    with pytest.raises(FindingsError, match="journal-unwritable"):
        Journal(tmp_path / "state")


def test_empty_journal_has_nothing_to_take_back(tmp_path: Path) -> None:
    assert undo_of(read_journal(tmp_path)).items == ()


def entries(
    run: str, *keys: str, outcome: str = "complete", undoes: tuple[str, ...] = ()
) -> list[dict[str, Any]]:
    def undo(key: str) -> dict[str, str]:
        return {"kind": "restored-file", "node": "one", "path": key, "stamp": run}

    steps = [{"run": run, "event": "step-begin", "key": key, "undo": undo(key)} for key in keys]
    end = [{"run": run, "event": "end", "outcome": outcome}] if outcome else []
    gone = [{"run": run, "event": "rolled-back", "runs": list(undoes)}] if undoes else []
    return [{"run": run, "event": "begin", "undoes": list(undoes)}, *steps, *gone, *end]


def test_only_the_last_complete_apply_is_taken_back() -> None:
    undo = undo_of([*entries("a", "/x"), *entries("b", "/y")])
    assert undo.runs == ("b",)
    assert [item.subject for item in undo.items] == ["/y"]


@pytest.mark.parametrize("outcome", ["failed", "interrupted", ""])
def test_unfinished_applies_before_it_belong_to_it_and_the_oldest_version_counts(outcome: str) -> None:
    undo = undo_of([*entries("a", "/x"), *entries("b", "/y", "/z", outcome=outcome), *entries("c", "/y")])
    assert undo.runs == ("c", "b")
    assert [(item.subject, item.stamp) for item in undo.items] == [("/y", "b"), ("/z", "b")]  # type: ignore[attr-defined]


def test_what_was_taken_back_is_not_taken_back_twice() -> None:
    log = [*entries("a", "/x"), *entries("b", "/y"), *entries("c", "/y", undoes=("b",))]
    assert undo_of(log).runs == ("a",)


# Lock


async def test_second_apply_on_this_machine_is_refused(site: Any, tmp_path: Path) -> None:
    with local_lock(tmp_path / "state"), pytest.raises(FindingsError) as caught:
        await site.apply()
    (finding,) = caught.value.findings
    assert finding.code == "apply-running"
    assert str(os.getpid()) in str(finding.values["holder"])
    with local_lock(tmp_path / "state"):
        pass


async def test_second_apply_from_another_machine_is_refused_and_leaves_no_lock(
    site: Any, tmp_path: Path
) -> None:
    lock = json.dumps({"owner": "another", "holder": "bob"})
    held = site.machines["two"].put("/run/understudy.lock", lock)
    with pytest.raises(FindingsError) as caught:
        await site.apply()
    (finding,) = caught.value.findings
    assert (finding.code, finding.subject) == ("node-locked", "two")
    assert site.machines["one"].text("/etc/agent") == "old\n"
    assert list(site.directory.glob("*/run/understudy.lock")) == [held]


async def test_lock_of_a_dead_run_is_passed_over_and_told(site: Any) -> None:
    held = site.machines["two"].put("/run/understudy.lock", json.dumps({"owner": "another", "holder": "bob"}))
    os.utime(held, (1, 1))
    assert (await site.apply()).complete
    event = site.events[0]
    assert (event.name, event.node, event.text) == ("lock-passed-over", "two", "bob")


async def test_lock_that_a_killed_run_of_ours_left_is_ours(site: Any, tmp_path: Path) -> None:
    context = locked(site.world, tmp_path / "state")
    await context.__aenter__()
    kept = site.machines["one"].text("/run/understudy.lock")
    await context.__aexit__(None, None, None)
    for machine in site.machines.values():
        machine.put("/run/understudy.lock", kept)
    assert (await site.apply()).complete
    assert not list(site.directory.glob("*/run/understudy.lock"))
