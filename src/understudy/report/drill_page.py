"""The report of a drill: one HTML file that needs nothing else (pure)."""

import json
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from understudy.drill.activity import absences, at, stays
from understudy.drill.breakdown import Span
from understudy.drill.history import History
from understudy.drill.judge import FaultOutcome, fencing_resources
from understudy.drill.summary import Runs, runs
from understudy.drill.verdicts import Judgement, written
from understudy.proof.report import MEANINGS, SIGNS
from understudy.report.timeline import timeline
from understudy.report.topology import topology

PACKAGE = "understudy.report"


def drill_page(
    history: History,
    judgement: Judgement,
    title: str,
    guide: Judgement | None = None,
    extra: Mapping[str, str] | None = None,
) -> str:
    """Return the page. ``guide`` is another drill to stand beside this one; ``extra`` is further HTML by its heading.

    What stands in ``extra`` is taken as it is; everything else is escaped.
    """
    environment = Environment(
        loader=PackageLoader(PACKAGE, "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    script = resources.files(PACKAGE).joinpath("templates", "timeline.js").read_text(encoding="utf-8")
    return environment.get_template("drill.html.j2").render(
        title=title,
        sentence=sentence(judgement),
        judgement=judgement,
        pictures=_pictures(history, judgement.outcomes),
        bars=_bars(judgement, guide),
        has_guide=guide is not None,
        breakdowns=_breakdowns(judgement.outcomes),
        proof=next((one.values.get("proof") for one in history.observations("about")), None),
        signs=SIGNS,
        meanings=MEANINGS,
        written=written(history),
        script=script,
        # "</" would end the script element that carries the data.
        data=json.dumps(timeline(history, judgement.outcomes)).replace("<", "\\u003c"),
        extra=extra or {},
    )


def sentence(judgement: Judgement) -> str:
    """Return the verdict in one sentence."""
    count = len(judgement.outcomes)
    faults = f"{count} fault{'' if count == 1 else 's'}"
    hit = [outcome for outcome in judgement.outcomes if outcome.worst is not None]
    gravest = max(hit, key=_worst_seconds, default=None)
    longest = (
        f"the longest outage was {_worst_seconds(gravest):.2f} s ({gravest.label})"
        if gravest is not None
        else "no client noticed any"
    )
    match judgement.answer:
        case "yes":
            return f"{faults} survived: nothing lost, nothing running twice, nothing left behind; {longest}."
        case "no":
            wrong = [verdict.words for verdict in judgement.verdicts if verdict.answer == "no"]
            return f"{faults}, and this does not hold: {'; '.join(wrong)}; {longest}."
        case "unknown":
            unsure = [verdict.words for verdict in judgement.verdicts if verdict.answer == "unknown"]
            return f"{faults}, nothing found wrong, but unknown whether {'; '.join(unsure)}; {longest}."


def _worst_seconds(outcome: FaultOutcome) -> float:
    return outcome.worst.figures.total if outcome.worst else 0.0


def _pictures(history: History, found: Sequence[FaultOutcome]) -> list[dict[str, str]]:
    """Return the topology before, during and after the fault that hit hardest."""
    seen = history.observations("cluster")
    if not seen or not found:
        return []
    outcome = max(found, key=_worst_seconds)
    about = next((one.values for one in history.observations("about")), {})
    addresses = {str(key): str(value) for key, value in about.get("address_resources", {}).items()}
    nodes = sorted(seen[0].values["online"])
    devices = fencing_resources(history)
    all_stays = [stay for stay in stays(history) if stay.resource not in devices]
    gone = absences(history)
    pictures = []
    for words, moment in _moments(outcome, history.end):
        running: dict[str, list[str]] = {}
        for stay in at(all_stays, moment):
            running.setdefault(stay.node, []).append(stay.resource)
        away = {stay.node for stay in at(gone, moment)}
        svg = topology(nodes, running, away, addresses, f"{words}: {outcome.label}")
        pictures.append({"words": words, "label": outcome.label, "svg": svg})
    return pictures


def _moments(outcome: FaultOutcome, end: int) -> list[tuple[str, int]]:
    worst = outcome.worst
    longest = worst.longest if worst else None
    lost = [span.end or span.begin for span in outcome.fenced]
    middle = lost[0] if lost else (longest.begin + longest.end) // 2 if longest else outcome.injected + 1
    return [("before", outcome.injected - 1), ("during", middle), ("after", min(outcome.until, end) - 1)]


def _bars(judgement: Judgement, guide: Judgement | None) -> list[dict[str, Any]]:
    """Return a row for each fault and service with an outage, with the widths of its bars in percent."""
    ours = runs(judgement.outcomes)
    theirs = runs(guide.outcomes) if guide else {}
    keys = [key for key in ours if ours[key].worst > 0 or (key in theirs and theirs[key].worst > 0)]
    predicted = {(one.fault, one.service): one for one in judgement.comparisons}
    values = [each[key].worst for each in (ours, theirs) for key in keys if key in each]
    values += [predicted[key].predicted for key in keys if key in predicted]
    longest = max(values, default=0.0) or 1.0
    return [
        {
            "fault": fault,
            "service": service,
            "ours": _bar(ours[fault, service], longest),
            "guide": _bar(theirs[fault, service], longest) if (fault, service) in theirs else None,
            "predicted": (
                {"seconds": one.predicted, "percent": 100 * one.predicted / longest, "differs": one.differs}
                if (one := predicted.get((fault, service)))
                else None
            ),
        }
        for fault, service in keys
    ]


def _bar(one: Runs, longest: float) -> dict[str, Any]:
    return {
        "median": one.median,
        "worst": one.worst,
        "runs": len(one.seconds),
        "percent": 100 * one.median / longest,
        "worst_percent": 100 * one.worst / longest,
    }


def _breakdowns(found: Sequence[FaultOutcome]) -> list[dict[str, Any]]:
    """Return for each fault where the time of its gravest client went, as shares of a bar."""
    rows = []
    for outcome in found:
        worst = outcome.worst
        if worst is None or not worst.phases:
            continue
        total = sum(span.seconds or 0.0 for span in worst.phases) or 1.0
        phases = [_phase(span, total) for span in worst.phases]
        rows.append({"outcome": outcome, "client": worst.figures, "total": total, "phases": phases})
    return rows


def _phase(span: Span, total: float) -> dict[str, Any]:
    seconds = span.seconds or 0.0
    words = " ".join(part for part in (span.name, span.subject) if part)
    return {"name": span.name, "words": words, "seconds": seconds, "percent": 100 * seconds / total}
