"""Subnets: their text, their arithmetic, and which address is given next."""

import re
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from isthmus.core.errors import ConflictError, ExhaustedError, InvalidError
from isthmus.core.model import Address, AllocationCursor, Network, Subnet, SubnetV6

SHORTEST_PREFIX, LONGEST_PREFIX = 8, 31
SHORTEST_PREFIX_V6, LONGEST_PREFIX_V6 = 1, 127

_SUBNET = re.compile(r"([0-9.]+)(?:-([0-9.]+))?/([0-9]{1,3})", re.ASCII)
_SUBNET_V6 = re.compile(r"([0-9a-fA-F:.]+)/([0-9]{1,3})", re.ASCII)


def parse_subnet(text: str) -> Subnet:
    """`10.1.1.0/24`, `10.1.1.1/24` or `10.1.1.10-10.1.1.20/24`; the text is kept as typed.

    Raises:
        InvalidError: another form, a prefix length outside 8 to 31, a range outside one prefix.

    Source: spec 2.6 "subnet", 2.8.
    """
    found = _SUBNET.fullmatch(text)
    if not found:
        raise InvalidError(f'subnet "{text}" has not the form A.B.C.D/LEN or A.B.C.D-E.F.G.H/LEN')
    low, high, length = found[1], found[2], int(found[3])
    if not SHORTEST_PREFIX <= length <= LONGEST_PREFIX:
        limit = f"{SHORTEST_PREFIX} to {LONGEST_PREFIX}"
        raise InvalidError(f'subnet "{text}": the prefix length {length} is not in {limit}')
    prefix = IPv4Network((_parse_v4(low, text), length), strict=False)
    if high is None:
        return Subnet(text, prefix, prefix.network_address, prefix.broadcast_address)
    return _ranged(text, prefix, _parse_v4(low, text), _parse_v4(high, text))


def _parse_v4(address_text: str, text: str) -> IPv4Address:
    try:
        return IPv4Address(address_text)
    except ValueError:
        raise InvalidError(f'subnet "{text}": "{address_text}" is not an IPv4 address') from None


def _ranged(text: str, prefix: IPv4Network, first: IPv4Address, last: IPv4Address) -> Subnet:
    if last not in prefix:
        raise InvalidError(f'subnet "{text}": {last} lies outside {prefix}, the prefix of {first}')
    if last < first:
        raise InvalidError(f'subnet "{text}": the range ends before it begins')
    return Subnet(text, prefix, first, last)


def parse_subnet_v6(text: str) -> SubnetV6:
    """`2001:db8::/64`; host bits are kept in the text.

    Raises:
        InvalidError: another form, or a prefix length outside 1 to 127.
    """
    found = _SUBNET_V6.fullmatch(text)
    if not found:
        raise InvalidError(f'IPv6 subnet "{text}" has not the form ADDRESS/LEN')
    length = int(found[2])
    if not SHORTEST_PREFIX_V6 <= length <= LONGEST_PREFIX_V6:
        limit = f"{SHORTEST_PREFIX_V6} to {LONGEST_PREFIX_V6}"
        raise InvalidError(f'IPv6 subnet "{text}": the prefix length {length} is not in {limit}')
    try:
        return SubnetV6(text, IPv6Network((found[1], length), strict=False))
    except ValueError:
        raise InvalidError(f'IPv6 subnet "{text}": "{found[1]}" is not an IPv6 address') from None


def overlaps(one: Subnet, other: Subnet) -> bool:
    """Whether some address lies in both; ranges of one prefix may stand side by side."""
    return one.first <= other.last and other.first <= one.last


@dataclass(frozen=True, slots=True)
class Pool:
    """The addresses that a network may give: the numbers `first` to `last`, less `gateway`.

    Empty where `last` is below `first`.
    """

    first: int
    last: int
    gateway: int | None = None

    def __contains__(self, number: int) -> bool:
        return self.first <= number <= self.last and number != self.gateway

    @property
    def size(self) -> int:
        """How many there are; not `len()`, which could not hold an IPv6 subnet's."""
        span = max(0, self.last - self.first + 1)
        return span - (self.gateway is not None and self.first <= self.gateway <= self.last)


def usable(network: Network) -> Pool:
    """What may be given of the IPv4 subnet: its range, less network and broadcast address, less the gateway.

    A /31 has none.
    """
    subnet = network.subnet
    first = max(int(subnet.first), int(subnet.prefix.network_address) + 1)
    last = min(int(subnet.last), int(subnet.prefix.broadcast_address) - 1)
    return Pool(first, last, int(network.gateway) if network.gateway else None)


