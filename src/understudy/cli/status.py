"""understudy status: spec against reality at a glance."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from rich.table import Table

from understudy.cli.console import FAILED, findings_json, out, print_findings, print_json
from understudy.cli.inputs import Input, read_input
from understudy.cli.planning import Planned, make
from understudy.cli.reach import reach
from understudy.cli.show_plan import subjects
from understudy.findings import FindingsError
from understudy.formats.cluster import Clone, Resource, forbidden_nodes, primitives_of
from understudy.kinds import pacemaker
from understudy.kinds.pacemaker import RUNNING, ClusterView, ResourceState
from understudy.spec.certificates import EXPIRED, validities


async def status(spec: Path, /, *, live: bool = False, json: bool = False) -> int:
    """Show the spec against reality: nodes, what runs where, what differs. Exits with 1 when something is wrong.

    Parameters
    ----------
    spec
        The spec's file.
    live
        Look at the real nodes even when a lab of this spec is up.
    json
        Print JSON.
    """
    given = read_input(spec, only_shows=True)
    planned: Planned | None = None
    findings = tuple(one for one in given.warnings if one.code == EXPIRED)
    async with reach(given.loaded, live=live, missing_is_fine=True) as reached:
        seen = await pacemaker.view(reached.world)
        if not reached.missing:
            try:
                planned = await make(given, reached.world)
                findings += planned.disagreements
            except FindingsError as error:  # what cannot be looked at must not hide what can
                findings += tuple(error.findings)
    document = _document(given, planned, seen, reached.where, reached.missing)
    if findings:
        document |= {"healthy": False, "findings": findings_json(findings)}
    if json:
        print_json(document)
    else:
        _print(document)
        print_findings(one for one in given.warnings if one not in findings)
        print_findings(findings)
    return 0 if document["healthy"] else FAILED


def _document(
    given: Input, planned: Planned | None, seen: ClusterView | None, where: str, missing: dict[str, str]
) -> dict[str, object]:
    nodes = {name: _node(name, seen, missing) for name in given.loaded.spec.nodes}
    resources = _resources(given, planned, seen)
    pending = subjects(planned.plan.changes) if planned else []
    healthy = (
        seen is not None
        and seen.quorate
        and all(state == "online" for state in nodes.values())
        and all(resource["state"] == "running" for resource in resources)
        and not seen.silent
        and not pending
    )
    return {
        "cloud": given.loaded.spec.cloud,
        "where": where,
        "healthy": healthy,
        "quorate": bool(seen and seen.quorate),
        "coordinator": seen.coordinator if seen else None,
        "nodes": nodes,
        "resources": resources,
        "silent": list(seen.silent) if seen else [],
        "failures": list(seen.failures) if seen else [],
        "pending": pending,
        "foreign": list(planned.plan.foreign) if planned else [],
        "certificates": [
            {"name": one.name, "until": one.until.isoformat(), "state": one.state}
            for one in validities(given.loaded, given.secrets, datetime.now(UTC))
        ],
    }


def _node(name: str, seen: ClusterView | None, missing: dict[str, str]) -> str:
    if seen is not None and name in seen.unclean:
        return "unclean"
    if seen is not None and name in seen.standby:
        return "standby"
    if seen is not None and name in seen.online:
        return "online"
    return f"unreachable: {missing[name]}" if name in missing else "offline"


def _resources(given: Input, planned: Planned | None, seen: ClusterView | None) -> list[dict[str, object]]:
    design = planned.design if planned else given.design()
    states = seen.resources if seen else ()
    listed: list[dict[str, object]] = []
    for resource in design.cluster.resources:
        allowed = set(given.loaded.spec.nodes) - forbidden_nodes(design.cluster, resource)
        listed += running_copies(resource, len(allowed), states)
    return listed


def running_copies(
    resource: Resource, nodes: int, states: Sequence[ResourceState]
) -> list[dict[str, object]]:
    """Return for each primitive of a resource where its copies serve, and whether as many as should."""
    wanted = _copies(resource, nodes) if isinstance(resource, Clone) else 1
    return [_resource(primitive.id, wanted, states) for primitive in primitives_of(resource)]


def _copies(clone: Clone, nodes: int) -> int:
    """Return how many copies are to serve; of a promotable clone, those that are promoted do."""
    return int(clone.meta.get("promoted-max", "1")) if clone.promotable else nodes


def _resource(name: str, wanted: int, seen: Sequence[ResourceState]) -> dict[str, object]:
    states = [state for state in seen if state.resource.partition(":")[0] == name]
    running = [state.node for state in states if state.role in RUNNING and not state.failed]
    state = "running" if len(running) == wanted else "partly running" if running else "stopped"
    if len(running) > wanted:
        state = "running too often"
    return {"name": name, "state": state, "nodes": running, "wanted": wanted}


def _verdict(document: dict[str, object]) -> str:
    if not document["healthy"]:
        return "[bold red]not as it should be[/bold red]"
    if document["failures"]:
        return "[yellow]everything runs, and something has failed before[/yellow]"
    return "[green]all is well[/green]"


def _print(document: dict[str, object]) -> None:
    quorum = "quorate" if document["quorate"] else "NOT QUORATE"
    out.print(
        f"{document['cloud']} in {document['where']}: {_verdict(document)}; {quorum}, led by {document['coordinator']}."
    )
    nodes = document["nodes"]
    resources = document["resources"]
    if not isinstance(nodes, dict) or not isinstance(resources, list):
        raise TypeError(document)
    table = Table("resource", "state", "on", box=None, pad_edge=False)
    for resource in resources:
        style = "" if resource["state"] == "running" else "bold red"
        table.add_row(
            resource["name"],
            f"[{style}]{resource['state']}[/]" if style else "running",
            " ".join(resource["nodes"]),
        )
    out.print()
    for name, state in nodes.items():
        out.print(f"{name}  {state}", style="" if state == "online" else "bold red")
    out.print()
    out.print(table)
    certificates = document["certificates"]
    if isinstance(certificates, list) and certificates:
        first = min(certificates, key=lambda one: str(one["until"]))
        out.print(
            f"\n{len(certificates)} certificates; {first['name']} is the first to expire, {first['until'][:10]}."
        )
    for key, title in (
        ("silent", "Copies that do not answer, which their address avoids"),
        ("failures", "Failed operations; 'crm_resource --cleanup' forgets them"),
        ("pending", "Differs from the spec; 'understudy plan' shows how"),
        ("foreign", "Not made by understudy, and left alone"),
    ):
        lines = document[key]
        if isinstance(lines, list) and lines:
            out.print(f"\n{title}:")
            for line in lines:
                out.print(f"  {line}")
