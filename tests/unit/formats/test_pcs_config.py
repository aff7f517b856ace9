"""The listing of ``pcs config``, of pcs 0.10 and of pcs 0.11, says the same as the CIB it lists."""

import pytest

from understudy.findings import message_for
from understudy.formats.cluster import Clone, Colocation, Group, Location, Order, Primitive
from understudy.formats.pcs_config import parse

NEW = """\
Cluster Name: web
Corosync Nodes:
 n1 n2
Pacemaker Nodes:
 n1 n2

Resources:
  Resource: vip (class=ocf provider=heartbeat type=IPaddr2)
    Attributes: vip-instance_attributes
      cidr_netmask=24
      ip=192.0.2.10
    Operations:
      monitor: vip-monitor-interval-10s
        interval=10s timeout=20s
      start: vip-start-interval-0s
        interval=0s timeout=20s
  Group: database
    Resource: fs (class=ocf provider=heartbeat type=Filesystem)
      Attributes: fs-instance_attributes
        device=/dev/vg/db
        fstype=xfs
    Resource: db (class=systemd type=mariadb)
      Utilization:
        memory=4
  Clone: web-clone
    Meta Attributes: web-clone-meta_attributes
      interleave=true
    Resource: web (class=ocf provider=heartbeat type=apache)

Stonith Devices:
  Resource: fence-n1 (class=stonith type=fence_ipmilan)
    Attributes: fence-n1-instance_attributes
      pcmk_host_list="n1 n2"

Location Constraints:
  resource 'fence-n1' avoids node 'n1' with score INFINITY (id: away)
Colocation Constraints:
  resource 'vip' with resource 'web-clone' (id: near)
    score=INFINITY
Order Constraints:
  start resource 'database' then start resource 'web-clone' (id: first)
    kind=Optional
Resources Defaults:
  Meta Attrs: build-resource-defaults
    resource-stickiness=100
Cluster Properties: cib-bootstrap-options
  no-quorum-policy=stop
  stonith-enabled=true
"""
OLD = """\
Cluster Name: web
Corosync Nodes:
 n1 n2
Pacemaker Nodes:
 n1 n2

Resources:
 Resource: vip (class=ocf provider=heartbeat type=IPaddr2)
  Attributes: cidr_netmask=24 ip=192.0.2.10
  Operations: monitor interval=10s timeout=20s (vip-monitor-interval-10s)
              start interval=0s timeout=20s (vip-start-interval-0s)
 Group: database
  Resource: fs (class=ocf provider=heartbeat type=Filesystem)
   Attributes: device=/dev/vg/db fstype=xfs
  Resource: db (class=systemd type=mariadb)
   Utilization: memory=4
 Clone: web-clone
  Meta Attrs: interleave=true
  Resource: web (class=ocf provider=heartbeat type=apache)

Stonith Devices:
 Resource: fence-n1 (class=stonith type=fence_ipmilan)
  Attributes: pcmk_host_list="n1 n2"
Fencing Levels:

Location Constraints:
  Resource: fence-n1
    Disabled on:
      Node: n1 (score:-INFINITY) (id:away)
Ordering Constraints:
  start database then start web-clone (kind:Optional) (id:first)
Colocation Constraints:
  vip with web-clone (score:INFINITY) (id:near)

Resources Defaults:
  resource-stickiness: 100
Cluster Properties:
 no-quorum-policy: stop
 stonith-enabled: true
"""


@pytest.mark.parametrize("text", [NEW, OLD], ids=["0.11", "0.10"])
def test_everything_that_is_listed_is_read(text: str) -> None:
    configuration, findings = parse(text, "pcs.txt")
    assert findings == ()
    assert [node.name for node in configuration.nodes] == ["n1", "n2"]
    vip, database, web, fence = configuration.resources
    assert isinstance(vip, Primitive)
    assert vip.agent == "ocf:heartbeat:IPaddr2"
    assert vip.parameters == {"cidr_netmask": "24", "ip": "192.0.2.10"}
    assert [(one.name, one.interval, one.timeout) for one in vip.operations] == [
        ("monitor", 10, 20),
        ("start", 0, 20),
    ]
    assert isinstance(database, Group)
    assert [one.agent for one in database.primitives] == ["ocf:heartbeat:Filesystem", "systemd:mariadb"]
    assert database.primitives[1].utilization == {"memory": "4"}
    assert isinstance(web, Clone)
    assert web.meta == {"interleave": "true"}
    assert isinstance(fence, Primitive)
    assert (fence.agent, fence.parameters) == ("stonith:fence_ipmilan", {"pcmk_host_list": "n1 n2"})
    assert set(configuration.constraints) == {
        Location(id="away", resource="fence-n1", node="n1", score=-1_000_000),
        Order(id="first", first="database", then="web-clone", kind="Optional"),
        Colocation(id="near", resource="vip", with_resource="web-clone"),
    }
    assert configuration.properties == {"no-quorum-policy": "stop", "stonith-enabled": "true"}
    assert configuration.resource_defaults == {"resource-stickiness": "100"}


def test_what_has_no_place_is_said_with_its_line() -> None:
    text = NEW.replace("Stonith Devices:", "  Bundle: httpd\n    Podman: image=x\n\nStonith Devices:")
    _, (finding,) = parse(text, "pcs.txt")
    assert (finding.code, finding.severity) == ("pcs-not-held", "note")
    assert finding.place is not None
    assert text.splitlines()[finding.place.line - 1].strip() == "Bundle: httpd"
    assert "Bundle: httpd" in message_for(finding)


@pytest.mark.parametrize("text", ["", "\0\n", "Error: unable to get cib\n", "Cluster Name: \n", "\t'\"=(\n"])
def test_what_is_no_listing_is_said(text: str) -> None:
    assert "pcs-no-configuration" in {finding.code for finding in parse(text)[1]}
