"""Who holds what of a network, and what is left, as operators read it. Costs grow with claims and pools only."""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address

from isthmus.core import runs
from isthmus.core.ipam.shares import pool_runs, share_of, usable
from isthmus.core.model import Address, Endpoint, EndpointGroup, Network
from isthmus.core.runs import Run


def ranges_text(addresses: Iterable[Address]) -> str:
    """`10.1.1.1-10.1.1.3, 10.1.1.9`: what is there of one family, in order, neighbours drawn together."""
    known = list(addresses)
    return _text(_runs(known), is_v6=any(address.version == 6 for address in known))


def allocated_text(
    network: Network, claims: Iterable[Address], groups: Iterable[EndpointGroup] = (), *, is_v6: bool = False
) -> str:
    """What of one family nobody new can get in this network: the gateway, what is held, and its groups' pools."""
    return _text(_allocated(network, claims, groups, is_v6=is_v6), is_v6=is_v6)


def available_text(
    network: Network, claims: Iterable[Address], groups: Iterable[EndpointGroup] = (), *, is_v6: bool = False
) -> str:
    """What of one family is still to be given to those that are in no group with a pool."""
    taken = _allocated(network, claims, groups, is_v6=is_v6)
    return _text(runs.without(usable(network, is_v6=is_v6), taken), is_v6=is_v6)


def group_allocated_text(
    group: EndpointGroup, claims: Iterable[Address], endpoints: Iterable[Endpoint], *, is_v6: bool = False
) -> str:
    """What of one family is held of a group's pool; where it has none, what its members hold.

    `claims` and `endpoints` are those of the group's network.
    """
    pool = pool_runs([group], is_v6=is_v6)
    if pool:
        return _text(runs.within(_of_family(claims, is_v6=is_v6), pool[0]), is_v6=is_v6)
    members = (address for each in endpoints if each.group == group.key.name for address in each.addresses)
    return _text(_of_family(members, is_v6=is_v6), is_v6=is_v6)


def group_available_text(
    group: EndpointGroup,
    network: Network,
    claims: Iterable[Address],
    groups: Iterable[EndpointGroup],
    *,
    is_v6: bool = False,
) -> str:
    """What of one family the group's members can still get: of its pool, or of what is in no pool."""
    share = share_of(network, groups, group.key.name)
    return _text(runs.without(share.runs(is_v6=is_v6), _of_family(claims, is_v6=is_v6)), is_v6=is_v6)


def _allocated(
    network: Network, claims: Iterable[Address], groups: Iterable[EndpointGroup], *, is_v6: bool
) -> tuple[Run, ...]:
    gateway = network.gateway_v6 if is_v6 else network.gateway
    held = _of_family([*claims, gateway] if gateway else claims, is_v6=is_v6)
    own = (group for group in groups if group.network_key == network.key)
    return runs.merged([*held, *pool_runs(own, is_v6=is_v6)])


def _of_family(addresses: Iterable[Address], *, is_v6: bool) -> tuple[Run, ...]:
    return _runs(address for address in addresses if (address.version == 6) is is_v6)


def _runs(addresses: Iterable[Address]) -> tuple[Run, ...]:
    return runs.merged((int(address), int(address)) for address in addresses)


def _text(found: Iterable[Run], *, is_v6: bool) -> str:
    family = IPv6Address if is_v6 else IPv4Address
    return ", ".join(
        str(family(first)) if first == last else f"{family(first)}-{family(last)}" for first, last in found
    )
