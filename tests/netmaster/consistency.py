"""What must be true of a cluster's records whatever was done to them, by whom, and in which order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import combinations
from typing import Any

from isthmus.core.ipam import overlaps
from isthmus.core.model import (
    AppProfileKey,
    ClaimPurpose,
    ForwardMode,
    GroupKey,
    Network,
    NetworkKey,
    PolicyKey,
    ProfileKey,
    RuleKey,
    ServiceKey,
    TenantName,
)
from isthmus.core.tags import tag_range
from isthmus.core.world import World

Key = TenantName | NetworkKey | GroupKey | PolicyKey | ProfileKey | RuleKey | ServiceKey | AppProfileKey


def contradictions(world: World) -> list[str]:
    """What is not so, in words; empty where all is well."""
    return [*_dangling(world), *_unowned(world), *_double(world), *_unset(world)]


def _dangling(world: World) -> Iterator[str]:
    """Names that records hold of objects that are not there."""
    existing: set[Key] = {*world.tenants, *world.networks, *world.groups, *world.policies}
    existing |= {*world.net_profiles}
    for own, named in _references(world):
        if named not in existing:
            yield f"{own} names {type(named).__name__} {named}, which is not there"


def _references(world: World) -> Iterator[tuple[object, Key]]:
    scoped = (world.networks, world.groups, world.policies, world.net_profiles, world.services, world.app_profiles)
    yield from ((key, key.tenant) for index in scoped for key in index)
    for group in world.groups.values():
        tenant = group.key.tenant
        yield group.key, group.network_key
        yield from ((group.key, PolicyKey(tenant, name)) for name in group.policies)
        yield from ((group.key, ProfileKey(tenant, name)) for name in [group.net_profile] if name)
    for rule in world.rules.values():
        tenant = rule.key.policy.tenant
        yield rule.key, rule.key.policy
        yield from ((rule.key, GroupKey(tenant, name)) for name in [rule.peer_group] if name)
        yield from ((rule.key, NetworkKey(tenant, name)) for name in [rule.peer_network] if name)
    yield from ((service.key, service.network_key) for service in world.services.values())
    for profile in world.app_profiles.values():
        yield from ((profile.key, GroupKey(profile.key.tenant, name)) for name in profile.groups)
    yield from ((f"what lives in {key}", key) for key in world.populations)
    endpoints = (each for population in world.populations.values() for each in population.endpoints.values())
    yield from ((each.id, GroupKey(each.network.tenant, each.group)) for each in endpoints if each.group)


def _unowned(world: World) -> Iterator[str]:
    """Numbers and addresses that are held without their holder, or the other way round."""
    tags = {(each.encap, each.tag): each.key for each in world.networks.values()}
    yield from _unlike("tags", tags, {place: each.owner for place, each in world.tag_owners.items()})
    ids = {each.id: each.key for each in world.groups.values()}
    yield from _unlike("group ids", ids, {number: each.owner for number, each in world.group_ids.items()})
    claims = [each for population in world.populations.values() for each in population.claims.values()]
    vips = {(each.network_key, each.vip): each.key.name for each in world.services.values()}
    held = {(each.network, each.address): each.service for each in claims if each.purpose is ClaimPurpose.SERVICE}
    yield from _unlike("service addresses", vips, held)
    networks = world.networks.values()
    gateways = {(each.key, own): None for each in networks for own in (each.gateway, each.gateway_v6) if own}
    kept = {(each.network, each.address): None for each in claims if each.purpose is ClaimPurpose.GATEWAY}
    yield from _unlike("gateways", gateways, kept)


def _unlike(what: str, wanted: object, found: object) -> Iterator[str]:
    if wanted != found:
        yield f"{what}: objects say {wanted}, records say {found}"


def _double(world: World) -> Iterator[str]:
    """What two have that only one may have."""
    numbers = Counter((each.encap, each.tag) for each in world.networks.values())
    ids = Counter(each.id for each in world.groups.values())
    vips = Counter((each.network_key, each.vip) for each in world.services.values())
    yield from _twice(numbers)
    yield from _twice(ids)
    yield from _twice(vips)
    for one, other in combinations(world.networks.values(), 2):
        if one.key.tenant == other.key.tenant and _overlap(one, other):
            yield f"{one.key} and {other.key} overlap"
    for group, second in combinations(world.groups.values(), 2):
        if group.network_key == second.network_key and any(a.first in b for a in group.pools for b in second.pools):
            yield f"pools of {group.key} and {second.key} overlap"
    names = {(key.tenant, str(key.name)) for key in world.networks} & {
        (key.tenant, str(key.name)) for key in world.groups
    }
    yield from (f"{name} is a network and a group" for name in names)
    for service in world.services.values():
        if any(service.vip in pool for group in world.groups_in(service.network_key) for pool in group.pools):
            yield f"the address of {service.key} is in a group's pool"


def _overlap(one: Network, other: Network) -> bool:
    v6 = one.subnet_v6 and other.subnet_v6 and one.subnet_v6.prefix.overlaps(other.subnet_v6.prefix)
    return bool(v6) or overlaps(one.subnet, other.subnet)


def _unset(world: World) -> Iterator[str]:
    """What the settings do not allow."""
    for network in world.networks.values():
        allowed = tag_range(world.settings, network.encap)
        if not allowed.first <= network.tag <= allowed.last:
            yield f"tag {network.tag} of {network.key} is not in {allowed}"
    if world.bgps and world.settings.forward_mode is not ForwardMode.ROUTING:
        yield f"there is BGP of {', '.join(world.bgps)} in forward mode {world.settings.forward_mode}"


def _twice(found: Counter[Any]) -> Iterator[str]:
    yield from (f"{each} is held {count} times" for each, count in found.items() if count > 1)
