"""What of a whole world does not go together: names of what is not there, and tags, ids and addresses held wrongly.

No single wish brings this about; a set of records from elsewhere may.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from isthmus.core.admit.groups import GREATEST_ID
from isthmus.core.admit.policies import references as references_of_rule
from isthmus.core.errors import IsthmusError
from isthmus.core.ipam import check_pool
from isthmus.core.model import (
    Address,
    AddressClaim,
    ClaimPurpose,
    Endpoint,
    EndpointGroup,
    ForwardMode,
    GroupKey,
    Network,
    NetworkKey,
    NetworkName,
    PolicyKey,
    ProfileKey,
    Service,
    ServiceKey,
    TenantName,
)
from isthmus.core.tags import tag_range
from isthmus.core.world import World


def faults(world: World) -> Iterator[str]:
    """Each as a sentence without its full stop; none where all is well."""
    yield from _dangling(world)
    yield from _tags(world)
    yield from _overlaps(world)
    yield from _group_ids(world)
    yield from _pools(world)
    yield from _addresses(world)
    if world.bgps and world.settings.forward_mode is not ForwardMode.ROUTING:
        yield f"BGP of {min(world.bgps)} needs forward mode routing; it is {world.settings.forward_mode}"


def _dangling(world: World) -> Iterator[str]:
    """What names something that is not there."""
    for who, kind, key in _references(world):
        if key not in _INDEXES[kind](world):
            yield f"{who} names {kind} {key}, which is not there"


_INDEXES = {
    "tenant": lambda world: world.tenants,
    "network": lambda world: world.networks,
    "endpoint group": lambda world: world.groups,
    "policy": lambda world: world.policies,
    "net profile": lambda world: world.net_profiles,
}
_Reference = tuple[str, str, Any]  # who names, the kind of what is named, and its key


def _references(world: World) -> Iterator[_Reference]:
    for noun, index in (
        ("network", world.networks),
        ("endpoint group", world.groups),
        ("policy", world.policies),
        ("net profile", world.net_profiles),
        ("service", world.services),
        ("app profile", world.app_profiles),
    ):
        yield from ((f"{noun} {key}", "tenant", key.tenant) for key in index)
    for group in world.groups.values():
        yield from _of_group(group)
    for rule in world.rules.values():
        yield f"rule {rule.key}", "policy", rule.key.policy
        for key in references_of_rule(rule):
            yield f"rule {rule.key}", "endpoint group" if isinstance(key, GroupKey) else "network", key
    for service in world.services.values():
        yield f"service {service.key}", "network", service.network_key
    for profile in world.app_profiles.values():
        for name in profile.groups:
            yield f"app profile {profile.key}", "endpoint group", GroupKey(profile.key.tenant, name)
    yield from _of_populations(world)


def _of_group(group: EndpointGroup) -> Iterator[_Reference]:
    who, tenant = f"endpoint group {group.key}", group.key.tenant
    yield who, "network", group.network_key
    yield from ((who, "policy", PolicyKey(tenant, name)) for name in group.policies)
    if group.net_profile:
        yield who, "net profile", ProfileKey(tenant, group.net_profile)


def _of_populations(world: World) -> Iterator[_Reference]:
    for key, population in world.populations.items():
        if population.endpoints or population.claims:
            yield f"what holds an address in network {key}", "network", key
        for endpoint in population.endpoints.values():
            if endpoint.group:
                yield _title(endpoint), "endpoint group", GroupKey(key.tenant, endpoint.group)


def _tags(world: World) -> Iterator[str]:
    """Every network holds its tag, within the range, and no tag is held by what has another."""
    for network in world.networks.values():
        owner = world.tag_owners.get((network.encap, network.tag))
        if owner is None or owner.owner != network.key:
            by = f"held by network {owner.owner}" if owner else "held by nobody"
            yield f"network {network.key} has {network.encap} tag {network.tag}, which is {by}"
        allowed = tag_range(world.settings, network.encap)
        if not allowed.first <= network.tag <= allowed.last:
            yield f"network {network.key} has {network.encap} tag {network.tag}, which is out of range {allowed}"
    for (encap, tag), held in world.tag_owners.items():
        holder = world.networks.get(held.owner)
        if holder is None or (holder.encap, holder.tag) != (encap, tag):
            yield f"{encap} tag {tag} is held by network {held.owner}, which has it not"


def _overlaps(world: World) -> Iterator[str]:
    """Within a tenant no address lies in two networks, and no network has a group's name."""
    furthest: dict[tuple[TenantName, int], _Span] = {}
    for span in sorted(_spans(world), key=lambda each: (each.first, each.key)):
        before = furthest.get((span.key.tenant, span.family))
        if before is not None and span.first <= before.last:
            yield f"the subnets of networks {before.key} and {span.key} overlap"
        if before is None or span.last > before.last:
            furthest[span.key.tenant, span.family] = span
    for key in world.groups:
        if NetworkKey(key.tenant, NetworkName(key.name)) in world.networks:
            yield f"network and endpoint group {key} have one name, in Docker as well"


