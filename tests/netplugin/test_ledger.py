"""The laws of addresses and endpoints in etcd, with several nodes at once."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from isthmus.core.datapath import Owner
from isthmus.core.errors import ConflictError, ExhaustedError, InvalidError, NotFoundError
from isthmus.core.model import (
    Address,
    ContainerId,
    Endpoint,
    EndpointId,
    NetworkKey,
    NetworkName,
    NodeName,
    TenantName,
    mac_of,
)
from isthmus.edge.etcd_child import LOOPBACK, EtcdSettings
from isthmus.edge.store import Delete, Put, Store
from isthmus.netplugin.ledger import Ledger
from isthmus.netplugin.mirror import Mirror
from isthmus.wire import keys
from isthmus.wire.endpoints import parse_endpoints
from tests.edge.conftest import Member
from tests.edge.test_store_watch import Gate
from tests.netplugin.conftest import GATEWAY, KEY, MakeNode, Node, log

pytestmark = pytest.mark.root
OWNER = Owner(KEY)


def endpoint(address: Address, node: str = "one", name: str = "e1") -> Endpoint:
    assert isinstance(address, IPv4Address)
    return Endpoint(EndpointId(name), KEY, NodeName(node), mac_of(address), address)


async def held(node: Node) -> set[str]:
    snapshot = await node.store.read(prefixes=[keys.addresses_of(KEY)])
    return {item.key.removeprefix(keys.addresses_of(KEY)) for item in snapshot.items if "/last" not in item.key}


async def test_two_nodes_at_once_never_get_one_address(make_node: MakeNode) -> None:
    nodes = [make_node("one"), make_node("two")]
    claims = [node.ledger.claim_next(OWNER) for node in nodes for _ in range(6)]
    given = await asyncio.gather(*claims)
    assert len(set(given)) == 12
    assert GATEWAY not in given


async def test_addresses_count_up_from_one_and_a_freed_one_rests(make_node: MakeNode) -> None:
    node = make_node("one")
    assert [str(await node.ledger.claim_next(OWNER)) for _ in range(3)] == ["10.1.2.1", "10.1.2.2", "10.1.2.3"]
    await node.ledger.release(KEY, IPv4Address("10.1.2.2"))
    assert str(await node.ledger.claim_next(OWNER)) == "10.1.2.4"


async def test_the_last_address_is_given_and_then_none(make_node: MakeNode) -> None:
    node = make_node("one")
    for _ in range(13):  # of sixteen: not the network's, the broadcast and the gateway's
        await node.ledger.claim_next(OWNER)
    with pytest.raises(ExhaustedError, match=r"10\.1\.2\.0/28"):
        await node.ledger.claim_next(OWNER)
    await node.ledger.release(KEY, IPv4Address("10.1.2.5"))
    assert str(await node.ledger.claim_next(OWNER)) == "10.1.2.5"


async def test_a_wished_address_is_given_once_and_its_holder_is_named(make_node: MakeNode) -> None:
    one, two = make_node("one"), make_node("two")
    wish = IPv4Address("10.1.2.7")
    await one.ledger.claim_wish(OWNER, wish)
    await one.ledger.create(endpoint(wish))
    await one.ledger.join(endpoint(wish), "web", "/run/netns/a")
    await two.mirror.reached((await two.store.read(keys=[keys.GLOBAL])).revision)
    with pytest.raises(ConflictError, match="container web on node one"):
        await two.ledger.claim_wish(OWNER, wish)


@pytest.mark.parametrize("wish", ["10.1.2.0", "10.1.2.15", "10.9.9.9"])
async def test_a_wish_that_is_not_the_networks_is_refused(make_node: MakeNode, wish: str) -> None:
    with pytest.raises(InvalidError, match=wish):
        await make_node("one").ledger.claim_wish(OWNER, IPv4Address(wish))


async def test_the_gateway_is_nobodys(make_node: MakeNode) -> None:
    with pytest.raises(ConflictError, match="gateway"):
        await make_node("one").ledger.claim_wish(OWNER, GATEWAY)


async def test_a_network_that_is_not_there_is_named(make_node: MakeNode) -> None:
    stranger = NetworkKey(TenantName("default"), NetworkName("nowhere"))
    with pytest.raises(NotFoundError, match="default:nowhere"):
        await make_node("one").ledger.claim_next(Owner(stranger))


async def test_a_whole_life_leaves_nothing_and_every_act_may_be_repeated(make_node: MakeNode) -> None:
    node = make_node("one")
    address = await node.ledger.claim_next(OWNER)
    born = endpoint(address)
    for _ in range(2):
        await node.ledger.create(born)
    for _ in range(2):
        await node.ledger.join(born, "web", "/run/netns/a")
    joined = await node.ledger.find(KEY, born.id)
    assert joined == replace(born, container="web", sandbox="/run/netns/a")
    for _ in range(2):
        await node.ledger.leave(joined)
    for _ in range(2):
        await node.ledger.delete(born)
    assert await held(node) == {str(address), str(GATEWAY)}  # the engine has not given it back yet
    for _ in range(2):
        await node.ledger.release(KEY, address)
    assert await held(node) == {str(GATEWAY)}
    assert await node.ledger.find(KEY, born.id) is None


async def test_a_name_that_comes_late_changes_nothing_but_the_name(make_node: MakeNode) -> None:
    """The census knows the endpoint as it was a moment ago; a sandbox left meanwhile must not come back with it."""
    node = make_node("one")
    born = endpoint(await node.ledger.claim_next(OWNER))
    await node.ledger.create(born)
    await node.ledger.join(born, "", "/run/netns/a")
    identity = ContainerId("c" * 64)
    await node.ledger.identify(born, "web", identity)
    joined = replace(born, container="web", sandbox="/run/netns/a", container_id=identity)
    assert await node.ledger.find(KEY, born.id) == joined
    await node.ledger.leave(born)
    await node.ledger.identify(joined, "late", None)
    assert await node.ledger.find(KEY, born.id) == replace(joined, sandbox="")


async def test_acts_with_nothing_left_to_do_wait_for_no_foreign_key(make_node: MakeNode) -> None:
    """The watch of our own keys never comes to a revision that only another user of that etcd has made."""
    node = make_node("one")
    born = endpoint(await node.ledger.claim_next(OWNER))
    await node.ledger.create(born)
    for act in (node.ledger.leave, node.ledger.delete):
        await node.mirror.reached(await act(born))
        for _ in range(2):
            await node.store.commit([], [Put("/of-another", b"")])
            async with asyncio.timeout(10):
                await node.mirror.reached(await act(born))


async def test_a_claim_that_lost_its_race_waits_for_no_foreign_key(
    make_node: MakeNode, etcd: EtcdSettings, free_port: Callable[[], int]
) -> None:
    """One node's news come late: it tries for an address that another has, and hears of that only then."""
    other = make_node("other")
    gate = Gate(Member("etcd", etcd.client_port, 0, []), free_port())
    async with Store(parse_endpoints(f"{LOOPBACK}:{gate.port}")) as late:
        mirror = Mirror(late, log())
        following = asyncio.create_task(mirror.run())
        await gate.open()
        try:
            await mirror.reached()
            await gate.shut()
            await other.ledger.claim_wish(OWNER, IPv4Address("10.1.2.1"))
            await other.store.commit([], [Put("/of-another", b"")])
            claim = asyncio.create_task(Ledger(other.store, mirror, NodeName("one")).claim_next(OWNER))
            await asyncio.sleep(0.5)
            await gate.open()
            async with asyncio.timeout(20):
                assert await claim == IPv4Address("10.1.2.2")
        finally:
            following.cancel()
            await asyncio.wait((following,))
            await gate.shut()


