"""What a lab is made of, as plain data: no I/O here.

A topology knows nothing of the spec's model; it is made from a spec by translation, and travels as JSON to the
process that runs the lab.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network

from pydantic import TypeAdapter

from understudy.findings import Finding

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
"""What a lab or a node may be called: a host name's letters, short enough for a socket's path."""


BMC_SYSTEM = "/redfish/v1/Systems/1"
"""Where a BMC has its machine, unless the spec says."""


@dataclass(frozen=True)
class LabNode:
    """One machine: its address in each of its networks (in the order of its interfaces) and its BMC.

    ``bmc_system`` is the path at which the BMC has the machine.
    """

    addresses: Mapping[str, str]
    bmc_network: str | None = None
    bmc_address: str | None = None
    bmc_user: str = "admin"
    bmc_system: str = BMC_SYSTEM


@dataclass(frozen=True)
class LabDisk:
    """A disk that all nodes see: ``size`` in bytes; ``filesystem`` is made on it once, None leaves it blank."""

    size: int = 4 << 30
    filesystem: str | None = None


@dataclass(frozen=True)
class LabTopology:
    """A lab: ``networks`` are CIDR by name, ``disks`` are by the device path that the nodes see.

    ``reserved`` are addresses that the lab must not take for itself, such as virtual addresses.
    ``client_network`` is where clients stand; by default the network called public, else the first one.
    """

    name: str
    networks: Mapping[str, str]
    nodes: Mapping[str, LabNode]
    disks: Mapping[str, LabDisk] = field(default_factory=dict)
    reserved: tuple[str, ...] = ()
    client_network: str | None = None

    def to_json(self) -> str:
        """Return the topology as JSON text."""
        return _ADAPTER.dump_json(self).decode()

    @staticmethod
    def from_json(text: str) -> "LabTopology":
        """Return the topology that :meth:`to_json` wrote; raises ValueError for anything else."""
        return _ADAPTER.validate_json(text)


_ADAPTER = TypeAdapter(LabTopology)


@dataclass(frozen=True)
class Interface:
    """A network interface of a machine and the ``port`` of the lab's switch that it is plugged into."""

    name: str
    port: str
    network: str
    address: str
    """With prefix length, such as ``192.168.42.11/24``."""
    mac: str


@dataclass(frozen=True)
class Bridge:
    """A network as the switch has it: ``address`` is the lab's own in it, with prefix length."""

    name: str
    address: str
    bmc_addresses: tuple[str, ...]
    mac: str

    @property
    def own(self) -> str:
        """Return the lab's own address without the length."""
        return self.address.partition("/")[0]

    @property
    def length(self) -> str:
        """Return the length of the network's prefix."""
        return self.address.partition("/")[2]


@dataclass(frozen=True)
class Wiring:
    """Every bridge (by network), every interface (by node) and the client's, with addresses chosen."""

    bridges: Mapping[str, Bridge]
    interfaces: Mapping[str, tuple[Interface, ...]]
    client: Interface


def wire(topology: LabTopology) -> Wiring:
    """Choose names and the lab's own addresses; needs a topology in which :func:`problems` finds nothing.

    The lab takes the last usable addresses of each network that nobody has: the first for the switch, from where
    nodes are managed, the next for the client. A node gets an address in the network of its BMC too, as controllers
    must reach the BMCs of their peers, unless it stands in that network anyway.
    """
    free = {name: _free_addresses(topology, name) for name in topology.networks}
    bridges = {
        name: Bridge(
            f"net{index}", next(free[name]), tuple(_bmc_addresses(topology, name)), _mac(index, 0xFF, 0xFF)
        )
        for index, name in enumerate(topology.networks)
    }
    numbers = {name: index for index, name in enumerate(topology.networks)}
    client_network = topology.client_network or ("public" if "public" in numbers else next(iter(numbers)))
    client = _interface(0, 0, client_network, next(free[client_network]), numbers)
    interfaces = {}
    for number, (name, node) in enumerate(topology.nodes.items(), start=1):
        addresses = {
            network: f"{address}/{ip_network(topology.networks[network]).prefixlen}"
            for network, address in node.addresses.items()
        }
        if node.bmc_network and node.bmc_network not in addresses:
            addresses[node.bmc_network] = next(free[node.bmc_network])
        interfaces[name] = tuple(
            _interface(number, index, network, address, numbers)
            for index, (network, address) in enumerate(addresses.items())
        )
    return Wiring(bridges, interfaces, client)


