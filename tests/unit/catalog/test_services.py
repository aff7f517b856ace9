"""Every service of the catalog in every release that has it: what it writes exists, and templates render."""

import json
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest

from understudy.agents.model import AgentData
from understudy.agents.understudy_agent.parameters import described
from understudy.agents.understudy_agent.service import Service as AgentService
from understudy.catalog.load import load_catalog
from understudy.catalog.model import ServiceEntry
from understudy.catalog.options import Setting, option_set
from understudy.catalog.releases import Release, release_range, releases
from understudy.design.context import Cloud, ServiceContext
from understudy.design.items import Schema
from understudy.design.make import make_design
from understudy.design.nodes import option_items
from understudy.formats.cluster import ClusterConfiguration
from understudy.secret import Secret, reveal
from understudy.spec.model import (
    ExternalNetwork,
    Networking,
    Service,
    Spec,
    Standby,
    Storage,
    Tls,
    VirtualAddress,
)

CATALOG = load_catalog()
RELEASES = {release.name: release for release in releases()}
NOT_MEANT = {"option-for-removal", "option-unchecked"}
"""Notes: an option that will go counts until it goes, and a set without data says nothing."""

NOT_IN_THE_DATA = {("2026.2", "nova", "api_database"), ("havana", "keystone", "DEFAULT")}
"""Groups that the reading of a release's source missed in part: Nova copies the options of this one from another, and
Keystone kept its own in a table."""


TURNS = range(4)
"""With each turn every service stands by in its next way, with every second one the next broker is taken."""


def whole_spec(release: Release, turn: int = 0) -> Spec:
    """Return a spec of every service that the release has, each on its own address where ports would collide."""
    addresses: dict[str, VirtualAddress] = {}
    services: dict[str, Service] = {}
    known = [entry for entry in CATALOG.services.values() if release in release_range(entry.releases)]
    for number, (name, standby) in enumerate(chosen(known, turn).items(), start=100):
        entry = CATALOG.entry(name, standby)
        if entry.port and entry.reached_at == "address":
            addresses[name] = VirtualAddress(
                internal=ip_address(f"192.168.42.{number}"), public=ip_address(f"203.0.113.{number}")
            )
        services[name] = Service(
            standby=standby,
            address=name if name in addresses else None,
            storage="shared" if entry.storage != "none" and standby == "cold" else None,
            workers=2,
        )
    return Spec(
        understudy=1,
        cloud="region-one",
        release=release.name,
        networks={"management": ip_network("192.168.42.0/24"), "public": ip_network("203.0.113.0/24")},
        nodes={
            f"controller-{number}": {
                "management": ip_address(f"192.168.42.{number}"),
                "public": ip_address(f"203.0.113.{number}"),
            }
            for number in (11, 12, 13)
        },
        addresses=addresses,
        storage={"shared": Storage(device="/dev/shared")},
        networking=Networking(external=ExternalNetwork(interface="eth2"), l3_ha=True),
        services=services,
    )


