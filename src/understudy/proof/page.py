"""The proof as one self-contained HTML page: the matrix, and behind each cell its story."""

import json
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from understudy.findings import advice_for, message_for
from understudy.proof.report import MEANINGS, SIGNS, accepted, matrix, summary, worst
from understudy.proof.result import Proof, Row, violation_finding

LARGEST_CELL = 40


def page(proof: Proof) -> str:
    """Return the page; it loads nothing from anywhere."""
    environment = Environment(
        loader=PackageLoader("understudy.proof", "templates"), autoescape=True, undefined=StrictUndefined
    )
    stories: dict[str, dict[str, Any]] = {}
    lines = []
    for label, cells in matrix(proof).items():
        line = []
        for service in proof.services:
            rows = cells.get(service, [])
            word = worst(row.services[service] for row in rows)
            gravest = sorted(rows, key=lambda row, of=service, what=word: row.services[of] != what)  # type: ignore[misc]
            for row in gravest[:LARGEST_CELL]:
                stories.setdefault(row.name, _story(row))
            line.append(
                {
                    "service": service,
                    "word": word,
                    "sign": SIGNS[word][0],
                    "rows": [row.name for row in gravest[:LARGEST_CELL]],
                    "bound": max((row.bounds.get(service, 0.0) for row in rows), default=0.0),
                }
            )
        lines.append({"label": label, "cells": line})
    findings = [
        {
            "code": item.code,
            "severity": item.severity,
            "message": message_for(item),
            "advice": advice_for(item),
        }
        for item in proof.findings
    ]
    return environment.get_template("proof.html.j2").render(
        proof=proof,
        summary=summary(proof),
        lines=lines,
        findings=findings,
        violations=_violations(proof),
        accepted=accepted(proof),
        legend=[(word, SIGNS[word][0], MEANINGS[word]) for word in SIGNS],
        # "</" would end the script element that carries the stories.
        stories=json.dumps(stories, ensure_ascii=False).replace("<", "\\u003c"),
    )


def _story(row: Row) -> dict[str, Any]:
    return {
        "steps": row.story,
        "services": row.services,
        "bounds": row.bounds,
        "fenced": list(row.fenced),
        "same_as": row.same_as,
        "violations": [
            message_for(
                violation_finding(
                    {
                        "code": code,
                        "object": name,
                        "detail": detail,
                        "scenario": row.name,
                        "severity": "error",
                    }
                )
            )
            for code, name, detail in row.violations
        ],
    }


def _violations(proof: Proof) -> list[dict[str, str]]:
    seen: dict[tuple[str, str], dict[str, str]] = {}
    for item in proof.violations:
        finding = violation_finding(item)
        entry = {"code": item["code"], "severity": item["severity"], "message": message_for(finding)}
        seen.setdefault((item["code"], item["object"]), entry | {"advice": advice_for(finding)})
    return list(seen.values())
