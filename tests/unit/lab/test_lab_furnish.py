import stat
from pathlib import Path

import pytest

from understudy.lab.furnish import furnish
from understudy.lab.state import Folder
from understudy.lab.topology import LabDisk, LabNode, LabTopology, wire

TOPOLOGY = LabTopology(
    "lab",
    {"cluster": "10.0.0.0/24", "bmc": "10.1.0.0/24"},
    {"one": LabNode({"cluster": "10.0.0.1"}, "bmc", "10.1.0.1"), "two": LabNode({"cluster": "10.0.0.2"})},
    {"/dev/disk/by-id/shared": LabDisk(1 << 30)},
)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    folder = Folder(tmp_path / "lab")
    folder.path.mkdir()
    furnish(folder, tmp_path / "image", TOPOLOGY, wire(TOPOLOGY))
    return folder


def test_every_node_is_known_by_its_name_and_all_its_addresses(folder: Folder) -> None:
    lines = folder.known_hosts.read_text(encoding="utf-8").splitlines()
    assert [line.split()[0] for line in lines] == ["one,10.0.0.1,10.1.0.253", "two,10.0.0.2"]
    keys = [line.split(maxsplit=1)[1] for line in lines]
    assert len(set(keys)) == 2
    host_key = folder.node("one") / "upper/etc/ssh/ssh_host_ed25519_key.pub"
    assert host_key.read_text(encoding="utf-8").startswith(keys[0])


def test_keys_are_for_their_owner_only(folder: Folder) -> None:
    upper = folder.node("one") / "upper"
    for path in (
        folder.private_key,
        upper / "etc/ssh/ssh_host_ed25519_key",
        upper / "root/.ssh/authorized_keys",
    ):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for path in (upper / "root", upper / "root/.ssh"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700


def test_nodes_know_one_another_by_name(folder: Folder) -> None:
    hosts = (folder.node("two") / "upper/etc/hosts").read_text(encoding="utf-8").splitlines()
    assert {"10.0.0.1 one", "10.0.0.2 two"} <= set(hosts)
    assert (folder.node("two") / "upper/etc/hostname").read_text(encoding="utf-8") == "two\n"


def test_a_disk_has_its_size_and_takes_no_room(folder: Folder) -> None:
    status = folder.disk(0).stat()
    assert status.st_size == 1 << 30
    assert status.st_blocks == 0


@pytest.mark.root
def test_nothing_of_the_image_is_enabled_but_sshd(tmp_path: Path) -> None:
    image, folder = tmp_path / "image", Folder(tmp_path / "lab")
    for name in ("S01ssh", "S02mariadb", "K01logd"):
        link = image / "etc/rc2.d" / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(f"../init.d/{name[3:]}")
    folder.path.mkdir()
    furnish(folder, image, TOPOLOGY, wire(TOPOLOGY))
    runlevel = folder.node("one") / "upper/etc/rc2.d"
    assert sorted(link.name for link in runlevel.iterdir()) == ["K01logd", "K02mariadb", "S01ssh"]
    assert str((runlevel / "K02mariadb").readlink()) == "../init.d/mariadb"
