"""What an operator says of groups of containers: policies, profiles, services and routers."""

from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Interface

from isthmus.core.model.names import (
    Address,
    AppProfileKey,
    GroupId,
    GroupKey,
    GroupName,
    NetworkKey,
    NetworkName,
    NodeName,
    PolicyKey,
    PolicyName,
    ProfileKey,
    ProfileName,
    RuleKey,
    ServiceKey,
)


@dataclass(frozen=True, slots=True)
class Span:
    """The addresses of one family from `first` to `last`; `text` is what the operator typed."""

    text: str
    first: Address
    last: Address

    def __contains__(self, address: Address) -> bool:
        return self.first.version == address.version and int(self.first) <= int(address) <= int(self.last)


@dataclass(frozen=True, slots=True)
class EndpointGroup:
    """Containers of one network that policies and a net profile apply to.

    Its members take their addresses from `pool` and `pool_v6` where there are such, and nobody else does.
    `label` is Contiv's `cfgdTag`, kept for its clients.
    """

    key: GroupKey
    id: GroupId
    network: NetworkName
    policies: tuple[PolicyName, ...] = ()
    net_profile: ProfileName | None = None
    pool: Span | None = None
    pool_v6: Span | None = None
    label: str = ""

    @property
    def network_key(self) -> NetworkKey:
        """The network that its members live in."""
        return NetworkKey(self.key.tenant, self.network)

    @property
    def pools(self) -> tuple[Span, ...]:
        """The address ranges that are its own."""
        return tuple(each for each in (self.pool, self.pool_v6) if each is not None)


@dataclass(frozen=True, slots=True)
class GroupIdOwner:
    """The group that holds an id; one record an id makes ids unique."""

    id: GroupId
    owner: GroupKey


@dataclass(frozen=True, slots=True)
class Policy:
    """A set of rules under a name; its rules are records of their own."""

    key: PolicyKey


class Direction(StrEnum):
    """Whether a rule is about what a group's members receive, or what they send."""

    IN = "in"
    OUT = "out"


class Action(StrEnum):
    """What a rule does with a connection that fits it."""

    ALLOW = "allow"
    DENY = "deny"


@dataclass(frozen=True, slots=True)
class Rule:
    """What a policy says of the connections that fit: those of `protocol` and `port` (0: any) with the peer.

    The peer is the other side: the sender where `direction` is in. It fits if it is in `peer_group`, in
    `peer_network` and in `peer_addresses`, as far as these are given. `own_addresses` narrows an `in` rule to some
    of the group's members. `protocol` is tcp, udp, icmp, a number's digits, or empty for any.
    """

    key: RuleKey
    direction: Direction
    action: Action
    priority: int = 1
    peer_group: GroupName | None = None
    peer_network: NetworkName | None = None
    peer_addresses: Span | None = None
    own_addresses: Span | None = None
    protocol: str = ""
    port: int = 0


@dataclass(frozen=True, slots=True)
class NetProfile:
    """Limits on what each member of a group sends.

    `bandwidth` is as the operator typed it (`10Mbps`), empty for none; `burst` is in kilobytes.
    """

    key: ProfileKey
    bandwidth: str = ""
    burst_kilobytes: int = 0
    dscp: int = 0


@dataclass(frozen=True, slots=True)
class ServicePort:
    """A service's port, the providers' port behind it, and the protocol: TCP or UDP."""

    port: int
    target: int
    protocol: str

    def __str__(self) -> str:
        return f"{self.port}:{self.target}:{self.protocol}"


@dataclass(frozen=True, slots=True)
class Service:
    """A virtual address for the containers whose labels have all of `selectors` (each `key=value`).

    `vip` is the address in force, `wished_vip` the one that the operator asked for.
    """

    key: ServiceKey
    network: NetworkName
    selectors: tuple[str, ...]
    ports: tuple[ServicePort, ...]
    vip: IPv4Address
    wished_vip: IPv4Address | None = None

    @property
    def network_key(self) -> NetworkKey:
        """The network that its address is of."""
        return NetworkKey(self.key.tenant, self.network)


@dataclass(frozen=True, slots=True)
class Bgp:
    """A node's router: its own address and autonomous system, and its neighbour's."""

    node: NodeName
    router: IPv4Interface
    as_number: str
    neighbor_as: str
    neighbor: IPv4Address | None = None


@dataclass(frozen=True, slots=True)
class AppProfile:
    """A named list of groups of one tenant."""

    key: AppProfileKey
    groups: tuple[GroupName, ...] = ()
