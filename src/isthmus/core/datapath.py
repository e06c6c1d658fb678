"""What one kernel holds for us, as values: the vocabulary of `desired`, of `steps` and of `edge.kernel`.

Each value is one thing that can be there or not; two values that differ are two things. How a restarted agent
knows each for ours: links by name prefix and alias, filters by handle and priority, maps by their pin path.
"""

from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from typing import NewType

from isthmus.core.model import (
    Address,
    Encap,
    EndpointId,
    GroupKey,
    GroupName,
    Mac,
    Network,
    NetworkKey,
    Tag,
    docker_network_name,
)

DatapathId = NewType("DatapathId", int)  # a network's number in every map of every host

_VLAN_BIT = 1 << 24  # VNIs have 24 bits (RFC 7348 section 5), so VLAN ids live above them


def datapath_id(network: Network) -> DatapathId:
    """The network's number in the maps: its VNI, or its VLAN id with bit 24 set. Unique, never allocated."""
    return DatapathId(network.tag) if network.encap is Encap.VXLAN else vlan_datapath_id(network.tag)


def vlan_datapath_id(vlan: int) -> DatapathId:
    """The number of the network in this VLAN."""
    return DatapathId(_VLAN_BIT | vlan)


def is_vlan(number: DatapathId) -> bool:
    """Whether a network with this number travels by VLAN."""
    return bool(number & _VLAN_BIT)


@dataclass(frozen=True, slots=True)
class Underlay:
    """The tunnel: our one vxlan device, and the programs on it and on the device that carries it.

    `device` is the link that holds `vtep`; `fast_receive` switches the decapsulation there on.
    """

    device: str
    vtep: IPv4Address
    port: int
    fast_receive: bool = True


@dataclass(frozen=True, slots=True)
class Uplink:
    """A device of the trunk, with our program on it. VLAN networks leave and enter by the one that is active.

    One that reads as not whole lacks something, and is to be added again.
    """

    device: str
    is_active: bool
    is_whole: bool = True


@dataclass(frozen=True, slots=True)
class KnownVtep:
    """A host of the cluster: tunnelled frames are taken from it and from nobody else."""

    address: IPv4Address


@dataclass(frozen=True, slots=True)
class KnownNetwork:
    """A network that this host has legs in."""

    id: DatapathId
    encap: Encap
    tag: Tag


@dataclass(frozen=True, slots=True)
class Inside:
    """How the container's end of a leg is set up in its sandbox.

    That is the engine's work, and becomes ours where an end that the engine had put there was lost.
    """

    sandbox: str
    addresses: tuple[IPv4Interface | IPv6Interface, ...]
    gateways: tuple[Address, ...] = ()


@dataclass(frozen=True, slots=True)
class Leg:
    """An endpoint of this host: its veth, the program at the host's end, and its identity in the maps.

    The veth's ends are named after `endpoint`; the container's end is the engine's to move. `inside` is no part of what
    is compared: only the sandbox could tell.
    """

    endpoint: EndpointId
    network: DatapathId
    mac: Mac
    addresses: tuple[Address, ...]
    mtu_bytes: int
    inside: Inside | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Here:
    """An address's place: behind a leg of this host."""

    endpoint: EndpointId


@dataclass(frozen=True, slots=True)
class There:
    """An address's place: on another host."""

    vtep: IPv4Address


@dataclass(frozen=True, slots=True)
class DirectoryEntry:
    """Where an address of a network lives and which MAC answers for it."""

    network: DatapathId
    address: Address
    mac: Mac
    place: Here | There


FLOOD_LIMIT = 256  # legs, and hosts, that get copies; FLOOD_LEGS and FLOOD_HOSTS of bpf/abi.h


@dataclass(frozen=True, slots=True)
class Flood:
    """Who gets what is for all in a network, or for a group: its legs here, and the hosts that have members.

    Both sorted, and FLOOD_LIMIT at most.
    """

    network: DatapathId
    endpoints: tuple[EndpointId, ...]
    vteps: tuple[IPv4Address, ...] = ()


KernelObject = Underlay | Uplink | KnownVtep | KnownNetwork | Leg | DirectoryEntry | Flood


def host_link_name(endpoint: EndpointId) -> str:
    """The name of the host's end of an endpoint's veth; IFNAMSIZ leaves 15 characters."""
    return "ish" + endpoint[:12]


def container_link_name(endpoint: EndpointId) -> str:
    """The name of the container's end until the engine renames it."""
    return "isc" + endpoint[:12]


@dataclass(frozen=True, slots=True)
class Owner:
    """What a Docker network stands for: a network, or a group of it."""

    network: NetworkKey
    group: GroupName | None = None

    @property
    def key(self) -> NetworkKey | GroupKey:
        """The object's own key."""
        return GroupKey(self.network.tenant, self.group) if self.group else self.network

    @property
    def title(self) -> str:
        """How it is called in reports: `network T:N`, or `group T:G`."""
        return f"{'group' if self.group else 'network'} {self.key}"


@dataclass(frozen=True, slots=True)
class DockerNetwork:
    """A Docker network of ours; its id is not part of it, for every engine gives its own."""

    name: str
    key: NetworkKey
    encap: Encap
    tag: Tag
    subnet: IPv4Network
    gateway: IPv4Address | None = None
    subnet_v6: IPv6Network | None = None
    gateway_v6: IPv6Address | None = None
    group: GroupName | None = None

    @property
    def owner(self) -> Owner:
        """What it stands for."""
        return Owner(self.key, self.group)

    @property
    def title(self) -> str:
        """How what it stands for is called in reports."""
        return self.owner.title


def docker_network(network: Network, group: GroupName | None = None) -> DockerNetwork:
    """The Docker network in which the containers of `network` live, or those of a group of it."""
    return DockerNetwork(
        name=docker_network_name(Owner(network.key, group).key),
        key=network.key,
        encap=network.encap,
        tag=network.tag,
        subnet=network.subnet.prefix,
        gateway=network.gateway,
        subnet_v6=network.subnet_v6.prefix if network.subnet_v6 else None,
        gateway_v6=network.gateway_v6,
        group=group,
    )
