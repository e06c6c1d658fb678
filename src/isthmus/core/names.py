"""From who lives in a network to the names that its tenant's containers may ask for."""

from collections.abc import Iterable, Mapping

from isthmus.core.model import Address, Endpoint, NetworkKey
from isthmus.core.world import Population

NameIndex = Mapping[str, tuple[Endpoint, ...]]


def index_names(population: Population) -> NameIndex:
    """A network's joined endpoints by their container's name in lower case, each list in address order."""
    found: dict[str, list[Endpoint]] = {}
    for endpoint in sorted(population.endpoints.values(), key=lambda each: each.address):
        if endpoint.is_joined and endpoint.container:
            found.setdefault(endpoint.container.lower(), []).append(endpoint)
    return {name: tuple(endpoints) for name, endpoints in found.items()}


def addresses_of_name(
    name: str, indexes: Mapping[NetworkKey, NameIndex], attached: frozenset[NetworkKey]
) -> tuple[Address, ...] | None:
    """The addresses of a container as one in the networks `attached` should see them; None: no such name.

    `indexes` holds the networks of the asker's tenants. Where the name has addresses in a network that the asker
    is in, only those are given: the others may not be within its reach.
    """
    found = [endpoint for index in indexes.values() for endpoint in index.get(name.lower(), ())]
    near = [endpoint for endpoint in found if endpoint.network in attached]
    chosen = near or found
    return tuple(address for each in chosen for address in each.addresses) if chosen else None


def name_of_address(address: Address, populations: Iterable[Population]) -> str | None:
    """The container behind an address in these networks, the first that fits; None: nobody."""
    for population in populations:
        claim = population.claims.get(address)
        endpoint = population.endpoints.get(claim.endpoint) if claim and claim.endpoint else None
        if endpoint is not None and endpoint.container:
            return endpoint.container
    return None