@dataclass(frozen=True, slots=True)
class _Span:
    """A network's addresses of one family, as numbers."""

    key: NetworkKey
    family: int
    first: int
    last: int


def _spans(world: World) -> Iterator[_Span]:
    for key, network in world.networks.items():
        yield _Span(key, 4, int(network.subnet.first), int(network.subnet.last))
        if network.subnet_v6:
            prefix = network.subnet_v6.prefix
            yield _Span(key, 6, int(prefix.network_address), int(prefix.broadcast_address))


def _group_ids(world: World) -> Iterator[str]:
    for group in world.groups.values():
        owner = world.group_ids.get(group.id)
        if owner is None or owner.owner != group.key:
            by = f"held by group {owner.owner}" if owner else "held by nobody"
            yield f"endpoint group {group.key} has id {group.id}, which is {by}"
        if not 1 <= group.id <= GREATEST_ID:
            yield f"endpoint group {group.key} has id {group.id}, which is out of range 1-{GREATEST_ID}"
    for number, held in world.group_ids.items():
        holder = world.groups.get(held.owner)
        if holder is None or holder.id != number:
            yield f"endpoint group id {number} is held by group {held.owner}, which has it not"


def _pools(world: World) -> Iterator[str]:
    by_network: dict[NetworkKey, list[EndpointGroup]] = {}
    for group in world.groups.values():
        if group.pools and group.network_key in world.networks:
            by_network.setdefault(group.network_key, []).append(group)
    for key, groups in by_network.items():
        for group in groups:
            try:
                for pool in group.pools:
                    check_pool(group.key, pool, world.networks[key], groups, ())
            except IsthmusError as error:
                yield str(error)


def _addresses(world: World) -> Iterator[str]:
    """Whoever has an address holds it, and whoever holds one has it."""
    for where, who, address, wanted in _holders(world):
        found = world.population(where).claims.get(address)
        if found is None or not _is_held(found, wanted):
            holder = "nobody" if found is None else "another"
            yield f"{who} has address {address} of network {where}, which {holder} holds"
    for key, population in world.populations.items():
        network = world.networks.get(key)
        if network is not None:
            for claim in population.claims.values():
                yield from _of_claim(claim, network, world)


def _is_held(found: AddressClaim, wanted: AddressClaim) -> bool:
    return (found.purpose, found.endpoint, found.service) == (wanted.purpose, wanted.endpoint, wanted.service)


def _holders(world: World) -> Iterator[tuple[NetworkKey, str, Address, AddressClaim]]:
    """(network, who has an address of it, the address, the claim that there should be)."""
    for key, network in world.networks.items():
        for address in (network.gateway, network.gateway_v6):
            if address is not None:
                yield key, "the gateway", address, AddressClaim(key, address, ClaimPurpose.GATEWAY)
    for service in world.services.values():
        claim = AddressClaim(service.network_key, service.vip, ClaimPurpose.SERVICE, service=service.key.name)
        yield service.network_key, f"service {service.key}", service.vip, claim
    for key, population in world.populations.items():
        for endpoint in population.endpoints.values():
            for address in endpoint.addresses:
                claim = AddressClaim(key, address, ClaimPurpose.LEASE, endpoint.node, endpoint.id)
                yield key, _title(endpoint), address, claim


def _of_claim(claim: AddressClaim, network: Network, world: World) -> Iterator[str]:
    what = f"address {claim.address} of network {network.key}"
    prefixes = (network.subnet.prefix, network.subnet_v6.prefix if network.subnet_v6 else None)
    if not any(prefix is not None and claim.address in prefix for prefix in prefixes):
        yield f"{what} is held, and is not of its subnet"
    match claim.purpose:
        case ClaimPurpose.GATEWAY if claim.address not in (network.gateway, network.gateway_v6):
            yield f"{what} is held as its gateway's, which it is not"
        case ClaimPurpose.SERVICE:
            service = _service_of(claim, world)
            if service is None or service.vip != claim.address:
                yield f"{what} is held for service {claim.service}, which has it not"
        case ClaimPurpose.LEASE if claim.endpoint:
            endpoint = world.population(network.key).endpoints.get(claim.endpoint)
            if endpoint is None or claim.address not in endpoint.addresses:
                yield f"{what} is held for endpoint {claim.endpoint[:12]}, which has it not"


def _service_of(claim: AddressClaim, world: World) -> Service | None:
    return world.services.get(ServiceKey(claim.network.tenant, claim.service)) if claim.service else None


def _title(endpoint: Endpoint) -> str:
    return f"endpoint {endpoint.id[:12]} ({endpoint.container or 'no container yet'})"
