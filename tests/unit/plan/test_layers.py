"""The layers as they were observed: what is in operation and disagrees is told, what is new or right is not."""

from dataclasses import replace
from pathlib import Path

import pytest

from understudy.catalog.load import load_catalog
from understudy.catalog.releases import release_named
from understudy.design.cluster import with_nodes
from understudy.design.consistency import Layers, layers_of
from understudy.design.context import Cloud
from understudy.design.items import Endpoint, File, Item, Options
from understudy.design.make import Design, make_design
from understudy.findings import Finding, message_for
from understudy.formats import cib
from understudy.kinds.model import Change, Difference
from understudy.plan.layers import observed_disagreements
from understudy.secret import MASK, Secret
from understudy.spec.load import load_spec

SPEC = load_spec(Path(__file__).parents[3] / "examples" / "guide-002.yaml").spec
CLOUD = Cloud(SPEC, load_catalog(), release_named("zed"), Secret)
PROXY = "/etc/haproxy/understudy.cfg"


@pytest.fixture(scope="module")
def design() -> Design:
    return make_design(SPEC, CLOUD.catalog, CLOUD.release, Secret)


@pytest.fixture(scope="module")
def layers(design: Design) -> Layers:
    return layers_of(CLOUD, design)


@pytest.fixture(scope="module")
def live(design: Design) -> str:
    return cib.render(with_nodes(design.cluster, SPEC))


def item_of(design: Design, key: str) -> Item:
    return next(one for one in design.items if one.key == key)


def option_change(design: Design, path: str, before: str | None) -> Change:
    item = item_of(design, f"options controller-1 {path}")
    assert isinstance(item, Options)
    return Change(item, (Difference("[keystone_authtoken] auth_url", before, "right"),), {})


def endpoint_change(design: Design, url: str | None) -> Change:
    item = item_of(design, "endpoint identity image public")
    assert isinstance(item, Endpoint)
    observed = {"known": True, "endpoint": {"url": url} if url else None}
    return Change(item, (Difference("image public", url, item.url),), observed)


def told(layers: Layers, live: str | None, *changes: Change, **observations: object) -> list[Finding]:
    return list(observed_disagreements(CLOUD, layers, changes, observations, live))


def test_nothing_is_told_where_all_is_right_or_nothing_runs(
    design: Design, layers: Layers, live: str
) -> None:
    wrong = endpoint_change(design, "http://192.168.42.11:9292")
    assert told(layers, live) == []
    assert told(layers, None, wrong) == []
    bare = cib.render(with_nodes(replace(design.cluster, resources=(), constraints=()), SPEC))
    assert told(layers, bare, wrong) == []


def test_an_endpoint_at_a_nodes_own_address_is_told_with_both_ends(
    design: Design, layers: Layers, live: str
) -> None:
    (finding,) = told(layers, live, endpoint_change(design, "http://192.168.42.11:9292"))
    assert (finding.code, finding.severity) == ("endpoint-disagrees", "warning")
    assert "controller-1's own address; glance-api is at http://203.0.113.104:9292" in message_for(finding)
    assert told(layers, live, endpoint_change(design, None)) == []


def test_an_option_as_it_is_on_a_node_is_told(design: Design, layers: Layers, live: str) -> None:
    path = "/etc/glance/glance-api.conf"
    (finding,) = told(layers, live, option_change(design, path, "http://192.168.42.12:5000"))
    assert finding.code == "consumer-disagrees"
    assert "controller-2's own address; keystone is at" in message_for(finding)
    for nothing in (None, MASK):
        assert told(layers, live, option_change(design, path, nothing)) == []


def test_haproxy_without_a_front_is_told(design: Design, layers: Layers, live: str) -> None:
    item = item_of(design, f"file controller-2 {PROXY}")
    assert isinstance(item, File)
    text = str(item.content).replace("bind 192.168.42.103:9696", "bind 192.168.42.103:9697")
    (finding,) = told(layers, live, Change(item, (Difference("content", text, "right"),), {}))
    assert message_for(finding).startswith("HAProxy on controller-2 does not listen on 192.168.42.103:9696")
    gone = told(layers, live, Change(item, (Difference("content", None, "right"),), {}))
    assert {one.code for one in gone} == {"front-missing"}
    assert told(layers, live, Change(item, (Difference("mode", "0600", "0644"),), {})) == []


def test_an_address_that_is_not_in_the_cluster_is_told(design: Design, layers: Layers, live: str) -> None:
    without = live.replace('value="192.168.42.104"', 'value="192.168.42.199"')
    (finding,) = told(layers, without)
    assert (finding.code, finding.subject) == ("address-not-in-cluster", "addresses.image")


def test_another_endpoint_of_the_same_kind_is_told(layers: Layers, live: str) -> None:
    ours = "http://203.0.113.104:9292"
    state = {"others": [{"id": "e-2", "url": "http://192.168.42.11:9292"}, {"id": "e-3", "url": ours}]}
    (finding,) = told(layers, live, **{"endpoint identity image public": state})
    assert (finding.code, finding.values["id"]) == ("endpoint-beside", "e-2")
