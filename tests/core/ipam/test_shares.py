"""Who may be given which address of a network, and in which order."""

import re

import pytest

from isthmus.core.errors import ConflictError, ExhaustedError, InvalidError
from isthmus.core.ipam import available_text, check_pool, check_wish, next_free, share_of, size, usable
from isthmus.core.model import Address, AllocationCursor, EndpointGroup, GroupKey, GroupName, Network
from tests.core.ipam.subjects import KEY, TENANT, address, group, network


def cursor(last: str = "", last_v6: str = "") -> AllocationCursor:
    one, two = address(last) if last else None, address(last_v6) if last_v6 else None
    assert one is None or one.version == 4
    assert two is None or two.version == 6
    return AllocationCursor(KEY, last=one, last_v6=two)


def first(
    net: Network, *held: str, after: str = "", groups: tuple[EndpointGroup, ...] = (), of: str | None = None
) -> str:
    """The address that comes next for a member of a group, or of none."""
    share = share_of(net, groups, GroupName(of) if of else None)
    return str(next_free(share, {address(each) for each in held}, cursor(after) if after else None))


def test_the_first_addresses_are_1_2_3_and_the_gateway_is_skipped() -> None:
    net = network("10.1.1.0/24", gateway="10.1.1.2")
    held: set[Address] = set()
    for _ in range(3):
        held.add(next_free(share_of(net, ()), held))
    assert held == {address(f"10.1.1.{host}") for host in (1, 3, 4)}


def test_an_address_just_freed_rests_longest() -> None:
    net, high = network("10.1.1.0/29"), [f"10.1.1.{host}" for host in (4, 5, 6)]
    assert first(net, "10.1.1.2", after="10.1.1.3") == "10.1.1.4"
    assert first(net, *high, after="10.1.1.3") == "10.1.1.1"
    assert first(net, *high, "10.1.1.1", "10.1.1.2", after="10.1.1.3") == "10.1.1.3"


@pytest.mark.parametrize("last", ["10.1.1.6", "10.1.1.200", "9.9.9.9"])
def test_the_search_starts_below_when_nothing_is_above(last: str) -> None:
    assert first(network("10.1.1.0/29"), after=last) == "10.1.1.1"


@pytest.mark.parametrize("subnet", ["10.1.1.0/31", "10.1.1.0-10.1.1.0/24", "10.1.1.255-10.1.1.255/24"])
def test_a_subnet_without_host_addresses_is_exhausted_from_the_start(subnet: str) -> None:
    net = network(subnet)
    assert usable(net) == ()
    with pytest.raises(ExhaustedError, match=f"address exhaustion in subnet {subnet}"):
        first(net)
    assert available_text(net, []) == ""


def test_a_slash_8_costs_no_more_than_a_slash_24() -> None:
    net = network("10.0.0.0/8", gateway="10.0.0.1")
    assert first(net, "10.0.0.2", "10.255.255.254", after="10.255.255.253") == "10.0.0.3"
    assert size(usable(net)) == 2**24 - 3


def test_ipv6_counts_upward_from_the_last_given_and_skips_the_gateway() -> None:
    net = network("10.1.1.0/24", subnet_v6="2001:db8::/64", gateway_v6="2001:db8::2")
    share = share_of(net, ())
    assert str(next_free(share, (), is_v6=True)) == "2001:db8::1"
    assert str(next_free(share, (), cursor(last_v6="2001:db8::1"), is_v6=True)) == "2001:db8::3"
    assert size(usable(net, is_v6=True)) == 2**64 - 2


def test_ipv6_is_not_given_where_the_network_has_none() -> None:
    with pytest.raises(InvalidError, match="default:net has no IPv6 subnet"):
        next_free(share_of(network("10.1.1.0/24"), ()), (), is_v6=True)


def test_a_small_ipv6_subnet_is_exhausted_in_the_end() -> None:
    share = share_of(network("10.1.1.0/24", subnet_v6="2001:db8::/127"), ())
    only = next_free(share, (), is_v6=True)
    assert str(only) == "2001:db8::1"
    with pytest.raises(ExhaustedError, match="2001:db8::/127"):
        next_free(share, {only}, is_v6=True)


