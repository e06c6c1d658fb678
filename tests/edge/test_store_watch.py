"""Watches on real etcds that are killed, frozen, compacted and cut off: nothing lost, nothing twice.

The truth is etcd's own history, read again revision by revision through its plain protocol.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from typing import TYPE_CHECKING

import pytest
from grpc import aio

from isthmus.core.errors import StoreUnavailableError
from isthmus.edge.store import Delete, Event, Events, HistoryLost, Put, Snapshot, Store
from isthmus.edge.store._etcd import etcd_pb2 as pb
from isthmus.edge.store._etcd import etcd_pb2_grpc as rpc
from isthmus.wire.endpoints import Endpoint, Endpoints

if TYPE_CHECKING:
    from tests.edge.conftest import Cluster, MakeCluster, Member

pytestmark = pytest.mark.root
PREFIX = "/watched/"


class Follower:
    """A watch running beside the test, and all that it has yielded."""

    def __init__(self, store: Store, mark: str = "") -> None:
        self.store = store
        self.mark = mark
        self.snapshots: list[Snapshot] = []
        self.batches: list[Events] = []
        self.losses = 0
        self.revision = 0

    async def follow(self) -> None:
        async for item in self.store.watch(PREFIX, mark=self.mark):
            match item:
                case HistoryLost():
                    self.losses += 1
                    continue
                case Snapshot():
                    self.snapshots.append(item)
                case Events():
                    self.batches.append(item)
            self.revision = item.revision


@asynccontextmanager
async def following(endpoints: Endpoints, mark: str = "") -> AsyncIterator[Follower]:
    async with Store(endpoints) as store, running(Follower(store, mark)) as follower:
        await until(lambda: bool(follower.snapshots))
        yield follower


@asynccontextmanager
async def running(follower: Follower) -> AsyncIterator[Follower]:
    task = asyncio.create_task(follower.follow())
    try:
        yield follower
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@asynccontextmanager
async def writing(cluster: Cluster, pause_s: float = 0.005) -> AsyncIterator[list[int]]:
    """Writes, deletions and transactions of several keys, without end; yields the revisions acknowledged."""
    done: list[int] = []

    async def write() -> None:
        async with Store(cluster.endpoints, timeout_s=1) as store:
            turn = 0
            while True:
                turn += 1
                some = PREFIX + str(turn % 7)
                many = [Put(f"{PREFIX}many/{number}", b"%d" % turn) for number in range(5)]
                ops = [Delete(some)] if turn % 5 == 0 else many if turn % 9 == 0 else [Put(some, b"%d" % turn)]
                with suppress(StoreUnavailableError):
                    done.append(await store.commit([], ops) or 0)
                await asyncio.sleep(pause_s)

    task = asyncio.create_task(write())
    try:
        yield done
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def until(is_so: Callable[[], bool], within_s: float = 30) -> None:
    async with asyncio.timeout(within_s):
        while not is_so():  # the state is etcd's, which sets no event of ours
            await asyncio.sleep(0.01)


async def history(member: Member, after: int, upto: int) -> list[Event]:
    """What happened, by reading the prefix at each revision and comparing it with the one before."""
    async with aio.insecure_channel(str(member.endpoint)) as channel:
        kv: rpc.KVAsyncStub = rpc.KVStub(channel)

        async def at(revision: int) -> dict[bytes, pb.KeyValue]:
            end = PREFIX[:-1].encode() + b"0"
            request = pb.RangeRequest(key=PREFIX.encode(), range_end=end, revision=revision)
            answer = await kv.Range(request, wait_for_ready=True)
            return {one.key: one for one in answer.kvs}

        events = []
        before = await at(after)
        for revision in range(after + 1, upto + 1):
            now = await at(revision)
            for key in sorted(before.keys() | now.keys()):
                old, new = before.get(key), now.get(key)
                if old != new:
                    value, previous = new.value if new else None, old.value if old else None
                    events.append(Event(key.decode(), value, revision, previous))
            before = now
        return events


async def caught_up(cluster: Cluster, follower: Follower) -> int:
    """Write a last key, wait until the follower has it: its revision."""
    async with Store(cluster.endpoints) as store:
        revision = await store.commit([], [Put(PREFIX + "last", b"")])
    assert revision is not None
    await until(lambda: follower.revision >= revision)
    return revision


async def check(cluster: Cluster, follower: Follower) -> None:
    """The follower saw history: all of it, once, in order, in whole revisions."""
    upto = await caught_up(cluster, follower)
    [snapshot] = follower.snapshots
    truth = await history(cluster.members[0], snapshot.revision, upto)
    batches = [batch for batch in follower.batches if batch.revision <= upto]
    seen = [event for batch in batches for event in batch.events]
    assert [event.mod_revision for event in seen] == [event.mod_revision for event in truth]
    assert sorted(seen, key=lambda event: (event.mod_revision, event.key)) == truth
    assert len(truth) > 20
    revisions = [{event.mod_revision for event in batch.events} for batch in batches]
    assert sum(map(len, revisions)) == len(set().union(*revisions)), "a revision was split over two batches"
    assert [batch.revision for batch in batches] == [max(some) for some in revisions]


class Gate:
    """A way to a member that can be shut, or that shuts itself after so many bytes of answers."""

    def __init__(self, member: Member, port: int) -> None:
        self.member = member
        self.port = port
        self.quota_bytes: int | None = None
        self.cuts = 0
        self._server: asyncio.Server | None = None
        self._ways: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._enter, "127.0.0.1", self.port)

    async def shut(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for way in self._ways:
            way.cancel()
        if self._ways:
            await asyncio.wait(self._ways)

    def _enter(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        way = asyncio.create_task(self._pass(reader, writer))
        self._ways.add(way)
        way.add_done_callback(lambda _: self._leave(way, writer))

    def _leave(self, way: asyncio.Task[None], writer: asyncio.StreamWriter) -> None:
        self._ways.discard(way)
        writer.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.member.client_port)
            asking = asyncio.create_task(_copy(reader, far_writer, None))
            try:
                if await _copy(far_reader, writer, self.quota_bytes):
                    self.cuts += 1
            finally:
                asking.cancel()
                far_writer.transport.abort()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, quota_bytes: int | None) -> bool:
    """Copy to the end; whether the quota ended it."""
    left_bytes = quota_bytes or sys.maxsize
    with suppress(ConnectionError):
        while chunk := await reader.read(4096):
            left_bytes -= len(chunk)
            if left_bytes < 0:
                return True
            writer.write(chunk)
            await writer.drain()
    return False


@asynccontextmanager
async def gated(cluster: Cluster, port: int, *, number: int = 0) -> AsyncIterator[tuple[Gate, Endpoints]]:
    """A shut gate to one member, and the cluster's endpoints with the gate in its place."""
    gate = Gate(cluster.members[number], port)
    members = [member.endpoint for member in cluster.members]
    members[number] = Endpoint("127.0.0.1", port)
    try:
        yield gate, Endpoints(tuple(members))
    finally:
        await gate.shut()


