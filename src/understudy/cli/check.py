"""understudy check: say everything that is wrong with a spec."""

from pathlib import Path

from understudy.cli.console import err, findings_json, out, print_findings, print_json, summary
from understudy.cli.inputs import read_input


def check(spec: Path, /, *, secrets: bool = True, json: bool = False) -> int:
    """Say everything that is wrong with a spec; nothing is touched.

    Parameters
    ----------
    spec
        The spec's file.
    secrets
        Whether every secret must resolve; ``--no-secrets`` for a machine that does not have them.
    json
        Print JSON.
    """
    given = read_input(spec, with_secrets=secrets)
    if json:
        print_json({"findings": findings_json(given.warnings)})
        return 0
    print_findings(given.warnings, err)
    names = given.loaded.spec
    counted = summary(given.warnings)
    out.print(
        f"{spec}: {counted}; {len(names.nodes)} nodes, {len(names.services)} services, release {given.release}."
    )
    return 0
