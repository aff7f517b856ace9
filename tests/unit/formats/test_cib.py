import os
from pathlib import Path

import pytest

from understudy.findings import FindingsError, known_codes, message_for
from understudy.formats.cib import ObjectChange, canonical, diff, merge, parse, render, with_owner_tag
from understudy.formats.cluster import (
    OWNER,
    Clone,
    ClusterConfiguration,
    Colocation,
    FencingLevel,
    Group,
    Node,
    Operation,
    Order,
    Primitive,
)

CORPUS = Path(os.environ.get("UNDERSTUDY_CORPUS", Path(__file__).parents[4] / "shared" / "corpus"))

ADDRESS = Primitive(
    id="api-ip",
    agent="ocf:heartbeat:IPaddr2",
    parameters={"ip": "192.0.2.3"},
    operations=(Operation(name="monitor", interval=10, timeout=20),),
)
OURS = ClusterConfiguration(
    nodes=(Node(name="n1", id="1", attributes={"rack": "a"}),),
    resources=(ADDRESS, Clone(id="web-clone", resource=Primitive(id="web", agent="systemd:haproxy"))),
    constraints=(Colocation(id="ip-with-web", resource="api-ip", with_resource="web-clone"),),
    fencing_levels=(FencingLevel(target="n1", index=1, devices=("fence-1",)),),
    properties={"stonith-enabled": "true"},
    resource_defaults={"resource-stickiness": "100"},
)


def cib(resources: str = "", constraints: str = "", **sections: str) -> str:
    extra = "".join(
        f"<{name.replace('_', '-')}>{body}</{name.replace('_', '-')}>" for name, body in sections.items()
    )
    return (
        '<cib validate-with="pacemaker-3.9" epoch="7" foreign="kept"><configuration><crm_config/>'
        '<nodes><node id="1" uname="n1"/></nodes>'
        f"<resources>{resources}</resources><constraints>{constraints}</constraints>{extra}</configuration><status/></cib>"
    )


def codes(live: str, ours: ClusterConfiguration, *adopt: str) -> list[tuple[str, str]]:
    return [(finding.code, finding.subject) for finding in merge(live, ours, adopt).findings]


def test_the_tag_lists_every_object_and_setting_of_ours() -> None:
    (tag,) = with_owner_tag(OURS).tags
    assert tag.id == OWNER
    assert tag.references == (
        *("api-ip", "web-clone", "web", "ip-with-web", "fl-n1-1"),
        *("cib-bootstrap-options-stonith-enabled", "rsc-options-resource-stickiness", "nodes-1-rack"),
    )
    read, _ = parse(merge(cib(), OURS).cib)
    assert set(read.tags[0].references) == set(tag.references)


def test_what_is_not_ours_stays_to_the_letter() -> None:
    foreign = (
        '<primitive type="Dummy" id="theirs" provider="pacemaker" class="ocf">'
        '<!-- mind this --><meta_attributes id="odd.id">'
        '<nvpair value="1" name="priority" id="other"/></meta_attributes></primitive>'
    )
    acls = '<acl_role id="reader"><acl_permission id="p" kind="read" xpath="/cib"/></acl_role>'
    merged = merge(cib(foreign, acls=acls), OURS)
    assert merged.findings == ()
    flat = "".join(line.strip() for line in merged.cib.splitlines())
    assert foreign in flat
    assert acls in flat
    assert 'epoch="7" foreign="kept"' in flat


def test_a_foreign_object_of_the_same_id_is_a_finding_and_stays() -> None:
    other = '<primitive id="api-ip" class="ocf" provider="pacemaker" type="Dummy"/>'
    assert codes(cib(other), OURS) == [("cib-foreign-object", "api-ip")]
    assert 'type="Dummy"' in merge(cib(other), OURS).cib
    assert codes(cib(other), OURS, "api-ip") == []
    assert 'type="Dummy"' not in merge(cib(other), OURS, ("api-ip",)).cib


def test_an_id_that_is_used_elsewhere_is_a_finding() -> None:
    group = '<group id="theirs"><primitive id="web" class="systemd" type="nginx"/></group>'
    assert codes(cib(group), OURS) == [("cib-foreign-object", "web")]
    assert codes(cib(fencing_topology='<fencing-level id="x" target="n1" index="1" devices="f"/>'), OURS) == [
        ("cib-foreign-object", "fl-n1-1")
    ]