async def test_a_watch_gives_what_is_there_then_what_happens(make_cluster: MakeCluster) -> None:
    cluster = make_cluster()
    async with Store(cluster.endpoints) as store:
        await store.commit([], [Put(PREFIX + "old", b"1"), Put("/elsewhere", b"")])
        async with aclosing(store.watch(PREFIX)) as watch:
            first = await anext(watch)
            assert isinstance(first, Snapshot)
            assert [(item.key, item.value) for item in first.items] == [(PREFIX + "old", b"1")]
            await store.commit([], [Put("/elsewhere", b"")])
            revision = await store.commit([], [Delete(PREFIX + "old"), Put(PREFIX + "new", b"2")])
            second = await anext(watch)
            assert revision is not None
            old = Event(PREFIX + "old", None, revision, b"1")
            new = Event(PREFIX + "new", b"2", revision, None)
            assert second == Events(revision, (old, new))


async def test_a_watch_started_before_etcd_waits_for_it(make_cluster: MakeCluster) -> None:
    cluster = make_cluster()
    cluster.members[0].kill()
    async with Store(cluster.endpoints, timeout_s=0.3) as store, running(Follower(store)) as follower:
        await until(lambda: "refused" in store.health.reason)
        cluster.members[0].start()
        await until(lambda: bool(follower.snapshots))
        assert store.health.is_connected


async def test_kill_9_and_restart_under_writes(make_cluster: MakeCluster) -> None:
    cluster = make_cluster()
    [member] = cluster.members
    async with following(cluster.endpoints) as follower:
        async with writing(cluster) as done:
            for _ in range(2):
                await more(done)
                member.kill()
                await until(lambda: not follower.store.health.is_connected)
                member.start()
            await more(done)
        await check(cluster, follower)
        assert follower.store.health.is_connected


async def test_a_frozen_etcd_is_noticed_and_nothing_is_lost(make_cluster: MakeCluster) -> None:
    cluster = make_cluster()
    [member] = cluster.members
    async with following(cluster.endpoints) as follower:
        async with writing(cluster) as done:
            await more(done)
            member.freeze()
            await until(lambda: "silent" in follower.store.health.reason)
            member.thaw()
            await more(done)
        await check(cluster, follower)


