"""What operators may type of subnets and pools, and what is refused."""

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

import pytest

from isthmus.core.errors import InvalidError
from isthmus.core.ipam import overlaps, parse_pool, parse_pool_v6, parse_subnet, parse_subnet_v6


@pytest.mark.parametrize(
    ("text", "prefix", "first", "last"),
    [
        ("10.1.1.0/24", "10.1.1.0/24", "10.1.1.0", "10.1.1.255"),
        ("10.1.1.1/24", "10.1.1.0/24", "10.1.1.0", "10.1.1.255"),
        ("10.1.1.10-10.1.1.20/24", "10.1.1.0/24", "10.1.1.10", "10.1.1.20"),
        ("10.1.1.10-10.1.1.10/24", "10.1.1.0/24", "10.1.1.10", "10.1.1.10"),
        ("10.200.0.0/8", "10.0.0.0/8", "10.0.0.0", "10.255.255.255"),
        ("10.1.1.4/31", "10.1.1.4/31", "10.1.1.4", "10.1.1.5"),
    ],
)
def test_a_subnets_text_is_kept_and_computed_with_its_prefix(text: str, prefix: str, first: str, last: str) -> None:
    subnet = parse_subnet(text)
    assert (subnet.text, subnet.prefix) == (text, IPv4Network(prefix))
    assert (subnet.first, subnet.last) == (IPv4Address(first), IPv4Address(last))


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("10.1.1.0", "A.B.C.D/LEN"),
        ("", "A.B.C.D/LEN"),
        ("10.1.1.0/", "A.B.C.D/LEN"),
        (" 10.1.1.0/24", "A.B.C.D/LEN"),
        ("10.1.1.0/24\n", "A.B.C.D/LEN"),
        ("2001:db8::/64", "A.B.C.D/LEN"),
        ("10.1.1.٣/24", "A.B.C.D/LEN"),
        ("10.1.1/24", '"10.1.1" is not an IPv4 address'),
        ("10.1.1.256/24", '"10.1.1.256" is not an IPv4 address'),
        ("10.1.1.0/7", "7 is not in 8 to 31"),
        ("10.1.1.0/32", "32 is not in 8 to 31"),
        ("10.1.1.0/0", "0 is not in 8 to 31"),
        ("10.1.1.10-10.1.2.20/24", "10.1.2.20 lies outside 10.1.1.0/24"),
        ("10.1.1.20-10.1.1.10/24", "ends before it begins"),
        ("10.1.1.20-x/24", "A.B.C.D/LEN"),
        ("10.1.1.20-10.1.1.300/24", '"10.1.1.300" is not an IPv4 address'),
    ],
)
def test_a_malformed_subnet_is_refused_by_name_and_limit(text: str, names: str) -> None:
    with pytest.raises(InvalidError, match=re.escape(names)) as refusal:
        parse_subnet(text)
    assert f'subnet "{text}"' in str(refusal.value)


def test_an_ipv6_subnet_keeps_its_host_bits_in_the_text_only() -> None:
    subnet = parse_subnet_v6("2001:db8::5/100")
    assert (subnet.text, subnet.prefix) == ("2001:db8::5/100", IPv6Network("2001:db8::/100"))


