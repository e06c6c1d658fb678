"""Subnets: their text, their arithmetic, and who gets which address."""

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.core.errors import ConflictError, ExhaustedError, InvalidError
from isthmus.core.ipam import (
    available_text,
    check_wish,
    next_free,
    next_free_v6,
    overlaps,
    parse_subnet,
    parse_subnet_v6,
    ranges_text,
    usable,
    usable_v6,
)
from isthmus.core.model import (
    Address,
    AllocationCursor,
    Encap,
    Network,
    NetworkKey,
    NetworkName,
    Tag,
    TenantName,
)

KEY = NetworkKey(TenantName("default"), NetworkName("net"))


def network(subnet: str, gateway: str = "", subnet_v6: str = "", gateway_v6: str = "") -> Network:
    return Network(
        KEY,
        Encap.VXLAN,
        Tag(1),
        parse_subnet(subnet),
        IPv4Address(gateway) if gateway else None,
        parse_subnet_v6(subnet_v6) if subnet_v6 else None,
        IPv6Address(gateway_v6) if gateway_v6 else None,
    )


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


def test_the_first_addresses_are_1_2_3_and_the_gateway_is_skipped() -> None:
    net = network("10.1.1.0/24", gateway="10.1.1.2")
    held: set[Address] = set()
    for _ in range(3):
        held.add(next_free(net, held))
    assert held == {IPv4Address(f"10.1.1.{host}") for host in (1, 3, 4)}


def test_an_address_just_freed_rests_longest() -> None:
    net = network("10.1.1.0/29")
    cursor = AllocationCursor(KEY, last=IPv4Address("10.1.1.3"))
    assert next_free(net, {IPv4Address("10.1.1.2")}, cursor) == IPv4Address("10.1.1.4")
    high = {IPv4Address(f"10.1.1.{host}") for host in (4, 5, 6)}
    assert next_free(net, high, cursor) == IPv4Address("10.1.1.1")
    assert next_free(net, high | {IPv4Address("10.1.1.1"), IPv4Address("10.1.1.2")}, cursor) == cursor.last


@pytest.mark.parametrize("last", ["10.1.1.6", "10.1.1.200", "9.9.9.9"])
def test_the_search_starts_below_when_nothing_is_above(last: str) -> None:
    cursor = AllocationCursor(KEY, last=IPv4Address(last))
    assert next_free(network("10.1.1.0/29"), set(), cursor) == IPv4Address("10.1.1.1")


@pytest.mark.parametrize("subnet", ["10.1.1.0/31", "10.1.1.0-10.1.1.0/24", "10.1.1.255-10.1.1.255/24"])
def test_a_subnet_without_host_addresses_is_exhausted_from_the_start(subnet: str) -> None:
    net = network(subnet)
    assert usable(net).size == 0
    with pytest.raises(ExhaustedError, match=f"address exhaustion in subnet {subnet}"):
        next_free(net, set())
    assert available_text(net, []) == ""


def test_a_slash_8_costs_no_more_than_a_slash_24() -> None:
    net = network("10.0.0.0/8", gateway="10.0.0.1")
    held = {IPv4Address("10.0.0.2"), IPv4Address("10.255.255.254")}
    cursor = AllocationCursor(KEY, last=IPv4Address("10.255.255.253"))
    assert next_free(net, held, cursor) == IPv4Address("10.0.0.3")
    assert usable(net).size == 2**24 - 3
    assert available_text(net, held) == "10.0.0.3-10.255.255.253"


def test_ipv6_counts_upward_from_the_last_given_and_skips_the_gateway() -> None:
    net = network("10.1.1.0/24", subnet_v6="2001:db8::/64", gateway_v6="2001:db8::2")
    assert next_free_v6(net, set()) == IPv6Address("2001:db8::1")
    cursor = AllocationCursor(KEY, last_v6=IPv6Address("2001:db8::1"))
    assert next_free_v6(net, set(), cursor) == IPv6Address("2001:db8::3")
    assert usable_v6(net).size == 2**64 - 2


def test_ipv6_is_not_given_where_the_network_has_none() -> None:
    with pytest.raises(InvalidError, match="default:net has no IPv6 subnet"):
        next_free_v6(network("10.1.1.0/24"), set())