def test_a_foreign_setting_is_a_finding_unless_it_says_the_same() -> None:
    def properties(value: str) -> str:
        pair = f'<nvpair id="p" name="stonith-enabled" value="{value}"/>'
        pairs = f'<crm_config><cluster_property_set id="s">{pair}</cluster_property_set></crm_config>'
        return cib().replace("<crm_config/>", pairs)

    assert codes(properties("false"), OURS) == [("cib-foreign-setting", "stonith-enabled")]
    assert codes(properties("false"), OURS, "p") == []
    assert codes(properties("true"), OURS) == []
    assert 'obj_ref id="p"' in merge(properties("true"), OURS).cib


def test_what_somebody_put_into_our_group_is_not_lost() -> None:
    group = Group(id="g", primitives=(ADDRESS,))
    live = merge(cib(), ClusterConfiguration(resources=(group,))).cib
    live = live.replace("</group>", '<primitive id="theirs" class="systemd" type="nginx"/></group>')
    assert codes(live, ClusterConfiguration()) == [("cib-foreign-inside", "theirs")]
    assert codes(live, ClusterConfiguration(resources=(group,))) == [("cib-foreign-inside", "theirs")]


def test_a_foreign_constraint_keeps_us_from_removing_what_it_names() -> None:
    live = merge(cib(), OURS).cib
    live = live.replace(
        "<constraints>", '<constraints><rsc_location id="cli-ban" rsc="web-clone" node="n1" score="-1"/>'
    )
    assert codes(live, ClusterConfiguration()) == [("cib-still-referenced", "web-clone")]


def test_attributes_of_a_node_that_is_not_there() -> None:
    ours = ClusterConfiguration(nodes=(Node(name="n9", id="9", attributes={"rack": "z"}),))
    assert codes(cib(), ours) == [("cib-unknown-node", "n9")]
    assert codes(cib(), ClusterConfiguration(nodes=(Node(name="n9", id="9"),))) == []


def test_a_change_of_ours_keeps_its_place_and_shows_in_the_difference() -> None:
    before = merge(cib('<primitive id="first" class="systemd" type="a"/>'), OURS).cib
    changed = Primitive(
        id="api-ip",
        agent="ocf:heartbeat:IPaddr2",
        parameters={"ip": "192.0.2.4"},
        meta={"migration-threshold": "3"},
        operations=(Operation(name="monitor", interval=10, timeout=30, on_fail="restart"),),
    )
    resources = (changed, OURS.resources[1])
    order = Order(id="o", first="web-clone", then="api-ip", kind="Optional")
    ours = ClusterConfiguration(
        resources=resources, constraints=(order,), properties={"stonith-enabled": "true"}
    )
    merged = merge(before, ours)
    assert merged.findings == ()
    assert [resource.id for resource in parse(merged.cib)[0].resources] == ["first", "api-ip", "web-clone"]
    changes = [change for change in diff(before, merged.cib) if change.kind != "tag"]
    assert changes == [
        ObjectChange(id="resource-stickiness", kind="resource default", aspect="", before="100", after=None),
        ObjectChange(id="n1", kind="node", aspect="attribute rack", before="a", after=None),
        ObjectChange(
            id="api-ip", kind="primitive", aspect="parameter ip", before="192.0.2.3", after="192.0.2.4"
        ),
        ObjectChange(
            id="api-ip",
            kind="primitive",
            aspect="operation monitor 10s",
            before="timeout=20s",
            after="on-fail=restart timeout=30s",
        ),
        ObjectChange(
            id="api-ip", kind="primitive", aspect="meta migration-threshold", before=None, after="3"
        ),
        ObjectChange(
            id="ip-with-web",
            kind="colocation",
            aspect="",
            before="api-ip with web-clone, INFINITY",
            after=None,
        ),
        ObjectChange(id="n1 1", kind="fencing level", aspect="", before="fence-1", after=None),
        ObjectChange(
            id="o", kind="order", aspect="", before=None, after="start web-clone then start api-ip, Optional"
        ),
    ]


def test_spelling_makes_no_difference() -> None:
    one = (
        '<primitive id="a" class="ocf" provider="p" type="t"><operations id="x">'
        '<op id="i" name="monitor" interval="1min" timeout="20" role="Master" enabled="yes"/>'
        '</operations><instance_attributes id="y"/></primitive>'
    )
    other = (
        '<primitive type="t" provider="p" class="ocf" id="a"><operations><op name="monitor" interval="60s" id="j" '
        'timeout="20000ms" role="Promoted"/></operations></primitive>'
    )
    orders = (
        '<rsc_order id="o" first="a" then="a" score="0"/>',
        '<rsc_order id="o" kind="Optional" first="a" first-action="start" then="a" symmetrical="true"/>',
    )
    assert canonical(cib(one, orders[0])) == canonical(cib(other, orders[1]))
    assert diff(cib(one, orders[0]), cib(other, orders[1])) == ()
    assert canonical(cib(one)) != canonical(cib(one.replace("1min", "61")))


