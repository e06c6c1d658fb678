"""Every rule for policies and their rules, on a real netmaster."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import TYPE_CHECKING

import pytest

from isthmus.core.model import Endpoint, EndpointId, GroupName, NetworkKey, NetworkName, NodeName, TenantName, mac_of
from isthmus.edge.store import Store
from isthmus.wire import keys
from tests.netmaster.rows import LONG, Dump, not_kept, not_refused, post, put, row

if TYPE_CHECKING:
    from tests.netmaster.conftest import Master

pytestmark = pytest.mark.root

NET = NetworkKey(TenantName("default"), NetworkName("net"))
POLICY = {"policyName": "new"}
RULE = {"policyName": "in", "ruleId": "9", "direction": "in"}
OUT: dict[str, object] = {"direction": "out"}

POLICY_RULES = [
    row("name format", {"policyName": "a_b"}, 400, "policyName", '"a_b"', "letters, digits"),
    row("name length", {"policyName": LONG}, 400, "policyName", "65", "at most 64"),
    row("name missing", {"policyName": ""}, 400, "policyName must be given"),
    row("name type", {"policyName": 7}, 400, "policyName 7 is not a text"),
    row("tenant missing", {"tenantName": None}, 400, "tenantName must be given"),
    row("tenant unknown", {"tenantName": "red"}, 404, "tenant red not found"),
]
RULE_RULES = [
    row("id format", {"ruleId": "a_b"}, 400, "ruleId", '"a_b"'),
    row("id length", {"ruleId": LONG}, 400, "ruleId", "at most 64"),
    row("id missing", {"ruleId": ""}, 400, "ruleId must be given"),
    row("id type", {"ruleId": 9}, 400, "ruleId 9 is not a text"),
    row("policy missing", {"policyName": ""}, 400, "policyName must be given"),
    row("policy unknown", {"policyName": "no"}, 404, "policy default:no not found"),
    row("tenant unknown", {"tenantName": "red"}, 404, "policy red:in not found"),
    row("direction missing", {"direction": None}, 400, "direction must be given"),
    row("direction", {"direction": "both"}, 400, "direction", '"both"', "in or out"),
    row("direction type", {"direction": ["in"]}, 400, "direction", "is not a text"),
    row("action", {"action": "drop"}, 400, "action", '"drop"', "allow or deny"),
    row("priority above", {"priority": 101}, 400, "priority 101", "0 to 100"),
    row("priority below", {"priority": -1}, 400, "priority -1", "0 to 100"),
    row("priority type", {"priority": "1"}, 400, 'priority "1" is not a whole number'),
    row("protocol", {"protocol": "sctp"}, 400, "protocol", '"sctp"', "tcp, udp, icmp or a number"),
    row("protocol number", {"protocol": "256"}, 400, 'protocol "256"', "0 to 255"),
    row("protocol type", {"protocol": 6}, 400, "protocol 6 is not a text"),
    row("port above", {"port": 65536, "protocol": "tcp"}, 400, "port 65536", "0 to 65535"),
    row("port type", {"port": 80.5, "protocol": "tcp"}, 400, "port 80.5 is not a whole number"),
    row("port of icmp", {"port": 80, "protocol": "icmp"}, 400, "default:in:9", "port 80", "only tcp and udp"),
    row("port of any", {"port": 80}, 400, "default:in:9", "port 80", "only tcp and udp"),
    row("group format", {"fromEndpointGroup": "a_b"}, 400, "fromEndpointGroup", '"a_b"'),
    row("group length", {"fromEndpointGroup": LONG}, 400, "fromEndpointGroup", "at most 64"),
    row("group unknown", {"fromEndpointGroup": "no"}, 404, "endpoint group default:no not found"),
    row("network format", {"fromNetwork": "-"}, 400, "fromNetwork", '"-"'),
    row("network unknown", {"fromNetwork": "no"}, 404, "network default:no not found"),
    row("to-group unknown", OUT | {"toEndpointGroup": "no"}, 404, "endpoint group default:no not found"),
    row("to-network unknown", OUT | {"toNetwork": "no"}, 404, "network default:no not found"),
    row("address form", {"fromIpAddress": "10.1.1"}, 400, 'address "10.1.1"', "ADDRESS/LEN"),
    row("address length", {"fromIpAddress": "10.1.1.0/33"}, 400, 'address "10.1.1.0/33"'),
    row("address mask", {"fromIpAddress": "10.1.0.0/255.255.0.0"}, 400, "10.1.0.0/255.255.0.0", "ADDRESS/LEN"),
    row("address zone", {"fromIpAddress": "fe80::1%eth0"}, 400, "fe80::1%eth0", "ADDRESS/LEN"),
    row("range reversed", {"fromIpAddress": "10.1.1.9-8"}, 400, 'address "10.1.1.9-8"', "ends before"),
    row("range of two kinds", {"fromIpAddress": "10.1.1.9-fd00::1"}, 400, "10.1.1.9-fd00::1"),
    row("address type", {"fromIpAddress": 10}, 400, "fromIpAddress 10 is not a text"),
    row("in to-group", {"toEndpointGroup": "web"}, 400, "cannot specify 'to'", "incoming", "toEndpointGroup"),
    row("in to-network", {"toNetwork": "net"}, 400, "cannot specify 'to'", "incoming", "toNetwork"),
    row("out from-group", OUT | {"fromEndpointGroup": "web"}, 400, "cannot specify 'from'", "outgoing"),
    row("out from-network", OUT | {"fromNetwork": "net"}, 400, "cannot specify 'from'", "fromNetwork"),
    row("out from-ip", OUT | {"fromIpAddress": "10.1.1.1"}, 400, "cannot specify 'from'", "fromIpAddress"),
    row("in network and ip", {"fromNetwork": "net", "fromIpAddress": "10.1.1.1"}, 400, "from-network and from-address"),
    row("in network and group", {"fromNetwork": "net", "fromEndpointGroup": "web"}, 400, "from-network and from-group"),
    row("out network and ip", OUT | {"toNetwork": "net", "toIpAddress": "10.1.1.1"}, 400, "to-network and to-address"),
    row("out network and group", OUT | {"toNetwork": "net", "toEndpointGroup": "web"}, 400, "to-network and to-group"),
    row("in to-ip, no group", {"policyName": "idle", "toIpAddress": "10.1.0.8"}, 409, "10.1.0.8", "0 endpoint groups"),
    row("in to-ip, not there", {"toIpAddress": "10.1.0.9"}, 409, "10.1.0.9", "default:db lacks it"),
    row("in to-ip of another", {"toIpAddress": "10.1.0.8"}, 409, "10.1.0.8", "default:db lacks it"),
    row("two families", {"fromIpAddress": "fd00::1", "toIpAddress": "10.1.9.1"}, 400, "IPv4 and an IPv6"),
    row("changed", {"ruleId": "1"}, 409, "rule default:in:1 exists with other parameters, which cannot be changed"),
]
GOOD_RULES: list[dict[str, object]] = [
    {},
    {"priority": 100, "action": "deny", "protocol": "255"},
    {"fromEndpointGroup": "web", "fromIpAddress": "10.1.0.0/24"},
    {"fromIpAddress": "10.1.0.1-9", "protocol": "udp", "port": 65535},
    {"fromIpAddress": "2001:db8::/64", "protocol": "17", "port": 53},
    {"toIpAddress": "10.1.9.1"},
    OUT | {"toEndpointGroup": "db", "toIpAddress": "10.1.0.1-10.1.0.9"},
    OUT | {"toNetwork": "lan"},
]


def member(address_text: str, group: str, number: int) -> Endpoint:
    address = IPv4Address(address_text)
    name = EndpointId(f"{number:064x}")
    return Endpoint(name, NET, NodeName("node1"), mac_of(address), address, None, GroupName(group), "c")


@pytest.fixture
async def peopled(furnished: Master, store: Store) -> Master:
    """With a container in group db, to which policy `in` applies, and one in another."""
    await put(store, member("10.1.9.1", "db", 1), member("10.1.0.8", "web", 2))
    return furnished


async def test_a_policy_is_refused(furnished: Master, dump: Dump) -> None:
    assert await not_refused(furnished, dump, "policys", POLICY, POLICY_RULES) == []


async def test_a_rule_is_refused(peopled: Master, dump: Dump) -> None:
    assert await not_refused(peopled, dump, "rules", RULE, RULE_RULES) == []


async def test_a_policy_of_two_groups_has_no_rule_for_one_address(peopled: Master, dump: Dump) -> None:
    post(peopled, "endpointGroups", {"groupName": "web", "networkName": "net", "policies": ["in"]})
    rows = [row("two", {"toIpAddress": "10.1.0.8"}, 409, "10.1.0.8", "2 endpoint groups are linked", "exactly one")]
    assert await not_refused(peopled, dump, "rules", RULE, rows) == []


async def test_a_good_rule_is_kept_as_it_was_said_and_said_again_does_no_harm(peopled: Master, dump: Dump) -> None:
    for number, fields in enumerate(GOOD_RULES, 50):
        body = RULE | fields | {"ruleId": str(number)}
        first = post(peopled, "rules", body)
        assert first.status == 200, first.text
        shown = {name: value for name, value in first.json.items() if name not in ("key", "links", "link-sets")}
        assert shown == {"tenantName": "default", "priority": 1, "action": "allow"} | body
        before = await dump()
        assert post(peopled, "rules", body).json == first.json
        assert await dump() == before


async def test_a_policy_stays_while_a_group_uses_it_and_takes_its_rules_along(furnished: Master, dump: Dump) -> None:
    rows = [("policys/default:in", "policy default:in is being used by 1 endpoint group: db")]
    assert await not_kept(furnished, dump, rows) == []
    for number in range(200):  # more than one transaction of etcd takes, one by one
        post(furnished, "rules", {"policyName": "idle", "ruleId": str(number), "direction": "out"})
    assert furnished.ask("DELETE", "/api/v1/policys/default:idle/").json == "default:idle"
    assert [key for key in await dump() if key.startswith(f"{keys.RULES}default/idle/")] == []
    assert [each["key"] for each in furnished.ask("GET", "/api/v1/rules/").json] == ["default:in:1", "default:in:2"]


def test_a_policy_posted_again_is_the_same(furnished: Master) -> None:
    before = furnished.ask("GET", "/api/v1/policys/default:in/").json
    assert post(furnished, "policys", {"policyName": "in"}).json == before
    assert list(before["link-sets"]["Rules"]) == ["default:in:1", "default:in:2"]
