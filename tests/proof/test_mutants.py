"""A correct configuration gives no finding, and each way to break it is caught by the check that should catch it."""

from collections.abc import Callable
from pathlib import Path

import pytest
from lxml import etree

from understudy.findings import advice_for, known_codes, message_for
from understudy.proof.configuration import read_configuration
from understudy.proof.lint import lint
from understudy.proof.prove import prove
from understudy.proof.result import Options

CORRECT = Path(__file__).with_name("correct.xml")
Edit = Callable[[etree._Element], None]


def at(root: etree._Element, identifier: str) -> etree._Element:
    found = root.xpath("//*[@id=$name]", name=identifier)
    assert isinstance(found, list)
    assert len(found) == 1, identifier
    element = found[0]
    assert isinstance(element, etree._Element)
    return element


def drop(identifier: str) -> Edit:
    def edit(root: etree._Element) -> None:
        element = at(root, identifier)
        parent = element.getparent()
        assert parent is not None
        parent.remove(element)

    return edit


def change(identifier: str, **attributes: str) -> Edit:
    def edit(root: etree._Element) -> None:
        for name, value in attributes.items():
            at(root, identifier).set(name.strip("_").replace("_", "-"), value)

    return edit


def put(parent: str, text: str) -> Edit:
    def edit(root: etree._Element) -> None:
        home = at(root, parent) if not parent.startswith("/") else root.find(parent[1:])
        assert home is not None
        home.append(etree.fromstring(text))

    return edit


def both(*edits: Edit) -> Edit:
    def edit(root: etree._Element) -> None:
        for one in edits:
            one(root)

    return edit


def first(parent: str, child: str) -> Edit:
    def edit(root: etree._Element) -> None:
        at(root, parent).insert(0, at(root, child))

    return edit


def constraint(text: str) -> Edit:
    return put("/configuration/constraints", text)


def option(name: str, value: str) -> Edit:
    return put("options", f'<nvpair id="new-{name}" name="{name}" value="{value}"/>')


def meta(resource: str, name: str, value: str) -> Edit:
    block = f'<meta_attributes id="new-meta"><nvpair id="new-{name}" name="{name}" value="{value}"/></meta_attributes>'
    return put(resource, block)


def move_into(group: str, name: str) -> Edit:
    def edit(root: etree._Element) -> None:
        at(root, group).append(at(root, name))

    return edit


def node_id(number: int) -> Edit:
    def edit(root: etree._Element) -> None:
        node = root.find(f"configuration/nodes/node[@id='{number}']")
        assert node is not None
        node.append(
            etree.fromstring(
                '<instance_attributes id="n"><nvpair id="s" name="standby" value="on"/></instance_attributes>'
            )
        )

    return edit