def test_what_the_model_does_not_hold_is_said_with_its_line() -> None:
    ticket = '<rsc_ticket id="t" rsc="a" ticket="x"/>'
    read, findings = parse(cib(constraints="\n" + ticket), "live.xml")
    assert read.constraints == ()
    (finding,) = findings
    assert (finding.code, finding.severity, finding.subject) == ("cib-not-held", "note", "t")
    assert str(finding.place).startswith("live.xml:2")
    assert "rsc_ticket" in message_for(finding)


def test_templates_and_references_are_resolved() -> None:
    read, findings = parse(
        cib(
            """
            <template id="t" class="ocf" provider="p" type="x">
              <instance_attributes id="i">
                <nvpair id="n" name="a" value="1"/>
                <nvpair id="m" name="b" value="1"/>
              </instance_attributes>
              <operations>
                <op id="o" name="monitor" interval="10"/>
                <op id="q" name="stop" interval="0"/>
              </operations>
            </template>
            <primitive id="r" template="t">
              <instance_attributes id="j"><nvpair id="k" name="a" value="2"/></instance_attributes>
              <operations><op id="l" name="monitor" interval="10s" timeout="5"/></operations>
            </primitive>
            <primitive id="s" class="systemd" type="x"><instance_attributes id-ref="i"/></primitive>
            """
        )
    )
    assert findings == ()
    first, second = read.primitives()
    assert first.agent == "ocf:p:x"
    assert first.parameters == {"a": "2", "b": "1"}
    assert first.operations == (Operation(name="monitor", interval=10, timeout=5), Operation(name="stop"))
    assert second.parameters == {"a": "1", "b": "1"}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "cib-text-not-xml"),
        ("<cib", "cib-text-not-xml"),
        ("<html/>", "cib-text-wrong-root"),
        ("\udcff", "cib-text-not-xml"),
    ],
)
def test_what_is_no_cib(text: str, code: str) -> None:
    with pytest.raises(FindingsError) as caught:
        parse(text, "x.xml")
    (finding,) = caught.value.findings
    assert finding.code == code
    assert finding.place
    assert finding.place.file == "x.xml"


def test_bad_values_are_findings() -> None:
    broken = (
        '<primitive id="a" class="ocf" provider="p" type="t"><operations><op id="i" name="monitor" interval="soon" '
        'on-fail="cry"/></operations></primitive><primitive id="a" class="systemd" type="t"/>'
    )
    _, findings = parse(cib(broken, '<rsc_colocation id="c" rsc="a" with-rsc="a" score="high"/>'))
    assert sorted(finding.code for finding in findings) == ["cib-bad-value"] * 3 + ["cib-duplicate-id"]
    assert all(finding.code in known_codes() and message_for(finding) for finding in findings)


@pytest.mark.parametrize("name", ["1st", "a b", "", "ü"])
def test_an_id_that_xml_does_not_allow_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="cannot be an id"):
        render(ClusterConfiguration(resources=(Primitive(id=name, agent="systemd:x"),)))


def test_an_id_used_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="twice"):
        render(ClusterConfiguration(resources=(ADDRESS, ADDRESS)))


@pytest.mark.parametrize("agent", ["IPaddr2", "ocf:IPaddr2", "ocf:", ""])
def test_an_agent_without_class_or_provider_is_refused(agent: str) -> None:
    with pytest.raises(ValueError, match="agent is written"):
        render(ClusterConfiguration(resources=(Primitive(id="a", agent=agent),)))


@pytest.mark.skipif(not CORPUS.is_dir(), reason="the collection of other people's configurations is not here")
def test_other_peoples_cibs_can_be_read_compared_and_merged_into() -> None:
    files = sorted([*CORPUS.glob("cib/*.xml"), *CORPUS.glob("scheduler/*.xml")])
    assert files
    for path in files:
        text = path.read_text()
        read, findings = parse(text, path.name)
        assert read.resources
        assert not [finding for finding in findings if finding.severity == "error"], path.name
        assert canonical(canonical(text)) == canonical(text)
        merged = merge(text, ClusterConfiguration(resources=(ADDRESS,)))
        assert merged.findings == (), path.name
        assert {change.id for change in diff(text, merged.cib)} == {"api-ip", OWNER}


def test_a_reference_without_an_id_stays() -> None:
    cib = "<cib><configuration><tags><tag id='t'><obj_ref/></tag></tags><resources><primitive id='p'/></resources>"
    text = canonical(f"{cib}</configuration></cib>")
    assert canonical(text) == text
