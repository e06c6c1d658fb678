"""What each wish must read: the objects that decide over it, and those that nobody may write meanwhile."""

from functools import partial

from isthmus.core.admit.groups import GroupRequest, admit_group, admit_group_removal
from isthmus.core.admit.groups import references as references_of_group
from isthmus.core.admit.leftovers import admit_endpoint_removal, admit_node_removal
from isthmus.core.admit.networks import NetworkRequest, admit_network, admit_network_removal
from isthmus.core.admit.policies import admit_policy, admit_policy_removal, admit_rule, admit_rule_removal
from isthmus.core.admit.policies import references as references_of_rule
from isthmus.core.admit.profiles import (
    admit_app_profile,
    admit_app_profile_removal,
    admit_net_profile,
    admit_net_profile_removal,
)
from isthmus.core.admit.services import (
    ServiceRequest,
    admit_bgp,
    admit_bgp_removal,
    admit_service,
    admit_service_removal,
)
from isthmus.core.admit.settings import SettingsRequest, admit_settings
from isthmus.core.admit.tenants import admit_tenant, admit_tenant_removal
from isthmus.core.model import (
    AppProfile,
    AppProfileKey,
    Bgp,
    Encap,
    Endpoint,
    EndpointGroup,
    GroupKey,
    GroupName,
    NetProfile,
    Network,
    NetworkKey,
    NetworkName,
    Node,
    NodeName,
    Policy,
    PolicyKey,
    ProfileKey,
    Rule,
    RuleKey,
    Service,
    ServiceKey,
    Settings,
    Tenant,
    TenantName,
)
from isthmus.netmaster.plans import Wish
from isthmus.wire import keys

_TAGS = tuple(keys.tags_of(encap) for encap in Encap)
_OF_TENANTS = (
    keys.NETWORKS,
    keys.GROUPS,
    keys.POLICIES,
    keys.NET_PROFILES,
    keys.SERVICES,
    keys.APP_PROFILES,
)


def tenant_creation(request: Tenant) -> Wish[Tenant]:
    """A tenant that shall be there."""
    return Wish(keys.tenant_key(request.name), partial(admit_tenant, request))


def tenant_removal(name: TenantName) -> Wish[Tenant]:
    """A tenant that shall go."""
    return Wish(keys.tenant_key(name), partial(admit_tenant_removal, name), prefixes=_own(name, *_OF_TENANTS))


def network_creation(request: NetworkRequest) -> Wish[Network]:
    """A network that shall be there, its tag chosen."""
    tenant = request.key.tenant
    namesake = keys.group_key(GroupKey(tenant, GroupName(request.key.name)))
    gateways = (keys.address_key(request.key, each) for each in (request.gateway, request.gateway_v6) if each)
    return Wish(
        keys.network_key(request.key),
        partial(admit_network, request),
        keys=(keys.tenant_key(tenant), keys.GLOBAL, namesake, *gateways),
        prefixes=_own(tenant, keys.NETWORKS),
        glanced=(keys.tags_of(request.encap),),
    )


def network_removal(key: NetworkKey) -> Wish[Network]:
    """A network that shall go, with its tag and its addresses."""
    return Wish(
        keys.network_key(key),
        partial(admit_network_removal, key),
        prefixes=(*_own(key.tenant, keys.GROUPS, keys.SERVICES, keys.RULES), keys.endpoints_of(key)),
        clears=(keys.addresses_of(key),),
    )


def group_creation(request: GroupRequest) -> Wish[EndpointGroup]:
    """A group that shall be there as said, its id chosen; a pool must not be taken by others meanwhile."""
    tenant = request.key.tenant
    network = NetworkKey(tenant, request.network)
    named = (
        keys.policy_key(key) if isinstance(key, PolicyKey) else keys.net_profile_key(key)
        for key in references_of_group(request)
    )
    namesake = keys.network_key(NetworkKey(tenant, NetworkName(request.key.name)))
    has_pool = request.pool is not None or request.pool_v6 is not None
    return Wish(
        keys.group_key(request.key),
        partial(admit_group, request),
        keys=(keys.tenant_key(tenant), keys.network_key(network), namesake, *named),
        prefixes=(*_own(tenant, keys.GROUPS), keys.addresses_of(network)) if has_pool else (),
        glanced=(keys.GROUP_IDS,),
    )


def group_removal(key: GroupKey) -> Wish[EndpointGroup]:
    """A group that shall go. Its network is not known yet, so the endpoints of the whole tenant are read."""
    kinds = (keys.APP_PROFILES, keys.RULES, keys.ENDPOINTS)
    return Wish(keys.group_key(key), partial(admit_group_removal, key), prefixes=_own(key.tenant, *kinds))


