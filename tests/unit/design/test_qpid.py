"""A message broker that only some releases can speak to: Qpid."""

from pathlib import Path

import pytest

from understudy.catalog.load import load_catalog
from understudy.catalog.releases import release_named
from understudy.design.check import check_against_catalog
from understudy.design.context import Cloud, ServiceContext
from understudy.design.nodes import option_items, own_files
from understudy.findings import Finding, Place, advice_for, message_for
from understudy.secret import Secret, reveal
from understudy.spec.load import LoadedSpec, parse_spec

GUIDE = Path(__file__).parents[2] / "golden" / "guides" / "specs" / "002_qpid-havana.yaml"
TEXT = GUIDE.read_text(encoding="utf-8")
QPID = "  qpid: {address: qpid, storage: qpid}\n"


def loaded(text: str) -> LoadedSpec:
    return parse_spec(text, "cloud.yaml", Path("/nowhere"))


def findings(text: str) -> list[Finding]:
    return check_against_catalog(loaded(text), load_catalog())


def written(release: str, service: str) -> dict[tuple[str, str], str]:
    """Return the options of a service's first file that are about the broker."""
    text = TEXT.replace("release: havana", f"release: {release}")
    cloud = Cloud(loaded(text).spec, load_catalog(), release_named(release), lambda _: Secret("s"))
    first = next(option_items(ServiceContext(cloud, service, "controller-1")))
    return {
        (one.group, one.name): reveal(one.value)
        for one in first.options
        if one.value is not None and ("qpid" in one.name or one.name in ("rpc_backend", "transport_url"))
    }


def test_the_guide_has_it() -> None:
    assert findings(TEXT) == []


@pytest.mark.parametrize("release", ["mitaka", "newton", "zed"])
def test_a_release_without_a_driver_is_told_with_what_to_write(release: str) -> None:
    text = TEXT.replace("release: havana", f"release: {release}").replace("  nova-consoleauth: {}\n", "")
    (finding,) = [one for one in findings(text) if one.values.get("service") == "qpid"]
    assert finding.code == "service-not-in-release"
    assert finding.place == Place("cloud.yaml", TEXT[: TEXT.index(QPID)].count("\n") + 1, 3)
    assert message_for(finding) == f"qpid does not exist in {release} (only in folsom..liberty)"
    assert advice_for(finding) == "write rabbitmq; OpenStack has had no driver for Qpid since Mitaka"


def test_two_brokers_are_one_too_many() -> None:
    (finding,) = findings(TEXT + "  rabbitmq: {address: mysql, storage: mysql}\n")
    assert finding.code == "service-provided-twice"
    assert message_for(finding) == (
        "rabbitmq and qpid both provide messaging, and the services that need it use one"
    )


def test_it_cannot_speak_tls_from_the_files_of_a_certificate() -> None:
    found = findings(TEXT + "tls: {}\n")
    (finding,) = [one for one in found if one.values.get("service") == "qpid"]
    assert finding.code == "tls-unsupported"


def test_before_icehouse_the_options_name_driver_and_place() -> None:
    options = written("havana", "neutron-server")
    assert options["DEFAULT", "rpc_backend"] == "neutron.openstack.common.rpc.impl_qpid"
    assert options["DEFAULT", "qpid_hostname"] == "192.168.42.102"
    assert options["DEFAULT", "qpid_port"] == "5672"
    assert ("DEFAULT", "transport_url") not in options


def test_in_icehouse_both_do() -> None:
    """Neutron still had its own code for messaging, Nova no more."""
    for service in ("neutron-server", "nova-api"):
        options = written("icehouse", service)
        assert options["DEFAULT", "qpid_hostname"] == "192.168.42.102"
        assert options["DEFAULT", "transport_url"] == "qpid://openstack:s@192.168.42.102:5672/"
    assert written("icehouse", "glance-api")["DEFAULT", "rpc_backend"] == "qpid"


def test_after_that_the_url_does_and_the_rest_moves_to_a_group_of_its_own() -> None:
    assert written("juno", "nova-api")["DEFAULT", "qpid_heartbeat"] == "10"
    options = written("liberty", "nova-api")
    assert options["DEFAULT", "transport_url"] == "qpid://openstack:s@192.168.42.102:5672/"
    assert {group for group, name in options if name.startswith("qpid_")} == {"oslo_messaging_qpid"}


def test_the_password_is_in_a_file_that_the_broker_may_read() -> None:
    cloud = Cloud(loaded(TEXT).spec, load_catalog(), release_named("havana"), lambda _: Secret("geheim"))
    files = {file.path: file for file in own_files(ServiceContext(cloud, "qpid", "controller-1"))}
    secret = [path for path, file in files.items() if "geheim" in reveal(file.content)]
    assert secret == ["/etc/qpid/password"]
    assert (files[secret[0]].group, files[secret[0]].mode) == ("qpidd", 0o640)
    assert "auth=yes" in reveal(files["/etc/qpid/qpidd.conf"].content)
