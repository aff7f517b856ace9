"""Options in a file that an operator also edits."""

import asyncio
import grp
import os
import pwd
from pathlib import Path
from typing import Any, Literal

import pytest

from understudy.design.items import Options, OptionValue
from understudy.findings import FindingsError
from understudy.hosts.fake import FakeMachine, MachineHost
from understudy.kinds.model import Change, World, public
from understudy.kinds.options import OptionsKind
from understudy.secret import MASK, Secret

OWNER, GROUP = pwd.getpwuid(os.geteuid()).pw_name, grp.getgrgid(os.getegid()).gr_name
PATH = "/etc/glance/glance-api.conf"
KIND = OptionsKind()
BEFORE = """\
# an operator's own words
[DEFAULT]
bind_host  =  10.0.0.11
debug=true
sql_connection = mysql://glance:s3cret-of-before@db/glance

[paste_deploy]
flavor = keystone
"""


@pytest.fixture
def machine(tmp_path: Path) -> FakeMachine:
    return FakeMachine(tmp_path)


def options(*values: OptionValue, dialect: Literal["oslo", "mysql"] = "oslo") -> Options:
    return Options(
        node="one", path=PATH, options=values, dialect=dialect, owner=OWNER, group=GROUP, mode=0o640
    )


async def look(machine: FakeMachine, item: Options) -> Change | None:
    world = World({"one": MachineHost("one", machine)})
    return KIND.compare(item, (await KIND.observe(world, [item]))[item.key])


async def make_true(machine: FakeMachine, item: Options) -> Change:
    change = await look(machine, item)
    assert change is not None
    await KIND.apply(World({"one": MachineHost("one", machine)}), change)
    assert await look(machine, item) is None
    return change


async def test_only_our_options_change(machine: FakeMachine) -> None:
    file = machine.put(PATH, BEFORE, 0o604)
    change = await make_true(
        machine, options(OptionValue("DEFAULT", "bind_host", "192.168.42.103", "the address"))
    )
    (line,) = change.differences
    assert (line.name, line.before, line.after, line.reason) == (
        "[DEFAULT] bind_host",
        "10.0.0.11",
        "192.168.42.103",
        "the address",
    )
    changed = machine.text(PATH).splitlines()
    assert [old for old, new in zip(BEFORE.splitlines(), changed, strict=True) if old != new] == [
        "bind_host  =  10.0.0.11"
    ]
    assert file.stat().st_mode & 0o777 == 0o604


async def test_missing_file_is_made_with_owner_and_mode(machine: FakeMachine) -> None:
    item = options(OptionValue("DEFAULT", "debug", "true"))
    await make_true(machine, item)
    observed: Any = await KIND.observe(World({"one": MachineHost("one", machine)}), [item])
    assert (observed[item.key]["owner"], observed[item.key]["mode"]) == (OWNER, 0o640)


async def test_removed_option_does_not_show_the_password_that_was_in_it(machine: FakeMachine) -> None:
    machine.put(PATH, BEFORE)
    change = await make_true(machine, options(OptionValue("DEFAULT", "sql_connection", None)))
    assert [(line.before, line.after) for line in change.differences] == [(MASK, None)]
    assert "s3cret" not in str(public(change.observed))
    assert "s3cret" not in machine.text(PATH)


async def test_secret_is_masked_and_written_so_that_it_is_read_as_it_is(machine: FakeMachine) -> None:
    machine.put(PATH, "[keystone_authtoken]\npassword = s3cret-old\n")
    change = await make_true(
        machine, options(OptionValue("keystone_authtoken", "password", Secret("s3cret$new")))
    )
    assert [(line.before, line.after, line.secret) for line in change.differences] == [(MASK, MASK, True)]
    assert "s3cret" not in str((change.differences, public(change.observed)))
    assert machine.text(PATH) == "[keystone_authtoken]\npassword = s3cret$$new\n"


async def test_repeated_option_gets_one_value(machine: FakeMachine) -> None:
    machine.put(PATH, "[DEFAULT]\na = 1\na = 2\n")
    change = await make_true(machine, options(OptionValue("DEFAULT", "a", "2")))
    assert change.differences[0].before == "1, 2"


async def test_dialect_of_mariadb(machine: FakeMachine) -> None:
    machine.put(PATH, "!includedir /etc/x\n[mysqld]\nbind-address = 127.0.0.1 # local\n")
    await make_true(
        machine, options(OptionValue("mysqld", "bind_address", "192.168.42.101"), dialect="mysql")
    )
    assert "!includedir /etc/x\n" in machine.text(PATH)
    assert "192.168.42.101" in machine.text(PATH)


async def test_file_that_its_owner_could_not_read(machine: FakeMachine) -> None:
    machine.put(PATH, "[DEFAULT]\nthis is nothing\n")
    with pytest.raises(FindingsError) as caught:
        await look(machine, options(OptionValue("DEFAULT", "a", "1")))
    assert str(caught.value.findings[0].place) == f"one:{PATH}:2:1"


async def test_value_that_cannot_be_written(machine: FakeMachine) -> None:
    item = options(OptionValue("DEFAULT", "a", Secret("s3cret\r")))
    change = await look(machine, item)
    assert change is not None
    with pytest.raises(FindingsError, match="option-not-writable") as caught:
        await KIND.apply(World({"one": MachineHost("one", machine)}), change)
    assert "s3cret" not in str(caught.value.findings)


async def test_edited_meanwhile_is_refused(machine: FakeMachine) -> None:
    machine.put(PATH, BEFORE)
    change = await look(machine, options(OptionValue("DEFAULT", "debug", "false")))
    assert change is not None
    await asyncio.to_thread(machine.put, PATH, BEFORE + "# and more\n")
    with pytest.raises(FindingsError, match="changed-meanwhile"):
        await KIND.apply(World({"one": MachineHost("one", machine)}), change)
    assert machine.text(PATH) == BEFORE + "# and more\n"
