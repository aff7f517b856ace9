"""A tenant of the cloud in a lab: where one can stand, and what is told where one cannot."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.unit.cli.conftest import Understudy

from understudy.cli import lab
from understudy.cli.inputs import read_input
from understudy.cli.tenant import tenant_of
from understudy.findings import FindingsError
from understudy.lab.client import LabError
from understudy.lab.from_spec import topology_of
from understudy.lab.state import Folder
from understudy.lab.tenant import Belongings
from understudy.spec.load import load_spec

EXAMPLE = Path("examples/network-stack.yaml")
NOT_FITTING = {
    "an interface that no node has": ("interface: eth2", "interface: eth9"),
    "metadata from far away": ("metadata: 192.168.42.150", "metadata: 10.99.0.1"),
}


@dataclass
class Standing:
    """A lab whose client is off."""

    topology: Any
    folder: Folder
    served: list[tuple[str, str, str]] = field(default_factory=list)

    def serve_metadata(self, address: str, network: str, secret: str) -> None:
        self.served.append((address, network, secret))

    def pid_of(self, where: str) -> int:
        raise LabError(f"{where} is off")


@pytest.fixture
def cloud(understudy: Understudy, tmp_path: Path) -> Path:
    file = tmp_path / "cloud.yaml"
    file.write_text(EXAMPLE.read_text(encoding="utf-8"), encoding="utf-8")
    assert understudy("secrets", file, "--generate").status == 0
    return file


def standing(cloud: Path) -> Standing:
    return Standing(topology_of(load_spec(cloud).spec), Folder(cloud.parent))


def test_a_tenants_networks_are_those_of_the_spec(cloud: Path) -> None:
    where: Any = standing(cloud)
    tenant = tenant_of(read_input(cloud), where)
    shape = tenant.shape
    assert (shape.external, shape.label, shape.tunnels_over) == ("198.51.100.0/24", "external", "management")
    assert shape.outside == "198.51.100.254"
    assert tenant.api.keystone == "http://203.0.113.103:5000/v3"
    assert tenant.serves_metadata
    assert where.served[0][:2] == ("192.168.42.150", "management")


@pytest.mark.parametrize("name", NOT_FITTING)
def test_cloud_in_which_no_machine_can_stand_is_told(cloud: Path, name: str) -> None:
    before, after = NOT_FITTING[name]
    text = cloud.read_text()
    assert before in text
    cloud.write_text(text.replace(before, after))
    where: Any = standing(cloud)
    with pytest.raises(FindingsError) as error:
        tenant_of(read_input(cloud), where)
    assert [finding.code for finding in error.value.findings] == ["lab-tenant-does-not-fit"]


def test_cloud_without_networking_has_no_tenant(spec: Path) -> None:
    where: Any = standing(spec)
    with pytest.raises(FindingsError, match="lab-tenant-does-not-fit"):
        tenant_of(read_input(spec), where)


def test_tenant_that_does_not_get_everything_is_told(
    understudy: Understudy, cloud: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lab, "lab_of", lambda _: standing(cloud))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    done = understudy("lab", "tenant", cloud)
    assert (done.status, "lab-tenant-failed" in done.err, "client is off" in done.err) == (1, True, True)


def test_lab_without_a_tenant_has_none_to_watch(tmp_path: Path) -> None:
    where: Any = Standing(None, Folder(tmp_path))
    assert Belongings.of(where) is None