async def test_a_frozen_member_is_left_for_another(make_cluster: MakeCluster, unused_tcp_port: int) -> None:
    cluster = make_cluster(3)
    async with gated(cluster, unused_tcp_port, number=1) as (gate, endpoints):
        two = Endpoints(endpoints.members[:2])
        async with following(two) as follower:  # of the first member: the gate to the second is shut
            await gate.open()
            cluster.members[0].freeze()
            async with writing(cluster) as done:
                await more(done, 10)
                await until(lambda: follower.revision >= done[-1])
            cluster.members[0].thaw()
            async with writing(cluster) as done:
                await more(done)
            await check(cluster, follower)


async def test_a_killed_leader_and_a_lost_quorum_lose_nothing(make_cluster: MakeCluster) -> None:
    cluster = make_cluster(3)
    async with following(cluster.endpoints) as follower:
        async with writing(cluster) as done:
            await more(done)
            leader, other = await leader_first(cluster)
            leader.kill()
            await more(done)
            other.kill()
            await until(lambda: "no leader" in follower.store.health.reason)
            leader.start()
            await more(done)
            other.start()
        await check(cluster, follower)
        assert follower.store.health.is_connected


async def test_closing_the_store_ends_its_watch(make_cluster: MakeCluster) -> None:
    store = Store(make_cluster().endpoints)
    follower = Follower(store)
    task = asyncio.create_task(follower.follow())
    await until(lambda: store.health.is_connected and bool(follower.snapshots))
    await store.close()
    await until(task.done)
    with pytest.raises(RuntimeError, match="closed"):
        await store.read(keys=("/",))


async def test_a_compaction_slept_through_gives_a_snapshot_again(
    make_cluster: MakeCluster, unused_tcp_port: int
) -> None:
    cluster = make_cluster()
    async with gated(cluster, unused_tcp_port) as (gate, endpoints), Store(cluster.endpoints) as store:
        await gate.open()
        await store.commit([], [Put(PREFIX + "a", b"1"), Put(PREFIX + "b", b"1")])
        async with following(endpoints) as follower:
            await gate.shut()
            await until(lambda: not follower.store.health.is_connected)
            await store.commit([], [Delete(PREFIX + "a")])
            revision = await store.commit([], [Put(PREFIX + "b", b"2")])
            assert revision is not None
            await store.compact(revision)
            await gate.open()
            await until(lambda: len(follower.snapshots) == 2)
            again = follower.snapshots[1]
            assert [(item.key, item.value) for item in again.items] == [(PREFIX + "b", b"2")]
            assert follower.batches == []
            upto = await caught_up(cluster, follower)
            assert follower.batches == [Events(upto, (Event(PREFIX + "last", b"", upto, None),))]


async def test_a_compaction_while_connected_is_not_noticed(make_cluster: MakeCluster) -> None:
    cluster = make_cluster()
    async with following(cluster.endpoints) as follower, Store(cluster.endpoints) as store:
        for _ in range(30):
            revision = await store.commit([], [Put(PREFIX + "a", b"")])
            await store.compact(revision or 0)
        await caught_up(cluster, follower)
        assert len(follower.snapshots) == 1
        assert len(follower.batches) == 31


async def test_a_catch_up_cut_in_its_middle_goes_on_where_it_was(
    make_cluster: MakeCluster, unused_tcp_port: int
) -> None:
    """3000 revisions come in several answers, all headed by the newest revision: resuming there would lose."""
    cluster = make_cluster()
    async with gated(cluster, unused_tcp_port) as (gate, endpoints), Store(cluster.endpoints) as store:
        await gate.open()
        async with following(endpoints) as follower:
            await gate.shut()
            for start in range(0, 3000, 100):
                writes = ([Put(f"{PREFIX}{number % 7}", b"%090d" % number)] for number in range(start, start + 100))
                await asyncio.gather(*(store.commit([], ops) for ops in writes))
            gate.quota_bytes = 500_000
            await gate.open()
            await until(lambda: gate.cuts > 0)
            gate.quota_bytes = None
            await check(cluster, follower)


async def leader_first(cluster: Cluster) -> tuple[Member, Member]:
    """The leader, and one that is not; asked of the members themselves until they know."""
    leader_id, members = 0, {}
    while leader_id not in members:
        for member in cluster.members:
            async with aio.insecure_channel(str(member.endpoint)) as channel:
                maintenance: rpc.MaintenanceAsyncStub = rpc.MaintenanceStub(channel)
                status = await maintenance.Status(pb.StatusRequest(), wait_for_ready=True)
                members[status.header.member_id] = member
                leader_id = status.leader
    leader = members.pop(leader_id)
    return leader, next(iter(members.values()))


async def more(done: list[int], count: int = 50) -> None:
    """Wait for so many more writes."""
    goal = len(done) + count
    await until(lambda: len(done) >= goal)
