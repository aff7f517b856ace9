"""A small lab for the tests that need one; it ends with the test process, whatever ends that."""

import asyncio
import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import asyncssh
import pytest
from tests.lab.cluster import Run, Site, make_site, take_down_abandoned, taken_down

from understudy.lab.client import Lab
from understudy.lab.image import ensure_image, recipe_for
from understudy.lab.lifecycle import Materials, bring_up, sweep, take_down
from understudy.lab.preflight import host_problems
from understudy.lab.topology import LabDisk, LabNode, LabTopology

PASSWORD = "a secret of the BMCs"
DISK = "/dev/disk/by-id/scsi-shared"

NewLab = Callable[[str], Lab]


def small_topology(name: str) -> LabTopology:
    return LabTopology(
        name=name,
        networks={"management": "192.168.42.0/24", "public": "203.0.113.0/24", "bmc": "192.168.43.0/24"},
        nodes={
            f"controller-{number}": LabNode(
                {"management": f"192.168.42.1{number}", "public": f"203.0.113.1{number}"},
                "bmc",
                f"192.168.43.1{number}",
            )
            for number in (1, 2, 3)
        },
        disks={DISK: LabDisk(512 << 20, "xfs")},
        reserved=("192.168.42.103", "203.0.113.103"),
    )


@pytest.fixture(scope="session")
def image() -> Path:
    """Return the nodes' root file system, built if it is not cached."""
    problems = [finding.code for finding in host_problems()]
    if problems:
        pytest.skip(f"this machine cannot run a lab: {', '.join(problems)}")
    return ensure_image(recipe_for("debian", "zed"))


@pytest.fixture(scope="session")
def new_lab(image: Path) -> Iterator[NewLab]:
    """Return a function that brings up a lab of three nodes under a suffix to its name."""
    sweep()
    names = []

    def bring(suffix: str) -> Lab:
        topology = small_topology(f"test-{os.getpid()}-{suffix}")
        names.append(topology.name)
        passwords = dict.fromkeys(topology.nodes, PASSWORD)
        return bring_up(topology, Materials(image, passwords, dies_with=os.getpid()))[0]

    yield bring
    for name in names:
        take_down(name)


@pytest.fixture(scope="session")
def shared_lab(new_lab: NewLab) -> Lab:
    return new_lab("shared")


@pytest.fixture
def lab(shared_lab: Lab) -> Lab:
    """Return a lab of three nodes, all on, none cut off; tests may break it in any way that a boot repairs."""
    shared_lab.heal()
    for name in shared_lab.topology.nodes:
        shared_lab.revive_bmc(name)
        shared_lab.thaw(name)
        shared_lab.boot(name)
    return shared_lab


def run(lab: Lab, node: str, script: str, timeout: float = 60) -> str:
    """Run a shell script in a node and return its output; it must succeed."""
    result = lab.run_in(node, ["sh", "-ec", script], timeout)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def management(lab: Lab, node: str) -> str:
    return lab.topology.nodes[node].addresses["management"]


async def over_ssh(lab: Lab, node: str, command: str) -> str:
    """Run a command as a production site would be reached: SSH with known hosts and a key."""
    connection = await asyncio.to_thread(lab.open_socket, management(lab, node), 22, 5.0)
    async with asyncssh.connect(
        node,
        sock=connection,
        username="root",
        client_keys=[str(lab.private_key)],
        known_hosts=str(lab.known_hosts),
        config=None,
    ) as ssh:
        result = await ssh.run(command, check=True, timeout=30)
    return str(result.stdout)


def host_state() -> dict[str, str]:
    """Return what of the host a lab must not change."""
    commands = {
        "links": ["ip", "-o", "link"],
        "addresses": ["ip", "-o", "-4", "address"],
        "routes": ["ip", "route", "show", "table", "all"],
        "namespaces": ["ip", "netns", "list"],
    }
    state = {
        name: subprocess.run(each, capture_output=True, text=True, check=True).stdout
        for name, each in commands.items()
    }
    mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8")
    return {
        **state,
        "mounts": mounts,
        "hostname": Path("/proc/sys/kernel/hostname").read_text(encoding="utf-8"),
    }


@pytest.fixture(scope="session")
def apply_labs(image: Path) -> None:
    """Make this machine ready for labs of whole clouds: none is left of test runs that are gone."""
    take_down_abandoned()


@dataclass(frozen=True)
class AppliedCloud:
    """The example's cloud after an apply that was killed again and again, and what commands said on the way."""

    site: Site
    first_plan: Run
    touched_by_plan: str
    journals: tuple[str, ...]
    last_apply: Run
    plans_after: tuple[Run, Run]
    units_before: str


KILLED_AT = (
    "key-repository cluster /etc/keystone",
    "membership cluster",
    "schema database keystone.local_user",
)


@pytest.fixture(scope="session")
def applied(apply_labs: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppliedCloud]:
    """Bring up the example's lab with services running that Pacemaker is to manage, and apply the spec to it."""
    site = make_site(tmp_path_factory.mktemp("cloud"), f"test-{os.getpid()}-cloud")
    with taken_down(site):
        up = site.understudy("lab", "up")
        assert up.returncode == 0, up.stderr
        first = site.nodes[0]
        site.on(
            first, "for unit in mariadb glance-api; do update-rc.d $unit enable; service $unit start; done"
        )
        before = site.on(first, "ls /etc/rc2.d; pgrep --list-name 'mariadbd|glance-api' || true")
        first_plan = site.understudy("plan", "--exit-code")
        touched = site.on(
            first, "ls -d /etc/understudy /usr/lib/ocf/resource.d/openstack 2>/dev/null || true"
        )
        journals = tuple(site.kill_when("apply", journalled=f'"{each}') for each in KILLED_AT)
        last = site.understudy("apply")
        plans = (site.understudy("plan"), site.understudy("plan", "--exit-code"))
        yield AppliedCloud(site, first_plan, touched, journals, last, plans, before)


@pytest.fixture
def site(applied: AppliedCloud) -> Site:
    """Return the applied cloud, all well; what an earlier test left changed is put right first."""
    seen = applied.site.settle(lambda now: bool(now.get("healthy") or now.get("pending")))
    if not seen["healthy"]:
        applied.site.understudy("apply")
        applied.site.settle()
    return applied.site
