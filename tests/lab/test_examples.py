"""The examples that no other test brings up: each does what it is for, before and after its services move.

Each is a cloud of its own in a lab of its own, minutes each, so that they run on request.
"""

import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.lab.cloud_client import CloudClient, client_of
from tests.lab.cluster import Site, banned, brought_up, make_site

pytestmark = [pytest.mark.root, pytest.mark.lab, pytest.mark.long]

FOLDER = Path(__file__).parents[2] / "examples"
ENTRANCE = "ip-api-public"


@dataclass(frozen=True)
class Example:
    """What users of an example make, and the resources whose node dies, one after the other."""

    makes: tuple[str, ...]
    dies_with: tuple[str, ...] = (ENTRANCE,)


EXAMPLES = {
    "guide-000": Example(("networks",)),
    "guide-001": Example(("volumes",), (ENTRANCE, "cinder-volume")),
    "guide-002": Example(("images", "volumes", "networks"), (ENTRANCE, "mariadb")),
    "guide-004": Example(("images",)),
    "guide-control-plane": Example(("images", "volumes", "networks")),
    "clustered-data": Example(("volume types",), (ENTRANCE, "ip-database-internal")),
}


@dataclass(frozen=True)
class Cloud:
    """A cloud that was made from an example, and its users on both sides of its addresses."""

    example: Example
    site: Site

    @property
    def users(self) -> list[CloudClient]:
        return [client_of(self.site, side) for side in self.site.addresses("api")]

    def make(self, when: str) -> None:
        """Have something of each kind made through each side, named by when it was."""
        for user in self.users:
            for kind in self.example.makes:
                user.make(kind, f"{when}, {user.interface}")

    def demand(self, *moments: str) -> None:
        """Demand that what was made at these moments is seen through each side."""
        made = {f"{when}, {user.interface}" for when in moments for user in self.users}
        for user in self.users:
            for kind, there in user.names(*self.example.makes).items():
                assert made <= there, (kind, user.interface)


@pytest.fixture(scope="module", params=EXAMPLES)
def applied(
    request: pytest.FixtureRequest, apply_labs: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cloud]:
    name = str(request.param)
    site = make_site(
        tmp_path_factory.mktemp(name), f"test-{os.getpid()}-{name}", example=FOLDER / f"{name}.yaml"
    )
    with brought_up(site):
        if "volumes" in EXAMPLES[name].makes:
            client_of(site).have_many_volumes()
        yield Cloud(EXAMPLES[name], site)


@pytest.fixture
def cloud(applied: Cloud) -> Cloud:
    applied.site.settle()
    return applied


def test_it_comes_up_and_a_second_plan_is_empty(cloud: Cloud) -> None:
    plan = cloud.site.understudy("plan", "--exit-code")
    assert plan.returncode == 0, plan.stdout
    addresses = cloud.site.spec.read_text()
    for (service, interface), url in cloud.users[0].endpoints().items():
        host = url.split("/")[2].partition(":")[0]
        side = "public" if interface == "public" else "internal"
        assert f"{side}: {host}" in addresses, (service, interface, url)


def test_its_users_go_on_when_its_address_is_moved(cloud: Cloud) -> None:
    cloud.make("before the move")
    with banned(cloud.site, ENTRANCE) as left:
        cloud.make("after the move")
        assert cloud.site.where(ENTRANCE) != left
    cloud.demand("before the move", "after the move")


def test_its_users_go_on_when_a_node_loses_power(cloud: Cloud) -> None:
    for number, resource in enumerate(cloud.example.dies_with, start=1):
        cloud.site.settle()
        before, after = f"before loss {number}", f"after loss {number}"
        cloud.make(before)
        victim, begun = cloud.site.where(resource), time.time()
        cloud.site.lab.crash(victim)
        cloud.site.settle(partial(runs_elsewhere, resource=resource, victim=victim))
        cloud.make(after)
        cloud.site.recover(victim, begun)
        cloud.demand(before, after)


def runs_elsewhere(status: Mapping[str, Any], resource: str, victim: str) -> bool:
    """Tell whether a resource runs, and not on the node that was lost."""
    nodes = [node for each in status["resources"] if each["name"] == resource for node in each["nodes"]]
    return bool(nodes) and victim not in nodes
