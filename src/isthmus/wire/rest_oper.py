"""The state of tenants and networks as Contiv's `Oper` objects show it."""

from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address

from isthmus.core.datapath import host_link_name
from isthmus.core.ipam import available_text, ranges_text
from isthmus.core.model import Encap, Endpoint, Network, NetworkKey, Tag, TenantName
from isthmus.core.world import World
from isthmus.wire.rest_bodies import EndpointOper, GlobalOper, NetworkOper, NodeOper, TenantOper


def network_oper(world: World, network: Network, nodes: Iterable[NodeOper] = ()) -> NetworkOper:
    """A network's state; `nodes` say what each host makes of it."""
    population = world.population(network.key)
    held = [address for address in population.claims if isinstance(address, IPv4Address)]
    endpoints = sorted(population.endpoints.values(), key=lambda each: each.address)
    return NetworkOper(
        allocatedAddressesCount=len(held),
        allocatedIPAddresses=ranges_text(held),
        availableIPAddresses=available_text(network, held),
        endpoints=[_endpoint_oper(world, each) for each in endpoints],
        externalPktTag=network.tag,
        networkTag=network.label or _dotted(network.key),
        nodes=list(nodes),
        numEndpoints=len(endpoints),
        pktTag=network.tag,
    )


def tenant_oper(world: World, tenant: TenantName) -> TenantOper:
    """A tenant's state: its networks, and the endpoints of all of them."""
    networks = sorted(
        (each for each in world.networks.values() if each.key.tenant == tenant), key=lambda each: each.key
    )
    shown = [network_oper(world, network) for network in networks]
    endpoints = [endpoint for network in shown for endpoint in network.endpoints]
    return TenantOper(totalEndpoints=len(endpoints), totalNetworks=len(networks), endpoints=endpoints, networks=shown)


def global_oper(networks: int, owners_by_encap: Mapping[Encap, Iterable[Tag]]) -> GlobalOper:
    """The cluster's state: how many networks there are, and which tags they hold."""
    vlans, vnis = (owners_by_encap.get(encap, ()) for encap in (Encap.VLAN, Encap.VXLAN))
    return GlobalOper(numNetworks=networks, vlansInUse=_tags_text(vlans), vxlansInUse=_tags_text(vnis))


def _endpoint_oper(world: World, endpoint: Endpoint) -> EndpointOper:
    vtep = world.vtep(endpoint.node)
    return EndpointOper(
        containerName=endpoint.container,
        endpointGroupKey=f"{endpoint.group}:{endpoint.network.tenant}" if endpoint.group else "",
        endpointID=endpoint.id,
        homingHost=endpoint.node,
        intfName=host_link_name(endpoint.id),
        ipAddress=[str(address) for address in endpoint.addresses],
        macAddress=endpoint.mac,
        network=_dotted(endpoint.network),
        serviceName=endpoint.group or "",
        vtepIP=str(vtep) if vtep else "",
    )


def _dotted(key: NetworkKey) -> str:
    return f"{key.name}.{key.tenant}"


def _tags_text(tags: Iterable[Tag]) -> str:
    return ", ".join(str(tag) for tag in sorted(tags))
