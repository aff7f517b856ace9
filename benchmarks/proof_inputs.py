"""Cluster configurations of any size for measuring the proof: a control plane in groups or with warm services."""

from collections.abc import Iterable

OPTIONS = {
    "stonith-enabled": "true",
    "no-quorum-policy": "stop",
    "stonith-timeout": "60s",
    "cluster-recheck-interval": "60s",
}
DEFAULTS = {"resource-stickiness": "100", "migration-threshold": "3", "failure-timeout": "600s"}


def _nvpairs(owner: str, values: dict[str, str]) -> str:
    return "".join(
        f'<nvpair id="{owner}-{name}" name="{name}" value="{value}"/>' for name, value in values.items()
    )


def _primitive(
    name: str, agent: str, parameters: dict[str, str], seconds: int = 60, monitor: int = 10
) -> str:
    parts = agent.split(":")
    kind = (
        f'class="{parts[0]}" '
        + (f'provider="{parts[1]}" ' if len(parts) == 3 else "")
        + f'type="{parts[-1]}"'
    )
    operations = "".join(
        f'<op id="{name}-{op}" name="{op}" interval="{interval}s" timeout="{timeout}s"/>'
        for op, interval, timeout in (
            ("monitor", monitor, 30),
            ("start", 0, seconds),
            ("stop", 0, seconds),
        )
    )
    return (
        f'<primitive id="{name}" {kind}><instance_attributes id="{name}-parameters">'
        f"{_nvpairs(name, parameters)}</instance_attributes><operations>{operations}</operations></primitive>"
    )


def _address(name: str, host: int) -> str:
    return _primitive(
        name, "ocf:heartbeat:IPaddr2", {"ip": f"10.1.{host // 250}.{host % 250 + 1}", "cidr_netmask": "16"}
    )


def _data_group(name: str, agent: str, host: int, index: int) -> str:
    members = (
        _primitive(
            f"{name}-filesystem",
            "ocf:heartbeat:Filesystem",
            {"device": f"/dev/disk/by-id/shared-{index}", "directory": f"/srv/{name}", "fstype": "xfs"},
        ),
        _address(f"{name}-address", host),
        _primitive(f"{name}-server", agent, {"binary": f"/usr/sbin/{name}"}, 120),
    )
    return f'<group id="{name}">{"".join(members)}</group>'


def _grouped(name: str, host: int) -> str:
    return (
        f'<group id="{name}">{_address(f"{name}-address", host)}'
        f"{_primitive(f'{name}-api', 'ocf:heartbeat:Dummy', {'state': f'/run/{name}-api'})}"
        f"{_primitive(f'{name}-worker', 'ocf:heartbeat:Dummy', {'state': f'/run/{name}-worker'})}</group>"
    )


def _warm(name: str, host: int) -> str:
    return (
        f'{_address(f"{name}-address", host)}<clone id="{name}-clone">'
        f'<meta_attributes id="{name}-meta">{_nvpairs(f"{name}-meta", {"interleave": "true"})}</meta_attributes>'
        f"{_primitive(f'{name}-api', 'ocf:heartbeat:Dummy', {'state': f'/run/{name}-api'})}</clone>"
    )


def _constraints(services: Iterable[str], warm: bool) -> str:
    parts = []
    for name in services:
        waits = f"{name}-clone" if warm else name
        parts += [
            f'<rsc_order id="{data}-before-{name}" first="{data}" then="{waits}" kind="Optional"/>'
            for data in ("database", "messages")
        ]
        if warm:
            parts.append(
                f'<rsc_colocation id="{name}-address-with-api" rsc="{name}-address" with-rsc="{waits}"'
                ' score="INFINITY"/>'
            )
    return "".join(parts)


def control_plane(nodes: int = 3, services: int = 6, *, warm: bool = False) -> str:
    """Return a CIB without status: fencing a node, a database, a message queue and so many services.

    The default has 3 nodes and 27 primitives. ``warm`` runs the services as clones that an address follows.
    """
    names = [f"n{index}" for index in range(1, nodes + 1)]
    apis = [f"service{index}" for index in range(1, services + 1)]
    fencing = "".join(
        _primitive(
            f"fence-{node}",
            "stonith:fence_redfish",
            {"ip": f"10.2.0.{index}", "pcmk_host_list": node, "systems_uri": f"/redfish/v1/Systems/{node}"},
            monitor=60,
        )
        for index, node in enumerate(names, 1)
    )
    data = _data_group("database", "ocf:heartbeat:mysql", 1, 1) + _data_group(
        "messages", "ocf:heartbeat:Dummy", 2, 2
    )
    build = _warm if warm else _grouped
    resources = fencing + data + "".join(build(name, host) for host, name in enumerate(apis, 3))
    avoid = "".join(
        f'<rsc_location id="fence-{node}-not-home" rsc="fence-{node}" node="{node}" score="-INFINITY"/>'
        for node in names
    )
    return (
        '<cib validate-with="pacemaker-3.7" crm_feature_set="3.16.1" epoch="1" num_updates="0" admin_epoch="0">'
        '<configuration><crm_config><cluster_property_set id="options">'
        f"{_nvpairs('options', OPTIONS)}</cluster_property_set></crm_config><nodes>"
        + "".join(f'<node id="{index}" uname="{node}"/>' for index, node in enumerate(names, 1))
        + f"</nodes><resources>{resources}</resources><constraints>{avoid}{_constraints(apis, warm)}</constraints>"
        f'<rsc_defaults><meta_attributes id="defaults">{_nvpairs("defaults", DEFAULTS)}</meta_attributes>'
        "</rsc_defaults>"
        "</configuration><status/></cib>"
    )
