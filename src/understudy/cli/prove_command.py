"""understudy prove: play every failure on Pacemaker's own scheduler, for a spec or any configuration."""

from pathlib import Path

from understudy.cli.console import err, out
from understudy.cli.inputs import read_input
from understudy.cli.prove import prove_text, show
from understudy.design.cluster import with_nodes
from understudy.findings import Finding, FindingsError, Place
from understudy.formats import cib as cib_format
from understudy.formats import crmsh
from understudy.proof.prove import Options


def prove(  # noqa: PLR0913 - each is an option of the command
    spec: Path | None = None,
    /,
    *,
    cib: Path | None = None,
    crm: Path | None = None,
    faults: int = 1,
    html: Path | None = None,
    json: bool = False,
) -> int:
    """Play every failure on Pacemaker's own scheduler, and say which are survived and what each interrupts.

    Give a spec, or with --cib or --crm the configuration of any Pacemaker cluster. Nothing is touched.
    Exits with 0 when everything is survived, 1 when something is not, 2 when the input cannot be read.

    Parameters
    ----------
    spec
        The spec's file.
    cib
        A CIB as XML, such as ``cibadmin --query`` prints.
    crm
        crmsh text, such as ``crm configure show`` prints.
    faults
        How many failures are combined; 2 plays every ordered pair as well.
    html
        Write a page with the matrix and the story of each failure.
    json
        Print JSON.
    """
    given = [one for one in (spec, cib, crm) if one is not None]
    if len(given) != 1:
        raise FindingsError([Finding("prove-what")])
    text, accepted = _input(spec, cib, crm)
    options = Options(faults=faults, accepted=accepted)
    proof = prove_text(text, str(given[0]), options, None if json else err)
    return show(proof, out, as_data=json, html=html)


def _input(spec: Path | None, cib: Path | None, crm: Path | None) -> tuple[bytes, dict[str, str]]:
    if spec is not None:
        loaded = read_input(spec, with_secrets=False)
        whole = with_nodes(loaded.design().cluster, loaded.loaded.spec)
        accepted = {one.code: one.reason for one in loaded.loaded.spec.accept}
        return cib_format.render(whole).encode(), accepted
    if cib is not None:
        return _read(cib), {}
    if crm is None:
        raise FindingsError([Finding("prove-what")])
    configuration, findings = crmsh.parse(_read(crm).decode("utf-8", "replace"), str(crm))
    if any(finding.severity == "error" for finding in findings):
        raise FindingsError(findings)
    return cib_format.render(configuration).encode(), {}


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        values = {"reason": error.strerror}
        raise FindingsError([Finding("file-unreadable", values=values, place=Place(str(file)))]) from error
