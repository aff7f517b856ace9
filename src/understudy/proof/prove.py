"""A proof from a CIB to its verdict: the way the command line, ``plan`` and tests take."""

import os
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice
from typing import Any

from lxml import etree

from understudy.findings.model import Finding
from understudy.proof.agents import read_metadata
from understudy.proof.cib import load_cib
from understudy.proof.configuration import Configuration, read_configuration
from understudy.proof.equivalence import Structure, classes
from understudy.proof.lint import lint
from understudy.proof.lint.agents import agents, published
from understudy.proof.lint.corosync import corosync, corosync_quorum, corosync_timing
from understudy.proof.result import WARNINGS, Options, Progress, Proof, Row
from understudy.proof.runner.command import command_version
from understudy.proof.runner.library import VERSION
from understudy.proof.runner.pool import Pool, WorkerDiedError
from understudy.proof.scenarios import Fault, Scenario, atomic, combined, count_combined, single

MOST_COMBINED = 200_000
KEPT_VIOLATIONS = 5000
SAMPLE = 8


class _Prover:
    def __init__(self, name: str, options: Options, progress: Progress | None) -> None:
        self.options = options
        self.progress = progress
        self.proof = Proof(name)
        size = options.workers or min(os.cpu_count() or 1, 8)
        self.pool = Pool({}, size, options.limit)
        self._known: dict[tuple[Fault, ...], Row] = {}
        self._ends: dict[Fault, str] = {}
        self._kept: Counter[str] = Counter()

    def run(self, text: bytes) -> Proof:
        begun = time.monotonic()
        try:
            self._prove(text)
        except KeyboardInterrupt:
            self.proof.interrupted = True
        finally:
            self.pool.close()
        self.proof.seconds = round(time.monotonic() - begun, 3)
        self._sort()
        return self.proof

    def _prove(self, text: bytes) -> None:
        mode = self.options.mode or self._mode()
        if mode and self.options.faults:
            self.pool.spawn()  # they load while the configuration is read
        source = load_cib(text, self.proof.source, self.options.schemas)
        self.proof.findings += source.findings
        if source.root is not None:
            root, playable = source.root, source.playable
            self.proof.mode = mode
            if playable and source.old and self.proof.mode == "library":
                root = self._upgraded(root)
            facts = read_configuration(root)
            self.proof.findings += lint(facts, root)
            if self.options.corosync:
                self.proof.findings += corosync(self.options.corosync, len(facts.cluster_nodes))
            if self.options.agents:
                known = read_metadata(item.agent for item in facts.primitives())
                self.proof.findings += [*agents(facts, known or {}), *published(facts)]
            if playable and self.proof.mode and self.options.faults:
                try:
                    self._play(root, facts)
                except WorkerDiedError as error:
                    self._unknown("scheduler-refuses", str(error))
            elif playable and self.options.faults:
                self._unknown("scheduler-missing", "package pacemaker-cli-utils")

    def _sort(self) -> None:
        kept: list[Finding] = []
        for finding in self.proof.findings:
            if finding.code in self.options.accepted:
                self._accept(finding.code, "", finding.subject)
            else:
                kept.append(finding)
        self.proof.findings = kept

    def _accept(self, code: str, scenario: str, name: str) -> None:
        self.proof.accepted.append(
            {"code": code, "scenario": scenario, "object": name, "reason": self.options.accepted[code]}
        )

    @staticmethod
    def _mode() -> str:
        version = command_version()
        if version == VERSION:
            return "library"
        return "command" if version else ""

    def _unknown(self, code: str, reason: str) -> None:
        self.proof.findings.append(Finding(code, "warning", {"reason": reason}, subject=self.proof.source))
        self.proof.left_out.append(reason)

    def _upgraded(self, root: etree._Element) -> etree._Element:
        pool = Pool({"do": "upgrade", "cib": etree.tostring(root, encoding="unicode")}, 1, self.options.limit)
        try:
            answer = pool.start()
        except WorkerDiedError:
            return root
        finally:
            pool.close()
        return etree.fromstring(answer["cib"].encode()) if answer.get("cib") else root

    def _message(self, root: etree._Element) -> dict[str, Any]:
        return {
            "do": "load",
            "cib": etree.tostring(root, encoding="unicode"),
            "mode": self.proof.mode,
            "timing": {
                **(asdict(corosync_timing(self.options.corosync)) if self.options.corosync else {}),
                **self.options.timing,
            },
            "quorum": asdict(corosync_quorum(self.options.corosync)) if self.options.corosync else {},
            "durations": [[*key, value] for key, value in self.options.durations.items()],
        }

    def _play(self, root: etree._Element, facts: Configuration) -> None:
        pool = self.pool
        pool.load = self._message(root)
        answer = pool.start()
        if self.proof.mode == "library" and ("failed" in answer or not self._trusted(pool)):
            pool.close()
            self.proof.mode = "command"
            pool.load = self._message(root)
            answer = pool.start()
        if "failed" in answer:
            self._unknown("scheduler-refuses", answer["failed"])
            return
        self._begin(answer)
        self._scenarios(pool, facts)

    def _trusted(self, pool: Pool) -> bool:
        check = pool.workers[0].ask({"do": "check"}, self.options.limit)
        self.proof.cross_checked += check.get("checked", 0)
        if check.get("different") or "failed" in check:
            reason = check.get("failed") or check.get("reason") or "another graph"
            self.proof.findings.append(Finding("self-test-differs", "note", {"reason": reason}))
            return False
        return True

    def _begin(self, answer: dict[str, Any]) -> None:
        self.proof.running = answer["running"]
        self.proof.services = answer["services"]
        row = Row("start", (Fault("boot"),), story=answer["story"])
        for code, name, detail in answer["violations"]:
            self._violated(code, "start", name, detail)
            row.violations.append((code, name, detail))
        self.proof.rows.append(row)
        if not answer["quorum"]:
            self.proof.left_out.append("the cluster has no quorum as it stands")

    def _scenarios(self, pool: Pool, facts: Configuration) -> None:
        options, proof = self.options, self.proof
        coverage = single(facts, proof.running)
        proof.left_out += coverage.left_out
        base = len(atomic(facts, proof.running))
        levels = []
        proof.planned = len(coverage.scenarios)
        for level in range(2, options.faults + 1):
            count = count_combined(base, level)
            if count > MOST_COMBINED:
                proof.left_out.append(
                    f"combinations of {level} faults: {count} would be more than {MOST_COMBINED}"
                )
                break
            levels.append(level)
            proof.planned += count
        structure = Structure(facts, proof.running)
        own = [scenario for scenario in coverage.scenarios if scenario.faults[0].kind != "moved"]
        moved = [scenario for scenario in coverage.scenarios if scenario.faults[0].kind == "moved"]
        own.sort(key=lambda scenario: self._neighbourhood(scenario, facts))
        self._by_class(pool, structure, iter(own), 3, story=True)
        self._by_class(pool, structure, iter(moved), 3, story=True)
        for level in levels:
            scenarios = combined(facts, proof.running, level)
            if level == 2:
                self._by_class(pool, structure, scenarios, 400, story=False)
            else:
                self._run(pool, scenarios, 48, story=False)
        places = {scenario.faults: index for index, scenario in enumerate(coverage.scenarios, 1)}
        proof.rows.sort(key=lambda row: 0 if row.name == "start" else places.get(row.faults, len(places) + 1))
        if proof.mode == "library":
            self._cross_check(pool)
        for counts in pool.ask_all({"do": "counts"}, options.limit):
            proof.scheduled += counts.get("scheduled", 0)
            proof.recalled += counts.get("recalled", 0)

    def _cross_check(self, pool: Pool) -> None:
        for check in pool.ask_all({"do": "check"}, self.options.limit):
            self.proof.cross_checked += check.get("checked", 0)
            if check.get("different"):
                reason = check.get("reason") or "another graph"
                self.proof.findings.append(Finding("cross-check-differs", "error", {"reason": reason}))

    def _neighbourhood(self, scenario: Scenario, facts: Configuration) -> tuple[bool, str, str]:
        """Return what keeps scenarios together that end alike, so that one worker meets them all."""
        fault = scenario.faults[0]
        where = next(iter(self.proof.running.get(fault.resource, {})), "") if fault.resource else fault.node
        return bool(fault.resource), where, facts.root(fault.resource.partition(":")[0])

    def _by_class(
        self, pool: Pool, structure: Structure, scenarios: Iterator[Scenario], chunk: int, *, story: bool
    ) -> None:
        """Play one scenario of each class, all of those in which something broke, and a sample of the others."""
        if not self.options.equivalence:
            self._run(pool, scenarios, chunk, story=story)
            return
        found = classes(structure, scenarios)
        broken = self._run(pool, (group[0] for group in found), chunk, story=story)
        rest = [scenario for group in found if group[0].faults in broken for scenario in group[1:]]
        skipped = [scenario for group in found if group[0].faults not in broken for scenario in group[1:]]
        step = max(len(skipped) // SAMPLE, 1)
        sample = set(skipped[::step]) if self.options.cross_checks else set()
        alike = [scenario for scenario in skipped if scenario not in sample]
        if self._run(pool, iter(sample), 1, story=story):
            rest, alike = rest + alike, []
        if story and alike:
            first = {scenario: group[0] for group in found for scenario in group}
            derived = [(scenario, self._derived(structure, first[scenario], scenario)) for scenario in alike]
            rest += [scenario for scenario, row in derived if row is None]
            alike = [scenario for scenario, row in derived if row is not None]
            self.proof.rows += [row for _, row in derived if row is not None]
        self._run(pool, iter(rest), chunk, story=story)
        self.proof.equivalent += len(alike)
        self.proof.played += len(alike)
        if self.progress:
            self.progress(self.proof.played, self.proof.planned)

    def _derived(self, structure: Structure, played: Scenario, scenario: Scenario) -> Row | None:
        """Return the verdict on a scenario from an equivalent one's; None where names leave a choice."""
        known = self._known.get(played.faults)
        if known is None:
            return None
        row = Row(
            scenario.name, scenario.faults, story=known.story, applied=known.applied, same_as=known.name
        )
        for service, others in structure.counterparts(played, scenario, known.services).items():
            words = {known.services[other] for other in others}
            if len(words) != 1:
                return None
            row.services[service] = words.pop()
            bound = max(known.bounds.get(other, 0.0) for other in others)
            if bound:
                row.bounds[service] = bound
        self.proof.not_applicable += not row.applied
        return row

    def _together(self, scenarios: Iterator[Scenario], most: int) -> Iterator[list[Scenario]]:
        """Yield scenarios in chunks that go on alike after their first faults, so that one worker meets them all."""
        begun: dict[str, list[Scenario]] = {}
        for scenario in scenarios:
            first = scenario.faults[0]
            begun.setdefault(self._ends.get(first, str(first)), []).append(scenario)
        for alike in begun.values():
            alike.sort(key=lambda scenario: scenario.faults[1:])
            yield from (alike[start : start + most] for start in range(0, len(alike), most))

    def _run(
        self, pool: Pool, scenarios: Iterator[Scenario], chunk: int, *, story: bool
    ) -> set[tuple[Fault, ...]]:
        """Play scenarios and return those in which something broke."""
        proof = self.proof
        in_turn = iter(lambda: list(islice(scenarios, chunk)), [])
        chunks = in_turn if story else self._together(scenarios, chunk)
        coded = ([[list(fault) for fault in scenario.faults] for scenario in part] for part in chunks)
        settings: dict[str, object] = {"story": story, "sample": self.options.cross_checks if story else 0}
        broken: set[tuple[Fault, ...]] = set()
        for faults, answer in pool.play(coded, settings):
            scenario = Scenario(tuple(Fault(*item) for item in faults))
            proof.played += 1
            self._take(scenario, answer, story=story)
            if answer.get("violations") or "failed" in answer:
                broken.add(scenario.faults)
            settings["broken"] = len(proof.rows) < KEPT_VIOLATIONS
            if self.progress:
                self.progress(proof.played, proof.planned)
        return broken

    def _take(self, scenario: Scenario, answer: dict[str, Any], *, story: bool) -> None:
        name = scenario.name
        row = Row(name, scenario.faults, story=answer.get("story", []), applied=answer.get("applied", True))
        if "failed" in answer:
            row.violations.append(("indeterminate", "", answer["failed"]))
            self._violated("indeterminate", name, "", answer["failed"])
        self.proof.not_applicable += not row.applied
        for code, thing, detail in answer.get("violations", ()):
            row.violations.append((code, thing, detail))
            self._violated(code, name, thing, detail)
        row.services = answer.get("services", {})
        row.fenced = tuple(answer.get("fenced", ()))
        row.bounds = answer.get("bounds", {})
        if story or (row.violations and len(self.proof.rows) < KEPT_VIOLATIONS):
            self.proof.rows.append(row)
        if story:
            self._known[row.faults] = row
            self._ends[row.faults[0]] = answer.get("end", "")

    def _violated(self, code: str, scenario: str, name: str, detail: str) -> None:
        proof = self.proof
        proof.totals[code] += 1
        if code in self.options.accepted:
            self._accept(code, scenario, name)
            return
        severity = "warning" if code in WARNINGS else "error"
        proof.broken[severity].add(scenario)
        if self._kept[severity] < KEPT_VIOLATIONS:
            self._kept[severity] += 1
            proof.violations.append(
                {
                    "code": code,
                    "scenario": scenario,
                    "object": name,
                    "detail": detail,
                    "severity": severity,
                }
            )


def prove(
    text: bytes, name: str = "cib.xml", options: Options | None = None, progress: Progress | None = None
) -> Proof:
    """Prove a CIB; bad input gives findings, an interruption (Ctrl-C) what is known so far."""
    return _Prover(name, options or Options(), progress).run(text)
