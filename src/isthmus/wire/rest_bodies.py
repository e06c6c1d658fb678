"""The JSON objects of Contiv's REST API, field by field, and each field's rule.

Source: spec 2.5 "JSON fields" and 2.6.
"""
# ruff: noqa: N815  the names are Contiv's

import re
from ipaddress import IPv4Address, IPv6Address
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from isthmus.core.model import Encap, NetworkType

NAME_LENGTH = 64
LABEL_LENGTH = 128
GREATEST_TAG = 16777216  # Contiv's; the ranges of `globals` are the real limit

_NAME_FORM = "letters, digits and inner dashes, in parts joined by dots"
_PART = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?", re.ASCII)


def _name(value: str, *, limit: int = NAME_LENGTH) -> str:
    if len(value) > limit:
        raise ValueError(f"is too long: {len(value)} characters, at most {limit} are allowed")
    if value and not all(_PART.fullmatch(part) for part in value.split(".")):
        raise ValueError(f"has an invalid format: it takes {_NAME_FORM}")
    return value


def _label(value: str) -> str:
    return _name(value, limit=LABEL_LENGTH)


def _one_of(*words: str) -> AfterValidator:
    def check(value: str) -> str:
        if value and value not in words:
            raise ValueError(f"has an invalid format: it is {' or '.join(words)}")
        return value

    return AfterValidator(check)


def _tag(value: int) -> int:
    if not 0 <= value <= GREATEST_TAG:
        raise ValueError(f"is out of bounds: 0 to {GREATEST_TAG} are allowed, 0 being any")
    return value


def _ipv4(value: str) -> str:
    return _address(value, IPv4Address, "an IPv4 address such as 10.1.1.254")


def _ipv6(value: str) -> str:
    return _address(value, IPv6Address, "an IPv6 address such as 2001:db8::1")


def _address(value: str, kind: type[IPv4Address] | type[IPv6Address], wanted: str) -> str:
    try:
        if value:
            kind(value)
    except ValueError:
        raise ValueError(f"has an invalid format: it takes {wanted}") from None
    return value


Name = Annotated[str, AfterValidator(_name), Field(description=f"At most {NAME_LENGTH} {_NAME_FORM}.")]


class Link(BaseModel):
    """A pointer to another object."""

    type: str
    key: str


class Body(BaseModel):
    """What every object has beside its own fields."""

    model_config = ConfigDict(strict=True)

    key: str = Field(default="", description="The object's key, set by the server.")
    link_sets: dict[str, dict[str, Link]] = Field(default_factory=dict, serialization_alias="link-sets")
    links: dict[str, Link] = Field(default_factory=dict)


class TenantBody(Body):
    """A tenant."""

    tenantName: Name = ""
    defaultNetwork: Name = ""


class NetworkBody(Body):
    """A network of a tenant."""

    tenantName: Name = ""
    networkName: Name = ""
    cfgdTag: Annotated[str, AfterValidator(_label)] = Field(default="", description="A label of the operator's.")
    encap: Annotated[str, _one_of(*Encap)] = Field(default="", description="vlan or vxlan.")
    gateway: Annotated[str, AfterValidator(_ipv4)] = Field(default="", description="IPv4, within the subnet.")
    ipv6Gateway: Annotated[str, AfterValidator(_ipv6)] = Field(default="", description="IPv6, within ipv6Subnet.")
    ipv6Subnet: str = Field(default="", description="IPv6/LEN, LEN 1 to 127.")
    nwType: Annotated[str, _one_of(*NetworkType)] = Field(default="", description="data (where absent) or infra.")
    pktTag: Annotated[int, AfterValidator(_tag)] = Field(
        default=0, description="The VLAN id or VNI that was asked for; 0 is any."
    )
    subnet: str = Field(default="", description="A.B.C.D/LEN or A.B.C.D-E.F.G.H/LEN, LEN 8 to 31.")


class GlobalBody(Body):
    """The settings of the whole cluster."""

    name: str = "global"
    arpMode: str = ""
    fwdMode: str = ""
    networkInfraType: str = ""
    vlans: str = Field(default="", description="The VLAN ids that networks may have.")
    vxlans: str = Field(default="", description="The VNIs that networks may have.")


class EndpointOper(BaseModel):
    """A container's leg into a network."""

    containerName: str = ""
    endpointGroupKey: str = Field(default="", description="group:tenant")
    endpointID: str = ""
    homingHost: str = Field(default="", description="The node that the container runs on.")
    intfName: str = Field(default="", description="The host's end of its link.")
    ipAddress: list[str] = Field(default_factory=list, description="IPv4, then IPv6 where there is one.")
    macAddress: str = ""
    network: str = Field(default="", description="network.tenant")
    serviceName: str = Field(default="", description="Its group.")
    vtepIP: str = Field(default="", description="The tunnel address of its node.")


class NodeOper(BaseModel):
    """What a node makes of a network."""

    name: str
    ready: bool = Field(description="Whether its kernel and engine hold the network as it stands.")
    problem: str = Field(default="", description="Why it does not.")


class NetworkOper(BaseModel):
    """A network's state."""

    allocatedAddressesCount: int = Field(default=0, description="IPv4 addresses held: containers, leases, gateway.")
    allocatedIPAddresses: str = Field(default="", description="The same, as 10.1.1.1-10.1.1.3, 10.1.1.9")
    availableIPAddresses: str = Field(default="", description="IPv4 addresses that may be given.")
    endpoints: list[EndpointOper] = Field(default_factory=list)
    externalPktTag: int = Field(default=0, description="The VNI or VLAN id on the wire.")
    networkTag: str = Field(default="", description="network.tenant, or the label.")
    nodes: list[NodeOper] = Field(default_factory=list)
    numEndpoints: int = 0
    pktTag: int = Field(default=0, description="As externalPktTag: there is no local VLAN.")


class TenantOper(BaseModel):
    """A tenant's state."""

    totalEndpoints: int = 0
    totalNetworks: int = 0
    endpoints: list[EndpointOper] = Field(default_factory=list)
    networks: list[NetworkOper] = Field(default_factory=list)


class GlobalOper(BaseModel):
    """The cluster's state."""

    clusterMode: str = "docker"
    numNetworks: int = 0
    vlansInUse: str = ""
    vxlansInUse: str = ""


class TenantInspection(BaseModel):
    """A tenant, and its state."""

    Config: TenantBody
    Oper: TenantOper


class NetworkInspection(BaseModel):
    """A network, and its state."""

    Config: NetworkBody
    Oper: NetworkOper


class GlobalInspection(BaseModel):
    """The settings, and the cluster's state."""

    Config: GlobalBody
    Oper: GlobalOper


class VersionBody(BaseModel):
    """What a program was built from."""

    GitCommit: str = ""
    Version: str = ""
    BuildTime: str = ""
