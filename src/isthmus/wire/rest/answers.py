"""Records to the JSON objects that answers show, with links to the objects around them.

Zero values are left out of answers.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel

from isthmus.core.model import (
    Address,
    AppProfile,
    Bgp,
    Direction,
    EndpointGroup,
    GroupKey,
    NetProfile,
    Network,
    Node,
    NodeContact,
    Policy,
    PolicyKey,
    ProfileKey,
    Rule,
    Service,
    Settings,
    Span,
    Tenant,
    TenantName,
)
from isthmus.wire.rest.bodies import (
    AppProfileBody,
    BgpBody,
    EndpointGroupBody,
    GlobalBody,
    Link,
    NetprofileBody,
    NetworkBody,
    NodeBody,
    PolicyBody,
    RuleBody,
    ServiceLBBody,
    TenantBody,
)
from isthmus.wire.rest.opers import node_problems
from isthmus.wire.rest.requests import GLOBAL_KEY
from isthmus.wire.rest.view import View

Json = Mapping[str, Any]  # an object of JSON's: texts, numbers, booleans, arrays and objects
Links = dict[str, Link]
LinkSets = dict[str, dict[str, Link]]

_TYPE = {  # of the objects in a link set
    "AppProfiles": "appProfile",
    "EndpointGroups": "endpointGroup",
    "MatchRules": "rule",
    "NetProfiles": "netprofile",
    "Networks": "network",
    "Policies": "policy",
    "Rules": "rule",
    "Servicelbs": "serviceLB",
}
_LINK_FIELDS = ("link-sets", "links")


def tenant_body(tenant: Tenant, view: View) -> TenantBody:
    """A tenant, linked to all that it has."""
    return TenantBody(
        key=tenant.name,
        tenantName=tenant.name,
        defaultNetwork=tenant.default_network,
        link_sets=_sets(view.naming(tenant.name)),
    )


def network_body(network: Network, view: View) -> NetworkBody:
    """A network: with the tag that was asked for, not the one in force."""
    return NetworkBody(
        key=str(network.key),
        tenantName=network.key.tenant,
        networkName=network.key.name,
        nwType=network.nw_type,
        encap=network.encap,
        pktTag=network.configured_tag,
        subnet=network.subnet.text,
        gateway=_text(network.gateway),
        ipv6Subnet=network.subnet_v6.text if network.subnet_v6 else "",
        ipv6Gateway=_text(network.gateway_v6),
        cfgdTag=network.label,
        multicast="" if network.is_flooding else "drop",
        link_sets=_sets(view.naming(network.key)),
        links=_tenant_link(network.key.tenant),
    )


def group_body(group: EndpointGroup, view: View) -> EndpointGroupBody:
    """An endpoint group."""
    tenant = group.key.tenant
    named_by = view.naming(group.key)
    profiles = named_by.get("AppProfiles", ())
    links = _tenant_link(tenant) | {"Network": Link(type="network", key=str(group.network_key))}
    if profiles:
        links["AppProfile"] = Link(type="appProfile", key=str(min(profiles)))
    if group.net_profile:
        links["NetProfile"] = Link(type="netprofile", key=str(ProfileKey(tenant, group.net_profile)))
    return EndpointGroupBody(
        key=str(group.key),
        tenantName=tenant,
        groupName=group.key.name,
        networkName=group.network,
        cfgdTag=group.label,
        ipPool=_span(group.pool),
        ipv6Pool=_span(group.pool_v6),
        netProfile=group.net_profile or "",
        policies=list(group.policies),
        link_sets=_sets(
            {
                "MatchRules": named_by.get("MatchRules", ()),
                "Policies": [PolicyKey(tenant, name) for name in group.policies],
            }
        ),
        links=links,
    )


def policy_body(policy: Policy, view: View) -> PolicyBody:
    """A policy."""
    key = policy.key
    return PolicyBody(
        key=str(key),
        tenantName=key.tenant,
        policyName=key.name,
        link_sets=_sets(view.naming(key)),
        links=_tenant_link(key.tenant),
    )


def rule_body(rule: Rule, _view: View) -> RuleBody:
    """A rule, its peer under from... or to... as its direction says."""
    policy = rule.key.policy
    group, network, span = rule.peer_group or "", rule.peer_network or "", _span(rule.peer_addresses)
    is_in = rule.direction is Direction.IN
    peer = _peer_group(rule)
    return RuleBody(
        key=str(rule.key),
        tenantName=policy.tenant,
        policyName=policy.name,
        ruleId=rule.key.id,
        action=rule.action,
        direction=rule.direction,
        fromEndpointGroup=group if is_in else "",
        fromIpAddress=span if is_in else "",
        fromNetwork=network if is_in else "",
        port=rule.port,
        priority=rule.priority,
        protocol=rule.protocol,
        toEndpointGroup="" if is_in else group,
        toIpAddress=_span(rule.own_addresses) if is_in else span,
        toNetwork="" if is_in else network,
        link_sets=_sets({"Policies": [policy]}),
        links={"MatchEndpointGroup": Link(type="endpointGroup", key=str(peer))} if peer else {},
    )


def _peer_group(rule: Rule) -> GroupKey | None:
    return GroupKey(rule.key.policy.tenant, rule.peer_group) if rule.peer_group else None


def net_profile_body(profile: NetProfile, view: View) -> NetprofileBody:
    """A net profile."""
    key = profile.key
    return NetprofileBody(
        key=str(key),
        tenantName=key.tenant,
        profileName=key.name,
        DSCP=profile.dscp,
        bandwidth=profile.bandwidth,
        burst=profile.burst_kilobytes,
        link_sets=_sets(view.naming(key)),
        links=_tenant_link(key.tenant),
    )


def service_body(service: Service, _view: View) -> ServiceLBBody:
    """A service: with the address that was asked for, not the one in force."""
    return ServiceLBBody(
        key=str(service.key),
        tenantName=service.key.tenant,
        serviceName=service.key.name,
        networkName=service.network,
        ipAddress=_text(service.wished_vip),
        ports=list(map(str, service.ports)),
        selectors=list(service.selectors),
        links=_tenant_link(service.key.tenant) | {"Network": Link(type="network", key=str(service.network_key))},
    )


def bgp_body(bgp: Bgp, _view: View) -> BgpBody:
    """A node's router."""
    return BgpBody(
        key=bgp.node,
        hostname=bgp.node,
        as_number=bgp.as_number,
        neighbor=_text(bgp.neighbor),
        neighbor_as=bgp.neighbor_as,
        routerip=str(bgp.router),
    )


