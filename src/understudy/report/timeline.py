"""The time line of a drill as plain data for the page's script: seconds since the beginning (pure)."""

from collections.abc import Iterator, Sequence
from typing import Any

from understudy.drill.activity import absences, stays
from understudy.drill.breakdown import fencings, operations
from understudy.drill.faults.registry import FAULTS, GREY
from understudy.drill.history import SECOND, ClusterEvent, History
from understudy.drill.judge import FaultOutcome, fencing_resources

Item = dict[str, Any]
Lane = dict[str, Any]

_TOLD = (
    "decided",
    "coordinator",
    "quorum-lost",
    "quorum-regained",
    "monitor-failed",
    "copy-unhealthy",
    "token-lost",
)


def timeline(history: History, found: Sequence[FaultOutcome]) -> dict[str, Any]:
    """Return bands (faults) and lanes (clients, nodes, resources, the cluster's decisions)."""
    begin = history.begin

    def seconds(moment: int) -> float:
        return round((moment - begin) / SECOND, 3)

    def bar(first: int, last: int, kind: str, title: str) -> Item:
        return {"begin": seconds(first), "end": seconds(last), "kind": kind, "title": title}

    lanes = [
        *_clients(found, bar),
        *_nodes(history, bar),
        *_resources(history, bar),
        {"group": "decisions", "label": "cluster", "items": list(_decisions(history.cluster, bar))},
    ]
    bands = [
        {
            "begin": seconds(outcome.injected),
            "end": seconds(outcome.healed or outcome.until),
            "label": outcome.label,
            "colour": _colour(outcome.fault),
        }
        for outcome in found
    ]
    return {"end": max(seconds(history.end), 0.001), "bands": bands, "lanes": lanes}


def _colour(fault: str) -> str:
    return next((FAULTS[name].colour for name in fault.split("+") if name in FAULTS), GREY)


def _clients(found: Sequence[FaultOutcome], bar: Any) -> Iterator[Lane]:  # noqa: ANN401 - a local function
    lanes: dict[tuple[str, str], list[Item]] = {}
    for outcome in found:
        for client in outcome.clients:
            items = lanes.setdefault((client.figures.service, client.figures.client), [])
            items += [
                bar(
                    one.begin,
                    one.back,
                    "bad",
                    f"without service for {one.seconds:.2f} s, {one.failures} failures",
                )
                for one in client.figures.outages
            ]
    for (service, name), items in sorted(lanes.items()):
        yield {"group": f"clients of {service}", "label": name, "items": items}


def _nodes(history: History, bar: Any) -> Iterator[Lane]:  # noqa: ANN401 - a local function
    lanes: dict[str, list[Item]] = {}
    for observation in history.observations("cluster")[:1]:
        lanes = {node: [] for node in observation.values["online"]}
    for stay in absences(history):
        lanes.setdefault(stay.node, []).append(bar(stay.begin, stay.end, "lost", "out of the cluster"))
    for span in fencings(history.cluster):
        title = f"fenced by {span.node} {f'with {span.detail}' if span.detail else ''}: {span.result}"
        end = span.end or history.end
        lanes.setdefault(span.subject, []).append(bar(span.begin, end, "fencing", title))
    for node, items in sorted(lanes.items()):
        yield {"group": "nodes", "label": node, "items": items}


def _resources(history: History, bar: Any) -> Iterator[Lane]:  # noqa: ANN401 - a local function
    devices = fencing_resources(history)
    all_stays = [stay for stay in stays(history) if stay.resource not in devices]
    nodes = sorted({stay.node for stay in all_stays})
    lanes: dict[str, list[Item]] = {}
    for stay in all_stays:
        kind = f"node{nodes.index(stay.node) % 6}"
        lanes.setdefault(stay.resource, []).append(bar(stay.begin, stay.end, kind, f"on {stay.node}"))
    for span in operations(history.cluster):
        if span.subject in lanes:
            title = f"{span.name} on {span.node}: {span.result} {span.detail}".strip()
            lanes[span.subject].append(bar(span.begin, span.end or history.end, span.name, title))
    for resource, items in sorted(lanes.items()):
        yield {"group": "resources", "label": resource, "items": items}


def _decisions(events: Sequence[ClusterEvent], bar: Any) -> Iterator[Item]:  # noqa: ANN401 - a local function
    actions: list[str] = []
    for event in events:
        if event.what == "action":
            actions.append(
                " ".join((event.values.get("action", ""), event.subject, event.values.get("how", "")))
            )
        elif event.what in _TOLD:
            words = event.what.replace("-", " ")
            title = f"{words} {event.subject} ({event.node}) {'; '.join(actions) if event.what == 'decided' else ''}"
            yield bar(event.monotonic, event.monotonic, "tick", title.strip())
            actions = [] if event.what == "decided" else actions
