"""Which wishes for tenants and networks become records."""

import re
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

import pytest

from isthmus.core.admit.decision import Decision
from isthmus.core.admit.networks import NetworkRequest, admit_network, admit_network_removal
from isthmus.core.admit.tenants import admit_tenant, admit_tenant_removal
from isthmus.core.errors import ConflictError, InvalidError, IsthmusError, NotFoundError
from isthmus.core.ipam import parse_subnet, parse_subnet_v6
from isthmus.core.model import (
    DEFAULT_TENANT,
    AddressClaim,
    ClaimPurpose,
    Encap,
    Endpoint,
    EndpointId,
    Mac,
    Network,
    NetworkKey,
    NetworkName,
    NetworkType,
    NodeName,
    Record,
    Tag,
    TagOwner,
    Tenant,
    TenantName,
)
from isthmus.core.world import Change, World, evolve

TENANT = Tenant(DEFAULT_TENANT)


def world(*records: Record) -> World:
    """A world of these records; a network's tag is taken by it."""
    owners = (TagOwner(each.encap, each.tag, each.key) for each in records if isinstance(each, Network))
    return evolve(World(), map(Change, (*records, *owners)), 1).world


def key(name: str) -> NetworkKey:
    return NetworkKey(DEFAULT_TENANT, NetworkName(name))


def request(name: str = "net", subnet: str = "10.1.1.0/24") -> NetworkRequest:
    return NetworkRequest(key(name), Encap.VXLAN, parse_subnet(subnet))


def admitted(wish: NetworkRequest, *others: Network) -> Network:
    return admit_network(wish, world(TENANT, *others)).outcome


def endpoint(number: int, container: str = "") -> Endpoint:
    node = NodeName(f"node{number % 2 + 1}")
    address = IPv4Address(f"10.1.1.{number}")
    return Endpoint(EndpointId(f"{number:064x}"), key("net"), node, Mac(""), address, container=container)


def test_a_network_is_written_with_its_tag_and_its_gateways() -> None:
    wish = replace(
        request(),
        gateway=IPv4Address("10.1.1.254"),
        subnet_v6=parse_subnet_v6("2001:db8::/64"),
        gateway_v6=IPv6Address("2001:db8::1"),
    )
    decision = admit_network(wish, world(TENANT))
    assert decision.put == (
        decision.outcome,
        TagOwner(Encap.VXLAN, Tag(1), key("net")),
        AddressClaim(key("net"), IPv4Address("10.1.1.254"), ClaimPurpose.GATEWAY),
        AddressClaim(key("net"), IPv6Address("2001:db8::1"), ClaimPurpose.GATEWAY),
    )


def test_the_tag_in_force_and_the_one_asked_for_are_kept_apart() -> None:
    network = admitted(request("other", "10.1.2.0/24"), admitted(request()))
    assert (network.tag, network.configured_tag) == (2, 0)
    wished = admitted(replace(request(), configured_tag=7))
    assert (wished.tag, wished.configured_tag) == (7, 7)


def test_asking_again_for_the_same_network_gives_the_one_that_is_there() -> None:
    existing = admitted(request())
    assert admitted(request(), existing) is existing


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"encap": Encap.VLAN}, "encap"),
        ({"subnet": parse_subnet("10.1.1.1/24")}, "subnet"),
        ({"gateway": IPv4Address("10.1.1.1")}, "gateway"),
        ({"subnet_v6": parse_subnet_v6("2001:db8::/64")}, "subnet v6"),
        ({"configured_tag": 1}, "configured tag"),
        ({"nw_type": NetworkType.INFRA}, "nw type"),
        ({"label": "x"}, "label"),
    ],
)
def test_a_network_never_changes(change: dict[str, object], named: str) -> None:
    with pytest.raises(ConflictError, match=rf"network default:net exists .*\({named}\).*cannot be changed"):
        admitted(replace(request(), **change), admitted(request()))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"gateway": IPv4Address("10.1.2.1")}, "gateway 10.1.2.1 of network default:net"),
        ({"gateway": IPv4Address("10.1.1.0")}, "no host address of 10.1.1.0/24"),
        ({"gateway": IPv4Address("10.1.1.255")}, "no host address of 10.1.1.0/24"),
        ({"gateway_v6": IPv6Address("2001:db8::1")}, "has an IPv6 gateway but no IPv6 subnet"),
        (
            {"subnet_v6": parse_subnet_v6("2001:db8::/64"), "gateway_v6": IPv6Address("2001:db8:1::1")},
            "IPv6 gateway 2001:db8:1::1 of network default:net is no host address of 2001:db8::/64",
        ),
    ],
)
def test_a_gateway_is_a_host_of_its_subnet(change: dict[str, object], text: str) -> None:
    with pytest.raises(InvalidError, match=re.escape(text)):
        admitted(replace(request(), **change))  # type: ignore[arg-type]


