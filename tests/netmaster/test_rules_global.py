"""Every rule for the settings, for what keeps tenants and networks, and for all requests, on a real netmaster."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from isthmus.wire.rest.requests import NO_ACI
from tests.netmaster.rows import FURNITURE, KEY_FIELDS, Dump, key_of, not_kept, not_refused, post, row

if TYPE_CHECKING:
    from tests.netmaster.conftest import Master

pytestmark = pytest.mark.root

GLOBAL = {"name": "global"}
# In use: vxlan 1 and 2, vlan 1.
GLOBAL_RULES = [
    row("name", {"name": "other"}, 400, "name", '"other"', "it is global"),
    row("infra", {"networkInfraType": "aci"}, 400, "networkInfraType", '"aci"', "no ACI"),
    row("mode", {"fwdMode": "switch"}, 400, "fwdMode", '"switch"', "bridge or routing"),
    row("arp", {"arpMode": "deny"}, 400, "arpMode", '"deny"', "proxy or flood"),
    *(row(f"vlans {text}", {"vlans": text}, 400, f'vlans "{text}"', "FIRST-LAST") for text in ("1", "a-b", "1-2, 5-6")),
    row("vlans type", {"vlans": 5}, 400, "vlans 5 is not a text"),
    *(row(f"vlans {text}", {"vlans": text}, 400, text, "1 to 4094") for text in ("0-10", "9-8", "1-4095")),
    *(row(f"vxlans {text}", {"vxlans": text}, 400, text, "1 to 65535") for text in ("0-10", "9-8", "1-65536")),
    row("vxlans long", {"vxlans": "1-16002"}, 400, "1-16002", "spans 16001", "at most 16000"),
    *(
        row(f"subnet {text}", {"pvtSubnet": text}, 400, f'pvtSubnet "{text}"', "A.B.0.0/16")
        for text in ("172.20.0.0", "172.20.0.0/24", "172.20.1.0/16", "172.20.0.0/255.255.0.0", "x/16")
    ),
    row("mode in use", {"fwdMode": "routing"}, 409, "forwarding mode", "1 vlans and 2 vxlans"),
    row("subnet in use", {"pvtSubnet": "172.20.0.0/16"}, 409, "private subnet", "1 vlans and 2 vxlans"),
    row("vlans in use", {"vlans": "2-10"}, 409, "vlan range to 2-10", "existing vlans 1"),
    row("vxlans in use", {"vxlans": "100-200"}, 409, "vxlan range to 100-200", "existing vxlans 1-2"),
    row("one of two", {"arpMode": "flood", "vxlans": "100-200"}, 409, "existing vxlans 1-2"),
]
# (what stands in the way, the refusal's text); each is then deleted, and the next refuses.
TENANT_DELETION = (
    ("appProfiles", {"appProfileName": "shop"}, "app profile: shop"),
    ("endpointGroups", {"groupName": "db"}, "endpoint group: db"),
    ("policys", {"policyName": "p"}, "policy: p"),
    ("netprofiles", {"profileName": "slow"}, "net profile: slow"),
    ("serviceLBs", {"serviceName": "front"}, "service: front"),
    ("networks", {"networkName": "net"}, "network: net"),
)
BLUE = (
    ("tenants", {"tenantName": "blue"}),
    ("networks", {"networkName": "net", "encap": "vxlan", "subnet": "10.1.0.0/16"}),
    ("serviceLBs", {"serviceName": "front", "networkName": "net", "selectors": ["a=b"], "ports": ["1:1:tcp"]}),
    ("netprofiles", {"profileName": "slow"}),
    ("policys", {"policyName": "p"}),
    ("endpointGroups", {"groupName": "db", "networkName": "net"}),
    ("appProfiles", {"appProfileName": "shop", "endpointGroups": ["db"]}),
)


async def test_the_settings_are_refused(furnished: Master, dump: Dump) -> None:
    assert await not_refused(furnished, dump, "globals", GLOBAL, GLOBAL_RULES) == []


def test_ranges_change_under_use_as_far_as_the_tags_in_use_allow(furnished: Master) -> None:
    for number, tag in (("a", 9), ("b", 4000)):
        fields = {"networkName": number, "encap": "vxlan", "subnet": f"10.{tag % 97}.0.0/24", "pktTag": tag}
        assert post(furnished, "networks", fields).status == 200
    refused = post(furnished, "globals", GLOBAL | {"vxlans": "3-3999"})
    assert refused.text == "cannot update the vxlan range to 3-3999 due to existing vxlans 1-2, 4000\n"
    assert post(furnished, "globals", GLOBAL | {"vxlans": "1-4000", "vlans": "1-1"}).status == 200
    shown = furnished.ask("GET", "/api/v1/inspect/globals/global/").json
    assert (shown["Config"]["vxlans"], shown["Config"]["vlans"]) == ("1-4000", "1-1")
    assert (shown["Oper"]["vxlansInUse"], shown["Oper"]["freeVXLANsStart"]) == ("1-2, 9, 4000", 3)
    full = post(furnished, "networks", {"networkName": "c", "encap": "vlan", "subnet": "10.99.0.0/24"})
    assert (full.status, full.text) == (409, "no vlans available: every one of 1-1 is in use\n")


async def test_the_settings_change_as_far_as_the_body_says(furnished: Master, dump: Dump) -> None:
    before = furnished.ask("GET", "/api/v1/globals/global/").json
    assert post(furnished, "globals", GLOBAL | {"arpMode": "flood"}).json == before | {"arpMode": "flood"}
    same = await dump()
    nothing = GLOBAL | {"arpMode": None, "vlans": None, "colour": 1, "fwdMode": before["fwdMode"]}
    assert post(furnished, "globals", nothing).status == 200
    assert post(furnished, "globals", before | {"arpMode": "flood"}).status == 200  # as `netctl global set` does
    assert await dump() == same


def test_without_networks_modes_and_private_subnet_change(master: Master) -> None:
    fields = {"fwdMode": "routing", "pvtSubnet": "10.77.0.0/16", "vlans": "5-6", "vxlans": "65535-65535"}
    reply = post(master, "globals", GLOBAL | fields)
    assert {name: reply.json[name] for name in fields} == fields


async def test_a_tenant_stays_while_it_has_anything_in_the_order_of_the_specification(
    master: Master, dump: Dump
) -> None:
    for collection, fields in BLUE:
        assert post(master, collection, fields | {"tenantName": "blue"}).status == 200
    for collection, fields, named in TENANT_DELETION:
        text = f"cannot delete tenant blue: it has 1 {named}"
        assert await not_kept(master, dump, [("tenants/blue", text)]) == []
        key = key_of(collection, fields | {"tenantName": "blue"})
        assert master.ask("DELETE", f"/api/v1/{collection}/{key}/").json == key
    assert master.ask("DELETE", "/api/v1/tenants/blue/").json == "blue"


async def test_the_default_tenant_and_networks_that_are_named_stay(furnished: Master, dump: Dump) -> None:
    rows = [
        ("tenants/default", "tenant default cannot be deleted: it is always there"),
        ("networks/default:net", "cannot delete network default:net: it has 3 endpoint groups: db, idle, web"),
        ("networks/default:spare", "cannot delete network default:spare: it has 1 service: front"),
        ("networks/default:lan", "cannot delete network default:lan: it has 1 rule: default:in:2"),
    ]
    assert await not_kept(furnished, dump, rows) == []


@pytest.mark.parametrize("collection", sorted(KEY_FIELDS))
async def test_a_body_and_a_key_that_are_none_are_refused(furnished: Master, dump: Dump, collection: str) -> None:
    before = await dump()
    good = next((fields for kind, fields in FURNITURE if kind == collection), {"hostname": "h", "name": "global"})
    own = key_of(collection, {"tenantName": "default"} | dict(good))
    for body in (
        b"",
        b"null",
        b"[]",
        b'"x"',
        b"{",
        b"\xff",
        b"[" * 5000,
        b'{"tenantName": 5, "hostname": 5, "name": NaN}',
    ):
        reply = furnished.ask("POST", f"/api/v1/{collection}/{own}/", body)
        assert reply.status == 400, (body, reply.text)
    body = json.dumps({"tenantName": "default", "name": "global"} | dict(good)).encode()
    for key in ("x", "..", "a:b:c:d", "%2F", "%2e%2e%2f", "default:%C3%A9", "%00", ":", "default:"):
        reply = furnished.ask("POST", f"/api/v1/{collection}/{key}/", body)
        assert reply.status in (400, 404, 409), (key, reply.text)
        for method in ("GET", "DELETE"):
            assert furnished.ask(method, f"/api/v1/{collection}/{key}/").status in (400, 404, 405), key
    long = furnished.ask("POST", f"/api/v1/{collection}/{own}/", body.ljust(2**20 + 1))
    assert (long.status, "1048576" in long.text) == (413, True)
    assert await dump() == before


@pytest.mark.parametrize("collection", sorted(KEY_FIELDS))
def test_what_was_never_there_is_not_found(master: Master, collection: str) -> None:
    key = ":".join("no" for _ in KEY_FIELDS[collection])
    for path in (f"{collection}/{key}", f"inspect/{collection}/{key}/"):
        reply = master.ask("GET", f"/api/v1/{path}")
        assert (reply.status, reply.text.rstrip().endswith("not found")) == (404, True)
    if collection != "globals":
        assert master.ask("DELETE", f"/api/v1/{collection}/{key}/").status == 404


@pytest.mark.parametrize("collection", ["aciGws", "extContractsGroups"])
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
def test_there_is_no_aci(master: Master, collection: str, method: str) -> None:
    for path in (f"{collection}/", f"{collection}", f"{collection}/default:x/", f"inspect/{collection}/aciGw"):
        reply = master.ask(method, f"/api/v1/{path}")
        assert (reply.status, reply.text) == (404, f"{NO_ACI}\n")
