import os
from pathlib import Path

import pytest

from understudy.findings import message_for
from understudy.findings.messages import advice_for
from understudy.formats import crmsh
from understudy.formats.cluster import (
    INFINITY,
    Colocation,
    Expression,
    FencingLevel,
    Location,
    Node,
    Operation,
    Order,
    Rule,
    Tag,
)

CORPUS = Path(os.environ.get("UNDERSTUDY_CORPUS", Path(__file__).parents[4] / "shared" / "corpus"))

WRITTEN_BY_HAND = """\
# two nodes
node 1: n1 \\
\tattributes standby=off
node $id="2" n2 attributes site="b c" utilization cpu=4
crm configure primitive ip IPaddr2 params ip="192.0.2.1" \\
    op monitor interval=10s timeout=20 meta migration-threshold=3
primitive db ocf:percona:mysql description="the database" binary=/usr/sbin/mysqld \\
    op start interval=0 timeout=120s \\
    op monitor interval=5s role=Master OCF_CHECK_LEVEL=1 \\
    op monitor interval=6s role=slave on_fail=fence
primitive api systemd:apache2
monitor api 30:20s
rsc_template base stonith:fence_ipmilan params lanplus=1 op monitor interval=60s
primitive fence-1 @base params ip=192.0.2.9
group front ip api meta target-role=Started
ms db-clone db meta notify=true master-max=1
location home front 100: n1
location away db-clone rule $id="x" $role=Master -inf: not_defined pingd or pingd number:lte 0
colocation with-db inf: front db-clone:Master
order db-first Mandatory: db-clone:promote front:start
order lazily 0: db-clone front symmetrical=false
fencing_topology n1: fence-1 a,b n2: b
property cib-bootstrap-options: stonith-enabled=true \\
    dc-version="1.1"
rsc_defaults $id="rsc-options" resource-stickiness=100
op_defaults op-options: timeout=60s
tag all: front db-clone
commit
"""


def test_what_administrators_write_is_read() -> None:
    read, findings = crmsh.parse(WRITTEN_BY_HAND)
    assert findings == ()
    assert read.nodes == (
        Node(name="n1", id="1", attributes={"standby": "off"}),
        Node(name="n2", id="2", attributes={"site": "b c"}, utilization={"cpu": "4"}),
    )
    assert list(read.resource_ids()) == ["fence-1", "front", "ip", "api", "db-clone", "db"]
    by_id = {primitive.id: primitive for primitive in read.primitives()}
    assert by_id["ip"].agent == "ocf:heartbeat:IPaddr2"
    assert by_id["ip"].operations == (Operation(name="monitor", interval=10, timeout=20),)
    assert by_id["db"].parameters == {"binary": "/usr/sbin/mysqld"}
    assert by_id["db"].operations == (
        Operation(name="start", timeout=120),
        Operation(name="monitor", interval=5, role="Promoted", check_level=1),
        Operation(name="monitor", interval=6, role="Unpromoted", on_fail="fence"),
    )
    assert by_id["api"].operations == (Operation(name="monitor", interval=30, timeout=20),)
    assert by_id["fence-1"].agent == "stonith:fence_ipmilan"
    assert by_id["fence-1"].parameters == {"lanplus": "1", "ip": "192.0.2.9"}
    assert read.constraints == (
        Location(id="home", resource="front", node="n1", score=100),
        Location(
            id="away",
            resource="db-clone",
            score=-INFINITY,
            role="Promoted",
            rule=Rule(
                expressions=(
                    Expression(attribute="pingd", operation="not_defined"),
                    Expression(attribute="pingd", operation="lte", value="0", type="number"),
                ),
                boolean_operator="or",
            ),
        ),
        Colocation(id="with-db", resource="front", with_resource="db-clone", with_role="Promoted"),
        Order(id="db-first", first="db-clone", then="front", first_action="promote"),
        Order(id="lazily", first="db-clone", then="front", kind="Optional", symmetrical=False),
    )
    assert read.fencing_levels == (
        FencingLevel(target="n1", index=1, devices=("fence-1",)),
        FencingLevel(target="n1", index=2, devices=("a", "b")),
        FencingLevel(target="n2", index=1, devices=("b",)),
    )
    assert read.properties == {"stonith-enabled": "true", "dc-version": "1.1"}
    assert (read.resource_defaults, read.operation_defaults) == (
        {"resource-stickiness": "100"},
        {"timeout": "60s"},
    )
    assert read.tags == (Tag(id="all", references=("front", "db-clone")),)


