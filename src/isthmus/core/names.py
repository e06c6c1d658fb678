"""From who lives in a network to the names that its tenant's containers may ask for."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from isthmus.core.model import Address, Endpoint, NetworkKey, TenantName
from isthmus.core.world import Population, World

_Endpoints = Mapping[str, tuple[Endpoint, ...]]
_Found = list[tuple[NetworkKey, tuple[Address, ...]]]


@dataclass(frozen=True, slots=True)
class NetworkNames:
    """A network's joined endpoints by container and by group, in lower case; each list in address order."""

    containers: _Endpoints = field(default_factory=dict)
    groups: _Endpoints = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TenantNames:
    """A tenant's services with their networks and addresses, and its groups, members or none; in lower case."""

    services: Mapping[str, _Found] = field(default_factory=dict)
    groups: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Scope:
    """What one asker may see: its tenants, all their networks, and which of these it is in."""

    tenants: tuple[TenantNames, ...]
    networks: Mapping[NetworkKey, NetworkNames]
    attached: frozenset[NetworkKey]


def index_network(population: Population) -> NetworkNames:
    """The names that a network's endpoints give."""
    containers: dict[str, list[Endpoint]] = {}
    groups: dict[str, list[Endpoint]] = {}
    for endpoint in sorted(population.endpoints.values(), key=lambda each: each.address):
        if not endpoint.is_joined:
            continue
        for index, name in ((containers, endpoint.container), (groups, endpoint.group)):
            if name:
                index.setdefault(name.lower(), []).append(endpoint)
    return NetworkNames(_closed(containers), _closed(groups))


def _closed(index: Mapping[str, list[Endpoint]]) -> _Endpoints:
    return {name: tuple(endpoints) for name, endpoints in index.items()}


def index_tenants(world: World) -> dict[TenantName, TenantNames]:
    """The names that services and groups give, of those tenants that have any."""
    services: dict[TenantName, dict[str, _Found]] = {}
    groups: dict[TenantName, set[str]] = {}
    for service in world.services.values():
        same = services.setdefault(service.key.tenant, {}).setdefault(service.key.name.lower(), [])
        same.append((service.network_key, (service.vip,)))
    for key in world.groups:
        groups.setdefault(key.tenant, set()).add(key.name.lower())
    return {
        tenant: TenantNames(services.get(tenant, {}), frozenset(groups.get(tenant, ())))
        for tenant in services.keys() | groups.keys()
    }


def addresses_of_name(name: str, scope: Scope) -> tuple[Address, ...] | None:
    """The addresses of a service, else of a group's members, else of a container; None: no such name.

    Where the name has addresses in a network that the asker is in, only those are given: the others may not be within
    its reach. A group without members that no container is named after has the empty answer.

    Source: spec 3.8.
    """
    wanted = name.lower()
    services = [each for tenant in scope.tenants for each in tenant.services.get(wanted, ())]
    members = [each for index in scope.networks.values() for each in index.groups.get(wanted, ())]
    containers = [each for index in scope.networks.values() for each in index.containers.get(wanted, ())]
    for found in (services, _found(members), _found(containers)):
        if found:
            return _nearest(found, scope.attached)
    return () if any(wanted in tenant.groups for tenant in scope.tenants) else None


def _found(endpoints: Iterable[Endpoint]) -> _Found:
    return [(each.network, each.addresses) for each in endpoints]


def _nearest(found: _Found, attached: frozenset[NetworkKey]) -> tuple[Address, ...]:
    near = [addresses for network, addresses in found if network in attached]
    return tuple(address for addresses in near or [addresses for _, addresses in found] for address in addresses)


def name_of_address(address: Address, populations: Iterable[Population]) -> str | None:
    """The container or the service behind an address in these networks, the first that fits; None: nobody."""
    for population in populations:
        claim = population.claims.get(address)
        endpoint = population.endpoints.get(claim.endpoint) if claim and claim.endpoint else None
        if endpoint is not None and endpoint.container:
            return endpoint.container
        if claim is not None and claim.service:
            return claim.service
    return None
