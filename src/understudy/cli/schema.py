"""understudy schema: the JSON Schema of the spec, for editors."""

from pathlib import Path

from understudy.cli.console import out, print_json
from understudy.spec.schema import json_schema


def schema(*, to: Path | None = None) -> int:
    """Print the JSON Schema of the spec, with which an editor completes and checks.

    Parameters
    ----------
    to
        Write it to this file instead.
    """
    if to is None:
        print_json(json_schema())
        return 0
    import json  # noqa: PLC0415 - the name is an option of other commands

    to.write_text(json.dumps(json_schema(), indent=2) + "\n", encoding="utf-8")
    out.print(f"Written to {to}. In a spec, let the first line be: # yaml-language-server: $schema={to}")
    return 0
