"""One configuration in every language of the cluster, and what the tools themselves make of it.

``UNDERSTUDY_GOLDEN=write`` writes the expected files anew.
"""

import os
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from understudy.formats import cib, crmsh, pcs
from understudy.formats.cluster import (
    INFINITY,
    OWNER,
    Clone,
    ClusterConfiguration,
    Colocation,
    Expression,
    FencingLevel,
    Group,
    Location,
    Node,
    Operation,
    Order,
    Primitive,
    Rule,
    Tag,
)

Run = Callable[..., subprocess.CompletedProcess[str]]
Tools = tuple[Path, Run]
GOLDEN = Path(__file__).parent / "cluster"
NODES = (1, 2, 3)
INNER = Group(
    id="storage",
    primitives=(
        Primitive(id="storage-lock", agent="ocf:pacemaker:Dummy"),
        Primitive(
            id="storage-mount", agent="ocf:pacemaker:Dummy", operations=(Operation(name="stop", timeout=1.5),)
        ),
    ),
    meta={"priority": "5"},
)


def monitor(interval: float, timeout: float, **rest: object) -> Operation:
    return Operation(name="monitor", interval=interval, timeout=timeout, **rest)  # type: ignore[arg-type]


def address(name: str, ip: str) -> Primitive:
    return Primitive(
        id=name,
        agent="ocf:heartbeat:IPaddr2",
        parameters={"ip": ip, "cidr_netmask": "24"},
        operations=(monitor(10, 20),),
    )


DATABASE = Group(
    id="database",
    primitives=(
        Primitive(
            id="database-filesystem",
            agent="ocf:heartbeat:Filesystem",
            parameters={
                "device": "/dev/disk/by-id/x",
                "directory": "/srv/x",
                "fstype": "xfs",
                "options": "noatime,nodev",
            },
            operations=(
                Operation(name="start", timeout=60),
                Operation(name="stop", timeout=60),
                monitor(20, 40, check_level=10, on_fail="fence"),
            ),
        ),
        address("database-ip", "192.0.2.101"),
        Primitive(
            id="mariadb",
            agent="ocf:pacemaker:Dummy",
            parameters={"fake": 'it\'s "quoted" \\ $HOME `x` #no ; & | <b>', "op_sleep": "1"},
            meta={"migration-threshold": "3", "failure-timeout": "60s"},
            operations=(Operation(name="start", timeout=120), monitor(20, 30)),
            utilization={"cpu": "2"},
        ),
    ),
    meta={"priority": "10"},
)

# Primitives, groups, clones: the order that every language can say.
CONFIGURATION = ClusterConfiguration(
    nodes=tuple(
        Node(name=f"n{number}", id=str(number), attributes={"rack": f"r{number}"}, utilization={"cpu": "8"})
        for number in NODES
    ),
    resources=(
        address("api-ip", "192.0.2.103"),
        *(
            Primitive(
                id=f"fence-n{number}",
                agent="stonith:fence_redfish",
                parameters={
                    "ip": f"198.51.100.{number}",
                    "username": "admin",
                    "pcmk_host_list": f"n{number}",
                },
                operations=(monitor(60, 30),),
            )
            for number in NODES
        ),
        Primitive(id="plain", agent="ocf:pacemaker:Dummy"),
        DATABASE,
        Clone(
            id="haproxy-clone",
            resource=Primitive(
                id="haproxy", agent="ocf:pacemaker:Dummy", operations=(monitor(10, 20, enabled=False),)
            ),
            meta={"interleave": "true"},
        ),
        Clone(
            id="broker-clone",
            promotable=True,
            resource=Primitive(
                id="broker",
                agent="ocf:pacemaker:Stateful",
                operations=(monitor(10, 20, role="Promoted"), monitor(11, 20, role="Unpromoted")),
            ),
            meta={"promoted-max": "1"},
        ),
        Clone(id="storage-clone", resource=INNER, meta={"interleave": "true"}),
    ),
    constraints=(
        Colocation(id="api-with-haproxy", resource="api-ip", with_resource="haproxy-clone"),
        Colocation(id="plain-apart", resource="plain", with_resource="database", score=-200),
        Colocation(
            id="plain-with-broker", resource="plain", with_resource="broker-clone", with_role="Promoted"
        ),
        Order(id="haproxy-then-api", first="haproxy-clone", then="api-ip", kind="Optional"),
        Order(
            id="broker-then-plain",
            first="broker-clone",
            then="plain",
            first_action="promote",
            symmetrical=False,
        ),
        Order(id="not-together", first="database", then="plain", kind="Serialize", symmetrical=False),
        Order(
            id="stop-in-turn",
            first="database",
            then="storage-clone",
            first_action="stop",
            then_action="stop",
            symmetrical=False,
        ),
        *(
            Location(
                id=f"fence-n{number}-elsewhere",
                resource=f"fence-n{number}",
                node=f"n{number}",
                score=-INFINITY,
            )
            for number in NODES
        ),
        Location(id="api-on-n1", resource="api-ip", node="n1", score=50, resource_discovery="exclusive"),
        Location(
            id="api-needs-network",
            resource="api-ip",
            score=-INFINITY,
            rule=Rule(
                expressions=(
                    Expression(attribute="pingd", operation="not_defined"),
                    Expression(attribute="pingd", operation="lt", value="1", type="integer"),
                ),
                boolean_operator="or",
            ),
        ),
        Location(
            id="broker-on-n2",
            resource="broker-clone",
            score=10,
            role="Promoted",
            rule=Rule(expressions=(Expression(attribute="#uname", operation="eq", value="n2"),)),
        ),
    ),
    fencing_levels=(
        FencingLevel(target="n1", index=1, devices=("fence-n1", "fence-n2")),
        FencingLevel(target="n1", index=2, devices=("fence-n3",)),
        FencingLevel(target="n2", index=1, devices=("fence-n2",)),
    ),
    properties={"stonith-enabled": "true", "no-quorum-policy": "stop", "cluster-recheck-interval": "5min"},
    resource_defaults={"resource-stickiness": "100"},
    operation_defaults={"timeout": "60s"},
    tags=(Tag(id="apis", references=("api-ip", "haproxy-clone")),),
)

