"""Clients that trust the authority of a site only, and what they are shown."""

import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import requests
from cryptography.x509 import Certificate, load_der_x509_certificate, load_pem_x509_certificate
from tests.lab.cluster import Site

from understudy.lab.client import CLIENT, SWITCH, in_network_of

SECONDS = 30
APIS = {
    "keystone": ("api", "5000/v3"),
    "cinder-api": ("api", "8776/"),
    "glance-api": ("images", "9292/versions"),
}
"""The address, port and path of each API."""


def authority(site: Site) -> str:
    """Return the file of the authority."""
    return str(site.spec.parent / "secrets" / "tls-authority.pem")


def in_lab(site: Site, where: str, work: Callable[[], Any]) -> Any:
    """Do something where a client or the nodes' own network is."""
    return in_network_of(site.lab.pid_of(where), work)


def get(site: Site, url: str) -> int:
    """Ask as a client on the side of the address does, trusting only the authority of the site."""
    where = side_of(url.split("/")[2])
    status: int = in_lab(
        site, where, lambda: requests.get(url, verify=authority(site), timeout=SECONDS).status_code
    )
    return status


def side_of(host: str) -> str:
    """Return where clients of an address stand."""
    return SWITCH if host.startswith("10.") else CLIENT


def apis(site: Site) -> Iterator[str]:
    """Give host, port and path of each API on each side of its address, without the scheme."""
    text = site.spec.read_text()
    for name, (virtual, rest) in APIS.items():
        if f"\n  {name}:" in text:
            yield from (f"{address}:{rest}" for address in site.addresses(virtual).values())


def connect(site: Site, address: str, port: int) -> ssl.SSLSocket:
    """Return a connection of a client on the side of the address."""

    def ask() -> ssl.SSLSocket:
        context = ssl.create_default_context(cafile=authority(site))
        plain = socket.create_connection((address, port), SECONDS)
        return context.wrap_socket(plain, server_hostname=address)

    connection: ssl.SSLSocket = in_lab(site, side_of(address), ask)
    return connection


def served(site: Site, address: str, port: int) -> int:
    """Return the serial number of the certificate that is served."""
    with connect(site, address, port) as connection:
        return load_der_x509_certificate(connection.getpeercert(binary_form=True) or b"").serial_number


def on_file(site: Site, address: str) -> Certificate:
    """Return the certificate of a virtual address among the secrets."""
    return load_pem_x509_certificate(Path(site.spec.parent, "secrets", f"tls-{address}.pem").read_bytes())


def database_certificate_until(site: Site) -> str:
    """Return until when the certificate is valid that the database serves, as it says itself."""
    address = site.addresses("database")["internal"]
    password = (site.spec.parent / "secrets" / "database-keystone").read_text().strip()
    node = next(name for name in site.nodes if name != site.where("mariadb"))
    ask = "SHOW STATUS LIKE 'Ssl_server_not_after'"
    login = f"mariadb -h {address} -u keystone -p{password} -N --ssl-ca=/etc/ssl/understudy/authority.pem"
    return site.on(node, f'{login} -e "{ask}"').partition("\t")[2].strip()


def demand_on_file_everywhere(site: Site) -> None:
    """Demand that APIs, broker and database serve the certificates that are among the secrets."""
    for where in apis(site):
        host, _, port = where.partition("/")[0].partition(":")
        name = next(each for each in ("api", "images") if host in site.addresses(each).values())
        assert served(site, host, int(port)) == on_file(site, name).serial_number, where
    broker = site.addresses("broker")["internal"]
    assert served(site, broker, 5671) == on_file(site, "broker").serial_number
    until = on_file(site, "database").not_valid_after_utc
    assert database_certificate_until(site).split() == f"{until:%b %-d %H:%M:%S %Y} GMT".split()
