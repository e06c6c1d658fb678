"""The nouns of Isthmus as values: what operators say (intent) and what agents report (state).

Each record is one value in etcd; `wire.keys` gives its key and its JSON.
"""

from isthmus.core.model.groups import (
    Action,
    AppProfile,
    Bgp,
    Direction,
    EndpointGroup,
    GroupIdOwner,
    NetProfile,
    Policy,
    Rule,
    Service,
    ServicePort,
    Span,
)
from isthmus.core.model.names import (
    DEFAULT_TENANT,
    VXLAN_OVERHEAD_BYTES,
    VXLAN_PORT,
    Address,
    AppProfileKey,
    AppProfileName,
    ContainerId,
    EndpointId,
    EpochId,
    GroupId,
    GroupKey,
    GroupName,
    Mac,
    NetworkKey,
    NetworkName,
    NodeName,
    PolicyKey,
    PolicyName,
    ProfileKey,
    ProfileName,
    RuleId,
    RuleKey,
    ScopedKey,
    ServiceKey,
    ServiceName,
    Tag,
    TenantName,
)
from isthmus.core.model.networks import (
    ArpMode,
    Encap,
    ForwardMode,
    Network,
    NetworkType,
    Range,
    Settings,
    Subnet,
    SubnetV6,
    TagOwner,
    Tenant,
)
from isthmus.core.model.state import (
    AddressClaim,
    AllocationCursor,
    ClaimPurpose,
    Endpoint,
    EngineState,
    Epoch,
    Node,
    NodeContact,
    NodeLease,
    is_unicast,
    mac_of,
)

Record = (
    Settings
    | Tenant
    | Network
    | TagOwner
    | EndpointGroup
    | GroupIdOwner
    | Policy
    | Rule
    | NetProfile
    | Service
    | Bgp
    | AppProfile
    | Endpoint
    | AddressClaim
    | AllocationCursor
    | Node
    | NodeLease
    | NodeContact
    | Epoch
)


def docker_network_name(key: NetworkKey | GroupKey) -> str:
    """The name of a network or a group in Docker: bare in the default tenant, else with `/tenant`."""
    return str(key.name) if key.tenant == DEFAULT_TENANT else f"{key.name}/{key.tenant}"


__all__ = [
    "DEFAULT_TENANT",
    "VXLAN_OVERHEAD_BYTES",
    "VXLAN_PORT",
    "Action",
    "Address",
    "AddressClaim",
    "AllocationCursor",
    "AppProfile",
    "AppProfileKey",
    "AppProfileName",
    "ArpMode",
    "Bgp",
    "ClaimPurpose",
    "ContainerId",
    "Direction",
    "Encap",
    "Endpoint",
    "EndpointGroup",
    "EndpointId",
    "EngineState",
    "Epoch",
    "EpochId",
    "ForwardMode",
    "GroupId",
    "GroupIdOwner",
    "GroupKey",
    "GroupName",
    "Mac",
    "NetProfile",
    "Network",
    "NetworkKey",
    "NetworkName",
    "NetworkType",
    "Node",
    "NodeContact",
    "NodeLease",
    "NodeName",
    "Policy",
    "PolicyKey",
    "PolicyName",
    "ProfileKey",
    "ProfileName",
    "Range",
    "Record",
    "Rule",
    "RuleId",
    "RuleKey",
    "ScopedKey",
    "Service",
    "ServiceKey",
    "ServiceName",
    "ServicePort",
    "Settings",
    "Span",
    "Subnet",
    "SubnetV6",
    "Tag",
    "TagOwner",
    "Tenant",
    "TenantName",
    "docker_network_name",
    "is_unicast",
    "mac_of",
]
