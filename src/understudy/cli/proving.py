"""What is proved: a spec's design, a running cluster, or a configuration in any of Pacemaker's languages."""

from collections.abc import Callable, Sequence
from pathlib import Path

from understudy.cli.inputs import Input
from understudy.design.cluster import with_nodes
from understudy.findings import Finding, FindingsError, Place
from understudy.formats import cib as cib_format
from understudy.formats import crmsh, pcs_config
from understudy.formats.cluster import ClusterConfiguration
from understudy.proof.result import Options

Provable = tuple[bytes, Options]
"""A CIB as XML, and what else is known of it."""

COROSYNC_CONF = "/etc/corosync/corosync.conf"


def accepted(given: Input) -> dict[str, str]:
    """Return the codes of the deviations that a spec accepts, with the reasons."""
    return {one.code: one.reason for one in given.loaded.spec.accept}


def designed(given: Input) -> Provable:
    """Return the configuration that a spec leads to."""
    design = given.design()
    whole = with_nodes(design.cluster, given.loaded.spec)
    options = Options(accepted=accepted(given), corosync=design.corosync_conf)
    return cib_format.render(whole).encode(), options


async def running(given: Input, *, live: bool) -> Provable:
    """Return the configuration and status of the cluster that a spec's nodes run.

    Raises FindingsError (exit status 1) when no node is reached or none is in a cluster.
    """
    # These bring SSH along, which takes longer to load than every single failure takes to play on a small cluster.
    from understudy.cli.reach import reach  # noqa: PLC0415
    from understudy.kinds import pacemaker  # noqa: PLC0415

    async with reach(given.loaded, live=live, missing_is_fine=True) as reached:
        seen = await pacemaker.view(reached.world)
        if seen is None:
            values = {"where": reached.where}
            raise FindingsError([Finding("no-cluster-to-prove", values=values)], exit_status=1)
        host = reached.world.hosts[seen.asked]
        membership = await host.run(["cat", COROSYNC_CONF])
    text = membership.text if membership.exit_status == 0 else ""
    return seen.cib.encode(), Options(accepted=accepted(given), corosync=text)


def from_cib(file: Path) -> Provable:
    """Return a CIB file as it is; it may carry the status of a cluster."""
    return read(file), Options(agents=True)


def from_crm(file: Path) -> Provable:
    """Return what crmsh text says, such as ``crm configure show`` prints."""
    return _parsed(crmsh.parse, file)


def from_pcs(file: Path) -> Provable:
    """Return what pcs printed: ``pcs config``, or ``pcs cluster cib``, which is a CIB."""
    if read(file).lstrip().startswith(b"<"):
        return from_cib(file)
    return _parsed(pcs_config.parse, file)


Parser = Callable[[str, str], tuple[ClusterConfiguration, Sequence[Finding]]]


def _parsed(parse: Parser, file: Path) -> Provable:
    configuration, findings = parse(read(file).decode("utf-8", "replace"), str(file))
    if any(finding.severity == "error" for finding in findings):
        raise FindingsError(list(findings))
    return cib_format.render(configuration).encode(), Options(agents=True)


def read(file: Path) -> bytes:
    """Return a file's bytes; raises FindingsError when it cannot be read."""
    try:
        return file.read_bytes()
    except OSError as error:
        values = {"reason": error.strerror}
        raise FindingsError([Finding("file-unreadable", values=values, place=Place(str(file)))]) from error
