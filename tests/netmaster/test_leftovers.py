"""What a lost node left behind can be looked at and removed; what lives is kept."""

from __future__ import annotations

import asyncio
from ipaddress import IPv4Address, IPv6Address
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
    Node,
    NodeContact,
    NodeLease,
    NodeName,
    Record,
    TenantName,
    mac_of,
)
from isthmus.edge.store import Delete, Put, Store
from isthmus.wire import keys
from tests.netmaster.rows import Dump, put

if TYPE_CHECKING:
    from tests.netmaster.conftest import Master

pytestmark = pytest.mark.root

NET = NetworkKey(TenantName("default"), NetworkName("net"))
ALIVE, LOST = NodeName("node1"), NodeName("node2")
MANY = 250  # more than one transaction of etcd takes


def life(number: int, node: NodeName, container: str, group: str | None = None) -> tuple[Record, ...]:
    """An endpoint and the claims of its two addresses."""
    address, address_v6 = IPv4Address(f"10.1.1.{number}"), IPv6Address(f"2001:db8::{number}")
    name = EndpointId(f"{number:02x}" * 32)
    group_name = GroupName(group) if group else None
    endpoint = Endpoint(name, NET, node, mac_of(address), address, address_v6, group_name, container)
    claims = (AddressClaim(NET, each, ClaimPurpose.LEASE, node, name) for each in (address, address_v6))
    return (endpoint, *claims)


def node(name: NodeName) -> Node:
    return Node(name, IPv4Address("192.168.2.10"), "0")


@pytest.fixture
async def peopled(furnished: Master, store: Store) -> Master:
    """A living node with a container, and a lost one with two and an address that no container has got yet."""
    await put(store, node(ALIVE), node(LOST), NodeLease(ALIVE, "host"))
    await put(store, NodeContact(ALIVE, 1), NodeContact(LOST, 1))
    await put(store, *life(1, ALIVE, "web"), *life(2, LOST, "web-2", "db"), *life(3, LOST, "job", "web"))
    await put(store, AddressClaim(NET, IPv4Address("10.1.1.9"), ClaimPurpose.LEASE, LOST))
    return furnished


def ids(master: Master) -> list[str]:
    return [each["endpointID"][:2] for each in master.ask("GET", "/api/v1/endpoints").json]


async def held(store: Store) -> list[str]:
    snapshot = await store.read(prefixes=(keys.addresses_of(NET),))
    return [item.key.rpartition("/")[2] for item in snapshot.items]


@pytest.mark.parametrize(
    ("key", "found"), [("01" * 32, "01"), ("0202", "02"), ("web", "01"), ("web-", "02"), ("ob", "03")]
)
def test_an_endpoint_is_found_by_any_part_that_fits_only_one(peopled: Master, key: str, found: str) -> None:
    assert ids(peopled) == ["01", "02", "03"]
    inspected = peopled.ask("GET", f"/api/v1/inspect/endpoints/{key}").json
    assert (list(inspected), inspected["Oper"]["endpointID"]) == (["Oper"], found * 32)


@pytest.mark.parametrize(
    ("key", "status", "words"),
    [
        ("e", 409, ("may be any of 2 endpoints", "web in default:net on node1", "web-2 in default:net on node2")),
        ("0", 409, ("may be any of 3 endpoints", "010101010101", "say more of its id")),
        ("nothing", 404, ("endpoint nothing not found",)),
        ("/", 404, ("endpoint", "not found")),
        ("", 404, ("endpoint", "not found")),
    ],
)
async def test_what_may_be_several_endpoints_or_none_is_refused(
    peopled: Master, dump: Dump, key: str, status: int, words: tuple[str, ...]
) -> None:
    before = await dump()
    for method, path in (("GET", "/api/v1/inspect/endpoints"), ("DELETE", "/api/v1/endpoints")):
        reply = peopled.ask(method, f"{path}/{key}/")
        assert (reply.status, [word for word in words if word not in reply.text]) == (status, []), reply.text
    assert await dump() == before


async def test_an_endpoint_without_a_container_is_not_found_by_no_name(peopled: Master, store: Store) -> None:
    await put(store, *life(4, LOST, ""))
    assert peopled.ask("DELETE", "/api/v1/endpoints//?force=true").status == 404
    assert ids(peopled) == ["01", "02", "03", "04"]


async def test_a_living_nodes_endpoint_goes_only_by_force(peopled: Master, store: Store, dump: Dump) -> None:
    before = await dump()
    for force in ("", "?force=false", "?force=", "?force=yes"):
        refused = peopled.ask("DELETE", f"/api/v1/endpoints/0101{force}")
        assert (refused.status, "lives on node node1, which is alive" in refused.text) == (409, True)
    assert await dump() == before
    assert peopled.ask("DELETE", "/api/v1/endpoints/0202").json == "02" * 32
    assert peopled.ask("DELETE", "/api/v1/endpoints/0101?force=true").json == "01" * 32
    assert ids(peopled) == ["03"]
    assert await held(store) == ["10.1.1.3", "10.1.1.9", "2001:db8::3"]


