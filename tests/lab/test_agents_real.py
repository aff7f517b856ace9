"""The resource agents on the real services, beside those of the cluster: ocf-tester, and the meta-data's schemas."""

import re
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
from lxml import etree
from tests.lab.cluster import Site

from understudy.agents import address_agent, deployment
from understudy.catalog.load import load_catalog

pytestmark = [pytest.mark.root, pytest.mark.lab]

AGENTS = "/usr/lib/ocf/resource.d/openstack"
TESTER_SECONDS = 400
# The limit that Pacemaker would give; ocf-tester gives none, and the agents then take the short default.
LIMIT = "-o CRM_meta_timeout=120000"
GLANCE = f"""
install -d -o glance /tmp/tester /tmp/tester/store
cp /etc/glance/glance-api.conf /etc/glance/glance-api-paste.ini /tmp/tester
sed -i -e 's/^bind_port.*/bind_port = 19292/' \
    -e 's#^filesystem_store_datadir.*#filesystem_store_datadir = /tmp/tester/store#' /tmp/tester/glance-api.conf
chown -R glance /tmp/tester
exec ocf-tester -n tester {LIMIT} -o config=/tmp/tester/glance-api.conf {AGENTS}/glance-api
"""
KEYSTONE = f"""
exec ocf-tester -n tester {LIMIT} -o config=/etc/keystone/keystone.conf -o launch=uwsgi -o bind_host=127.0.0.1 \
    -o bind_port=15000 {AGENTS}/keystone
"""


@pytest.fixture
def node(site: Site) -> Iterator[str]:
    """Return a node on which no service of the cluster runs; another than the cluster's is left at the end."""
    name = site.idle_node()
    yield name
    left = site.on(name, "pgrep --list-full 'glance-api|uwsgi' || true; rm -rf /tmp/tester")
    assert left == ""


@pytest.mark.parametrize(("service", "script"), [("glance-api", GLANCE), ("keystone", KEYSTONE)])
def test_ocf_tester_passes(site: Site, node: str, service: str, script: str) -> None:
    before = site.pid(service)
    done = site.lab.run_in(node, ["sh", "-ec", script], TESTER_SECONDS)
    failures = re.findall(r"^\* rc=.*$", done.stdout, re.MULTILINE)
    # OCF 1.0 knows no reload-agent, so its DTD cannot be met by an agent that has it.
    allowed = [line for line in failures if "does not conform to ra-api-1.dtd" in line]
    assert failures == allowed, done.stdout + done.stderr
    assert "Aborting" not in done.stdout
    assert "does not support the reload action" in done.stdout or allowed or "passed all tests" in done.stdout
    assert site.pid(service) == before
    assert site.document("status")["healthy"] is True


def test_the_published_meta_data_meets_the_schemas_there(site: Site, image: Path) -> None:
    services = {name: entry.agent for name, entry in load_catalog().services.items() if entry.agent}
    files = (*deployment(services), address_agent())
    deployed = {Path(file.path).name for file in files if file.path.startswith(AGENTS)}
    there = site.on(site.nodes[0], f"ls {AGENTS}").split()
    assert set(there) <= deployed
    assert {"glance-api", "keystone"} <= set(there)
    with (image / "usr/share/resource-agents/ra-api-1.dtd").open("rb") as file:
        dtd = etree.DTD(file)
    schema = image / "usr/share/pcs/data/ocf-1.1.rng"
    newer = etree.RelaxNG(etree.parse(str(schema))) if schema.exists() else None
    for agent in there:
        text = site.on(site.nodes[0], f"OCF_ROOT=/usr/lib/ocf {AGENTS}/{agent} meta-data")
        document = etree.parse(BytesIO(text.encode()))
        if newer is not None:
            assert newer.validate(document), newer.error_log
        for element in document.iter("parameter"):
            element.attrib.pop("reloadable", "")
        for actions in document.iter("actions"):
            for action in actions.findall("action[@name='reload-agent']"):
                actions.remove(action)
        assert dtd.validate(document), dtd.error_log
