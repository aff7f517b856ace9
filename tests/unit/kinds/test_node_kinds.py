"""The kinds that live on nodes, on machines in directories: what is different, what is done, how it is taken back."""

import asyncio
import grp
import json
import os
import pwd
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from understudy.design.items import File, Item, KeyRepository, Package, Sysctl, Unit
from understudy.findings import FindingsError, known_codes, message_for
from understudy.hosts.fake import FakeMachine, MachineHost
from understudy.kinds.file import RestoredFile
from understudy.kinds.model import Change, World, public
from understudy.kinds.registry import KINDS, UNDOING
from understudy.secret import Secret

OWNER, GROUP = pwd.getpwuid(os.geteuid()).pw_name, grp.getgrgid(os.getegid()).gr_name
BIND = "net.ipv4.ip_nonlocal_bind"


@pytest.fixture
def machine(tmp_path: Path) -> FakeMachine:
    machine = FakeMachine(tmp_path / "one", available={"glance-api": {"/etc/init.d/glance-api": ""}})
    machine.put(f"/proc/sys/{BIND.replace('.', '/')}", "0\n")
    machine.add_unit("mariadb")
    return machine


@pytest.fixture
def host(machine: FakeMachine) -> MachineHost:
    return MachineHost("one", machine)


@pytest.fixture
def world(host: MachineHost) -> World:
    return World({"one": host})


async def difference(world: World, item: Item) -> Change | None:
    kind = KINDS[item.kind]
    observed = await kind.observe(world, [item])
    return kind.compare(item, json.loads(json.dumps(observed[item.key])))


async def make_true(world: World, item: Item) -> Change:
    change = await difference(world, item)
    assert change is not None
    await KINDS[item.kind].apply(world, change)
    assert await difference(world, item) is None
    await KINDS[item.kind].apply(world, await as_change(world, item))
    assert await difference(world, item) is None
    return change


async def as_change(world: World, item: Item) -> Change:
    observed = await KINDS[item.kind].observe(world, [item])
    return Change(item, (), observed[item.key])


def file(content: str | Secret = "new\n", **more: object) -> File:
    plain = File(node="one", path="/etc/x/a.conf", content=content, owner=OWNER, group=GROUP, mode=0o640)
    return replace(plain, **more)  # type: ignore[arg-type]


ITEMS: dict[str, Callable[[], Item]] = {
    "package": lambda: Package(node="one", name="glance-api"),
    "file": file,
    "sysctl": lambda: Sysctl(node="one", name=BIND, value="1"),
    "unit": lambda: Unit(node="one", name="mariadb", enabled=False, running=False),
}


@pytest.mark.parametrize("name", ITEMS)
async def test_made_true_and_then_nothing_is_left_to_do(world: World, name: str) -> None:
    change = await make_true(world, ITEMS[name]())
    assert change.differences


@pytest.mark.parametrize("name", ["file", "sysctl", "unit"])
async def test_taken_back(world: World, name: str) -> None:
    item = ITEMS[name]()
    before = public((await as_change(world, item)).observed)
    change = await make_true(world, item)
    inverse = KINDS[item.kind].invert(change)
    assert inverse is not None
    assert inverse.item.kind in UNDOING
    await make_true(world, inverse.item)
    assert public((await as_change(world, item)).observed) == before


async def test_several_kinds_cost_one_command(world: World, host: MachineHost) -> None:

    items = [make() for make in ITEMS.values()]
    await asyncio.gather(*(KINDS[item.kind].observe(world, [item]) for item in items))
    assert len(host.argvs) == 1


async def test_file_shows_its_texts(world: World, machine: FakeMachine) -> None:
    machine.put("/etc/x/a.conf", "old\n", 0o644)
    change = await difference(world, file())
    assert change is not None
    assert [(line.name, line.before, line.after) for line in change.differences] == [
        ("content", "old\n", "new\n"),
        ("mode", "0644", "0640"),
    ]


async def test_secret_file_shows_nothing(world: World, machine: FakeMachine) -> None:
    machine.put("/etc/x/a.conf", "s3cret-old")
    change = await difference(world, file(Secret("s3cret-new")))
    assert change is not None
    assert "s3cret" not in str(change.differences)
    assert "s3cret" not in str(public(change.observed))


async def test_file_changed_since_it_was_looked_at_is_refused(world: World, machine: FakeMachine) -> None:
    change = await difference(world, file())
    assert change is not None
    machine.put("/etc/x/a.conf", "by somebody else")
    with pytest.raises(FindingsError, match="changed-meanwhile"):
        await KINDS["file"].apply(world, change)
    assert machine.text("/etc/x/a.conf") == "by somebody else"


async def test_restored_file_shows_no_content(world: World, machine: FakeMachine) -> None:
    machine.put("/etc/x/a.conf", "s3cret-old")
    change = await make_true(world, file("s3cret-new"))
    inverse = KINDS["file"].invert(change)
    assert inverse is not None
    back = await difference(world, inverse.item)
    assert back is not None
    assert "s3cret" not in str((back.differences, public(back.observed)))


async def test_restored_file_is_inverted_by_itself(world: World, machine: FakeMachine) -> None:
    machine.put("/etc/x/a.conf", "old")
    inverse = KINDS["file"].invert(await make_true(world, file()))
    assert inverse is not None
    again = KINDS["restored-file"].invert(await make_true(world, inverse.item))
    assert again is not None
    assert isinstance(again.item, RestoredFile)
    await make_true(world, again.item)
    assert machine.text("/etc/x/a.conf") == "new\n"


