"""The guides' own texts, mended, go through the real crmsh and pcs with our agents."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from lxml import etree

from understudy.formats import cib, crmsh
from understudy.formats.cluster import ClusterConfiguration, Node

pytestmark = [pytest.mark.root, pytest.mark.lab]

Run = Callable[..., subprocess.CompletedProcess[str]]
Tools = tuple[Path, Run]
TEXTS = Path(__file__).parent / "texts"
SNIPPETS = (
    "networking", "block-storage", "image", "api-group", "network", "mysql", "rabbitmq", "properties"
)  # fmt: skip
GROUPS = {
    "g_services_api": ["p_api-ip", "p_keystone", "p_glance-api", "p_cinder-api", "p_neutron-server"],
    "g_services_network": ["p_neutron-l3-agent", "p_neutron-dhcp-agent", "p_neutron-metadata-agent"],
    "g_mysql": ["p_ip_mysql", "p_fs_mysql", "p_mysql"],
    "g_rabbitmq": ["p_ip_rabbitmq", "p_fs_rabbitmq", "p_rabbitmq"],
}
WITH_AGENTS = "cp -r /mnt/agents/. / && export CIB_file=/mnt/cib.xml && "


def empty(folder: Path, *names: str) -> None:
    nodes = tuple(Node(name=name, id=str(number)) for number, name in enumerate(names, start=1))
    (folder / "cib.xml").write_text(cib.render(ClusterConfiguration(nodes=nodes)), encoding="utf-8")


def members(folder: Path) -> dict[str, list[str]]:
    root = etree.fromstring((folder / "cib.xml").read_bytes())
    return {
        str(group.get("id")): [str(one.get("id")) for one in group.iterfind("primitive")]
        for group in root.iterfind(".//group")
    }


def test_crmsh_takes_the_guides_snippets(with_agents: Tools) -> None:
    folder, run = with_agents
    empty(folder, "n1", "n2")
    text = "".join((TEXTS / f"{name}.crm").read_text(encoding="utf-8") for name in SNIPPETS)
    (folder / "guides.crm").write_text(text, encoding="utf-8")
    done = run("sh", "-c", f"{WITH_AGENTS} crm -F configure load update /mnt/guides.crm")
    told = done.stdout + done.stderr
    assert done.returncode == 0, told
    assert not [line for line in told.splitlines() if "parameter" in line and "openstack" in line], told
    assert members(folder) == GROUPS
    assert not [one for one in crmsh.parse(text)[1] if one.severity == "error"]


def test_pcs_takes_the_commands_of_the_guide_for_several_nodes(with_agents: Tools) -> None:
    folder, run = with_agents
    empty(folder, "n1", "n2", "n3")
    lines = (TEXTS / "several-nodes.pcs").read_text(encoding="utf-8").splitlines()
    commands = [line.replace("pcs ", "pcs -f /mnt/cib.xml ", 1) for line in lines if line.startswith("pcs ")]
    done = run("sh", "-ec", f"{WITH_AGENTS} {' && '.join(commands)}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert members(folder) == {"test-group": ["test-ip", "consoleauth", "haproxy"]}
