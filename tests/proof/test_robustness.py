"""Any input gives findings, none a traceback, a crash or a hang."""

import signal
import sys
from pathlib import Path

import pytest
from lxml import etree

from understudy.findings import message_for
from understudy.proof.prove import prove
from understudy.proof.report import as_json, terminal
from understudy.proof.result import Options, Proof
from understudy.proof.runner import pool as pool_module

GUIDE = Path(__file__).parents[1] / "golden" / "proof" / "guide-control-plane.xml"
CORRECT = Path(__file__).with_name("correct.xml").read_bytes()
TEXT = CORRECT.decode()
LAUGHS = (
    '<!DOCTYPE cib [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]><cib><configuration>&b;</configuration></cib>'
)


def proved(text: bytes, **options: object) -> Proof:
    proof = prove(text, "input.xml", Options(limit=60, **options))  # type: ignore[arg-type]
    for finding in proof.findings:
        assert message_for(finding)
    assert as_json(proof)["scenarios"] == proof.played
    assert terminal(proof)
    return proof


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (b"", "cib-not-xml"),
        (b"   \n", "cib-not-xml"),
        (b"primitive p_ip ocf:heartbeat:IPaddr2 params ip=192.168.42.103", "cib-not-xml"),
        (b"<cib", "cib-not-xml"),
        (b"\x00\xff\xfe", "cib-not-xml"),
        (CORRECT[: len(CORRECT) // 2], "cib-not-xml"),
        (b"<html><body/></html>", "cib-wrong-root"),
        (LAUGHS.encode(), "cib-with-entities"),
        (b"<cib/>", "cib-without-configuration"),
        (b"<cib><configuration><nodes/></configuration></cib>", "cib-without-nodes"),
        (b"<cib" + b"><a" * 400 + b"/>", "cib-not-xml"),
    ],
)
def test_what_is_no_cib_is_said(text: bytes, code: str) -> None:
    proof = proved(text)
    assert code in {finding.code for finding in proof.findings}
    assert proof.played == 0
    assert not proof.sound


def test_a_place_is_given_for_broken_xml() -> None:
    (finding,) = proved(b"<cib>\n  <configuration>\n</cib>").findings
    assert finding.place is not None
    assert (finding.place.file, finding.place.line) == ("input.xml", 3)


def test_a_newer_feature_set_is_said_and_judged_all_the_same(command: object) -> None:
    proof = proved(TEXT.replace('crm_feature_set="3.16.1"', 'crm_feature_set="3.99.0"').encode())
    assert [finding.code for finding in proof.findings] == ["cib-newer-feature-set"]
    assert proof.played > 100


def test_an_unknown_schema_is_said(command: object) -> None:
    proof = proved(TEXT.replace("pacemaker-3.7", "pacemaker-77.1").encode(), faults=1)
    assert "cib-unknown-schema" in {finding.code for finding in proof.findings}


def test_what_fails_its_schema_is_not_played(command: object) -> None:
    proof = proved(TEXT.replace("<constraints>", '<constraints><rsc_oder id="x"/>').encode())
    assert "cib-fails-schema" in {finding.code for finding in proof.findings}
    assert proof.played == 0


def test_a_missing_scheduler_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("understudy.proof.prove.command_version", lambda: None)
    proof = proved(CORRECT)
    assert [finding.code for finding in proof.findings] == ["scheduler-missing"]
    assert not proof.played
    assert proof.left_out


def odd(resources: str, constraints: str = "", nodes: int = 2) -> bytes:
    names = "".join(f'<node id="{n}" uname="n{n}"/>' for n in range(1, nodes + 1))
    return (
        '<cib validate-with="pacemaker-3.7" crm_feature_set="3.16.1" epoch="1" num_updates="0" admin_epoch="0">'
        f"<configuration><crm_config/><nodes>{names}</nodes><resources>{resources}</resources>"
        f"<constraints>{constraints}</constraints></configuration><status/></cib>"
    ).encode()