def policy_creation(request: Policy) -> Wish[Policy]:
    """A policy that shall be there."""
    tenant = keys.tenant_key(request.key.tenant)
    return Wish(keys.policy_key(request.key), partial(admit_policy, request), keys=(tenant,))


def policy_removal(key: PolicyKey) -> Wish[Policy]:
    """A policy that shall go, with its rules."""
    return Wish(
        keys.policy_key(key),
        partial(admit_policy_removal, key),
        prefixes=_own(key.tenant, keys.GROUPS),
        clears=(keys.rules_of(key),),
    )


def rule_creation(request: Rule) -> Wish[Rule]:
    """A rule that shall be there."""
    tenant = request.key.policy.tenant
    named = (
        keys.group_key(key) if isinstance(key, GroupKey) else keys.network_key(key)
        for key in references_of_rule(request)
    )
    is_own = request.own_addresses is not None
    return Wish(
        keys.rule_key(request.key),
        partial(admit_rule, request),
        keys=(keys.policy_key(request.key.policy), *named),
        prefixes=_own(tenant, keys.GROUPS) if is_own else (),
        glanced=_own(tenant, keys.ENDPOINTS) if is_own else (),
    )


def rule_removal(key: RuleKey) -> Wish[Rule]:
    """A rule that shall go."""
    return Wish(keys.rule_key(key), partial(admit_rule_removal, key))


def net_profile_creation(request: NetProfile) -> Wish[NetProfile]:
    """A net profile that shall be there as said."""
    tenant = keys.tenant_key(request.key.tenant)
    return Wish(keys.net_profile_key(request.key), partial(admit_net_profile, request), keys=(tenant,))


def net_profile_removal(key: ProfileKey) -> Wish[NetProfile]:
    """A net profile that shall go."""
    groups = _own(key.tenant, keys.GROUPS)
    return Wish(keys.net_profile_key(key), partial(admit_net_profile_removal, key), prefixes=groups)


def service_creation(request: ServiceRequest) -> Wish[Service]:
    """A service that shall be there as said, its address chosen, which must not become a group's meanwhile."""
    tenant = request.key.tenant
    return Wish(
        keys.service_key(request.key),
        partial(admit_service, request),
        keys=(keys.tenant_key(tenant), keys.network_key(request.network_key)),
        prefixes=_own(tenant, keys.GROUPS),
        glanced=(keys.addresses_of(request.network_key),),
    )


def service_removal(key: ServiceKey) -> Wish[Service]:
    """A service that shall go, with its address."""
    return Wish(keys.service_key(key), partial(admit_service_removal, key))


def app_profile_creation(request: AppProfile) -> Wish[AppProfile]:
    """An app profile that shall be there as said."""
    tenant = request.key.tenant
    groups = (keys.group_key(GroupKey(tenant, name)) for name in request.groups)
    return Wish(
        keys.app_profile_key(request.key),
        partial(admit_app_profile, request),
        keys=(keys.tenant_key(tenant), *groups),
    )


def app_profile_removal(key: AppProfileKey) -> Wish[AppProfile]:
    """An app profile that shall go."""
    return Wish(keys.app_profile_key(key), partial(admit_app_profile_removal, key))


def bgp_creation(request: Bgp) -> Wish[Bgp]:
    """A router that shall be there as said."""
    return Wish(keys.bgp_key(request.node), partial(admit_bgp, request), keys=(keys.GLOBAL,))


def bgp_removal(node: NodeName) -> Wish[Bgp]:
    """A router that shall go."""
    return Wish(keys.bgp_key(node), partial(admit_bgp_removal, node))


def settings_change(request: SettingsRequest) -> Wish[Settings]:
    """Settings that shall be as said."""
    return Wish(keys.GLOBAL, partial(admit_settings, request), prefixes=(*_TAGS, keys.BGPS))


def endpoint_removal(endpoint: Endpoint, *, is_forced: bool) -> Wish[Endpoint]:
    """An endpoint that shall go by an operator's word, with its addresses."""
    claims = (keys.address_key(endpoint.network, each) for each in endpoint.addresses)
    return Wish(
        keys.key_of(endpoint),
        partial(admit_endpoint_removal, endpoint, is_forced=is_forced),
        keys=(keys.lease_key(endpoint.node), *claims),
    )


def node_removal(name: NodeName) -> Wish[Node]:
    """A node that shall go, without endpoints by now."""
    return Wish(
        keys.node_key(name),
        partial(admit_node_removal, name),
        keys=(keys.lease_key(name), keys.contact_key(name)),
        prefixes=(keys.ENDPOINTS,),
    )


def _own(tenant: TenantName, *kinds: str) -> tuple[str, ...]:
    return tuple(keys.scoped(kind, tenant) for kind in kinds)
