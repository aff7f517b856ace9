"""TLS that ends in the services themselves, as no HAProxy is there: renewal, and a power loss."""

import os
import time
from collections.abc import Iterator

import pytest
import requests
from tests.lab.cloud_client import client_of
from tests.lab.cluster import EXAMPLE, Site, brought_up, make_site, masters
from tests.lab.tls_client import apis, demand_on_file_everywhere, get

pytestmark = [pytest.mark.root, pytest.mark.lab, pytest.mark.long]

SECURED = EXAMPLE.with_name("secured.yaml")
# Glance cannot speak TLS in Zed.
WITHOUT = (
    ("  haproxy:    {standby: warm}\n", ""),
    ("{standby: balanced, address: api", "{standby: warm, address: api"),
    ("  glance-api: {standby: cold, address: images, storage: images, workers: 1}\n", ""),
    ("  images:   {device: /dev/disk/by-id/scsi-images, filesystem: xfs}\n", ""),
)


@pytest.fixture(scope="module")
def applied(apply_labs: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    name = f"test-{os.getpid()}-bare"
    site = make_site(tmp_path_factory.mktemp("bare"), name, *WITHOUT, example=SECURED)
    with brought_up(site):
        yield site


@pytest.fixture
def site(applied: Site) -> Site:
    applied.settle()
    return applied


def test_each_api_answers_over_tls_itself_and_not_in_clear(site: Site) -> None:
    assert site.understudy("plan", "--exit-code").returncode == 0
    wheres = list(apis(site))
    assert len(wheres) == 4
    for where in wheres:
        assert get(site, f"https://{where}") in {200, 300}, where
        with pytest.raises(requests.exceptions.ConnectionError):
            get(site, f"http://{where}")
    demand_on_file_everywhere(site)


def test_renewed_certificates_restart_those_only_who_cannot_read_them_again(site: Site) -> None:
    go_on = ("mariadb", "rabbitmq", "keystone")
    before, restarted = masters(site, *go_on), masters(site, "cinder-api")
    time.sleep(1)  # the database tells the time of its certificate to the second
    assert site.understudy("secrets", "--renew").returncode == 0
    done = site.understudy("apply")
    assert done.returncode == 0, done.stdout + done.stderr
    site.settle()
    demand_on_file_everywhere(site)
    assert masters(site, *go_on) == before
    assert masters(site, "cinder-api") != restarted
    assert site.understudy("plan", "--exit-code").returncode == 0


@pytest.mark.parametrize("resource", ["ip-api-public", "mariadb"])
def test_clients_go_on_over_tls_when_a_node_loses_power(site: Site, resource: str) -> None:
    client = client_of(site)
    victim, begun = site.where(resource), time.time()
    site.lab.crash(victim)
    assert client.patiently("volumev3", "GET", "/types")
    site.recover(victim, begun)
    demand_on_file_everywhere(site)
