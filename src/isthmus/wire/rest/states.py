"""The state of each kind of object, as `inspect` shows it beside the configuration. Source: spec 2.5 "Oper fields"."""
# ruff: noqa: N815  the names are Contiv's

from pydantic import BaseModel, Field

from isthmus.wire.rest.bodies import (
    AppProfileBody,
    BgpBody,
    EndpointBody,
    EndpointGroupBody,
    GlobalBody,
    NetprofileBody,
    NetworkBody,
    NodeBody,
    PolicyBody,
    RuleBody,
    ServiceLBBody,
    TenantBody,
)


class NodeOper(BaseModel):
    """What a node makes of a network or a group."""

    name: str
    ready: bool = Field(description="Whether its kernel and engine hold the object as it stands.")
    problem: str = Field(default="", description="Why it does not.")


class Enforcement(BaseModel):
    """Whether what is said is done: this version accepts some objects that it does not enforce yet."""

    enforced: bool = False
    note: str = Field(default="", description="What is missing.")


class NetworkOper(BaseModel):
    """A network's state."""

    allocatedAddressesCount: int = Field(default=0, description="IPv4 addresses held.")
    allocatedIPAddresses: str = Field(
        default="", description="IPv4 addresses held: by containers, gateway, services and group pools."
    )
    availableIPAddresses: str = Field(default="", description="IPv4 addresses that may be given.")
    endpoints: list[EndpointBody] = Field(default_factory=list)
    externalPktTag: int = Field(default=0, description="The VNI or VLAN id on the wire.")
    networkTag: str = Field(default="", description="network.tenant, or the label.")
    nodes: list[NodeOper] = Field(default_factory=list)
    numEndpoints: int = 0
    pktTag: int = Field(default=0, description="As externalPktTag: there is no local VLAN.")


class EndpointGroupOper(Enforcement):
    """A group's state."""

    allocatedIPAddresses: str = ""
    availableIPAddresses: str = ""
    endpoints: list[EndpointBody] = Field(default_factory=list)
    externalPktTag: int = 0
    groupId: int = Field(default=0, description="Its number in the cluster. Not in Contiv.")
    groupTag: str = Field(default="", description="group.tenant, or the label.")
    nodes: list[NodeOper] = Field(default_factory=list)
    numEndpoints: int = 0
    pktTag: int = 0


class PolicyOper(Enforcement):
    """A policy's state."""

    endpoints: list[EndpointBody] = Field(default_factory=list)
    numEndpoints: int = 0


class ServiceLBOper(Enforcement):
    """A service's state."""

    numProviders: int = 0
    serviceVip: str = ""


class AppProfileOper(BaseModel):
    """An app profile's state."""

    endpoints: list[EndpointBody] = Field(default_factory=list)
    numEndpoints: int = 0


class TenantOper(BaseModel):
    """A tenant's state."""

    totalAppProfiles: int = 0
    totalEPGs: int = 0
    totalEndpoints: int = 0
    totalNetprofiles: int = 0
    totalNetworks: int = 0
    totalPolicies: int = 0
    totalServicelbs: int = 0
    endpointGroups: list[EndpointGroupOper] = Field(default_factory=list)
    endpoints: list[EndpointBody] = Field(default_factory=list)
    networks: list[NetworkOper] = Field(default_factory=list)
    policies: list[PolicyOper] = Field(default_factory=list)
    servicelbs: list[ServiceLBOper] = Field(default_factory=list)


class GlobalOper(BaseModel):
    """The cluster's state."""

    clusterMode: str = "docker"
    freeVXLANsStart: int = Field(default=0, description="The lowest VNI that is free.")
    numNetworks: int = 0
    vlansInUse: str = ""
    vxlansInUse: str = ""


class NodeStateOper(BaseModel):
    """A node's state."""

    appliedRevision: int = Field(default=0, description="It holds all intent up to this etcd revision.")
    endpoints: list[EndpointBody] = Field(default_factory=list)
    inSync: bool = Field(default=False, description="Whether it holds all that it should.")
    numEndpoints: int = 0
    problems: list[str] = Field(default_factory=list, description="Why it does not.")
    salvage: str = Field(default="", description="What its agent did since etcd came back without what was in it.")


class TenantInspection(BaseModel):
    """A tenant, and its state."""

    Config: TenantBody
    Oper: TenantOper


class NetworkInspection(BaseModel):
    """A network, and its state."""

    Config: NetworkBody
    Oper: NetworkOper


class EndpointGroupInspection(BaseModel):
    """A group, and its state."""

    Config: EndpointGroupBody
    Oper: EndpointGroupOper


class PolicyInspection(BaseModel):
    """A policy, and its state."""

    Config: PolicyBody
    Oper: PolicyOper


class RuleInspection(BaseModel):
    """A rule, and its state."""

    Config: RuleBody
    Oper: Enforcement


class NetprofileInspection(BaseModel):
    """A net profile, and its state."""

    Config: NetprofileBody
    Oper: Enforcement


class ServiceLBInspection(BaseModel):
    """A service, and its state."""

    Config: ServiceLBBody
    Oper: ServiceLBOper


class BgpInspection(BaseModel):
    """A node's router, and its state."""

    Config: BgpBody
    Oper: Enforcement


class AppProfileInspection(BaseModel):
    """An app profile, and its state."""

    Config: AppProfileBody
    Oper: AppProfileOper


class GlobalInspection(BaseModel):
    """The settings, and the cluster's state."""

    Config: GlobalBody
    Oper: GlobalOper


class NodeInspection(BaseModel):
    """A node, and its state."""

    Config: NodeBody
    Oper: NodeStateOper


class EndpointInspection(BaseModel):
    """An endpoint: nobody configures one, so there is its state only."""

    Oper: EndpointBody
