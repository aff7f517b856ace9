"""A user of the cloud in the clients' network, of whichever service, through the public addresses."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from understudy.lab.client import CLIENT, Lab, administrator_session, in_network_of

REQUEST_SECONDS = 20
PATIENCE_SECONDS = 90


@dataclass(frozen=True)
class CloudClient:
    """Asks the services for which the catalogue has an endpoint."""

    lab: Lab
    keystone: str
    password: str

    def call(self, service: str, method: str, path: str, body: object = None) -> Any:
        """Send one request to a service, named by its type, and return what it answered."""
        return in_network_of(self.lab.pid_of(CLIENT), lambda: self._call(service, method, path, body))

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

    def network(self, name: str) -> str:
        """Create a network and return its id."""
        body = {"network": {"name": name}}
        return str(self.patiently("network", "POST", "/v2.0/networks", body)["network"]["id"])

    def volume(self, name: str) -> str:
        """Create a volume, wait until it is there, and return its id."""
        made = self.patiently("volumev3", "POST", "/volumes", {"volume": {"size": 1, "name": name}})
        volume = str(made["volume"]["id"])
        patiently(lambda: self._demand_available(volume))
        return volume

    def image(self, name: str) -> str:
        """Register an image and return its id."""
        body = {"name": name, "disk_format": "raw", "container_format": "bare"}
        return str(self.patiently("image", "POST", "/v2/images", body)["id"])

    def names(self) -> dict[str, set[str]]:
        """Return the names of the networks, volumes and images that there are."""
        found = {
            "networks": self.patiently("network", "GET", "/v2.0/networks")["networks"],
            "volumes": self.patiently("volumev3", "GET", "/volumes")["volumes"],
            "images": self.patiently("image", "GET", "/v2/images")["images"],
        }
        return {kind: {one["name"] for one in ones} for kind, ones in found.items()}

    def _demand_available(self, volume: str) -> None:
        status = self.call("volumev3", "GET", f"/volumes/{volume}")["volume"]["status"]
        assert status == "available", f"volume {volume} is {status}"

    def _call(self, service: str, method: str, path: str, body: object) -> Any:
        at = {"service_type": service, "interface": "public"}
        answer = administrator_session(self.keystone, self.password, REQUEST_SECONDS).request(
            path if service != "identity" else self.keystone + path,
            method,
            json=body,
            endpoint_filter=at if service != "identity" else None,
            headers={"Accept": "application/json"},
        )
        return answer.json() if answer.content else None


def patiently(call: Callable[[], Any]) -> Any:
    """Call until it works."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return call()
        except Exception:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)