LINT: dict[str, tuple[Edit, str]] = {
    "fencing off": (change("options-stonith-enabled", value="false"), "fencing-disabled"),
    "no fencing device": (
        both(*(drop(f"fence-controller-{n}{end}") for n in (1, 2, 3) for end in ("-away", ""))),
        "fencing-without-device",
    ),
    "device for a node missing": (
        both(drop("fence-controller-3-away"), drop("fence-controller-3")),
        "node-without-fencing-device",
    ),
    "device at home": (drop("fence-controller-1-away"), "fencing-device-at-home"),
    "device for an unknown node": (
        change("fence-controller-2-pcmk_host_list", value="controler-2"),
        "fencing-unknown-node",
    ),
    "device stopped": (meta("fence-controller-1", "target-role", "Stopped"), "fencing-device-stopped"),
    "fencing timeout too short": (
        put("fence-controller-1-parameters", '<nvpair id="new" name="pcmk_reboot_timeout" value="120s"/>'),
        "fencing-timeout-short",
    ),
    "password in clear": (
        put("fence-controller-1-parameters", '<nvpair id="new" name="password" value="secret"/>'),
        "secret-in-cib",
    ),
    "quorum ignored": (change("options-no-quorum-policy", value="ignore"), "quorum-ignored"),
    "quorum policy misspelt": (change("options-no-quorum-policy", value="stopp"), "bad-value"),
    "property misspelt": (option("no-quorum-polcy", "stop"), "unknown-property"),
    "bad boolean": (option("maintenance-mode", "maybe"), "bad-value"),
    "bad duration": (change("options-stonith-timeout", value="a minute"), "bad-value"),
    "maintenance mode left on": (option("maintenance-mode", "true"), "leftover-maintenance"),
    "everything stopped": (option("stop-all-resources", "true"), "leftover-stopped"),
    "standby left on": (node_id(2), "leftover-standby"),
    "no stickiness": (drop("defaults-resource-stickiness"), "stickiness-missing"),
    "no failure timeout": (drop("defaults-failure-timeout"), "threshold-without-timeout"),
    "meta attribute misspelt": (meta("database", "resource-stickyness", "100"), "unknown-meta"),
    "target role misspelt": (meta("database", "target-role", "Start"), "bad-value"),
    "unmanaged": (meta("glance", "is-managed", "false"), "leftover-unmanaged"),
    "stopped by hand": (meta("glance", "target-role", "Stopped"), "leftover-stopped"),
    "no monitor": (drop("glance-api-monitor"), "monitor-missing"),
    "monitor interval 0": (change("glance-api-monitor", interval="0s"), "monitor-missing"),
    "two monitors": (
        put(
            "glance-api", '<operations><op id="new" name="monitor" interval="10s" timeout="5s"/></operations>'
        ),
        "monitor-duplicate",
    ),
    "monitor every second": (change("glance-api-monitor", interval="1s"), "interval-too-short"),
    "monitor ignored": (change("glance-api-monitor", on_fail="ignore"), "monitor-ignored"),
    "start recurring": (change("glance-api-start", interval="10s"), "operation-interval"),
    "failed stop ignored": (change("database-server-stop", on_fail="ignore"), "stop-failure-ignored"),
    "failed stop blocks": (change("database-server-stop", on_fail="block"), "stop-failure-ignored"),
    "timeout of a second": (change("database-server-start", timeout="1s"), "timeout-too-short"),
    "no timeouts": (both(drop("glance-api-start"), drop("glance-api-stop")), "timeout-missing"),
    "address twice": (change("glance-address-ip", value="192.168.42.103"), "address-twice"),
    "address alone": (drop("keystone-address-with-copy"), "address-alone"),
    "storage after the database": (
        first("database", "database-server"),
        "data-before-storage",
    ),
    "services chained in a group": (move_into("glance", "keystone"), "group-of-services"),
    "constraint on nothing": (
        constraint('<rsc_order id="x" first="databse" then="glance" kind="Optional"/>'),
        "constraint-unknown-resource",
    ),
    "constraint on an unknown node": (
        constraint('<rsc_location id="x" rsc="glance" node="controler-1" score="1"/>'),
        "constraint-unknown-node",
    ),
    "constraint on a member": (
        constraint('<rsc_location id="x" rsc="database-server" node="controller-1" score="1"/>'),
        "constraint-on-member",
    ),
    "leftover ban": (
        constraint(
            '<rsc_location id="cli-ban-glance-on-controller-1" rsc="glance" node="controller-1" score="-INFINITY"/>'
        ),
        "leftover-ban",
    ),
    "leftover move": (
        constraint(
            '<rsc_location id="cli-prefer-glance" rsc="glance" node="controller-1" score="INFINITY"/>'
        ),
        "leftover-move",
    ),
    "order loop": (constraint('<rsc_order id="x" first="glance" then="database"/>'), "order-loop"),
    "colocation loop": (
        both(
            constraint('<rsc_colocation id="x" rsc="database" with-rsc="glance" score="INFINITY"/>'),
            constraint('<rsc_colocation id="y" rsc="glance" with-rsc="database" score="INFINITY"/>'),
        ),
        "colocation-loop",
    ),
    "colocation contradicts": (
        both(
            constraint('<rsc_colocation id="x" rsc="database" with-rsc="glance" score="INFINITY"/>'),
            constraint('<rsc_colocation id="y" rsc="glance" with-rsc="database" score="-INFINITY"/>'),
        ),
        "colocation-contradiction",
    ),
    "colocation reversed": (
        change("keystone-address-with-copy", rsc="keystone-clone", with_rsc="keystone-address"),
        "colocation-reversed",
    ),
    "mandatory order": (change("database-then-glance", kind="Mandatory"), "mandatory-order-between-services"),
    "mandatory order before clones": (
        change("database-then-keystone", kind="Mandatory"),
        "mandatory-order-between-services",
    ),
    "not interleaved": (
        both(
            change("keystone-clone-meta-interleave", value="false"),
            constraint('<rsc_order id="x" first="keystone-clone" then="neutron-clone"/>'),
        ),
        "clone-not-interleaved",
    ),
    "allowed nowhere": (
        both(
            *(
                constraint(f'<rsc_location id="x{n}" rsc="glance" node="controller-{n}" score="-INFINITY"/>')
                for n in (1, 2, 3)
            )
        ),
        "allowed-nowhere",
    ),
    "one node only": (
        both(
            *(
                constraint(f'<rsc_location id="x{n}" rsc="glance" node="controller-{n}" score="-INFINITY"/>')
                for n in (1, 2)
            )
        ),
        "one-node-only",
    ),
}