async def test_parameter_that_the_kernel_does_not_have(world: World) -> None:
    item = Sysctl(node="one", name="no.such", value="1")
    change = await difference(world, item)
    assert change is not None
    assert KINDS["sysctl"].invert(change) is None
    with pytest.raises(FindingsError, match="node-sysctl-failed"):
        await KINDS["sysctl"].apply(world, change)


@pytest.mark.parametrize(
    ("enabled", "running", "names"),
    [
        (True, True, []),
        (False, None, ["at boot"]),
        (False, False, ["at boot", "now"]),
        (True, False, ["now"]),
    ],
)
async def test_unit_differences(world: World, enabled: bool, running: bool | None, names: list[str]) -> None:
    change = await difference(world, Unit(node="one", name="mariadb", enabled=enabled, running=running))
    assert [line.name for line in change.differences] == names if change else names == []
    assert bool(change and change.impact) == (running is False)


async def test_absent_unit_is_off_already(world: World) -> None:
    assert await difference(world, Unit(node="one", name="none", enabled=False, running=False)) is None


async def test_unit_that_cannot_be_enabled(world: World) -> None:
    item = Unit(node="one", name="x", enabled=False)
    observed = {"manager": "systemd", "known": True, "enabled": None, "running": False}
    assert KINDS["unit"].compare(item, observed) is None


async def test_package_that_nobody_has_is_a_finding(world: World) -> None:
    change = await difference(world, Package(node="one", name="none"))
    assert change is not None
    with pytest.raises(FindingsError, match="node-package-failed"):
        await KINDS["package"].apply(world, change)


# Keys


def make_keys(machine: FakeMachine, _: list[str]) -> None:
    machine.put("/etc/keystone/fernet-keys/0", "staged")
    machine.put("/etc/keystone/fernet-keys/1", "primary")


@pytest.fixture
def nodes(tmp_path: Path) -> dict[str, FakeMachine]:
    machines = {name: FakeMachine(tmp_path / name) for name in ("one", "two", "three")}
    for made in machines.values():
        made.programs["keystone-manage"] = partial(make_keys, made)
    return machines


KEYS = KeyRepository(
    path="/etc/keystone/fernet-keys",
    nodes=("one", "two", "three"),
    owner=OWNER,
    group=GROUP,
    create=("keystone-manage", "fernet_setup"),
)


def keys_of(machine: FakeMachine) -> dict[str, str]:
    directory = Path(machine.root + KEYS.path)
    return {entry.name: entry.read_text() for entry in directory.iterdir() if entry.name.isdigit()}


def world_of(nodes: dict[str, FakeMachine]) -> World:
    return World({name: MachineHost(name, machine) for name, machine in nodes.items()})


async def test_first_keys_are_made_once_and_copied(nodes: dict[str, FakeMachine]) -> None:
    change = await make_true(world_of(nodes), KEYS)
    assert not change.reversible
    assert change.impact == ""
    assert (
        keys_of(nodes["one"])
        == keys_of(nodes["two"])
        == keys_of(nodes["three"])
        == {"0": "staged", "1": "primary"}
    )


async def test_newest_keys_win(nodes: dict[str, FakeMachine]) -> None:

    for name, time in (("one", 100), ("two", 300), ("three", 200)):
        for key in ("0", "1"):
            os.utime(nodes[name].put(f"{KEYS.path}/{key}", f"of {name}"), (time, time))
        os.chmod(nodes[name].root + KEYS.path, 0o700)  # noqa: PTH101 - ruff takes it for blocking otherwise
    change = await make_true(world_of(nodes), KEYS)
    assert [(line.name, line.after) for line in change.differences] == [
        ("keys on one", "those of two"),
        ("keys on three", "those of two"),
    ]
    assert "tokens" in change.impact
    assert "of one" not in str((change.differences, change.observed))
    assert keys_of(nodes["one"]) == keys_of(nodes["three"]) == {"0": "of two", "1": "of two"}


async def test_copy_that_was_interrupted_is_not_the_newest(nodes: dict[str, FakeMachine]) -> None:

    for number in range(4):
        os.utime(nodes["three"].put(f"{KEYS.path}/{number}", f"key {number}"), (500 + number, 500 + number))
    nodes["one"].put(f"{KEYS.path}/9", "stale")
    os.utime(f"{nodes['one'].root}{KEYS.path}/9", (400, 400))
    wanted = keys_of(nodes["three"])
    change = await difference(world_of(nodes), KEYS)
    assert change is not None
    original, written = os.utime, 0

    def dies(*arguments: object, **more: object) -> None:
        nonlocal written
        written += 1
        if written == 3:
            raise RuntimeError("died")
        original(*arguments, **more)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "utime", dies)
        with pytest.raises(RuntimeError, match="died"):
            await KINDS["key-repository"].apply(world_of(nodes), change)
    await make_true(world_of(nodes), KEYS)
    assert all(keys_of(machine) == wanted for machine in nodes.values())


async def test_command_that_makes_no_keys(nodes: dict[str, FakeMachine]) -> None:
    nodes["one"].programs["keystone-manage"] = lambda _: None
    change = await difference(world_of(nodes), KEYS)
    assert change is not None
    with pytest.raises(FindingsError, match="keys-not-made"):
        await KINDS["key-repository"].apply(world_of(nodes), change)


async def test_unknown_node_is_a_finding_with_words(world: World) -> None:
    with pytest.raises(FindingsError) as caught:
        world.node("none")
    assert caught.value.findings[0].code in known_codes()
    assert "none" in message_for(caught.value.findings[0])
