"""What operators read of held and free addresses."""

from isthmus.core.ipam import allocated_text, available_text, group_allocated_text, group_available_text, ranges_text
from isthmus.core.model import Address, Endpoint, EndpointId, NodeName, mac_of
from tests.core.ipam.subjects import KEY, address, group, network

NET = network("10.1.1.0/24", gateway="10.1.1.254", subnet_v6="2001:db8::/64")
DB = group("db", "10.1.1.4-10.1.1.7", "2001:db8::8-2001:db8::9")
BARE = group("bare")
GROUPS = (DB, BARE, group("stranger", "10.1.1.20-10.1.1.30", network_name="other"))
CLAIMS = [address(text) for text in ("10.1.1.254", "10.1.1.1", "10.1.1.2", "10.1.1.5", "10.1.1.9", "2001:db8::8")]


def test_ranges_are_drawn_together() -> None:
    addresses = [address(f"10.1.1.{host}") for host in (9, 1, 2, 3, 5, 2)]
    assert ranges_text(addresses) == "10.1.1.1-10.1.1.3, 10.1.1.5, 10.1.1.9"
    assert ranges_text([]) == ""
    assert ranges_text([address("2001:db8::2"), address("2001:db8::1")]) == "2001:db8::1-2001:db8::2"


def test_a_networks_allocated_addresses_are_gateway_claims_and_pools() -> None:
    assert allocated_text(NET, CLAIMS, GROUPS) == "10.1.1.1-10.1.1.2, 10.1.1.4-10.1.1.7, 10.1.1.9, 10.1.1.254"
    assert available_text(NET, CLAIMS, GROUPS) == "10.1.1.3, 10.1.1.8, 10.1.1.10-10.1.1.253"
    assert allocated_text(NET, []) == "10.1.1.254"


def test_ipv6_is_listed_by_itself() -> None:
    assert allocated_text(NET, CLAIMS, GROUPS, is_v6=True) == "2001:db8::8-2001:db8::9"
    available = "2001:db8::1-2001:db8::7, 2001:db8::a-2001:db8::ffff:ffff:ffff:ffff"
    assert available_text(NET, CLAIMS, GROUPS, is_v6=True) == available
    assert available_text(network("10.1.1.0/24"), [], is_v6=True) == ""


def test_a_group_with_a_pool_lists_its_pool() -> None:
    assert group_allocated_text(DB, CLAIMS, []) == "10.1.1.5"
    assert group_available_text(DB, NET, CLAIMS, GROUPS) == "10.1.1.4, 10.1.1.6-10.1.1.7"
    assert group_allocated_text(DB, CLAIMS, [], is_v6=True) == "2001:db8::8"
    assert group_available_text(DB, NET, CLAIMS, GROUPS, is_v6=True) == "2001:db8::9"


def test_a_group_without_a_pool_lists_its_members_and_what_everybody_may_get() -> None:
    members = [endpoint("10.1.1.2", "bare"), endpoint("10.1.1.1", None), endpoint("10.1.1.9", "bare")]
    assert group_allocated_text(BARE, CLAIMS, members) == "10.1.1.2, 10.1.1.9"
    assert group_available_text(BARE, NET, CLAIMS, GROUPS) == available_text(NET, CLAIMS, GROUPS)


def test_a_slash_8_costs_no_more_than_a_slash_24() -> None:
    held: list[Address] = [address("10.0.0.2"), address("10.255.255.254")]
    assert available_text(network("10.0.0.0/8", gateway="10.0.0.1"), held) == "10.0.0.3-10.255.255.253"


def endpoint(text: str, name: str | None) -> Endpoint:
    where = address(text)
    assert where.version == 4
    group_name = group(name).key.name if name else None
    return Endpoint(EndpointId(text), KEY, NodeName("n"), mac_of(where), where, group=group_name)
