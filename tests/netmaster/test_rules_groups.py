"""Every rule for endpoint groups and app profiles, on a real netmaster."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import TYPE_CHECKING

import pytest

from isthmus.core.model import (
    AddressClaim,
    ClaimPurpose,
    Endpoint,
    EndpointId,
    GroupName,
    NetworkKey,
    NetworkName,
    NodeName,
    TenantName,
    mac_of,
)
from isthmus.edge.store import Delete, Store
from isthmus.wire import keys
from tests.netmaster.rows import LONG, Dump, not_kept, not_refused, post, put, row

if TYPE_CHECKING:
    from tests.netmaster.conftest import Master

pytestmark = pytest.mark.root

NET = NetworkKey(TenantName("default"), NetworkName("net"))
NODE = NodeName("node1")
GROUP = {"groupName": "new", "networkName": "net"}
DB = {
    "groupName": "db",
    "networkName": "net",
    "policies": ["in"],
    "netProfile": "slow",
    "ipPool": "10.1.9.1-10.1.9.9",
}
PROFILE = {"appProfileName": "new", "endpointGroups": ["db"]}
HELD = AddressClaim(NET, IPv4Address("10.1.0.7"), ClaimPurpose.LEASE, NODE)

GROUP_RULES = [
    row("name format", {"groupName": "a_b"}, 400, "groupName", '"a_b"', "letters, digits"),
    row("name length", {"groupName": LONG}, 400, "groupName", "65", "at most 64"),
    row("name missing", {"groupName": ""}, 400, "groupName must be given"),
    row("name of dots", {"groupName": ".."}, 400, "groupName", '".."'),
    row("name with slash", {"groupName": "a%2Fb"}, 400, "groupName", '"a%2Fb"'),
    row("tenant format", {"tenantName": "a_b"}, 400, "tenantName", '"a_b"'),
    row("tenant missing", {"tenantName": None}, 400, "tenantName must be given"),
    row("tenant null", {"tenantName": None, "networkName": None}, 400, "tenantName and networkName must be given"),
    row("tenant unknown", {"tenantName": "red"}, 404, "tenant red not found"),
    row("network format", {"networkName": "a_b"}, 400, "networkName", '"a_b"'),
    row("network missing", {"networkName": None}, 400, "networkName must be given"),
    row("network unknown", {"networkName": "wan"}, 404, "network default:wan not found"),
    row("network of another tenant", {"tenantName": "blue"}, 404, "network blue:net not found"),
    row("name of a network", {"groupName": "lan"}, 409, "default:lan", "a network has that name"),
    row("policy format", {"policies": ["a_b"]}, 400, "policies.0", '"a_b"'),
    row("policy type", {"policies": [5]}, 400, "policies.0 5 is not a text"),
    row("policy null", {"policies": [None]}, 400, "policies.0 null is not a text"),
    row("policy of no name", {"policies": [""]}, 400, "policies", "names nothing"),
    row("policies type", {"policies": "in"}, 400, 'policies "in" is not a list'),
    row("policies object", {"policies": {"in": 1}}, 400, "policies", "is not a list"),
    row("policy unknown", {"policies": ["in", "no"]}, 404, "policy default:no not found"),
    row("policy twice", {"policies": ["in", "in"]}, 400, "policies", "names something twice"),
    row("101 policies", {"policies": [f"p{n}" for n in range(101)]}, 400, "policies", "101", "at most 100"),
    row("many wrong", {"policies": [5] * 500}, 400, "policies.9 5 is not a text; and 490 more"),
    row("profile format", {"netProfile": "a_b"}, 400, "netProfile", '"a_b"'),
    row("profile unknown", {"netProfile": "no"}, 404, "net profile default:no not found"),
    row("label format", {"cfgdTag": "a b"}, 400, "cfgdTag", '"a b"'),
    row("label length", {"cfgdTag": "a" * 129}, 400, "cfgdTag", "at most 128"),
    row("contracts", {"extContractsGrps": ["c"]}, 400, "extContractsGrps", "no ACI"),
    row("pool form", {"ipPool": "10.1.0.1"}, 400, 'pool "10.1.0.1"', "A.B.C.D-E.F.G.H"),
    row("pool type", {"ipPool": 5}, 400, "ipPool 5 is not a text"),
    row("pool reversed", {"ipPool": "10.1.0.9-10.1.0.8"}, 400, "10.1.0.9-10.1.0.8", "ends before"),
    row("pool outside", {"ipPool": "10.9.0.1-10.9.0.9"}, 400, "10.9.0.1-10.9.0.9", "default:net", "10.1.0.0/16"),
    row("pool leaves", {"ipPool": "10.1.255.250-10.2.0.9"}, 400, "not a subset", "10.1.0.0/16"),
    row("pool from 0", {"ipPool": "10.1.0.0-10.1.0.9"}, 400, "not a subset", "10.1.0.1-10.1.255.254"),
    row("pool held", {"ipPool": "10.1.0.1-10.1.0.9"}, 409, "10.1.0.7", "default:net", "in use"),
    row("pool overlaps", {"ipPool": "10.1.9.9-10.1.9.20"}, 409, "10.1.9.1-10.1.9.9", "group default:db"),
    row(
        "pool gateway",
        {"networkName": "lan", "ipPool": "10.2.0.250-10.2.0.254"},
        409,
        "10.2.0.254",
        "gateway of network default:lan",
    ),
    row("v6 pool form", {"ipv6Pool": "10.1.0.1-10.1.0.2"}, 400, "IPv6"),
    row("v6 pool alone", {"networkName": "lan", "ipv6Pool": "fd00::1-fd00::2"}, 400, "default:lan", "none for IPv6"),
    row("v6 pool outside", {"ipv6Pool": "fd00::1-fd00::2"}, 400, "fd00::1-fd00::2", "2001:db8::/64"),
]
CHANGES = [
    row("network", {"networkName": "lan"}, 409, "default:db", "network association cannot be changed"),
    row("pool", {"ipPool": "10.1.9.1-10.1.9.8"}, 409, "default:db", "IP pool cannot be changed"),
    row("pool taken away", {"ipPool": None}, 409, "default:db", "IP pool cannot be changed"),
    row("v6 pool", {"ipv6Pool": "2001:db8::1-2001:db8::2"}, 409, "default:db", "IPv6 pool cannot be changed"),
    row("label", {"cfgdTag": "x"}, 409, "default:db", "label cannot be changed"),
    row("policy unknown", {"policies": ["no"]}, 404, "policy default:no not found"),
    row("profile unknown", {"netProfile": "no"}, 404, "net profile default:no not found"),
]
PROFILE_RULES = [
    row("name format", {"appProfileName": "a_b"}, 400, "appProfileName", '"a_b"'),
    row("name length", {"appProfileName": LONG}, 400, "appProfileName", "at most 64"),
    row("name missing", {"appProfileName": ""}, 400, "appProfileName must be given"),
    row("tenant unknown", {"tenantName": "red"}, 404, "tenant red not found"),
    row("group format", {"endpointGroups": ["-"]}, 400, "endpointGroups.0", '"-"'),
    row("group type", {"endpointGroups": ["db", True]}, 400, "endpointGroups.1 true is not a text"),
    row("group unknown", {"endpointGroups": ["no"]}, 404, "endpoint group default:no not found"),
    row("group twice", {"endpointGroups": ["db", "db"]}, 400, "endpointGroups", "twice"),
    row("101 groups", {"endpointGroups": [f"g{n}" for n in range(101)]}, 400, "101", "at most 100"),
]


async def test_a_group_is_refused(furnished: Master, store: Store, dump: Dump) -> None:
    await put(store, HELD)
    assert await not_refused(furnished, dump, "endpointGroups", GROUP, GROUP_RULES) == []


async def test_of_a_group_only_policies_and_net_profile_change(furnished: Master, dump: Dump) -> None:
    assert await not_refused(furnished, dump, "endpointGroups", DB, CHANGES) == []
    for policies, profile in ((["in", "idle"], "idle"), (["idle"], "slow"), ([], "")):
        reply = post(furnished, "endpointGroups", DB | {"policies": policies, "netProfile": profile})
        assert (reply.status, reply.json.get("policies", []), reply.json.get("netProfile", "")) == (
            200,
            policies,
            profile,
        )
    before = await dump()
    again = post(furnished, "endpointGroups", DB | {"policies": [], "netProfile": ""})
    assert (again.status, again.json, await dump()) == (200, reply.json, before)


async def test_an_app_profile_is_refused(furnished: Master, dump: Dump) -> None:
    assert await not_refused(furnished, dump, "appProfiles", PROFILE, PROFILE_RULES) == []


def test_an_app_profile_is_replaced(furnished: Master) -> None:
    for groups in (["web", "db"], ["idle"], []):
        reply = post(furnished, "appProfiles", {"appProfileName": "shop", "endpointGroups": groups})
        assert (reply.status, reply.json.get("endpointGroups", [])) == (200, groups)


async def test_a_group_stays_while_anything_names_it_or_is_in_it(furnished: Master, store: Store, dump: Dump) -> None:
    rows = [
        ("endpointGroups/default:db", "cannot delete endpoint group default:db: it is named by 1 app profile: shop"),
        ("endpointGroups/default:web", "cannot delete endpoint group default:web: it is named by 1 rule: default:in:1"),
    ]
    assert await not_kept(furnished, dump, rows) == []
    post(furnished, "appProfiles", {"appProfileName": "desk", "endpointGroups": ["web"]})
    reply = furnished.ask("DELETE", "/api/v1/endpointGroups/default:web/")
    assert reply.text.strip().endswith("1 app profile: desk")  # named before rules, as the specification orders
    address = IPv4Address("10.1.0.8")
    await put(store, Endpoint(EndpointId("e" * 64), NET, NODE, mac_of(address), address, None, GroupName("idle"), "c"))
    rows = [
        ("endpointGroups/default:idle", "endpoint group default:idle is in use by 1 container: c (10.1.0.8 on node1)")
    ]
    assert await not_kept(furnished, dump, rows) == []


async def test_a_group_leaves_nothing_and_its_pool_is_the_networks_again(furnished: Master, dump: Dump) -> None:
    before = await dump()
    pooled = GROUP | {"ipPool": "10.1.20.1-10.1.20.9", "ipv6Pool": "2001:db8::20-2001:db8::29"}
    for _ in range(2):
        assert post(furnished, "endpointGroups", pooled).status == 200
        available = furnished.ask("GET", "/api/v1/inspect/networks/default:net/").json["Oper"]["availableIPAddresses"]
        assert available == "10.1.0.1-10.1.9.0, 10.1.9.10-10.1.20.0, 10.1.20.10-10.1.255.254"
        assert furnished.ask("DELETE", "/api/v1/endpointGroups/default:new/").json == "default:new"
        assert await dump() == before


async def test_a_group_of_100_policies_and_an_app_profile_of_100_groups_fit_one_transaction(furnished: Master) -> None:
    names = [f"many{number}" for number in range(100)]
    for name in names:
        assert post(furnished, "policys", {"policyName": name}).status == 200
        assert post(furnished, "endpointGroups", {"groupName": name, "networkName": "net"}).status == 200
    fields = {"policies": names, "netProfile": "slow", "ipPool": "10.1.30.1-10.1.30.9"}
    assert post(furnished, "endpointGroups", GROUP | fields).status == 200
    assert post(furnished, "appProfiles", {"appProfileName": "all", "endpointGroups": names}).status == 200


async def test_a_group_whose_network_is_lost_is_still_shown(furnished: Master, store: Store) -> None:
    """An etcd that was mended by hand, say: what is left can be looked at and removed."""
    await store.commit((), [Delete(keys.network_key(NET))])
    oper = furnished.ask("GET", "/api/v1/inspect/endpointGroups/default:idle/").json["Oper"]
    assert (oper["groupId"], "pktTag" in oper, "availableIPAddresses" in oper) == (3, False, False)
    tenant = furnished.ask("GET", "/api/v1/inspect/tenants/default/").json["Oper"]
    assert (tenant["totalEPGs"], tenant["totalNetworks"]) == (3, 2)
    assert furnished.ask("DELETE", "/api/v1/endpointGroups/default:idle/").status == 200
