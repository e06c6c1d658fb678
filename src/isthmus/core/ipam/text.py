"""What operators type of addresses: subnets and pools, to values."""

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from isthmus.core.errors import InvalidError
from isthmus.core.model import Address, Span, Subnet, SubnetV6

SHORTEST_PREFIX, LONGEST_PREFIX = 8, 31
SHORTEST_PREFIX_V6, LONGEST_PREFIX_V6 = 1, 127

_SUBNET = re.compile(r"([0-9.]+)(?:-([0-9.]+))?/([0-9]{1,3})", re.ASCII)
_POOL = re.compile(r"([0-9.]+)-([0-9.]+)", re.ASCII)
_POOL_V6 = re.compile(r"([0-9a-fA-F:.]+)-([0-9a-fA-F:.]+)", re.ASCII)
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
    what = f'subnet "{text}"'
    prefix = IPv4Network((_v4(low, what), length), strict=False)
    if high is None:
        return Subnet(text, prefix, prefix.network_address, prefix.broadcast_address)
    return _ranged(text, prefix, _v4(low, what), _v4(high, what))


def _v4(address_text: str, what: str) -> IPv4Address:
    try:
        return IPv4Address(address_text)
    except ValueError:
        raise InvalidError(f'{what}: "{address_text}" is not an IPv4 address') from None


def _v6(address_text: str, what: str) -> IPv6Address:
    try:
        return IPv6Address(address_text)
    except ValueError:
        raise InvalidError(f'{what}: "{address_text}" is not an IPv6 address') from None


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
    return SubnetV6(text, IPv6Network((_v6(found[1], f'IPv6 subnet "{text}"'), length), strict=False))


def parse_pool(text: str) -> Span:
    """`10.1.1.10-10.1.1.20`, a group's pool; the text is kept as typed.

    Raises:
        InvalidError: another form (a single address, say), or a range that ends before it begins.

    Source: spec 2.6 "ipPool".
    """
    found = _POOL.fullmatch(text)
    if not found:
        raise InvalidError(f'pool "{text}" has not the form A.B.C.D-E.F.G.H')
    what = f'pool "{text}"'
    return _span(text, _v4(found[1], what), _v4(found[2], what))


def parse_pool_v6(text: str) -> Span:
    """`2001:db8::10-2001:db8::20`, as `parse_pool`.

    Raises:
        InvalidError: another form, or a range that ends before it begins.
    """
    found = _POOL_V6.fullmatch(text)
    if not found:
        raise InvalidError(f'IPv6 pool "{text}" has not the form ADDRESS-ADDRESS')
    what = f'IPv6 pool "{text}"'
    return _span(text, _v6(found[1], what), _v6(found[2], what))


def _span(text: str, first: Address, last: Address) -> Span:
    if int(last) < int(first):
        raise InvalidError(f'{"IPv6 " if first.version == 6 else ""}pool "{text}" ends before it begins')
    return Span(text, first, last)
