"""The JSON objects of Contiv's REST API, field by field.

Source: spec 2.5 "JSON fields" and 2.6. What Contiv does not have says so in its description.
"""
# ruff: noqa: N815  the names are Contiv's

from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from isthmus.core.model import Action, ArpMode, Direction, Encap, ForwardMode, NetworkType
from isthmus.wire.rest.fields import (
    Addresses,
    AsNumber,
    Bandwidth,
    Burst,
    Dscp,
    Ipv4,
    Ipv6,
    Label,
    LongName,
    Name,
    Names,
    Pool,
    PoolV6,
    Port,
    Ports,
    Priority,
    PrivateSubnet,
    Protocol,
    Router,
    Selectors,
    Subnet,
    SubnetV6,
    TagNumber,
    TagRange,
    one_of,
)

_SPAN = "IPv4 or IPv6: an address, ADDRESS/LEN, or ADDRESS-ADDRESS."


class Link(BaseModel):
    """A pointer to another object."""

    type: str
    key: str


def _say_required(schema: dict[str, Any], kind: type["Body"]) -> None:
    schema["required"] = [alias_of(kind, name) for name in kind.REQUIRED]


class Body(BaseModel):
    """What every object has beside its own fields.

    `REQUIRED` are the fields that a request must give and every answer has.
    """

    REQUIRED: ClassVar[tuple[str, ...]] = ()

    model_config = ConfigDict(strict=True, populate_by_name=True, json_schema_extra=_say_required)

    key: str = Field(default="", description="The object's key, set by the server.")
    link_sets: dict[str, dict[str, Link]] = Field(default_factory=dict, serialization_alias="link-sets")
    links: dict[str, Link] = Field(default_factory=dict)


def alias_of(kind: type[Body], name: str) -> str:
    """What a field is called in JSON."""
    alias = kind.model_fields[name].serialization_alias
    return alias if isinstance(alias, str) else name


class TenantBody(Body):
    """A tenant."""

    REQUIRED = ("tenantName",)

    tenantName: Name = ""
    defaultNetwork: Name = ""


class NetworkBody(Body):
    """A network of a tenant."""

    REQUIRED = ("tenantName", "networkName", "encap", "subnet")

    tenantName: Name = ""
    networkName: Name = ""
    cfgdTag: Label = Field(default="", description="A label of the operator's.")
    encap: Annotated[str, one_of(*Encap)] = Field(default="", description="vlan or vxlan.")
    gateway: Ipv4 = Field(default="", description="IPv4, within the subnet.")
    ipv6Gateway: Ipv6 = Field(default="", description="IPv6, within ipv6Subnet.")
    ipv6Subnet: SubnetV6 = Field(default="", description="IPv6/LEN, LEN 1 to 127.")
    multicast: Annotated[str, one_of("flood", "drop")] = Field(
        default="", description="flood (where absent) or drop: what becomes of broadcast and multicast. Not in Contiv."
    )
    nwType: Annotated[str, one_of(*NetworkType)] = Field(default="", description="data (where absent) or infra.")
    pktTag: TagNumber = Field(default=0, description="The VLAN id or VNI that was asked for; 0 is any.")
    subnet: Subnet = Field(default="", description="A.B.C.D/LEN or A.B.C.D-E.F.G.H/LEN, LEN 8 to 31.")


class EndpointGroupBody(Body):
    """Containers of one network that policies and a net profile apply to."""

    REQUIRED = ("tenantName", "groupName", "networkName")

    tenantName: Name = ""
    groupName: Name = ""
    networkName: Name = ""
    cfgdTag: Label = Field(default="", description="A label of the operator's.")
    extContractsGrps: list[str] = Field(default_factory=list, description="Refused: this system has no ACI.")
    ipPool: Pool = Field(default="", description="A.B.C.D-E.F.G.H: the addresses that are its members' alone.")
    ipv6Pool: PoolV6 = Field(default="", description="The same for IPv6. Not in Contiv.")
    netProfile: Name = ""
    policies: Names = Field(default_factory=list)


class PolicyBody(Body):
    """A set of rules."""

    REQUIRED = ("tenantName", "policyName")

    tenantName: Name = ""
    policyName: Name = ""


class RuleBody(Body):
    """One rule of a policy."""

    REQUIRED = ("tenantName", "policyName", "ruleId", "direction")

    tenantName: Name = ""
    policyName: Name = ""
    ruleId: Name = ""
    action: Annotated[str, one_of(*Action)] = Field(default="", description="allow (where absent) or deny.")
    direction: Annotated[str, one_of(*Direction)] = Field(default="", description="in or out.")
    fromEndpointGroup: Name = ""
    fromIpAddress: Addresses = Field(default="", description=_SPAN)
    fromNetwork: Name = ""
    port: Port = Field(default=0, description="TCP or UDP port; 0 is any.")
    priority: Priority = Field(default=0, description="1 (where absent) to 100; the higher wins.")
    protocol: Protocol = Field(default="", description="tcp, udp, icmp, a number, or empty for any.")
    toEndpointGroup: Name = ""
    toIpAddress: Addresses = Field(default="", description=_SPAN)
    toNetwork: Name = ""