DUMMY = '<primitive id="{0}" class="ocf" provider="heartbeat" type="Dummy"{1}/>'
ODD = {
    "nothing at all": odd(""),
    "one node": odd(DUMMY.format("a", ""), nodes=1),
    "missing agent": odd('<primitive id="a" class="ocf" provider="nobody" type="nothing"/>'),
    "template": odd(
        '<template id="t" class="ocf" provider="heartbeat" type="Dummy"><operations><op id="o" name="monitor" '
        'interval="10s"/></operations></template><primitive id="a" template="t"/>'
    ),
    "promotable": odd(
        '<clone id="c"><meta_attributes id="m"><nvpair id="p" name="promotable" value="true"/></meta_attributes>'
        '<primitive id="s" class="ocf" provider="pacemaker" type="Stateful"><operations>'
        '<op id="o1" name="monitor" interval="10s" role="Promoted"/><op id="o2" name="monitor" interval="11s"/>'
        "</operations></primitive></clone>"
    ),
    "globally unique clone": odd(
        '<clone id="c"><meta_attributes id="m"><nvpair id="p" name="globally-unique" value="true"/>'
        f'<nvpair id="q" name="clone-max" value="4"/></meta_attributes>{DUMMY.format("a", "")}</clone>'
    ),
    "bundle": odd(
        '<bundle id="b"><docker image="i" replicas="2"/><network ip-range-start="10.0.0.1"><port-mapping id="pm" '
        f'port="80"/></network>{DUMMY.format("a", "")}</bundle>'
    ),
    "remote node": odd(
        '<primitive id="r" class="ocf" provider="pacemaker" type="remote"><instance_attributes id="i">'
        f'<nvpair id="s" name="server" value="10.0.0.9"/></instance_attributes></primitive>{DUMMY.format("a", "")}'
    ),
    "guest node": odd(
        '<primitive id="vm" class="ocf" provider="heartbeat" type="VirtualDomain"><meta_attributes id="m">'
        f'<nvpair id="g" name="remote-node" value="guest"/></meta_attributes></primitive>{DUMMY.format("a", "")}'
    ),
    "ticket": odd(
        DUMMY.format("a", ""),
        '<rsc_ticket id="t" rsc="a" ticket="site" loss-policy="fence"/>',
    ),
    "rule": odd(
        DUMMY.format("a", ""),
        '<rsc_location id="l" rsc="a"><rule id="r" score="-INFINITY"><expression id="e" attribute="pingd" '
        'operation="not_defined"/></rule></rsc_location>',
    ),
    "dated rule": odd(
        DUMMY.format("a", ""),
        '<rsc_location id="l" rsc="a"><rule id="r" score="-INFINITY"><date_expression id="e" operation="lt" '
        'end="2020-01-01"/></rule></rsc_location>',
    ),
    "loops": odd(
        DUMMY.format("a", "") + DUMMY.format("b", ""),
        '<rsc_order id="o1" first="a" then="b"/><rsc_order id="o2" first="b" then="a"/>'
        '<rsc_colocation id="c1" rsc="a" with-rsc="b"/><rsc_colocation id="c2" rsc="b" with-rsc="a"/>',
    ),
    "sets": odd(
        "".join(DUMMY.format(name, "") for name in "abc"),
        '<rsc_order id="o"><resource_set id="s1"><resource_ref id="a"/><resource_ref id="b"/></resource_set>'
        '<resource_set id="s2" sequential="false"><resource_ref id="c"/></resource_set></rsc_order>',
    ),
    "an id given twice": odd(f'<group id="a">{DUMMY.format("a", "")}{DUMMY.format("b", "")}</group>').replace(
        b"pacemaker-3.7", b"none"
    ),
    "names with markup": odd(DUMMY.format("a", "").replace('id="a"', 'id="a.b-c_d"')).replace(
        b"n1", b"n&lt;1&quot;"
    ),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_configurations_are_played(name: str, command: object) -> None:
    proof = proved(ODD[name])
    assert proof.played == proof.planned > 0
    assert "indeterminate" not in {violation["code"] for violation in proof.violations}
    assert not {"cross-check-differs", "scheduler-refuses"} & {finding.code for finding in proof.findings}


def test_a_worker_that_dies_costs_one_scenario(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "worker.py"
    script.write_text(
        "import json, os, sys\n"
        "for line in sys.stdin:\n"
        "    message = json.loads(line)\n"
        "    if message['do'] != 'play':\n"
        "        print(json.dumps({'ready': True}), flush=True)\n"
        "        continue\n"
        "    for number, faults in enumerate(message['scenarios']):\n"
        "        if faults == [['bad']]:\n"
        "            sys.stderr.write('assertion failed\\n')\n"
        "            os.abort()\n"
        "        if faults == [['slow']]:\n"
        "            import time\n"
        "            time.sleep(60)\n"
        "        print(json.dumps({'number': number}), flush=True)\n"
    )
    monkeypatch.setattr(pool_module, "PROGRAM", [sys.executable, str(script)])
    pool = pool_module.Pool({"do": "load"}, size=2, limit=2.0)
    chunks = [[[[word]] for word in words] for words in (("a", "bad", "b"), ("c", "slow", "d"), ("e", "f"))]
    try:
        pool.start()
        answers = {faults[0][0]: answer for faults, answer in pool.play(iter(chunks), {})}
    finally:
        pool.close()
    assert set(answers) == {"a", "bad", "b", "c", "slow", "d", "e", "f"}
    assert [word for word, answer in answers.items() if "failed" in answer] == ["bad", "slow"]
    assert answers["bad"]["failed"] == f"signal {signal.SIGABRT.value}: assertion failed"


def test_an_interruption_gives_what_is_known(command: object) -> None:
    def interrupt(done: int, total: int) -> None:
        assert total > done
        if done == 20:
            raise KeyboardInterrupt

    proof = prove(CORRECT, "correct.xml", Options(limit=60), interrupt)
    assert proof.interrupted
    assert proof.played == 20
    assert not proof.sound
    assert as_json(proof)["interrupted"] is True


def test_all_that_broke_is_counted_however_little_of_it_is_kept(
    command: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("understudy.proof.prove.KEPT_VIOLATIONS", 5)
    proof = prove(GUIDE.read_bytes(), "guide", Options(limit=60))
    assert len(proof.violations) <= 10
    assert proof.broken["error"] | proof.broken["warning"] == {
        row.name for row in proof.rows if row.violations
    }
    assert len(proof.broken["warning"]) > 10


def test_accepted_deviations_are_listed_and_not_hidden(command: object) -> None:
    root = etree.fromstring(CORRECT)
    order = root.find(".//rsc_order[@id='database-then-keystone']")
    assert order is not None
    order.set("kind", "Mandatory")
    accepted = {
        "bindings": "no such code",
        "bystander-interrupted": "the API cannot do without its database",
        "mandatory-order-between-services": "as above",
    }
    proof = proved(etree.tostring(root), accepted=accepted)
    assert proof.violations == []
    assert "mandatory-order-between-services" not in {finding.code for finding in proof.findings}
    assert {item["code"] for item in proof.accepted} == set(accepted) - {"bindings"}
    assert all(item["reason"] for item in proof.accepted)


def test_both_modes_and_both_ways_of_playing_agree(command: object) -> None:
    root = etree.fromstring(CORRECT)
    order = root.find(".//rsc_order[@id='database-then-keystone']")
    assert order is not None
    order.set("kind", "Mandatory")
    text = etree.tostring(root)
    found = [
        {(item["code"], item["scenario"], item["object"], item["detail"]) for item in proof.violations}
        for proof in (
            proved(text),
            proved(text, equivalence=False),
            proved(text, mode="command"),
        )
    ]
    assert found[0] == found[1] == found[2] != set()
