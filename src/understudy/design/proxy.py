"""HAProxy in front of all copies of the services that are balanced (pure)."""

from typing import TYPE_CHECKING

from understudy.formats.haproxy import Front, Server

if TYPE_CHECKING:
    from understudy.design.context import Cloud

BACKEND_OFFSET = 10_000
"""What is added to a service's port for its copies: HAProxy has the port, on the virtual address, and a copy that
listens everywhere would keep it from it."""
LOOPBACK = "127.0.0.1"
CERTIFICATES = "/etc/ssl/understudy"


def proxy_certificate(address: str, side: str) -> str:
    """Return the path of the file with certificate and key of one side of a virtual address, for HAProxy."""
    return f"{CERTIFICATES}/proxy-{address}-{side}.pem"


def fronts(cloud: "Cloud") -> tuple[Front, ...]:
    """Return what HAProxy serves on every node; it listens on the virtual addresses before they arrive.

    A copy is asked what its agent asks it, so that both agree on which one is healthy. A service that is not balanced
    has HAProxy in front of it for TLS only, and its one copy is on the same node.
    """
    found = []
    for name, service in cloud.spec.services.items():
        entry, address = cloud.entry(name), cloud.address_of(name)
        if address is None or entry.port is None or not cloud.proxied(name):
            continue
        balanced = service.standby == "balanced"
        serving = entry.agent.get("serving", {})
        port = entry.port + BACKEND_OFFSET
        found.append(
            Front(
                name=name,
                addresses=tuple(str(side) for side in address.sides().values()),
                port=entry.port,
                servers=tuple(Server(node, cloud.own_address(node), port) for node in cloud.spec.nodes)
                if balanced
                else (Server("here", LOOPBACK, port),),
                check_path=serving.get("path", "/") if balanced else "",
                accept=tuple(serving.get("accept", (200,))),
                certificates={
                    str(value): proxy_certificate(service.address or "", side)
                    for side, value in address.sides().items()
                }
                if cloud.spec.tls
                else {},
                at_once=_at_once(cloud, name) if balanced else None,
            )
        )
    return tuple(found)


def _at_once(cloud: "Cloud", name: str) -> int | None:
    """Return how many requests a copy is given at a time, None for any number.

    Half as many as uWSGI has threads for. The threads of a worker share one interpreter: more at once only make each
    slower, and the check whether the copy is healthy with them. One that answers too late is taken for dead, what it
    worked on goes to the others, and these are next.
    """
    workers = cloud.spec.services[name].workers
    if workers is None:
        return None
    for file in cloud.select(cloud.entry(name).files):
        for option in cloud.select(file.options):
            if (option.group, option.name) == ("uwsgi", "threads") and option.value is not None:
                return workers * max(1, int(option.value) // 2)
    return None
