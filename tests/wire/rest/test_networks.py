"""REST bodies to core values and back."""

import json
import re
from ipaddress import IPv4Address, IPv6Address
from typing import Any

import pytest

from isthmus.core.admit.networks import NetworkRequest, admit_network
from isthmus.core.errors import InvalidError
from isthmus.core.ipam import parse_subnet, parse_subnet_v6
from isthmus.core.model import (
    AddressClaim,
    ClaimPurpose,
    Encap,
    Endpoint,
    EndpointId,
    Network,
    NetworkKey,
    NetworkName,
    NetworkType,
    Node,
    NodeName,
    Range,
    Record,
    Settings,
    Tag,
    TagOwner,
    Tenant,
    TenantName,
    mac_of,
)
from isthmus.core.world import Change, World, evolve
from isthmus.wire.rest import answers, requests
from isthmus.wire.rest.opers import global_oper, network_oper, tenant_oper
from isthmus.wire.rest.states import NetworkInspection, NodeOper
from isthmus.wire.rest.view import view_of

KEY = NetworkKey(TenantName("blue"), NetworkName("net"))
LEAST = {"tenantName": "blue", "networkName": "net", "encap": "vxlan", "subnet": "10.1.1.0/24"}
ALL = {
    **LEAST,
    "nwType": "infra",
    "pktTag": 7,
    "gateway": "10.1.1.254",
    "ipv6Subnet": "2001:db8::/64",
    "ipv6Gateway": "2001:db8::1",
    "cfgdTag": "label.one",
    "multicast": "drop",
}
WISH = NetworkRequest(
    KEY,
    Encap.VXLAN,
    parse_subnet("10.1.1.0/24"),
    IPv4Address("10.1.1.254"),
    parse_subnet_v6("2001:db8::/64"),
    IPv6Address("2001:db8::1"),
    7,
    NetworkType.INFRA,
    "label.one",
    False,
)


NOTHING = view_of(World())


def parsed(fields: dict[str, Any], key: str = "blue:net") -> NetworkRequest:
    return requests.parse_network(json.dumps(fields).encode(), key)


def admitted(wish: NetworkRequest) -> Network:
    return admit_network(wish, evolve(World(), [Change(Tenant(KEY.tenant))], 1).world).outcome


def test_every_field_of_a_network_is_understood() -> None:
    assert parsed(ALL) == WISH


def test_what_is_absent_null_or_unknown_does_not_matter() -> None:
    least = NetworkRequest(KEY, Encap.VXLAN, parse_subnet("10.1.1.0/24"))
    noise: dict[str, object] = {
        "gateway": None,
        "pktTag": None,
        "key": "blue:net",
        "links": {},
        "link-sets": {},
        "colour": 1,
    }
    assert parsed(LEAST) == parsed({**LEAST, **noise}) == least


def test_an_answer_asks_for_the_same_network_again() -> None:
    for wish in (WISH, parsed(LEAST)):
        body = answers.render(answers.network_body(admitted(wish), NOTHING))
        assert parsed(dict(body)) == wish


def test_an_answer_leaves_zero_values_out_and_links_in() -> None:
    assert answers.render(answers.network_body(admitted(parsed(LEAST)), NOTHING)) == {
        "key": "blue:net",
        **LEAST,
        "nwType": "data",
        "link-sets": {},
        "links": {"Tenant": {"type": "tenant", "key": "blue"}},
    }


