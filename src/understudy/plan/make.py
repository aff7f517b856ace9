"""From items and observations to a plan (pure)."""

from collections.abc import Iterable, Mapping, Sequence

from understudy.design.items import Item, phase_of
from understudy.findings import Finding, FindingsError
from understudy.kinds.model import Change, Kind
from understudy.plan.model import Plan, change_as_json, digest_of_all


def make_plan(
    cloud: str,
    items: Sequence[Item],
    observations: Mapping[str, object],
    kinds: Mapping[str, Kind],
    *,
    backwards: bool = False,
) -> Plan:
    """Return the changes that make all items true, by phase and within a phase in the order of the items.

    Raises FindingsError (exit status 1) with everything that stands in the way.
    """
    ordered = sorted(items, key=phase_of, reverse=backwards)
    changes = compare_all(ordered, observations, kinds)
    return Plan(cloud, changes, digest_of_all(cloud, changes), backwards=backwards)


def compare_all(
    items: Iterable[Item], observations: Mapping[str, object], kinds: Mapping[str, Kind]
) -> tuple[Change, ...]:
    """Return the changes of items, in their order."""
    changes = []
    findings: list[Finding] = []
    for item in items:
        try:
            change = kinds[item.kind].compare(item, observations[item.key])
        except FindingsError as error:
            findings += error.findings
        else:
            changes += [change] if change else []
    if findings:
        raise FindingsError(findings, exit_status=1)
    return tuple(changes)


def demand_same(plan: Plan, saved: Mapping[str, object]) -> None:
    """Refuse a saved plan in whose world or spec something has changed since; name what it is.

    Raises FindingsError: ``plan-file-wrong`` (exit status 2) for something that is no plan, ``plan-outdated`` (1).
    """
    changes = saved.get("changes")
    if saved.get("format") != 1 or not isinstance(changes, list) or "digest" not in saved:
        raise FindingsError([Finding("plan-file-wrong")])
    if saved["digest"] == plan.digest:
        return
    now = [change_as_json(change) for change in plan.changes]
    moved = [change for change in now if change not in changes]
    moved += [change for change in changes if isinstance(change, dict) and change not in now]
    names = dict.fromkeys(f"{change.get('target')} {change.get('subject')}" for change in moved)
    what = ", ".join(names) or "the order of its steps"
    raise FindingsError([Finding("plan-outdated", values={"what": what})], exit_status=1)
