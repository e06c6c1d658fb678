"""How a network's addresses are divided among its groups, and which one is given next."""

from collections.abc import Container, Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from isthmus.core import runs
from isthmus.core.errors import ConflictError, ExhaustedError, InvalidError
from isthmus.core.model import (
    Address,
    AllocationCursor,
    EndpointGroup,
    GroupKey,
    GroupName,
    Network,
    Span,
    Subnet,
)
from isthmus.core.runs import Run


def overlaps(one: Subnet, other: Subnet) -> bool:
    """Whether some address lies in both; ranges of one prefix may stand side by side."""
    return one.first <= other.last and other.first <= one.last


def usable(network: Network, *, is_v6: bool = False) -> tuple[Run, ...]:
    """What may be given of one family, to whomever; nothing where the network has none of it.

    Of IPv4 that is the range, less network and broadcast address, so nothing of a /31; of IPv6 all but the routers'
    anycast address (RFC 4291, section 2.6.1). The gateway is never given.
    """
    limits, gateway = _limits(network, is_v6=is_v6), _gateway(network, is_v6=is_v6)
    if limits is None:
        return ()
    return runs.without([limits], [(int(gateway), int(gateway))] if gateway else [])


def _limits(network: Network, *, is_v6: bool) -> Run | None:
    """The first and the last number that may be given; None where there are none."""
    subnet, subnet_v6 = network.subnet, network.subnet_v6
    if not is_v6:
        first = max(int(subnet.first), int(subnet.prefix.network_address) + 1)
        last = min(int(subnet.last), int(subnet.prefix.broadcast_address) - 1)
        return (first, last) if first <= last else None
    if subnet_v6 is None:
        return None
    return int(subnet_v6.prefix.network_address) + 1, int(subnet_v6.prefix.broadcast_address)


def _gateway(network: Network, *, is_v6: bool) -> Address | None:
    return network.gateway_v6 if is_v6 else network.gateway


def _pool(group: EndpointGroup | None, *, is_v6: bool) -> Span | None:
    if group is None:
        return None
    return group.pool_v6 if is_v6 else group.pool


def pool_runs(groups: Iterable[EndpointGroup], *, is_v6: bool = False) -> tuple[Run, ...]:
    """What the pools of these groups hold."""
    pools = (_pool(group, is_v6=is_v6) for group in groups)
    return runs.merged((int(pool.first), int(pool.last)) for pool in pools if pool is not None)


@dataclass(frozen=True, slots=True)
class Share:
    """What of a network one kind of container may get: members of `group`, or those in no group where it is None.

    A member of a group with a pool gets of that pool only, everybody else only of what is in no pool of `groups`, the
    network's; for each family by itself.
    """

    network: Network
    group: EndpointGroup | None = None
    groups: tuple[EndpointGroup, ...] = ()

    def pool(self, *, is_v6: bool) -> Span | None:
        """The pool that it is; None: it is what no pool holds."""
        return _pool(self.group, is_v6=is_v6)

    def cursor_group(self, *, is_v6: bool) -> GroupName | None:
        """Whose `AllocationCursor` says what was given last: a pool has one of its own; None: the network's."""
        return None if self.group is None or self.pool(is_v6=is_v6) is None else self.group.key.name

    def runs(self, *, is_v6: bool) -> tuple[Run, ...]:
        """Its numbers."""
        whole, pool = usable(self.network, is_v6=is_v6), self.pool(is_v6=is_v6)
        if pool is not None:
            return runs.within(whole, (int(pool.first), int(pool.last)))
        return runs.without(whole, pool_runs(self.groups, is_v6=is_v6))

    def describe(self, *, is_v6: bool) -> str:
        """What it is in an operator's words."""
        pool = self.pool(is_v6=is_v6)
        if pool is not None and self.group is not None:
            return f"pool {pool.text} of group {self.group.key}"
        return f"subnet {_subnet_text(self.network, is_v6=is_v6)} of network {self.network.key}"


def share_of(network: Network, groups: Iterable[EndpointGroup], name: GroupName | None = None) -> Share:
    """The share of the members of a group, or of those in none; `groups` may be more than the network's.

    A group that is not among them has no pool.
    """
    own = tuple(group for group in groups if group.network_key == network.key)
    return Share(network, next((group for group in own if group.key.name == name), None), own)


