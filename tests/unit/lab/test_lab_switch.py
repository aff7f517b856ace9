from understudy.lab.switch import Drop, bridges, configure, filters, lease, plug, tunnel, unplug
from understudy.lab.topology import LabNode, LabTopology, wire

WIRING = wire(
    LabTopology(
        "lab",
        {"cluster": "10.0.0.0/24", "six": "fd00:6::/64", "bmc": "10.1.0.0/24"},
        {
            "one": LabNode({"cluster": "10.0.0.1", "six": "fd00:6::1"}, "bmc", "10.1.0.1"),
            "two": LabNode({"cluster": "10.0.0.2", "six": "fd00:6::2"}, "bmc", "10.1.0.2"),
        },
    )
)
ONE, TWO = (WIRING.interfaces[name][0].port for name in ("one", "two"))


def rules(*drops: Drop) -> list[str]:
    return [line.strip() for line in filters(drops, (), WIRING).splitlines() if line.endswith("drop")]


def test_the_switch_has_its_own_address_and_the_bmcs() -> None:
    lines = bridges(WIRING).splitlines()
    assert "address add 10.1.0.254/24 dev net2" in lines
    assert "address add 10.1.0.1/24 dev net2" in lines
    assert lines.index("address add 10.1.0.254/24 dev net2") < lines.index("address add 10.1.0.1/24 dev net2")


def test_a_network_keeps_its_hardware_address_whoever_is_plugged_in() -> None:
    added = [line.split() for line in bridges(WIRING).splitlines() if " type bridge " in line]
    macs = {words[words.index("address") + 1] for words in added}
    assert len(macs) == len(WIRING.bridges)
    assert not macs & {each.mac for interfaces in WIRING.interfaces.values() for each in interfaces}


def test_a_cable_goes_into_the_bridge_of_its_network() -> None:
    lines = plug(WIRING.interfaces["two"], WIRING, 4711).splitlines()
    assert lines[0].startswith(f"link add {TWO} type veth peer name eth0 ")
    assert lines[0].endswith("netns 4711")
    assert lines[1] == f"link set {TWO} master net0 up"
    assert len(lines) == 2 * len(WIRING.interfaces["two"])


def test_a_tunnel_ends_in_the_machine_and_goes_through_the_network_of_the_bridge() -> None:
    made, moved = tunnel(WIRING.bridges["cluster"], 42, "fa:16:3e:00:00:01", 4711).splitlines()
    assert made.startswith("link add tunnel0 address fa:16:3e:00:00:01 type vxlan id 42 ")
    assert " dev net0 local 10.0.0.254 " in made
    assert moved == "link set tunnel0 netns 4711 name eth0"


def test_a_lease_takes_the_place_of_the_one_before() -> None:
    lines = lease("10.11.12.7/24", "10.11.12.1", 1450).splitlines()
    assert lines.index("address flush dev eth0") < lines.index("address add 10.11.12.7/24 dev eth0")
    assert lines[-2:] == ["link set eth0 mtu 1450 up", "route replace default via 10.11.12.1"]


def test_unplugging_takes_out_every_cable() -> None:
    assert unplug(WIRING.interfaces["one"]).count("link delete") == len(WIRING.interfaces["one"])


def test_an_ipv6_address_is_usable_at_once() -> None:
    text = configure(WIRING.interfaces["one"])
    assert "address add fd00:6::1/64 dev eth1 nodad\n" in text
    assert "address add 10.0.0.1/24 dev eth0\n" in text


def test_without_drops_nothing_is_dropped() -> None:
    assert rules() == []


def test_each_direction_is_dropped_where_the_switch_sees_it() -> None:
    assert rules(Drop("cluster", "one", "out")) == [f"iifname {ONE} drop"]
    assert rules(Drop("cluster", "one", "in")) == [f"oifname {ONE} drop"]


def test_a_peer_narrows_the_drop_to_one_pair() -> None:
    assert rules(Drop("cluster", "one", "out", "two")) == [f"iifname {ONE} oifname {TWO} drop"]
    assert rules(Drop("cluster", "one", "in", "two")) == [f"iifname {TWO} oifname {ONE} drop"]


def test_a_percentage_is_chosen_at_random() -> None:
    assert rules(Drop("cluster", "one", "in", percent=30)) == [
        f"oifname {ONE} numgen random mod 100 < 30 drop"
    ]


def test_a_dead_bmc_is_silent_at_its_address() -> None:
    text = filters((), {"10.1.0.2", "fd00:6::9"}, WIRING)
    assert "    ip daddr 10.1.0.2 drop\n    ip6 daddr fd00:6::9 drop\n" in text
