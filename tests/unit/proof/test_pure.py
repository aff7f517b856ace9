"""The proof's pure parts: reading, digests, the executor, scenarios, bounds, equivalence, the page."""

import json
import re
from pathlib import Path

import pytest
from lxml import etree

from understudy.findings import known_codes
from understudy.proof.bounds import Timing, interruptions
from understudy.proof.configuration import read_configuration
from understudy.proof.cuts import Cuts, Need
from understudy.proof.equivalence import Structure, classes
from understudy.proof.execute import World, execute, read_graph
from understudy.proof.page import page
from understudy.proof.play import Step
from understudy.proof.result import Proof, Row
from understudy.proof.scenarios import (
    FAULTS,
    Fault,
    allowed_nodes,
    atomic,
    combined,
    count_combined,
    single,
)
from understudy.proof.state import CLOCK, History, NodeView, Op, State, Variant, failed
from understudy.proof.status import failure, operation_digest, read_state, status_text
from understudy.proof.values import INFINITY, milliseconds, score

CORRECT = Path(__file__).resolve().parents[2] / "proof" / "correct.xml"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("10", 10_000),
        ("10s", 10_000),
        ("2min", 120_000),
        ("1h", 3_600_000),
        ("500ms", 500),
        ("", -1),
        ("soon", -1),
    ],
)
def test_durations(text: str, value: int) -> None:
    assert milliseconds(text, -1) == value


@pytest.mark.parametrize(
    ("text", "value"), [("INFINITY", INFINITY), ("-inf", 7), ("-INFINITY", -INFINITY), ("5", 5)]
)
def test_scores(text: str, value: int) -> None:
    assert score(text, 7) == value


def test_a_digest_covers_parameters_and_a_recurring_operations_timeout() -> None:
    attributes = {
        "ip": "10.0.0.1",
        "CRM_meta_timeout": "20000",
        "CRM_meta_name": "start",
        "crm_feature_set": "3.16.1",
    }
    start = operation_digest(attributes, 0)
    assert start == operation_digest({"ip": "10.0.0.1"}, 0)
    assert start != operation_digest({"ip": "10.0.0.2"}, 0)
    assert start != operation_digest(attributes, 10_000)
    # What Pacemaker 2.1.5 records for a resource without parameters.
    assert operation_digest({}, 0) == "f2317cad3d54cec5d7d7aa7d0bf35cf8"


GRAPH = b"""<transition_graph>
<synapse id="0"><action_set><rsc_op id="1" operation="stop" on_node="n1" on_node_uuid="1">
<primitive id="a" class="ocf" provider="heartbeat" type="Dummy"/><attributes CRM_meta_timeout="20000"/>
</rsc_op></action_set><inputs/></synapse>
<synapse id="1"><action_set><rsc_op id="2" operation="start" on_node="n2" on_node_uuid="2">
<primitive id="a" class="ocf" provider="heartbeat" type="Dummy"/><attributes CRM_meta_timeout="30000"/>
</rsc_op></action_set><inputs><trigger><rsc_op id="1"/></trigger></inputs></synapse>
<synapse id="2"><action_set><rsc_op id="3" operation="start" on_node="n2" on_node_uuid="2">
<primitive id="b" class="ocf" provider="heartbeat" type="Dummy"/><attributes/>
</rsc_op></action_set><inputs><trigger><rsc_op id="99"/></trigger></inputs></synapse>
</transition_graph>"""


def two_nodes() -> State:
    history = History("ocf", "heartbeat", "Dummy", (Op("last_0", "start", 0, 0),))
    nodes = [NodeView("1", "n1").joined().with_history("a", history), NodeView("2", "n2").joined()]
    return State({node.name: node for node in nodes})


def test_actions_fire_in_order_and_never_without_their_inputs() -> None:
    transition, after = execute(read_graph(GRAPH), two_nodes())
    assert [(item.task, item.resource, item.node, item.until) for item in transition.actions] == [
        ("stop", "a", "n1", 20.0),
        ("start", "a", "n2", 50.0),
    ]
    assert [(item.task, item.resource) for item in transition.waiting] == [("start", "b")]
    assert after.running() == {"a": {"n2": "Started"}}
    assert transition.precedes("1", transition.actions[1])
    assert not transition.precedes("2", transition.actions[0])


def test_measured_durations_replace_timeouts() -> None:
    transition, _ = execute(read_graph(GRAPH), two_nodes(), world=World(durations={("a", "stop"): 500}))
    assert [item.until for item in transition.actions] == [0.5, 30.5]


def test_a_failed_start_ends_the_transition_and_bans_the_node() -> None:
    transition, after = execute(read_graph(GRAPH), two_nodes(), failing={("a", "start", "n2")})
    assert [item.failed for item in transition.actions] == [False, True]
    assert after.nodes["n2"].attributes["fail-count-a#start_0"] == "INFINITY"


def test_what_is_no_graph_is_refused() -> None:
    for text in (b"", b"<cib/>", b"<transition_graph"):
        with pytest.raises(ValueError, match=r"."):
            read_graph(text)


def test_a_state_survives_being_written_and_read() -> None:
    state = two_nodes()
    op = failure(state.nodes["n1"].resources["a"], "monitor", 10_000, 7, CLOCK)
    node = failed(state.nodes["n1"], "a", op, CLOCK, fatal=False)
    state = state.with_node(node.with_attributes({'q"<': "&>"}))
    text = f'<cib have-quorum="1" execution-date="{CLOCK}">{status_text(state)}</cib>'
    assert status_text(read_state(etree.fromstring(text))) == status_text(state)


