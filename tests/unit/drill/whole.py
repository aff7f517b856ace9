"""A cloud of the examples, and its cluster as it is when all is well."""

from pathlib import Path

from understudy.catalog.load import load_catalog
from understudy.catalog.releases import release_named
from understudy.design.context import Cloud
from understudy.kinds.pacemaker import ClusterView, ResourceState
from understudy.secret import Secret
from understudy.spec.load import load_spec

ROOT = Path(__file__).parents[3]


def example(name: str) -> Cloud:
    spec = load_spec(ROOT / "examples" / f"{name}.yaml").spec
    return Cloud(spec, load_catalog(), release_named(spec.release), Secret)


CLOUD = example("image-api")
SPEC = CLOUD.spec
NODES = tuple(SPEC.nodes)
DEVICE = "<primitive id='f1' class='stonith'/>"
FENCED = f"<cib><configuration><crm_config/><resources>{DEVICE}</resources></configuration></cib>"


def runs(resource: str, node: str, role: str = "Started") -> ResourceState:
    return ResourceState(resource, node, role, failed=False, managed=True)


WHOLE = ClusterView(
    asked=NODES[0],
    online=NODES,
    known=NODES,
    unclean=(),
    standby=(),
    quorate=True,
    coordinator=NODES[0],
    resources=tuple(
        runs(name, NODES[1]) for name in ("mariadb", "keystone", "glance-api", "ip-api-internal")
    ),
    failures=(),
    cib=FENCED,
)