async def test_a_late_release_does_not_take_the_next_ones_address(make_node: MakeNode) -> None:
    one, two = make_node("one"), make_node("two")
    address = IPv4Address("10.1.2.3")
    await one.ledger.claim_wish(OWNER, address)
    await one.ledger.release(KEY, address)
    await two.ledger.claim_wish(OWNER, address)
    await one.ledger.release(KEY, address)  # said again, as an engine may after a crash
    assert str(address) in await held(two)
    await two.ledger.create(endpoint(address, "two"))
    await two.ledger.release(KEY, address)  # bound by now
    assert str(address) in await held(two)


async def test_an_endpoint_cannot_have_anothers_address(make_node: MakeNode) -> None:
    one, two = make_node("one"), make_node("two")
    address = await one.ledger.claim_next(OWNER)
    with pytest.raises(ConflictError, match=str(address)):
        await two.ledger.create(endpoint(address, "two"))
    assert await two.ledger.find(KEY, EndpointId("e1")) is None


async def test_an_endpoint_is_not_born_into_a_network_that_has_gone(make_node: MakeNode) -> None:
    node = make_node("one")
    address = await node.ledger.claim_next(OWNER)
    await node.store.commit([], [Delete(keys.network_key(KEY))])
    with pytest.raises(NotFoundError, match="default:net"):
        await node.ledger.create(endpoint(address))
    assert await node.ledger.find(KEY, EndpointId("e1")) is None


async def test_an_unknown_endpoint_cannot_join(make_node: MakeNode) -> None:
    with pytest.raises(NotFoundError, match="e1"):
        await make_node("one").ledger.join(endpoint(IPv4Address("10.1.2.1")), "web", "/run/netns/a")
