"""A configuration against its agents' own meta-data."""

from pathlib import Path

from lxml import etree

from understudy.proof.agents import parse, read_metadata
from understudy.proof.configuration import read_configuration
from understudy.proof.lint.agents import agents

METADATA = """<?xml version="1.0"?><resource-agent name="web"><parameters>
<parameter name="config" required="1"/><parameter name="port"/></parameters><actions>
<action name="start" timeout="40s"/><action name="stop" timeout="60s"/><action name="monitor" timeout="20s"/>
</actions></resource-agent>"""
RESOURCE = """<cib><configuration><resources>
<primitive id="a" class="ocf" provider="test" type="web"><instance_attributes id="i">
<nvpair id="p" name="prot" value="80"/></instance_attributes><operations>
<op id="o1" name="start" timeout="10s"/><op id="o2" name="stop" timeout="60s"/></operations></primitive>
<primitive id="b" class="ocf" provider="test" type="gone"/>
<primitive id="c" class="ocf" provider=".." type="escape"/>
</resources></configuration></cib>"""


def test_agents_are_asked_and_compared(tmp_path: Path) -> None:
    agent = tmp_path / "resource.d" / "test" / "web"
    agent.parent.mkdir(parents=True)
    agent.write_text(f"#!/bin/sh\ncat <<'X'\n{METADATA}\nX\n")
    agent.chmod(0o755)
    facts = read_configuration(etree.fromstring(RESOURCE))
    known = read_metadata((item.agent for item in facts.primitives()), tmp_path / "resource.d")
    assert known is not None
    found = {(finding.code, finding.subject) for finding in agents(facts, known)}
    assert found == {
        ("unknown-parameter", "a"),
        ("parameter-missing", "a"),
        ("timeout-below-advice", "a"),
        ("agent-not-installed", "b"),
        ("agent-not-installed", "c"),
    }


def test_a_machine_without_agents_has_nothing_to_say(tmp_path: Path) -> None:
    assert read_metadata(["ocf:heartbeat:Dummy"], tmp_path / "none") is None


def test_what_is_no_metadata_is_none() -> None:
    assert parse(b"") is None
    assert parse(b"usage: agent") is None
