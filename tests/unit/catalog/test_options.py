"""Lookups and findings of option sets, on the real data of Zed and its neighbours."""

from collections.abc import Iterable
from importlib import resources

import pytest
from ruamel.yaml import YAML

from understudy.catalog import releases as releases_package
from understudy.catalog.option_data import releases_with_data, services_with_data
from understudy.catalog.options import Setting, option_set
from understudy.catalog.releases import release_named
from understudy.findings import Finding, advice_for, message_for

SUCCESSORS = resources.files(releases_package) / "successors.yaml"


def codes(findings: Iterable[Finding]) -> list[str]:
    return [finding.code for finding in findings]


def check(service: str, group: str, name: str, value: str = "x", release: str = "zed") -> tuple[Finding, ...]:
    return option_set(release, service).check(Setting(group, name, value))


# What the real services of Zed do with options of the old guides: current, an old name of another, or not known.
CURRENT = [
    ("glance", "DEFAULT", "bind_host"),
    ("neutron", "DEFAULT", "bind_host"),
    ("cinder", "DEFAULT", "osapi_volume_listen"),
    ("nova", "DEFAULT", "osapi_compute_listen"),
    ("neutron-metadata-agent", "DEFAULT", "nova_metadata_host"),
    ("neutron-dhcp-agent", "DEFAULT", "enable_isolated_metadata"),
    ("neutron-l3-agent", "DEFAULT", "ha_vrrp_auth_password"),
    ("keystone", "cache", "memcache_servers"),
    ("cinder", "DEFAULT", "my_ip"),
    ("glance", "glance_store", "filesystem_store_datadir"),
    ("nova", "oslo_messaging_rabbit", "rabbit_quorum_queue"),
    ("neutron-l3-agent", "AGENT", "report_interval"),
]
OLD_NAMES = [
    ("cinder", "DEFAULT", "sql_connection", "[database] connection"),
    ("keystone", "DEFAULT", "public_port", "[eventlet_server] public_port"),
    ("glance", "DEFAULT", "rabbit_ha_queues", "[oslo_messaging_rabbit] rabbit_ha_queues"),
    ("nova", "DEFAULT", "novncproxy_base_url", "[vnc] novncproxy_base_url"),
    ("neutron", "DEFAULT", "notification_driver", "[oslo_messaging_notifications] driver"),
    ("nova", "DEFAULT", "logdir", "[DEFAULT] log_dir"),
    ("neutron", "DEFAULT", "lock_path", "[oslo_concurrency] lock_path"),
]
GONE = [
    ("glance", "DEFAULT", "registry_host"),
    ("cinder", "DEFAULT", "rabbit_host"),
    ("neutron", "oslo_messaging_rabbit", "rabbit_userid"),
    ("nova", "neutron", "url"),
    ("keystone", "DEFAULT", "admin_endpoint"),
    ("neutron-metadata-agent", "DEFAULT", "nova_metadata_ip"),
    ("cinder", "DEFAULT", "volume_group"),
    ("nova", "keystone_authtoken", "auth_host"),
    ("keystone", "DEFAULT", "qpid_hostname"),
    ("glance", "DEFAULT", "default_store"),
]


@pytest.mark.parametrize(("service", "group", "name"), CURRENT)
def test_a_current_option_is_known(service: str, group: str, name: str) -> None:
    option = option_set("zed", service).lookup(group, name)
    assert option is not None
    assert (option.group.lower(), option.name) == (group.lower(), name)


@pytest.mark.parametrize(("service", "group", "name", "successor"), OLD_NAMES)
def test_an_old_name_names_its_successor(service: str, group: str, name: str, successor: str) -> None:
    found = next(
        finding for finding in check(service, group, name, "1") if finding.code == "option-deprecated"
    )
    assert found.severity == "warning"
    assert found.values["successor"] == successor


@pytest.mark.parametrize(("service", "group", "name"), GONE)
def test_an_option_of_an_earlier_release_is_removed(service: str, group: str, name: str) -> None:
    assert option_set("zed", service).lookup(group, name) is None
    (found,) = check(service, group, name)
    assert (found.code, found.severity) == ("option-removed", "error")
    assert found.values["successor"] != "nothing"


