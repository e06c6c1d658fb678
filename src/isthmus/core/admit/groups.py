"""Endpoint groups: which may come or change, with which id, and which may go."""

from collections.abc import Container, Iterator
from dataclasses import dataclass

from isthmus.core.admit.decision import Decision, counted, found, settled, tenant_of, users_text
from isthmus.core.errors import ConflictError, ExhaustedError
from isthmus.core.ipam import check_pool
from isthmus.core.model import (
    AllocationCursor,
    EndpointGroup,
    GroupId,
    GroupIdOwner,
    GroupKey,
    Network,
    NetworkKey,
    NetworkName,
    PolicyKey,
    PolicyName,
    ProfileKey,
    ProfileName,
    Rule,
    Span,
)
from isthmus.core.world import World

GREATEST_ID = 65535  # it travels in VXLAN-GBP's 16 bits

_FIXED = {"network": "network association", "pool": "IP pool", "pool_v6": "IPv6 pool", "label": "label"}


@dataclass(frozen=True, slots=True)
class GroupRequest:
    """An endpoint group as the operator asks for it; its id is ours to give."""

    key: GroupKey
    network: NetworkName
    policies: tuple[PolicyName, ...] = ()
    net_profile: ProfileName | None = None
    pool: Span | None = None
    pool_v6: Span | None = None
    label: str = ""


def admit_group(request: GroupRequest, world: World) -> Decision[EndpointGroup]:
    """The group to hold. One that exists may change its policies and its net profile.

    Raises:
        NotFoundError: tenant, network, a policy or the net profile does not exist.
        InvalidError: a pool is not of the network's addresses.
        ConflictError: a network has its name, an address of a pool is held, or what cannot change differs.
        ExhaustedError: no id is left.

    Source: spec 2.7 "endpointGroup".
    """
    tenant_of(world, request.key.tenant)
    _check_references(request, world)
    existing = world.groups.get(request.key)
    number = existing.id if existing else _free_id(world.group_ids)
    fields = {name: getattr(request, name) for name in GroupRequest.__dataclass_fields__}
    group = EndpointGroup(id=number, **fields)
    if existing:
        _check_fixed(group, existing)
        return settled(group, existing, group)
    _check_new(group, world)
    return settled(group, None, group, GroupIdOwner(group.id, group.key))


def admit_group_removal(key: GroupKey, world: World) -> Decision[EndpointGroup]:
    """The group that may go.

    Raises:
        NotFoundError: there is none.
        ConflictError: an app profile or a rule names it, or containers are in it.
    """
    group = found(world.groups.get(key), f"endpoint group {key}")
    profiles = sorted(each.key.name for each in world.app_profiles.values() if key.name in each.groups)
    rules = sorted(str(each.key) for each in world.rules.values() if _names_group(each, key))
    for names, noun in ((profiles, "app profile"), (rules, "rule")):
        if names:
            raise ConflictError(f"cannot delete endpoint group {key}: it is named by {counted(names, noun)}")
    endpoints = world.population(group.network_key).endpoints.values()
    users = users_text(each for each in endpoints if each.group == key.name)
    if users:
        raise ConflictError(f"endpoint group {key} is in use by {users}")
    cursor = AllocationCursor(group.network_key, group=key.name)
    return Decision(group, remove=(group, GroupIdOwner(group.id, key), cursor))


def references(request: GroupRequest) -> Iterator[PolicyKey | ProfileKey]:
    """The objects that a group names, its network aside."""
    yield from (PolicyKey(request.key.tenant, name) for name in request.policies)
    if request.net_profile is not None:
        yield ProfileKey(request.key.tenant, request.net_profile)


def network_of(request: GroupRequest) -> NetworkKey:
    """The network that a group's members live in."""
    return NetworkKey(request.key.tenant, request.network)


def _check_references(request: GroupRequest, world: World) -> None:
    found(world.networks.get(network_of(request)), f"network {network_of(request)}")
    for key in references(request):
        if isinstance(key, PolicyKey):
            found(world.policies.get(key), f"policy {key}")
        else:
            found(world.net_profiles.get(key), f"net profile {key}")


def _check_new(group: EndpointGroup, world: World) -> None:
    if NetworkKey(group.key.tenant, NetworkName(group.key.name)) in world.networks:
        raise ConflictError(f"endpoint group {group.key} cannot be: a network has that name, in Docker as well")
    network = world.networks[group.network_key]
    for pool in group.pools:
        _check_pool(group, pool, network, world)


def _check_pool(group: EndpointGroup, pool: Span, network: Network, world: World) -> None:
    claims = world.population(network.key).claims
    check_pool(group.key, pool, network, tuple(world.groups_in(network.key)), claims)


def _check_fixed(group: EndpointGroup, existing: EndpointGroup) -> None:
    differing = [word for name, word in _FIXED.items() if getattr(group, name) != getattr(existing, name)]
    if differing:
        raise ConflictError(f"endpoint group {group.key}: {' and '.join(differing)} cannot be changed")


def _free_id(held: Container[GroupId]) -> GroupId:
    for number in range(1, GREATEST_ID + 1):
        if GroupId(number) not in held:
            return GroupId(number)
    raise ExhaustedError(f"no endpoint group id is left: all of 1 to {GREATEST_ID} are in use")


def _names_group(rule: Rule, key: GroupKey) -> bool:
    return rule.key.policy.tenant == key.tenant and rule.peer_group == key.name