def test_a_small_ipv6_subnet_is_exhausted_in_the_end() -> None:
    net = network("10.1.1.0/24", subnet_v6="2001:db8::/127")
    assert next_free_v6(net, set()) == IPv6Address("2001:db8::1")
    with pytest.raises(ExhaustedError, match="2001:db8::/127"):
        next_free_v6(net, {IPv6Address("2001:db8::1")})


@pytest.mark.parametrize(
    ("wish", "refusal", "names"),
    [
        ("10.1.1.9", None, ""),
        ("10.1.1.0", InvalidError, "subnet 10.1.1.0/24"),
        ("10.1.1.255", InvalidError, "subnet 10.1.1.0/24"),
        ("10.1.2.9", InvalidError, "subnet 10.1.1.0/24"),
        ("10.1.1.254", ConflictError, "is the gateway"),
        ("10.1.1.8", ConflictError, "is already in use"),
        ("2001:db8::9", InvalidError, "none for IPv6"),
    ],
)
def test_a_wish_is_granted_where_the_network_can_and_nobody_holds_it(
    wish: str, refusal: type[Exception] | None, names: str
) -> None:
    net = network("10.1.1.0/24", gateway="10.1.1.254")
    address = IPv6Address(wish) if ":" in wish else IPv4Address(wish)
    held = {IPv4Address("10.1.1.8")}
    if refusal is None:
        check_wish(net, address, held)
        return
    with pytest.raises(refusal, match=re.escape(names)) as raised:
        check_wish(net, address, held)
    assert wish in str(raised.value)


def test_ranges_are_drawn_together() -> None:
    addresses = [IPv4Address(f"10.1.1.{host}") for host in (9, 1, 2, 3, 5, 2)]
    assert ranges_text(addresses) == "10.1.1.1-10.1.1.3, 10.1.1.5, 10.1.1.9"
    assert ranges_text([]) == ""


@st.composite
def networks(draw: st.DrawFn) -> Network:
    length = draw(st.integers(24, 31))
    low = draw(st.integers(0, 255))
    high = draw(st.integers(low, 255))
    prefix = IPv4Network((f"10.1.1.{low}", length), strict=False)
    is_range = IPv4Address(f"10.1.1.{high}") in prefix and draw(st.booleans())
    hosts = list(prefix.hosts()) if length < 31 else []
    gateway = draw(st.sampled_from(["", *map(str, hosts)]))
    return network(f"10.1.1.{low}{f'-10.1.1.{high}' if is_range else ''}/{length}", gateway)


@given(networks(), st.integers(0, 2**32))
def test_no_address_is_given_twice_and_a_freed_one_can_be_given(net: Network, seed: int) -> None:
    rng, held, cursor = Random(seed), set[Address](), AllocationCursor(KEY)
    for _ in range(60):
        if held and rng.random() < 0.4:
            held.remove(rng.choice(sorted(held, key=int)))
        elif len(held) < usable(net).size:
            given_address = next_free(net, held, cursor)
            assert given_address not in held
            assert given_address != net.gateway
            assert int(given_address) in usable(net)
            check_wish(net, given_address, held)
            held.add(given_address)
            cursor = AllocationCursor(KEY, last=given_address)
        else:
            with pytest.raises(ExhaustedError):
                next_free(net, held, cursor)


@given(networks(), st.data())
def test_allocated_and_available_make_up_the_subnet(net: Network, data: st.DataObject) -> None:
    numbers = [number for number in range(usable(net).first, usable(net).last + 1) if number in usable(net)]
    assert len(numbers) == usable(net).size
    held = data.draw(st.sets(st.sampled_from(numbers))) if numbers else set()
    allocated = _listed(ranges_text(map(IPv4Address, held)))
    available = _listed(available_text(net, map(IPv4Address, held)))
    assert allocated == sorted(held)
    assert sorted(allocated + available) == numbers


def _listed(text: str) -> list[int]:
    runs = [part.partition("-") for part in text.split(", ") if part]
    ends = [(int(IPv4Address(low)), int(IPv4Address(high or low))) for low, _, high in runs]
    return [number for low, high in ends for number in range(low, high + 1)]
