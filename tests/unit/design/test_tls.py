"""The example with TLS: who speaks it, with which files, and that nothing secret is where it can be seen."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from understudy.catalog.load import load_catalog
from understudy.catalog.releases import release_named
from understudy.design.check import check_against_catalog
from understudy.design.cluster import with_nodes
from understudy.design.context import Cloud
from understudy.design.data import identity_access
from understudy.design.items import Endpoint, File, Options, Renewal
from understudy.design.make import Design, make_design, required_secrets
from understudy.design.options import check_options
from understudy.formats import cib
from understudy.proof.prove import prove
from understudy.proof.result import Options as ProofOptions
from understudy.secret import Secret, reveal
from understudy.spec.check import check_spec
from understudy.spec.load import load_spec
from understudy.spec.model import Spec

EXAMPLE = Path(__file__).parents[3] / "examples" / "secured.yaml"
LOADED = load_spec(EXAMPLE)
CATALOG = load_catalog()
ZED = release_named("zed")
AUTHORITY = "/etc/ssl/understudy/authority.pem"


def design_of(spec: Spec, renewed: str = "") -> Design:
    def secret(name: str) -> Secret:
        return Secret(f"the {name}{' renewed' if renewed and renewed in name else ''}")

    return make_design(spec, CATALOG, ZED, secret)


def without_haproxy() -> Spec:
    """Return the example with services that speak TLS themselves."""
    services = {
        name: one for name, one in LOADED.spec.services.items() if name not in {"haproxy", "glance-api"}
    }
    services["keystone"] = services["keystone"].model_copy(update={"standby": "warm"})
    return LOADED.spec.model_copy(update={"services": services})


SPECS = {"with HAProxy": LOADED.spec, "without HAProxy": without_haproxy()}


@pytest.fixture(params=SPECS, ids=str)
def spec(request: pytest.FixtureRequest) -> Spec:
    return SPECS[request.param]


def test_nothing_is_wrong_with_the_example() -> None:
    findings = [
        *check_spec(LOADED),
        *check_against_catalog(LOADED, CATALOG),
        *check_options(LOADED, CATALOG, ZED),
    ]
    assert not findings


def test_every_failure_of_the_example_is_survived() -> None:
    whole = with_nodes(design_of(LOADED.spec).cluster, LOADED.spec)
    accepted = {one.code: one.reason for one in LOADED.spec.accept}
    proof = prove(cib.render(whole).encode(), str(EXAMPLE), ProofOptions(accepted=accepted))
    assert proof.sound, [str(finding) for finding in proof.findings]


def test_every_endpoint_and_every_url_is_of_tls(spec: Spec) -> None:
    design = design_of(spec)
    endpoints = [item.url for item in design.items if isinstance(item, Endpoint)]
    assert endpoints
    assert all(url.startswith("https://") for url in endpoints)
    values = [
        reveal(option.value)
        for item in design.items
        if isinstance(item, Options)
        for option in item.options
        if option.value is not None
    ]
    assert not [value for value in values if "http://" in value]
    databases = [value for value in values if value.startswith("mysql")]
    assert databases
    assert all(value.endswith(f"&ssl_ca={AUTHORITY}") for value in databases)
    brokers = [value for value in values if value.startswith("rabbit:")]
    assert brokers
    assert all(":5671/" in value for value in brokers)


def files_of(design: Design) -> Iterator[File]:
    for item in design.items:
        if isinstance(item, File) and item.node == "controller-1" and "/ssl/" in item.path:
            yield item


def test_keys_are_secret_and_readable_by_their_service_only(spec: Spec) -> None:
    for file in files_of(design_of(spec)):
        private = ".key" in reveal(file.content)
        assert isinstance(file.content, Secret) == private
        assert file.owner == "root"
        if private:
            assert file.mode == (0o600 if "proxy" in file.path else 0o640)
            assert file.group == {"mariadb": "mysql"}.get(Path(file.path).stem, file.group)
            assert file.mode != 0o640 or file.group != "root"


def test_haproxy_has_the_certificate_of_each_side_of_what_it_stands_at() -> None:
    paths = {Path(file.path).name for file in files_of(design_of(LOADED.spec))}
    assert {name for name in paths if name.startswith("proxy-")} == {
        f"proxy-{address}-{side}.pem" for address in ("api", "images") for side in ("internal", "public")
    }


def test_services_without_haproxy_have_their_own() -> None:
    paths = {Path(file.path).name for file in files_of(design_of(without_haproxy()))}
    services = ("mariadb", "rabbitmq", "keystone", "cinder-api")
    assert paths == {"authority.pem", *(f"{name}.{part}" for name in services for part in ("pem", "key"))}


def test_a_copy_behind_haproxy_is_reached_by_nobody_else() -> None:
    options = {
        (item.node, option.name): reveal(option.value)
        for item in design_of(LOADED.spec).items
        if isinstance(item, Options)
        for option in item.options
        if option.value is not None
    }
    assert options[("controller-2", "osapi_volume_listen")] == "127.0.0.1"
    assert options[("controller-2", "osapi_volume_listen_port")] == "18776"
    assert options[("controller-2", "enable_proxy_headers_parsing")] == "true"


def changed_resources(spec: Spec, renewed: str) -> set[str]:
    before = {one.id: one.parameters for one in design_of(spec).cluster.primitives()}
    after = {one.id: one.parameters for one in design_of(spec, renewed).cluster.primitives()}
    return {name for name in before if before[name] != after[name]}


def renewed_services(spec: Spec, renewed: str) -> set[str]:
    before = {item.key: item for item in design_of(spec).items if isinstance(item, Renewal)}
    after = {item.key: item for item in design_of(spec, renewed).items if isinstance(item, Renewal)}
    return {item.service for key, item in before.items() if after[key] != item}


@pytest.mark.parametrize(
    ("name", "of_spec", "restarted", "renewed"),
    [
        ("tls-api", "with HAProxy", set(), {"haproxy"}),
        ("tls-api", "without HAProxy", {"keystone", "cinder-api"}, set()),
        ("tls-database", "with HAProxy", set(), {"mariadb"}),
        ("tls-broker", "with HAProxy", set(), {"rabbitmq"}),
    ],
)
def test_a_renewed_certificate_is_taken_up_or_a_changed_parameter_of_who_speaks_with_it(
    name: str, of_spec: str, restarted: set[str], renewed: set[str]
) -> None:
    assert changed_resources(SPECS[of_spec], name) == restarted
    assert renewed_services(SPECS[of_spec], name) == renewed


def test_nothing_of_a_key_is_in_what_takes_it_up() -> None:
    items = [item for item in design_of(LOADED.spec).items if isinstance(item, Renewal)]
    assert {(item.node, item.service) for item in items} == {
        (node, name) for node in LOADED.spec.nodes for name in ("mariadb", "rabbitmq", "haproxy")
    }
    assert "the tls-" not in repr(items)


def test_a_new_authority_is_for_everyone_who_trusts_it() -> None:
    services = set(LOADED.spec.services)
    assert changed_resources(LOADED.spec, "tls-authority") == services


def test_no_key_is_in_the_cluster(spec: Spec) -> None:
    assert "the tls-" not in cib.render(design_of(spec).cluster)


def test_the_administrator_trusts_the_authority_of_the_spec() -> None:
    cloud = Cloud(LOADED.spec, CATALOG, ZED, lambda name: Secret(f"the {name}"))
    access = identity_access(cloud, "keystone")
    assert (access.url, access.authority) == ("https://192.168.42.103:5000/v3", "the tls-authority.pem")


def test_certificates_are_asked_for_by_their_names() -> None:
    names = required_secrets(LOADED.spec, CATALOG, ZED)
    assert {name for name in names if name.startswith("tls-")} == {
        "tls-authority.pem",
        *(f"tls-{one}.{part}" for one in LOADED.spec.addresses for part in ("pem", "key")),
    }
