"""Four nodes with a tie-breaker: package, daemon, corosync.conf, certificates."""

from ipaddress import ip_address
from pathlib import Path

import pytest

from understudy.catalog.load import load_catalog
from understudy.catalog.releases import release_named
from understudy.design.items import Membership, Package
from understudy.design.make import Design, make_design, required_secrets
from understudy.secret import Secret
from understudy.spec.load import load_spec
from understudy.spec.model import Quorum, SecretReference, Spec, TieBreaker
from understudy.spec.secrets import reference_for

LOADED = load_spec(Path(__file__).parents[3] / "examples" / "image-api.yaml")
ZED = release_named("zed")
IN_CLEAR = TieBreaker(host="arbiter")
KNOWN = TieBreaker(
    host="arbiter", authority="qnetd-cacert.crt", certificate=SecretReference(environment="CERTIFICATE")
)


def four(device: TieBreaker) -> Spec:
    spec = LOADED.spec
    fourth = {name: ip_address(int(value) + 1) for name, value in spec.nodes["controller-3"].items()}
    changes = {"nodes": {**spec.nodes, "controller-4": fourth}, "quorum": Quorum(tie_breaker=device)}
    return spec.model_copy(update=changes)


def design_of(device: TieBreaker) -> Design:
    return make_design(four(device), load_catalog(), ZED, lambda name: Secret(f"the {name}"))


def membership_of(design: Design) -> Membership:
    (found,) = [item for item in design.items if isinstance(item, Membership)]
    return found


@pytest.mark.parametrize("device", [IN_CLEAR, KNOWN])
def test_every_node_has_its_package_and_its_daemon_between_the_others(device: TieBreaker) -> None:
    design = design_of(device)
    nodes = {item.node for item in design.items if isinstance(item, Package) and "qdevice" in item.name}
    assert len(nodes) == 4
    assert membership_of(design).daemons == ("corosync", "corosync-qdevice", "pacemaker")


def test_without_certificates_they_talk_in_clear() -> None:
    assert "tls: off" in design_of(IN_CLEAR).corosync_conf
    assert membership_of(design_of(IN_CLEAR)).tie_breaker is None


def test_with_certificates_nothing_else_is_taken() -> None:
    design = design_of(KNOWN)
    assert "tls: required" in design.corosync_conf
    certificates = membership_of(design).tie_breaker
    assert certificates is not None
    assert certificates.authority == "the tie-breaker-authority.pem"
    assert "tie-breaker-certificate" not in repr(membership_of(design))


def test_they_are_read_where_the_spec_says() -> None:
    loaded = LOADED.model_copy(update={"spec": four(KNOWN)})
    names = [name for name in required_secrets(loaded.spec, load_catalog(), ZED) if "tie-breaker" in name]
    references = [reference_for(loaded, name)[0] for name in names]
    assert references == [SecretReference(file="qnetd-cacert.crt"), KNOWN.certificate]


def test_without_a_tie_breaker_there_is_no_daemon_of_it() -> None:
    design = make_design(LOADED.spec, load_catalog(), ZED, Secret)
    assert membership_of(design).daemons == ("corosync", "pacemaker")
