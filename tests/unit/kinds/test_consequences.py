"""What Pacemaker would do, in words, and what clients would notice of it."""

import pytest
from lxml import etree
from tests.unit.kinds.conftest import NODES, Cluster, completed

from understudy.design.items import ClusterResources, Phase
from understudy.formats.cluster import ClusterConfiguration, Primitive
from understudy.kinds.cluster_resources import fresh_cib
from understudy.kinds.consequences import Action, foretell, notices
from understudy.kinds.model import Change

WHOLE = ClusterConfiguration(resources=(Primitive(id="web", agent="ocf:heartbeat:Dummy"),))
CLIENTS = {"web": "pages", "api-clone": "every API"}


def change(stage: Phase) -> Change:
    return Change(
        ClusterResources(stage=stage, stage_ids=frozenset({"web"}), configuration=WHOLE, nodes=NODES),
        (),
        None,
    )


def simulating(cluster: Cluster, actions: str) -> None:
    output = f"<pacemaker-result><actions>{actions}</actions></pacemaker-result>"
    cluster.programs["crm_simulate"] = lambda *_: completed(output)


@pytest.mark.parametrize(
    ("action", "sentence"),
    [
        ('<rsc_action action="Start" task="start" resource="web" node="one"/>', "start web on one"),
        ('<rsc_action task="stop" resource="web" node="one"/>', "stop web on one"),
        ('<rsc_action task="move" resource="web" source="one" dest="two"/>', "move web from one to two"),
        ('<rsc_action task="recover" resource="web" source="one" dest="one"/>', "restart web on one"),
        ('<rsc_action task="reload" resource="web" source="one" dest="one"/>', "reload web on one"),
        ('<rsc_action task="promote" resource="web" source="one" dest="one"/>', "promote web on one"),
        ('<node_action task="Fence (reboot)" node="three"/>', "fence three"),
    ],
)
async def test_its_own_actions_in_words(cluster: Cluster, action: str, sentence: str) -> None:
    simulating(cluster, action)
    actions = await foretell(cluster.world(), [change(Phase.CLUSTER)])
    assert [one.sentence() for one in actions] == [sentence]


async def test_only_the_last_stage_is_simulated(cluster: Cluster) -> None:
    assert await foretell(cluster.world(), []) == []
    assert await foretell(cluster.world(), [change(Phase.CLUSTER_STORAGE)]) == []
    simulating(cluster, "")
    await foretell(cluster.world(), [change(Phase.CLUSTER_STORAGE), change(Phase.CLUSTER)])
    assert [argv[0] for _, argv in cluster.commands].count("crm_simulate") == 1


async def test_before_there_is_a_cluster_all_nodes_are_taken_to_be_up(cluster: Cluster) -> None:
    cluster.formed = False
    simulating(cluster, "")
    await foretell(cluster.world(), [change(Phase.CLUSTER)])
    (argv,) = [argv for _, argv in cluster.commands if argv[0] == "crm_simulate"]
    assert argv[-3:] == [f"--node-up={node}" for node in NODES]


def test_a_fresh_cluster_knows_its_nodes() -> None:
    nodes = etree.fromstring(fresh_cib(NODES)).findall("configuration/nodes/node")
    assert [(node.get("id"), node.get("uname")) for node in nodes] == [
        ("1", "one"),
        ("2", "two"),
        ("3", "three"),
    ]


@pytest.mark.parametrize(
    ("word", "resource", "noticed"),
    [
        ("start", "web", []),
        ("reload", "web", []),
        ("stop", "web", ["pages, while web is stopped"]),
        ("move", "web", ["pages, while web is moved"]),
        ("restart", "web", ["pages, while web is restarted"]),
        ("restart", "api:1", ["every API, while api is restarted"]),
        ("restart", "fs-shared", []),
    ],
)
def test_what_clients_notice(word: str, resource: str, noticed: list[str]) -> None:
    assert notices([Action(word, resource, "one", "two", "")], CLIENTS) == noticed
