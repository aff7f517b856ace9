"""From a spec to the machines it is about: the lab's when a lab of this spec is up, else the real ones."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from understudy.findings import Finding, FindingsError, message_for
from understudy.hosts.ssh import Access, SshHost, Target, connect
from understudy.kinds.model import World
from understudy.lab.client import Lab
from understudy.lab.from_spec import topology_of
from understudy.spec.load import LoadedSpec

SOCKET_SECONDS = 10


@dataclass(frozen=True)
class Reached:
    """The world of a spec, in words where it is, and the nodes that could not be reached, with the reason."""

    world: World
    where: str
    in_lab: bool
    missing: dict[str, str]


def lab_of(loaded: LoadedSpec) -> Lab | None:
    """Return the lab of this spec when it is up.

    Raises FindingsError when a lab of this name is up that is made from another spec.
    """
    lab = Lab.find(loaded.spec.cloud)
    if lab is not None and lab.topology != topology_of(loaded.spec):
        raise FindingsError([Finding("lab-is-another", values={"name": lab.name})], exit_status=1)
    return lab


@asynccontextmanager
async def reach(loaded: LoadedSpec, *, live: bool, missing_is_fine: bool = False) -> AsyncIterator[Reached]:
    """Connect to all nodes; with ``live`` to the real ones even when a lab is up.

    Raises FindingsError (exit status 1) for nodes that cannot be reached, unless that is fine and one can.
    """
    lab = None if live else lab_of(loaded)
    targets, access = _ways(loaded, lab)
    where = f"the lab {lab.name}" if lab else "live nodes"
    results = await asyncio.gather(*(connect(target, access) for target in targets), return_exceptions=True)
    hosts = {host.name: host for host in results if isinstance(host, SshHost)}
    try:
        missing, findings = _failures(targets, results)
        if findings and not (missing_is_fine and hosts):
            raise FindingsError(findings, exit_status=1)
        yield Reached(World(hosts), where, lab is not None, missing)
    finally:
        await asyncio.gather(*(host.close() for host in hosts.values()))


def connector(loaded: LoadedSpec, lab: Lab | None) -> Callable[[str], Awaitable[SshHost]]:
    """Return what makes a fresh connection to a node by its name."""
    targets, access = _ways(loaded, lab)
    by_name = {target.name: target for target in targets}

    async def to(name: str) -> SshHost:
        return await connect(by_name[name], access)

    return to


def _ways(loaded: LoadedSpec, lab: Lab | None) -> tuple[list[Target], Access]:
    spec, ssh = loaded.spec, loaded.spec.ssh
    port = None if lab else ssh.port
    targets = [Target(name, str(addresses[ssh.network]), port) for name, addresses in spec.nodes.items()]
    if lab is None:
        access = Access(
            user=ssh.user,
            key=loaded.folder / ssh.identity if ssh.identity else None,
            known_hosts=loaded.folder / ssh.known_hosts if ssh.known_hosts else None,
        )
        return targets, access
    access = Access(
        user="root",
        key=lab.private_key,
        known_hosts=lab.known_hosts,
        configuration=Path("/dev/null"),
        socket_factory=lambda address, number: lab.open_socket(address, number, SOCKET_SECONDS),
    )
    return targets, access


def _failures(
    targets: Sequence[Target], results: Sequence[SshHost | BaseException]
) -> tuple[dict[str, str], list[Finding]]:
    missing: dict[str, str] = {}
    findings: list[Finding] = []
    for target, result in zip(targets, results, strict=True):
        if isinstance(result, FindingsError):
            findings += result.findings
            missing[target.name] = message_for(result.findings[0])
        elif isinstance(result, BaseException):
            raise result
    return missing, findings
