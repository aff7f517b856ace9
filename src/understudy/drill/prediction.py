"""What the proof says beforehand: how long each service may be away under a fault, and its matrix for the report.

The bound is that of the scheduler's play: how long the cluster may take to notice, then its fencings, stops and starts,
each with its whole timeout. A client of a service also misses what that service needs, and the addresses of both.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from understudy.catalog.model import Catalog
from understudy.design.cluster import address_resource, with_nodes
from understudy.design.context import service_resource
from understudy.design.make import Design
from understudy.drill.faults.registry import FAULTS
from understudy.formats import cib
from understudy.formats.cluster import ids_of
from understudy.proof.prove import prove
from understudy.proof.report import condensed, summary
from understudy.proof.result import Options, Proof, Row
from understudy.proof.scenarios import RECOVERIES
from understudy.spec.model import Spec

PLAYED: Mapping[str, Sequence[str]] = {
    "process-killed": ("monitor",),
    "process-hung": ("monitor",),
    "start-refused": ("monitor", "start"),
    "configuration-broken": ("monitor", "start"),
    "standby": ("standby",),
    "reboot": ("node-stopped",),
    **dict.fromkeys(
        (
            *("power-loss", "node-hung", "cluster-cut", "cluster-cut-in", "cluster-cut-out"),
            *("cluster-cut-minority", "cluster-cut-majority", "corosync-killed", "storage-gone"),
        ),
        ("node-lost",),
    ),
}
"""Faults of a drill, and what the proof plays of the kind; what is not here has no bound that the proof could give."""


def prove_design(design: Design, spec: Spec) -> Proof:
    """Play every single failure of a design (seconds to a minute of work)."""
    text = cib.render(with_nodes(design.cluster, spec)).encode()
    return prove(text, spec.cloud, Options(corosync=design.corosync_conf))


def roots_of(design: Design) -> dict[str, str]:
    """Return by resource the outermost one that it is in, under whose name the proof gives its bound."""
    return {id_: ids_of(resource)[0] for resource in design.cluster.resources for id_ in ids_of(resource)}


def prediction(
    proof: Proof, spec: Spec, catalog: Catalog, roots: Mapping[str, str] | None = None
) -> dict[str, dict[str, float]]:
    """Return the seconds that clients may be without each service, by fault, or ``FAULT:SERVICE`` for one of a service.

    Nothing when nothing was played.
    """
    if not proof.played:
        return {}
    within = roots or {}
    needed = {
        name: frozenset(within.get(one, one) for one in _needed(name, spec, catalog))
        for name in spec.services
    }
    found: dict[str, dict[str, float]] = {}
    for fault, kinds in PLAYED.items():
        rows = [row for row in proof.rows if row.applied and _kinds(row) in {(kind,) for kind in kinds}]
        if FAULTS[fault].needs != "service":
            found[fault] = _longest(rows, needed)
            continue
        for name in spec.services:
            struck = [row for row in rows if row.faults[0].resource.partition(":")[0] == name]
            found[f"{fault}:{name}"] = _taken_along(name, spec, _longest(struck, needed))
    return found


def _taken_along(name: str, spec: Spec, found: dict[str, float]) -> dict[str, float]:
    """Return what is foretold where a service fails in such a way that others' clients have to go elsewhere, too.

    The addresses of a ``warm`` service leave a copy that fails (``addresses`` of its agent), which the scheduler's play
    of a failed monitor does not know.
    """
    struck = spec.services[name]
    if struck.standby != "warm" or not struck.address:
        return found
    along = {other for other, service in spec.services.items() if service.address == struck.address}
    return {other: max(found[name], bound) if other in along else bound for other, bound in found.items()}


def _kinds(row: Row) -> tuple[str, ...]:
    return tuple(fault.kind for fault in row.faults if fault.kind not in RECOVERIES)


def _longest(rows: Sequence[Row], needed: Mapping[str, frozenset[str]]) -> dict[str, float]:
    return {
        name: round(max((row.bounds.get(one, 0.0) for row in rows for one in resources), default=0.0), 3)
        for name, resources in needed.items()
    }


def _needed(name: str, spec: Spec, catalog: Catalog) -> Iterator[str]:
    """Yield the resources that a client of a service depends on, some of them twice."""
    waiting, seen = [name], set()
    while waiting:
        one = waiting.pop()
        if one in seen or one not in spec.services:
            continue
        seen.add(one)
        service = spec.services[one]
        yield from (one, service_resource(one, service))
        if service.address:
            yield from (
                address_resource(service.address, side) for side in spec.addresses[service.address].sides()
            )
        if service.standby == "balanced":
            waiting += [other for other in spec.services if catalog.services[other].provides == "balancing"]
        needs = catalog.services[one].needs
        waiting += [other for other in spec.services if catalog.services[other].provides in needs]


def matrix_of(proof: Proof) -> dict[str, Any]:
    """Return the proof's matrix as plain data: a line a fault, a word a service."""
    return {
        "summary": summary(proof),
        "services": list(proof.services),
        "lines": [{"fault": line.label, "words": list(line.words)} for line in condensed(proof)],
    }