def _interface(machine: int, index: int, network: str, address: str, numbers: Mapping[str, int]) -> Interface:
    mac = _mac(numbers[network], machine, index)
    return Interface(f"eth{index}", f"m{machine}e{index}", network, address, mac)


def _mac(network: int, machine: int, index: int) -> str:
    """Return a locally administered address (IEEE 802, second bit of the first octet)."""
    return f"02:75:73:{network:02x}:{machine:02x}:{index:02x}"


def _bmc_addresses(topology: LabTopology, network: str) -> Iterator[str]:
    for node in topology.nodes.values():
        if node.bmc_network == network and node.bmc_address:
            yield node.bmc_address


def _claims(topology: LabTopology) -> Iterator[tuple[str, str | None, str]]:
    """Yield every address in use with its network (None: any) and who has it."""
    for name, node in topology.nodes.items():
        for network, address in node.addresses.items():
            yield address, network, name
        if node.bmc_address:
            yield node.bmc_address, node.bmc_network, f"BMC of {name}"
    for address in topology.reserved:
        yield address, None, "virtual address"


def _free_addresses(topology: LabTopology, network: str) -> Iterator[str]:
    cidr = ip_network(topology.networks[network])
    taken = {ip_address(address) for address, _, _ in _claims(topology)}
    first, last = int(cidr.network_address) + 1, int(cidr.broadcast_address) - 1
    for number in range(last, first - 1, -1):
        address = type(cidr.network_address)(number)
        if address not in taken:
            yield f"{address}/{cidr.prefixlen}"


def problems(topology: LabTopology) -> list[Finding]:
    """Return everything that keeps this topology from being a lab."""
    findings = [
        Finding("lab-name-unfit", values={"name": name})
        for name in (topology.name, *topology.nodes)
        if not NAME.fullmatch(name)
    ]
    if not topology.nodes or not topology.networks:
        return [*findings, Finding("lab-empty", values={"name": topology.name})]
    claims = list(_claims(topology))
    for address, network, owner in claims:
        if network is None:
            continue
        if network not in topology.networks:
            findings.append(Finding("lab-network-unknown", values={"network": network, "owner": owner}))
        elif ip_address(address) not in ip_network(topology.networks[network]):
            values = {
                "address": address,
                "network": network,
                "cidr": topology.networks[network],
                "owner": owner,
            }
            findings.append(Finding("lab-address-outside-network", values=values))
    count = Counter(address for address, _, _ in claims)
    for address in (address for address, uses in count.items() if uses > 1):
        owners = ", ".join(owner for claimed, _, owner in claims if claimed == address)
        findings.append(Finding("lab-address-conflict", values={"address": address, "owners": owners}))
    if not findings:
        findings = _crowded(topology)
    return findings


def _crowded(topology: LabTopology) -> list[Finding]:
    """Return the networks that have too few free addresses: a switch, a client and one for each node's BMC leg."""
    needed = 2 + len(topology.nodes)
    crowded = []
    for name, cidr in topology.networks.items():
        available = sum(1 for _, _ in zip(range(needed), _free_addresses(topology, name), strict=False))
        if available < needed:
            values = {"network": name, "cidr": cidr, "needed": needed, "available": available}
            crowded.append(Finding("lab-network-full", values=values))
    return crowded
