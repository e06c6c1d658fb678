"""The kinds of objects as a table: what each is called, how it is read, written, shown and removed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from pydantic import BaseModel

from isthmus.core.model import AppProfileKey, Encap, GroupKey, NodeName, PolicyKey, ProfileKey, ServiceKey, TenantName
from isthmus.core.world import World
from isthmus.netmaster import wishes
from isthmus.netmaster.plans import Wish
from isthmus.wire import keys
from isthmus.wire.rest import answers, bodies, opers, requests, states
from isthmus.wire.rest.view import View

_K = TypeVar("_K")
_R = TypeVar("_R")


@dataclass(frozen=True, slots=True)
class Kind(Generic[_K, _R]):
    """One kind of object: `_K` is its key, `_R` its record.

    `prefix` is where they stand in etcd, and `place` where one does; `links` are the prefixes of the kinds that an
    answer links to, `state` those that its state is made of besides, and `narrowed` says which part of a prefix is one
    object's, where it is less than its tenant's. `create` is None where the API does not write such objects, and so is
    `remove`. `title` is under what name nodes report a problem with it: with one, a change waits for the nodes.
    `key_form` is the pattern of a key in a URL.
    """

    collection: str
    noun: str
    body: type[BaseModel]
    inspection: type[BaseModel]
    parse_key: Callable[[str], _K]
    place: Callable[[_K], str]
    index: Callable[[World], Mapping[_K, _R]]
    show: Callable[[_R, View], BaseModel]
    state_of: Callable[[_R, World], BaseModel]
    prefix: str
    create: Callable[[bytes, str], Wish[_R]] | None = None
    remove: Callable[[_K], Wish[_R]] | None = None
    links: tuple[str, ...] = ()
    state: tuple[str, ...] = ()
    tenant_of: Callable[[_K], TenantName] | None = lambda key: key.tenant  # type: ignore[attr-defined]  # most keys
    title: Callable[[_K], str] | None = None
    narrowed: Mapping[str, Callable[[_K], str]] = field(default_factory=dict)
    key_form: str = "^[^:]+:[^:]+$"

    def around(self, prefixes: tuple[str, ...], key: _K) -> tuple[str, ...]:
        """Of these kinds' prefixes what belongs to `key` or its tenant; all of it, where `key` is of no tenant."""
        return tuple(self._part(each, key) for each in prefixes)

    def _part(self, prefix: str, key: _K) -> str:
        if prefix in self.narrowed:
            return self.narrowed[prefix](key)
        tenant = self.tenant_of(key) if self.tenant_of else None
        return keys.scoped(prefix, tenant) if tenant and prefix in _SCOPED else prefix


_SCOPED = frozenset(
    (
        keys.NETWORKS,
        keys.GROUPS,
        keys.POLICIES,
        keys.RULES,
        keys.NET_PROFILES,
        keys.SERVICES,
        keys.APP_PROFILES,
        keys.ENDPOINTS,
        keys.ADDRESSES,
    )
)
_POPULATION = (keys.ENDPOINTS, keys.ADDRESSES, keys.NODES)
_ONE_NAME = "^[^:]+$"
_TAGS = tuple(keys.tags_of(encap) for encap in Encap)


