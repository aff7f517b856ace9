"""The design: spec and catalog become everything that must be true (pure)."""

from collections.abc import Callable
from dataclasses import dataclass

from understudy.catalog.model import Catalog
from understudy.catalog.releases import Release
from understudy.design.cluster import cluster_configuration, stages
from understudy.design.context import Cloud, service_resource
from understudy.design.data import data_items
from understudy.design.items import ClusterResources, Item, phase_of
from understudy.design.membership import corosync_conf, membership
from understudy.design.nodes import configuration_digests, node_items
from understudy.design.shape import shaped
from understudy.formats.cluster import ClusterConfiguration
from understudy.secret import Secret
from understudy.spec.model import Spec


@dataclass(frozen=True)
class Design:
    """Everything that must be true if the spec is to hold."""

    items: tuple[Item, ...]
    cluster: ClusterConfiguration
    corosync_conf: str


def make_design(spec: Spec, catalog: Catalog, release: Release, secret: Callable[[str], Secret]) -> Design:
    """Return the design of a spec that ``check`` found no error in; ``secret`` gives a secret by its name."""
    cloud = Cloud(spec, catalog, release, secret)
    whole = shaped(cloud, cluster_configuration(cloud, configuration_digests(cloud)))
    corosync = corosync_conf(spec, cloud.preset.token)
    items = (
        *node_items(cloud),
        membership(cloud, corosync),
        *data_items(cloud),
        *_cluster_items(cloud, whole),
    )
    return Design(items=tuple(sorted(items, key=phase_of)), cluster=whole, corosync_conf=corosync)


def required_secrets(spec: Spec, catalog: Catalog, release: Release) -> tuple[str, ...]:
    """Return the names of all secrets that the design of a spec refers to, but for the fencing password."""
    names: dict[str, None] = {}

    def record(name: str) -> Secret:
        names.setdefault(name)
        return Secret("-")

    make_design(spec, catalog, release, record)
    return tuple(name for name in names if name != "fencing")


def _cluster_items(cloud: Cloud, whole: ClusterConfiguration) -> list[ClusterResources]:
    clients = {
        service_resource(name, service): cloud.entry(name).clients_miss
        for name, service in cloud.spec.services.items()
        if cloud.entry(name).clients_miss
    }
    fencing = {primitive.id for primitive in whole.primitives() if primitive.is_fencing}
    primitives = {primitive.id for primitive in whole.primitives()}
    return [
        ClusterResources(
            stage=stage,
            stage_ids=ids,
            configuration=whole,
            nodes=tuple(cloud.spec.nodes),
            ready=tuple(sorted((ids & primitives) - fencing)),
            clients_of=clients,
            reason="the spec",
        )
        for stage, ids in stages(cloud, whole).items()
    ]
