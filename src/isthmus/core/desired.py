"""From the world and a node's place in it to what that node should hold."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import ip_interface

from isthmus.core.datapath import (
    FLOOD_LIMIT,
    DirectoryEntry,
    DockerNetwork,
    Flood,
    Here,
    Inside,
    KernelObject,
    KnownNetwork,
    KnownVtep,
    Leg,
    There,
    Underlay,
    Uplink,
    datapath_id,
    docker_network,
)
from isthmus.core.model import (
    VXLAN_OVERHEAD_BYTES,
    Encap,
    Endpoint,
    Network,
    NetworkKey,
    NetworkType,
    NodeName,
)
from isthmus.core.world import Population, World


@dataclass(frozen=True, slots=True)
class Seat:
    """A node's place: its name and what carries its packets; without an underlay only local traffic flows.

    `uplinks` are the devices of the trunk that are there, in the operator's order; `active_uplink` is one of them.
    """

    node: NodeName
    underlay: Underlay | None
    underlay_mtu_bytes: int
    uplinks: tuple[str, ...] = ()
    active_uplink: str | None = None
    uplink_mtu_bytes: int = 1500


def desired_host(world: World, seat: Seat) -> frozenset[KernelObject]:
    """What the node holds whoever lives on it: its uplinks, its tunnel, and the tunnels of the others."""
    uplinks = frozenset(Uplink(device, device == seat.active_uplink) for device in seat.uplinks)
    if seat.underlay is None:
        return uplinks
    others = (record.vtep for name, record in world.nodes.items() if name != seat.node)
    return uplinks | frozenset(
        [seat.underlay, *(KnownVtep(vtep) for vtep in others if vtep and vtep != seat.underlay.vtep)]
    )


def desired_network(world: World, seat: Seat, key: NetworkKey) -> frozenset[KernelObject]:
    """What the node holds for one network: nothing, unless a joined endpoint of it lives there."""
    network = world.networks.get(key)
    joined = [each for each in world.population(key).endpoints.values() if each.is_joined]
    ours = [each for each in joined if each.node == seat.node]
    if network is None or not ours:
        return frozenset()
    number = datapath_id(network)
    legs = (_leg(network, each, mtu_of(network, seat)) for each in ours)
    entries = (entry for each in joined for entry in _entries(world, seat, network, each))
    is_flooding = network.encap is Encap.VLAN or network.is_flooding
    floods = [_flood(world, seat, network, joined)] if is_flooding else []
    return frozenset([KnownNetwork(number, network.encap, network.tag), *floods, *legs, *entries])


def _flood(world: World, seat: Seat, network: Network, joined: Iterable[Endpoint]) -> Flood:
    here = sorted(each.id for each in joined if each.node == seat.node)
    elsewhere = {each.node for each in joined} - {seat.node}
    vteps = {world.vtep(node) for node in elsewhere} if network.encap is Encap.VXLAN and seat.underlay else set()
    hosts = sorted(each for each in vteps if each is not None)
    return Flood(datapath_id(network), tuple(here[:FLOOD_LIMIT]), tuple(hosts[:FLOOD_LIMIT]))


def _leg(network: Network, endpoint: Endpoint, mtu_bytes: int) -> Leg:
    subnets = [each.prefix for each in (network.subnet, network.subnet_v6) if each is not None]
    addresses = [
        ip_interface(f"{address}/{subnet.prefixlen}")
        for address in endpoint.addresses
        for subnet in subnets
        if subnet.version == address.version
    ]
    gateways = tuple(each for each in (network.gateway, network.gateway_v6) if each is not None)
    inside = Inside(endpoint.sandbox, tuple(addresses), gateways)
    return Leg(endpoint.id, datapath_id(network), endpoint.mac, endpoint.addresses, mtu_bytes, inside)


def mtu_of(network: Network, seat: Seat) -> int:
    """The largest packet that a container of this network may send whole. A VLAN's tag is no part of it."""
    return seat.underlay_mtu_bytes - VXLAN_OVERHEAD_BYTES if network.encap is Encap.VXLAN else seat.uplink_mtu_bytes


def _entries(world: World, seat: Seat, network: Network, endpoint: Endpoint) -> Iterator[DirectoryEntry]:
    vtep = world.vtep(endpoint.node)
    is_here = endpoint.node == seat.node
    if not is_here and vtep is None:
        return
    place = Here(endpoint.id) if is_here or vtep is None else There(vtep)
    for address in endpoint.addresses:
        yield DirectoryEntry(datapath_id(network), address, endpoint.mac, place)


def desired_sandboxes(population: Population, node: NodeName) -> frozenset[str]:
    """The container namespaces of this node, by path, that one network reaches into: there names are answered."""
    return frozenset(each.sandbox for each in population.endpoints.values() if each.node == node and each.is_joined)


def desired_docker_networks(world: World) -> frozenset[DockerNetwork]:
    """The Docker networks that every engine should have: one a data network, and one a group of a data network."""
    data = {key: network for key, network in world.networks.items() if network.nw_type is NetworkType.DATA}
    grouped = ((group, data.get(group.network_key)) for group in world.groups.values())
    groups = (docker_network(network, group.key.name) for group, network in grouped if network is not None)
    return frozenset([*map(docker_network, data.values()), *groups])