TENANTS = Kind(
    collection="tenants",
    noun="tenant",
    body=bodies.TenantBody,
    inspection=states.TenantInspection,
    parse_key=TenantName,
    place=keys.tenant_key,
    index=lambda world: world.tenants,
    show=answers.tenant_body,
    state_of=opers.tenant_oper,
    prefix=keys.TENANTS,
    create=lambda body, key: wishes.tenant_creation(requests.parse_tenant(body, key)),
    remove=wishes.tenant_removal,
    links=(
        keys.NETWORKS,
        keys.GROUPS,
        keys.POLICIES,
        keys.NET_PROFILES,
        keys.SERVICES,
        keys.APP_PROFILES,
    ),
    state=_POPULATION,
    tenant_of=lambda name: name,
    key_form=_ONE_NAME,
)
NETWORKS = Kind(
    collection="networks",
    noun="network",
    body=bodies.NetworkBody,
    inspection=states.NetworkInspection,
    parse_key=requests.parse_network_key,
    place=keys.network_key,
    index=lambda world: world.networks,
    show=answers.network_body,
    state_of=opers.network_oper,
    prefix=keys.NETWORKS,
    create=lambda body, key: wishes.network_creation(requests.parse_network(body, key)),
    remove=wishes.network_removal,
    links=(keys.GROUPS, keys.SERVICES),
    state=_POPULATION,
    title=lambda key: f"network {key}",
    narrowed={keys.ENDPOINTS: keys.endpoints_of, keys.ADDRESSES: keys.addresses_of},
)
GROUPS = Kind(
    collection="endpointGroups",
    noun="endpoint group",
    body=bodies.EndpointGroupBody,
    inspection=states.EndpointGroupInspection,
    parse_key=requests.scoped_key(GroupKey, "endpoint group"),
    place=keys.group_key,
    index=lambda world: world.groups,
    show=answers.group_body,
    state_of=opers.group_oper,
    prefix=keys.GROUPS,
    create=lambda body, key: wishes.group_creation(requests.parse_group(body, key)),
    remove=wishes.group_removal,
    links=(keys.RULES, keys.APP_PROFILES),
    state=(keys.NETWORKS, keys.GROUPS, *_POPULATION),
    title=lambda key: f"group {key}",
)
POLICIES = Kind(
    collection="policys",
    noun="policy",
    body=bodies.PolicyBody,
    inspection=states.PolicyInspection,
    parse_key=requests.scoped_key(PolicyKey, "policy"),
    place=keys.policy_key,
    index=lambda world: world.policies,
    show=answers.policy_body,
    state_of=opers.policy_oper,
    prefix=keys.POLICIES,
    create=lambda body, key: wishes.policy_creation(requests.parse_policy(body, key)),
    remove=wishes.policy_removal,
    links=(keys.GROUPS, keys.RULES),
    state=_POPULATION,
    narrowed={keys.RULES: keys.rules_of},
)
RULES = Kind(
    collection="rules",
    noun="rule",
    body=bodies.RuleBody,
    inspection=states.RuleInspection,
    parse_key=requests.parse_rule_key,
    place=keys.rule_key,
    index=lambda world: world.rules,
    show=answers.rule_body,
    state_of=opers.rule_oper,
    prefix=keys.RULES,
    create=lambda body, key: wishes.rule_creation(requests.parse_rule(body, key)),
    remove=wishes.rule_removal,
    tenant_of=lambda key: key.policy.tenant,
    key_form="^[^:]+:[^:]+:[^:]+$",
)
NET_PROFILES = Kind(
    collection="netprofiles",
    noun="net profile",
    body=bodies.NetprofileBody,
    inspection=states.NetprofileInspection,
    parse_key=requests.scoped_key(ProfileKey, "net profile"),
    place=keys.net_profile_key,
    index=lambda world: world.net_profiles,
    show=answers.net_profile_body,
    state_of=opers.net_profile_oper,
    prefix=keys.NET_PROFILES,
    create=lambda body, key: wishes.net_profile_creation(requests.parse_net_profile(body, key)),
    remove=wishes.net_profile_removal,
    links=(keys.GROUPS,),
)
SERVICES = Kind(
    collection="serviceLBs",
    noun="service",
    body=bodies.ServiceLBBody,
    inspection=states.ServiceLBInspection,
    parse_key=requests.scoped_key(ServiceKey, "service"),
    place=keys.service_key,
    index=lambda world: world.services,
    show=answers.service_body,
    state_of=opers.service_oper,
    prefix=keys.SERVICES,
    create=lambda body, key: wishes.service_creation(requests.parse_service(body, key)),
    remove=wishes.service_removal,
)
APP_PROFILES = Kind(
    collection="appProfiles",
    noun="app profile",
    body=bodies.AppProfileBody,
    inspection=states.AppProfileInspection,
    parse_key=requests.scoped_key(AppProfileKey, "app profile"),
    place=keys.app_profile_key,
    index=lambda world: world.app_profiles,
    show=answers.app_profile_body,
    state_of=opers.app_profile_oper,
    prefix=keys.APP_PROFILES,
    create=lambda body, key: wishes.app_profile_creation(requests.parse_app_profile(body, key)),
    remove=wishes.app_profile_removal,
    state=(keys.GROUPS, *_POPULATION),
)
BGPS = Kind(
    collection="Bgps",
    noun="BGP configuration",
    body=bodies.BgpBody,
    inspection=states.BgpInspection,
    parse_key=NodeName,
    place=keys.bgp_key,
    index=lambda world: world.bgps,
    show=answers.bgp_body,
    state_of=opers.bgp_oper,
    prefix=keys.BGPS,
    create=lambda body, key: wishes.bgp_creation(requests.parse_bgp(body, key)),
    remove=wishes.bgp_removal,
    tenant_of=None,
    key_form=_ONE_NAME,
)
GLOBALS = Kind(
    collection="globals",
    noun="global",
    body=bodies.GlobalBody,
    inspection=states.GlobalInspection,
    parse_key=str,
    place=lambda _key: keys.GLOBAL,
    index=lambda world: {requests.GLOBAL_KEY: world.settings},
    show=answers.global_body,
    state_of=opers.global_oper,
    prefix=keys.GLOBAL,
    create=lambda body, key: wishes.settings_change(requests.parse_settings(body, key)),
    state=(keys.NETWORKS, *_TAGS),
    tenant_of=None,
    key_form=f"^{requests.GLOBAL_KEY}$",
)
NODES = Kind(
    collection="nodes",
    noun="node",
    body=bodies.NodeBody,
    inspection=states.NodeInspection,
    parse_key=NodeName,
    place=keys.node_key,
    index=lambda world: world.nodes,
    show=answers.node_body,
    state_of=opers.node_oper,
    prefix=keys.NODES,
    remove=wishes.node_removal,
    links=(keys.NODES, keys.CONTACTS),
    state=(keys.ENDPOINTS,),
    tenant_of=None,
    key_form=_ONE_NAME,
)

KINDS: tuple[Kind[Any, Any], ...] = (
    TENANTS,
    NETWORKS,
    GROUPS,
    POLICIES,
    RULES,
    NET_PROFILES,
    SERVICES,
    APP_PROFILES,
    BGPS,
    GLOBALS,
    NODES,
)
"""Every kind, in the order in which its objects may be created: none names one that comes later, but for rules and
groups, which name each other's policies and groups."""
