"""What goes wrong outside: each is told in a clear sentence with exit status 1, and nothing is left half-written."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tests.lab.cluster import Site

from understudy.lab.client import SWITCH

pytestmark = [pytest.mark.root, pytest.mark.lab]

OPTIONS = "/etc/glance/glance-api.conf"
LIMIT = ("workers: 1}", "workers: 1, options: {DEFAULT: {image_size_cap: 9876543210}}}")
SSH = "secrets: {directory: secrets}"


def test_a_node_that_is_switched_off(site: Site) -> None:
    node = site.idle_node()
    site.lab.power_off(node)
    try:
        for command in ("plan", "apply"):
            done = site.understudy(command)
            assert done.returncode == 1
            assert f"{node} does not answer over SSH" in done.stderr
        assert site.codes("plan") == (1, ["host-unreachable"])
        seen = site.document("status")
        assert seen["healthy"] is False
        assert seen["nodes"][node].startswith("unreachable: ")
        assert site.understudy("status").returncode == 1
    finally:
        site.lab.boot(node)
    site.settle()


def test_a_host_key_that_is_not_the_known_one(site: Site) -> None:
    node, known = site.nodes[1], site.lab.known_hosts
    before = known.read_text()
    lines = {line.split(",")[0]: line for line in before.splitlines()}
    address, key = lines[node].split(" ", 1)[0], lines[site.nodes[0]].split(" ", 1)[1]
    try:
        known.write_text(before.replace(lines[node], f"{address} {key}"))
        assert site.codes("apply") == (1, ["host-key-mismatch"])
        known.write_text(before.replace(lines[node] + "\n", ""))
        assert site.codes("apply") == (1, ["host-key-unknown"])
    finally:
        known.write_text(before)


def test_a_login_that_may_not_become_root(site: Site) -> None:
    for node in site.nodes:
        site.on(
            node,
            "useradd --create-home --shell /bin/sh deployer; install -d -o deployer -m 700 ~deployer/.ssh;"
            "install -o deployer -m 600 /root/.ssh/authorized_keys ~deployer/.ssh/authorized_keys",
        )
    lab = site.lab
    login = f"ssh: {{user: deployer, identity: {lab.private_key}, known_hosts: {lab.known_hosts}}}"
    spec = site.variant("sudo", (SSH, f"{SSH}\n{login}"))
    inside = tuple(lab.argv_in(SWITCH, []))
    try:
        refused = site.understudy("plan", "--live", spec=spec, prefix=inside)
        assert refused.returncode == 1
        assert refused.stderr.count("host-no-sudo") == 3
        for node in site.nodes:
            site.on(node, "echo 'deployer ALL=(root) NOPASSWD: ALL' > /etc/sudoers.d/deployer")
        allowed = site.understudy("plan", "--live", "--exit-code", spec=spec, prefix=inside)
        assert (allowed.returncode, "3 live nodes reached" in allowed.stdout) == (0, True), allowed.stderr
    finally:
        for node in site.nodes:
            site.on(node, "rm -f /etc/sudoers.d/deployer; userdel --remove deployer 2>/dev/null")


@contextmanager
def full(site: Site, node: str, folder: str) -> Iterator[None]:
    """Have no byte left in a folder of a node."""
    # Only this folder may be full: what the node's daemons write elsewhere must go on.
    site.on(
        node, f"cp -a {folder} /root/kept; mount -t tmpfs -o size=8m tmpfs {folder}; mv /root/kept/* {folder}"
    )
    try:
        site.on(node, f"rm -r /root/kept; dd if=/dev/zero of={folder}/fill bs=4k 2>/dev/null || true")
        yield
    finally:
        site.on(node, f"umount {folder}")


def test_a_disk_that_is_full_during_a_write(site: Site) -> None:
    node = site.idle_node()
    limited = site.variant("limited", LIMIT)
    with full(site, node, "/etc/glance"):
        listed = site.on(node, "ls -A /etc/glance")
        before = site.on(node, f"cat {OPTIONS}; stat -c '%a %U %G' {OPTIONS}")
        document = site.document("apply", spec=limited)
        assert [finding["code"] for finding in document["findings"]] == ["node-disk-full"]
        assert f"options {node} {OPTIONS}" in document["remaining"]
        assert "cluster-resources cluster cluster" in document["remaining"]
        assert site.on(node, f"cat {OPTIONS}; stat -c '%a %U %G' {OPTIONS}") == before
        assert site.on(node, "ls -A /etc/glance") == listed
    assert "remains" not in site.understudy("apply", spec=limited).stdout
    assert "image_size_cap = 9876543210" in site.on(node, f"cat {OPTIONS}")
    assert site.understudy("apply").returncode == 0


def test_keystone_does_not_answer(site: Site) -> None:
    node = site.where("keystone")
    site.on(node, "pkill -STOP -u keystone uwsgi")
    try:
        document = site.document("plan")
        assert {finding["code"] for finding in document["findings"]} == {"keystone-unreachable"}
        (message,) = {finding["message"] for finding in document["findings"]}
        assert message.startswith("Keystone at http://10.91.42.103:5000/v3 does not answer: ")
        assert "127.0.0.1" not in message
    finally:
        site.on(node, "pkill -CONT -u keystone uwsgi || true")
    site.settle()


def test_keystone_was_stopped_by_hand(site: Site) -> None:
    node = site.where("keystone")
    stop = "crm_resource --resource keystone --meta --set-parameter target-role --parameter-value Stopped"
    site.on(node, f"{stop}; crm_resource --wait --timeout 90")
    seen = site.document("status")
    assert seen["healthy"] is False
    assert [each["state"] for each in seen["resources"] if each["name"] == "keystone"] == ["stopped"]
    plan = site.understudy("plan", "--exit-code")
    assert plan.returncode == 3
    assert "primitive keystone meta target-role  Stopped → removed" in plan.stdout
    assert "Pacemaker will start keystone on" in plan.stdout
    assert site.understudy("apply").returncode == 0
    assert site.understudy("plan", "--exit-code").returncode == 0


def test_a_partition_without_quorum(site: Site) -> None:
    nodes = site.nodes
    try:
        for node in nodes:
            site.lab.cut(node, "management", peers=[other for other in nodes if other != node])
        seen = site.settle(lambda now: now.get("quorate") is False)
        assert seen["healthy"] is False
        before = site.on(nodes[0], "cibadmin --query --local --scope configuration")
        for command in ("plan", "apply"):
            status, codes = site.codes(command, spec=site.variant("limited", LIMIT))
            assert (status, codes[0]) == (1, "cluster-without-quorum")
        assert site.on(nodes[0], "cibadmin --query --local --scope configuration") == before
    finally:
        site.lab.heal()
    site.settle()
