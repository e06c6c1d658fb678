"""The world to the state of its objects, as inspect shows it."""

from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address
from typing import TypeVar

from isthmus.core.datapath import host_link_name
from isthmus.core.ipam import allocated_text, available_text, group_allocated_text, group_available_text
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
    Rule,
    ScopedKey,
    Service,
    Settings,
    Tenant,
)
from isthmus.core.tags import tags_text
from isthmus.core.world import World
from isthmus.wire.rest.bodies import EndpointBody
from isthmus.wire.rest.states import (
    AppProfileOper,
    EndpointGroupOper,
    Enforcement,
    GlobalOper,
    NetworkOper,
    NodeOper,
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


def network_oper(network: Network, world: World, nodes: Iterable[NodeOper] = ()) -> NetworkOper:
    """A network's state; `nodes` say what each host makes of it."""
    population = world.population(network.key)
    groups = tuple(world.groups_in(network.key))
    endpoints = _ordered(population.endpoints.values())
    return NetworkOper(
        allocatedAddressesCount=sum(isinstance(address, IPv4Address) for address in population.claims),
        allocatedIPAddresses=allocated_text(network, population.claims, groups),
        availableIPAddresses=available_text(network, population.claims, groups),
        endpoints=[endpoint_body(each, world) for each in endpoints],
        externalPktTag=network.tag,
        networkTag=network.label or _dotted(network.key),
        nodes=list(nodes),
        numEndpoints=len(endpoints),
        pktTag=network.tag,
    )


def group_oper(group: EndpointGroup, world: World, nodes: Iterable[NodeOper] = ()) -> EndpointGroupOper:
    """A group's state; `nodes` say what each host makes of it."""
    network = world.networks[group.network_key]
    population = world.population(network.key)
    endpoints = members(group, world)
    missing = [word for word, has in (("policies", group.policies), ("net profiles", group.net_profile)) if has]
    return EndpointGroupOper(
        allocatedIPAddresses=group_allocated_text(group, population.claims, population.endpoints.values()),
        availableIPAddresses=group_available_text(
            group, network, population.claims, tuple(world.groups_in(network.key))
        ),
        endpoints=[endpoint_body(each, world) for each in endpoints],
        enforced=not missing,
        externalPktTag=network.tag,
        groupId=group.id,
        groupTag=group.label or _dotted(group.key),
        nodes=list(nodes),
        note=f"{' and '.join(missing)}: {_NOT_YET} such" if missing else "",
        numEndpoints=len(endpoints),
        pktTag=network.tag,
    )


def policy_oper(policy: Policy, world: World) -> PolicyOper:
    """A policy's state: whom it is about."""
    key = policy.key
    groups = [each for each in world.groups.values() if each.key.tenant == key.tenant and key.name in each.policies]
    endpoints = [endpoint for group in groups for endpoint in members(group, world)]
    return PolicyOper(
        endpoints=[endpoint_body(each, world) for each in _ordered(endpoints)],
        note=f"{_NOT_YET} policy enforcement",
        numEndpoints=len(endpoints),
    )


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
    groups = [world.groups[key] for key in keys if key in world.groups]
    endpoints = _ordered(endpoint for group in groups for endpoint in members(group, world))
    return AppProfileOper(endpoints=[endpoint_body(each, world) for each in endpoints], numEndpoints=len(endpoints))


def tenant_oper(tenant: Tenant, world: World) -> TenantOper:
    """A tenant's state: all that it has."""

    def own(index: Mapping[_K, _V]) -> list[_V]:
        return [index[key] for key in sorted(index) if key.tenant == tenant.name]

    networks = [network_oper(each, world) for each in own(world.networks)]
    groups = [group_oper(each, world) for each in own(world.groups)]
    policies = [policy_oper(each, world) for each in own(world.policies)]
    services = [service_oper(each, world) for each in own(world.services)]
    endpoints = [endpoint for network in networks for endpoint in network.endpoints]
    return TenantOper(
        totalAppProfiles=len(own(world.app_profiles)),
        totalEPGs=len(groups),
        totalEndpoints=len(endpoints),
        totalNetprofiles=len(own(world.net_profiles)),
        totalNetworks=len(networks),
        totalPolicies=len(policies),
        totalServicelbs=len(services),
        endpointGroups=groups,
        endpoints=endpoints,
        networks=networks,
        policies=policies,
        servicelbs=services,
    )


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
    endpoints = _ordered(each for each in everyone if each.node == node.name)
    problems = node_problems(node, world)
    return NodeStateOper(
        appliedRevision=node.applied_revision,
        endpoints=[endpoint_body(each, world) for each in endpoints],
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


def members(group: EndpointGroup, world: World) -> list[Endpoint]:
    """The endpoints of a group, by address."""
    endpoints = world.population(group.network_key).endpoints.values()
    return _ordered(each for each in endpoints if each.group == group.key.name)


def _ordered(endpoints: Iterable[Endpoint]) -> list[Endpoint]:
    return sorted(endpoints, key=lambda each: (each.network, each.address))


def _dotted(key: NetworkKey | GroupKey) -> str:
    return f"{key.name}.{key.tenant}"
