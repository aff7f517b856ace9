"""Every finding is used, can be put in words, and is demanded by some test."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from string import Formatter

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[3]
SOURCE = ROOT / "src" / "understudy"
MESSAGES = SOURCE / "findings" / "messages"
DOMAINS = ("spec", "design", "cluster", "hosts", "plan", "lab", "networking", "tls")

UNTESTED = {
    "database-nowhere": "only when the database stops between two looks of one step",
    "lab-image-failed": "needs a build of minutes that fails at its end",
    "lab-not-gone": "a process that survives SIGKILL is hard to come by",
}
"""Codes that no test demands, with the reason."""


@cache
def entries(domain: str) -> dict[str, dict[str, str]]:
    loaded: dict[str, dict[str, str]] = YAML(typ="safe").load((MESSAGES / f"{domain}.yaml").read_text())
    return loaded


CODES = [code for domain in DOMAINS for code in entries(domain)]


@cache
def text_of(folder: Path) -> str:
    here = Path(__file__)
    files = [path for suffix in ("py", "yaml") for path in sorted(folder.rglob(f"*.{suffix}"))]
    return "\n".join(path.read_text() for path in files if path != here and path.parent != MESSAGES)


def mentions(text: str, code: str) -> bool:
    return re.search(rf"(?<![\w-]){re.escape(code)}(?![\w-])", text) is not None


@pytest.mark.parametrize("code", CODES)
def test_a_code_is_used(code: str) -> None:
    built = {
        "service-address-unknown": 'f"service-{key}-unknown"',
        "service-storage-unknown": 'f"service-{key}-unknown"',
    }
    assert mentions(text_of(SOURCE), code) or built.get(code, "\0") in text_of(SOURCE)


@pytest.mark.parametrize("code", CODES)
def test_a_code_is_demanded_by_a_test(code: str) -> None:
    demanded = mentions(text_of(ROOT / "tests"), code)
    assert demanded != (code in UNTESTED), f"{code} is {'tested' if demanded else 'not tested'}"


def findings_made() -> Iterator[tuple[str, int, str, set[str] | None]]:
    """Give each ``Finding("code", …)`` of the source whose values are written out: where, code, names of the values."""
    for path in sorted(SOURCE.rglob("*.py")):
        tree = ast.parse(path.read_text())
        for function in ast.walk(tree):
            if not isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
                continue
            written = _dictionaries(function)
            for call in ast.walk(function):
                if (
                    isinstance(call, ast.Call)
                    and isinstance(call.func, ast.Name)
                    and call.func.id == "Finding"
                ):
                    code = call.args[0] if call.args else None
                    if isinstance(code, ast.Constant):
                        yield str(path.relative_to(ROOT)), call.lineno, str(code.value), _names(call, written)


def _dictionaries(function: ast.AST) -> dict[str, set[str]]:
    """Return the dictionaries that a function writes out under a name, all their keys together."""
    found: dict[str, set[str]] = {}
    for node in ast.walk(function):
        targets = (
            node.targets
            if isinstance(node, ast.Assign)
            else [node.target]
            if isinstance(node, ast.AnnAssign)
            else []
        )
        value = node.value if isinstance(node, (ast.Assign, ast.AnnAssign)) else None
        for target in targets:
            if isinstance(target, ast.Name) and isinstance(value, ast.Dict):
                found.setdefault(target.id, set()).update(_keys(value) or {"*"})
    return found


def _keys(value: ast.Dict) -> set[str] | None:
    if not all(isinstance(key, ast.Constant) for key in value.keys):
        return None
    return {str(key.value) for key in value.keys if isinstance(key, ast.Constant)}


def _names(call: ast.Call, written: dict[str, set[str]]) -> set[str] | None:
    given = [word.value for word in call.keywords if word.arg == "values"] + list(call.args[2:3])
    if not given:
        return set()
    if isinstance(given[0], ast.Dict):
        return _keys(given[0])
    names = written.get(given[0].id) if isinstance(given[0], ast.Name) else None
    return None if names is None or "*" in names else names


def test_a_finding_carries_what_its_words_need() -> None:
    messages = {
        code: {
            field
            for text in entry.values()
            for _, field, _, _ in Formatter().parse(text)
            if field is not None and field != "subject"
        }
        for file in sorted(MESSAGES.glob("*.yaml"))
        for code, entry in entries(file.stem).items()
    }
    lacking = []
    seen = 0
    for path, line, code, names in findings_made():
        seen += 1
        assert code in messages, f"{path}:{line}: {code} has no message"
        if path.startswith("src/understudy/proof/"):
            continue  # a proof's findings are put in words by the tests of the proof
        if code in CODES and names is not None and messages[code] - names:
            lacking.append(f"{path}:{line}: {code} lacks {sorted(messages[code] - names)}")
    assert seen > 60
    assert lacking == []
