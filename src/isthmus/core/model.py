"""The nouns of Isthmus as values: what operators say (intent) and what agents report (state).

Each value below is one record in etcd; `wire.keys` gives its key and its JSON.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import NewType

TenantName = NewType("TenantName", str)
NetworkName = NewType("NetworkName", str)
GroupName = NewType("GroupName", str)
NodeName = NewType("NodeName", str)
EndpointId = NewType("EndpointId", str)  # Docker's: 64 hexadecimal digits
Mac = NewType("Mac", str)  # six octets in lower-case hexadecimal, colons between
Tag = NewType("Tag", int)  # a VNI where the network is VXLAN, a VLAN id where it is VLAN

Address = IPv4Address | IPv6Address

DEFAULT_TENANT = TenantName("default")
VXLAN_PORT = 8472  # UDP; not 4789, which Docker's own overlay holds
VXLAN_OVERHEAD_BYTES = 50  # Ethernet 14, IPv4 20, UDP 8, VXLAN 8; RFC 7348 section 5


class Encap(StrEnum):
    """How a network's packets travel between hosts."""

    VXLAN = "vxlan"
    VLAN = "vlan"


class NetworkType(StrEnum):
    """Whom a network serves: containers, or the hosts themselves."""

    DATA = "data"
    INFRA = "infra"


@dataclass(frozen=True, slots=True, order=True)
class NetworkKey:
    """A network's identity: names are unique within a tenant only."""

    tenant: TenantName
    name: NetworkName

    def __str__(self) -> str:
        return f"{self.tenant}:{self.name}"


@dataclass(frozen=True, slots=True)
class Range:
    """The whole numbers from `first` to `last`, both included."""

    first: int
    last: int

    def __str__(self) -> str:
        return f"{self.first}-{self.last}"


@dataclass(frozen=True, slots=True)
class Settings:
    """The cluster-wide settings: from which ranges tags are given."""

    vlans: Range = Range(1, 4094)
    vnis: Range = Range(1, 10000)


@dataclass(frozen=True, slots=True)
class Tenant:
    """A space of names and addresses that no packet crosses.

    `default_network` is kept for Contiv's clients; nothing follows from it.
    """

    name: TenantName
    default_network: str = ""


@dataclass(frozen=True, slots=True)
class Subnet:
    """A network's IPv4 addresses: those from `first` to `last` within `prefix`.

    `text` is what the operator typed (`10.1.1.1/24`, `10.1.1.10-10.1.1.20/24`) and what is listed.
    """

    text: str
    prefix: IPv4Network
    first: IPv4Address
    last: IPv4Address


@dataclass(frozen=True, slots=True)
class SubnetV6:
    """A network's IPv6 addresses; `text` is what the operator typed."""

    text: str
    prefix: IPv6Network


@dataclass(frozen=True, slots=True)
class Network:
    """A subnet and the tag under which it travels.

    `tag` is the one in force; `configured_tag` the one the operator asked for, 0 for any.
    `label` is Contiv's `cfgdTag`, kept for its clients.
    """

    key: NetworkKey
    encap: Encap
    tag: Tag
    subnet: Subnet
    gateway: IPv4Address | None = None
    subnet_v6: SubnetV6 | None = None
    gateway_v6: IPv6Address | None = None
    configured_tag: int = 0
    nw_type: NetworkType = NetworkType.DATA
    label: str = ""


@dataclass(frozen=True, slots=True)
class TagOwner:
    """The network that holds a VNI or a VLAN id; one record a tag makes tags unique."""

    encap: Encap
    tag: Tag
    owner: NetworkKey


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A container's leg into one network.

    `container` and `sandbox` are empty until Join tells them; an endpoint with a sandbox is *joined*.
    `sandbox` is the path of the container's network namespace in the engine's mount namespace.
    """

    id: EndpointId
    network: NetworkKey
    node: NodeName
    mac: Mac
    address: IPv4Address
    address_v6: IPv6Address | None = None
    group: GroupName | None = None
    container: str = ""
    sandbox: str = ""

    @property
    def is_joined(self) -> bool:
        """Whether a sandbox has been named for it."""
        return bool(self.sandbox)

    @property
    def addresses(self) -> tuple[Address, ...]:
        """Its one or two addresses, IPv4 first."""
        return (self.address,) if self.address_v6 is None else (self.address, self.address_v6)


class ClaimPurpose(StrEnum):
    """For what an address is held."""

    GATEWAY = "gateway"  # the network's own; as long as the network
    LEASE = "lease"  # an engine's, from RequestAddress to ReleaseAddress


@dataclass(frozen=True, slots=True)
class AddressClaim:
    """An address that nobody else may be given; one record an address makes addresses unique.

    A lease belongs to `node` and is bound to `endpoint` from CreateEndpoint to DeleteEndpoint.
    """

    network: NetworkKey
    address: Address
    purpose: ClaimPurpose
    node: NodeName | None = None
    endpoint: EndpointId | None = None


@dataclass(frozen=True, slots=True)
class AllocationCursor:
    """The last addresses given in a network: the next search starts above, so a freed one rests longest."""

    network: NetworkKey
    last: IPv4Address | None = None
    last_v6: IPv6Address | None = None


class EngineState(StrEnum):
    """What a node knows of its container engine."""

    ABSENT = "absent"
    READY = "ready"


@dataclass(frozen=True, slots=True)
class Node:
    """What an agent reports of its host; it outlives the agent, unlike its `NodeLease`.

    `applied_revision`: kernel and engine hold all intent up to this etcd revision, except for
    `problems`: {network or other object: the first reason why not}.
    """

    name: NodeName
    vtep: IPv4Address | None
    version: str
    engine: EngineState = EngineState.ABSENT
    engine_version: str = ""
    applied_revision: int = 0
    problems: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NodeLease:
    """There while the agent of this node is alive; expires by itself.

    `identity` tells one host from another of the same name.
    """

    name: NodeName
    identity: str


Record = Settings | Tenant | Network | TagOwner | Endpoint | AddressClaim | AllocationCursor | Node | NodeLease


def mac_of(address: IPv4Address) -> Mac:
    """The MAC of the endpoint that holds this address: 02:02, then the address's four octets."""
    return Mac("02:02:" + address.packed.hex(":"))


def is_unicast(mac: Mac) -> bool:
    """Whether one interface may have this MAC: neither a group's (IEEE 802, first octet odd) nor all zero."""
    octets = bytes.fromhex(mac.replace(":", ""))
    return not octets[0] & 1 and any(octets)


def docker_network_name(key: NetworkKey) -> str:
    """The name of a network in Docker: bare in the default tenant, else with `/tenant`."""
    return str(key.name) if key.tenant == DEFAULT_TENANT else f"{key.name}/{key.tenant}"
