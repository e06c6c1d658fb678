"""One live host a name; a restart is the same host."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from isthmus.core.errors import ConflictError
from isthmus.core.model import EngineState, Node, NodeLease, NodeName
from isthmus.edge.store import Delete, Put, Store
from isthmus.netplugin.membership import Membership, Report
from isthmus.netplugin.mirror import Mirror
from isthmus.wire import keys
from tests.netplugin.conftest import NETWORK, log, write

pytestmark = pytest.mark.root
NAME = NodeName("one")
THEIRS = keys.render(NodeLease(NAME, "10.0.0.2"))


def membership(store: Store) -> Membership:
    return Membership(store, NAME, log())


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
    first = asyncio.create_task(membership(store).run("10.0.0.1"))
    await until_held(store, "10.0.0.1")
    with pytest.raises(ConflictError, match="one"):
        await membership(store).run("10.0.0.2")
    assert await holder(store) == "10.0.0.1"
    first.cancel()
    await asyncio.wait([first])


async def test_the_lease_goes_with_its_holder_and_a_restart_takes_it_over(store: Store) -> None:
    before = asyncio.create_task(membership(store).run("10.0.0.1"))
    await until_held(store, "10.0.0.1")
    old = await revision_of_lease(store)
    after = asyncio.create_task(membership(store).run("10.0.0.1"))
    async with asyncio.timeout(10):
        while await revision_of_lease(store) == old:
            await asyncio.sleep(0.01)
    before.cancel()
    await asyncio.wait([before])
    assert await holder(store) == "10.0.0.1"
    after.cancel()
    await asyncio.wait([after])
    await until_held(store, None)


async def test_the_gate_opens_with_the_lease_and_never_for_a_second_host(store: Store) -> None:
    first, second = membership(store), membership(store)
    assert not await is_open(first)
    async with running(first, "10.0.0.1"):
        await asyncio.wait_for(first.opened(), 10)
        async with running(second, "10.0.0.2"):
            assert not await is_open(second)
            assert "10.0.0.1" in second.reason
            assert await is_open(first)
    assert not await is_open(first)


async def test_a_host_whose_name_was_taken_meanwhile_reads_and_writes_no_more_and_ends(store: Store) -> None:
    first = membership(store)
    mirror = Mirror(store.behind(first), log())
    mirror.listen(first.notice)
    following = asyncio.create_task(mirror.run())
    async with store.lease(60) as other, running(first, "10.0.0.1") as life:
        await asyncio.wait_for(mirror.reached(), 10)
        stolen = await store.commit([], [Put(keys.lease_key(NAME), THEIRS, other.id)])
        assert stolen is not None
        await asyncio.wait_for(mirror.reached(stolen), 10)
        assert not await is_open(first)
        later = await write(store, NETWORK)
        with pytest.raises(ConflictError, match=r"one.*10\.0\.0\.2"):
            await asyncio.wait_for(asyncio.shield(life), 30)
        assert mirror.world.revision < later
    following.cancel()
    await asyncio.wait([following])


async def test_a_lease_or_a_report_removed_by_hand_is_written_again(store: Store) -> None:
    first, moved = membership(store), asyncio.Event()
    mirror = Mirror(store.behind(first), log())
    report = Report(store, lambda: Node(NAME, None, "1", EngineState.READY, "20.10", 0), moved, log())
    for listener in (first.notice, report.notice):
        mirror.listen(listener)
    async with running(first, "10.0.0.1"):
        tasks = [asyncio.create_task(mirror.run()), asyncio.create_task(report.run())]
        moved.set()
        await written(store, 0)
        for _ in range(3):
            await mirror.reached(await removed(store, keys.lease_key(NAME), keys.node_key(NAME)))
            await until_held(store, "10.0.0.1")
            await written(store, 0)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


@asynccontextmanager
async def running(member: Membership, identity: str) -> AsyncIterator["asyncio.Task[None]"]:
    life = asyncio.create_task(member.run(identity))
    try:
        yield life
    finally:
        life.cancel()
        await asyncio.wait([life])


async def is_open(member: Membership) -> bool:
    """Whether it is open, or opens at once."""
    try:
        await asyncio.wait_for(member.opened(), 0.5)
    except TimeoutError:
        return False
    return True


async def removed(store: Store, *places: str) -> int:
    revision = await store.commit([], [Delete(place) for place in places])
    assert revision is not None
    return revision


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


async def test_a_first_turn_is_reported_though_it_changed_nothing(store: Store) -> None:
    applied, moved = 0, asyncio.Event()
    report = Report(store, lambda: Node(NAME, None, "1", EngineState.READY, "20.10", applied), moved, log())
    reporting = asyncio.create_task(report.run())
    moved.set()
    await written(store, 0)
    applied = 7  # of a world that was remembered whole, so that no change of intent announced it
    moved.set()
    assert (await written(store, 7)).applied_revision == 7
    reporting.cancel()
    await asyncio.wait([reporting])


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
