"""Three machines in directories, a design for them, and ways to break off an apply."""

import asyncio
import grp
import os
import pwd
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from understudy.design.items import File, Item, KeyRepository, Options, OptionValue, Package, Sysctl, Unit
from understudy.findings import Finding, FindingsError
from understudy.hosts.fake import FakeMachine, MachineHost
from understudy.hosts.model import Completed
from understudy.hosts.node.base import Call
from understudy.hosts.node.script import CHANGES
from understudy.kinds.model import World
from understudy.kinds.registry import KINDS
from understudy.plan.apply import Event, Outcome, apply_plan
from understudy.plan.make import make_plan
from understudy.plan.model import Plan
from understudy.plan.observe import observe
from understudy.secret import Secret

NODES = ("one", "two", "three")
OWNER, GROUP = pwd.getpwuid(os.geteuid()).pw_name, grp.getgrgid(os.getegid()).gr_name
BIND = "net.ipv4.ip_nonlocal_bind"
PASSWORD = "s3cret-of-the-BMC"
OPTIONS = (
    OptionValue("DEFAULT", "bind_host", "192.0.2.3"),
    OptionValue("auth", "password", Secret("s3cret")),
)
LOCKS = {"take-lock", "release-lock"}


def design() -> list[Item]:
    """Return items of every kind that lives on nodes."""
    items: list[Item] = []
    for node in NODES:
        attributes = {"node": node, "owner": OWNER, "group": GROUP}
        items += [
            Unit(node=node, name="glance-api", enabled=False, running=False),
            Unit(node=node, name="mariadb", enabled=False, running=False),
            Package(node=node, name="glance-api"),
            File(path="/etc/agent", content="new\n", mode=0o755, **attributes),  # type: ignore[arg-type]
            File(path="/etc/bmc", content=Secret(PASSWORD), mode=0o600, **attributes),  # type: ignore[arg-type]
            File(path="/etc/glance/paste.ini", content="ours", **attributes),  # type: ignore[arg-type]
            Options(path="/etc/glance/api.conf", options=OPTIONS, mode=0o640, **attributes),  # type: ignore[arg-type]
            Sysctl(node=node, name=BIND, value="1"),
        ]
    keys = KeyRepository(path="/etc/keys", nodes=NODES, owner=OWNER, group=GROUP, create=("make-keys",))
    return [*items, keys]


class BreakingHost(MachineHost):
    """A host whose connection can break right before or right after a change."""

    break_after: Callable[[Call], bool] = staticmethod(lambda _: False)

    async def run(self, argv: Sequence[str], *, stdin: bytes = b"", timeout: float = 30.0) -> Completed:  # noqa: ASYNC109
        answer = await super().run(argv, stdin=stdin, timeout=timeout)
        if sum(self.break_after(call) for call in self.requests[-1]):
            raise broken(self.name)
        await asyncio.sleep(0)
        return answer


def broken(node: str) -> FindingsError:
    values = {"node": node, "command": "python3", "reason": "broken by the test"}
    return FindingsError([Finding("host-connection-lost", values=values, subject=node)], exit_status=1)


@dataclass
class Site:
    """Three machines, with what an operator's machine knows of them."""

    directory: Path
    machines: dict[str, FakeMachine]
    hosts: dict[str, BreakingHost]
    items: list[Item]
    events: list[Event] = field(default_factory=list)

    @property
    def world(self) -> World:
        return World(self.hosts)

    async def plan(self, items: Sequence[Item] | None = None, *, backwards: bool = False) -> Plan:
        chosen = self.items if items is None else items
        return make_plan("test", chosen, await observe(self.world, chosen, KINDS), KINDS, backwards=backwards)

    async def apply(
        self, plan: Plan | None = None, items: Sequence[Item] | None = None, **more: object
    ) -> Outcome:
        chosen = self.items if items is None else items
        plan = plan or await self.plan(chosen)
        return await apply_plan(
            self.world,
            chosen,
            plan,
            KINDS,
            directory=self.directory / "state",
            report=self.events.append,
            **more,  # type: ignore[arg-type]
        )

    def state(self) -> dict[str, object]:
        """Return all that an apply is about, but for the times and what was kept of before."""
        found: dict[str, object] = {}
        for name, machine in self.machines.items():
            root = Path(machine.root)
            for file in sorted(root.rglob("*")):
                if file.is_file() and "understudy" not in file.name:
                    found[f"{name} {file.relative_to(root)}"] = (file.read_text(), file.stat().st_mode)
            found[f"{name} packages"] = sorted(machine.installed)
            found[f"{name} running"] = sorted(machine.running)
        return found

    def break_at(self, number: int, *, after: bool) -> Callable[[], bool]:
        """Break the connection at the change of this number; return whether it came to that."""
        count = 0

        def counts(call: Call) -> bool:
            nonlocal count
            count += call["do"] in CHANGES and call["do"] not in LOCKS
            return count == number and call["do"] in CHANGES and call["do"] not in LOCKS

        def before(node: str, call: Call) -> None:
            if counts(call):
                raise broken(node)

        for name, host in self.hosts.items():
            if after:
                host.break_after = counts
            else:
                host.before = partial(before, name)
        return lambda: count >= number

    def mend(self) -> None:
        for host in self.hosts.values():
            host.before = lambda _: None
            host.break_after = lambda _: False


def make_site(directory: Path) -> Site:
    machines = {}
    for name in NODES:
        machine = FakeMachine(
            directory / name,
            available={
                "glance-api": {"/etc/init.d/glance-api": "", "/etc/glance/paste.ini": "the package's"}
            },
        )
        machine.put(f"/proc/sys/{BIND.replace('.', '/')}", "0")
        machine.put("/etc/agent", "old\n", 0o644)
        machine.put("/etc/glance/api.conf", "[auth]\n# mine\npassword = s3cret-old\n", 0o644)
        machine.add_unit("mariadb")
        machine.programs["make-keys"] = partial(_make_keys, machine)
        machines[name] = machine
    hosts = {name: BreakingHost(name, machine) for name, machine in machines.items()}
    return Site(directory, machines, hosts, design())


def _make_keys(machine: FakeMachine, _: list[str]) -> None:
    machine.put("/etc/keys/0", "key zero")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return make_site(tmp_path)


@pytest.fixture
def new_site() -> Callable[[Path], Site]:
    return make_site
