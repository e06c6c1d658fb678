"""The world to the state of its objects, as inspect shows it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from isthmus.core.datapath import host_link_name
from isthmus.core.ipam import allocated_text, group_allocated_text
from isthmus.core.model import (
    AppProfile,
    Bgp,
    Encap,
    Endpoint,
    EndpointGroup,
    EngineState,
    GroupKey,
    NetProfile,
    Network,
    NetworkKey,
    Node,
    Policy,
    PolicyName,
    Rule,
    ScopedKey,
    Service,
    Settings,
    Tenant,
)
from isthmus.core.tags import tags_text
from isthmus.core.world import World
from isthmus.wire.rest.bodies import EndpointBody
from isthmus.wire.rest.places import Place, in_order, members_of, place_of, places_of
from isthmus.wire.rest.states import (
    AppProfileOper,
    EndpointGroupOper,
    Enforcement,
    GlobalOper,
    NetworkOper,
    NodeStateOper,
    PolicyOper,
    ServiceLBOper,
    TenantOper,
)

_K = TypeVar("_K", bound=ScopedKey)
_V = TypeVar("_V")

_NOT_YET = "accepted, but not enforced: this version has no"
NO_ENGINE = "its container engine does not answer"
UNREACHABLE = "unreachable: its netplugin does not run, or cannot reach etcd"


def network_oper(network: Network, world: World) -> NetworkOper:
    """A network's state, but for what each host makes of it."""
    return _network_oper(network, place_of(network.key, world))


def _network_oper(network: Network, place: Place) -> NetworkOper:
    return NetworkOper(
        allocatedAddressesCount=len(place.held),
        allocatedIPAddresses=allocated_text(network, place.held, place.groups),
        availableIPAddresses=place.available,
        endpoints=_bodies(place.endpoints, place.world),
        externalPktTag=network.tag,
        networkTag=network.label or _dotted(network.key),
        numEndpoints=len(place.endpoints),
        pktTag=network.tag,
    )


def group_oper(group: EndpointGroup, world: World) -> EndpointGroupOper:
    """A group's state, but for what each host makes of it; also where its network is lost."""
    return _group_oper(group, place_of(group.network_key, world))


def _group_oper(group: EndpointGroup, place: Place) -> EndpointGroupOper:
    endpoints = place.members(group)
    tag = place.network.tag if place.network else 0
    missing = [word for word, has in (("policies", group.policies), ("net profiles", group.net_profile)) if has]
    return EndpointGroupOper(
        allocatedIPAddresses=group_allocated_text(group, place.held_in(group.pool), endpoints),
        availableIPAddresses=place.available_to(group),
        endpoints=_bodies(endpoints, place.world),
        enforced=not missing,
        externalPktTag=tag,
        groupId=group.id,
        groupTag=group.label or _dotted(group.key),
        note=f"{' and '.join(missing)}: {_NOT_YET} such" if missing else "",
        numEndpoints=len(endpoints),
        pktTag=tag,
    )


def policy_oper(policy: Policy, world: World) -> PolicyOper:
    """A policy's state: whom it is about."""
    key = policy.key
    groups = (each for each in world.groups.values() if each.key.tenant == key.tenant and key.name in each.policies)
    return _policy_oper(members_of(groups, world), world)


def _policy_oper(endpoints: Sequence[Endpoint], world: World) -> PolicyOper:
    note = f"{_NOT_YET} policy enforcement"
    return PolicyOper(endpoints=_bodies(endpoints, world), note=note, numEndpoints=len(endpoints))


def rule_oper(_rule: Rule, _world: World) -> Enforcement:
    """A rule's state."""
    return Enforcement(note=f"{_NOT_YET} policy enforcement")


def net_profile_oper(_profile: NetProfile, _world: World) -> Enforcement:
    """A net profile's state."""
    return Enforcement(note=f"{_NOT_YET} bandwidth limits")


def service_oper(service: Service, _world: World) -> ServiceLBOper:
    """A service's state."""
    return ServiceLBOper(note=f"{_NOT_YET} service balancing", serviceVip=str(service.vip))


def bgp_oper(_bgp: Bgp, _world: World) -> Enforcement:
    """A router's state."""
    return Enforcement(note=f"{_NOT_YET} BGP")


def app_profile_oper(profile: AppProfile, world: World) -> AppProfileOper:
    """An app profile's state: the containers of its groups."""
    keys = [GroupKey(profile.key.tenant, name) for name in profile.groups]
    endpoints = members_of((world.groups[key] for key in keys if key in world.groups), world)
    return AppProfileOper(endpoints=_bodies(endpoints, world), numEndpoints=len(endpoints))


