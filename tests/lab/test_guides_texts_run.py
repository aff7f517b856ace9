"""The guides' own texts, mended, on a cluster that lives: loaded with the real crmsh and pcs, run by our agents.

What the guides have a person write beside them, option files, databases, users and endpoints, is made by applying a
spec; what that had Pacemaker run is taken away again. The addresses of the texts become those of the lab, and their
password the one that there is.
"""

import os
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from lxml import etree
from tests.lab.cloud_client import CloudClient, client_of, patiently
from tests.lab.cluster import OTHER_NETWORKS, Site, brought_up, make_site

from understudy.agents import deployment
from understudy.catalog.load import load_catalog
from understudy.lab.client import LabError

pytestmark = [pytest.mark.root, pytest.mark.lab, pytest.mark.long]

TEXTS = Path(__file__).parents[1] / "golden" / "guides" / "texts"
EXAMPLE = Path(__file__).parents[2] / "examples" / "guide-000.yaml"
SNIPPETS = ("networking", "block-storage", "image", "api-group", "mysql", "rabbitmq", "properties")
INSTEAD = (
    ("scsi-database", "scsi-mysql"),
    ("scsi-broker", "scsi-rabbitmq"),
    ("\n  nova-api:  ", "\n  glance-api: {address: api, workers: 1}\n  nova-api:  "),
    ("\n  nova-api:  ", "\n  cinder-api: {address: api, workers: 1}\n  nova-api:  "),
)
APIS = ("p_keystone", "p_glance-api", "p_cinder-api", "p_neutron-server")
GROUPS = {
    "g_services_api": {"p_api-ip", *APIS},
    "g_mysql": {"p_ip_mysql", "p_fs_mysql", "p_mysql"},
    "g_rabbitmq": {"p_ip_rabbitmq", "p_fs_rabbitmq", "p_rabbitmq"},
}
LIVE_SECONDS = 240
SERVER = "head -n 1 /run/resource-agents/p_neutron-server.pid"
# The guides mount a file system where the service has its data; a spec's is mounted elsewhere, with a folder in it.
TO_THE_ROOT = """
mount {device} /mnt
mv /mnt/{folder} /mnt/.all
find /mnt/.all -mindepth 1 -maxdepth 1 -exec mv -t /mnt {{}} +
rmdir /mnt/.all
[ ! -e /var/lib/{folder}/.erlang.cookie ] || cp -a /var/lib/{folder}/.erlang.cookie /mnt
chown {folder}: /mnt && chmod 750 /mnt
umount /mnt
"""
PROXY = """
defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s
listen keystone
    bind {proxy}:5000
    server virtual {api}:5000
"""


def lab_text(site: Site, name: str) -> str:
    """Return a text with the lab's networks and the administrator's password."""
    text = (TEXTS / name).read_text(encoding="utf-8")
    if name == "networking.crm":  # the same service under its older name is not there any more
        text = text[text.index("primitive p_neutron-server") :]
    for before, after in OTHER_NETWORKS.items():
        text = text.replace(before, after)
    password = (site.spec.parent / "secrets" / "identity-admin").read_text().strip()
    return re.sub(r"os_password=\w+", f'os_password="{password}"', text)


def give_up_ours(site: Site) -> None:
    """Stop and remove all resources but the fencing devices, with their constraints."""
    first = site.nodes[0]
    site.on(first, "crm_attribute -n stop-all-resources -v true && crm_resource --wait --timeout 150", 180)
    tree = etree.fromstring(site.on(first, "cibadmin --query --scope configuration").encode())
    # What concerns fencing is called so.
    for path in ("resources/*", "constraints/*", "tags/tag/obj_ref"):
        for each in list(tree.iterfind(path)):
            parent = each.getparent()
            if "fence" not in str(each.get("id")) and parent is not None:
                parent.remove(each)
    text = etree.tostring(tree).decode()
    site.on(first, f"cibadmin --replace --scope configuration --xml-pipe <<'END'\n{text}\nEND")
    site.on(first, "crm_attribute -n stop-all-resources -D && crm_resource --wait --timeout 60")


def anywhere(site: Site, command: str) -> str:
    """Return what a command says on the first node on which it works; a node may be without power."""
    for node in site.nodes:
        with suppress(LabError):
            done = site.lab.run_in(node, ["sh", "-c", command], 60)
            if done.returncode == 0:
                return done.stdout
    return ""


def started(site: Site) -> dict[str, str]:
    """Return where each resource is started and has not failed."""
    text = anywhere(site, "crm_mon --one-shot --output-as=xml")
    placed = {}
    for each in etree.fromstring(text.encode()).iterfind(".//resource") if text else ():
        node = each.find("node")
        if each.get("role") == "Started" and each.get("failed") == "false" and node is not None:
            placed[str(each.get("id"))] = str(node.get("name"))
    return placed


