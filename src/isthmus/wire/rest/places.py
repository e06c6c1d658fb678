"""One network and who is in it, drawn from a world once for all that is shown of it."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address

from isthmus.core.ipam import available_text, group_available_text
from isthmus.core.model import Endpoint, EndpointGroup, GroupName, Network, NetworkKey, Span
from isthmus.core.world import World


@dataclass(frozen=True, slots=True)
class Place:
    """A network, its groups, its endpoints and the IPv4 addresses that are held in it, each in order.

    `network` is None where a group's is lost. `available` is what those get that are in no group with a pool. To make
    it costs what is in the network; to ask it of one group, what is in the group.
    """

    world: World
    network: Network | None
    groups: tuple[EndpointGroup, ...]
    endpoints: tuple[Endpoint, ...]
    members_by_group: Mapping[GroupName | None, Sequence[Endpoint]]
    held: Sequence[IPv4Address]
    available: str

    def members(self, group: EndpointGroup) -> Sequence[Endpoint]:
        """The endpoints of a group, by address."""
        return self.members_by_group.get(group.key.name, ())

    def held_in(self, pool: Span | None) -> Sequence[IPv4Address]:
        """What is held of a pool; nothing where there is none."""
        if pool is None:
            return ()
        first, last = IPv4Address(int(pool.first)), IPv4Address(int(pool.last))
        return self.held[bisect_left(self.held, first) : bisect_right(self.held, last)]

    def available_to(self, group: EndpointGroup) -> str:
        """What the members of a group can still get."""
        if self.network is None or group.pool is None:
            return self.available
        return group_available_text(group, self.network, self.held_in(group.pool), (group,))


def place_of(key: NetworkKey, world: World, groups: Iterable[EndpointGroup] | None = None) -> Place:
    """The place of a network; `groups` are its own, where the caller has them at hand."""
    network, population = world.networks.get(key), world.population(key)
    own = tuple(world.groups_in(key) if groups is None else groups)
    endpoints = in_order(population.endpoints.values())
    by_group: dict[GroupName | None, list[Endpoint]] = {}
    for endpoint in endpoints:
        by_group.setdefault(endpoint.group, []).append(endpoint)
    held = sorted(each for each in population.claims if isinstance(each, IPv4Address))
    available = available_text(network, held, own) if network else ""
    return Place(world, network, own, tuple(endpoints), by_group, held, available)


def places_of(keys: Iterable[NetworkKey], groups: Iterable[EndpointGroup], world: World) -> dict[NetworkKey, Place]:
    """The places of these networks, and of those that these groups say they are in."""
    by_network: dict[NetworkKey, list[EndpointGroup]] = {key: [] for key in keys}
    for group in groups:
        by_network.setdefault(group.network_key, []).append(group)
    return {key: place_of(key, world, own) for key, own in by_network.items()}


def members_of(groups: Iterable[EndpointGroup], world: World) -> list[Endpoint]:
    """The endpoints of these groups, by network and address."""
    names: dict[NetworkKey, set[GroupName | None]] = {}
    for group in groups:
        names.setdefault(group.network_key, set()).add(group.key.name)
    everyone = ((key, each) for key in names for each in world.population(key).endpoints.values())
    return in_order(each for key, each in everyone if each.group in names[key])


def in_order(endpoints: Iterable[Endpoint]) -> list[Endpoint]:
    """By network and address."""
    return sorted(endpoints, key=lambda each: (each.network, each.address))
