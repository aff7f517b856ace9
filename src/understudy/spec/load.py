"""Reading a spec: YAML with the place of every mistake, then the model."""

from collections.abc import Iterable
from copy import deepcopy
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from understudy.findings import Finding, FindingsError, Place
from understudy.spec.model import SPEC_VERSION, Spec
from understudy.spec.places import Places


class LoadedSpec(BaseModel):
    """A spec that fits the model, with the places of its values and the folder that its paths are relative to."""

    model_config = {"arbitrary_types_allowed": True, "frozen": True}

    spec: Spec
    places: Places
    folder: Path


class UnusableSpecError(FindingsError):
    """A spec that does not fit the model; ``rest`` is what is left of it without its wrong keys, to look at further."""

    def __init__(self, findings: Iterable[Finding], rest: LoadedSpec | None) -> None:
        super().__init__(findings)
        self.rest = rest


def load_spec(path: Path) -> LoadedSpec:
    """Read and validate a spec file.

    Raises FindingsError (exit status 2) with every mistake that can be seen without the catalog.
    """
    try:
        text = path.read_bytes().decode("utf-8")
    except OSError as error:
        raise FindingsError(
            [Finding("spec-unreadable", values={"reason": error.strerror}, place=Place(str(path)))]
        ) from error
    except UnicodeDecodeError as error:
        raise FindingsError(
            [Finding("spec-not-yaml", values={"reason": str(error.reason)}, place=Place(str(path), 1, 1))]
        ) from error
    return parse_spec(text, str(path), path.resolve().parent)


def parse_spec(text: str, file: str, folder: Path) -> LoadedSpec:
    """Parse the text of a spec; ``file`` is the name that findings show."""
    document = _parse_yaml(text, file)
    places = Places(file, document)
    version = document.get("understudy")
    if isinstance(version, int) and not isinstance(version, bool) and version != SPEC_VERSION:
        code = "spec-version-newer" if version > SPEC_VERSION else "spec-version-unknown"
        values = {"version": version, "known": SPEC_VERSION}
        raise FindingsError([Finding(code, values=values, place=places.value("understudy"))])
    plain = _plain(document)
    try:
        spec = Spec.model_validate(plain)
    except ValidationError as error:
        rest = _without(plain, error, document)
        usable = LoadedSpec(spec=rest, places=places, folder=folder) if rest else None
        raise UnusableSpecError(_findings_of(error, document, places), usable) from error
    return LoadedSpec(spec=spec, places=places, folder=folder)


def _without(plain: Any, error: ValidationError, document: CommentedMap) -> Spec | None:  # noqa: ANN401 - YAML
    """Return the spec without the keys that are wrong, when it can be read without them."""
    rest = deepcopy(plain)
    for detail in error.errors():
        path = _path_in_document(detail["loc"], document)
        node = rest
        for step in path[:-1]:
            node = node.get(step, {}) if isinstance(node, dict) else {}
        if path and isinstance(node, dict):
            node.pop(path[-1], None)
    try:
        return Spec.model_validate(rest)
    except ValidationError:
        return None


def _parse_yaml(text: str, file: str) -> CommentedMap:
    try:
        document = YAML(typ="rt").load(text)
    except DuplicateKeyError as error:
        mark = error.problem_mark
        place = Place(file, mark.line + 1, mark.column + 1) if mark else Place(file, 1, 1)
        raise FindingsError(
            [Finding("duplicate-key", values={"reason": _first_line(error.problem)}, place=place)]
        ) from error
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(file, mark.line + 1, mark.column + 1) if mark else Place(file, 1, 1)
        raise FindingsError(
            [Finding("spec-not-yaml", values={"reason": _first_line(error.problem)}, place=place)]
        ) from error
    except (YAMLError, ValueError) as error:
        raise FindingsError(
            [Finding("spec-not-yaml", values={"reason": _first_line(str(error))}, place=Place(file, 1, 1))]
        ) from error
    if document is None:
        raise FindingsError([Finding("spec-empty", place=Place(file, 1, 1))])
    if not isinstance(document, CommentedMap):
        raise FindingsError([Finding("spec-no-mapping", place=Place(file, 1, 1))])
    return document


def _first_line(text: str | None) -> str:
    return (text or "it cannot be parsed").strip().splitlines()[0]


def _plain(value: Any) -> Any:  # noqa: ANN401 - any YAML value
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


def _findings_of(error: ValidationError, document: CommentedMap, places: Places) -> list[Finding]:
    findings: dict[tuple[str, Place], Finding] = {}
    for detail in error.errors():
        finding = _finding_of(detail, document, places)
        if finding.place is not None:
            findings.setdefault((finding.code, finding.place), finding)
    return sorted(findings.values(), key=lambda finding: finding.place or Place(""))


def _finding_of(detail: ErrorDetails, document: CommentedMap, places: Places) -> Finding:
    path = _path_in_document(detail["loc"], document)
    kind = detail["type"]
    if kind == "extra_forbidden":
        return _unknown_key(path, detail["loc"], places)
    if kind == "missing":
        place = places.key(*path) if path else Place(places.file, 1, 1)
        return Finding("missing-key", values={"key": detail["loc"][-1], "parent": _dotted(path)}, place=place)
    message = detail["msg"].removeprefix("Value error, ")
    about_key = detail["loc"] and detail["loc"][-1] == "[key]"
    place = places.key(*path) if about_key else places.value(*path)
    values = {
        "path": _dotted(path),
        "reason": message[:1].lower() + message[1:],
        "value": detail.get("input"),
    }
    return Finding("invalid-value", values=values, place=place)


def _path_in_document(location: tuple[int | str, ...], document: CommentedMap) -> list[str | int]:
    """Return the part of a validation path that exists in the file: names of models and unions drop out."""
    path: list[str | int] = []
    node: Any = document
    for step in location:
        if isinstance(node, list):
            node = dict(enumerate(node))
        if isinstance(node, dict) and step in node:
            path.append(step)
            node = node[step]
    return path


def _unknown_key(path: list[str | int], location: tuple[int | str, ...], places: Places) -> Finding:
    known = _known_keys(location[:-1])
    near = get_close_matches(str(location[-1]), known, n=1, cutoff=0.6)
    values = {
        "key": location[-1],
        "suggestion": f"write {near[0]}" if near else f"known here: {', '.join(sorted(known))}",
    }
    return Finding("unknown-key", values=values, place=places.key(*path))


def _known_keys(location: tuple[int | str, ...]) -> list[str]:
    """Return the keys that the model knows at this place, by walking its JSON Schema."""
    schema = Spec.model_json_schema()
    definitions = schema["$defs"]
    node: dict[str, Any] = schema
    for step in location:
        node = _resolve(node, definitions)
        properties = node.get("properties", {})
        node = properties[step] if step in properties else node.get("additionalProperties") or {}
    return list(_resolve(node, definitions).get("properties", {}))


def _resolve(node: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    for option in node.get("anyOf", ()):
        if "$ref" in option:
            node = option
    if "$ref" in node:
        node = definitions[node["$ref"].rsplit("/", 1)[-1]]
    return node


def _dotted(path: list[str | int]) -> str:
    return ".".join(str(step) for step in path)
