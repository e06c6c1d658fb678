"""Services: which may come or change, with which virtual address; and the routers of nodes."""

from dataclasses import dataclass
from ipaddress import IPv4Address

from isthmus.core.admit.decision import Decision, found, settled, tenant_of
from isthmus.core.errors import ConflictError
from isthmus.core.ipam import check_wish, next_free, share_of
from isthmus.core.model import (
    AddressClaim,
    Bgp,
    ClaimPurpose,
    ForwardMode,
    NetworkKey,
    NetworkName,
    NodeName,
    Service,
    ServiceKey,
    ServicePort,
)
from isthmus.core.world import World


@dataclass(frozen=True, slots=True)
class ServiceRequest:
    """A service as the operator asks for it; without `wished_vip` its address is ours to give."""

    key: ServiceKey
    network: NetworkName
    selectors: tuple[str, ...]
    ports: tuple[ServicePort, ...]
    wished_vip: IPv4Address | None = None

    @property
    def network_key(self) -> NetworkKey:
        """The network that its address is of."""
        return NetworkKey(self.key.tenant, self.network)


def admit_service(request: ServiceRequest, world: World) -> Decision[Service]:
    """The service to hold. One that exists may change its selectors and ports, and keeps its address.

    Raises:
        NotFoundError: tenant or network does not exist.
        InvalidError: the address wished for is not one that the network gives.
        ConflictError: somebody holds it, or what cannot change differs.
        ExhaustedError: the network has no address left.
    """
    tenant_of(world, request.key.tenant)
    found(world.networks.get(request.network_key), f"network {request.network_key}")
    existing = world.services.get(request.key)
    if existing is not None:
        return settled(_changed(request, existing), existing, _changed(request, existing))
    service = _service(request, _new_vip(request, world))
    return settled(service, None, service, claim_of(service))


def admit_service_removal(key: ServiceKey, world: World) -> Decision[Service]:
    """The service that goes, with its address.

    Raises:
        NotFoundError: there is none.
    """
    service = found(world.services.get(key), f"service {key}")
    return Decision(service, remove=(service, claim_of(service)))


def claim_of(service: Service) -> AddressClaim:
    """The record that holds a service's address."""
    return AddressClaim(service.network_key, service.vip, ClaimPurpose.SERVICE, service=service.key.name)


def _new_vip(request: ServiceRequest, world: World) -> IPv4Address:
    network, population = world.networks[request.network_key], world.population(request.network_key)
    share = share_of(network, world.groups.values())
    if request.wished_vip is None:
        vip = next_free(share, population.claims, population.cursor)
        assert isinstance(vip, IPv4Address)
        return vip
    check_wish(share, request.wished_vip, population.claims)
    return request.wished_vip


def _changed(request: ServiceRequest, existing: Service) -> Service:
    if request.network != existing.network:
        raise ConflictError(f"service {request.key}: its network {existing.network_key} cannot be changed")
    if request.wished_vip not in (None, existing.vip):
        raise ConflictError(f"service {request.key}: its address {existing.vip} cannot be changed")
    return _service(request, existing.vip)


def _service(request: ServiceRequest, vip: IPv4Address) -> Service:
    return Service(request.key, request.network, request.selectors, request.ports, vip, request.wished_vip)


def admit_bgp(request: Bgp, world: World) -> Decision[Bgp]:
    """The router to hold; one that exists is replaced.

    Raises:
        ConflictError: the cluster's forward mode is not routing.
    """
    if world.settings.forward_mode is not ForwardMode.ROUTING:
        raise ConflictError(
            f"BGP of {request.node} needs forward mode routing; it is {world.settings.forward_mode}: "
            "'netctl global set --fwd-mode routing'"
        )
    return settled(request, world.bgps.get(request.node), request)


def admit_bgp_removal(node: NodeName, world: World) -> Decision[Bgp]:
    """The router that goes.

    Raises:
        NotFoundError: there is none.
    """
    bgp = found(world.bgps.get(node), f"BGP configuration {node}")
    return Decision(bgp, remove=(bgp,))
