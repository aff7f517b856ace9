"""The nodes of a drill: some of them are away for a while, and connections to them break."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress

from understudy.drill.faults.aim import State
from understudy.findings import FindingsError
from understudy.hosts.ssh import SshHost
from understudy.kinds import pacemaker
from understudy.kinds.model import World
from understudy.kinds.pacemaker import ClusterView

ALIVE_SECONDS = 5.0

Connect = Callable[[str], Awaitable[SshHost]]


class Nodes:
    """Connections to nodes by name, made when they are needed and again when they broke."""

    def __init__(self, names: Sequence[str], connect: Connect) -> None:
        self.names = tuple(names)
        self._connect = connect
        self._hosts: dict[str, SshHost] = {}
        self._turns = {name: asyncio.Lock() for name in names}

    async def host(self, name: str) -> SshHost:
        """Return a connection that works now. Raises FindingsError when the node cannot be reached."""
        async with self._turns[name]:
            host = self._hosts.get(name)
            if host is not None:
                with suppress(FindingsError):
                    await host.run(["true"], timeout=ALIVE_SECONDS)
                    return host
                del self._hosts[name]
                await host.close()
            self._hosts[name] = await self._connect(name)
            return self._hosts[name]

    async def reachable(self) -> dict[str, SshHost]:
        """Return the nodes that answer now."""

        async def of(name: str) -> SshHost | None:
            with suppress(FindingsError):
                return await self.host(name)
            return None

        found = await asyncio.gather(*(of(name) for name in self.names))
        return {name: host for name, host in zip(self.names, found, strict=True) if host is not None}

    async def view(self) -> ClusterView | None:
        """Return the cluster as the best informed node sees it; None when no node is in one."""
        hosts = await self.reachable()

        async def of(name: str) -> ClusterView | None:
            with suppress(FindingsError):
                return await pacemaker.view(World({name: hosts[name]}), fresh=True)
            return None

        views = [view for view in await asyncio.gather(*(of(name) for name in hosts)) if view is not None]
        return max(views, key=lambda view: (view.quorate, len(view.online)), default=None)

    async def idle(self, view: ClusterView) -> bool:
        """Return whether the coordinator of a view has nothing to do now."""
        if view.coordinator is None:
            return False
        with suppress(FindingsError):
            return await pacemaker.is_idle(await self.host(view.asked), view.coordinator)
        return False

    async def close(self) -> None:
        """End all connections."""
        await asyncio.gather(*(host.close() for host in self._hosts.values()))
        self._hosts.clear()


def active(view: ClusterView) -> dict[str, tuple[str, ...]]:
    """Return by resource the nodes on which it runs, copies of a clone under the primitive's name."""
    found: dict[str, tuple[str, ...]] = {}
    for state in view.resources:
        if state.role in {"Started", "Promoted", "Master"} and not state.failed:
            name = state.resource.partition(":")[0]
            found[name] = (*found.get(name, ()), state.node)
    return found


def state_of(view: ClusterView) -> State:
    """Return where things are, as far as faults are aimed by it."""
    return State(view.online, view.coordinator, active(view))


def observed(view: ClusterView, fencing: Sequence[str]) -> dict[str, object]:
    """Return the view as values of a history's observation ``cluster``."""
    return {
        "online": list(view.online),
        "unclean": list(view.unclean),
        "standby": list(view.standby),
        "quorate": view.quorate,
        "coordinator": view.coordinator,
        "active": {name: list(nodes) for name, nodes in active(view).items()},
        "failures": list(view.failures),
        "fencing": list(fencing),
    }


def unhealthy(view: ClusterView | None, names: Sequence[str], expected: Mapping[str, int]) -> list[str]:
    """Return what is missing until the cluster is as it was: all nodes in, quorum, enough copies that serve."""
    if view is None:
        return ["no node answers for the cluster"]
    running = active(view)
    return [
        *([] if view.quorate else ["no quorum"]),
        *(f"{name} is not online" for name in names if name not in view.online),
        *(f"{name} is unclean" for name in view.unclean),
        *(f"{name} is in standby" for name in view.standby),
        *(
            f"{resource} runs {len(running.get(resource, ()))} times of {count}"
            for resource, count in expected.items()
            if len(running.get(resource, ())) < count
        ),
        *(f"{copy} does not answer" for copy in view.silent),
    ]