@pytest.mark.parametrize(
    ("text", "code", "place"),
    [
        ("primitve a systemd:b", "crmsh-unknown-keyword", "f:1:1"),
        ("\n  primitive a", "crmsh-syntax", "f:2:13"),
        ("primitive a b params x='", "crmsh-syntax", "f:1:24"),
        ("primitive a b op monitor \\\n interval=soon", "crmsh-bad-value", "f:2:2"),
        ("primitive a b op monitor on-fail=cry", "crmsh-bad-value", "f:1:26"),
        ("primitive a b op monitor depth=0", "crmsh-not-held", "f:1:18"),
        ("primitive a @none", "crmsh-unknown-resource", "f:1:13"),
        ("primitive a b params rule 1: x=1", "crmsh-not-held", "f:1:22"),
        ("primitive a b\ngroup g a aa", "crmsh-unknown-resource", "f:2:11"),
        ("primitive a b\ngroup g a\nclone c a", "crmsh-unknown-resource", "f:3:9"),
        ("group g meta a=b", "crmsh-syntax", "f:1:7"),
        ("primitive a b\nprimitive a c", "crmsh-duplicate-id", "f:2:1"),
        ("colocation c high: a b", "crmsh-bad-value", "f:1:14"),
        ("colocation c inf: a:Boss b", "crmsh-bad-value", "f:1:19"),
        ("colocation c inf: a", "crmsh-syntax", "f:1:19"),
        ("colocation c inf: a b c", "crmsh-not-held", "f:1:19"),
        ("order o inf: ( a b ) c", "crmsh-not-held", "f:1:14"),
        ("order o inf: a:begin b", "crmsh-bad-value", "f:1:14"),
        ("location l a n1", "crmsh-syntax", "f:1:14"),
        ("location l a rule inf: date gt 2020-01-01", "crmsh-not-held", "f:1:24"),
        ("location l a rule inf: a eq 1 and b eq 1 or c eq 1", "crmsh-not-held", "f:1:42"),
        ("fencing_topology a b", "crmsh-not-held", "f:1:1"),
        ("rsc_ticket t x: a", "crmsh-not-held", "f:1:1"),
        ("monitor a 10", "crmsh-unknown-resource", "f:1:9"),
    ],
)
def test_what_is_not_understood_is_said_with_line_and_column(text: str, code: str, place: str) -> None:
    _, findings = crmsh.parse(text, "f")
    assert [(finding.code, str(finding.place)) for finding in findings] == [(code, place)]
    assert message_for(findings[0])
    assert advice_for(findings[0]) or code == "crmsh-not-held"


def test_one_bad_statement_does_not_hide_the_others() -> None:
    read, findings = crmsh.parse(
        "nonsense\nprimitive a systemd:b params 'x\nprimitive c systemd:d\nmore nonsense\n"
    )
    assert [finding.place.line for finding in findings if finding.place] == [1, 2, 4]
    assert list(read.resource_ids()) == ["c"]


def test_a_misspelt_member_gets_the_nearest_name() -> None:
    text = "primitive p_neutron-metadata-agent systemd:x\ngroup g p_neutron-metadata_agent\n"
    (finding,) = crmsh.parse(text)[1]
    assert finding.values["nearest"] == "p_neutron-metadata-agent"


@pytest.mark.skipif(not CORPUS.is_dir(), reason="the collection of other people's configurations is not here")
def test_other_peoples_configurations_are_read() -> None:
    files = sorted([*CORPUS.glob("crm/*"), *CORPUS.glob("cib/*.input")])
    assert files
    for path in files:
        read, findings = crmsh.parse(path.read_text(), path.name)
        assert read.resources, path.name
        serious = {finding.code for finding in findings if finding.severity == "error"}
        assert serious <= {"crmsh-duplicate-id"}, (path.name, findings)
