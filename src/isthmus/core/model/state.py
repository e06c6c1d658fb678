"""What agents report: endpoints, the addresses that are held, and the hosts themselves."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address

from isthmus.core.model.names import (
    Address,
    ContainerId,
    EndpointId,
    EpochId,
    GroupName,
    Mac,
    NetworkKey,
    NodeName,
    ServiceName,
)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A container's leg into one network.

    `container` and `sandbox` are empty until Join tells them; an endpoint with a sandbox is *joined*.
    `sandbox` is the path of the container's network namespace in the engine's mount namespace; `container_id` is told a
    moment after Join, which does not say it.
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
    container_id: ContainerId | None = None

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
    SERVICE = "service"  # a service's virtual address; as long as the service
    LEASE = "lease"  # an engine's, from RequestAddress to ReleaseAddress


@dataclass(frozen=True, slots=True)
class AddressClaim:
    """An address that nobody else may be given; one record an address makes addresses unique.

    A lease belongs to `node` and is bound to `endpoint` from CreateEndpoint to DeleteEndpoint; a service's address
    belongs to `service`.
    """

    network: NetworkKey
    address: Address
    purpose: ClaimPurpose
    node: NodeName | None = None
    endpoint: EndpointId | None = None
    service: ServiceName | None = None


@dataclass(frozen=True, slots=True)
class AllocationCursor:
    """The last addresses given of one share of a network: the next search starts above, so a freed one rests longest.

    The share is that of `group`, which has a pool, or of all others where it is None.
    """

    network: NetworkKey
    last: IPv4Address | None = None
    last_v6: IPv6Address | None = None
    group: GroupName | None = None


class EngineState(StrEnum):
    """What a node knows of its container engine."""

    ABSENT = "absent"
    READY = "ready"


@dataclass(frozen=True, slots=True)
class Node:
    """What an agent reports of its host; it outlives the agent, unlike its `NodeLease`.

    `applied_revision`: kernel and engine hold all intent up to this etcd revision, except for
    `problems`: {network or other object: the first reason why not}.
    `epoch`: that in which etcd has all that lives here; `salvage` says what had to be done for it, empty where nothing.
    """

    name: NodeName
    vtep: IPv4Address | None
    version: str
    engine: EngineState = EngineState.ABSENT
    engine_version: str = ""
    applied_revision: int = 0
    problems: Mapping[str, str] = field(default_factory=dict)
    epoch: EpochId | None = None
    salvage: str = ""


@dataclass(frozen=True, slots=True)
class Epoch:
    """The course of events that this etcd is in: another one after a wipe, or after the return of an older state.

    Whoever notices first gives it a new id, so that those notice who were away.
    """

    id: EpochId


@dataclass(frozen=True, slots=True)
class NodeLease:
    """There while the agent of this node is alive; expires by itself.

    `identity` tells one host from another of the same name.
    """

    name: NodeName
    identity: str


@dataclass(frozen=True, slots=True)
class NodeContact:
    """When a node's agent last had a word for etcd, by the node's own clock: Unix time in seconds."""

    name: NodeName
    at_s: int


def mac_of(address: IPv4Address) -> Mac:
    """The MAC of the endpoint that holds this address: 02:02, then the address's four octets."""
    return Mac("02:02:" + address.packed.hex(":"))


def is_unicast(mac: Mac) -> bool:
    """Whether one interface may have this MAC: neither a group's (IEEE 802, first octet odd) nor all zero."""
    octets = bytes.fromhex(mac.replace(":", ""))
    return not octets[0] & 1 and any(octets)
