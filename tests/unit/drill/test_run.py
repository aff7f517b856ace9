"""The course of a drill, on nodes that only say what they were asked."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

import pytest
from tests.unit.drill.whole import CLOUD, NODES, WHOLE, runs

from understudy.drill.faults.aim import Wish, facts_of, read_wishes
from understudy.drill.faults.strike import Site
from understudy.drill.history import Event, FaultEvent
from understudy.drill.preflight import Permission
from understudy.drill.run import QUIET_LOOKS, Drill, Pace
from understudy.hosts.model import Completed
from understudy.kinds.pacemaker import ClusterView

if TYPE_CHECKING:
    from understudy.drill.nodes import Nodes

FACTS = facts_of(CLOUD.spec, CLOUD.catalog, 1.0)
VIEW = replace(WHOLE, resources=(*WHOLE.resources, runs("ip-api-public", NODES[1])))
QUICK = Pace(baseline=0.01, calm=0.01, patience=2, poll=0.001, probe=0.02)


@dataclass
class Stage:
    """What the nodes were asked, in order; the coordinator is at work for so many looks after the injection."""

    busy: int
    asked: list[str] = field(default_factory=list)
    names: tuple[str, ...] = NODES
    name: str = NODES[0]

    async def view(self) -> ClusterView:
        """Return a cluster where all is well."""
        return VIEW

    async def reachable(self) -> dict[str, object]:
        """Return no node: whatever asks them directly has nothing to ask."""
        return {}

    async def idle(self, view: ClusterView) -> bool:
        """Say that there is work until it is done."""
        assert view is VIEW
        done = self.asked.count("busy") >= self.busy
        self.asked.append("idle" if done else "busy")
        return done

    async def run(self, argv: Sequence[str], *, stdin: bytes = b"", timeout: float = 30.0) -> Completed:  # noqa: ASYNC109
        """Do what a fault has done on a node: nothing."""
        del timeout
        order: dict[str, Any] = json.loads(stdin)
        self.asked.append(order["do"])
        return Completed(tuple(argv), 0, json.dumps({"problem": "", "found": []}).encode(), b"")


def drilled(stage: Stage, *turns: Sequence[Wish]) -> list[Event]:
    async def host(_name: str) -> Stage:
        return stage

    events: list[Event] = []
    site = Site(cast("Any", host), FACTS)
    drill = Drill(cast("Nodes", stage), site, (), events.append, Permission(in_lab=True), pace=QUICK)
    asyncio.run(drill.run(turns))
    return events


@pytest.mark.parametrize("fault", ["move:glance-api", f"standby:{NODES[1]}"])
def test_what_the_cluster_is_asked_for_is_taken_back_only_when_it_is_done(
    fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Stage(busy=5)
    (wish,) = read_wishes(fault, FACTS)
    monkeypatch.setattr(type(wish.fault), "stands", lambda *_: 0.0)
    events = drilled(stage, [wish])
    assert [one.phase for one in events if isinstance(one, FaultEvent)] == [
        "injecting",
        "injected",
        "healing",
        "healed",
    ]
    work = stage.asked[stage.asked.index("inject") + 1 : stage.asked.index("heal")]
    assert work == ["busy"] * 5 + ["idle"] * QUIET_LOOKS


def test_the_cluster_is_not_waited_for_longer_than_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(busy=10**9)
    (wish,) = read_wishes("move:glance-api", FACTS)
    monkeypatch.setattr(type(wish.fault), "stands", lambda *_: 0.0)
    monkeypatch.setattr(f"{__name__}.QUICK", Pace(0.01, 0.01, 0.1, 0.001, 0.02))
    drilled(stage, [wish])
    assert "heal" in stage.asked
