"""Records to etcd's keys and JSON values, and back. The table of keys stands in docs/design/state.md.

A value is the record's fields as one JSON object, and `"schema": 1`.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError

from isthmus.core.errors import UnreadableRecordError
from isthmus.core.model import (
    Address,
    AddressClaim,
    AllocationCursor,
    AppProfile,
    AppProfileKey,
    Bgp,
    Encap,
    Endpoint,
    EndpointGroup,
    Epoch,
    GroupId,
    GroupIdOwner,
    GroupKey,
    GroupName,
    NetProfile,
    Network,
    NetworkKey,
    Node,
    NodeContact,
    NodeLease,
    NodeName,
    Policy,
    PolicyKey,
    ProfileKey,
    Record,
    Rule,
    RuleKey,
    Service,
    ServiceKey,
    Settings,
    Tag,
    TagOwner,
    Tenant,
    TenantName,
)

ROOT = "/isthmus/v1/"
SCHEMA = 1

GLOBAL = ROOT + "global"
EPOCH = ROOT + "epoch"
TENANTS = ROOT + "tenant/"
NETWORKS = ROOT + "network/"
GROUPS = ROOT + "group/"
GROUP_IDS = ROOT + "group-id/"
POLICIES = ROOT + "policy/"
RULES = ROOT + "rule/"
NET_PROFILES = ROOT + "netprofile/"
SERVICES = ROOT + "service/"
APP_PROFILES = ROOT + "app-profile/"
BGPS = ROOT + "bgp/"
ENDPOINTS = ROOT + "endpoint/"
ADDRESSES = ROOT + "address/"
NODES = ROOT + "node/"
CONTACTS = "/isthmus/v1-contact/"  # not below ROOT: what every node writes again and again must wake nobody


def key_of(record: Record) -> str:
    """Where a record lives."""
    return _KEY_OF[type(record)](record)


def tenant_key(name: TenantName) -> str:
    """The key of a tenant."""
    return TENANTS + name


def networks_of(tenant: TenantName) -> str:
    """The prefix of a tenant's networks."""
    return f"{NETWORKS}{tenant}/"


def network_key(key: NetworkKey) -> str:
    """The key of a network."""
    return networks_of(key.tenant) + key.name


def scoped(prefix: str, tenant: TenantName) -> str:
    """The prefix of a tenant's objects of one kind, `prefix` being that of the kind: GROUPS, POLICIES, ..."""
    return f"{prefix}{tenant}/"


def group_key(key: GroupKey) -> str:
    """The key of an endpoint group."""
    return scoped(GROUPS, key.tenant) + key.name


def group_id_key(number: GroupId) -> str:
    """The key that makes a group's id unique."""
    return f"{GROUP_IDS}{number}"


def policy_key(key: PolicyKey) -> str:
    """The key of a policy."""
    return scoped(POLICIES, key.tenant) + key.name


def rules_of(key: PolicyKey) -> str:
    """The prefix of a policy's rules."""
    return f"{scoped(RULES, key.tenant)}{key.name}/"


def rule_key(key: RuleKey) -> str:
    """The key of a rule."""
    return rules_of(key.policy) + key.id


def net_profile_key(key: ProfileKey) -> str:
    """The key of a net profile."""
    return scoped(NET_PROFILES, key.tenant) + key.name


def service_key(key: ServiceKey) -> str:
    """The key of a service."""
    return scoped(SERVICES, key.tenant) + key.name


def app_profile_key(key: AppProfileKey) -> str:
    """The key of an app profile."""
    return scoped(APP_PROFILES, key.tenant) + key.name


def bgp_key(node: NodeName) -> str:
    """The key of a node's router."""
    return BGPS + node


def tags_of(encap: Encap) -> str:
    """The prefix of the tags in use: VNIs, or VLAN ids."""
    return ROOT + ("vni/" if encap is Encap.VXLAN else "vlan/")


def tag_key(encap: Encap, tag: Tag) -> str:
    """The key that makes a tag unique."""
    return f"{tags_of(encap)}{tag}"


def endpoints_of(key: NetworkKey) -> str:
    """The prefix of a network's endpoints."""
    return f"{ENDPOINTS}{key.tenant}/{key.name}/"


def addresses_of(key: NetworkKey) -> str:
    """The prefix of a network's held addresses."""
    return f"{ADDRESSES}{key.tenant}/{key.name}/"


def address_key(key: NetworkKey, address: Address) -> str:
    """The key that makes an address unique in its network."""
    return addresses_of(key) + str(address)