def test_fail_counts_add_up() -> None:
    node = two_nodes().nodes["n1"]
    op = Op("last_failure_0", "monitor", 10_000, 7)
    twice = failed(failed(node, "a", op, CLOCK, fatal=False), "a", op, CLOCK, fatal=False)
    assert twice.attributes["fail-count-a#monitor_10000"] == "2"


def test_a_template_keeps_the_given_element_as_it_is() -> None:
    root = etree.fromstring(CORRECT.read_bytes())
    before = etree.tostring(root)
    text = Cuts(root, slim=True).template(Need(Variant("database", "controller-2"))).fill(two_nodes())
    assert etree.tostring(root) == before
    filled = etree.fromstring(text)
    assert filled.find(".//rsc_location[@id='understudy-proof-move']") is not None
    assert filled.find(".//primitive/instance_attributes") is None
    assert filled.find(".//nvpair[@name='enable-startup-probes']").get("value") == "false"  # type: ignore[union-attr]


RUNNING = {
    "database-storage": {"controller-1": "Started"},
    "glance-address": {"controller-2": "Started"},
    "keystone": {"controller-1": "Started", "controller-2": "Started"},
}


def test_scenarios_are_counted_before_they_are_played() -> None:
    facts = read_configuration(etree.fromstring(CORRECT.read_bytes()))
    base = atomic(facts, RUNNING)
    assert len(base) == 4 * 3 + 3 + 3 * (1 + 1 + 2)
    pairs = list(combined(facts, RUNNING, 2))
    assert len(pairs) == len({pair.faults for pair in pairs}) == count_combined(len(base), 2)
    names = {str(fault) for scenario in single(facts, RUNNING).scenarios for fault in scenario.faults}
    assert {
        "node-lost controller-1,controller-2",
        "partition controller-3",
        "stop keystone on controller-2",
    } <= names
    assert {fault.kind for scenario in single(facts, RUNNING).scenarios for fault in scenario.faults} <= set(
        FAULTS
    )


def test_allowed_nodes_heed_bans() -> None:
    facts = read_configuration(etree.fromstring(CORRECT.read_bytes()))
    assert allowed_nodes(facts, "fence-controller-1") == ["controller-2", "controller-3"]


def test_equivalent_scenarios_are_the_same_but_for_names() -> None:
    facts = read_configuration(etree.fromstring(CORRECT.read_bytes()))
    running = {
        name: {f"controller-{n}": "Started" for n in (1, 2, 3)} for name in ("keystone", "neutron-server")
    }
    structure = Structure(facts, running)
    found = classes(structure, iter(single(facts, running).scenarios))
    together = next(group for group in found if str(group[0].faults[0]) == "monitor keystone on controller-1")
    assert len(together) == 6
    marked = {**running, "database-storage": {"controller-1": "Started"}}
    apart = classes(Structure(facts, marked), iter(single(facts, marked).scenarios))
    lost = [
        group
        for group in apart
        if group[0].faults[0].kind == "node-lost" and "," not in group[0].faults[0].node
    ]
    assert sorted(len(group) for group in lost) == [1, 2]


def test_detection_follows_corosync() -> None:
    assert Timing().detection(3) == pytest.approx(8.03)
    assert Timing(token=1000, token_coefficient=0).detection(3) == pytest.approx(2.2)
    assert Timing(token=400, token_coefficient=0, consensus=480).detection(3) == pytest.approx(0.88)


def test_a_bound_adds_detection_decision_and_the_longest_chain() -> None:
    from understudy.proof.faults import Struck  # noqa: PLC0415

    transition, after = execute(read_graph(GRAPH), two_nodes())
    root = etree.fromstring(
        '<cib><configuration><nodes><node id="1" uname="n1"/><node id="2" uname="n2"/></nodes><resources>'
        '<primitive id="a" class="ocf" provider="heartbeat" type="Dummy"/></resources></configuration></cib>'
    )
    step = Step(
        Fault("node-lost", node="n1"),
        "",
        two_nodes(),
        Struck(two_nodes()),
        after,
        (transition,),
        settled=True,
    )
    timing = Timing(token=1000, token_coefficient=0)
    assert interruptions(step, read_configuration(root), timing) == {"a": 2.2 + 1 + 50}


def test_the_page_carries_each_story_and_loads_nothing() -> None:
    evil = "</script><script>alert(1)</script>"
    story = [{"fault": evil, "view": "", "applied": True, "settled": True, "transitions": []}]
    row = Row("node-lost n1", (Fault("node-lost", node="n1"),), {evil: "moved"}, story=story)
    text = page(Proof("cib.xml", rows=[row], services=[evil], played=1, planned=1))
    assert "alert(1)</script>" not in text
    assert not re.search(r"(src|href)=", text)
    block = re.search(r'<script type="application/json" id="stories">(.*?)</script>', text, re.DOTALL)
    assert block is not None
    assert json.loads(block[1])["node-lost n1"]["steps"][0]["fault"] == evil


def test_every_code_that_can_be_raised_has_a_message() -> None:
    source = Path(__file__).resolve().parents[3] / "src" / "understudy" / "proof"
    text = "\n".join(path.read_text() for path in source.rglob("*.py"))
    codes = set(re.findall(r'(?:Violation|Finding)\(\s*"([a-z-]+)"', text))
    assert len(codes) > 60
    assert codes <= known_codes()
