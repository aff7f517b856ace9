"""The published JSON Schema is the model's, and fits the examples."""

import json
from pathlib import Path

from understudy.spec.schema import json_schema

PUBLISHED = Path(__file__).parents[3] / "docs" / "reference" / "spec.schema.json"


def test_the_published_schema_is_up_to_date() -> None:
    expected = json.loads(json.dumps(json_schema()))
    message = "run: understudy schema --to docs/reference/spec.schema.json"
    assert json.loads(PUBLISHED.read_text(encoding="utf-8")) == expected, message


def test_every_key_is_described() -> None:
    schema = json_schema()
    definitions = schema["$defs"]
    assert isinstance(definitions, dict)
    for name, definition in {**definitions, "Spec": schema}.items():
        for key, value in definition.get("properties", {}).items():
            described = value.get("description") or "$ref" in value  # a reference has its own
            assert described, f"{name}.{key} has no docstring"
