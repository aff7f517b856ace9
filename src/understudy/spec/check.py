"""What a spec says that cannot be, as far as it shows without the catalog (pure)."""

from collections import Counter
from collections.abc import Iterator

from understudy.findings import Finding
from understudy.spec.load import LoadedSpec
from understudy.spec.model import Address, Ipmi, Redfish, Spec
from understudy.spec.places import Path, Places

SIDE_NETWORK = {"internal": "management", "public": "public"}
"""The network in which each side of a virtual address lies."""


def check_spec(loaded: LoadedSpec) -> list[Finding]:
    """Return everything that is wrong with a spec, in the order of the file."""
    spec, places = loaded.spec, loaded.places
    findings = [
        *_check_networks(spec, places),
        *_check_node_addresses(spec, places),
        *_check_virtual_addresses(spec, places),
        *_check_duplicates(spec, places),
        *_check_fencing(spec, places),
        *_check_quorum(spec, places),
        *_check_services(spec, places),
        *_check_capacity(spec, places),
    ]
    return sorted(findings, key=lambda finding: (finding.place is None, finding.place))


def _check_networks(spec: Spec, places: Places) -> Iterator[Finding]:
    if "management" not in spec.networks:
        yield Finding("network-management-missing", place=places.key("networks"))
    named = [
        *((name, ("corosync", "links", index)) for index, name in enumerate(spec.corosync.links)),
        (spec.ssh.network, ("ssh", "network")),
    ]
    for name, path in named:
        if name not in spec.networks:
            values = {"network": name, "known": ", ".join(spec.networks)}
            yield Finding("network-unknown", values=values, place=places.value(*path))
            continue
        for node, addresses in spec.nodes.items():
            if name not in addresses:
                values = {"node": node, "network": name}
                yield Finding("node-without-address", values=values, place=places.key("nodes", node))


def _check_node_addresses(spec: Spec, places: Places) -> Iterator[Finding]:
    for node, addresses in spec.nodes.items():
        for network, address in addresses.items():
            place = places.value("nodes", node, network)
            if network not in spec.networks:
                values = {"network": network, "known": ", ".join(spec.networks)}
                yield Finding("network-unknown", values=values, place=places.key("nodes", node, network))
            else:
                yield from _outside(address, network, spec, places, ("nodes", node, network))
            if network in spec.networks and address in _reserved(spec, network):
                yield Finding(
                    "address-reserved", values={"address": address, "network": network}, place=place
                )


def _reserved(spec: Spec, network: str) -> tuple[Address, ...]:
    prefix = spec.networks[network]
    if prefix.version == 6 or prefix.prefixlen >= prefix.max_prefixlen - 1:
        return ()
    return (prefix.network_address, prefix.broadcast_address)


def _outside(
    address: Address, network: str, spec: Spec, places: Places, path: tuple[str | int, ...]
) -> Iterator[Finding]:
    if address not in spec.networks[network]:
        values = {"address": address, "network": network, "prefix": spec.networks[network]}
        yield Finding("address-outside-network", values=values, place=places.value(*path))


def _check_virtual_addresses(spec: Spec, places: Places) -> Iterator[Finding]:
    for name, virtual in spec.addresses.items():
        for side, address in virtual.sides().items():
            network = SIDE_NETWORK[side]
            path = ("addresses", name, side)
            if network not in spec.networks:
                lacking = {"side": side, "network": network}
                yield Finding("address-side-without-network", values=lacking, place=places.key(*path))
                continue
            yield from _outside(address, network, spec, places, path)
            if address in _reserved(spec, network):
                values = {"address": address, "network": network}
                yield Finding("address-reserved", values=values, place=places.value(*path))
            for node, addresses in spec.nodes.items():
                if network not in addresses:
                    values = {"node": node, "network": network}
                    yield Finding("node-without-address", values=values, place=places.key("nodes", node))


