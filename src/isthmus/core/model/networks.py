"""What an operator says of the cluster, its tenants and their networks."""

from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from isthmus.core.model.names import NetworkKey, Tag, TenantName

_PRIVATE_SUBNET = IPv4Network("172.19.0.0/16")


@dataclass(frozen=True, slots=True)
class Range:
    """The whole numbers from `first` to `last`, both included."""

    first: int
    last: int

    def __str__(self) -> str:
        return f"{self.first}-{self.last}"


class ForwardMode(StrEnum):
    """Contiv's forwarding modes; kept for its clients."""

    BRIDGE = "bridge"
    ROUTING = "routing"


class ArpMode(StrEnum):
    """Contiv's modes of answering ARP; kept for its clients."""

    PROXY = "proxy"
    FLOOD = "flood"


@dataclass(frozen=True, slots=True)
class Settings:
    """The cluster-wide settings: from which ranges tags are given, and Contiv's modes."""

    vlans: Range = Range(1, 4094)
    vnis: Range = Range(1, 10000)
    forward_mode: ForwardMode = ForwardMode.BRIDGE
    arp_mode: ArpMode = ArpMode.PROXY
    private_subnet: IPv4Network = _PRIVATE_SUBNET


@dataclass(frozen=True, slots=True)
class Tenant:
    """A space of names and addresses that no packet crosses.

    `default_network` is kept for Contiv's clients; nothing follows from it.
    """

    name: TenantName
    default_network: str = ""


class Encap(StrEnum):
    """How a network's packets travel between hosts."""

    VXLAN = "vxlan"
    VLAN = "vlan"


class NetworkType(StrEnum):
    """Whom a network serves: containers, or the hosts themselves."""

    DATA = "data"
    INFRA = "infra"


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
    `label` is Contiv's `cfgdTag`, kept for its clients. `is_flooding`: broadcast and multicast reach members on other
    hosts by VXLAN, and those here; a VLAN network always floods.
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
    is_flooding: bool = True


@dataclass(frozen=True, slots=True)
class TagOwner:
    """The network that holds a VNI or a VLAN id; one record a tag makes tags unique."""

    encap: Encap
    tag: Tag
    owner: NetworkKey