@pytest.mark.parametrize(
    ("path", "gone"),
    [
        ("default/net/net", ["01", "02", "03"]),
        ("default/group/db", ["02"]),
        ("default/group/idle", []),
        ("default/ep/job", ["03"]),
        ("default/ep/" + "01" * 32, ["01"]),
    ],
)
async def test_a_clean_up_removes_of_a_network_of_a_group_or_one(
    peopled: Master, store: Store, path: str, gone: list[str]
) -> None:
    reply = peopled.ask("DELETE", f"/debug/epcleanup/tenant/{path}")
    assert (reply.status, [each["endpointID"][:2] for each in reply.json]) == (200, gone)
    assert ids(peopled) == [each for each in ("01", "02", "03") if each not in gone]
    assert len(await held(store)) == 7 - 2 * len(gone)


@pytest.mark.parametrize(
    ("path", "status", "text"),
    [
        ("red/net/net", 404, "tenant red not found"),
        ("default/net/no", 404, "network default:no not found"),
        ("default/group/no", 404, "endpoint group default:no not found"),
        ("default/ep/no", 404, "endpoint no not found"),
        ("blue/ep/web", 404, "endpoint web not found"),
        ("default/node/net", 400, 'clean-up of "node": it is net, group or ep'),
        ("default/ep/0", 409, "0 may be any of 3 endpoints"),
    ],
)
async def test_a_clean_up_is_refused(peopled: Master, dump: Dump, path: str, status: int, text: str) -> None:
    before = await dump()
    reply = peopled.ask("DELETE", f"/debug/epcleanup/tenant/{path}")
    assert (reply.status, text in reply.text) == (status, True), reply.text
    assert await dump() == before


async def test_a_living_node_stays_and_a_lost_one_goes_with_all_that_it_holds(
    peopled: Master, store: Store, dump: Dump
) -> None:
    before = await dump()
    reply = peopled.ask("DELETE", "/api/v1/nodes/node1/")
    assert (reply.status, reply.text.startswith("node node1 is alive; stop its netplugin first")) == (409, True)
    assert peopled.ask("DELETE", "/api/v1/nodes/node3").text == "node node3 not found\n"
    assert await dump() == before
    claims = [AddressClaim(NET, IPv4Address(f"10.1.2.{each}"), ClaimPurpose.LEASE, LOST) for each in range(1, MANY)]
    for start in range(0, len(claims), 100):
        await put(store, *claims[start : start + 100])
    assert peopled.ask("DELETE", "/api/v1/nodes/node2").json == "node2"
    assert ids(peopled) == ["01"]
    assert await held(store) == ["10.1.1.1", "2001:db8::1"]
    assert [each["name"] for each in peopled.ask("GET", "/api/v1/nodes/").json] == ["node1"]
    assert [key for key in await dump() if key.startswith(keys.CONTACTS)] == [keys.contact_key(ALIVE)]


async def test_of_a_node_that_comes_back_in_between_what_came_after_stays(peopled: Master, store: Store) -> None:
    """The node is there at any moment of its removal; then what it has written since must be there, too."""
    lease, late = NodeLease(LOST, "host"), life(7, LOST, "late")
    for delay_s in (0, 0.001, 0.002, 0.003, 0.004, 0.006, 0.008):
        await put(store, node(LOST), *life(2, LOST, "web-2", "db"))
        removal = asyncio.create_task(asyncio.to_thread(peopled.ask, "DELETE", "/api/v1/nodes/node2"))
        await asyncio.sleep(delay_s)
        await put(store, lease, node(LOST), *late)
        reply = await removal
        assert reply.status in (200, 409), reply.text
        assert "07" in ids(peopled)
        assert {"10.1.1.7", "2001:db8::7"} <= set(await held(store))
        assert LOST in [each["name"] for each in peopled.ask("GET", "/api/v1/nodes/").json]
        await store.commit((), [Delete(keys.key_of(each)) for each in (lease, *late)])


async def test_an_address_that_another_node_has_by_now_stays(
    peopled: Master, masters: tuple[Master, Master], store: Store
) -> None:
    """While a node is removed, an endpoint of its is removed by hand, too, and its address given to another."""
    for _ in range(5):
        await put(store, node(LOST), *life(2, LOST, "web-2", "db"))
        removal = asyncio.create_task(asyncio.to_thread(masters[1].ask, "DELETE", "/api/v1/nodes/node2"))
        await asyncio.to_thread(peopled.ask, "DELETE", "/api/v1/endpoints/0202?force=true")
        claim = AddressClaim(NET, IPv4Address("10.1.1.2"), ClaimPurpose.LEASE, ALIVE)
        await store.commit((), (Put(keys.key_of(claim), keys.render(claim)),))
        assert (await removal).status in (200, 409)
        assert "10.1.1.2" in await held(store)
        await store.commit((), (Delete(keys.key_of(claim)),))