def usable_v6(network: Network) -> Pool:
    """What may be given of the IPv6 subnet; empty where there is none.

    That is all but the gateway and the routers' anycast address (RFC 4291, section 2.6.1).
    """
    if network.subnet_v6 is None:
        return Pool(1, 0)
    prefix = network.subnet_v6.prefix
    gateway = int(network.gateway_v6) if network.gateway_v6 else None
    return Pool(int(prefix.network_address) + 1, int(prefix.broadcast_address), gateway)


def next_free(network: Network, claimed: Container[Address], cursor: AllocationCursor | None = None) -> IPv4Address:
    """The first address above the last one given that nobody holds, wrapping once; the lowest where none was.

    Raises:
        ExhaustedError: every address is held.
    """
    after = int(cursor.last) if cursor and cursor.last else None
    for number in _from(usable(network), after):
        if IPv4Address(number) not in claimed:
            return IPv4Address(number)
    raise ExhaustedError(f"address exhaustion in subnet {network.subnet.text} of network {network.key}")


def next_free_v6(network: Network, claimed: Container[Address], cursor: AllocationCursor | None = None) -> IPv6Address:
    """As `next_free`, for the IPv6 subnet.

    Raises:
        ExhaustedError: every address is held.
        InvalidError: the network has no IPv6 subnet.
    """
    if network.subnet_v6 is None:
        raise InvalidError(f"network {network.key} has no IPv6 subnet")
    after = int(cursor.last_v6) if cursor and cursor.last_v6 else None
    for number in _from(usable_v6(network), after):
        if IPv6Address(number) not in claimed:
            return IPv6Address(number)
    raise ExhaustedError(f"address exhaustion in subnet {network.subnet_v6.text} of network {network.key}")


def _from(pool: Pool, after: int | None) -> Iterator[int]:
    """The pool's numbers in the order of giving."""
    start = pool.first if after is None or not pool.first <= after <= pool.last else after + 1
    for stretch in (range(start, pool.last + 1), range(pool.first, start)):
        yield from (number for number in stretch if number != pool.gateway)


def check_wish(network: Network, address: Address, claimed: Container[Address]) -> None:
    """Accept a certain address that was asked for.

    Raises:
        InvalidError: the network cannot give it to anyone.
        ConflictError: somebody holds it.
    """
    pool, text = _pool_for(network, address)
    what = f"address {address} of network {network.key}"
    if address in (network.gateway, network.gateway_v6):
        raise ConflictError(f"{what} is the gateway")
    if int(address) not in pool:
        raise InvalidError(f"address {address} is not one that network {network.key} can give: subnet {text}")
    if address in claimed:
        raise ConflictError(f"{what} is already in use")


def _pool_for(network: Network, address: Address) -> tuple[Pool, str]:
    if isinstance(address, IPv4Address):
        return usable(network), network.subnet.text
    return usable_v6(network), network.subnet_v6.text if network.subnet_v6 else "none for IPv6"


def ranges_text(addresses: Iterable[IPv4Address]) -> str:
    """`10.1.1.1-10.1.1.3, 10.1.1.9`: what is there, in order, neighbours drawn together."""
    return _text(_runs(sorted({int(address) for address in addresses})))


def available_text(network: Network, claimed: Iterable[IPv4Address]) -> str:
    """What of the IPv4 subnet is still to be given, as `ranges_text`; its cost grows with `claimed` only."""
    pool = usable(network)
    taken = {int(address) for address in claimed} | ({pool.gateway} if pool.gateway else set())
    return _text(_gaps(pool, sorted(number for number in taken if pool.first <= number <= pool.last)))


def _runs(numbers: Iterable[int]) -> Iterator[tuple[int, int]]:
    run: tuple[int, int] | None = None
    for number in numbers:
        if run and number == run[1] + 1:
            run = (run[0], number)
            continue
        if run:
            yield run
        run = (number, number)
    if run:
        yield run


def _gaps(pool: Pool, taken: Iterable[int]) -> Iterator[tuple[int, int]]:
    start = pool.first
    for first, last in _runs(taken):
        if start < first:
            yield start, first - 1
        start = last + 1
    if start <= pool.last:
        yield start, pool.last


def _text(runs: Iterable[tuple[int, int]]) -> str:
    return ", ".join(
        str(IPv4Address(first)) if first == last else f"{IPv4Address(first)}-{IPv4Address(last)}"
        for first, last in runs
    )
