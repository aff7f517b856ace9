"""What the networking of a spec asks for that Neutron cannot do (pure).

Sources: Neutron Administration Guide, "High availability"; neutron/conf/db/l3_hamode_db.py; ML2 port binding.
"""

from collections.abc import Iterator

from understudy.catalog.model import Catalog, ServiceEntry
from understudy.design.networking import belongs
from understudy.findings import Finding
from understudy.spec.load import LoadedSpec
from understudy.spec.model import Networking

TUNNELS = ("vxlan", "gre")


def check_networking(loaded: LoadedSpec, catalog: Catalog) -> Iterator[Finding]:
    """Give each wish for the network nodes that cannot be had."""
    spec, places = loaded.spec, loaded.places
    entries = [catalog.services[name] for name in spec.services if name in catalog.services]
    agents = [entry for entry in entries if entry.place == "network"]
    networking = spec.networking
    if networking is None:
        for entry in agents[:1]:
            yield Finding(
                "networking-missing", values={"service": entry.name}, place=places.key("services", entry.name)
            )
        return
    yield from _nodes(loaded, networking, agents)
    stack = [entry for entry in agents if belongs(entry)]
    yield from _names(loaded, networking, stack)
    yield from _layer2(loaded, networking, stack)
    yield from _modes(loaded, networking, stack)
    for entry in stack:
        if entry.external_network and networking.external is None:
            values = {"service": entry.name}
            yield Finding("external-network-missing", values=values, place=places.key("networking"))


def _nodes(loaded: LoadedSpec, networking: Networking, agents: list[ServiceEntry]) -> Iterator[Finding]:
    spec, places = loaded.spec, loaded.places
    for index, node in enumerate(networking.nodes or ()):
        if node not in spec.nodes:
            values = {"node": node, "known": ", ".join(spec.nodes)}
            yield Finding(
                "network-node-unknown", values=values, place=places.value("networking", "nodes", index)
            )
    if networking.nodes == () and agents:
        values = {"service": agents[0].name}
        yield Finding("network-node-missing", values=values, place=places.key("networking", "nodes"))
    over = networking.tenant.over
    if over not in spec.networks:
        values = {"network": over, "known": ", ".join(spec.networks)}
        yield Finding("network-unknown", values=values, place=places.value("networking", "tenant", "over"))
        return
    for node, addresses in spec.nodes.items():
        if over not in addresses:
            yield Finding(
                "node-without-address",
                values={"node": node, "network": over},
                place=places.key("nodes", node),
            )


def _names(loaded: LoadedSpec, networking: Networking, agents: list[ServiceEntry]) -> Iterator[Finding]:
    """Find a name that two sets of agents would share, so that Neutron took them for one."""
    spec, places = loaded.spec, loaded.places
    once = [entry.name for entry in agents if spec.services[entry.name].standby == "cold"]
    host = networking.host or spec.cloud
    place = places.value("networking", "host") if networking.host else places.key("networking")
    if once and host in spec.nodes:
        yield Finding(
            "networking-host-taken", values={"host": host, "other": f"the node {host}"}, place=place
        )
    for name, service in spec.services.items():
        written = service.options.get("DEFAULT", {}).get("host")
        if once and name not in once and written == host:
            where = places.value("services", name, "options", "DEFAULT", "host")
            yield Finding(
                "networking-host-taken", values={"host": host, "other": f"that of {name}"}, place=where
            )


def _layer2(loaded: LoadedSpec, networking: Networking, agents: list[ServiceEntry]) -> Iterator[Finding]:
    spec, places = loaded.spec, loaded.places
    wiring = [entry for entry in agents if entry.layer2]
    for extra in wiring[1:]:
        values = {"service": extra.name, "other": wiring[0].name}
        yield Finding("layer2-twice", values=values, place=places.key("services", extra.name))
    if not wiring:
        return
    layer2, other = wiring[0], spec.services[wiring[0].name].standby
    for entry in agents:
        standby = spec.services[entry.name].standby
        if standby != other and entry not in wiring:
            values = {"service": entry.name, "standby": standby, "layer2": layer2.name, "other": other}
            yield Finding("agent-without-layer2", values=values, place=places.key("services", entry.name))
    tunnels = layer2.layer2.tunnels if layer2.layer2 else ()
    if networking.tenant.type in TUNNELS and networking.tenant.type not in tunnels:
        values = {
            "service": layer2.name,
            "type": networking.tenant.type,
            "known": ", ".join((*tunnels, "flat")),
        }
        place = places.value("networking", "tenant", "type")
        yield Finding("tenant-network-unsupported", values=values, place=place)


def _modes(loaded: LoadedSpec, networking: Networking, agents: list[ServiceEntry]) -> Iterator[Finding]:
    spec, places = loaded.spec, loaded.places
    nodes = spec.nodes if networking.nodes is None else networking.nodes
    scheduled = [entry for entry in agents if entry.external_network or entry.answers_dhcp]
    once = [entry for entry in scheduled if spec.services[entry.name].standby == "cold"]
    routers = [entry for entry in scheduled if entry.external_network]
    if networking.l3_ha:
        place = places.value("networking", "l3_ha")
        if any(entry in once for entry in routers):
            yield Finding("l3-ha-shared-host", values={"service": routers[0].name}, place=place)
        elif len(nodes) == 1:
            yield Finding("l3-ha-single-node", values={"node": next(iter(nodes))}, place=place)
    if once and spec.fencing and spec.fencing.none:
        place = places.key("fencing", "none")
        yield Finding("shared-host-without-fencing", values={"service": once[0].name}, place=place)
    if networking.automatic_rescheduling and once:
        place = places.value("networking", "automatic_rescheduling")
        yield Finding("rescheduling-shared-host", values={"service": once[0].name}, place=place)
    for entry in agents:
        standby = spec.services[entry.name].standby
        if networking.grouped and standby != "cold":
            values = {"service": entry.name, "standby": standby}
            yield Finding("network-group-warm", values=values, place=places.value("networking", "grouped"))
            break
    wanted = networking.dhcp_agents_per_network
    for entry in scheduled:
        count = 1 if entry in once else len(nodes)
        if entry.answers_dhcp and wanted > count:
            values = {"wanted": str(wanted), "count": str(count)}
            place = places.value("networking", "dhcp_agents_per_network")
            yield Finding("dhcp-agents-too-few", values=values, place=place)