def wait_started(site: Site, names: set[str]) -> dict[str, str]:
    """Wait until these resources are started, and return where."""
    deadline = time.monotonic() + LIVE_SECONDS
    while True:
        placed = started(site)
        if names <= placed.keys():
            return placed
        assert time.monotonic() < deadline, anywhere(site, "crm_mon -1rf")
        time.sleep(1)


@pytest.fixture(scope="module")
def site(apply_labs: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    name = f"test-{os.getpid()}-texts"
    site = make_site(tmp_path_factory.mktemp("texts"), name, *INSTEAD, example=EXAMPLE)
    with brought_up(site):
        site.settle()
        give_up_ours(site)
        for disk, folder in (("scsi-mysql", "mysql"), ("scsi-rabbitmq", "rabbitmq")):
            site.on(site.nodes[0], TO_THE_ROOT.format(device=f"/dev/disk/by-id/{disk}", folder=folder))
        text = "".join(lab_text(site, f"{name}.crm") for name in SNIPPETS)
        site.on(
            site.nodes[0],
            f"cat >/run/guides.crm <<'END'\n{text}END\ncrm configure load update /run/guides.crm",
        )
        yield site


@pytest.fixture
def client(site: Site) -> CloudClient:
    wait_started(site, set().union(*GROUPS.values()))
    return client_of(site, "internal")


def test_the_groups_run_each_on_one_node_and_serve(site: Site, client: CloudClient) -> None:
    placed = started(site)
    for name, members in GROUPS.items():
        assert len({placed[one] for one in members}) == 1, name
    for kind in ("networks", "images"):
        client.make(kind, "by the guides' text")
    assert client.patiently("volumev3", "GET", "/volumes") == {"volumes": []}
    time.sleep(35)  # one monitor of each, every 30 s
    assert "fail-count" not in anywhere(site, "crm_mon -1rf")
    assert started(site) == placed


def test_a_killed_service_is_started_again(site: Site, client: CloudClient) -> None:
    node = started(site)["p_neutron-server"]
    killed = site.on(node, SERVER)
    site.on(node, f"kill -KILL {killed}")

    def again() -> None:
        assert site.on(node, SERVER) != killed

    patiently(again)
    wait_started(site, set(APIS))
    client.network("after the kill")


def test_the_groups_move_on_power_loss(site: Site, client: CloudClient) -> None:
    client.network("before the power loss")
    victim, begun = started(site)["p_api-ip"], time.time()
    site.lab.crash(victim)
    client.network("after the power loss")
    placed = wait_started(site, set().union(*GROUPS.values()))
    assert site.fenced(victim, begun)
    assert victim not in {placed[one] for one in GROUPS["g_services_api"]}
    there = client.names("networks")["networks"]
    assert {"before the power loss", "after the power loss"} <= there


def test_pcs_commands_of_the_guide_for_several_nodes_run(site: Site, client: CloudClient) -> None:
    api = site.addresses("api")["internal"]
    proxy = api.replace(".103", ".105")
    # Nova's console authorisation is gone since Train: another daemon of Nova's goes by its name.
    agent = deployment({"nova-consoleauth": load_catalog().services["nova-consoleauth"].agent})
    for node in site.nodes:
        site.lab.boot(node)
        for file in agent:
            site.on(node, f"cat >{file.path} <<'END'\n{file.content}END\nchmod {file.mode:o} {file.path}")
        text = PROXY.format(proxy=proxy, api=api)
        site.on(node, f"cat >/etc/haproxy/haproxy.cfg <<'END'\n{text}END")
        site.on(node, "cp -a /usr/bin/nova-conductor /usr/bin/nova-consoleauth")
    commands = [one for one in lab_text(site, "several-nodes.pcs").splitlines() if one.startswith("pcs ")]
    site.on(site.nodes[0], "\n".join(commands))
    placed = wait_started(site, {"test-ip", "consoleauth", "haproxy"})
    assert len({placed[one] for one in ("test-ip", "consoleauth", "haproxy")}) == 1
    through = CloudClient(site.lab, f"http://{proxy}:5000/v3", client.password, interface="internal")
    assert through.call("network", "GET", "/v2.0/networks")["networks"]
    victim, begun = placed["haproxy"], time.time()
    site.lab.crash(victim)
    assert through.patiently("network", "GET", "/v2.0/networks")["networks"]
    placed = wait_started(site, {"test-ip", "consoleauth", "haproxy", *set().union(*GROUPS.values())})
    assert placed["haproxy"] != victim
    assert site.fenced(victim, begun)
