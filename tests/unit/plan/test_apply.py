"""An apply goes on from wherever it was broken off, to the same end; what it says and writes down holds no secret."""

import asyncio
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from understudy.findings import Finding, FindingsError, known_codes, message_for
from understudy.kinds.registry import KINDS
from understudy.plan import apply as apply_module
from understudy.plan.apply import Outcome
from understudy.plan.journal import read_journal, undo_of

PASSWORD = "s3cret-of-the-BMC"
CHANGES_OF_A_WHOLE_APPLY = 27


async def test_second_plan_is_empty(site: Any) -> None:
    outcome = await site.apply()
    assert outcome.complete
    assert outcome.findings == ()
    assert (await site.plan()).empty
    assert site.machines["one"].text("/etc/bmc") == PASSWORD
    assert site.machines["three"].text("/etc/keys/0") == "key zero"
    assert not site.machines["two"].running
    assert site.machines["two"].text("/etc/glance/paste.ini") == "ours"


async def test_plan_costs_one_command_a_node(site: Any) -> None:
    await site.plan()
    assert [len(host.argvs) for host in site.hosts.values()] == [1, 1, 1]


async def test_nothing_to_do_touches_nothing(site: Any) -> None:
    await site.apply()
    plan = await site.plan()
    asked = [len(host.argvs) for host in site.hosts.values()]
    assert await site.apply(plan) == Outcome()
    assert [len(host.argvs) for host in site.hosts.values()] == asked


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_broken_off_at_every_change_it_converges(
    tmp_path: Path, new_site: Callable[[Path], Any], after: bool
) -> None:
    whole = new_site(tmp_path / "whole")
    await whole.apply()
    number = 0
    while True:
        number += 1
        site = new_site(tmp_path / str(number))
        reached = site.break_at(number, after=after)
        outcome = await site.apply()
        site.mend()
        if not reached():
            break
        assert not outcome.complete
        assert [finding.code for finding in outcome.findings] == ["host-connection-lost"]
        assert (await site.apply()).complete
        assert (await site.plan()).empty
        assert site.state() == whole.state()
    assert number == CHANGES_OF_A_WHOLE_APPLY + 1


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(breaks=st.lists(st.tuples(st.integers(1, 12), st.booleans()), max_size=3), data=st.data())
async def test_from_any_state_through_any_breaks_to_the_same_end(
    new_site: Callable[[Path], Any], breaks: list[tuple[int, bool]], data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as name:
        whole = new_site(Path(name, "whole"))
        await whole.apply()
        site = new_site(Path(name, "site"))
        for machine in site.machines.values():
            if data.draw(st.booleans()):
                machine.put(
                    "/etc/agent",
                    data.draw(st.sampled_from(["new\n", "x"])),
                    data.draw(st.sampled_from([0o755, 0o600])),
                )
            if data.draw(st.booleans()):
                machine.run(["apt-get", "--", "glance-api"])
            if data.draw(st.booleans()):
                machine.run(["service", "mariadb", "stop"])
            if data.draw(st.booleans()):
                machine.run(["make-keys"])
        for number, after in breaks:
            site.break_at(number, after=after)
            await site.apply()
            site.mend()
        assert (await site.apply()).complete or not breaks
        await site.apply()
        assert (await site.plan()).empty
        assert site.state() == whole.state()


async def test_stops_at_the_first_failure_and_says_what_is_left(site: Any) -> None:
    for machine in site.machines.values():
        machine.available.clear()
    outcome = await site.apply()
    assert {finding.code for finding in outcome.findings} == {"node-package-failed"}
    assert outcome.done == ()
    assert len(outcome.remaining) == len((await site.plan()).changes)
    assert all(message_for(finding) for finding in outcome.findings)


async def test_what_somebody_else_changed_since_the_plan_is_refused(site: Any) -> None:
    await site.apply()
    site.machines["two"].put("/etc/agent", "drifted", 0o755)
    plan = await site.plan()
    site.machines["two"].put("/etc/agent", "edited by an operator", 0o755)
    outcome = await site.apply(plan)
    (finding,) = outcome.findings
    assert (finding.code, finding.values) == ("changed-meanwhile", {"path": "/etc/agent", "node": "two"})
    assert site.machines["two"].text("/etc/agent") == "edited by an operator"
    assert outcome.done == ()


async def test_what_was_as_it_should_be_at_the_plan_and_is_not_now_is_refused(site: Any) -> None:
    await site.apply()
    site.machines["one"].put("/etc/agent", "drifted", 0o755)
    plan = await site.plan()
    site.machines["two"].put("/etc/agent", "drifted too", 0o755)
    outcome = await site.apply(plan)
    assert [finding.values["node"] for finding in outcome.findings] == ["two"]
    assert site.machines["one"].text("/etc/agent") == "drifted"


async def test_what_became_true_meanwhile_is_passed_over(site: Any) -> None:
    plan = await site.plan()
    for machine in site.machines.values():
        machine.run(["service", "mariadb", "stop"])
        machine.run(["update-rc.d", "mariadb", "disable"])
    outcome = await site.apply(plan)
    assert outcome.complete
    assert set(outcome.already_true) == {f"unit {node} mariadb" for node in site.machines}


async def test_units_and_files_of_new_packages_are_dealt_with_in_the_same_run(site: Any) -> None:
    plan = await site.plan()
    assert not any(change.item.key == "unit one glance-api" for change in plan.changes)
    outcome = await site.apply(plan)
    assert "unit one glance-api" in outcome.done


async def test_phases_come_in_order_and_nodes_in_parallel(site: Any) -> None:
    await site.apply()
    phases = [event.phase for event in site.events if event.name == "phase"]
    assert phases == sorted(phases)
    began = [event.change.item.target for event in site.events if event.name == "begin"]
    assert set(began[:3]) == {"one", "two", "three"}


async def test_no_secret_in_plan_journal_events_or_arguments(site: Any) -> None:
    plan = await site.plan()
    await site.apply(plan)
    site.machines["one"].put("/etc/bmc", "s3cret-of-before", 0o600)
    again = await site.plan()
    await site.apply(again)
    texts = [
        json.dumps(plan.as_json()),
        json.dumps(again.as_json()),
        repr(site.events[-1].change.differences),
    ]
    texts += [file.read_text() for file in (site.directory / "state").iterdir()]
    texts += [repr(host.argvs) for host in site.hosts.values()]
    assert not [text for text in texts if "s3cret" in text]
    assert site.machines["one"].text("/etc/bmc") == PASSWORD


async def test_interrupted_it_ends_at_a_steps_boundary(site: Any) -> None:
    slow = asyncio.Event()

    class Slow:
        def __init__(self, kind: Any) -> None:
            self.kind = kind

        def __getattr__(self, name: str) -> Any:
            return getattr(self.kind, name)

        async def apply(self, world: Any, change: Any) -> None:
            slow.set()
            await asyncio.sleep(0.05)
            await self.kind.apply(world, change)

    plan = await site.plan()
    kinds = {**KINDS, "sysctl": Slow(KINDS["sysctl"])}
    work = asyncio.create_task(
        apply_module.apply_plan(site.world, site.items, plan, kinds, directory=site.directory / "state")
    )
    await slow.wait()
    work.cancel()
    outcome = await work
    assert outcome.interrupted
    assert any(key.startswith("sysctl") for key in outcome.done)
    assert not any(key.startswith("unit") for key in outcome.done)
    events = [entry["event"] for entry in read_journal(site.directory / "state")]
    assert events.count("step-begin") == events.count("step-done")
    assert events[-1] == "end"
    assert not list(site.directory.glob("*/run/understudy.lock"))
    assert (await site.apply()).complete


async def test_interrupted_in_a_step_without_end_it_abandons_it(
    site: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apply_module, "GRACE_SECONDS", 0.05)
    started = asyncio.Event()

    class Endless:
        name = "unit"
        observe = KINDS["unit"].observe
        compare = KINDS["unit"].compare
        invert = KINDS["unit"].invert

        async def apply(self, *_: object) -> None:
            started.set()
            await asyncio.sleep(600)

    plan = await site.plan()
    kinds = {**KINDS, "unit": Endless()}
    directory = site.directory / "state"
    work = asyncio.create_task(
        apply_module.apply_plan(site.world, site.items, plan, kinds, directory=directory)
    )
    await started.wait()
    work.cancel()
    assert (await work).interrupted
    assert any(entry["event"] == "step-abandoned" for entry in read_journal(directory))
    assert (await site.apply()).complete


async def test_unreachable_node_at_the_plan_is_told_once(site: Any) -> None:
    site.break_at(10**6, after=False)
    for name in ("two", "three"):

        def gone(_: object, name: str = name) -> None:
            raise FindingsError([Finding("host-connection-lost", subject=name)], exit_status=1)

        site.hosts[name].before = gone
    with pytest.raises(FindingsError) as caught:
        await site.plan()
    assert sorted(finding.subject for finding in caught.value.findings) == ["three", "two"]
    assert caught.value.exit_status == 1


# Going back


async def roll_back(site: Any) -> Outcome:
    undo = undo_of(read_journal(site.directory / "state"))
    plan = await site.plan(undo.items, backwards=True)
    outcome: Outcome = await site.apply(plan, undo.items, undoes=undo.runs)
    return outcome


async def test_rollback_brings_back_what_can_come_back(site: Any) -> None:
    before = site.state()
    await site.apply()
    undo = undo_of(read_journal(site.directory / "state"))
    assert len(undo.left) == len([key for key in undo.left if key.startswith(("package", "key-repository"))])
    assert (await roll_back(site)).complete
    after = site.state()
    for key in (
        "etc/agent",
        "etc/bmc",
        "etc/glance/api.conf",
        "proc/sys/net/ipv4/ip_nonlocal_bind",
        "running",
    ):
        for node in site.machines:
            kept = after.get(f"{node} {key}")
            if key == "running":
                kept = [name for name in kept if name != "glance-api"]
            assert kept == before.get(f"{node} {key}")
    assert undo_of(read_journal(site.directory / "state")).items == ()


async def test_rollback_after_a_broken_apply_takes_back_both_parts(site: Any) -> None:
    site.break_at(8, after=True)
    await site.apply()
    site.mend()
    await site.apply()
    assert (await roll_back(site)).complete
    assert all(machine.text("/etc/agent") == "old\n" for machine in site.machines.values())


async def test_rollback_goes_backwards(site: Any) -> None:
    await site.apply()
    site.events.clear()
    await roll_back(site)
    phases = [event.phase for event in site.events if event.name == "phase"]
    assert phases == sorted(phases, reverse=True)
    assert len(phases) == 2


async def test_broken_rollback_can_be_run_again(site: Any) -> None:
    await site.apply()
    site.break_at(4, after=True)
    assert not (await roll_back(site)).complete
    site.mend()
    assert (await roll_back(site)).complete
    assert all(machine.text("/etc/agent") == "old\n" for machine in site.machines.values())


def test_all_codes_have_words() -> None:
    assert {"changed-meanwhile", "apply-running", "plan-outdated", "journal-unwritable"} <= known_codes()