LABEL_63 = "a" * 63
# One row for each rule of a field: the field, a value that it cannot have, and what the refusal says of it.
WRONG_FIELDS = [
    ("networkName", "a_b", "invalid format: it takes letters, digits and inner dashes"),
    ("networkName", "-a", "invalid format"),
    ("networkName", "a-", "invalid format"),
    ("networkName", "a..b", "invalid format"),
    ("networkName", ".a", "invalid format"),
    ("networkName", "a b", "invalid format"),
    ("networkName", "a/b", "invalid format"),
    ("networkName", "ä", "invalid format"),
    ("networkName", "a\n", "invalid format"),
    ("networkName", "a" * 65, "too long: 65 characters, at most 64 are allowed"),
    ("networkName", "", "must be given"),
    ("networkName", 5, "is not a text"),
    ("tenantName", "b_c", "invalid format"),
    ("tenantName", "b" * 65, "at most 64"),
    ("tenantName", "", "must be given"),
    ("nwType", "dat", "invalid format: it is data or infra"),
    ("encap", "gre", "invalid format: it is vxlan or vlan"),
    ("encap", "", "must be given"),
    ("encap", True, "is not a text"),
    ("pktTag", 16777217, "out of bounds: 0 to 16777216"),
    ("pktTag", -1, "out of bounds: 0 to 16777216"),
    ("pktTag", "7", "is not a whole number"),
    ("pktTag", 7.5, "is not a whole number"),
    ("pktTag", True, "is not a whole number"),
    ("pktTag", 10**30, "out of bounds"),
    ("subnet", "", "must be given"),
    ("subnet", "10.1.1.0/32", "32 is not in 8 to 31"),
    ("subnet", "10.1.1.0/7", "7 is not in 8 to 31"),
    ("subnet", "10.1.1.0", "A.B.C.D/LEN"),
    ("subnet", ["10.1.1.0/24"], "is not a text"),
    ("gateway", "10.1.1", "invalid format: it takes an IPv4 address"),
    ("gateway", "2001:db8::1", "invalid format: it takes an IPv4 address"),
    ("ipv6Subnet", "2001:db8::/128", "128 is not in 1 to 127"),
    ("ipv6Gateway", "10.1.1.1", "invalid format: it takes an IPv6 address"),
    ("cfgdTag", "a_b", "invalid format"),
    ("multicast", "no", "invalid format: it is flood or drop"),
    ("cfgdTag", "a" * 129, "too long: 129 characters, at most 128 are allowed"),
]


@pytest.mark.parametrize(("field", "value", "text"), WRONG_FIELDS)
def test_a_wrong_field_is_named_with_its_value_and_limit(field: str, value: object, text: str) -> None:
    with pytest.raises(InvalidError, match=re.escape(text)) as refusal:
        parsed({**ALL, field: value})
    said = str(refusal.value)
    assert field in said or field.removeprefix("ipv6").lower() in said.lower()
    if value:
        assert json.dumps(value)[:20] in said or str(value) in said


@pytest.mark.parametrize("name", ["a", "A9", "a-b", "a--b", "a.b-c.d", "1", f"{'a' * 31}.{'b' * 32}", "contiv-net"])
def test_names_of_dotted_labels_are_taken(name: str) -> None:
    assert parsed({**LEAST, "networkName": name}, f"blue:{name}").key.name == name


def test_all_wrong_fields_are_named_at_once() -> None:
    with pytest.raises(InvalidError, match=r'encap "gre" .*; pktTag "x" '):
        parsed({**LEAST, "encap": "gre", "pktTag": "x"})


def test_a_wrong_value_is_shown_only_in_part_when_it_is_long() -> None:
    with pytest.raises(InvalidError) as refusal:
        parsed({**LEAST, "cfgdTag": "a" * 100_000})
    assert len(str(refusal.value)) < 300


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b'"x"', b"\xff{}", b"[" * 100_000, b'{"a":1}{}', b"9" * 5000]
)
def test_what_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidError, match="the request's body is not"):
        requests.parse_network(body, "blue:net")


@pytest.mark.parametrize("key", ["net", "blue:other", "default:net", "blue:net:", ""])
def test_the_urls_key_is_the_bodys(key: str) -> None:
    with pytest.raises(InvalidError, match="invalid key"):
        parsed(LEAST, key)
    with pytest.raises(InvalidError, match="invalid key"):
        requests.parse_tenant(b'{"tenantName": "red"}', key)


@pytest.mark.parametrize("key", ["net", ":net", "blue:", "a:b:c", ""])
def test_a_network_key_names_tenant_and_network(key: str) -> None:
    with pytest.raises(InvalidError, match="TENANT:NAME"):
        requests.parse_network_key(key)
    assert requests.parse_network_key("blue:net") == KEY