def chosen(known: list[ServiceEntry], turn: int) -> dict[str, Standby]:
    """Return how each service stands by on a turn, of services that provide the same only one."""
    providers: dict[str, list[str]] = {}
    for entry in known:
        providers.setdefault(entry.provides or entry.name, []).append(entry.name)
    kept = {names[turn // 2 % len(names)] for names in providers.values()}
    return {entry.name: entry.standby[turn % len(entry.standby)] for entry in known if entry.name in kept}


def cloud_of(release: Release, turn: int = 0) -> Cloud:
    return Cloud(whole_spec(release, turn), CATALOG, release, lambda name: Secret(f"secret-{name}"))


def settings(cloud: Cloud, entry: ServiceEntry) -> Iterator[tuple[str, list[Setting]]]:
    """Give for each option file of a service its set of metadata and what is written."""
    context = ServiceContext(cloud, entry.name, "controller-11")
    for file, item in zip(cloud.select(entry.files), option_items(context), strict=True):
        if file.options_of:
            yield (
                file.options_of,
                [
                    Setting(option.group, option.name, reveal(option.value))
                    for option in item.options
                    if option.value is not None
                ],
            )


def without_haproxy(cloud: Cloud) -> dict[str, Service]:
    return {name: service for name, service in cloud.spec.services.items() if name != "haproxy"}


@pytest.mark.parametrize("name", RELEASES)
def test_what_runs_under_uwsgi_outlives_a_reload(name: str) -> None:
    cloud = cloud_of(RELEASES[name])
    for service in cloud.spec.services:
        for item in option_items(ServiceContext(cloud, service, "controller-11")):
            written = {
                one.name: reveal(one.value) for one in item.options if one.group == "uwsgi" and one.value
            }
            assert not written or written["exit-on-reload"] == "false", item.path


@pytest.mark.parametrize("name", RELEASES)
def test_every_option_that_is_written_exists_in_the_release(name: str) -> None:
    # Without HAProxy services speak TLS themselves, which takes the most options.
    clouds = [
        replace(cloud, spec=cloud.spec.model_copy(update={"tls": Tls(), "services": without_haproxy(cloud)}))
        for cloud in (cloud_of(RELEASES[name], turn) for turn in TURNS)
    ]
    wrong = [
        finding
        for cloud in clouds
        for service in cloud.spec.services
        for options_of, written in settings(cloud, cloud.entry(service))
        for finding in option_set(cloud.release, options_of).check_all(written, subject=service)
        if finding.code not in NOT_MEANT
        and (name, finding.values["service"], finding.values["group"]) not in NOT_IN_THE_DATA
    ]
    assert not wrong, "\n".join(f"{one.subject}: {one.code} {dict(one.values)}" for one in wrong)


def test_every_service_is_met_in_every_way_to_stand_by() -> None:
    met = {
        (name, service.standby)
        for release in RELEASES.values()
        for turn in TURNS
        for name, service in whole_spec(release, turn).services.items()
    }
    assert met == {(entry.name, way) for entry in CATALOG.services.values() for way in entry.standby}


@pytest.mark.parametrize("name", RELEASES)
def test_options_behind_haproxy_exist_in_the_release(name: str) -> None:
    release = RELEASES[name]
    cloud = cloud_of(release)
    written = {
        (file.options_of, option.group, option.name, "1" if "port" in option.name else "true")
        for entry in CATALOG.services.values()
        if release in release_range(entry.releases)
        for file in cloud.select(entry.files)
        for option in cloud.select(file.options)
        if file.options_of and "proxied" in option.when
    }
    codes = {
        finding.code
        for options_of, group, option, value in written
        for finding in option_set(release, options_of).check(Setting(group, option, value))
        if (name, finding.values["service"], finding.values["group"]) not in NOT_IN_THE_DATA
    }
    assert codes <= NOT_MEANT


@pytest.mark.parametrize("name", RELEASES)
def test_every_release_has_a_design(name: str) -> None:
    release = RELEASES[name]
    spec = whole_spec(release, release.index % len(TURNS))
    design = make_design(spec, CATALOG, release, lambda secret: Secret(f"secret-{secret}"))
    keys = [item.key for item in design.items]
    assert len(keys) == len(set(keys))
    assert "secret-" not in design.corosync_conf
    assert not secrets_in(design.cluster)


def secrets_in(cluster: ClusterConfiguration) -> list[str]:
    values = [value for one in cluster.primitives() for value in one.parameters.values()]
    return [value for value in values if "secret-" in value]


@pytest.mark.parametrize("name", CATALOG.services)
def test_agents_of_ours_know_the_parameters_that_they_are_given(name: str) -> None:
    entry = CATALOG.services[name]
    if not entry.resource.agent.startswith("ocf:openstack:"):
        return
    data = AgentData.model_validate(entry.agent)
    assert entry.resource.agent.rpartition(":")[2] in (name, *data.aliases)
    launches = {one.value for one in entry.resource.parameters if one.name == "launch"}
    assert launches <= set(data.launch)
    known = described(AgentService(name, entry.agent, {}))
    assert {one.name for one in entry.resource.parameters} <= set(known)


@pytest.mark.parametrize("name", CATALOG.services)
def test_what_may_run_once_only_stands_by_cold(name: str) -> None:
    entry = CATALOG.services[name]
    for way in entry.standby:
        assert way == "cold" or not CATALOG.entry(name, way).once
    if entry.port is None:
        assert "balanced" not in entry.standby


def test_services_of_one_project_share_file_database_and_user() -> None:
    release = RELEASES["zed"]
    design = make_design(whole_spec(release), CATALOG, release, Secret)
    files = [item for item in design.items if item.key == "options controller-11 /etc/nova/nova.conf"]
    assert len(files) == 1
    written = {(one.group, one.name) for one in files[0].options}  # type: ignore[attr-defined]
    assert {
        ("DEFAULT", "osapi_compute_listen"),
        ("scheduler", "workers"),
        ("conductor", "workers"),
    } <= written
    assert [item.key for item in design.items if item.kind == "database" and "nova" in item.key] == [
        "database database nova",
        "database database nova_api",
        "database database nova_cell0",
    ]


def test_a_cell_is_made_before_what_makes_its_mark() -> None:
    release = RELEASES["zed"]
    design = make_design(whole_spec(release), CATALOG, release, Secret)
    steps = [item for item in design.items if isinstance(item, Schema) and item.database.startswith("nova")]
    assert [(step.subject, [command[3:] for command in step.commands]) for step in steps] == [
        ("nova_api.alembic_version", [("api_db", "sync")]),
        ("nova_api.cell_mappings", [("cell_v2", "create_cell", "--name=cell1")]),
        ("nova.alembic_version", [("cell_v2", "map_cell0"), ("db", "sync")]),
    ]


def test_operators_options_reach_every_service_that_reads_the_file() -> None:
    release = RELEASES["zed"]
    spec = whole_spec(release)
    api = spec.services["nova-api"].model_copy(update={"options": {"DEFAULT": {"debug": True}}})
    changed = spec.model_copy(update={"services": {**spec.services, "nova-api": api}})

    def digests(one: Spec) -> dict[str, str]:
        cluster = make_design(one, CATALOG, release, Secret).cluster
        return {p.id: p.parameters.get("config_digest", "") for p in cluster.primitives()}

    before, after = digests(spec), digests(changed)
    restarted = {name for name, digest in after.items() if digest != before[name]}
    assert restarted == {"nova-api", "nova-scheduler", "nova-conductor", "nova-novncproxy"}


def test_a_password_with_any_character_fits_into_the_url_and_the_broker() -> None:
    release = RELEASES["zed"]
    password = 'p@:/ß"\\'
    design = make_design(whole_spec(release), CATALOG, release, lambda _: Secret(password))
    by_key = {item.key: item for item in design.items}
    definitions = by_key["file controller-11 /etc/rabbitmq/definitions/understudy.json"]
    assert json.loads(reveal(definitions.content))["users"][0]["password"] == password  # type: ignore[attr-defined]
    cinder = by_key["options controller-11 /etc/cinder/cinder.conf"]
    url = {(one.group, one.name): one.value for one in cinder.options}[("DEFAULT", "transport_url")]  # type: ignore[attr-defined]
    assert reveal(url).startswith("rabbit://openstack:p%40%3A%2F%C3%9F%22%5C@192.168.42.")
