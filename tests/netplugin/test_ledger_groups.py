"""The laws of addresses where groups have pools, with several nodes at once and groups that come and go."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from ipaddress import IPv4Address
from random import Random

import pytest

from isthmus.core import ipam
from isthmus.core.datapath import Owner
from isthmus.core.errors import ConflictError, ExhaustedError, InvalidError, NotFoundError
from isthmus.core.model import (
    Address,
    AddressClaim,
    Endpoint,
    EndpointGroup,
    EndpointId,
    GroupId,
    GroupKey,
    GroupName,
    NetworkName,
    NodeName,
    Span,
    mac_of,
)
from isthmus.edge.etcd_child import LOOPBACK, EtcdSettings
from isthmus.edge.store import Delete, Event, Events, Put, Store, Unchanged
from isthmus.netplugin.ledger import Ledger
from isthmus.netplugin.mirror import Mirror
from isthmus.wire import keys
from isthmus.wire.endpoints import parse_endpoints
from tests.core.ipam.subjects import listed
from tests.edge.conftest import Member
from tests.edge.test_store_watch import Gate
from tests.netplugin.conftest import KEY, NETWORK, MakeNode, Node, log, write

pytestmark = pytest.mark.root

OPEN = Owner(KEY)
DB, BARE = Owner(KEY, GroupName("db")), Owner(KEY, GroupName("bare"))


def group(name: str, pool: str = "", *, network: str = "net") -> EndpointGroup:
    span = ipam.parse_pool(pool) if pool else None
    return EndpointGroup(GroupKey(KEY.tenant, GroupName(name)), GroupId(1), NetworkName(network), pool=span)


def endpoint(address: Address, owner: Owner, name: str = "e1") -> Endpoint:
    assert isinstance(address, IPv4Address)
    return Endpoint(EndpointId(name), KEY, NodeName("one"), mac_of(address), address, group=owner.group)


async def with_groups(make_node: MakeNode, *groups: EndpointGroup, name: str = "one") -> Node:
    """A node that knows these groups."""
    node = make_node(name)
    await node.mirror.reached(await write(node.store, *groups) if groups else 0)
    return node


async def claim(node: Node, owner: Owner) -> str:
    return str(await node.ledger.claim_next(owner))


async def test_members_get_the_pools_addresses_and_nobody_else_does(make_node: MakeNode) -> None:
    node = await with_groups(make_node, group("db", "10.1.2.2-10.1.2.3"), group("bare"))
    assert [await claim(node, DB) for _ in range(2)] == ["10.1.2.2", "10.1.2.3"]
    assert [await claim(node, owner) for owner in (OPEN, BARE, OPEN)] == ["10.1.2.1", "10.1.2.4", "10.1.2.5"]


async def test_a_pool_is_used_up_by_itself_and_what_is_freed_rests_longest_in_it(make_node: MakeNode) -> None:
    node = await with_groups(make_node, group("db", "10.1.2.4-10.1.2.6"))
    first = [await claim(node, DB) for _ in range(2)]
    await node.ledger.release(KEY, IPv4Address(first[0]))
    assert await claim(node, OPEN) == "10.1.2.1"
    assert [await claim(node, DB) for _ in range(2)] == ["10.1.2.6", "10.1.2.4"]
    with pytest.raises(ExhaustedError, match=r"pool 10\.1\.2\.4-10\.1\.2\.6 of group default:db"):
        await node.ledger.claim_next(DB)
    await node.ledger.release(KEY, IPv4Address("10.1.2.5"))
    assert await claim(node, DB) == "10.1.2.5"


@pytest.mark.parametrize(
    ("owner", "wish", "refusal", "names"),
    [
        (DB, "10.1.2.3", None, ""),
        (BARE, "10.1.2.5", None, ""),
        (DB, "10.1.2.5", InvalidError, "is not in pool 10.1.2.2-10.1.2.3 of group default:db"),
        (OPEN, "10.1.2.3", ConflictError, "is for members of group default:db only"),
        (BARE, "10.1.2.3", ConflictError, "is for members of group default:db only"),
    ],
)
async def test_a_wish_keeps_to_the_pools(
    make_node: MakeNode, owner: Owner, wish: str, refusal: type[Exception] | None, names: str
) -> None:
    node = await with_groups(make_node, group("db", "10.1.2.2-10.1.2.3"), group("bare"))
    with pytest.raises(refusal, match=names) if refusal else contextlib.nullcontext():
        await node.ledger.claim_wish(owner, IPv4Address(wish))


async def test_an_unknown_group_and_one_of_another_network_are_named(make_node: MakeNode) -> None:
    node = await with_groups(make_node, group("db", network="other"))
    for owner in (DB, BARE):
        with pytest.raises(NotFoundError, match=f"group {owner.key} does not exist in network default:net"):
            await node.ledger.claim_next(owner)


async def test_an_endpoint_says_its_group_and_is_not_born_into_one_that_has_gone(make_node: MakeNode) -> None:
    node = await with_groups(make_node, group("db"))
    born, late = [endpoint(await node.ledger.claim_next(DB), DB, name) for name in ("e1", "e2")]
    await node.ledger.create(born)
    assert await node.ledger.find(KEY, born.id) == born
    await node.store.commit([], [Delete(keys.group_key(GroupKey(KEY.tenant, GroupName("db"))))])
    with pytest.raises(NotFoundError, match="default:db"):
        await node.ledger.create(late)
    assert await node.ledger.find(KEY, late.id) is None


async def test_an_address_collected_too_soon_is_claimed_again_unless_it_is_a_pools_by_then(make_node: MakeNode) -> None:
    node = await with_groups(make_node)
    for name in ("e1", "e2"):
        address = await node.ledger.claim_next(OPEN)
        await node.ledger.release(KEY, address)
        if name == "e2":
            await node.mirror.reached(await write(node.store, group("db", f"{address}-{address}")))
            with pytest.raises(ConflictError, match="members of group default:db only"):
                await node.ledger.create(endpoint(address, OPEN, name))
        else:
            await node.ledger.create(endpoint(address, OPEN, name))
    assert [each.endpoint for each in await claims(node.store)] == [None, EndpointId("e1")]  # the gateway's, and one


async def test_a_pool_that_a_node_has_not_heard_of_is_kept_all_the_same(
    make_node: MakeNode, etcd: EtcdSettings, free_port: Callable[[], int]
) -> None:
    other = make_node("other")
    async with late_mirror(etcd, free_port()) as (mirror, gate):
        await gate.shut()
        await write(other.store, group("db", "10.1.2.1-10.1.2.3"))
        ledger = Ledger(other.store, mirror, NodeName("one"))
        claiming = asyncio.create_task(ledger.claim_next(OPEN))
        wishing = asyncio.create_task(ledger.claim_wish(OPEN, IPv4Address("10.1.2.2")))
        await asyncio.sleep(0.5)
        assert await claims(other.store) == await claims(other.store, "gateway")
        await gate.open()
        async with asyncio.timeout(20):
            assert await claiming == IPv4Address("10.1.2.4")
            with pytest.raises(ConflictError, match="members of group default:db only"):
                await wishing


@contextlib.asynccontextmanager
async def late_mirror(etcd: EtcdSettings, port: int) -> AsyncIterator[tuple[Mirror, Gate]]:
    """A mirror whose news pass a gate; the gate is open at first, and the world known."""
    gate = Gate(Member("etcd", etcd.client_port, 0, []), port)
    async with Store(parse_endpoints(f"{LOOPBACK}:{gate.port}")) as late:
        mirror = Mirror(late, log())
        following = asyncio.create_task(mirror.run())
        await gate.open()
        try:
            await mirror.reached()
            yield mirror, gate
        finally:
            following.cancel()
            await asyncio.wait((following,))
            await gate.shut()


async def test_no_race_of_nodes_and_pools_gives_an_address_to_a_stranger(make_node: MakeNode) -> None:
    """Two nodes claim, wish and free while pools come, are used and go; etcd's history is the witness."""
    strangers, member, over = [make_node("one"), make_node("two")], make_node("member"), asyncio.Event()
    history = asyncio.create_task(follow(member.store))
    await member.mirror.reached()
    living = [asyncio.create_task(live(node, Random(seed), over)) for node in strangers for seed in range(3)]
    for number in range(8):
        await divide(member, group(f"g{number}", "10.1.2.4-10.1.2.6"))
    over.set()
    await asyncio.gather(*living)
    await write(member.store, group("last"))
    check_history(await history)