def tenant_oper(tenant: Tenant, world: World) -> TenantOper:
    """A tenant's state: all that it has."""

    def own(index: Mapping[_K, _V]) -> list[_V]:
        return [index[key] for key in sorted(index) if key.tenant == tenant.name]

    groups = own(world.groups)
    places = places_of((each.key for each in own(world.networks)), groups, world)
    networks = [_network_oper(each, places[each.key]) for each in own(world.networks)]
    endpoints = [endpoint for network in networks for endpoint in network.endpoints]
    return TenantOper(
        totalAppProfiles=len(own(world.app_profiles)),
        totalEPGs=len(groups),
        totalEndpoints=len(endpoints),
        totalNetprofiles=len(own(world.net_profiles)),
        totalNetworks=len(networks),
        totalPolicies=len(own(world.policies)),
        totalServicelbs=len(own(world.services)),
        endpointGroups=[_group_oper(each, places[each.network_key]) for each in groups],
        endpoints=endpoints,
        networks=networks,
        policies=[_policy_oper(each, world) for each in _by_policy(own(world.policies), groups, places)],
        servicelbs=[service_oper(each, world) for each in own(world.services)],
    )


def _by_policy(
    policies: Iterable[Policy], groups: Iterable[EndpointGroup], places: Mapping[NetworkKey, Place]
) -> Iterator[list[Endpoint]]:
    """Of each policy the endpoints that it is about."""
    users: dict[PolicyName, list[EndpointGroup]] = {}
    for group in groups:
        for name in group.policies:
            users.setdefault(name, []).append(group)
    for policy in policies:
        own = users.get(policy.key.name, ())
        yield in_order(each for group in own for each in places[group.network_key].members(group))


def global_oper(settings: Settings, world: World) -> GlobalOper:
    """The cluster's state: how many networks there are, and which tags they hold."""
    vlans, vnis = world.tags(Encap.VLAN), world.tags(Encap.VXLAN)
    free = (tag for tag in range(settings.vnis.first, settings.vnis.last + 1) if tag not in vnis)
    return GlobalOper(
        freeVXLANsStart=next(free, 0),
        numNetworks=len(world.networks),
        vlansInUse=tags_text(vlans),
        vxlansInUse=tags_text(vnis),
    )


def node_oper(node: Node, world: World) -> NodeStateOper:
    """A node's state; in sync is one that is alive, has an engine and no problem."""
    everyone = (each for population in world.populations.values() for each in population.endpoints.values())
    endpoints = in_order(each for each in everyone if each.node == node.name)
    problems = node_problems(node, world)
    return NodeStateOper(
        appliedRevision=node.applied_revision,
        salvage=node.salvage,
        endpoints=_bodies(endpoints, world),
        inSync=not problems,
        numEndpoints=len(endpoints),
        problems=problems,
    )


def node_problems(node: Node, world: World) -> list[str]:
    """The reasons why a node is not in sync, the most important one first."""
    if node.name not in world.leases:
        return [UNREACHABLE]
    own = [] if node.engine is EngineState.READY else [NO_ENGINE]
    return own + [f"{title}: {text}" for title, text in sorted(node.problems.items())]


def endpoint_body(endpoint: Endpoint, world: World) -> EndpointBody:
    """An endpoint, as its agent committed it."""
    vtep = world.vtep(endpoint.node)
    group = world.groups.get(GroupKey(endpoint.network.tenant, endpoint.group)) if endpoint.group else None
    return EndpointBody(
        containerID=endpoint.container_id or "",
        containerName=endpoint.container,
        endpointGroupId=group.id if group else 0,
        endpointGroupKey=f"{endpoint.group}:{endpoint.network.tenant}" if endpoint.group else "",
        endpointID=endpoint.id,
        homingHost=endpoint.node,
        intfName=host_link_name(endpoint.id),
        ipAddress=[str(address) for address in endpoint.addresses],
        macAddress=endpoint.mac,
        network=_dotted(endpoint.network),
        networkName=endpoint.network.name,
        serviceName=endpoint.group or "",
        tenantName=endpoint.network.tenant,
        vtepIP=str(vtep) if vtep else "",
    )


def _bodies(endpoints: Iterable[Endpoint], world: World) -> list[EndpointBody]:
    return [endpoint_body(each, world) for each in endpoints]


def _dotted(key: NetworkKey | GroupKey) -> str:
    return f"{key.name}.{key.tenant}"
