"""What a spec asks of the catalog that cannot be had."""

from pathlib import Path

import pytest

from understudy.catalog.load import load_catalog
from understudy.catalog.releases import release_named
from understudy.design.check import check_against_catalog
from understudy.design.make import make_design, required_secrets
from understudy.design.options import check_options
from understudy.findings import Place, advice_for, message_for
from understudy.lab.from_spec import recipe_of
from understudy.secret import Secret
from understudy.spec.check import check_spec
from understudy.spec.load import LoadedSpec, parse_spec

GOOD = (Path(__file__).parents[1] / "spec" / "good.yaml").read_text(encoding="utf-8")
KEYSTONE = "  keystone:   {standby: warm, address: api}"
GLANCE = "  glance-api: {standby: cold, address: api, storage: shared}"

CASES = {
    "a service that the release does not have": (
        GLANCE,
        f"{GLANCE}\n  quantum-server: {{address: api}}",
        "service-not-in-release",
    ),
    "a way to stand by that it does not know": (
        GLANCE,
        f"{GLANCE}\n  cinder-scheduler: {{standby: balanced}}",
        "standby-unsupported",
    ),
    "storage for what keeps none": (
        KEYSTONE,
        "  keystone: {address: api, storage: shared}",
        "service-needs-no-storage",
    ),
    "a database for the public": (
        "  database: {internal: 192.168.42.101}",
        "  database: {public: 203.0.113.101}",
        "database-needs-internal",
    ),
    "a public side without a public network": (
        "  public:     203.0.113.0/24",
        "  pub: 203.0.113.0/24",
        "address-side-without-network",
    ),
    "a single node": (
        GOOD[GOOD.index("  controller-2") : GOOD.index("\nfencing")],
        "",
        "single-node",
    ),
}


def loaded(text: str) -> LoadedSpec:
    return parse_spec(text, "cloud.yaml", Path("/nowhere"))


@pytest.mark.parametrize("name", CASES)
def test_what_cannot_be_had_is_told_with_its_place(name: str) -> None:
    before, after, code = CASES[name]
    assert GOOD.count(before) == 1
    spec = loaded(GOOD.replace(before, after))
    findings = [*check_spec(spec), *check_against_catalog(spec, load_catalog())]
    assert code in [finding.code for finding in findings]
    for finding in findings:
        assert finding.place is not None
        assert message_for(finding)
        assert advice_for(finding) or finding.code == "invalid-value"


MORE = {
    "cold for what needs a copy on every node": (
        "  haproxy: {standby: cold}",
        "standby-of-service-on-every-node",
        "cold}",
    ),
    "cold, unsaid, for what needs a copy on every node": (
        "  haproxy: {}",
        "standby-of-service-on-every-node",
        "{}",
    ),
    "balanced for what may run once only": (
        "  cinder-volume: {standby: balanced}",
        "standby-of-single-service",
        "balanced}",
    ),
    "what needs a broker without one": (
        "  cinder-scheduler: {}",
        "service-need-missing",
        "cinder-scheduler:",
    ),
    "what is balanced without a balancer": (
        "  placement: {standby: balanced, address: api}",
        "service-need-missing",
        "placement:",
    ),
    "an address for what is found at its copies": (
        "  rabbitmq: {standby: clustered, address: api}",
        "service-needs-no-address",
        "api}",
    ),
    "an option that the release removed": (
        "  placement: {address: api, options: {keystone_authtoken: {auth_host: identity}}}",
        "option-removed",
        "identity}}}",
    ),
}


@pytest.mark.parametrize("name", MORE)
def test_a_service_that_does_not_fit_is_told_with_its_line_and_column(name: str) -> None:
    line, code, at = MORE[name]
    spec = loaded(f"{GOOD}{line}\n")
    found = [
        *check_against_catalog(spec, load_catalog()),
        *(check_options(spec, load_catalog(), release_named("zed")) if code.startswith("option") else ()),
    ]
    (finding,) = [one for one in found if one.code == code]
    assert finding.place == Place("cloud.yaml", GOOD.count("\n") + 1, line.index(at) + 1)
    if code == "option-removed":
        assert finding.values["successor"] == "[keystone_authtoken] auth_url"


def test_copies_that_decide_by_majority_are_three_or_more() -> None:
    two = GOOD.replace(GOOD[GOOD.index("  controller-3") : GOOD.index("\nfencing")], "")
    spec = loaded(f"{two}  rabbitmq: {{standby: clustered}}\n")
    findings = check_against_catalog(spec, load_catalog())
    assert [finding.code for finding in findings] == ["too-few-nodes-for-service"]
    assert findings[0].values == {"service": "rabbitmq", "count": 2, "least": 3}


def test_two_services_on_one_port_of_one_address() -> None:
    catalog = load_catalog()
    same = catalog.services["keystone"].model_copy(update={"name": "second", "provides": None})
    both = catalog.model_copy(update={"services": {**catalog.services, "second": same}})
    findings = check_against_catalog(loaded(f"{GOOD}  second: {{address: api}}\n"), both)
    assert [finding.code for finding in findings] == ["port-used-twice"]
    assert findings[0].values["other"] == "keystone"


def test_the_lab_has_no_ipmi() -> None:
    spec = loaded(GOOD.replace("{redfish:", "{ipmi:"))
    with pytest.raises(Exception, match="lab-without-ipmi"):
        recipe_of(spec, release_named("zed"))


def test_required_secrets_are_those_that_the_design_asks_for() -> None:
    spec, catalog, release = loaded(GOOD).spec, load_catalog(), release_named("zed")
    names = required_secrets(spec, catalog, release)
    asked: list[str] = []

    def secret(name: str) -> Secret:
        asked.append(name)
        return Secret("x")

    make_design(spec, catalog, release, secret)
    assert set(asked) - {"fencing"} == set(names)
    assert {"identity-admin", "database-glance"} <= set(names)


def test_a_changed_option_changes_the_digest_of_its_service_alone() -> None:
    catalog, release = load_catalog(), release_named("zed")

    def digests(text: str, prefix: str = "x") -> dict[str, str]:
        design = make_design(loaded(text).spec, catalog, release, lambda name: Secret(f"{prefix} {name}"))
        return {
            primitive.id: value
            for primitive in design.cluster.primitives()
            for name, value in primitive.parameters.items()
            if name.endswith("_digest")
        }

    before = digests(GOOD)
    assert set(before) == {"keystone", "glance-api"}
    changed = digests(GOOD.replace(GLANCE, GLANCE.replace("shared}", "shared, workers: 7}")))
    assert {name for name in before if before[name] != changed[name]} == {"glance-api"}
    assert digests(GOOD, "another password") != before