async def live(node: Node, rng: Random, over: asyncio.Event) -> None:
    """Claim the next or a certain address, keep it for a moment, release it."""
    while not over.is_set():
        wish = IPv4Address(f"10.1.2.{rng.randrange(3, 8)}")
        try:
            if rng.random() < 0.5:
                await node.ledger.claim_wish(OPEN, wish)
            else:
                wish = IPv4Address(str(await node.ledger.claim_next(OPEN)))
        except (ConflictError, ExhaustedError):
            continue
        await node.ledger.release(KEY, wish)


async def divide(node: Node, wanted: EndpointGroup) -> None:
    """Make a group with a pool as netmaster would, use all of its pool, and remove it."""
    pool, place = wanted.pools[0], keys.key_of(wanted)
    absent = [Unchanged(f"{keys.addresses_of(KEY)}{each}", 0) for each in listed(pool.text)]
    made: int | None = None
    while made is None:
        held = [each.address for each in await claims(node.store)]
        with contextlib.suppress(ConflictError):
            ipam.check_pool(wanted.key, pool, NETWORK, (), held)
            made = await node.store.commit([Unchanged(place, 0), *absent], [Put(place, keys.render(wanted))])
    await node.mirror.reached(made)
    given = [await node.ledger.claim_next(Owner(KEY, wanted.key.name)) for _ in absent]
    assert given == listed(pool.text)
    for address in given:
        await node.ledger.release(KEY, address)
    await node.store.commit([], [Delete(place)])


async def follow(store: Store) -> list[Event]:
    """All that happens until a group called last is made."""
    seen: list[Event] = []
    async for news in store.watch(keys.ROOT):
        seen += news.events if isinstance(news, Events) else ()
        if any(event.key.endswith("/last") and event.key.startswith(keys.GROUPS) for event in seen):
            break
    return seen


def check_history(history: list[Event]) -> None:
    """No claim while another stands, none in a pool but a member's, no pool over a claim."""
    held: dict[str, AddressClaim] = {}
    pools: dict[str, Span] = {}
    for event in history:
        record = keys.parse(event.key, event.value) if event.value else None
        if isinstance(record, AddressClaim):
            assert event.key not in held
            assert record.node == "member" or not any(record.address in pool for pool in pools.values())
            held[event.key] = record
        elif isinstance(record, EndpointGroup) and record.pool:
            assert not any(claim.address in record.pool for claim in held.values())
            pools[event.key] = record.pool
        elif record is None:
            held.pop(event.key, None)
            pools.pop(event.key, None)
    assert len({event.key for event in history if event.key.startswith(keys.GROUPS)}) > 8


async def claims(store: Store, purpose: str = "") -> list[AddressClaim]:
    """What is held, the gateway first."""
    found = [keys.parse(item.key, item.value) for item in (await store.read(prefixes=[keys.addresses_of(KEY)])).items]
    held = [each for each in found if isinstance(each, AddressClaim) and purpose in each.purpose]
    return sorted(held, key=lambda each: each.purpose)
