"""understudy prove: play every failure on Pacemaker's own scheduler, for a spec or any configuration."""

import asyncio
from dataclasses import replace
from pathlib import Path

from understudy.cli import proving
from understudy.cli.console import err, out
from understudy.cli.inputs import read_input
from understudy.cli.prove import prove_text, show
from understudy.findings import Finding, FindingsError


def prove(  # noqa: PLR0913 - each is an option of the command
    spec: Path | None = None,
    /,
    *,
    running: bool = False,
    live: bool = False,
    cib: Path | None = None,
    crm: Path | None = None,
    pcs: Path | None = None,
    corosync: Path | None = None,
    measured: Path | None = None,
    faults: int = 1,
    html: Path | None = None,
    json: bool = False,
) -> int:
    """Play every failure on Pacemaker's own scheduler, and say which are survived and what each interrupts.

    Give a spec, or with --cib, --crm or --pcs the configuration of any Pacemaker cluster. Nothing is touched.
    Exits with 0 when everything is survived, 1 when something is not, 2 when the input cannot be read.

    Parameters
    ----------
    spec
        The spec's file.
    running
        Prove the cluster that the spec's nodes run now, with all that is in it, instead of what the spec leads to.
    live
        Like --running, on the real nodes even when a lab of this spec is up.
    cib
        A CIB as XML, such as ``cibadmin --query`` or ``pcs cluster cib`` prints.
    crm
        crmsh text, such as ``crm configure show`` prints.
    pcs
        What ``pcs config`` or ``pcs cluster cib`` prints.
    corosync
        The cluster's corosync.conf, to be checked too; it says how long a lost node goes unnoticed.
    measured
        The record of a drill: the longest start, stop and fencing seen there takes the place of the timeout written.
    faults
        How many failures are combined; 2 plays every ordered pair as well.
    html
        Write a page with the matrix and the story of each failure.
    json
        Print JSON.
    """
    given = [one for one in (spec, cib, crm, pcs) if one is not None]
    if len(given) != 1 or (spec is None and (running or live)):
        raise FindingsError([Finding("prove-what")])
    if cib is not None:
        text, options = proving.from_cib(cib)
    elif crm is not None:
        text, options = proving.from_crm(crm)
    elif pcs is not None:
        text, options = proving.from_pcs(pcs)
    else:
        loaded = read_input(given[0], with_secrets=running or live)
        text, options = (
            asyncio.run(proving.running(loaded, live=live)) if running or live else proving.designed(loaded)
        )
    if corosync is not None:
        options = replace(options, corosync=proving.read(corosync).decode("utf-8", "replace"))
    if measured is not None:
        from understudy.cli.drill import read_record  # noqa: PLC0415 - brings all that drills need
        from understudy.drill.measured import longest_operations  # noqa: PLC0415

        options = replace(options, durations=longest_operations(read_record(measured)))
    proof = prove_text(text, str(given[0]), replace(options, faults=faults), None if json else err)
    return show(proof, out, as_data=json, html=html)
