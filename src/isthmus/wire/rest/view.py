"""A world, and of every object those that name it: what link sets are made of."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from isthmus.core.model import GroupKey, PolicyKey, ProfileKey, RuleKey, ScopedKey, TenantName
from isthmus.core.world import World

Target = TenantName | ScopedKey
Naming = Mapping[str, list[ScopedKey | RuleKey]]  # {link set's name: keys}

_NOBODY: Naming = {}


@dataclass(frozen=True, slots=True)
class View:
    """`named` says of an object, by its key, who names it; made once for an answer of many objects."""

    world: World
    named: Mapping[Target, Naming]

    def naming(self, target: Target) -> Naming:
        """{link set's name: the objects that name `target`}."""
        return self.named.get(target, _NOBODY)


def view_of(world: World) -> View:
    """The view of a world."""
    named: dict[Target, dict[str, list[ScopedKey | RuleKey]]] = {}
    for target, name, key in _references(world):
        named.setdefault(target, {}).setdefault(name, []).append(key)
    return View(world, named)


def _references(world: World) -> Iterator[tuple[Target, str, ScopedKey | RuleKey]]:
    """(whom it names, in which of that one's link sets it stands, its key) of every object."""
    yield from _of_tenants(world)
    for group in world.groups.values():
        tenant, key = group.key.tenant, group.key
        yield group.network_key, "EndpointGroups", key
        yield from ((PolicyKey(tenant, name), "EndpointGroups", key) for name in group.policies)
        if group.net_profile:
            yield ProfileKey(tenant, group.net_profile), "EndpointGroups", key
    for rule in world.rules.values():
        yield rule.key.policy, "Rules", rule.key
        if rule.peer_group:
            yield GroupKey(rule.key.policy.tenant, rule.peer_group), "MatchRules", rule.key
    for service in world.services.values():
        yield service.network_key, "Servicelbs", service.key
    for profile in world.app_profiles.values():
        yield from ((GroupKey(profile.key.tenant, name), "AppProfiles", profile.key) for name in profile.groups)


def _of_tenants(world: World) -> Iterator[tuple[Target, str, ScopedKey]]:
    for name, index in (
        ("AppProfiles", world.app_profiles),
        ("EndpointGroups", world.groups),
        ("NetProfiles", world.net_profiles),
        ("Networks", world.networks),
        ("Policies", world.policies),
        ("Servicelbs", world.services),
    ):
        yield from ((key.tenant, name, key) for key in index)