def _check_duplicates(spec: Spec, places: Places) -> Iterator[Finding]:
    seen: dict[Address, Path] = {}
    for path, address in _all_addresses(spec):
        if address in seen:
            values = {"address": address, "other": ".".join(str(step) for step in seen[address])}
            yield Finding("address-used-twice", values=values, place=places.value(*path))
        else:
            seen[address] = path
    devices = Counter(storage.device for storage in spec.storage.values())
    for name, storage in spec.storage.items():
        if devices[storage.device] > 1:
            values = {"device": storage.device}
            yield Finding("device-used-twice", values=values, place=places.value("storage", name, "device"))


def _all_addresses(spec: Spec) -> Iterator[tuple[Path, Address]]:
    for node, addresses in spec.nodes.items():
        for network, address in addresses.items():
            yield ("nodes", node, network), address
    for name, virtual in spec.addresses.items():
        for side, address in virtual.sides().items():
            yield ("addresses", name, side), address


def _check_fencing(spec: Spec, places: Places) -> Iterator[Finding]:
    fencing = spec.fencing
    if fencing is None:
        yield Finding("fencing-missing", place=places.key("cloud"))
        return
    chosen = {
        name: getattr(fencing, name)
        for name in ("redfish", "ipmi", "none")
        if getattr(fencing, name) is not None
    }
    if len(chosen) != 1:
        code = "fencing-missing" if not chosen else "fencing-ambiguous"
        yield Finding(code, values={"chosen": ", ".join(chosen)}, place=places.key("fencing"))
        return
    ((name, device),) = chosen.items()
    if name == "none":
        yield Finding("fencing-off", "warning", place=places.value("fencing", "none"))
        return
    yield from _check_fencing_device(name, device, spec, places)


def _check_fencing_device(name: str, device: Redfish | Ipmi, spec: Spec, places: Places) -> Iterator[Finding]:
    for part in ("user", "password"):
        if getattr(device, part) is None:
            values = {"device": name, "part": part}
            yield Finding("fencing-without-credentials", values=values, place=places.key("fencing", name))
    if device.network not in spec.networks:
        values = {"network": device.network, "known": ", ".join(spec.networks)}
        yield Finding("network-unknown", values=values, place=places.value("fencing", name, "network"))
        return
    for node, addresses in spec.nodes.items():
        if device.network not in addresses:
            values = {"node": node, "network": device.network}
            yield Finding("node-without-fencing-address", values=values, place=places.key("nodes", node))


def _check_quorum(spec: Spec, places: Places) -> Iterator[Finding]:
    count = len(spec.nodes)
    if count == 1:
        yield Finding("single-node", values={"node": next(iter(spec.nodes))}, place=places.key("nodes"))
    if count > 2 and count % 2 == 0 and spec.quorum.tie_breaker is None:
        yield Finding("even-number-of-nodes", values={"count": count}, place=places.key("nodes"))
    tie_breaker = spec.quorum.tie_breaker
    if tie_breaker is not None and tie_breaker.certificate is None:
        values = {"host": tie_breaker.host}
        place = places.key("quorum", "tie_breaker")
        yield Finding("tie-breaker-in-clear", "warning", values=values, place=place)


def _check_services(spec: Spec, places: Places) -> Iterator[Finding]:
    for name, service in spec.services.items():
        for key, value, known in (
            ("address", service.address, spec.addresses),
            ("storage", service.storage, spec.storage),
        ):
            if value is not None and value not in known:
                values = {"service": name, key: value, "known": ", ".join(known) or "none"}
                yield Finding(
                    f"service-{key}-unknown", values=values, place=places.value("services", name, key)
                )


def _check_capacity(spec: Spec, places: Places) -> Iterator[Finding]:
    for node in spec.capacity:
        if node not in spec.nodes:
            values = {"node": node, "known": ", ".join(spec.nodes)}
            yield Finding("capacity-node-unknown", values=values, place=places.key("capacity", node))
    known = {name for amounts in spec.capacity.values() for name in amounts}
    for service, about in spec.services.items():
        for name in about.load:
            if name not in known:
                values = {"service": service, "name": name, "known": ", ".join(sorted(known)) or "none"}
                place = places.key("services", service, "load", name)
                yield Finding("load-without-capacity", values=values, place=place)