def test_a_gateway_may_lie_outside_the_range_but_within_the_prefix() -> None:
    wish = replace(request(subnet="10.1.1.10-10.1.1.20/24"), gateway=IPv4Address("10.1.1.1"))
    assert admitted(wish).gateway == IPv4Address("10.1.1.1")


def test_overlapping_subnets_of_a_tenant_are_refused_with_both_names() -> None:
    with pytest.raises(ConflictError, match=r"10\.1\.1\.0/24 of network default:b .*10\.1\.0\.0/16 .*default:a"):
        admitted(request("b"), admitted(request("a", "10.1.0.0/16")))


def test_overlapping_ipv6_subnets_of_a_tenant_are_refused_with_both_names() -> None:
    first = admitted(replace(request("a"), subnet_v6=parse_subnet_v6("2001:db8::/48")))
    wish = replace(request("b", "10.1.2.0/24"), subnet_v6=parse_subnet_v6("2001:db8::/64"))
    with pytest.raises(ConflictError, match=r"2001:db8::/64 of network default:b overlaps .*default:a"):
        admitted(wish, first)


def test_a_network_needs_its_tenant() -> None:
    with pytest.raises(NotFoundError, match="tenant default not found"):
        admit_network(request(), world())


def test_a_network_in_use_stays_and_the_refusal_says_who_where() -> None:
    users = [endpoint(2, "web"), endpoint(1, "db"), endpoint(3)]
    with pytest.raises(ConflictError) as refusal:
        admit_network_removal(key("net"), world(admitted(request()), *users))
    assert str(refusal.value) == (
        "network default:net is in use by 3 containers: web (10.1.1.2 on node1), "
        "db (10.1.1.1 on node2), 000000000000 (10.1.1.3 on node2)"
    )


def test_a_long_list_of_users_is_cut() -> None:
    with pytest.raises(ConflictError, match=r"in use by 30 containers: .* and 20 more$"):
        admit_network_removal(key("net"), world(admitted(request()), *map(endpoint, range(1, 31))))


def test_an_empty_network_may_go_and_an_absent_one_is_named() -> None:
    network = admitted(request())
    assert admit_network_removal(key("net"), world(network)).remove[0] is network
    with pytest.raises(NotFoundError, match="network default:net not found"):
        admit_network_removal(key("net"), world())


def test_asking_again_for_the_same_tenant_is_harmless_and_another_is_refused() -> None:
    blue = Tenant(TenantName("blue"), "net")
    assert admit_tenant(blue, world()) == Decision(blue, put=(blue,))
    assert admit_tenant(blue, world(blue)) == Decision(blue)
    with pytest.raises(ConflictError, match="tenant blue exists with other parameters"):
        admit_tenant(Tenant(TenantName("blue")), world(blue))


@pytest.mark.parametrize(
    ("name", "refusal", "text"),
    [
        ("red", NotFoundError, "tenant red not found"),
        ("default", ConflictError, "tenant default cannot be deleted"),
        ("blue", ConflictError, "it has 1 network: net"),
    ],
)
def test_a_tenant_that_must_stay_is_refused_by_name(name: str, refusal: type[IsthmusError], text: str) -> None:
    blue = Tenant(TenantName("blue"))
    network = replace(admitted(request()), key=NetworkKey(blue.name, NetworkName("net")))
    with pytest.raises(refusal, match=text):
        admit_tenant_removal(TenantName(name), world(TENANT, blue, network))


def test_an_empty_tenant_may_go() -> None:
    blue = Tenant(TenantName("blue"))
    assert admit_tenant_removal(blue.name, world(blue)) == Decision(blue, remove=(blue,))