def cursor_key(key: NetworkKey, group: GroupName | None = None) -> str:
    """The key of a network's allocation cursor, or of a group's with a pool; the word cannot be an address."""
    return addresses_of(key) + ("last" if group is None else f"last/{group}")


def node_key(name: NodeName) -> str:
    """The key of a node's own report."""
    return NODES + name


def lease_key(name: NodeName) -> str:
    """The key that says a node's agent is alive."""
    return f"{NODES}{name}/lease"


def contact_key(name: NodeName) -> str:
    """The key that says when a node's agent was last heard of."""
    return CONTACTS + name


def render(record: Record) -> bytes:
    """A record's value."""
    fields = _ADAPTERS[type(record)].dump_python(record, mode="json")
    return json.dumps({"schema": SCHEMA, **fields}, separators=(",", ":")).encode()


def parse(key: str, value: bytes) -> Record | None:
    """The record behind a key; None where the key is not one of ours (a later version's, say).

    Raises:
        UnreadableRecordError: the value is not what this version writes there.
    """
    kind = _kind_of(key)
    if kind is None:
        return None
    try:
        record: Record = _ADAPTERS[kind].validate_json(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"])) or "value"
        raise UnreadableRecordError(f"record {key} cannot be read: {where}: {first['msg']}") from error
    return record


_KEY_OF: dict[type, Callable[[Any], str]] = {
    Settings: lambda _: GLOBAL,
    Tenant: lambda record: tenant_key(record.name),
    Network: lambda record: network_key(record.key),
    TagOwner: lambda record: tag_key(record.encap, record.tag),
    EndpointGroup: lambda record: group_key(record.key),
    GroupIdOwner: lambda record: group_id_key(record.id),
    Policy: lambda record: policy_key(record.key),
    Rule: lambda record: rule_key(record.key),
    NetProfile: lambda record: net_profile_key(record.key),
    Service: lambda record: service_key(record.key),
    AppProfile: lambda record: app_profile_key(record.key),
    Bgp: lambda record: bgp_key(record.node),
    Endpoint: lambda record: endpoints_of(record.network) + record.id,
    AddressClaim: lambda record: address_key(record.network, record.address),
    AllocationCursor: lambda record: cursor_key(record.network, record.group),
    Node: lambda record: node_key(record.name),
    NodeLease: lambda record: lease_key(record.name),
    NodeContact: lambda record: contact_key(record.name),
    Epoch: lambda _: EPOCH,
}


@dataclass(frozen=True, slots=True)
class _Row:
    prefix: str
    depth: int  # how many path segments follow the prefix
    kind: type[Any]
    fits: Callable[[str], bool] = lambda _rest: True


_ROWS = (
    _Row(GLOBAL, 0, Settings),
    _Row(EPOCH, 0, Epoch),
    _Row(TENANTS, 1, Tenant),
    _Row(NETWORKS, 2, Network),
    _Row(tags_of(Encap.VXLAN), 1, TagOwner),
    _Row(tags_of(Encap.VLAN), 1, TagOwner),
    _Row(GROUPS, 2, EndpointGroup),
    _Row(GROUP_IDS, 1, GroupIdOwner),
    _Row(POLICIES, 2, Policy),
    _Row(RULES, 3, Rule),
    _Row(NET_PROFILES, 2, NetProfile),
    _Row(SERVICES, 2, Service),
    _Row(APP_PROFILES, 2, AppProfile),
    _Row(BGPS, 1, Bgp),
    _Row(ENDPOINTS, 3, Endpoint),
    _Row(ADDRESSES, 3, AllocationCursor, lambda rest: rest.endswith("/last")),
    _Row(ADDRESSES, 3, AddressClaim),
    _Row(ADDRESSES, 4, AllocationCursor, lambda rest: rest.split("/")[2] == "last"),
    _Row(NODES, 1, Node),
    _Row(NODES, 2, NodeLease, lambda rest: rest.endswith("/lease")),
    _Row(CONTACTS, 1, NodeContact),
)


def _kind_of(key: str) -> type[Any] | None:
    for row in _ROWS:
        rest = key.removeprefix(row.prefix)
        depth = rest.count("/") + 1 if rest else 0
        if key.startswith(row.prefix) and depth == row.depth and row.fits(rest):
            return row.kind
    return None


KINDS: tuple[type, ...] = tuple(_KEY_OF)
"""Every kind of record."""

_ADAPTERS: dict[type, TypeAdapter[Any]] = {kind: TypeAdapter(kind) for kind in KINDS}
