"""One live host a name; a restart is the same host."""

import asyncio

import pytest

from isthmus.core.errors import ConflictError
from isthmus.core.model import EngineState, Node, NodeLease, NodeName
from isthmus.edge.store import Store
from isthmus.netplugin.membership import Membership, Report
from isthmus.netplugin.mirror import Mirror
from isthmus.wire import keys
from tests.netplugin.conftest import NETWORK, log, write

pytestmark = pytest.mark.root
NAME = NodeName("one")


def membership(store: Store, identity: str) -> Membership:
    return Membership(store, NodeLease(NAME, identity), log())


async def holder(store: Store) -> str | None:
    for item in (await store.read(keys=[keys.lease_key(NAME)])).items:
        lease = keys.parse(item.key, item.value)
        assert isinstance(lease, NodeLease)
        return lease.identity
    return None


async def revision_of_lease(store: Store) -> int:
    return (await store.read(keys=[keys.lease_key(NAME)])).mod_revision


async def until_held(store: Store, identity: str | None) -> None:
    async with asyncio.timeout(10):
        while await holder(store) != identity:
            await asyncio.sleep(0.01)


async def test_a_second_host_of_the_name_refuses_and_the_first_stays(store: Store) -> None:
    first = asyncio.create_task(membership(store, "10.0.0.1").run())
    await until_held(store, "10.0.0.1")
    with pytest.raises(ConflictError, match="one"):
        await membership(store, "10.0.0.2").run()
    assert await holder(store) == "10.0.0.1"
    first.cancel()
    await asyncio.wait([first])


async def test_the_lease_goes_with_its_holder_and_a_restart_takes_it_over(store: Store) -> None:
    before = asyncio.create_task(membership(store, "10.0.0.1").run())
    await until_held(store, "10.0.0.1")
    old = await revision_of_lease(store)
    after = asyncio.create_task(membership(store, "10.0.0.1").run())
    async with asyncio.timeout(10):
        while await revision_of_lease(store) == old:
            await asyncio.sleep(0.01)
    before.cancel()
    await asyncio.wait([before])
    assert await holder(store) == "10.0.0.1"
    after.cancel()
    await asyncio.wait([after])
    await until_held(store, None)


async def test_a_report_follows_intent_and_not_containers(store: Store) -> None:
    applied = 0
    moved = asyncio.Event()
    mirror = Mirror(store, log())

    def current() -> Node:
        return Node(NAME, None, "1", EngineState.READY, "20.10", applied)

    report = Report(store, current, moved, log())
    mirror.listen(report.notice)
    tasks = [asyncio.create_task(mirror.run()), asyncio.create_task(report.run())]
    moved.set()
    first = await written(store, 0)
    revision = await write(store, NETWORK)
    await mirror.reached(revision)
    applied = revision
    moved.set()
    assert (await written(store, revision)).applied_revision == revision
    applied = revision + 5  # as after some containers
    moved.set()
    await asyncio.sleep(0.1)
    assert (await written(store, 0)).applied_revision == revision
    assert first.applied_revision == 0
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


async def written(store: Store, revision: int) -> Node:
    """The report, when it has come at least so far."""
    async with asyncio.timeout(10):
        while True:
            for item in (await store.read(keys=[keys.node_key(NAME)])).items:
                node = keys.parse(item.key, item.value)
                assert isinstance(node, Node)
                if node.applied_revision >= revision:
                    return node
            await asyncio.sleep(0.01)