class NetprofileBody(Body):
    """Limits on what each member of a group sends."""

    REQUIRED = ("tenantName", "profileName")

    tenantName: Name = ""
    profileName: Name = ""
    DSCP: Dscp = Field(default=0, description="0 to 63; 0 leaves packets as they are.")
    bandwidth: Bandwidth = Field(default="", description="A whole number and k, m or g, such as 10Mbps.")
    burst: Burst = Field(default=0, description="In kilobytes, 2 to 10486; 0 leaves it to the system.")


class ServiceLBBody(Body):
    """A virtual address for containers with certain labels."""

    REQUIRED = ("tenantName", "serviceName", "networkName", "selectors", "ports")

    tenantName: Name = ""
    serviceName: LongName = ""
    networkName: Name = ""
    ipAddress: Ipv4 = Field(default="", description="The address that was asked for; empty is any.")
    ports: Ports = Field(default_factory=list, description="PORT:TARGETPORT:PROTOCOL, TCP or UDP.")
    selectors: Selectors = Field(default_factory=list, description="KEY=VALUE: labels that all providers have.")


class BgpBody(Body):
    """A node's router and its neighbour."""

    REQUIRED = ("hostname", "routerip", "as_number", "neighbor_as")

    hostname: LongName = ""
    as_number: AsNumber = Field(
        default="", validation_alias="as", serialization_alias="as", description="The router's autonomous system."
    )
    neighbor: Ipv4 = ""
    neighbor_as: AsNumber = Field(
        default="",
        validation_alias="neighbor-as",
        serialization_alias="neighbor-as",
        description="The neighbour's autonomous system.",
    )
    routerip: Router = Field(default="", description="IPv4/LEN.")


class AppProfileBody(Body):
    """A named list of groups."""

    REQUIRED = ("tenantName", "appProfileName")

    tenantName: Name = ""
    appProfileName: Name = ""
    endpointGroups: Names = Field(default_factory=list)


class GlobalBody(Body):
    """The settings of the whole cluster."""

    name: Annotated[str, one_of("global")] = "global"
    arpMode: Annotated[str, one_of(*ArpMode)] = Field(default="", description="proxy or flood; kept, without effect.")
    fwdMode: Annotated[str, one_of(*ForwardMode)] = Field(
        default="", description="bridge or routing; kept, without effect."
    )
    networkInfraType: str = Field(default="", description="default: this system has no ACI.")
    pvtSubnet: PrivateSubnet = Field(default="", description="IPv4/16; kept, without effect.")
    vlans: TagRange = Field(default="", description="The VLAN ids that networks may have: FIRST-LAST.")
    vxlans: TagRange = Field(default="", description="The VNIs that networks may have: FIRST-LAST.")


class NodeBody(Body):
    """A host of the cluster, as its agent reports it. Not in Contiv; nobody but its agent writes it."""

    name: str = ""
    address: str = Field(default="", description="Where its tunnels end.")
    appliedRevision: int = Field(default=0, description="The revision of etcd up to which it holds all intent.")
    engine: str = Field(default="", description="ready or absent: its container engine.")
    engineVersion: str = ""
    inSync: bool = Field(default=False, description="Whether it is alive and holds all that it should.")
    isAlive: bool = Field(default=False, description="Whether its agent runs and reaches etcd.")
    lastContact: str = Field(default="", description="When its agent last wrote to etcd, by its clock; RFC 3339, UTC.")
    problem: str = Field(default="", description="The first reason why it is not in sync.")
    version: str = Field(default="", description="Of its netplugin.")


class EndpointBody(BaseModel):
    """A container's leg into a network."""

    containerID: str = Field(default="", description="A moment after its start.")
    containerName: str = ""
    endpointGroupId: int = 0
    endpointGroupKey: str = Field(default="", description="group:tenant")
    endpointID: str = ""
    homingHost: str = Field(default="", description="The node that the container runs on.")
    intfName: str = Field(default="", description="The host's end of its link.")
    ipAddress: list[str] = Field(default_factory=list, description="IPv4, then IPv6 where there is one.")
    macAddress: str = ""
    network: str = Field(default="", description="network.tenant")
    networkName: str = Field(default="", description="Not in Contiv.")
    serviceName: str = Field(default="", description="Its group.")
    tenantName: str = Field(default="", description="Not in Contiv, where a dot in a name leaves it open.")
    vtepIP: str = Field(default="", description="The tunnel address of its node.")


class Candidate(BaseModel):
    """An object that somebody means to create."""

    collection: str
    key: str
    fields: dict[str, Any] = Field(description="As they would be posted.")


class CheckBody(BaseModel):
    """Objects whose form is to be checked. Not in Contiv."""

    objects: list[Candidate]


class FaultBody(BaseModel):
    """What is wrong with one of them."""

    index: int = Field(default=0, description="Its number in the request, from 0.")
    text: str


class BackupBody(BaseModel):
    """Records of etcd as they are. Not in Contiv."""

    records: dict[str, str] = Field(default_factory=dict, description="Each one's value, by its key.")


class RestoredBody(BaseModel):
    """How much of a backup was written."""

    written: int = 0
    unchanged: int = Field(default=0, description="Records that were there already.")


class VersionBody(BaseModel):
    """What a program was built from."""

    GitCommit: str = ""
    Version: str = ""
    BuildTime: str = ""
