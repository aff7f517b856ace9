"""A user of the cloud in the clients' network, of whichever service, through the public addresses."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from tests.lab.cluster import Site

from understudy.lab.client import CLIENT, SWITCH, Lab, administrator_session, in_network_of

REQUEST_SECONDS = 20
PATIENCE_SECONDS = 90

Answer = TypeVar("Answer")


LISTS = {
    "networks": ("network", "/v2.0/networks", "networks"),
    "volumes": ("volumev3", "/volumes", "volumes"),
    "volume types": ("volumev3", "/types", "volume_types"),
    "images": ("image", "/v2/images", "images"),
}
"""The service, path and key under which there is a list of things that users make."""


@dataclass(frozen=True)
class CloudClient:
    """Asks the services for which the catalogue has an endpoint."""

    lab: Lab
    keystone: str
    password: str
    authority: Path | None = None
    """Whom it trusts to have signed certificates."""
    interface: str = "public"

    def call(self, service: str, method: str, path: str, body: object = None) -> Any:
        """Send one request to a service, named by its type, and return what it answered."""
        return self._there(lambda: self._call(service, method, path, body))

    def patiently(self, service: str, method: str, path: str, body: object = None) -> Any:
        """Send a request until it is answered, for so long as a failover may take."""
        return patiently(lambda: self.call(service, method, path, body))

    def endpoints(self) -> dict[tuple[str, str], str]:
        """Return the URL of every endpoint by service type and interface."""
        services = {one["id"]: one["type"] for one in self.call("identity", "GET", "/services")["services"]}
        return {
            (services[one["service_id"]], one["interface"]): one["url"]
            for one in self.call("identity", "GET", "/endpoints")["endpoints"]
        }

    def make(self, kind: str, name: str) -> str:
        """Create a thing of a kind, one of LISTS, and return its id."""
        makers = {"networks": self.network, "volumes": self.volume, "images": self.image}
        return makers.get(kind, self.volume_type)(name)

    def network(self, name: str) -> str:
        """Create a network and return its id."""
        body = {"network": {"name": name}}
        return str(self.patiently("network", "POST", "/v2.0/networks", body)["network"]["id"])

    def volume(self, name: str) -> str:
        """Create a volume, wait until it is there, and return its id; one that ends in an error is asked for again.

        While a scheduler has not heard of the volume service for a minute, it has no place for volumes.
        """

        def create() -> str:
            made = self.call("volumev3", "POST", "/volumes", {"volume": {"size": 1, "name": name}})
            volume = str(made["volume"]["id"])
            # A scheduler that has just started waits for up to a minute for what the volume service can do.
            status = patiently(
                lambda: self._demand_status(volume, "available", "error"), 2 * PATIENCE_SECONDS
            )
            if status == "error":
                self.patiently("volumev3", "DELETE", f"/volumes/{volume}")
            assert status == "available", f"volume {volume} ended in an error"
            return volume

        return patiently(create)

    def volume_type(self, name: str) -> str:
        """Create a volume type, and a volume that the scheduler finds no place for; return the type's id.

        The volume's way goes through the database and the broker where no volume service is.
        """
        made = self.patiently("volumev3", "POST", "/types", {"volume_type": {"name": name}})
        body = {"volume": {"size": 1, "name": name, "volume_type": name}}
        volume = self.patiently("volumev3", "POST", "/volumes", body)["volume"]["id"]
        patiently(lambda: self._demand_status(volume, "error"))
        self.patiently("volumev3", "DELETE", f"/volumes/{volume}")
        return str(made["volume_type"]["id"])

    def have_many_volumes(self) -> None:
        """Lift the limit of ten volumes of a project."""
        (project,) = self.call("identity", "GET", "/auth/projects")["projects"]
        quota = {"quota_set": {"volumes": -1, "gigabytes": -1}}
        self.patiently("volumev3", "PUT", f"/os-quota-sets/{project['id']}", quota)

    def image(self, name: str) -> str:
        """Register an image, upload its name as its content, read that again, and return its id."""

        def upload() -> str:
            body = {"name": name, "disk_format": "raw", "container_format": "bare"}
            image = str(self.call("image", "POST", "/v2/images", body)["id"])
            self._there(lambda: self._send("image", "PUT", f"/v2/images/{image}/file", data=name.encode()))
            assert self.image_content(image) == name
            return image

        return patiently(upload)

    def image_content(self, image: str) -> str:
        """Download an image."""
        path = f"/v2/images/{image}/file"
        return str(self._there(lambda: self._send("image", "GET", path).text))

    def names(self, *kinds: str) -> dict[str, set[str]]:
        """Return the names of the networks, volumes and images that there are, or of things of other kinds."""
        found = {}
        for kind in kinds or ("networks", "volumes", "images"):
            service, path, key = LISTS[kind]
            found[kind] = {one["name"] for one in self.patiently(service, "GET", path)[key]}
        return found

    def _demand_status(self, volume: str, *wanted: str) -> str:
        status = str(self.call("volumev3", "GET", f"/volumes/{volume}")["volume"]["status"])
        assert status in wanted, f"volume {volume} is {status}"
        return status

    def _there(self, work: Callable[[], Any]) -> Any:
        """Do something where such a client stands: the internal side is open to the nodes' own network only."""
        where = CLIENT if self.interface == "public" else SWITCH
        return in_network_of(self.lab.pid_of(where), work)

    def _call(self, service: str, method: str, path: str, body: object) -> Any:
        answer = self._send(service, method, path, json=body)
        return answer.json() if answer.content else None

    def _send(self, service: str, method: str, path: str, json: object = None, data: object = None) -> Any:
        at = {"service_type": service, "interface": self.interface}
        type_ = {"Content-Type": "application/octet-stream"} if data is not None else {}
        session = administrator_session(self.keystone, self.password, REQUEST_SECONDS, self.authority)
        return session.request(
            path if service != "identity" else self.keystone + path,
            method,
            json=json,
            data=data,
            endpoint_filter=at if service != "identity" else None,
            headers={"Accept": "application/json, application/octet-stream", **type_},
        )


def client_of(site: Site, interface: str = "public") -> CloudClient:
    """Return the administrator of a site's cloud, who trusts the authority of the site where it has one."""
    secrets = site.spec.parent / "secrets"
    authority = secrets / "tls-authority.pem" if "\ntls:" in site.spec.read_text() else None
    keystone = f"{'https' if authority else 'http'}://{site.addresses('api')[interface]}:5000/v3"
    password = (secrets / "identity-admin").read_text().strip()
    return CloudClient(site.lab, keystone, password, authority, interface)


def patiently(call: Callable[[], Answer], seconds: float = PATIENCE_SECONDS) -> Answer:
    """Call until it works."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return call()
        except Exception:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)
