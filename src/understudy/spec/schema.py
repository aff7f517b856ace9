"""The published JSON Schema of the spec, made from the model."""

from understudy.spec.model import Spec

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> dict[str, object]:
    """Return the JSON Schema (draft 2020-12) of the spec."""
    return {"$schema": DIALECT, **Spec.model_json_schema(by_alias=True)}