def test_the_last_release_and_successor_of_a_removed_option() -> None:
    (found,) = check("glance-api", "DEFAULT", "registry_host")
    assert found.values["last"] == "ussuri"
    (found,) = check("cinder-volume", "DEFAULT", "rabbit_host")
    assert (found.values["last"], found.values["successor"]) == ("rocky", "[DEFAULT] transport_url")


def test_an_option_that_never_was_is_told_apart_from_one_that_is_gone() -> None:
    (never,) = check("cinder", "DEFAULT", "notifier_strategy")
    (gone,) = check("glance", "DEFAULT", "notifier_strategy")
    assert codes([never, gone]) == ["option-never-existed", "option-removed"]
    assert never.values["successor"] == "[oslo_messaging_notifications] driver"


def test_an_unknown_option_names_the_nearest() -> None:
    (found,) = check("glance-api", "DEFAULT", "bind_hots")
    assert (found.code, found.severity) == ("option-unknown", "error")
    assert "[DEFAULT] bind_host" in str(found.values["nearest"])
    (found,) = check("keystone", "DEFAULT", "connection")
    assert "[database] connection" in str(found.values["nearest"])


def test_names_and_groups_compare_as_oslo_config_compares_them() -> None:
    nova = option_set("zed", "nova-api")
    assert nova.lookup("DEFAULT", "log-dir") == nova.lookup("DEFAULT", "log_dir") is not None
    assert nova.lookup("Keystone_Authtoken", "auth_url") is not None
    assert nova.lookup("default", "log_dir") is None
    # A file must write underscores: oslo.config never finds the name with dashes.
    assert codes(nova.check(Setting("DEFAULT", "log-dir", "/var/log/nova"))) == ["option-unknown"]
    assert nova.check(Setting("DEFAULT", "log_dir", "/var/log/nova")) == ()


@pytest.mark.parametrize(
    "service", ["keystone", "glance-api", "cinder-scheduler", "neutron-rpc-server", "nova-conductor"]
)
def test_a_process_has_the_options_of_its_project(service: str) -> None:
    found = option_set("zed", service)
    assert found.source == "generator"
    assert found.lookup("database", "connection") is not None


@pytest.mark.parametrize(
    "name",
    [
        "auth_url",
        "username",
        "password",
        "project_name",
        "user_domain_name",
        "project_domain_name",
        "auth_type",
    ],
)
@pytest.mark.parametrize("service", ["glance", "cinder", "neutron", "nova", "placement"])
def test_the_options_of_the_authentication_plugin_are_known(service: str, name: str) -> None:
    option = option_set("zed", service).lookup("keystone_authtoken", name)
    assert option is not None
    assert option.secret == (name == "password")


def test_a_secret_value_is_not_shown() -> None:
    assert option_set("zed", "cinder").lookup("DEFAULT", "transport_url").secret  # type: ignore[union-attr]


def test_groups_that_an_option_declares_take_their_options() -> None:
    settings = [
        Setting("DEFAULT", "enabled_backends", "lvm, ceph"),
        Setting("lvm", "volume_group", "cinder-volumes"),
        Setting("ceph", "volume_backend_name", "ceph"),
        Setting("ceph", "rados_connect_timeout", "soon"),
        Setting("nfs", "volume_backend_name", "nfs"),
    ]
    assert [
        (item.code, item.values["group"]) for item in option_set("zed", "cinder-volume").check_all(settings)
    ] == [
        ("option-wrong-type", "ceph"),
        ("option-unknown", "nfs"),
    ]


def test_stores_of_glance_are_declared_with_their_types() -> None:
    settings = [
        Setting("DEFAULT", "enabled_backends", "fast:rbd, cheap:file"),
        Setting("glance_store", "default_backend", "fast"),
        Setting("fast", "rbd_store_pool", "images"),
        Setting("cheap", "filesystem_store_datadir", "/var/lib/glance/images"),
        Setting("os_glance_tasks_store", "filesystem_store_datadir", "/var/lib/glance/tasks"),
    ]
    assert option_set("zed", "glance-api").check_all(settings) == ()


