"""The mirror on a real etcd: damaged records are named as long as they are there, and harm nothing else."""

import asyncio

import pytest

from isthmus.core.model import Endpoint, EndpointId, NodeName, Tenant, TenantName, mac_of
from isthmus.edge.store import Delete, Put, Store
from isthmus.netplugin.memory import Remembered
from isthmus.netplugin.mirror import Mirror
from isthmus.wire import keys
from tests.netplugin.conftest import KEY, SUBNET, MakeNode, log, write

pytestmark = pytest.mark.root

BAD = keys.endpoints_of(KEY) + "damaged"


async def test_a_damaged_record_is_named_until_it_is_gone_and_the_rest_is_known(make_node: MakeNode) -> None:
    node = make_node("one")
    await node.store.commit([], [Put(BAD, b'{"schema":2}')])
    revision = await write(node.store, Tenant(TenantName("blue")))
    world = await node.mirror.reached(revision)
    assert TenantName("blue") in world.tenants
    assert list(node.mirror.unreadable) == [BAD]
    assert BAD in node.mirror.unreadable[BAD]
    revision = await node.store.commit([], [Delete(BAD)]) or 0
    await node.mirror.reached(revision)
    assert node.mirror.unreadable == {}


async def test_a_record_that_becomes_unreadable_keeps_its_last_meaning(make_node: MakeNode) -> None:
    node = make_node("one")
    await node.mirror.reached()
    revision = await node.store.commit([], [Put(keys.network_key(KEY), b"[]")]) or 0
    world = await node.mirror.reached(revision)
    assert KEY in world.networks


async def test_whoever_waits_for_a_revision_is_woken_by_it(make_node: MakeNode) -> None:
    node = make_node("one")
    now = (await node.mirror.reached()).revision
    waiting = asyncio.create_task(node.mirror.reached(now + 1))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    await write(node.store, Tenant(TenantName("blue")))
    assert (await asyncio.wait_for(waiting, 5)).revision == now + 1


async def test_what_is_let_go_before_etcd_has_told_anything_leaves_the_world_with_it(store: Store) -> None:
    address = SUBNET.first + 1
    ended = Endpoint(EndpointId("e" * 64), KEY, NodeName("one"), mac_of(address), address, sandbox="/run/gone")
    key = keys.key_of(ended)
    mirror = Mirror(store, log(), Remembered(kept={key: ended}))
    leaving = asyncio.create_task(mirror.let_go([key]))
    await asyncio.sleep(0)
    following = asyncio.create_task(mirror.run())
    try:
        await asyncio.wait_for(leaving, 5)
        assert mirror.kept == {}
        assert ended.id not in mirror.world.population(KEY).endpoints
    finally:
        following.cancel()
