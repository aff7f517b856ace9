"""A file system on a shared device: made only where nothing is."""

from collections.abc import Mapping
from typing import Any

import pytest
from tests.unit.kinds.conftest import NODES, Cluster, done

from understudy.design.items import SharedFilesystem
from understudy.findings import FindingsError
from understudy.kinds.model import Change
from understudy.kinds.shared_filesystem import SharedFilesystemKind

KIND = SharedFilesystemKind()
DEVICE = "/dev/disk/by-id/scsi-shared"
ITEM = SharedFilesystem(name="shared", device=DEVICE, filesystem="xfs", nodes=NODES)
BLANK = done(exit_status=2)


def holding(cluster: Cluster, contents: Mapping[str, str]) -> None:
    """Have each node find this on the device: ``missing``, ``blank``, or what blkid says."""

    def answer(call: dict[str, Any]) -> object:
        content, program = contents[call["node"]], call["argv"][0]
        if program == "test":
            return done(exit_status=1 if content == "missing" else 0)
        if program == "blkid":
            return BLANK if content in {"missing", "blank"} else done(content)
        return done()

    cluster.answers["run"] = answer


async def change_of(cluster: Cluster) -> Change | None:
    return KIND.compare(ITEM, (await KIND.observe(cluster.world(), [ITEM]))[ITEM.key])


async def test_the_right_one_needs_nothing(cluster: Cluster) -> None:
    holding(cluster, dict.fromkeys(NODES, f"DEVNAME={DEVICE}\nTYPE=xfs\n"))
    assert await change_of(cluster) is None


async def test_a_blank_device_gets_one_from_one_node(cluster: Cluster) -> None:
    holding(cluster, dict.fromkeys(NODES, "blank"))
    change = await change_of(cluster)
    assert change is not None
    assert not change.reversible
    await KIND.apply(cluster.world(), change)
    assert cluster.ran("mkfs.xfs") == [("one", ["mkfs.xfs", "-q", DEVICE])]


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("TYPE=ext4\n", "ext4"),
        ("PTTYPE=gpt\n", "gpt"),
        ("TYPE=LVM2_member\n", "LVM2_member"),
        ("", "something unknown"),
        ("AMBIVALENT=1\n", "something unknown"),
    ],
)
@pytest.mark.parametrize("nodes", [NODES, NODES[2:]])
async def test_what_holds_anything_else_is_never_touched(
    cluster: Cluster, content: str, named: str, nodes: tuple[str, ...]
) -> None:
    holding(cluster, {node: content if node in nodes else "blank" for node in NODES})
    with pytest.raises(FindingsError) as caught:
        await change_of(cluster)
    (finding,) = caught.value.findings
    assert finding.code == "device-in-use"
    assert named in str(finding.values["content"])


async def test_a_last_look_before_it_is_made(cluster: Cluster) -> None:
    holding(cluster, dict.fromkeys(NODES, "blank"))
    change = await change_of(cluster)
    assert change is not None
    holding(cluster, {**dict.fromkeys(NODES, "blank"), "three": "TYPE=ext4\n"})
    with pytest.raises(FindingsError, match="device-in-use"):
        await KIND.apply(cluster.world(), change)
    holding(cluster, dict.fromkeys(NODES, "TYPE=xfs\n"))
    await KIND.apply(cluster.world(), change)
    assert cluster.ran("mkfs.xfs") == []


async def test_every_node_that_lacks_the_device_is_named(cluster: Cluster) -> None:
    holding(cluster, {"one": "missing", "two": "blank", "three": "missing"})
    with pytest.raises(FindingsError) as caught:
        await change_of(cluster)
    assert [(one.code, one.subject) for one in caught.value.findings] == [
        ("device-missing", "one"),
        ("device-missing", "three"),
    ]


async def test_a_mkfs_that_fails_is_told(cluster: Cluster) -> None:
    holding(cluster, dict.fromkeys(NODES, "blank"))
    change = await change_of(cluster)
    assert change is not None
    before = cluster.answers["run"]

    def failing(call: dict[str, Any]) -> Any:
        return done(exit_status=1, stderr="no space") if call["argv"][0] == "mkfs.xfs" else before(call)

    cluster.answers["run"] = failing
    with pytest.raises(FindingsError) as caught:
        await KIND.apply(cluster.world(), change)
    assert caught.value.findings[0].code == "command-failed"
