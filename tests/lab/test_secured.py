"""TLS on every address of a real cloud: who answers it, and who refuses anything else."""

import hashlib
import os
import socket
import ssl
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from tests.lab.cluster import EXAMPLE, Run, Site, make_site, taken_down

from understudy.lab.client import CLIENT, SWITCH, in_network_of

pytestmark = [pytest.mark.root, pytest.mark.lab, pytest.mark.long]

SECURED = EXAMPLE.with_name("secured.yaml")
SECONDS = 30


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


def authority(site: Site) -> str:
    return str(site.spec.parent / "secrets" / "tls-authority.pem")


def in_lab(site: Site, where: str, work: Callable[[], Any]) -> Any:
    return in_network_of(site.lab.pid_of(where), work)


def get(site: Site, url: str) -> int:
    """Ask as a client on the side of the address does, trusting only the authority of the site."""
    where = SWITCH if "//10." in url else CLIENT
    status: int = in_lab(
        site, where, lambda: requests.get(url, verify=authority(site), timeout=SECONDS).status_code
    )
    return status


def apis(site: Site) -> Iterator[tuple[str, int]]:
    for name, port, path in (("api", 5000, "/v3"), ("api", 8776, "/"), ("images", 9292, "/versions")):
        for address in site.addresses(name).values():
            yield f"{address}:{port}{path}", port


def serial(site: Site, address: str, port: int) -> int:
    """Return the serial number of the certificate that is served."""
    from cryptography.x509 import load_der_x509_certificate  # noqa: PLC0415

    def ask() -> bytes:
        context = ssl.create_default_context(cafile=authority(site))
        with socket.create_connection((address, port), SECONDS) as plain:
            return context.wrap_socket(plain, server_hostname=address).getpeercert(binary_form=True) or b""

    return load_der_x509_certificate(in_lab(site, SWITCH, ask)).serial_number


def test_every_api_answers_over_tls_on_both_sides_and_nothing_in_clear(site: Site) -> None:
    for where, port in apis(site):
        assert get(site, f"https://{where}") in {200, 300}, where
        with pytest.raises(requests.exceptions.ConnectionError):
            get(site, f"http://{where}")
        assert port


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
    assert serial(site, broker, 5671)
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