def codes_of(root: etree._Element) -> set[str]:
    findings = lint(read_configuration(root), root)
    for finding in findings:
        assert message_for(finding)
        assert advice_for(finding) is not None
    return {finding.code for finding in findings}


def test_the_correct_configuration_gives_no_finding() -> None:
    assert codes_of(etree.fromstring(CORRECT.read_bytes())) == set()


@pytest.mark.parametrize("name", LINT)
def test_mutant_is_caught(name: str) -> None:
    edit, code = LINT[name]
    root = etree.fromstring(CORRECT.read_bytes())
    edit(root)
    assert code in known_codes()
    assert code in codes_of(root)


def typed(resource: str, kind: str, *pairs: tuple[str, str]) -> Edit:
    def edit(root: etree._Element) -> None:
        at(root, resource).set("provider", "openstack")
        at(root, resource).set("type", kind)
        block = etree.SubElement(at(root, resource), "instance_attributes", id="new-parameters")
        for name, value in pairs:
            etree.SubElement(block, "nvpair", id=f"new-{name}", name=name, value=value)

    return edit


GUIDES: dict[str, tuple[Edit, str]] = {
    "type that was never shipped": (typed("keystone", "neutron-dhcp-agent"), "agent-misnamed"),
    "parameter of another agent": (
        typed("keystone", "neutron-metadata-agent", ("plugin_config", "/etc/neutron/metadata_agent.ini")),
        "parameter-misnamed",
    ),
    "URL without its end": (
        typed("keystone", "quantum-server", ("keystone_get_token_url", "http://192.168.42.103:5000/v2.0/")),
        "parameter-incomplete",
    ),
    "password in clear": (typed("keystone", "keystone", ("os_password", "secrete")), "secret-in-cib"),
}


@pytest.mark.parametrize("name", GUIDES)
def test_a_mistake_of_the_guides_own_snippets_is_caught(name: str) -> None:
    edit, code = GUIDES[name]
    root = etree.fromstring(CORRECT.read_bytes())
    edit(root)
    proof = prove(etree.tostring(root), "guide.xml", Options(faults=0, agents=True))
    assert code in {finding.code for finding in proof.findings}


PLAYED: dict[str, tuple[Edit, set[str]]] = {
    "fencing off": (
        change("options-stonith-enabled", value="false"),
        {"start-before-fencing", "blocked-after-stop-failure"},
    ),
    "two leftover bans": (
        both(
            *(
                constraint(
                    f'<rsc_location id="cli-ban-{n}" rsc="glance" node="controller-{n}" score="-INFINITY"/>'
                )
                for n in (1, 2)
            )
        ),
        {"address-down", "service-lost"},
    ),
    "mandatory order": (change("database-then-keystone", kind="Mandatory"), {"bystander-interrupted"}),
    "services chained in a group": (
        both(
            move_into("glance", "keystone"),
            drop("keystone-clone"),
            drop("keystone-address-with-copy"),
            drop("database-then-keystone"),
        ),
        {"bystander-interrupted"},
    ),
    "no stickiness": (
        both(
            change("defaults-resource-stickiness", value="0"),
            constraint('<rsc_location id="x" rsc="database" node="controller-1" score="50"/>'),
        ),
        {"moves-back"},
    ),
    "quorum ignored": (change("options-no-quorum-policy", value="ignore"), {"runs-without-quorum"}),
    "device for one node, on that node": (
        constraint('<rsc_location id="x" rsc="fence-controller-1" node="controller-3" score="-INFINITY"/>'),
        {"fencing-device-down"},
    ),
}


@pytest.mark.parametrize("name", PLAYED)
def test_mutant_is_caught_by_playing_failures(name: str, command: object) -> None:
    edit, codes = PLAYED[name]
    root = etree.fromstring(CORRECT.read_bytes())
    edit(root)
    proof = prove(etree.tostring(root), "mutant.xml", Options(limit=120))
    assert codes <= {violation["code"] for violation in proof.violations}


def test_every_failure_of_the_correct_configuration_is_survived(command: object) -> None:
    proof = prove(CORRECT.read_bytes(), "correct.xml", Options(limit=120))
    assert proof.violations == []
    assert proof.findings == []
    assert proof.played == proof.planned > 100
    assert proof.sound
