"""Every rule for net profiles, services and BGP configurations, on a real netmaster."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import TYPE_CHECKING

import pytest

from isthmus.core.model import AddressClaim, ClaimPurpose, NetworkKey, NetworkName, NodeName, TenantName
from isthmus.edge.store import Store
from tests.netmaster.rows import LONG, Dump, not_kept, not_refused, post, put, row

if TYPE_CHECKING:
    from tests.netmaster.conftest import Master

pytestmark = pytest.mark.root

SPARE = NetworkKey(TenantName("default"), NetworkName("spare"))
PROFILE = {"profileName": "new"}
SERVICE = {"serviceName": "new", "networkName": "spare", "selectors": ["a=b"], "ports": ["80:80:tcp"]}
FRONT = {"serviceName": "front", "networkName": "spare", "selectors": ["app=web"], "ports": ["80:8080:TCP"]}
BGP = {"hostname": "node1", "routerip": "50.1.1.2/24", "as": "65002", "neighbor-as": "500", "neighbor": "50.1.1.20"}
HUGE = "9" * 400

PROFILE_RULES = [
    row("name length", {"profileName": LONG}, 400, "profileName", "at most 64"),
    row("name format", {"profileName": "a_b"}, 400, "profileName", '"a_b"'),
    row("name missing", {"profileName": ""}, 400, "profileName must be given"),
    row("tenant unknown", {"tenantName": "red"}, 404, "tenant red not found"),
    row("DSCP above", {"DSCP": 64}, 400, "DSCP 64", "0 to 63"),
    row("DSCP below", {"DSCP": -1}, 400, "DSCP -1", "0 to 63"),
    row("DSCP type", {"DSCP": "7"}, 400, 'DSCP "7" is not a whole number'),
    row("burst 1", {"burst": 1}, 400, "burst 1", "1500 bytes"),
    row("burst above", {"burst": 10487}, 400, "burst 10487", "0 to 10486"),
    row("burst below", {"burst": -5}, 400, "burst -5", "0 to 10486"),
    *(
        row(f"bandwidth {text[:9]}", {"bandwidth": text}, 400, "bandwidth", f'"{text[:70]}', "such as 10Mbps")
        for text in (
            "10",
            "0Mbps",
            "010Mbps",
            "10 Tbps",
            "10  Mbps",
            "1.5Mbps",
            "-1Mbps",
            "Mbps",
            "10Mbps ",
            f"{HUGE}M",
        )
    ),
    row("bandwidth type", {"bandwidth": 10}, 400, "bandwidth 10 is not a text"),
]
SERVICE_RULES = [
    row("name format", {"serviceName": "a_b"}, 400, "serviceName", '"a_b"'),
    row("name length", {"serviceName": "a" * 257}, 400, "serviceName", "257", "at most 256"),
    row("name missing", {"serviceName": ""}, 400, "serviceName must be given"),
    row("tenant unknown", {"tenantName": "red"}, 404, "tenant red not found"),
    row("network missing", {"networkName": None}, 400, "networkName must be given"),
    row("network unknown", {"networkName": "no"}, 404, "network default:no not found"),
    row("selectors missing", {"selectors": None}, 400, "selectors must be given"),
    row("selectors empty", {"selectors": []}, 400, "selectors must be given"),
    row("selector form", {"selectors": ["a"]}, 400, 'invalid selector "a"', "KEY=VALUE"),
    row("selector empty", {"selectors": [""]}, 400, 'invalid selector ""', "KEY=VALUE"),
    row("selector value", {"selectors": ["a="]}, 400, 'invalid selector "a="', "KEY=VALUE"),
    row("selector twice equal", {"selectors": ["a=b=c"]}, 400, 'invalid selector "a=b=c"', "KEY=VALUE"),
    row("selector type", {"selectors": [5]}, 400, "selectors.0 5 is not a text"),
    row("selector length", {"selectors": ["a=" + "b" * 300]}, 400, "selectors.0", "302", "at most 256"),
    row("101 selectors", {"selectors": [f"a=b{n}" for n in range(101)]}, 400, "selectors", "101", "at most 100"),
    row("ports missing", {"ports": None}, 400, "ports must be given"),
    *(
        row(f"port {text}", {"ports": [text]}, 400, f'invalid port "{text}"', "PORT:TARGETPORT:PROTOCOL", "1 to 65535")
        for text in ("80", "80:80", "80:80:sctp", "0:80:tcp", "80:65536:tcp", "a:80:tcp", "80:80:tcp:", " 80:80:tcp")
    ),
    row("port type", {"ports": {}}, 400, "ports {} is not a list"),
    row("port twice", {"ports": ["80:1:tcp", "80:2:TCP"]}, 400, "default:new", "port 80 of TCP twice"),
    row("101 ports", {"ports": [f"{n}:1:tcp" for n in range(1, 102)]}, 400, "ports", "101", "at most 100"),
    row("address form", {"ipAddress": "10.3.0"}, 400, "ipAddress", '"10.3.0"', "IPv4"),
    row("address outside", {"ipAddress": "10.9.9.9"}, 400, "10.9.9.9", "default:spare", "10.3.0.0/29"),
    row("address broadcast", {"ipAddress": "10.3.0.7"}, 400, "10.3.0.7", "default:spare"),
    row("address held", {"ipAddress": "10.3.0.1"}, 409, "10.3.0.1", "default:spare", "already in use"),
    row("gateway", {"networkName": "lan", "ipAddress": "10.2.0.254"}, 409, "10.2.0.254", "default:lan", "gateway"),
    row("pool", {"networkName": "net", "ipAddress": "10.1.9.5"}, 409, "10.1.9.5", "members of group default:db only"),
]
SERVICE_CHANGES = [
    row("network", {"networkName": "net"}, 409, "default:front", "network default:spare cannot be changed"),
    row("address", {"ipAddress": "10.3.0.2"}, 409, "default:front", "address 10.3.0.1 cannot be changed"),
    row("network unknown", {"networkName": "no"}, 404, "network default:no not found"),
]
BGP_RULES = [
    row("host format", {"hostname": "a_b"}, 400, "hostname", '"a_b"'),
    row("host length", {"hostname": "a" * 257}, 400, "hostname", "at most 256"),
    row("missing", {"routerip": None, "as": None, "neighbor-as": None}, 400, "routerip and as and neighbor-as must"),
    row("router form", {"routerip": "50.1.1.2"}, 400, "routerip", '"50.1.1.2"', "50.1.1.2/24"),
    row("router mask", {"routerip": "50.1.1.2/255.255.255.0"}, 400, "routerip", "50.1.1.2/24"),
    row("router length", {"routerip": "50.1.1.2/33"}, 400, "routerip", '"50.1.1.2/33"'),
    row("as 0", {"as": "0"}, 400, 'as "0"', "1 to 4294967295"),
    row("as above", {"as": "4294967296"}, 400, 'as "4294967296"', "1 to 4294967295"),
    row("as type", {"as": 65002}, 400, "as 65002 is not a text"),
    row("neighbor-as form", {"neighbor-as": "x"}, 400, 'neighbor-as "x"', "1 to 4294967295"),
    row("neighbor form", {"neighbor": "x"}, 400, 'neighbor "x"', "IPv4"),
]


async def test_a_net_profile_is_refused(furnished: Master, dump: Dump) -> None:
    assert await not_refused(furnished, dump, "netprofiles", PROFILE, PROFILE_RULES) == []


@pytest.mark.parametrize("bandwidth", ["", "1k", "10 Mbps", "10Gb", "999999G", "5 kbps", "7m"])
def test_a_net_profile_is_replaced(furnished: Master, bandwidth: str) -> None:
    body = {"profileName": "slow", "bandwidth": bandwidth, "DSCP": 63, "burst": 2}
    reply = post(furnished, "netprofiles", body)
    assert (reply.status, reply.json.get("bandwidth", ""), reply.json["DSCP"]) == (200, bandwidth, 63)
    assert list(reply.json["link-sets"]["EndpointGroups"]) == ["default:db"]


async def test_a_net_profile_stays_while_a_group_uses_it(furnished: Master, dump: Dump) -> None:
    rows = [("netprofiles/default:slow", "net profile default:slow is being used by 1 endpoint group: db")]
    assert await not_kept(furnished, dump, rows) == []
    assert furnished.ask("DELETE", "/api/v1/netprofiles/default:idle/").json == "default:idle"


async def test_a_service_is_refused(furnished: Master, dump: Dump) -> None:
    assert await not_refused(furnished, dump, "serviceLBs", SERVICE, SERVICE_RULES) == []


async def test_a_service_keeps_network_and_address(furnished: Master, dump: Dump) -> None:
    assert await not_refused(furnished, dump, "serviceLBs", FRONT, SERVICE_CHANGES) == []
    changed = FRONT | {"selectors": ["c=d", "a=b"], "ports": ["53:5353:udp", "53:5353:TCP"]}
    reply = post(furnished, "serviceLBs", changed)
    assert (reply.status, reply.json["selectors"], reply.json["ports"]) == (
        200,
        ["a=b", "c=d"],
        ["53:5353:UDP", "53:5353:TCP"],
    )
    oper = furnished.ask("GET", "/api/v1/inspect/serviceLBs/default:front/").json["Oper"]
    assert (oper["serviceVip"], oper["enforced"], "not enforced" in oper["note"]) == ("10.3.0.1", False, True)


async def test_a_network_runs_out_of_addresses_and_gets_them_back(furnished: Master, store: Store, dump: Dump) -> None:
    before = await dump()
    lease = AddressClaim(SPARE, IPv4Address("10.3.0.2"), ClaimPurpose.LEASE, NodeName("node1"))
    await put(store, lease)
    vips = []
    for number in range(4):
        assert post(furnished, "serviceLBs", SERVICE | {"serviceName": f"s{number}"}).status == 200
        vips.append(furnished.ask("GET", f"/api/v1/inspect/serviceLBs/default:s{number}/").json["Oper"]["serviceVip"])
    assert vips == ["10.3.0.3", "10.3.0.4", "10.3.0.5", "10.3.0.6"]
    rows = [row("full", {}, 409, "address exhaustion in subnet 10.3.0.0/29 of network default:spare")]
    assert await not_refused(furnished, dump, "serviceLBs", SERVICE, rows) == []
    for number in range(4):
        assert furnished.ask("DELETE", f"/api/v1/serviceLBs/default:s{number}/").status == 200
    assert len(await dump()) == len(before) + 1


async def test_bgp_needs_forward_mode_routing_and_keeps_it(furnished: Master, dump: Dump) -> None:
    rows = [row("mode", {}, 409, "BGP of node1 needs forward mode routing; it is bridge")]
    assert await not_refused(furnished, dump, "Bgps", BGP, rows) == []


async def test_a_bgp_configuration_is_refused_or_replaced_and_keeps_the_mode(master: Master, dump: Dump) -> None:
    assert post(master, "globals", {"name": "global", "fwdMode": "routing"}).status == 200
    assert await not_refused(master, dump, "Bgps", BGP, BGP_RULES) == []
    for number in ("65002", "65003"):
        assert post(master, "Bgps", BGP | {"as": number}).json["as"] == number
    mode = {"name": "global", "fwdMode": "bridge"}
    rows = [row("bgp", {}, 409, "unable to update forwarding mode", "BGP configurations", "1 node: node1")]
    assert await not_refused(master, dump, "globals", mode, rows) == []
    assert master.ask("DELETE", "/api/v1/Bgps/node1/").json == "node1"
    assert post(master, "globals", mode).json["fwdMode"] == "bridge"
