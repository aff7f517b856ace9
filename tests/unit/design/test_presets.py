"""The shape that a preset gives to the cluster: the guides' groups, orders and times, and ours unchanged."""

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import pytest

from understudy.catalog.load import load_catalog
from understudy.catalog.releases import release_named
from understudy.design.cluster import restricted, with_nodes
from understudy.design.items import ClusterResources
from understudy.design.make import Design, make_design
from understudy.formats import cib
from understudy.formats.cluster import Clone, ClusterConfiguration, Colocation, Group, Location, Order
from understudy.secret import Secret
from understudy.spec.load import load_spec
from understudy.spec.model import Corosync, Service, Spec

EXAMPLES = Path(__file__).parents[3] / "examples"
GUIDE = load_spec(EXAMPLES / "guide-control-plane.yaml").spec
OURS = load_spec(EXAMPLES / "control-plane.yaml").spec
FIRST_APIS = ["keystone", "glance-api", "cinder-api", "neutron-server"]


def design_of(spec: Spec) -> Design:
    return make_design(spec, load_catalog(), release_named(spec.release), Secret)


def with_services(spec: Spec, **services: Service) -> Spec:
    return spec.model_copy(
        update={"services": {name.replace("_", "-"): service for name, service in services.items()}}
    )


def groups(configuration: ClusterConfiguration) -> Mapping[str, list[str]]:
    return {
        one.id: [primitive.id for primitive in one.primitives]
        for one in configuration.resources
        if isinstance(one, Group)
    }


@pytest.fixture(scope="module")
def design() -> Design:
    return design_of(GUIDE)


def test_the_guides_example_has_what_ours_has() -> None:
    beyond = {"balancing", "caching"}  # the guides have neither in front of services that run once
    ours = {name for name in OURS.services if load_catalog().services[name].provides not in beyond}
    assert ours <= set(GUIDE.services)
    assert OURS.addresses.items() <= GUIDE.addresses.items()
    assert OURS.storage.items() <= GUIDE.storage.items()
    assert (OURS.nodes, OURS.fencing) == (GUIDE.nodes, GUIDE.fencing)


def test_addresses_storages_and_services_are_in_the_guides_groups(design: Design) -> None:
    found = groups(design.cluster)
    assert list(found) == ["g_mariadb", "g_rabbitmq", "g_services_api"]
    assert found["g_mariadb"] == ["ip-database-internal", "fs-database", "mariadb"]
    assert found["g_rabbitmq"] == ["ip-broker-internal", "fs-broker", "rabbitmq"]
    apis = found["g_services_api"]
    assert apis[:4] == ["ip-api-internal", "ip-api-public", "ip-image-internal", "ip-image-public"]
    assert apis[4:9] == ["fs-images", *FIRST_APIS]
    grouped = {name for members in found.values() for name in members}
    assert {one.id for one in design.cluster.primitives() if not one.is_fencing} == grouped


def test_groups_take_the_place_of_constraints(design: Design) -> None:
    assert all(isinstance(one, Location) for one in design.cluster.constraints)


def test_times_are_those_of_the_guides(design: Design) -> None:
    for one in design.cluster.primitives():
        monitors = [each for each in one.operations if each.name == "monitor"]
        assert [each.interval for each in monitors] == [60 if one.is_fencing else 30], one.id
    (keystone,) = [one for one in design.cluster.primitives() if one.id == "keystone"]
    assert [(each.name, each.timeout) for each in keystone.operations] == [
        ("start", 60),
        ("stop", 60),
        ("monitor", 30),
        ("reload-agent", 120),
    ]
    assert "token: 10000" in design.corosync_conf
    assert "consensus: 12000" in design.corosync_conf


def test_it_is_safe_all_the_same(design: Design) -> None:
    assert design.cluster.properties["stonith-enabled"] == "true"
    assert design.cluster.properties["no-quorum-policy"] == "stop"
    assert sum(one.is_fencing for one in design.cluster.primitives()) == len(GUIDE.nodes)


def test_the_spec_s_own_token_counts_in_every_shape() -> None:
    for spec in (GUIDE, OURS):
        changed = spec.model_copy(update={"corosync": Corosync(token=4000)})
        assert "token: 4000" in design_of(changed).corosync_conf
    assert "token: 1000\n" in design_of(OURS).corosync_conf


def test_groups_grow_from_stage_to_stage(design: Design) -> None:
    stages = [item for item in design.items if isinstance(item, ClusterResources)]
    grown = [groups(restricted(item.configuration, item.stage_ids)) for item in stages]
    names = ["CLUSTER_STORAGE", "CLUSTER_DATA", "CLUSTER_IDENTITY", "CLUSTER"]
    assert [item.stage.name for item in stages] == names
    assert grown[0]["g_mariadb"] == ["ip-database-internal", "fs-database"]
    assert grown[1]["g_mariadb"] == ["ip-database-internal", "fs-database", "mariadb"]
    assert grown[1]["g_services_api"][-1] == "fs-images"
    for earlier, later in pairwise(grown):
        for name, members in earlier.items():
            assert later[name][: len(members)] == members
    assert grown[-1] == groups(design.cluster)


def test_what_shares_an_address_or_a_storage_shares_a_group() -> None:
    spec = load_spec(EXAMPLES / "image-api.yaml").spec.model_copy(update={"preset": "guide"})
    found = groups(design_of(spec).cluster)
    addresses = ["ip-api-internal", "ip-api-public", "ip-database-internal"]
    assert found == {"g_services_api": [*addresses, "fs-shared", "mariadb", "keystone", "glance-api"]}


def test_haproxy_is_ordered_behind_its_addresses() -> None:
    spec = with_services(
        GUIDE,
        mariadb=GUIDE.services["mariadb"],
        rabbitmq=GUIDE.services["rabbitmq"],
        haproxy=Service(standby="warm"),
        keystone=Service(standby="balanced", address="api"),
        cinder_api=Service(standby="balanced", address="api"),
        cinder_volume=Service(standby="cold"),
    )
    whole = design_of(spec).cluster
    sides = ["ip-api-internal", "ip-api-public"]
    orders = {(one.first, one.then, one.kind) for one in whole.constraints if isinstance(one, Order)}
    assert orders == {(side, "haproxy-clone", "Mandatory") for side in sides}
    near = {one.resource: one.with_resource for one in whole.constraints if isinstance(one, Colocation)}
    assert {near[side] for side in sides} == {"haproxy-clone"}
    assert groups(whole)["g_services_api"] == [*sides, "cinder-volume"]
    assert {one.id for one in whole.resources if isinstance(one, Clone)} == {
        "haproxy-clone",
        "keystone-clone",
        "cinder-api-clone",
    }


@pytest.mark.parametrize(("before", "after"), [(OURS, GUIDE), (GUIDE, OURS)])
def test_a_cluster_goes_from_one_shape_to_the_other(before: Spec, after: Spec) -> None:
    first = cib.merge(cib.render(with_nodes(ClusterConfiguration(), before)), design_of(before).cluster)
    wanted = design_of(after).cluster
    second = cib.merge(first.cib, wanted)
    assert (first.findings, second.findings) == ((), ())
    assert cib.merge(second.cib, wanted).cib == second.cib
    direct = cib.merge(cib.render(with_nodes(ClusterConfiguration(), after)), wanted)
    assert cib.canonical(second.cib) == cib.canonical(direct.cib)