DB = group("db", "10.1.1.4-10.1.1.5", "2001:db8::4-2001:db8::5")
APP = group("app", "10.1.1.1-10.1.1.1")
BARE = group("bare")
STRANGER = group("stranger", "10.1.1.7-10.1.1.9", network_name="other")
GROUPS = (DB, APP, BARE, STRANGER)
NET = network("10.1.1.0/24", gateway="10.1.1.254", subnet_v6="2001:db8::/64")


def test_a_groups_first_addresses_are_its_pools_first() -> None:
    assert first(NET, groups=GROUPS, of="db") == "10.1.1.4"
    assert first(NET, "10.1.1.4", groups=GROUPS, of="db") == "10.1.1.5"
    assert first(NET, groups=GROUPS, of="app") == "10.1.1.1"


def test_an_address_freed_in_a_pool_rests_longest_in_it() -> None:
    wide = (group("wide", "10.1.1.4-10.1.1.6"),)
    assert first(NET, groups=wide, of="wide", after="10.1.1.4") == "10.1.1.5"
    assert first(NET, "10.1.1.6", groups=wide, of="wide", after="10.1.1.5") == "10.1.1.4"


def test_a_full_pool_is_exhausted_though_the_network_is_not() -> None:
    with pytest.raises(ExhaustedError, match=r"exhaustion in pool 10\.1\.1\.4-10\.1\.1\.5 of group default:db"):
        first(NET, "10.1.1.4", "10.1.1.5", groups=GROUPS, of="db")


@pytest.mark.parametrize("of", [None, "bare", "unknown"])
def test_who_has_no_pool_gets_what_is_in_no_pool_of_the_network(of: str | None) -> None:
    assert first(NET, groups=GROUPS, of=of) == "10.1.1.2"
    assert first(NET, groups=GROUPS, of=of, after="10.1.1.3") == "10.1.1.6"
    assert first(NET, groups=GROUPS, of=of, after="10.1.1.4") == "10.1.1.6"
    assert first(NET, groups=GROUPS, of=of, after="10.1.1.6") == "10.1.1.7"


def test_a_network_that_is_all_pools_is_exhausted_for_everybody_else() -> None:
    whole = (group("whole", "10.1.1.1-10.1.1.6"),)
    with pytest.raises(ExhaustedError, match=r"subnet 10\.1\.1\.0/29 of network default:net"):
        first(network("10.1.1.0/29"), groups=whole)


def test_each_family_has_its_own_pool_or_none() -> None:
    share = share_of(NET, GROUPS, DB.key.name)
    assert str(next_free(share, (), is_v6=True)) == "2001:db8::4"
    assert str(next_free(share_of(NET, GROUPS, APP.key.name), (), is_v6=True)) == "2001:db8::1"
    others = {address(f"2001:db8::{host}") for host in (1, 2, 3)}
    assert str(next_free(share_of(NET, GROUPS), others, is_v6=True)) == "2001:db8::6"


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
    share, held = share_of(network("10.1.1.0/24", gateway="10.1.1.254"), ()), {address("10.1.1.8")}
    if refusal is None:
        check_wish(share, address(wish), held)
        return
    with pytest.raises(refusal, match=re.escape(names)) as raised:
        check_wish(share, address(wish), held)
    assert wish in str(raised.value)


@pytest.mark.parametrize(
    ("of", "wish", "refusal", "names"),
    [
        ("db", "10.1.1.5", None, ""),
        ("db", "2001:db8::4", None, ""),
        ("bare", "10.1.1.8", None, ""),
        ("app", "2001:db8::6", None, ""),
        ("db", "10.1.1.8", InvalidError, "is not in pool 10.1.1.4-10.1.1.5 of group default:db"),
        ("db", "10.1.1.1", ConflictError, "is for members of group default:app only"),
        (None, "10.1.1.5", ConflictError, "is for members of group default:db only"),
        ("bare", "10.1.1.5", ConflictError, "is for members of group default:db only"),
        (None, "2001:db8::5", ConflictError, "is for members of group default:db only"),
        ("db", "10.1.1.254", ConflictError, "is the gateway"),
        ("db", "10.1.1.255", InvalidError, "is not one that network default:net can give"),
    ],
)
def test_a_wish_keeps_to_the_askers_share(
    of: str | None, wish: str, refusal: type[Exception] | None, names: str
) -> None:
    share = share_of(NET, GROUPS, GroupName(of) if of else None)
    if refusal is None:
        check_wish(share, address(wish), ())
        return
    with pytest.raises(refusal, match=re.escape(names)) as raised:
        check_wish(share, address(wish), ())
    assert wish in str(raised.value)


