"""What a node holds follows from who lives on it, and from nothing else."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network

from isthmus.core.datapath import (
    FLOOD_LIMIT,
    DatapathId,
    DirectoryEntry,
    Flood,
    Here,
    Inside,
    KnownNetwork,
    KnownVtep,
    Leg,
    There,
    Underlay,
    Uplink,
    container_link_name,
    datapath_id,
    host_link_name,
)
from isthmus.core.desired import Seat, desired_docker_networks, desired_host, desired_network, desired_sandboxes
from isthmus.core.model import (
    Encap,
    Endpoint,
    EndpointGroup,
    EndpointId,
    GroupId,
    GroupKey,
    GroupName,
    Network,
    NetworkKey,
    NetworkName,
    NetworkType,
    Node,
    NodeName,
    Subnet,
    SubnetV6,
    Tag,
    TenantName,
    mac_of,
)
from isthmus.core.world import Change, World, evolve

KEY = NetworkKey(TenantName("default"), NetworkName("contiv-net"))
SUBNET = Subnet("10.1.2.0/24", IPv4Network("10.1.2.0/24"), IPv4Address("10.1.2.0"), IPv4Address("10.1.2.255"))
NETWORK = Network(KEY, Encap.VXLAN, Tag(7), SUBNET)
ONE, TWO = NodeName("node1"), NodeName("node2")
VTEPS = {ONE: IPv4Address("192.168.2.10"), TWO: IPv4Address("192.168.2.11")}
SEAT = Seat(ONE, Underlay("eth1", VTEPS[ONE], 8472), 1500)
NODES = [Node(name, vtep, "1") for name, vtep in VTEPS.items()]


def endpoint(last: int, node: NodeName, sandbox: str = "/run/netns/x") -> Endpoint:
    address = IPv4Address(f"10.1.2.{last}")
    return Endpoint(EndpointId(f"{last:064x}"), KEY, node, mac_of(address), address, sandbox=sandbox)


def group(tenant: str, name: str, network: str) -> EndpointGroup:
    return EndpointGroup(GroupKey(TenantName(tenant), GroupName(name)), GroupId(1), NetworkName(network))


def world(*records: Network | Endpoint | Node | EndpointGroup) -> World:
    return evolve(World(), map(Change, records), 1).world


def test_a_network_without_a_container_here_needs_nothing_here() -> None:
    assert desired_network(world(*NODES, NETWORK, endpoint(1, TWO)), SEAT, KEY) == frozenset()


def test_a_network_that_is_gone_needs_nothing_though_endpoints_remain() -> None:
    assert desired_network(world(*NODES, endpoint(1, ONE)), SEAT, KEY) == frozenset()


def test_a_leg_says_how_its_end_is_set_up_in_the_sandbox() -> None:
    v6 = IPv6Network("fd00::/64")
    network = replace(NETWORK, gateway=IPv4Address("10.1.2.254"), subnet_v6=SubnetV6(str(v6), v6), gateway_v6=v6[254])
    here = replace(endpoint(1, ONE), address_v6=v6[1])
    legs = [each for each in desired_network(world(*NODES, network, here), SEAT, KEY) if isinstance(each, Leg)]
    addresses = (IPv4Interface("10.1.2.1/24"), IPv6Interface("fd00::1/64"))
    gateways = (IPv4Address("10.1.2.254"), v6[254])
    assert [each.inside for each in legs] == [Inside("/run/netns/x", addresses, gateways)]
    assert legs == [replace(legs[0], inside=None)]


def test_a_container_here_brings_the_network_its_leg_and_the_whole_directory() -> None:
    here, there = endpoint(1, ONE), endpoint(2, TWO)
    number = DatapathId(7)
    assert desired_network(world(*NODES, NETWORK, here, there), SEAT, KEY) == {
        KnownNetwork(number, Encap.VXLAN, Tag(7)),
        Leg(here.id, number, here.mac, (here.address,), 1450),
        DirectoryEntry(number, here.address, here.mac, Here(here.id)),
        DirectoryEntry(number, there.address, there.mac, There(VTEPS[TWO])),
        Flood(number, (here.id,), (VTEPS[TWO],)),
    }


def floods(network: Network, *endpoints: Endpoint) -> list[Flood]:
    held = desired_network(world(*NODES, network, *endpoints), SEAT, KEY)
    return [each for each in held if isinstance(each, Flood)]


def test_what_is_for_all_goes_to_members_here_and_to_the_hosts_of_the_others() -> None:
    number = datapath_id(NETWORK)
    two = (endpoint(1, ONE).id, endpoint(2, ONE).id)
    away, leaving = endpoint(3, TWO), endpoint(4, TWO, sandbox="")
    assert floods(NETWORK, endpoint(2, ONE), endpoint(1, ONE), leaving) == [Flood(number, two)]
    assert floods(NETWORK, endpoint(1, ONE), away, endpoint(5, TWO)) == [Flood(number, two[:1], (VTEPS[TWO],))]


def test_in_a_vlan_the_wire_carries_what_is_for_all_to_other_hosts() -> None:
    vlan = replace(NETWORK, encap=Encap.VLAN)
    assert floods(vlan, endpoint(1, ONE), endpoint(2, TWO)) == [Flood(datapath_id(vlan), (endpoint(1, ONE).id,))]


def test_a_network_that_does_not_flood_has_no_flood_unless_it_is_a_vlan() -> None:
    still = replace(NETWORK, is_flooding=False)
    assert floods(still, endpoint(1, ONE), endpoint(2, TWO)) == []
    assert len(floods(replace(still, encap=Encap.VLAN), endpoint(1, ONE))) == 1


def test_a_flood_reaches_the_first_members_and_no_more() -> None:
    big = replace(NETWORK, subnet=replace(SUBNET, prefix=IPv4Network("10.0.0.0/8")))
    members = [replace(endpoint(1, ONE), id=EndpointId(f"{i:064x}")) for i in range(FLOOD_LIMIT + 4)]
    assert [each.endpoints for each in floods(big, *members)] == [tuple(each.id for each in members[:FLOOD_LIMIT])]


def test_containers_of_a_vlan_have_the_uplinks_mtu() -> None:
    seat = replace(SEAT, uplink_mtu_bytes=9000)
    held = desired_network(world(*NODES, replace(NETWORK, encap=Encap.VLAN), endpoint(1, ONE)), seat, KEY)
    assert [each.mtu_bytes for each in held if isinstance(each, Leg)] == [9000]


def test_a_host_holds_its_uplinks_and_one_is_active() -> None:
    seat = replace(SEAT, underlay=None, uplinks=("eth2", "eth3"), active_uplink="eth3")
    assert desired_host(world(*NODES), seat) == {Uplink("eth2", False), Uplink("eth3", True)}


def test_an_endpoint_that_has_not_joined_is_nowhere() -> None:
    held = desired_network(world(*NODES, NETWORK, endpoint(1, ONE), endpoint(2, TWO, sandbox="")), SEAT, KEY)
    assert not [each for each in held if isinstance(each, DirectoryEntry) and each.address == IPv4Address("10.1.2.2")]


def test_an_endpoint_on_a_host_without_a_tunnel_is_unreachable_and_not_wrong() -> None:
    held = desired_network(world(NODES[0], NETWORK, endpoint(1, ONE), endpoint(2, TWO)), SEAT, KEY)
    places = [each.place for each in held if isinstance(each, DirectoryEntry)]
    assert places == [Here(endpoint(1, ONE).id)]


def test_both_addresses_of_an_endpoint_are_in_the_directory() -> None:
    both = replace(endpoint(1, ONE), address_v6=IPv6Address("fd00::1"))
    held = desired_network(world(*NODES, NETWORK, both), SEAT, KEY)
    assert {each.address for each in held if isinstance(each, DirectoryEntry)} == set(both.addresses)


def test_a_host_knows_every_other_tunnel_and_not_its_own() -> None:
    assert desired_host(world(*NODES), SEAT) == {SEAT.underlay, KnownVtep(VTEPS[TWO])}


def test_a_host_without_an_underlay_holds_no_tunnel() -> None:
    assert desired_host(world(*NODES), Seat(ONE, None, 1500)) == frozenset()


def test_numbers_of_vxlan_and_vlan_networks_never_meet() -> None:
    vlan = replace(NETWORK, encap=Encap.VLAN)
    assert datapath_id(NETWORK) != datapath_id(vlan)


def test_link_names_fit_the_kernel_and_tell_the_ends_apart() -> None:
    name = EndpointId("f" * 64)
    assert len(host_link_name(name)) <= 15
    assert len(container_link_name(name)) <= 15
    assert host_link_name(name) != container_link_name(name)


def test_engines_get_data_networks_only() -> None:
    infra = replace(NETWORK, key=replace(KEY, name=NetworkName("hosts")), nw_type=NetworkType.INFRA)
    blue = replace(NETWORK, key=replace(KEY, tenant=TenantName("blue")), tag=Tag(8))
    names = {each.name for each in desired_docker_networks(world(NETWORK, infra, blue))}
    assert names == {"contiv-net", "contiv-net/blue"}


def test_engines_get_a_network_a_group_beside_its_network() -> None:
    other = replace(NETWORK, key=replace(KEY, name=NetworkName("hosts")), nw_type=NetworkType.INFRA)
    blue = replace(NETWORK, key=replace(KEY, tenant=TenantName("blue")), tag=Tag(8))
    groups = [
        group("default", "db", "contiv-net"),
        group("blue", "db", "contiv-net"),
        group("default", "lost", "gone"),
        group("default", "infra", "hosts"),
    ]
    wanted = {each.name: each for each in desired_docker_networks(world(NETWORK, other, blue, *groups))}
    assert wanted.keys() == {"contiv-net", "contiv-net/blue", "db", "db/blue"}
    assert wanted["db"] == replace(wanted["contiv-net"], name="db", group=GroupName("db"))
    assert wanted["db/blue"] == replace(wanted["contiv-net/blue"], name="db/blue", group=GroupName("db"))
    titles = {each.title for each in wanted.values()}
    assert titles == {"network default:contiv-net", "network blue:contiv-net", "group default:db", "group blue:db"}


def test_sandboxes_are_those_of_joined_endpoints_here() -> None:
    inhabited = world(NETWORK, endpoint(1, ONE, "/a"), endpoint(2, ONE, ""), endpoint(3, TWO, "/b"))
    assert desired_sandboxes(inhabited.population(KEY), ONE) == {"/a"}