def test_a_modern_keystone_file_has_no_findings() -> None:
    settings = [
        Setting("DEFAULT", "log_dir", "/var/log/keystone"),
        Setting("database", "connection", "mysql+pymysql://keystone:$database_password@192.0.2.1/keystone"),
        Setting("database", "max_retries", "-1"),
        Setting("token", "provider", "fernet"),
        Setting("oslo_middleware", "enable_proxy_headers_parsing", "true"),
    ]
    assert option_set("zed", "keystone").check_all(settings) == ()


def test_a_release_without_data_says_so_once() -> None:
    settings = [Setting("DEFAULT", "a", "1"), Setting("DEFAULT", "b", "2")]
    unknown = option_set("zed", "no-such-service")
    assert unknown.source == "none"
    findings = unknown.check_all(settings, subject="/etc/x.conf")
    assert [(item.code, item.severity, item.subject) for item in findings] == [
        ("option-unchecked", "note", "/etc/x.conf")
    ]
    assert codes(unknown.check(settings[0])) == ["option-unchecked"]
    assert unknown.check_all([]) == ()


def test_every_finding_has_its_prose() -> None:
    findings = [
        *check("cinder", "DEFAULT", "notifier_strategy"),
        *check("glance", "DEFAULT", "registry_host"),
        *check("glance", "DEFAULT", "bind_port", "many"),
        *check("glance", "DEFAULT", "sql_connection"),
        *check("glance", "DEFAULT", "nonsense"),
        *check("keystone", "eventlet_server", "public_bind_host", "192.0.2.1"),
        *check("nothing", "DEFAULT", "nonsense"),
    ]
    assert len({finding.code for finding in findings}) == 7
    for finding in findings:
        assert message_for(finding)
        assert advice_for(finding)


@pytest.mark.parametrize("release", releases_with_data())
def test_the_data_of_a_release_is_whole(release: str) -> None:
    services = services_with_data(release)
    assert services
    for service in services:
        found = option_set(release, service)
        options = [option for group in found.options.groups.values() for option in group.values()]
        assert options
        for option in options:
            assert "-" not in option.name
            assert option.minimum is None or option.maximum is None or option.minimum <= option.maximum
            assert found.lookup(option.group, option.name) == option


FACTS = [
    (service, fact["group"], name, fact.get("last", ""))
    for fact in YAML(typ="safe").load(SUCCESSORS.read_text(encoding="utf-8"))
    for service in fact.get("services", ["glance", "cinder", "neutron", "nova"])
    for name in fact["names"]
    if "last" in fact or "never" in fact
]


@pytest.mark.parametrize(("service", "group", "name", "last"), FACTS)
def test_an_option_is_gone_after_its_last_release(service: str, group: str, name: str, last: str) -> None:
    for release in releases_with_data():
        if not last or release_named(release) > release_named(last):
            (found,) = check(service, group, name, "1", release=release)
            assert found.code == ("option-removed" if last else "option-never-existed"), release


@pytest.mark.parametrize(
    ("service", "group", "name", "last", "first_without"),
    [
        ("glance", "DEFAULT", "registry_host", "ussuri", "victoria"),
        ("nova", "DEFAULT", "rabbit_host", "rocky", "stein"),
        ("nova", "neutron", "url", "stein", "train"),
        ("neutron", "DEFAULT", "notification_driver", "2024.2", "2025.1"),
        ("cinder", "DEFAULT", "sql_connection", "2023.2", "2024.1"),
        ("nova", "DEFAULT", "quantum_url", "havana", "icehouse"),
        ("nova", "keystone_authtoken", "identity_uri", "pike", "queens"),
        ("glance", "DEFAULT", "notifier_strategy", "icehouse", "juno"),
    ],
)
def test_an_option_works_in_its_last_release(
    service: str, group: str, name: str, last: str, first_without: str
) -> None:
    assert "option-removed" not in codes(check(service, group, name, release=last))
    assert codes(check(service, group, name, release=first_without)) == ["option-removed"]
