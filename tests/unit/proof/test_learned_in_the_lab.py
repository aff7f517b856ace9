"""What a real cluster was seen to do and the proof once had otherwise."""

from dataclasses import replace

from understudy.proof.configuration import Configuration, Node
from understudy.proof.execute import World, execute, read_graph
from understudy.proof.faults import lose
from understudy.proof.state import History, NodeView, Op, State

GRAPH = b"""<transition_graph>
<synapse id="0"><action_set><rsc_op id="1" operation="stop" on_node="n1" on_node_uuid="1">
<primitive id="a" class="ocf" provider="pacemaker" type="Stateful"/><attributes/></rsc_op></action_set>
<inputs/></synapse>
<synapse id="1"><action_set><rsc_op id="2" operation="start" on_node="n1" on_node_uuid="1">
<primitive id="a" class="ocf" provider="pacemaker" type="Stateful"/><attributes/></rsc_op></action_set>
<inputs><trigger><rsc_op id="1"/></trigger></inputs></synapse>
<synapse id="2"><action_set><rsc_op id="3" operation="start" on_node="n2" on_node_uuid="2">
<primitive id="b" class="ocf" provider="pacemaker" type="Dummy"/><attributes/></rsc_op></action_set><inputs/></synapse>
</transition_graph>"""


def test_a_promotion_score_that_vanishes_ends_the_transition_after_what_had_begun() -> None:
    history = History("ocf", "pacemaker", "Stateful", (Op("last_0", "start", 0, 0),))
    primary = NodeView("1", "n1").joined().with_history("a", history).with_attributes({"master-a": "10"})
    state = State({"n1": primary, "n2": NodeView("2", "n2").joined()})
    world = World(promotable={"a": ("5", "10")})
    transition, after = execute(read_graph(GRAPH), state, world=world)
    assert [(action.task, action.resource) for action in transition.actions] == [
        ("stop", "a"),
        ("start", "b"),
    ]
    assert transition.waiting == ()
    assert "master-a" not in after.nodes["n1"].attributes
    assert after.running() == {"b": {"n2": "Started"}}


def test_a_node_whose_pacemaker_was_stopped_still_votes() -> None:
    stopped = (("in_ccm", "true"), ("crmd", "offline"), ("join", "down"), ("expected", "down"))
    nodes = {name: NodeView(name[1:], name).joined() for name in ("n1", "n2", "n3")}
    nodes["n2"] = replace(nodes["n2"], flags=stopped)
    facts = Configuration(nodes={name: Node(name[1:], name) for name in nodes})
    after = lose(State(nodes), ("n3",), facts)
    assert after.up() == ["n1"]
    assert after.quorum
    assert not lose(after, ("n2",), facts).quorum
