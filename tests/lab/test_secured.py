"""TLS on every address of a real cloud: who answers it, and who refuses anything else."""

import hashlib
import os
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from ipaddress import ip_address
from threading import Event
from typing import Any

import pytest
import requests
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509 import load_pem_x509_certificate
from tests.lab.cloud_client import client_of
from tests.lab.cluster import EXAMPLE, Run, Site, make_site, masters, taken_down
from tests.lab.tls_client import (
    SECONDS,
    apis,
    connect,
    demand_on_file_everywhere,
    get,
    in_lab,
    served,
)

from understudy.cli.authority import _put, new_certificate
from understudy.lab.client import CLIENT, SWITCH
from understudy.spec.load import load_spec

pytestmark = [pytest.mark.root, pytest.mark.lab, pytest.mark.long]

SECURED = EXAMPLE.with_name("secured.yaml")


@pytest.fixture(scope="module")
def secured(apply_labs: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, Run]]:
    site = make_site(tmp_path_factory.mktemp("secured"), f"test-{os.getpid()}-tls", example=SECURED)
    with taken_down(site):
        up = site.understudy("lab", "up")
        assert up.returncode == 0, up.stderr
        yield site, site.understudy("apply")


@pytest.fixture
def site(secured: tuple[Site, Run]) -> Site:
    site, applied = secured
    assert applied.returncode == 0, applied.stdout + applied.stderr
    site.settle()
    return site


def test_every_api_answers_over_tls_on_both_sides_and_nothing_in_clear(site: Site) -> None:
    for where in apis(site):
        assert get(site, f"https://{where}") in {200, 300}, where
        with pytest.raises(requests.exceptions.ConnectionError):
            get(site, f"http://{where}")


def test_a_client_sees_https_everywhere_and_can_work(site: Site) -> None:
    client = site.client()
    content = os.urandom(1 << 20)
    image = client.upload(content)
    assert client.download(image) == hashlib.sha256(content).hexdigest()
    urls = in_lab(site, CLIENT, lambda: _catalogue(client._session()))
    assert len(urls) >= 9
    assert all(url.startswith("https://") for url in urls)


def _catalogue(session: Any) -> list[str]:
    access = session.auth.get_access(session)
    return [one["url"] for each in access.service_catalog.catalog for one in each["endpoints"]]


def test_database_and_broker_take_tls_only(site: Site) -> None:
    database, broker = site.addresses("database")["internal"], site.addresses("broker")["internal"]
    assert served(site, broker, 5671)
    with pytest.raises(ConnectionRefusedError):
        in_lab(site, SWITCH, lambda: socket.create_connection((broker, 5672), SECONDS))
    password = (site.spec.parent / "secrets" / "database-glance").read_text().strip()
    node = next(name for name in site.nodes if name != site.where("mariadb"))
    login = f"mariadb -h {database} -u glance -p{password} -N -e 'SHOW STATUS LIKE \"Ssl_cipher\"'"
    assert "TLS" in site.on(node, f"{login} --ssl-ca=/etc/ssl/understudy/authority.pem")
    assert "Access denied" in site.on(node, f"{login} --skip-ssl 2>&1 || true")


def test_a_plan_after_apply_is_empty(site: Site) -> None:
    plan = site.document("plan")
    assert plan["changes"] == []
    assert {one["state"] for one in site.document("status")["certificates"]} == {"valid"}


@pytest.mark.parametrize(
    ("valid", "code", "state", "healthy", "status"),
    [
        (timedelta(days=5), "tls-expires-soon", "expires soon", True, 0),
        (timedelta(minutes=-30), "tls-expired", "expired", False, 2),
    ],
)
def test_a_certificate_that_ends_is_seen_by_check_and_status(  # noqa: PLR0917
    site: Site, valid: timedelta, code: str, state: str, healthy: bool, status: int
) -> None:
    secrets = site.spec.parent / "secrets"
    kept = {name: (secrets / name).read_bytes() for name in ("tls-broker.pem", "tls-broker.key")}
    authority = load_pem_x509_certificate((secrets / "tls-authority.pem").read_bytes())
    signer: Any = load_pem_private_key((secrets / "tls-authority.key").read_bytes(), None)
    address = ip_address(site.addresses("broker")["internal"])
    made = new_certificate("tls-broker", (address,), authority, signer, valid)
    try:
        _put(load_spec(site.spec), "tls-broker", *made)
        assert site.codes("check") == (status, [code])
        # What is served is another one still.
        seen = site.document("status")
        assert {one["name"]: one["state"] for one in seen["certificates"]}["tls-broker"] == state
        assert code in {one["code"] for one in seen.get("findings", ())} or healthy
        told = site.understudy("status")
        assert code in told.stdout + told.stderr
        if not healthy:
            assert site.codes("apply")[1] == [code]
    finally:
        for name, content in kept.items():
            (secrets / name).write_bytes(content)
    assert site.document("plan")["changes"] == []


def test_renewed_certificates_are_served_and_nothing_is_restarted(site: Site) -> None:
    services = ("haproxy", "mariadb", "rabbitmq", "keystone", "cinder-api", "glance-api")
    before, placed = masters(site, *services), site.placement()
    old = served(site, site.addresses("api")["internal"], 5000)
    # Cinder says how long its answers are, so that HAProxy keeps the client's connection.
    with connect(site, site.addresses("api")["internal"], 8776) as held, asking(held) as answers:
        time.sleep(2)  # the database tells the time of its certificate to the second
        assert site.understudy("secrets", "--renew").returncode == 0
        plan = site.understudy("plan", "--exit-code")
        assert (plan.returncode, "Clients notice: nothing." in plan.stdout) == (3, True), plan.stdout
        done = site.understudy("apply")
        assert done.returncode == 0, done.stdout + done.stderr
    assert len(answers) > 2
    assert all(one.startswith(b"HTTP/1.1 ") for one in answers)
    assert served(site, site.addresses("api")["internal"], 5000) != old
    demand_on_file_everywhere(site)
    assert masters(site, *services) == before
    assert site.placement() == placed
    assert site.understudy("plan", "--exit-code").returncode == 0


@contextmanager
def asking(held: socket.socket) -> Iterator[list[bytes]]:
    """Send a request every second over one connection, and give what came back; empty: it was closed."""
    answers: list[bytes] = []
    enough = Event()

    def ask() -> None:
        while not enough.wait(1) and b"" not in answers:
            held.sendall(b"GET / HTTP/1.1\r\nHost: cloud\r\n\r\n")
            answers.append(held.recv(65536))

    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ask)
        try:
            yield answers
        finally:
            enough.set()
            asked.result()


@pytest.mark.parametrize("resource", ["ip-api-public", "mariadb", "glance-api"])
def test_clients_go_on_over_tls_when_a_node_loses_power(site: Site, resource: str) -> None:
    client = client_of(site)
    image = client.image(f"before {resource}")
    victim, begun = site.where(resource), time.time()
    site.lab.crash(victim)
    client.image(f"after {resource}")
    assert client.patiently("volumev3", "GET", "/types")
    assert client.image_content(image) == f"before {resource}"
    site.recover(victim, begun)
    demand_on_file_everywhere(site)
