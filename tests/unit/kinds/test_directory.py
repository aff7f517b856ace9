"""A directory that must be there."""

from typing import Any

import pytest
from tests.unit.kinds.conftest import Cluster, done

from understudy.design.items import Directory
from understudy.findings import FindingsError
from understudy.kinds.directory import DirectoryKind

KIND = DirectoryKind()
ITEM = Directory(node="two", path="/var/lib/understudy/shared", mode=0o750)


async def test_one_that_is_there_is_left_as_it_is(cluster: Cluster) -> None:
    cluster.answers["run"] = lambda _: done()
    observed = await KIND.observe(cluster.world(), [ITEM])
    assert KIND.compare(ITEM, observed[ITEM.key]) is None


async def test_one_that_is_missing_is_made_on_its_node(cluster: Cluster) -> None:
    cluster.answers["run"] = lambda call: done(exit_status=1 if call["argv"][0] == "test" else 0)
    world = cluster.world()
    observed = await KIND.observe(world, [ITEM])
    change = KIND.compare(ITEM, observed[ITEM.key])
    assert change is not None
    assert KIND.invert(change) is None
    await KIND.apply(world, change)
    assert cluster.ran("mkdir") == [("two", ["mkdir", "-p", "--mode=750", ITEM.path])]


async def test_a_failure_is_told_with_the_programs_words(cluster: Cluster) -> None:
    def answer(call: dict[str, Any]) -> object:
        return done(
            exit_status=1, stderr="mkdir: Read-only file system" if call["argv"][0] == "mkdir" else ""
        )

    cluster.answers["run"] = answer
    world = cluster.world()
    change = KIND.compare(ITEM, (await KIND.observe(world, [ITEM]))[ITEM.key])
    assert change is not None
    with pytest.raises(FindingsError) as caught:
        await KIND.apply(world, change)
    (finding,) = caught.value.findings
    assert (finding.code, finding.subject, caught.value.exit_status) == ("command-failed", "two", 1)
    assert finding.values["reason"] == "mkdir: Read-only file system"
