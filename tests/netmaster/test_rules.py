"""Every rule for tenants and networks, on a real netmaster: status, text, and nothing half created."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from ipaddress import IPv4Address
from typing import TYPE_CHECKING

import pytest

from isthmus.core.model import Endpoint, EndpointId, NetworkKey, NetworkName, NodeName, TenantName, mac_of
from isthmus.edge.store import Put, Store
from isthmus.netmaster.app import ROUTES
from isthmus.wire import keys

if TYPE_CHECKING:
    from tests.netmaster.conftest import Master

pytestmark = pytest.mark.root

Dump = Callable[[], Awaitable[dict[str, bytes]]]

NET = {"tenantName": "default", "networkName": "net", "encap": "vxlan", "subnet": "10.1.1.0/24"}
LONG = "a" * 65
OVERLAP = "10.9.0.128-10.9.0.140/24"

# What is there: tenants default and blue, network default:old. Each row: what it must refuse a POST of a network
# for, the fields that differ from NET, the status, and what the text names.
NETWORK_RULES = [
    ("name format", {"networkName": "a_b"}, 400, ["networkName", '"a_b"', "letters, digits"]),
    ("name length", {"networkName": LONG}, 400, ["networkName", "65", "at most 64"]),
    ("name missing", {"networkName": None}, 400, ["networkName", "must be given"]),
    ("tenant format", {"tenantName": "-b"}, 400, ["tenantName", '"-b"']),
    ("tenant length", {"tenantName": LONG}, 400, ["tenantName", "at most 64"]),
    ("tenant missing", {"tenantName": None}, 400, ["tenantName", "must be given"]),
    ("tenant unknown", {"tenantName": "red"}, 404, ["tenant red not found"]),
    ("type", {"nwType": "mgmt"}, 400, ["nwType", '"mgmt"', "data or infra"]),
    ("encap", {"encap": "gre"}, 400, ["encap", '"gre"', "vxlan or vlan"]),
    ("encap missing", {"encap": None}, 400, ["encap", "must be given"]),
    ("tag bound", {"pktTag": 16777217}, 400, ["pktTag", "16777217", "0 to 16777216"]),
    ("tag below", {"pktTag": -1}, 400, ["pktTag", "-1", "0 to 16777216"]),
    ("tag type", {"pktTag": "7"}, 400, ["pktTag", '"7"', "whole number"]),
    ("vni range", {"pktTag": 10001}, 400, ["vxlan 10001", "1-10000"]),
    ("vlan range", {"pktTag": 4095, "encap": "vlan"}, 400, ["vlan 4095", "1-4094"]),
    ("vni held", {"pktTag": 50}, 409, ["vxlan 50", "network default:old holds it"]),
    ("subnet missing", {"subnet": None}, 400, ["subnet", "must be given"]),
    ("subnet form", {"subnet": "10.1.1.0"}, 400, ['subnet "10.1.1.0"', "A.B.C.D/LEN"]),
    ("subnet octet", {"subnet": "10.1.300.0/24"}, 400, ["10.1.300.0", "not an IPv4 address"]),
    ("subnet too wide", {"subnet": "10.0.0.0/7"}, 400, ["10.0.0.0/7", "8 to 31"]),
    ("subnet too narrow", {"subnet": "10.1.1.1/32"}, 400, ["10.1.1.1/32", "8 to 31"]),
    ("range leaves", {"subnet": "10.1.1.9-10.1.2.9/24"}, 400, ["10.1.2.9", "outside 10.1.1.0/24"]),
    ("range reversed", {"subnet": "10.1.1.9-10.1.1.8/24"}, 400, ["10.1.1.9-10.1.1.8/24", "ends before"]),
    ("overlap", {"subnet": OVERLAP}, 409, [OVERLAP, "default:net", "10.9.0.0/16", "default:old"]),
    ("gateway form", {"gateway": "10.1.1"}, 400, ["gateway", '"10.1.1"', "IPv4"]),
    ("gateway outside", {"gateway": "10.1.2.1"}, 400, ["gateway 10.1.2.1", "default:net", "10.1.1.0/24"]),
    ("gateway network", {"gateway": "10.1.1.0"}, 400, ["gateway 10.1.1.0", "10.1.1.0/24"]),
    ("v6 form", {"ipv6Subnet": "x"}, 400, ['IPv6 subnet "x"', "ADDRESS/LEN"]),
    ("v6 length 0", {"ipv6Subnet": "2001:db8::/0"}, 400, ["2001:db8::/0", "1 to 127"]),
    ("v6 length 128", {"ipv6Subnet": "2001:db8::/128"}, 400, ["2001:db8::/128", "1 to 127"]),
    ("v6 overlap", {"ipv6Subnet": "2001:db8::/99"}, 409, ["2001:db8::/99", "2001:db8::/64", "default:old"]),
    ("v6 gateway form", {"ipv6Gateway": "10.1.1.1"}, 400, ["ipv6Gateway", '"10.1.1.1"', "IPv6"]),
    ("v6 gateway alone", {"ipv6Gateway": "fd00::1"}, 400, ["default:net", "no IPv6 subnet"]),
    (
        "v6 gateway outside",
        {"ipv6Subnet": "fd00::/64", "ipv6Gateway": "fd00:1::1"},
        400,
        ["fd00:1::1", "default:net", "fd00::/64"],
    ),
    ("label format", {"cfgdTag": "a b"}, 400, ["cfgdTag", '"a b"']),
    ("label length", {"cfgdTag": "a" * 129}, 400, ["cfgdTag", "129", "at most 128"]),
    ("multicast word", {"multicast": "yes"}, 400, ["multicast", '"yes"', "flood or drop"]),
    ("multicast of a vlan", {"multicast": "drop", "encap": "vlan"}, 400, ["default:net", "VLAN", "multicast"]),
    ("no change", {"networkName": "old"}, 409, ["default:old", "cannot be changed", "subnet"]),
]


@pytest.fixture
async def furnished(master: Master, store: Store) -> Master:
    assert master.post_tenant("blue").status == 200
    old = master.post_network("default:old", "10.9.0.0/16", ipv6Subnet="2001:db8::/64", pktTag=50)
    assert old.status == 200
    return master


@pytest.mark.parametrize(("fields", "status", "names"), [row[1:] for row in NETWORK_RULES])
async def test_a_network_is_refused(
    furnished: Master, dump: Dump, fields: dict[str, object], status: int, names: list[str]
) -> None:
    before = await dump()
    body = {name: value for name, value in (NET | fields).items() if value is not None}
    key = f"{body.get('tenantName', 'default')}:{body.get('networkName', 'net')}"
    reply = furnished.ask("POST", f"/api/v1/networks/{key}/", body)
    assert reply.status == status, reply.text
    assert [name for name in names if name not in reply.text] == []
    assert reply.headers["content-type"].startswith("text/plain")
    assert await dump() == before


@pytest.mark.parametrize(
    ("path", "body", "names"),
    [
        ("networks/default:other/", NET, ["invalid key", "default:other", "default:net"]),
        ("networks/net/", NET, ["invalid key", '"net"']),
        ("tenants/red/", {"tenantName": "green"}, ["invalid key", "red", "green"]),
        ("tenants/red/", b"not json", ["body is not JSON"]),
        ("tenants/red/", b"[]", ["not a JSON object"]),
        ("tenants/a_b/", {"tenantName": "a_b"}, ["tenantName", '"a_b"', "letters, digits"]),
        (f"tenants/{LONG}/", {"tenantName": LONG}, ["tenantName", "at most 64"]),
        ("tenants/red/", {"tenantName": 5}, ["tenantName", "5", "not a text"]),
        ("tenants/red/", {}, ["tenantName", "must be given"]),
    ],
)
async def test_a_request_is_refused(furnished: Master, dump: Dump, path: str, body: object, names: list[str]) -> None:
    before = await dump()
    reply = furnished.ask("POST", f"/api/v1/{path}", body)
    assert reply.status == 400
    assert [name for name in names if name not in reply.text] == []
    assert await dump() == before


@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_posting_the_same_again_is_harmless(furnished: Master, dump: Dump, method: str) -> None:
    net = json.dumps(NET).encode()
    created = furnished.ask(method, "/api/v1/networks/default:net/", net)
    before = await dump()
    again = furnished.ask(method, "/api/v1/networks/default:net/", net)
    assert (created.status, again.status) == (200, 200)
    assert again.json == created.json
    assert furnished.post_tenant("blue").json["key"] == "blue"
    assert await dump() == before


def test_a_tenant_never_changes(furnished: Master) -> None:
    reply = furnished.post("tenants", "blue", tenantName="blue", defaultNetwork="net")
    assert (reply.status, "tenant blue exists" in reply.text) == (409, True)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("tenants/red/", "tenant red not found"),
        ("networks/default:red/", "network default:red not found"),
        ("networks/red:old/", "network red:old not found"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_what_is_not_there_is_not_found(furnished: Master, method: str, path: str, text: str) -> None:
    reply = furnished.ask(method, f"/api/v1/{path}")
    assert (reply.status, reply.text.strip()) == (404, text)
    if method == "GET":
        assert furnished.ask("GET", f"/api/v1/inspect/{path}").status == 404


async def test_deleting_a_tenant_is_refused_while_it_has_networks(furnished: Master, dump: Dump) -> None:
    furnished.post_network("blue:net", "10.9.0.0/16")
    before = await dump()
    reply = furnished.ask("DELETE", "/api/v1/tenants/blue/")
    assert (reply.status, reply.text) == (409, "cannot delete tenant blue: it has 1 network: net\n")
    assert furnished.ask("DELETE", "/api/v1/tenants/default/").status == 409
    assert await dump() == before


async def test_deleting_a_network_is_refused_while_containers_use_it(
    furnished: Master, store: Store, dump: Dump
) -> None:
    address = IPv4Address("10.9.0.1")
    key = NetworkKey(TenantName("default"), NetworkName("old"))
    user = Endpoint(EndpointId("e" * 64), key, NodeName("node2"), mac_of(address), address, container="web")
    await store.commit((), (Put(keys.key_of(user), keys.render(user)),))
    before = await dump()
    reply = furnished.ask("DELETE", "/api/v1/networks/default:old/")
    assert reply.status == 409
    assert reply.text == "network default:old is in use by 1 container: web (10.9.0.1 on node2)\n"
    assert await dump() == before


async def test_what_is_created_and_deleted_leaves_nothing_behind(furnished: Master, dump: Dump) -> None:
    before = await dump()
    assert furnished.post_tenant("red").status == 200
    fields = {"gateway": "10.1.1.254", "ipv6Subnet": "2001:db8::/64", "ipv6Gateway": "2001:db8::1"}
    assert furnished.post_network("red:net", "10.1.1.0/24", **fields).status == 200
    assert furnished.ask("DELETE", "/api/v1/networks/red:net/").json == "red:net"
    assert furnished.ask("DELETE", "/api/v1/tenants/red/").json == "red"
    assert await dump() == before


def test_tenants_may_have_the_same_network_and_each_gets_its_own_tag(furnished: Master) -> None:
    tags = []
    for tenant in ("default", "blue"):
        assert furnished.post_network(f"{tenant}:net", "10.1.1.0/24").status == 200
        tags.append(furnished.ask("GET", f"/api/v1/inspect/networks/{tenant}:net/").json["Oper"]["pktTag"])
    assert tags == [1, 2]


def test_lists_are_sorted_and_every_path_may_lack_its_last_slash(furnished: Master) -> None:
    for name, subnet in (("z", "10.1.1.0/24"), ("b", "10.1.2.0/24"), ("m", "10.1.3.0/24")):
        furnished.post_network(f"default:{name}", subnet)
    networks = [each["networkName"] for each in furnished.ask("GET", "/api/v1/networks").json]
    tenants = furnished.ask("GET", "/api/v1/tenants/").json
    assert networks == ["b", "m", "old", "z"]
    assert [each["tenantName"] for each in tenants] == ["blue", "default"]
    assert list(tenants[1]["link-sets"]["Networks"]) == [f"default:{name}" for name in networks]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/v1/bananas/", 404),
        ("POST", "/api/v1/bananas/x/", 404),
        ("GET", "/api/v1/inspect/bananas/x", 404),
        ("GET", "/api/v1/globals/other", 404),
        ("GET", "/nothing", 404),
        ("DELETE", "/api/v1/globals/global", 405),
        ("DELETE", "/api/v1/tenants/", 405),
        ("GET", "/api/v1/networks/net", 400),
    ],
)
def test_what_does_not_exist_is_said_in_plain_text(furnished: Master, method: str, path: str, status: int) -> None:
    reply = furnished.ask(method, path)
    assert (reply.status, reply.headers["content-type"]) == (status, "text/plain; charset=utf-8")
    assert reply.text.strip()


def test_the_settings_are_read_only_and_say_what_is_in_use(furnished: Master) -> None:
    listed = furnished.ask("GET", "/api/v1/globals/").json
    assert [each["vxlans"] for each in listed] == ["1-10000"]
    assert furnished.ask("GET", "/api/v1/globals/global/").json == listed[0]
    oper = furnished.ask("GET", "/api/v1/inspect/globals/global/").json["Oper"]
    assert (oper["numNetworks"], oper["vxlansInUse"]) == (1, "50")


def test_a_body_without_end_is_refused(furnished: Master) -> None:
    body = json.dumps({"tenantName": "b", "padding": "x" * 2**20}).encode()
    for path in ("tenants/b", "networks/default:b"):
        reply = furnished.ask("POST", f"/api/v1/{path}/", body)
        assert (reply.status, reply.text) == (413, "the request's body is longer than 1048576 bytes\n")
    allowed = json.dumps({"tenantName": "b", "padding": ""}).encode()
    assert furnished.ask("POST", "/api/v1/tenants/b/", allowed.ljust(2**20)).status == 200


def test_a_key_may_hold_anything_and_is_one_part_of_the_path(furnished: Master) -> None:
    assert furnished.ask("GET", "/api/v1/tenants/a%2Fb/").text == "tenant a/b not found\n"
    assert furnished.ask("GET", "/api/v1/tenants/a%2fb").text == "tenant a/b not found\n"
    assert furnished.ask("GET", "/api/v1/inspect/networks/default:a%2Fb/").text == "network default:a/b not found\n"
    assert furnished.ask("GET", "/api/v1/networks/default%2Fold:x/").status == 404


def test_a_wrong_value_is_shown_as_it_was_written(furnished: Master) -> None:
    told = furnished.post("tenants", "x", tenantName="h\u00e9").text
    assert told.startswith('tenantName "h\u00e9" has an invalid format')
    lone = furnished.ask("POST", "/api/v1/tenants/x/", b'{"tenantName": "\\udce9"}')
    assert (lone.status, lone.text.startswith('tenantName "\\udce9" has')) == (400, True)
    subnet = furnished.ask(
        "POST", "/api/v1/networks/default:x/", json.dumps(NET | {"networkName": "x", "subnet": "\udce9"}).encode()
    )
    assert (subnet.status, '"\\udce9"' in subnet.text) == (400, True)


def test_the_openapi_document_describes_every_answer(furnished: Master) -> None:
    document = furnished.ask("GET", "/openapi.json").json
    operations = [each for path in document["paths"].values() for each in path.values()]
    assert len(operations) == sum(len(route.methods) for route in ROUTES)
    assert all("description" in answer for each in operations for answer in each["responses"].values())
    takers = [each for each in operations if "requestBody" in each]
    assert all("413" in each["responses"] for each in takers)
    assert len(takers) == sum(len(route.methods) for route in ROUTES if route.takes)
    text = json.dumps(document)
    for name in ("TenantBody", "NetworkBody", "NetworkInspection"):
        assert name in document["components"]["schemas"]
        assert f"#/components/schemas/{name}" in text
