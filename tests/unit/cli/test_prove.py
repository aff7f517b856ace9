"""What can be proved through the command, and what a plan carries of it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from lxml import etree
from tests.unit.cli.conftest import EXAMPLE, Understudy
from tests.unit.formats.test_pcs_config import NEW as PCS_CONFIG

from understudy.cli import proving
from understudy.cli.inputs import read_input
from understudy.cli.reach import Reached
from understudy.drill.history import SECOND, ClusterEvent, Recorder
from understudy.findings import Finding, FindingsError
from understudy.kinds.model import World
from understudy.proof.report import brief, brief_json
from understudy.proof.result import Proof
from understudy.proof.runner.command import command_version

CORRECT = Path(__file__).parents[2] / "proof" / "correct.xml"
CRM = """\
node 1: n1
node 2: n2
primitive vip ocf:heartbeat:IPaddr2 params ip=192.0.2.1 op monitor interval=10s timeout=20s
primitive fence stonith:fence_sbd
property stonith-enabled=true
"""

needs_scheduler = pytest.mark.skipif(command_version() is None, reason="crm_simulate is not installed")


@needs_scheduler
@pytest.mark.parametrize(
    ("option", "text"), [("--cib", CORRECT.read_text()), ("--crm", CRM), ("--pcs", PCS_CONFIG)]
)
def test_any_language_is_proved(understudy: Understudy, tmp_path: Path, option: str, text: str) -> None:
    file = tmp_path / "configuration"
    file.write_text(text)
    ran = understudy("prove", option, file, "--json", "--html", tmp_path / "page.html")
    assert ran.status in (0, 1)
    assert ran.document["scenarios"] == ran.document["planned"] > 10
    assert ran.document["seconds"] > 0
    assert all({"code", "scenario", "object"} <= item.keys() for item in ran.document["violations"])
    assert "<table>" in (tmp_path / "page.html").read_text()


@needs_scheduler
def test_the_output_of_pcs_cluster_cib_is_a_cib(understudy: Understudy, tmp_path: Path) -> None:
    file = tmp_path / "pcs"
    file.write_text(CORRECT.read_text())
    assert understudy("prove", "--pcs", file).status == 0


@pytest.mark.parametrize(
    "words", [(), ("--running",), ("--cib", "a", "--crm", "b"), ("--cib", "a", "--live")]
)
def test_it_must_be_clear_what_to_prove(understudy: Understudy, words: tuple[str, ...]) -> None:
    ran = understudy("prove", *words, "--json")
    assert (ran.status, ran.codes) == (2, ["prove-what"])


@pytest.mark.parametrize(("option", "code"), [("--pcs", "pcs-no-configuration"), ("--crm", "crmsh-syntax")])
def test_text_that_says_nothing_is_refused(
    understudy: Understudy, tmp_path: Path, option: str, code: str
) -> None:
    file = tmp_path / "configuration"
    file.write_bytes(b"primitive \xff\xfe '\n")
    ran = understudy("prove", option, file, "--json")
    assert ran.status == 2
    assert code in ran.codes or "crmsh-unknown-keyword" in ran.codes


async def test_nodes_without_a_cluster_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    @asynccontextmanager
    async def reach(*_: object, **__: object) -> AsyncIterator[Reached]:
        yield Reached(World({}), "live nodes", in_lab=False, missing={})

    monkeypatch.setattr("understudy.cli.reach.reach", reach)
    given = read_input(EXAMPLE, with_secrets=False)
    with pytest.raises(FindingsError) as raised:
        await proving.running(given, live=True)
    assert [finding.code for finding in raised.value.findings] == ["no-cluster-to-prove"]


def violation(code: str, scenario: str, severity: str = "error") -> dict[str, str]:
    return {"code": code, "scenario": scenario, "object": "db", "detail": "", "severity": severity}


def test_a_plan_tells_its_proof_in_a_line() -> None:
    assert brief(Proof("x", played=214, planned=214)) == ["Proof: 214 failures tried, all survived."]
    broken = Proof("x", played=3, planned=3)
    broken.violations = [violation("service-lost", f"s{n}") for n in (1, 2)]
    broken.violations.append(violation("bystander-interrupted", "s3", "warning"))
    broken.broken = {"error": {"s1", "s2"}, "warning": {"s3"}}
    told = brief(broken)
    assert told[0] == "Proof: 3 failures tried, 3 not as they should be, 2 of them not survived."
    assert [line.split()[0] for line in told[1:]] == ["service-lost", "bystander-interrupted"]
    assert brief_json(broken)["scenarios"] == 3
    assert len(brief_json(broken)["violations"]) == 3
    missing = Proof("x", findings=[Finding("scheduler-missing", "warning", {"reason": "p"}, subject="x")])
    assert brief(missing)[0].startswith("Proof: none. Pacemaker's scheduler is not installed")


@needs_scheduler
def test_what_a_drill_measured_takes_the_place_of_timeouts(understudy: Understudy, tmp_path: Path) -> None:
    bounds = understudy("prove", "--cib", CORRECT, "--json").document["bounds"]
    resource = next(str(primitive.get("id")) for primitive in etree.parse(CORRECT).iter("primitive"))
    record = Recorder(tmp_path / "drill.jsonl.gz")
    for seconds, what in ((0, "operation-begun"), (1, "operation-ended")):
        moment = seconds * SECOND
        record.add(ClusterEvent(moment, moment, "n1", what, resource, {"operation": "start", "code": "0"}))
    record.close()
    measured = understudy("prove", "--cib", CORRECT, "--measured", tmp_path / "drill.jsonl.gz", "--json")
    assert measured.document["bounds"] != bounds
    none = understudy("prove", "--cib", CORRECT, "--measured", tmp_path / "none.gz", "--json")
    assert (none.status, none.codes) == (2, ["history-unreadable"])
