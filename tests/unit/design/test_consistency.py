"""Whether the layers agree: the designs of all examples do, and each thing that an operator may bend is found."""

from dataclasses import replace
from pathlib import Path

import pytest

from understudy.catalog.load import load_catalog
from understudy.catalog.releases import release_named
from understudy.design.check import check_against_catalog
from understudy.design.consistency import Layers, check_consistency, disagreements, layers_of
from understudy.design.context import Cloud
from understudy.design.make import make_design
from understudy.findings import Finding, message_for
from understudy.secret import Secret
from understudy.spec.load import LoadedSpec, load_spec
from understudy.spec.model import Service

EXAMPLES = Path(__file__).parents[3] / "examples"
SPECS = sorted(EXAMPLES.glob("*.yaml"))
BALANCED = EXAMPLES / "guide-002.yaml"
CATALOG = load_catalog()


def found(loaded: LoadedSpec) -> tuple[Finding, ...]:
    return check_consistency(loaded, CATALOG, release_named(loaded.spec.release))


def bent(tmp_path: Path, service: str, options: str, source: Path = BALANCED) -> tuple[Finding, ...]:
    """Return what is found in the example with options of the operator's own for a service."""
    lines = source.read_text(encoding="utf-8").splitlines()
    (at,) = [number for number, line in enumerate(lines) if line.startswith(f"  {service}:")]
    lines[at] = lines[at].partition("}")[0] + f", options: {options}}}"
    path = tmp_path / "cloud.yaml"
    path.write_text("\n".join(lines), encoding="utf-8")
    return found(load_spec(path))


@pytest.mark.parametrize("path", SPECS, ids=[path.stem for path in SPECS])
def test_the_layers_of_an_example_agree(path: Path) -> None:
    assert found(load_spec(path)) == ()


@pytest.mark.parametrize("name", [name for name, one in CATALOG.services.items() if one.port])
@pytest.mark.parametrize("standby", ["cold", "warm", "balanced"])
def test_the_layers_of_every_service_agree_behind_one_address_and_two(name: str, standby: str) -> None:
    loaded = load_spec(BALANCED)
    for address in ("api", "database"):
        service = Service.model_validate({"standby": standby, "address": address})
        changed = {**loaded.spec.services, name: service}
        spec = loaded.spec.model_copy(update={"services": changed})
        other = LoadedSpec(spec=spec, places=loaded.places, folder=loaded.folder)
        if not [one for one in check_against_catalog(other, CATALOG) if one.severity == "error"]:
            assert found(other) == ()


