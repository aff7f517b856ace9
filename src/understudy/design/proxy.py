"""HAProxy in front of all copies of the services that are balanced (pure)."""

from typing import TYPE_CHECKING

from understudy.formats.haproxy import Front, Server

if TYPE_CHECKING:
    from understudy.design.context import Cloud

BACKEND_OFFSET = 10_000
"""What is added to a service's port for its copies: HAProxy has the port, on the virtual address, and a copy that
listens everywhere would keep it from it."""


def fronts(cloud: "Cloud") -> tuple[Front, ...]:
    """Return what HAProxy serves on every node; it listens on the virtual addresses before they arrive.

    A copy is asked what its agent asks it, so that both agree on which one is healthy.
    """
    found = []
    for name, service in cloud.spec.services.items():
        entry, address = cloud.entry(name), cloud.address_of(name)
        if service.standby != "balanced" or address is None or entry.port is None:
            continue
        serving = entry.agent.get("serving", {})
        found.append(
            Front(
                name=name,
                addresses=tuple(str(side) for side in address.sides().values()),
                port=entry.port,
                servers=tuple(
                    Server(node, cloud.own_address(node), entry.port + BACKEND_OFFSET)
                    for node in cloud.spec.nodes
                ),
                check_path=serving.get("path", "/"),
                accept=tuple(serving.get("accept", (200,))),
            )
        )
    return tuple(found)
