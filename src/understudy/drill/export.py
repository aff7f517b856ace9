"""A judgement for other programs: JSON, JUnit XML, Prometheus text (pure)."""

from collections.abc import Iterator
from typing import Any

from lxml import etree

from understudy.drill.breakdown import Span, summed
from understudy.drill.judge import ClientOutcome, FaultOutcome, recovery_seconds
from understudy.drill.verdicts import Judgement


def as_json(judgement: Judgement) -> dict[str, Any]:
    """Return the judgement as plain data; times in seconds."""
    return {
        "answer": judgement.answer,
        "verdicts": [
            {
                "question": one.question,
                "statement": one.words,
                "answer": one.answer,
                "details": list(one.details),
            }
            for one in judgement.verdicts
        ],
        "faults": [_fault(outcome) for outcome in judgement.outcomes],
        "comparisons": [
            {
                "fault": one.fault,
                "service": one.service,
                "predicted": one.predicted,
                "measured": round(one.measured, 3),
                "differs": one.differs,
            }
            for one in judgement.comparisons
        ],
    }


def _fault(outcome: FaultOutcome) -> dict[str, Any]:
    recovered = recovery_seconds(outcome)
    return {
        "number": outcome.number,
        "fault": outcome.fault,
        "label": outcome.label,
        "targets": list(outcome.targets),
        "died": list(outcome.died),
        "fenced": [
            {
                "node": span.subject,
                "by": span.node,
                "device": span.detail,
                "seconds": span.seconds,
                "result": span.result,
            }
            for span in outcome.fenced
        ],
        "took_over": outcome.took_over,
        "recovery": None if recovered is None else round(recovered, 3),
        "clients": [_client(client) for client in outcome.clients],
    }


def _client(client: ClientOutcome) -> dict[str, Any]:
    figures = client.figures
    return {
        "client": figures.client,
        "service": figures.service,
        "outage": round(figures.total, 3),
        "precision": round(figures.precision, 3),
        "ended": figures.ended,
        "outages": [
            {"seconds": round(one.seconds, 3), "blackout": round(one.blackout, 3), "failures": one.failures}
            for one in figures.outages
        ],
        "operations": figures.operations,
        "failed": figures.failed,
        "unknown": figures.unknown,
        "failed_again": figures.failed_again,
        "slow": figures.slow,
        "breakdown": {name: round(seconds, 3) for name, seconds in summed(client.phases).items()},
        "phases": [_phase(span) for span in client.phases],
    }


def _phase(span: Span) -> dict[str, Any]:
    return {
        "name": span.name,
        "subject": span.subject,
        "node": span.node,
        "seconds": None if span.seconds is None else round(span.seconds, 3),
    }


def as_junit(judgement: Judgement, name: str) -> str:
    """Return the verdicts as test cases: no fails, unknown is skipped; each fault's outage stands in its own case."""
    root = etree.Element("testsuites")
    suite = etree.SubElement(root, "testsuite", name=name)
    answers = [verdict.answer for verdict in judgement.verdicts]
    for key, count in (
        ("tests", len(answers) + len(judgement.outcomes)),
        ("failures", answers.count("no") + sum(not _served(one) for one in judgement.outcomes)),
        ("skipped", answers.count("unknown")),
    ):
        suite.set(key, str(count))
    for verdict in judgement.verdicts:
        case = etree.SubElement(suite, "testcase", classname="drill.verdict", name=verdict.words)
        if verdict.answer != "yes":
            tag = "failure" if verdict.answer == "no" else "skipped"
            etree.SubElement(case, tag, message="; ".join(verdict.details))
    for outcome in judgement.outcomes:
        worst = outcome.worst
        seconds = worst.figures.total if worst else 0.0
        title = f"{outcome.number}. {outcome.label}"
        case = etree.SubElement(suite, "testcase", classname="drill.fault", name=title, time=f"{seconds:.3f}")
        if not _served(outcome):
            etree.SubElement(case, "failure", message="a client was not served again")
    return etree.tostring(root, pretty_print=True, xml_declaration=True, encoding="UTF-8").decode()


def _served(outcome: FaultOutcome) -> bool:
    return all(client.figures.ended for client in outcome.clients)


def as_prometheus(judgement: Judgement, cloud: str) -> str:
    """Return metrics in Prometheus' text format, for the node exporter's textfile collector."""
    return "".join(f"{line}\n" for line in _metrics(judgement, cloud))


def _metrics(judgement: Judgement, cloud: str) -> Iterator[str]:
    yield "# HELP understudy_drill_verdict What the last drill showed: 1 yes, 0 no, -1 unknown."
    yield "# TYPE understudy_drill_verdict gauge"
    number = {"yes": 1, "no": 0, "unknown": -1}
    for verdict in judgement.verdicts:
        yield f"understudy_drill_verdict{_labels(cloud=cloud, question=verdict.question)} {number[verdict.answer]}"
    yield "# HELP understudy_drill_outage_seconds How long a client was without service in the last drill."
    yield "# TYPE understudy_drill_outage_seconds gauge"
    for outcome in judgement.outcomes:
        for client in outcome.clients:
            labels = _labels(
                cloud=cloud,
                number=str(outcome.number),
                fault=outcome.fault,
                service=client.figures.service,
                client=client.figures.client,
            )
            yield f"understudy_drill_outage_seconds{labels} {client.figures.total:.3f}"


def _labels(**labels: str) -> str:
    escaped = (
        (name, value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n"))
        for name, value in labels.items()
    )
    return "{" + ",".join(f'{name}="{value}"' for name, value in escaped) + "}"