RENDERED = {
    "cib.xml": cib.render(cib.with_owner_tag(CONFIGURATION)),
    "cluster.crm": crmsh.render(cib.with_owner_tag(CONFIGURATION)).text,
    "cluster.pcs": pcs.render(CONFIGURATION).script,
}


@pytest.mark.parametrize("name", RENDERED)
def test_it_is_written_as_expected(name: str) -> None:
    if os.environ.get("UNDERSTUDY_GOLDEN") == "write":
        (GOLDEN / name).write_text(RENDERED[name])
    assert RENDERED[name] == (GOLDEN / name).read_text()


def test_all_of_it_can_be_said_in_every_language() -> None:
    assert crmsh.render(CONFIGURATION).findings == ()
    assert pcs.render(CONFIGURATION).findings == ()
    assert cib.parse(RENDERED["cib.xml"]) == (cib.with_owner_tag(CONFIGURATION), ())


def base() -> str:
    return cib.render(
        ClusterConfiguration(nodes=tuple(Node(name=node.name, id=node.id) for node in CONFIGURATION.nodes))
    )


@pytest.mark.root
@pytest.mark.lab
def test_crmsh_makes_the_same_of_its_text(tools: Tools) -> None:
    folder, run = tools
    (folder / "cib.xml").write_text(cib.render(ClusterConfiguration()))
    (folder / "cluster.crm").write_text(RENDERED["cluster.crm"])
    done = run("env", "CIB_file=/mnt/cib.xml", "crm", "-F", "configure", "load", "update", "/mnt/cluster.crm")
    assert done.returncode == 0, done.stdout + done.stderr
    assert cib.canonical((folder / "cib.xml").read_text()) == cib.canonical(RENDERED["cib.xml"])
    merged = cib.merge((folder / "cib.xml").read_text(), CONFIGURATION)
    assert merged.findings == ()
    assert {change.id for change in cib.diff((folder / "cib.xml").read_text(), merged.cib)} <= {OWNER}


@pytest.mark.root
@pytest.mark.lab
@pytest.mark.long
def test_pcs_makes_the_same_of_its_commands(tools: Tools) -> None:
    folder, run = tools
    (folder / "cib.xml").write_text(base())
    (folder / "cluster.pcs").write_text(pcs.render(CONFIGURATION, file="/mnt/cib.xml").script)
    done = run("sh", "/mnt/cluster.pcs")
    assert done.returncode == 0, done.stdout + done.stderr
    assert cib.canonical((folder / "cib.xml").read_text()) == cib.canonical(cib.render(CONFIGURATION))


@pytest.mark.root
@pytest.mark.lab
def test_pacemaker_and_both_tools_accept_what_we_merge(tools: Tools) -> None:
    folder, run = tools
    (folder / "cib.xml").write_text(cib.merge(base(), CONFIGURATION).cib)
    online = [word for node in CONFIGURATION.nodes for word in ("--node-up", node.name)]
    up = run("crm_simulate", "-x", "/mnt/cib.xml", "--quorum=1", *online, "--simulate", "-O", "/mnt/up.xml")
    assert up.returncode == 0, up.stderr
    verified = run("crm_verify", "-VV", "-x", "/mnt/up.xml")
    assert (verified.returncode, verified.stderr) == (0, "")
    file = ("env", "CIB_file=/mnt/up.xml")
    assert run(*file, "crm", "configure", "delete", "api-on-n1").returncode == 0
    assert run("pcs", "-f", "/mnt/up.xml", "constraint", "delete", "not-together").returncode == 0
    refused = run("pcs", "-f", "/mnt/up.xml", "resource", "delete", "api-ip")
    assert OWNER in refused.stderr
    merged = cib.merge((folder / "up.xml").read_text(), CONFIGURATION)
    assert merged.findings == ()
    changed = {change.id for change in cib.diff((folder / "up.xml").read_text(), merged.cib)}
    assert changed - {OWNER} == {"api-on-n1", "not-together"}


def test_what_crmsh_cannot_say_is_said() -> None:
    odd = ClusterConfiguration(
        resources=(
            Group(id="g", primitives=(Primitive(id="x", agent="systemd:x", parameters={"fake": "ü"}),)),
            address("a", "192.0.2.9"),
        ),
        constraints=(
            Location(
                id="l",
                resource="a",
                rule=Rule(expressions=(Expression(attribute="site", operation="eq", value="a b"),)),
            ),
        ),
        fencing_levels=(FencingLevel(target="n1", index=2, devices=("f",)),),
    )
    findings = crmsh.render(odd).findings
    assert [(finding.code, finding.subject) for finding in findings] == [
        ("crmsh-cannot-say", "x"),
        ("crmsh-cannot-say", "n1"),
        ("crmsh-cannot-say", "l"),
        ("crmsh-cannot-say", ""),
    ]


def test_what_pcs_cannot_say_is_said() -> None:
    odd = ClusterConfiguration(
        resources=(replace(address("a", ""), meta={"x": ""}),),
        constraints=(Location(id="l", resource="a", node="n1", role="Promoted"),),
        tags=(Tag(id="t", references=("a", "l")),),
    )
    rendered = pcs.render(odd)
    assert [finding.subject for finding in rendered.findings] == ["a", "a", "l", "t"]
    assert ("pcs", "tag", "create", "t", "a") in rendered.commands
