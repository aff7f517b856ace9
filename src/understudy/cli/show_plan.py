"""A plan as a person reads it: what is the same on several nodes once, files that are wholly ours as a diff."""

from collections.abc import Iterable, Mapping
from difflib import unified_diff

from rich.text import Text

from understudy.cli.console import out
from understudy.design.items import NodeItem
from understudy.kinds.model import Change, Difference
from understudy.plan.model import Plan

MANY_FILES = 3
"""New files with the same reason are shown as a number when there are more of them than this."""
LONG_DIFF = 40

Heading = tuple[str, str, str]
"""Subject, reason and kind."""


def show(plan: Plan) -> None:
    """Print every difference: where, what, before and after, and why."""
    rest = []
    for (reason, targets), subjects in _new_files(plan.changes).items():
        if len(subjects) > MANY_FILES:
            _heading(targets, f"{len(subjects)} new files below {_common(subjects)}", reason)
            rest += subjects
    told: set[Difference] = set()
    for (subject, lines, why), where in _grouped(plan.changes).items():
        if subject in rest:
            continue
        _heading(tuple(where), subject, why)
        for line in lines:
            if where[0] == "cluster" and line in told:
                continue  # a stage of the cluster holds those before it
            told.add(line)
            _print_difference(line)


def _heading(targets: tuple[str, ...], subject: str, reason: str) -> None:
    text = Text()
    text.append(_where(targets), "bold")
    text.append(f"  {subject}")
    text.append(f"  {reason}", "dim")
    out.print(text)


def _new_files(changes: Iterable[Change]) -> Mapping[tuple[str, tuple[str, ...]], list[str]]:
    where: dict[tuple[str, str], list[str]] = {}
    for change in changes:
        item = change.item
        if isinstance(item, NodeItem) and item.kind == "file" and _is_new(change):
            where.setdefault((item.reason, item.subject), []).append(item.node)
    groups: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for (reason, subject), nodes in where.items():
        groups.setdefault((reason, tuple(nodes)), []).append(subject)
    return groups


def _is_new(change: Change) -> bool:
    return all(difference.before is None for difference in change.differences)


def _common(paths: list[str]) -> str:
    parts = [path.split("/") for path in paths]
    shared = []
    for column in zip(*parts, strict=False):
        if len(set(column)) > 1:
            break
        shared.append(column[0])
    return "/".join(shared) + "/"


def _grouped(changes: Iterable[Change]) -> Mapping[tuple[str, tuple[Difference, ...], str], list[str]]:
    groups: dict[tuple[str, tuple[Difference, ...], str], list[str]] = {}
    for change in changes:
        item = change.item
        where = item.node if isinstance(item, NodeItem) else item.target
        groups.setdefault((item.subject, change.differences, item.reason), []).append(where)
    return groups


def _where(targets: tuple[str, ...]) -> str:
    if len(targets) > 2:
        return f"{targets[0]} … {targets[-1]}"
    return ", ".join(targets)


def _print_difference(difference: Difference) -> None:
    before, after = difference.before, difference.after
    if "\n" in (before or "") + (after or ""):
        _print_text(before, after or "")
        return
    text = Text("    ")
    text.append(f"{difference.name}  ")
    if before is None:
        text.append(f"{after}", "green")
    elif after is None:
        text.append(f"{before} → removed", "red")
    else:
        text.append(before, "red")
        text.append(" → ")
        text.append(after, "green")
    if difference.reason:
        text.append(f"  ({difference.reason})", "dim")
    out.print(text)


def _print_text(before: str | None, after: str) -> None:
    if before is None:
        out.print(Text(f"    new, {len(after.splitlines())} lines", "green"))
        return
    lines = list(unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=1))[2:]
    for line in lines[:LONG_DIFF]:
        style = "green" if line.startswith("+") else "red" if line.startswith("-") else "dim"
        out.print(Text(f"    {line}", style))
    if len(lines) > LONG_DIFF:
        out.print(Text(f"    … {len(lines) - LONG_DIFF} more lines; --json shows all", "dim"))


def subjects(changes: Iterable[Change]) -> list[str]:
    """Return one short line for each change."""
    return [f"{change.item.target} {change.item.subject}" for change in changes]
