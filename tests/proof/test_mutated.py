"""Configurations from anywhere, mutated: whatever comes in, findings or verdicts come out, no traceback and no hang."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree
from tests.proof.conftest import CORPUS

from understudy.findings import message_for
from understudy.proof.page import page
from understudy.proof.prove import prove
from understudy.proof.report import as_json, terminal
from understudy.proof.result import Options

CORRECT = Path(__file__).with_name("correct.xml")
LARGEST = 12_000
FILES = [
    CORRECT,
    *(
        file
        for kind in ("cib", "scheduler")
        for file in sorted((CORPUS / kind).glob("*.xml"))
        if file.stat().st_size < LARGEST
    ),
]
EXAMPLES = int(os.environ.get("UNDERSTUDY_FUZZ", "12"))
SECONDS = 60
VALUES = (
    "",
    "0",
    "-1",
    "1e9",
    "INFINITY",
    "true",
    "x" * 300,
    "é\u202e",
    "%s",
    "#",
    "a b",
    "n1",
    "99999999999999",
)

Mutation = Callable[[list[etree._Element], st.DataObject], None]


def _pick(elements: list[etree._Element], data: st.DataObject) -> etree._Element:
    return data.draw(st.sampled_from(elements))


def drop(elements: list[etree._Element], data: st.DataObject) -> None:
    element = _pick(elements, data)
    parent = element.getparent()
    if parent is not None:
        parent.remove(element)


def double(elements: list[etree._Element], data: st.DataObject) -> None:
    element, target = _pick(elements, data), _pick(elements, data)
    target.append(etree.fromstring(etree.tostring(element, with_tail=False)))


def set_value(elements: list[etree._Element], data: st.DataObject) -> None:
    element = _pick([item for item in elements if item.attrib] or elements, data)
    names = [str(name) for name in element.attrib] or ["id"]
    values = st.sampled_from((*VALUES, *{value for item in elements[:40] for value in item.attrib.values()}))
    element.set(data.draw(st.sampled_from(names)), str(data.draw(values)))


def lose_attribute(elements: list[etree._Element], data: st.DataObject) -> None:
    element = _pick([item for item in elements if item.attrib] or elements, data)
    for name in list(element.attrib)[:1]:
        del element.attrib[name]


def rename(elements: list[etree._Element], data: st.DataObject) -> None:
    element, other = _pick(elements, data), _pick(elements, data)
    element.tag = other.tag


MUTATIONS: tuple[Mutation, ...] = (drop, double, set_value, set_value, lose_attribute, rename)


def mutated(data: st.DataObject) -> bytes:
    root = etree.fromstring(data.draw(st.sampled_from(FILES)).read_bytes())
    if data.draw(st.booleans()):
        root.set("validate-with", "none")  # then its schema does not keep it from being played
    for _ in range(data.draw(st.integers(1, 4))):
        elements = [element for element in root.iter() if isinstance(element.tag, str)]
        data.draw(st.sampled_from(MUTATIONS))(elements, data)
    text = etree.tostring(root)
    cut = data.draw(st.sampled_from((None, None, None, None, None, len(text) // 2)))
    return text[:cut]


@pytest.mark.timeout(1800)
@given(data=st.data())
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
def test_anything_gives_findings_or_verdicts(data: st.DataObject) -> None:
    text = mutated(data)
    proof = prove(text, "input.xml", Options(limit=20, workers=1))
    assert proof.seconds < SECONDS, text
    for finding in proof.findings:
        assert message_for(finding)
    assert as_json(proof)["scenarios"] == proof.played
    assert terminal(proof)
    assert page(proof)
    assert proof.played or proof.findings
    assert "cross-check-differs" not in {item.code for item in proof.findings}, text
