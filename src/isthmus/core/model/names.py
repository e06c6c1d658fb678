"""Names, numbers and keys: what the records are called by."""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import NewType

TenantName = NewType("TenantName", str)
NetworkName = NewType("NetworkName", str)
GroupName = NewType("GroupName", str)
PolicyName = NewType("PolicyName", str)
RuleId = NewType("RuleId", str)  # the operator's own, often a number
ProfileName = NewType("ProfileName", str)
ServiceName = NewType("ServiceName", str)
AppProfileName = NewType("AppProfileName", str)
NodeName = NewType("NodeName", str)
EpochId = NewType("EpochId", str)
EndpointId = NewType("EndpointId", str)  # Docker's: 64 hexadecimal digits
ContainerId = NewType("ContainerId", str)  # Docker's: 64 hexadecimal digits
Mac = NewType("Mac", str)  # six octets in lower-case hexadecimal, colons between
Tag = NewType("Tag", int)  # a VNI where the network is VXLAN, a VLAN id where it is VLAN
GroupId = NewType("GroupId", int)  # 1 to 65535, unique in the cluster: 16 bits travel with a packet; 0 is no group

Address = IPv4Address | IPv6Address

DEFAULT_TENANT = TenantName("default")
VXLAN_PORT = 8472  # UDP; not 4789, which Docker's own overlay holds
VXLAN_OVERHEAD_BYTES = 50  # Ethernet 14, IPv4 20, UDP 8, VXLAN 8; RFC 7348 section 5


@dataclass(frozen=True, slots=True, order=True)
class ScopedKey:
    """The identity of a tenant's object: names are unique within a tenant and a kind only."""

    tenant: TenantName
    name: str

    def __str__(self) -> str:
        return f"{self.tenant}:{self.name}"


@dataclass(frozen=True, slots=True, order=True)
class NetworkKey(ScopedKey):
    """A network's identity."""

    name: NetworkName


@dataclass(frozen=True, slots=True, order=True)
class GroupKey(ScopedKey):
    """An endpoint group's identity."""

    name: GroupName


@dataclass(frozen=True, slots=True, order=True)
class PolicyKey(ScopedKey):
    """A policy's identity."""

    name: PolicyName


@dataclass(frozen=True, slots=True, order=True)
class ProfileKey(ScopedKey):
    """A net profile's identity."""

    name: ProfileName


@dataclass(frozen=True, slots=True, order=True)
class ServiceKey(ScopedKey):
    """A service's identity."""

    name: ServiceName


@dataclass(frozen=True, slots=True, order=True)
class AppProfileKey(ScopedKey):
    """An app profile's identity."""

    name: AppProfileName


@dataclass(frozen=True, slots=True, order=True)
class RuleKey:
    """A rule's identity: ids are unique within a policy only."""

    policy: PolicyKey
    id: RuleId

    def __str__(self) -> str:
        return f"{self.policy}:{self.id}"