@pytest.mark.parametrize("length", [1, 99, 100, 108, 109, 118, 119, 127])
def test_every_ipv6_prefix_length_from_1_to_127_is_taken(length: int) -> None:
    assert parse_subnet_v6(f"2001:db8::/{length}").prefix.prefixlen == length


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("2001:db8::/0", "0 is not in 1 to 127"),
        ("2001:db8::/128", "128 is not in 1 to 127"),
        ("2001:db8::", "ADDRESS/LEN"),
        ("2001:db8::x/64", "ADDRESS/LEN"),
        ("2001:db8::1::/64", '"2001:db8::1::" is not an IPv6 address'),
        ("10.1.1.0/24", '"10.1.1.0" is not an IPv6 address'),
    ],
)
def test_a_malformed_ipv6_subnet_is_refused_by_name_and_limit(text: str, names: str) -> None:
    with pytest.raises(InvalidError, match=re.escape(names)):
        parse_subnet_v6(text)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("10.1.1.0/24", "10.1.1.0/24", True),
        ("10.1.1.0/24", "10.1.2.0/24", False),
        ("10.0.0.0/8", "10.1.2.0/24", True),
        ("10.1.1.10-10.1.1.20/24", "10.1.1.21-10.1.1.30/24", False),
        ("10.1.1.10-10.1.1.20/24", "10.1.1.20-10.1.1.30/24", True),
        ("10.1.1.10-10.1.1.20/24", "10.1.1.0/24", True),
    ],
)
def test_subnets_overlap_where_an_address_lies_in_both(one: str, other: str, expected: bool) -> None:
    assert overlaps(parse_subnet(one), parse_subnet(other)) is expected
    assert overlaps(parse_subnet(other), parse_subnet(one)) is expected


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [("10.1.1.10-10.1.1.20", "10.1.1.10", "10.1.1.20"), ("10.1.1.10-10.1.1.10", "10.1.1.10", "10.1.1.10")],
)
def test_a_pools_text_is_kept(text: str, first: str, last: str) -> None:
    pool = parse_pool(text)
    assert (pool.text, pool.first, pool.last) == (text, IPv4Address(first), IPv4Address(last))


def test_an_ipv6_pool_may_be_written_in_any_form() -> None:
    pool = parse_pool_v6("2001:DB8::10-2001:db8:0:0::1f")
    assert pool.text == "2001:DB8::10-2001:db8:0:0::1f"
    assert (pool.first, pool.last) == (IPv6Address("2001:db8::10"), IPv6Address("2001:db8::1f"))


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("10.1.1.10", "A.B.C.D-E.F.G.H"),
        ("", "A.B.C.D-E.F.G.H"),
        ("10.1.1.10-", "A.B.C.D-E.F.G.H"),
        ("10.1.1.10-20", "20"),
        ("10.1.1.10-10.1.1.20-10.1.1.30", "A.B.C.D-E.F.G.H"),
        ("10.1.1.10-10.1.1.20/24", "A.B.C.D-E.F.G.H"),
        ("10.1.1.0/24", "A.B.C.D-E.F.G.H"),
        ("10.1.1.10-2001:db8::1", "A.B.C.D-E.F.G.H"),
        ("2001:db8::1-2001:db8::9", "A.B.C.D-E.F.G.H"),
        (" 10.1.1.10-10.1.1.20", "A.B.C.D-E.F.G.H"),
        ("10.1.1.10-10.1.1.20\n", "A.B.C.D-E.F.G.H"),
        ("10.1.1.10-10.1.1.256", '"10.1.1.256" is not an IPv4 address'),
        ("10.1.1.20-10.1.1.10", "ends before it begins"),
    ],
)
def test_a_malformed_pool_is_refused_by_name_and_form(text: str, names: str) -> None:
    with pytest.raises(InvalidError, match=re.escape(names)) as refusal:
        parse_pool(text)
    assert f'pool "{text}"' in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("2001:db8::1", "ADDRESS-ADDRESS"),
        ("2001:db8::1%eth0-2001:db8::9", "ADDRESS-ADDRESS"),
        ("2001:db8::/64", "ADDRESS-ADDRESS"),
        ("10.1.1.1-2001:db8::9", '"10.1.1.1" is not an IPv6 address'),
        ("2001:db8::1-10.1.1.9", '"10.1.1.9" is not an IPv6 address'),
        ("2001:db8::1-2001:db8::1::", '"2001:db8::1::" is not an IPv6 address'),
        ("2001:db8::9-2001:db8::1", "ends before it begins"),
    ],
)
def test_a_malformed_ipv6_pool_is_refused_by_name_and_form(text: str, names: str) -> None:
    with pytest.raises(InvalidError, match=re.escape(names)) as refusal:
        parse_pool_v6(text)
    assert f'IPv6 pool "{text}"' in str(refusal.value)
