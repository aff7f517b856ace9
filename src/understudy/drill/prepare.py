"""From a spec and where it runs to a drill that is ready to start."""

from collections.abc import Mapping
from typing import Any

from understudy.catalog.model import Catalog
from understudy.design.cluster import address_resource
from understudy.drill.clients import clients_of
from understudy.drill.faults.aim import facts_of
from understudy.drill.faults.strike import Site
from understudy.drill.nodes import Connect, Nodes
from understudy.drill.preflight import Permission
from understudy.drill.run import Drill, Record, Tell, Watchers
from understudy.lab.client import CLIENT, SWITCH, Lab
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


def watchers_of(
    spec: Spec, catalog: Catalog, secrets: Mapping[str, Secret], lab: Lab | None
) -> list[Watchers]:
    """Return the clients of a spec, in the lab's networks when there is a lab, else on this machine.

    Raises LabError when the lab does not answer.
    """
    clients = clients_of(spec, catalog, secrets)
    places = {"public": CLIENT, "internal": SWITCH}
    return [
        Watchers(found, lab.argv_in(places[side], []) if lab is not None else ())
        for side, found in clients.items()
        if found
    ]


def prepare(
    spec: Spec, catalog: Catalog, connect: Connect, lab: Lab | None, secrets: Mapping[str, Secret]
) -> tuple[Nodes, Site, list[Watchers]]:
    """Return nodes, site and clients of a drill; close the nodes when it is over."""
    nodes = Nodes(tuple(spec.nodes), connect)
    site = Site(nodes.host, facts_of(spec, catalog), lab)
    return nodes, site, watchers_of(spec, catalog, secrets, lab)


__all__ = ["Drill", "Permission", "Prediction", "Record", "Tell", "about_of", "prepare", "watchers_of"]