NEW = GroupKey(TENANT, GroupName("new"))


@pytest.mark.parametrize(
    ("pool", "refusal", "names"),
    [
        ("10.1.1.6-10.1.1.20", None, ""),
        ("10.1.1.253-10.1.1.253", None, ""),
        ("2001:db8::6-2001:db8::ffff:ffff:ffff:ffff", None, ""),
        ("10.1.1.0-10.1.1.3", InvalidError, "network default:net can give: 10.1.1.1-10.1.1.254, subnet 10.1.1.0/24"),
        ("10.1.1.200-10.1.2.3", InvalidError, "not a subset of what network default:net can give"),
        ("10.1.1.200-10.1.1.255", InvalidError, "subnet 10.1.1.0/24"),
        ("2001:db8::-2001:db8::3", InvalidError, "subnet 2001:db8::/64"),
        ("2001:db8:0:1::-2001:db8:0:1::3", InvalidError, "subnet 2001:db8::/64"),
        ("10.1.1.5-10.1.1.9", ConflictError, "overlaps pool 10.1.1.4-10.1.1.5 of group default:db"),
        ("10.1.1.3-10.1.1.9", ConflictError, "overlaps pool 10.1.1.4-10.1.1.5 of group default:db"),
        ("2001:db8::1-2001:db8::4", ConflictError, "overlaps pool 2001:db8::4-2001:db8::5 of group default:db"),
        ("10.1.1.250-10.1.1.254", ConflictError, "address 10.1.1.254 is the gateway of network default:net"),
        ("10.1.1.90-10.1.1.102", ConflictError, "address 10.1.1.100 of network default:net is in use"),
    ],
)
def test_a_pool_must_be_the_networks_to_give_and_nobodys_yet(
    pool: str, refusal: type[Exception] | None, names: str
) -> None:
    span = (group("new", pool_v6=pool) if ":" in pool else group("new", pool)).pools[0]
    held = [address(f"10.1.1.{host}") for host in (101, 100, 21)] + [address("2001:db8::1")]
    if refusal is None:
        check_pool(NEW, span, NET, GROUPS, held)
        return
    with pytest.raises(refusal, match=re.escape(names)) as raised:
        check_pool(NEW, span, NET, GROUPS, held)
    assert f"pool {pool} of group default:new" in str(raised.value)


def test_a_pool_of_a_ranged_network_lies_in_its_range_and_beside_its_gateway() -> None:
    ranged = network("10.1.1.10-10.1.1.20/24", gateway="10.1.1.12")
    with pytest.raises(InvalidError, match=r"10\.1\.1\.10-10\.1\.1\.20, subnet 10\.1\.1\.10-10\.1\.1\.20/24"):
        check_pool(NEW, group("new", "10.1.1.9-10.1.1.11").pools[0], ranged, (), ())
    with pytest.raises(ConflictError, match="gateway"):
        check_pool(NEW, group("new", "10.1.1.11-10.1.1.13").pools[0], ranged, (), ())
    check_pool(NEW, group("new", "10.1.1.13-10.1.1.20").pools[0], ranged, (), ())


def test_an_ipv6_pool_needs_an_ipv6_subnet_and_a_slash_31_has_nothing_for_a_pool() -> None:
    with pytest.raises(InvalidError, match="nothing, subnet none for IPv6"):
        check_pool(NEW, group("new", pool_v6="2001:db8::1-2001:db8::2").pools[0], network("10.1.1.0/24"), (), ())
    with pytest.raises(InvalidError, match=r"nothing, subnet 10\.1\.1\.0/31"):
        check_pool(NEW, group("new", "10.1.1.0-10.1.1.1").pools[0], network("10.1.1.0/31"), (), ())


def test_a_group_is_no_obstacle_to_its_own_pool() -> None:
    check_pool(DB.key, DB.pools[0], NET, GROUPS, ())
