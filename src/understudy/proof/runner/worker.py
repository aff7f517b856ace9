"""A worker process: plays and judges scenarios, one JSON line in, one JSON line out for each scenario.

An abort of the scheduler's library ends this process and costs the scenario in hand, not the run.
"""

import contextlib
import gc
import json
import os
import resource
import signal
import sys
from typing import TYPE_CHECKING, Any

from lxml import etree

from understudy.proof.bounds import Timing, interruptions
from understudy.proof.configuration import Configuration, read_configuration
from understudy.proof.judge import Judge, judge_boot
from understudy.proof.play import Outcome, Player, Scheduler
from understudy.proof.quorum import Quorum
from understudy.proof.runner.command import CommandScheduler
from understudy.proof.runner.library import LibraryScheduler
from understudy.proof.scenarios import RECOVERIES, Fault, Scenario
from understudy.proof.story import Storyteller

if TYPE_CHECKING:
    from understudy.proof.state import State

MEMORY = 4 << 30
GARBAGE = 100_000
"""Objects between two searches for cycles: there are next to none, and many objects."""
_IGNORED = frozenset({"crm_feature_set", "batch-limit", "transition_id"})


def canonical(graph: bytes) -> object:
    """Return a graph as comparable data, without what names the tool rather than the transition."""
    return _canonical(etree.fromstring(graph))


def _canonical(element: etree._Element) -> object:
    attributes = sorted((str(k), str(v)) for k, v in element.attrib.items() if k not in _IGNORED)
    return element.tag, attributes, [_canonical(child) for child in element if isinstance(child.tag, str)]


class _Telling:
    """A scheduler before which all that is known so far is sent, since it may end the process."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler

    def graph(self, cib: bytes, now: int | None) -> bytes:
        """Return the graph as XML; raises ``ValueError`` if the scheduler refuses the CIB."""
        sys.stdout.flush()
        return self._scheduler.graph(cib, now)


class Worker:
    """Holds one configuration and plays what it is told."""

    def __init__(self) -> None:
        self.scheduler: Scheduler | None = None
        self.player: Player | None = None
        self.judge: Judge | None = None
        self.storyteller = Storyteller(Configuration())
        self.timing = Timing()
        self.sample: list[State] = []

    def load(self, message: dict[str, Any]) -> dict[str, Any]:
        """Take a configuration, bring the cluster to rest without any fault, and answer what runs."""
        self.scheduler = LibraryScheduler() if message["mode"] == "library" else CommandScheduler()
        cib = etree.fromstring(
            message["cib"].encode(), etree.XMLParser(resolve_entities=False, no_network=True)
        )
        facts = read_configuration(cib)
        facts.quorum = Quorum(**message.get("quorum", {}))
        self.timing = Timing(**message.get("timing", {}))
        durations = {(item[0], item[1]): int(item[2]) for item in message.get("durations", ())}
        self.player = Player(cib, facts, _Telling(self.scheduler), durations)
        self.judge = Judge(facts, self.player.baseline)
        self.storyteller = Storyteller(facts)
        boot = self.player.boot
        gc.freeze()
        return {
            "running": boot.after.running(),
            "given": boot.view != "cold",
            "quorum": boot.after.quorum,
            "violations": [list(item) for item in judge_boot(self.judge, boot)],
            "services": self.judge.services,
            "story": self.storyteller.tell(Outcome(Scenario((boot.fault,)), (boot,))),
        }

    def check(self, _: dict[str, Any]) -> dict[str, Any]:
        """Compare a sample of what was scheduled with plain ``crm_simulate``."""
        if self.player is None or not isinstance(self.scheduler, LibraryScheduler):
            return {"checked": 0, "different": 0}
        command = CommandScheduler()
        different, reason = 0, ""
        states = self.sample or [self.player.boot.struck.state]
        for state in states:
            text = self.player.text(state)
            try:
                same = canonical(self.scheduler.graph(text, state.now)) == canonical(
                    command.graph(text, state.now)
                )
            except ValueError as error:
                same, reason = False, str(error)
            different += not same
        return {"checked": len(states), "different": different, "reason": reason}

    def upgrade(self, message: dict[str, Any]) -> dict[str, Any]:
        """Bring a CIB to the newest schema that Pacemaker here knows."""
        text = LibraryScheduler().upgrade(message["cib"].encode())
        return {"cib": text.decode() if text else None}

    def play(self, message: dict[str, Any]) -> None:
        """Play scenarios and write an answer for each, which is sent before the scheduler is asked again."""
        for number, faults in enumerate(message["scenarios"]):
            scenario = Scenario(tuple(Fault(*item) for item in faults))
            _write({"number": number, **self._one(scenario, message)})
        sys.stdout.flush()

    def _one(self, scenario: Scenario, message: dict[str, Any]) -> dict[str, Any]:
        if self.player is None or self.judge is None:
            raise RuntimeError("nothing was loaded")
        try:
            outcome = self.player.play(scenario)
        except ValueError as error:
            return {"failed": str(error)}
        verdict = self.judge.judge(outcome, services=bool(message.get("story")))
        if len(self.sample) < message.get("sample", 0) and outcome.steps[0].applied:
            self.sample.append(outcome.steps[0].struck.state)
        answer: dict[str, Any] = {
            "applied": verdict.applied,
            "violations": [list(item) for item in verdict.violations],
        }
        if message.get("story"):
            bounds: dict[str, float] = {}
            for step in outcome.steps:
                if step.fault.kind not in RECOVERIES:
                    for service, seconds in interruptions(step, self.judge.facts, self.timing).items():
                        bounds[service] = max(bounds.get(service, 0.0), seconds)
            answer |= {"services": verdict.services, "fenced": verdict.fenced, "bounds": bounds}
            answer["end"] = self.player.ending(outcome.steps[0].after).digest.hex()
        if message.get("story") or (verdict.violations and message.get("broken", True)):
            answer["story"] = self.storyteller.tell(outcome)
        return answer

    def counts(self, _: dict[str, Any]) -> dict[str, Any]:
        """Answer how often the scheduler ran and how often an answer was already known."""
        if self.player is None:
            return {"scheduled": 0, "recalled": 0}
        return {"scheduled": self.player.scheduled, "recalled": self.player.recalled}


def _write(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(message, separators=(",", ":")) + "\n")


def _answer(message: dict[str, Any]) -> None:
    _write(message)
    sys.stdout.flush()


def main() -> None:
    """Serve until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    os.environ.pop("LD_PRELOAD", None)
    gc.set_threshold(GARBAGE)
    worker = Worker()
    for line in sys.stdin:
        message = json.loads(line)
        if message["do"] == "play":
            worker.play(message)
            continue
        try:
            _answer(getattr(worker, message["do"])(message))
        except Exception as error:  # noqa: BLE001 - whatever it is, the parent process has to hear of it
            _answer({"failed": f"{type(error).__name__}: {error}"})


if __name__ == "__main__":
    main()