def app_profile_body(profile: AppProfile, _view: View) -> AppProfileBody:
    """An app profile."""
    key = profile.key
    return AppProfileBody(
        key=str(key),
        tenantName=key.tenant,
        appProfileName=key.name,
        endpointGroups=list(profile.groups),
        link_sets=_sets({"EndpointGroups": [GroupKey(key.tenant, name) for name in profile.groups]}),
        links=_tenant_link(key.tenant),
    )


def global_body(settings: Settings, _view: View) -> GlobalBody:
    """The cluster's settings."""
    return GlobalBody(
        key=GLOBAL_KEY,
        arpMode=settings.arp_mode,
        fwdMode=settings.forward_mode,
        networkInfraType="default",
        pvtSubnet=str(settings.private_subnet),
        vlans=str(settings.vlans),
        vxlans=str(settings.vnis),
    )


def node_body(node: Node, view: View) -> NodeBody:
    """A node, as it reported itself."""
    problems = node_problems(node, view.world)
    return NodeBody(
        key=node.name,
        name=node.name,
        address=_text(node.vtep),
        appliedRevision=node.applied_revision,
        engine=node.engine,
        engineVersion=node.engine_version,
        inSync=not problems,
        isAlive=node.name in view.world.leases,
        lastContact=_moment(view.world.contacts.get(node.name)),
        problem=problems[0] if problems else "",
        version=node.version,
    )


def _moment(contact: NodeContact | None) -> str:
    return f"{datetime.fromtimestamp(contact.at_s, UTC):%Y-%m-%dT%H:%M:%SZ}" if contact else ""


def render(shown: BaseModel) -> Json:
    """A model's JSON: zero values left out at every depth, `key` first, links last and always there."""
    return _pruned(shown.model_dump(mode="json", by_alias=True))


def _pruned(value: dict[str, Any]) -> dict[str, Any]:
    body = {name: _pruned_value(each) for name, each in value.items() if each or each is False}
    if "link-sets" in value:
        for name in _LINK_FIELDS:
            body[name] = body.pop(name, {})
    return body


def _pruned_value(value: object) -> object:
    if isinstance(value, dict):
        return _pruned(value)
    return [_pruned_value(each) for each in value] if isinstance(value, list) else value


def _sets(targets: Mapping[str, Iterable[object]]) -> LinkSets:
    """{set's name: {key: link}}, sorted by key; sets of nothing are left out."""
    named = {name: sorted(map(str, found)) for name, found in targets.items()}
    return {name: {key: Link(type=_TYPE[name], key=key) for key in found} for name, found in named.items() if found}


def _tenant_link(tenant: TenantName) -> Links:
    return {"Tenant": Link(type="tenant", key=tenant)}


def _span(span: Span | None) -> str:
    return span.text if span else ""


def _text(address: Address | None) -> str:
    return "" if address is None else str(address)
