"""From a spec and where it runs to a drill that is ready to start."""

from collections.abc import Mapping
from typing import Any

from understudy.design.cluster import address_resource
from understudy.design.context import Cloud
from understudy.design.membership import times
from understudy.drill.clients import clients_of, tenant_clients
from understudy.drill.faults.aim import facts_of
from understudy.drill.faults.strike import Site
from understudy.drill.nodes import Connect, Nodes
from understudy.drill.preflight import Permission
from understudy.drill.run import Drill, Record, Tell, Watchers
from understudy.lab.client import CLIENT, SWITCH, TENANT, Lab
from understudy.lab.tenant import Belongings
from understudy.secret import Secret
from understudy.spec.model import Spec

Prediction = Mapping[str, Mapping[str, float]]
"""Seconds that a service may be away, by fault and service."""


def about_of(
    spec: Spec, prediction: Prediction | None = None, proof: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return what a record says about the spec, for whoever reads it later; no secrets. ``proof`` is its matrix."""
    return {
        "cloud": spec.cloud,
        "nodes": {
            name: {net: str(address) for net, address in own.items()} for name, own in spec.nodes.items()
        },
        "services": {name: service.standby for name, service in spec.services.items()},
        "address_resources": {
            address_resource(name, side): str(address)
            for name, virtual in spec.addresses.items()
            for side, address in virtual.sides().items()
        },
        "prediction": {fault: dict(services) for fault, services in (prediction or {}).items()},
        **({"proof": dict(proof)} if proof else {}),
    }


def watchers_of(cloud: Cloud, secrets: Mapping[str, Secret], lab: Lab | None) -> list[Watchers]:
    """Return the clients of a cloud, in the lab's networks when there is a lab, else on this machine.

    A tenant's machine in the lab is among them.

    Raises LabError when the lab does not answer.
    """
    clients = clients_of(cloud, secrets)
    if lab is None:
        return [Watchers(found) for found in clients.values() if found]
    placed = [(CLIENT, clients["public"]), (SWITCH, clients["internal"])]
    tenant = Belongings.of(lab)
    if tenant is not None:
        own = tenant_clients(cloud, tenant.floating, tenant.outside, metadata=tenant.metadata)
        placed += [(TENANT, own["machine"]), (SWITCH, own["outside"])]
    return [Watchers(found, lab.argv_in(where, [])) for where, found in placed if found]


def prepare(
    cloud: Cloud, connect: Connect, lab: Lab | None, secrets: Mapping[str, Secret]
) -> tuple[Nodes, Site, list[Watchers]]:
    """Return nodes, site and clients of a drill; close the nodes when it is over."""
    nodes = Nodes(tuple(cloud.spec.nodes), connect)
    silence = sum(times(cloud.spec, cloud.preset.token)) / 1000
    site = Site(nodes.host, facts_of(cloud.spec, cloud.catalog, silence), lab)
    return nodes, site, watchers_of(cloud, secrets, lab)


__all__ = ["Drill", "Permission", "Prediction", "Record", "Tell", "about_of", "prepare", "watchers_of"]
