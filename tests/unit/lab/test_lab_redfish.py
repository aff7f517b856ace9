from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import HTTPServer
from pathlib import Path

import pytest
import requests

from understudy.lab.redfish import RESET_TYPES, Bmc, BmcServer, ResetType, make_certificate

SYSTEM = "/redfish/v1/Systems/System.Embedded.1"
RESET = f"{SYSTEM}/Actions/ComputerSystem.Reset"


@dataclass
class Machine:
    on: bool = True
    resets: list[tuple[str, str]] = field(default_factory=list)
    error: Exception | None = None

    def reset(self, kind: ResetType, caller: str) -> None:
        if self.error:
            raise self.error
        self.resets.append((kind, caller))
        self.on = kind != "ForceOff"


@dataclass
class Caller:
    server: HTTPServer
    certificate: Path
    auth: tuple[str, str] | None = ("admin", "secret")

    def __call__(self, path: str, data: object = None) -> requests.Response:
        url = f"https://127.0.0.1:{self.server.server_address[1]}{path}"
        method = "GET" if data is None else "POST"
        return requests.request(
            method, url, json=data, auth=self.auth, verify=str(self.certificate), timeout=5
        )


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.fixture
def call(machine: Machine, tmp_path: Path) -> Iterator[Caller]:
    bmc = Bmc("controller-1", SYSTEM, "admin", "secret", lambda: machine.on, machine.reset)
    server = BmcServer(bmc, "127.0.0.1", 0, make_certificate(tmp_path, ["127.0.0.1"]))
    server.open()
    yield Caller(server, tmp_path / "bmc.pem")
    server.close()


def test_the_way_from_the_root_to_the_reset_is_linked(call: Caller) -> None:
    collection = call("/redfish/v1/").json()["Systems"]["@odata.id"]
    member = call(collection).json()["Members"][0]["@odata.id"]
    assert member == SYSTEM
    action = call(member).json()["Actions"]["#ComputerSystem.Reset"]
    assert action["target"] == RESET
    assert action["ResetType@Redfish.AllowableValues"] == list(RESET_TYPES)


def test_the_power_state_is_the_machines(call: Caller, machine: Machine) -> None:
    assert call(SYSTEM).json()["PowerState"] == "On"
    machine.on = False
    assert call(SYSTEM).json()["PowerState"] == "Off"


@pytest.mark.parametrize("kind", RESET_TYPES)
def test_a_reset_is_done_before_it_is_answered(call: Caller, machine: Machine, kind: str) -> None:
    assert call(RESET, {"ResetType": kind}).status_code == 204
    assert machine.resets == [(kind, "127.0.0.1")]


@pytest.mark.parametrize("auth", [None, ("admin", "wrong"), ("root", "secret"), ("admin", "")])
def test_who_does_not_know_the_password_gets_nowhere(
    call: Caller, machine: Machine, auth: tuple[str, str] | None
) -> None:
    call.auth = auth
    assert call(SYSTEM).status_code == 401
    assert call(RESET, {"ResetType": "ForceOff"}).status_code == 401
    assert not machine.resets


@pytest.mark.parametrize(
    ("path", "data", "status"),
    [
        (RESET, {"ResetType": "Explode"}, 400),
        (RESET, ["no", "object"], 400),
        ("/redfish/v1/Systems/controller-2", None, 404),
        ("/redfish/v1/Systems/controller-2/Actions/ComputerSystem.Reset", {"ResetType": "ForceOff"}, 404),
    ],
)
def test_what_is_no_reset_does_nothing(
    call: Caller, machine: Machine, path: str, data: object, status: int
) -> None:
    assert call(path, data).status_code == status
    assert not machine.resets


def test_a_reset_that_failed_is_not_confirmed(call: Caller, machine: Machine) -> None:
    machine.error = TimeoutError("still runs")
    assert call(RESET, {"ResetType": "ForceOff"}).status_code == 500
    assert call(SYSTEM).json()["PowerState"] == "On"


def test_the_private_key_is_for_its_owner_only(call: Caller, tmp_path: Path) -> None:
    assert (tmp_path / "bmc.pem").stat().st_mode & 0o077 == 0
