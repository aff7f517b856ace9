from dataclasses import replace
from ipaddress import ip_address, ip_interface, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.lab.topology import LabDisk, LabNode, LabTopology, problems, wire

TOPOLOGY = LabTopology(
    name="region-one",
    networks={"management": "192.168.42.0/24", "public": "203.0.113.0/24", "bmc": "192.168.43.0/24"},
    nodes={
        f"controller-{number}": LabNode(
            {"management": f"192.168.42.1{number}", "public": f"203.0.113.1{number}"},
            "bmc",
            f"192.168.43.1{number}",
        )
        for number in (1, 2, 3)
    },
    disks={"/dev/disk/by-id/scsi-shared": LabDisk(1 << 30, "xfs")},
    reserved=("192.168.42.103", "203.0.113.103"),
)


def codes(topology: LabTopology) -> list[str]:
    return [finding.code for finding in problems(topology)]


def with_node(node: LabNode) -> LabTopology:
    return replace(TOPOLOGY, nodes={**TOPOLOGY.nodes, "controller-3": node})


def test_json_brings_the_same_topology_back() -> None:
    assert LabTopology.from_json(TOPOLOGY.to_json()) == TOPOLOGY


def test_a_sound_topology_has_no_problems() -> None:
    assert problems(TOPOLOGY) == []


def test_interfaces_follow_the_order_of_the_networks_and_end_with_the_way_to_the_bmcs() -> None:
    interfaces = wire(TOPOLOGY).interfaces["controller-2"]
    assert [(each.name, each.network) for each in interfaces] == [
        ("eth0", "management"),
        ("eth1", "public"),
        ("eth2", "bmc"),
    ]
    assert [each.address for each in interfaces[:2]] == ["192.168.42.12/24", "203.0.113.12/24"]


def test_a_node_that_stands_in_its_bmcs_network_gets_no_second_leg_there() -> None:
    topology = with_node(LabNode({"management": "192.168.42.13"}, "management", "192.168.42.213"))
    assert [each.network for each in wire(topology).interfaces["controller-3"]] == ["management"]
    assert wire(topology).bridges["management"].bmc_addresses == ("192.168.42.213",)


def test_the_lab_takes_the_last_usable_addresses_that_nobody_has() -> None:
    topology = replace(TOPOLOGY, reserved=("192.168.42.254", "203.0.113.253"))
    wiring = wire(topology)
    assert wiring.bridges["management"].address == "192.168.42.253/24"
    assert wiring.bridges["public"].address == "203.0.113.254/24"
    assert wiring.client.address == "203.0.113.252/24"


def test_clients_stand_in_the_first_network_where_none_is_public() -> None:
    nodes = {"one": LabNode({"cluster": "10.0.0.1"})}
    topology = LabTopology("small", {"cluster": "10.0.0.0/28", "other": "10.0.1.0/28"}, nodes)
    assert wire(topology).client.network == "cluster"
    assert wire(replace(topology, client_network="other")).client.network == "other"


@given(st.lists(st.integers(1, 254), unique=True, max_size=40), st.integers(1, 8))
def test_no_address_is_given_twice(reserved: list[int], count: int) -> None:
    nodes = {f"n{i}": LabNode({"a": f"10.0.0.{i}"}, "b", f"10.1.0.{i}") for i in range(1, count + 1)}
    taken = tuple(f"10.{net}.0.{host}" for net in (0, 1) for host in reserved if host > count)
    topology = LabTopology("lab", {"a": "10.0.0.0/24", "b": "10.1.0.0/24"}, nodes, reserved=taken)
    wiring = wire(topology)
    used = [ip_interface(each.address).ip for legs in wiring.interfaces.values() for each in legs]
    used += [ip_interface(bridge.address).ip for bridge in wiring.bridges.values()]
    used += [ip_address(each) for bridge in wiring.bridges.values() for each in bridge.bmc_addresses]
    used += [ip_interface(wiring.client.address).ip, *map(ip_address, taken)]
    assert len(used) == len(set(used))
    macs = [each.mac for legs in wiring.interfaces.values() for each in legs] + [wiring.client.mac]
    ports = [each.port for legs in wiring.interfaces.values() for each in legs] + [wiring.client.port]
    assert len(macs) == len(set(macs))
    assert len(ports) == len(set(ports))
    assert all(ip_interface(each.address).ip in ip_network("10.0.0.0/8") for each in wiring.bridges.values())


@pytest.mark.parametrize(
    ("topology", "code"),
    [
        (replace(TOPOLOGY, name="Region One"), "lab-name-unfit"),
        (replace(TOPOLOGY, name="../up"), "lab-name-unfit"),
        (replace(TOPOLOGY, nodes={}), "lab-empty"),
        (replace(TOPOLOGY, networks={}), "lab-empty"),
        (with_node(LabNode({"storage": "10.0.0.1"})), "lab-network-unknown"),
        (with_node(LabNode({"management": "192.168.24.13"})), "lab-address-outside-network"),
        (with_node(LabNode({"management": "192.168.42.12"})), "lab-address-conflict"),
        (with_node(LabNode({"management": "192.168.42.103"})), "lab-address-conflict"),
        (with_node(LabNode({"management": "192.168.42.13"}, "bmc", "192.168.43.12")), "lab-address-conflict"),
        (replace(TOPOLOGY, networks={**TOPOLOGY.networks, "bmc": "192.168.43.8/29"}), "lab-network-full"),
    ],
)
def test_what_cannot_be_a_lab_is_said(topology: LabTopology, code: str) -> None:
    assert code in codes(topology)


def test_a_conflict_names_everybody_who_has_the_address() -> None:
    finding = problems(with_node(LabNode({"management": "192.168.42.12"})))[0]
    assert finding.values["owners"] == "controller-2, controller-3"
