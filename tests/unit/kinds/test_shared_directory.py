"""A directory on shared storage: whole or not there, on the node where the storage is mounted."""

from typing import Any

import pytest
from tests.unit.kinds.conftest import Cluster, done

from understudy.design.items import SharedDirectory
from understudy.findings import FindingsError
from understudy.kinds.model import Change
from understudy.kinds.shared_directory import SharedDirectoryKind

KIND = SharedDirectoryKind()
PATH = "/var/lib/understudy/shared/mysql"
ITEM = SharedDirectory(
    path=PATH,
    owner="mysql",
    group="mysql",
    mode=0o750,
    mounted_by="fs-shared",
    initialise=("mariadb-install-db", "--datadir={directory}"),
)
LOCAL = "/var/tmp/tmp.1"
RIGHT = "directory:mysql:mysql:750\n"


def stating(cluster: Cluster, state: str | None) -> None:
    def answer(call: dict[str, Any]) -> object:
        if call["argv"][0] == "mktemp":
            return done(f"{LOCAL}\n")
        if call["argv"][0] != "stat":
            return done()
        return done(exit_status=1) if state is None else done(state)

    cluster.answers["run"] = answer


async def change_of(cluster: Cluster) -> Change | None:
    return KIND.compare(ITEM, (await KIND.observe(cluster.world(), [ITEM]))[ITEM.key])


async def test_the_right_one_needs_nothing(cluster: Cluster) -> None:
    cluster.running["fs-shared"] = "two"
    stating(cluster, RIGHT)
    assert await change_of(cluster) is None
    assert {node for node, _ in cluster.calls} == {"two"}


@pytest.mark.parametrize("formed", [True, False])
async def test_what_is_not_mounted_is_pending(cluster: Cluster, formed: bool) -> None:
    cluster.formed = formed
    change = await change_of(cluster)
    assert change is not None
    assert change.differences[0].before == "the storage is not mounted yet"


async def test_it_is_filled_beside_and_renamed_into_place(cluster: Cluster) -> None:
    cluster.running["fs-shared"] = "three"
    stating(cluster, None)
    change = await change_of(cluster)
    assert change is not None
    cluster.calls.clear()
    await KIND.apply(cluster.world(), change)
    assert {node for node, _ in cluster.calls} == {"three"}
    argvs = [call["argv"] for _, call in cluster.calls]
    at = {argv[0]: number for number, argv in reversed(list(enumerate(argvs)))}
    assert argvs[at["mariadb-install-db"]] == ["mariadb-install-db", f"--datadir={LOCAL}"]
    assert argvs[at["cp"]] == ["cp", "--archive", f"{LOCAL}/.", f"{PATH}.unfinished"]
    assert ["rm", "-rf", "--one-file-system", LOCAL] in argvs
    assert argvs[at["mv"]] == ["mv", "--no-target-directory", f"{PATH}.unfinished", PATH]
    assert at["rm"] < at["mkdir"] < at["mariadb-install-db"] < at["cp"] < at["chown"] < at["mv"]


async def test_one_that_is_there_only_gets_owner_and_mode(cluster: Cluster) -> None:
    cluster.running["fs-shared"] = "one"
    stating(cluster, "directory:root:root:755\n")
    change = await change_of(cluster)
    assert change is not None
    await KIND.apply(cluster.world(), change)
    assert [argv[0] for _, argv in cluster.ran("chown") + cluster.ran("chmod")] == ["chown", "chmod"]
    assert not cluster.ran("rm")
    assert not cluster.ran("mariadb-install-db")


async def test_a_storage_that_is_never_mounted_is_told(cluster: Cluster) -> None:
    stating(cluster, None)
    change = await change_of(cluster)
    assert change is not None
    with pytest.raises(FindingsError) as caught:
        await KIND.apply(cluster.world(), change)
    assert caught.value.findings[0].code == "resources-not-running"
    assert caught.value.findings[0].values["resources"] == "fs-shared"