def test_a_tenant_there_and_back() -> None:
    tenant = Tenant(TenantName("blue"), "net")
    body = answers.render(answers.tenant_body(tenant, view_of(evolve(World(), [Change(admitted(WISH))], 1).world)))
    assert body["link-sets"] == {"Networks": {"blue:net": {"type": "network", "key": "blue:net"}}}
    assert requests.parse_tenant(json.dumps(body).encode(), "blue") == tenant


def test_the_settings_show_their_ranges() -> None:
    body = answers.render(answers.global_body(Settings(vlans=Range(2, 9)), NOTHING))
    assert (body["key"], body["vlans"], body["vxlans"]) == ("global", "2-9", "1-10000")


def world_with_one_container() -> tuple[World, Network]:
    network = admitted(WISH)
    address = IPv4Address("10.1.1.1")
    node = NodeName("node1")
    endpoint = Endpoint(
        EndpointId("e" * 64), KEY, node, mac_of(address), address, IPv6Address("2001:db8::5"), container="web"
    )
    claims = (
        AddressClaim(KEY, address, ClaimPurpose.LEASE, node, endpoint.id),
        AddressClaim(KEY, IPv6Address("2001:db8::5"), ClaimPurpose.LEASE, node, endpoint.id),
        AddressClaim(KEY, IPv4Address("10.1.1.254"), ClaimPurpose.GATEWAY),
    )
    reporting = Node(node, IPv4Address("192.168.2.10"), "0.1.0")
    records: tuple[Record, ...] = (Tenant(KEY.tenant), network, endpoint, *claims, reporting)
    return evolve(World(), map(Change, records), 1).world, network


def test_a_networks_state_counts_what_is_held_and_what_is_left() -> None:
    world, network = world_with_one_container()
    oper = answers.render(network_oper(network, world))
    endpoints = oper["endpoints"]
    assert {name: value for name, value in oper.items() if name != "endpoints"} == {
        "allocatedAddressesCount": 2,
        "allocatedIPAddresses": "10.1.1.1, 10.1.1.254",
        "availableIPAddresses": "10.1.1.2-10.1.1.253",
        "externalPktTag": 7,
        "networkTag": "label.one",
        "numEndpoints": 1,
        "pktTag": 7,
    }
    assert endpoints == [
        {
            "containerName": "web",
            "endpointID": "e" * 64,
            "homingHost": "node1",
            "intfName": "ish" + "e" * 12,
            "ipAddress": ["10.1.1.1", "2001:db8::5"],
            "macAddress": "02:02:0a:01:01:01",
            "network": "net.blue",
            "networkName": "net",
            "tenantName": "blue",
            "vtepIP": "192.168.2.10",
        }
    ]


def test_a_tenants_state_sums_its_networks_up() -> None:
    world, _ = world_with_one_container()
    oper = tenant_oper(Tenant(KEY.tenant), world)
    assert (oper.totalNetworks, oper.totalEndpoints, len(oper.networks)) == (1, 1, 1)
    assert tenant_oper(Tenant(TenantName("red")), world).totalNetworks == 0


def test_the_clusters_state_lists_the_tags_in_use() -> None:
    held = [(Encap.VLAN, 11), (Encap.VLAN, 10), (Encap.VLAN, 300), (Encap.VXLAN, 1)]
    owners = [Change(TagOwner(encap, Tag(tag), KEY)) for encap, tag in held]
    oper = global_oper(Settings(), evolve(World(), [*owners, Change(admitted(WISH))], 1).world)
    assert (oper.numNetworks, oper.vlansInUse, oper.vxlansInUse, oper.freeVXLANsStart) == (1, "10-11, 300", "1", 2)


def test_an_inspection_says_of_every_node_whether_it_is_ready() -> None:
    world, network = world_with_one_container()
    nodes = [NodeOper(name="a", ready=True), NodeOper(name="b", ready=False, problem="no engine")]
    oper = network_oper(network, world).model_copy(update={"nodes": nodes})
    shown = answers.render(NetworkInspection(Config=answers.network_body(network, NOTHING), Oper=oper))
    assert list(shown) == ["Config", "Oper"]
    assert shown["Oper"]["nodes"] == [
        {"name": "a", "ready": True},
        {"name": "b", "ready": False, "problem": "no engine"},
    ]