@pytest.mark.parametrize(
    ("service", "options", "code", "words"),
    [
        (
            "glance-api",
            "{DEFAULT: {bind_host: 192.168.42.11}}",
            "bind-disagrees",
            "glance-api listens on 192.168.42.11 ([DEFAULT] bind_host), and its address image leads to 0.0.0.0",
        ),
        (
            "nova-api",
            "{DEFAULT: {osapi_compute_listen_port: 8774}}",
            "bind-disagrees",
            "nova-api listens on 8774 ([DEFAULT] osapi_compute_listen_port), and HAProxy leads to 18774",
        ),
        (
            "glance-api",
            "{database: {connection: 'mysql+pymysql://glance:pw@192.168.42.12/glance'}}",
            "consumer-disagrees",
            (
                "[database] connection of glance-api leads to 192.168.42.12:3306, controller-2's own address; "
                "mariadb is at 192.168.42.101:3306, its address database"
            ),
        ),
        (
            "nova-api",
            "{glance: {endpoint_override: 'http://192.168.42.103:9696'}}",
            "consumer-disagrees",
            (
                "[glance] endpoint_override of nova-api leads to http://192.168.42.103:9696, where neutron-server is; "
                "glance-api is at http://192.168.42.104:9292, its address image"
            ),
        ),
        (
            "nova-api",
            "{neutron: {endpoint_override: 'http://192.168.42.103:9999'}}",
            "consumer-disagrees",
            (
                "[neutron] endpoint_override of nova-api leads to http://192.168.42.103:9999, where nothing listens; "
                "neutron-server is at http://192.168.42.103:9696, its address api"
            ),
        ),
        (
            "cinder-api",
            "{keystone_authtoken: {auth_url: 'http://controller.example:5000'}}",
            "consumer-disagrees",
            (
                "[keystone_authtoken] auth_url of cinder-api leads to http://controller.example:5000, "
                "not in this cloud; keystone is at http://192.168.42.103:5000, its address api"
            ),
        ),
        (
            "cinder-api",
            "{keystone_authtoken: {auth_url: 'https://192.168.42.103:5000'}}",
            "consumer-disagrees",
            (
                "[keystone_authtoken] auth_url of cinder-api leads to https://192.168.42.103:5000, "
                "with the wrong scheme; keystone is at http://192.168.42.103:5000, its address api"
            ),
        ),
        (
            "cinder-api",
            "{DEFAULT: {transport_url: 'rabbit://a:b@192.168.42.102:5672,a:b@192.168.42.13:5672/'}}",
            "consumer-disagrees",
            (
                "[DEFAULT] transport_url of cinder-api leads to 192.168.42.13:5672, controller-3's own address; "
                "rabbitmq is at 192.168.42.102:5672, its address broker"
            ),
        ),
        (
            "keystone",
            "{cache: {memcache_servers: '192.168.42.11:5000'}, DEFAULT: {public_endpoint: 'http://192.168.42.11:5000'}}",
            "consumer-disagrees",
            (
                "[DEFAULT] public_endpoint of keystone leads to http://192.168.42.11:5000, controller-1's own address; "
                "keystone is at http://192.168.42.103:5000, its address api"
            ),
        ),
    ],
)
def test_what_an_operator_bends_is_found_with_both_ends(
    tmp_path: Path, service: str, options: str, code: str, words: str
) -> None:
    findings = bent(tmp_path, service, options)
    assert {(one.code, message_for(one), one.severity) for one in findings} == {(code, words, "error")}
    assert all(one.place for one in findings)


def test_an_address_that_is_no_service_s_is_the_operator_s_business(tmp_path: Path) -> None:
    options = "{DEFAULT: {public_endpoint: 'https://images.example:443'}, cors: {allowed_origin: 'http://x.example'}}"
    assert bent(tmp_path, "glance-api", options) == ()


@pytest.fixture(scope="module")
def cloud() -> Cloud:
    return Cloud(load_spec(BALANCED).spec, CATALOG, release_named("zed"), Secret)


@pytest.fixture(scope="module")
def layers(cloud: Cloud) -> Layers:
    return layers_of(cloud, make_design(cloud.spec, CATALOG, cloud.release, Secret))


def test_an_address_that_the_cluster_lacks_is_found(cloud: Cloud, layers: Layers) -> None:
    (finding,) = disagreements(cloud, replace(layers, addresses=layers.addresses - {"192.168.42.101"}))
    assert finding.code == "address-not-in-cluster"
    assert "mariadb" in message_for(finding)


def test_a_front_that_haproxy_lacks_is_found(cloud: Cloud, layers: Layers) -> None:
    fronts = {**layers.fronts, "controller-2": frozenset[str]()}
    findings = disagreements(cloud, replace(layers, fronts=fronts), "warning")
    assert {one.code for one in findings} == {"front-missing"}
    spots = {str(one.values["spot"]) for one in findings}
    assert {"192.168.42.103:5000", "203.0.113.103:8776"} <= spots
    assert {one.values["node"] for one in findings} == {"controller-2"}


@pytest.mark.parametrize(
    ("url", "whose"),
    [
        ("http://192.168.42.11:9292", "controller-1's own address"),
        ("http://203.0.113.103:9292", "where nothing listens"),
        ("https://203.0.113.104:9292", "with the wrong scheme"),
        ("http://clouds.example:9292", "not in this cloud"),
    ],
)
def test_an_endpoint_that_leads_elsewhere_is_found(
    cloud: Cloud, layers: Layers, url: str, whose: str
) -> None:
    endpoints = tuple(
        replace(one, url=url) if (one.type, one.interface) == ("image", "public") else one
        for one in layers.endpoints
    )
    (finding,) = disagreements(cloud, replace(layers, endpoints=endpoints))
    assert message_for(finding) == (
        f"the public endpoint of image is {url}, {whose}; glance-api is at http://203.0.113.104:9292"
    )