def next_free(
    share: Share, claimed: Container[Address], cursor: AllocationCursor | None = None, *, is_v6: bool = False
) -> Address:
    """The first address above the last one given that nobody holds, wrapping once; the lowest where none was.

    Raises:
        ExhaustedError: every address is held.
        InvalidError: IPv6 is asked for, and the network has none.
    """
    if is_v6 and share.network.subnet_v6 is None:
        raise InvalidError(f"network {share.network.key} has no IPv6 subnet")
    for number in runs.after(share.runs(is_v6=is_v6), _last(cursor, is_v6=is_v6)):
        address = _address(number, is_v6=is_v6)
        if address not in claimed:
            return address
    raise ExhaustedError(f"address exhaustion in {share.describe(is_v6=is_v6)}")


def _last(cursor: AllocationCursor | None, *, is_v6: bool) -> int | None:
    last = None if cursor is None else cursor.last_v6 if is_v6 else cursor.last
    return None if last is None else int(last)


def _address(number: int, *, is_v6: bool) -> Address:
    return IPv6Address(number) if is_v6 else IPv4Address(number)


def check_wish(share: Share, address: Address, claimed: Container[Address]) -> None:
    """Accept a certain address that was asked for.

    Raises:
        InvalidError: the network cannot give it to anyone, or it lies outside the group's pool.
        ConflictError: somebody holds it, or it is in a group's pool and the asker is not of that group.
    """
    network, is_v6 = share.network, address.version == 6
    what = f"address {address} of network {network.key}"
    if address in (network.gateway, network.gateway_v6):
        raise ConflictError(f"{what} is the gateway")
    if not runs.within(usable(network, is_v6=is_v6), (int(address), int(address))):
        text = _subnet_text(network, is_v6=is_v6)
        raise InvalidError(f"address {address} is not one that network {network.key} can give: subnet {text}")
    _check_owner(share, address, what)
    if address in claimed:
        raise ConflictError(f"{what} is already in use")


def _check_owner(share: Share, address: Address, what: str) -> None:
    is_v6 = address.version == 6
    pool = share.pool(is_v6=is_v6)
    if pool is not None and address in pool:
        return
    owner = _owner(share.groups, address)
    if owner is not None:
        raise ConflictError(f"{what} is for members of group {owner} only")
    if pool is not None:
        raise InvalidError(f"{what} is not in {share.describe(is_v6=is_v6)}, whose members get no other")


def _owner(groups: Iterable[EndpointGroup], address: Address) -> GroupKey | None:
    return next((group.key for group in groups if any(address in pool for pool in group.pools)), None)


def check_pool(
    key: GroupKey, pool: Span, network: Network, groups: Iterable[EndpointGroup], claims: Iterable[Address]
) -> None:
    """Accept a pool for a group to be made in `network`; `groups` may be more than the network's.

    Raises:
        InvalidError: the network cannot give all of it.
        ConflictError: it has the gateway, an address of another group's pool, or one that is held.
    """
    what = f"pool {pool.text} of group {key}"
    _check_subset(pool, network, what)
    for group in groups:
        other = _overlapping(group, pool) if group.network_key == network.key and group.key != key else None
        if other is not None:
            raise ConflictError(f"{what} overlaps pool {other.text} of group {group.key}")
    held = min((int(address) for address in claims if address in pool), default=None)
    if held is not None:
        address = _address(held, is_v6=pool.first.version == 6)
        raise ConflictError(f"{what}: address {address} of network {network.key} is in use")


def _check_subset(pool: Span, network: Network, what: str) -> None:
    is_v6 = pool.first.version == 6
    limits, gateway = _limits(network, is_v6=is_v6), _gateway(network, is_v6=is_v6)
    if limits is None or not limits[0] <= int(pool.first) <= int(pool.last) <= limits[1]:
        whole = f"{_run_text(limits, is_v6=is_v6)}, subnet" if limits else "nothing, subnet"
        text = _subnet_text(network, is_v6=is_v6)
        raise InvalidError(f"{what} is not a subset of what network {network.key} can give: {whole} {text}")
    if gateway is not None and gateway in pool:
        raise ConflictError(f"{what}: address {gateway} is the gateway of network {network.key}")


def _overlapping(group: EndpointGroup, pool: Span) -> Span | None:
    return next((each for each in group.pools if pool.first in each or each.first in pool), None)


def _run_text(run: Run, *, is_v6: bool) -> str:
    return f"{_address(run[0], is_v6=is_v6)}-{_address(run[1], is_v6=is_v6)}"


def _subnet_text(network: Network, *, is_v6: bool) -> str:
    if not is_v6:
        return network.subnet.text
    return network.subnet_v6.text if network.subnet_v6 else "none for IPv6"
