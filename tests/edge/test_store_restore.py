"""Watches on real etcds that were wiped or restored from a backup: what the watcher believed is replaced."""

from __future__ import annotations

import asyncio
import shutil
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from isthmus.core.errors import StoreUnavailableError
from isthmus.edge.store import Delete, Event, Put, Store
from isthmus.wire.endpoints import Endpoints
from tests.edge.test_store_watch import (
    PREFIX,
    Follower,
    check,
    following,
    gated,
    more,
    until,
    writing,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.edge.conftest import Cluster, MakeCluster

pytestmark = pytest.mark.root


async def put(store: Store, name: str, count: int = 1) -> int:
    """Write a key so many times, through an election if there is one; the last revision."""
    revisions: list[int] = []
    while len(revisions) < count:
        with suppress(StoreUnavailableError):
            revisions.append(await store.commit([], [Put(PREFIX + name, b"")]) or 0)
    return revisions[-1]


def names(follower: Follower) -> list[str]:
    """The keys of the latest snapshot."""
    return [item.key.removeprefix(PREFIX) for item in follower.snapshots[-1].items]


async def check_later(cluster: Cluster, follower: Follower) -> None:
    """From the latest snapshot on, which was announced as another history's, each event comes once."""
    assert follower.losses == len(follower.snapshots) - 1 == 1
    before = len(follower.batches)
    async with Store(cluster.endpoints) as store:
        first = await put(store, "later")
        second = await store.commit([], [Delete(PREFIX + "later")])
    assert second is not None
    await until(lambda: follower.revision == second)
    assert [event for batch in follower.batches[before:] for event in batch.events] == [
        Event(PREFIX + "later", b"", first, None),
        Event(PREFIX + "later", None, second, b""),
    ]


async def etcdctl(*words: str) -> None:
    child = await asyncio.create_subprocess_exec("etcdctl", *words, stderr=asyncio.subprocess.PIPE)
    _, said = await child.communicate()
    assert child.returncode == 0, said.decode()


async def test_a_wiped_etcd_gives_a_snapshot_again(make_cluster: MakeCluster) -> None:
    cluster = make_cluster()
    [member] = cluster.members
    async with following(cluster.endpoints) as follower, Store(cluster.endpoints) as store:
        old = await put(store, "old", 20)
        await until(lambda: follower.revision == old)
        member.kill()
        shutil.rmtree(cluster.data / member.name)
        member.start()
        await until(lambda: len(follower.snapshots) == 2)
        assert names(follower) == []
        assert follower.revision < old
        await check_later(cluster, follower)
        assert len(follower.snapshots) == 2


async def test_an_etcd_restored_from_a_backup_gives_a_snapshot_again(make_cluster: MakeCluster, tmp_path: Path) -> None:
    cluster = make_cluster()
    [member] = cluster.members
    async with following(cluster.endpoints) as follower, Store(cluster.endpoints) as store:
        kept = await put(store, "kept", 5)
        await etcdctl(f"--endpoints={member.endpoint}", "snapshot", "save", str(tmp_path / "backup"))
        lost = await put(store, "lost", 20)
        await until(lambda: follower.revision == lost)
        member.kill()
        data = cluster.data / member.name
        shutil.rmtree(data)
        ours = [option for option in member.options if option.startswith(("--name", "--initial"))]
        await etcdctl("snapshot", "restore", str(tmp_path / "backup"), f"--data-dir={data}", *ours)
        member.start()
        await until(lambda: len(follower.snapshots) == 2)
        assert names(follower) == ["kept"]
        assert follower.revision == kept
        await check_later(cluster, follower)
        assert len(follower.snapshots) == 2


async def test_another_cluster_is_noticed_though_it_counts_higher(
    make_cluster: MakeCluster, unused_tcp_port: int
) -> None:
    cluster = make_cluster()
    [member] = cluster.members
    async with gated(cluster, unused_tcp_port) as (gate, endpoints), Store(cluster.endpoints) as store:
        await gate.open()
        async with following(endpoints) as follower:
            old = await put(store, "old", 5)
            await until(lambda: follower.revision == old)
            await gate.shut()
            member.kill()
            shutil.rmtree(cluster.data / member.name)
            member.options.append("--initial-cluster-token=another")
            member.start()
            new = await put(store, "new", 20)
            await gate.open()
            await until(lambda: len(follower.snapshots) == 2)
            assert names(follower) == ["new"]
            assert follower.revision == new > old
            await check_later(cluster, follower)


async def test_an_etcd_written_far_beyond_is_told_by_its_mark(make_cluster: MakeCluster, unused_tcp_port: int) -> None:
    cluster = make_cluster()
    [member] = cluster.members
    async with gated(cluster, unused_tcp_port) as (gate, endpoints), Store(cluster.endpoints) as store:
        await gate.open()
        async with following(endpoints, mark=PREFIX + "mark") as follower:
            await put(store, "mark")
            old = await put(store, "old", 5)
            await until(lambda: follower.revision == old)
            await gate.shut()
            await gate.open()
            still = await put(store, "old")
            await until(lambda: follower.revision == still)
            assert follower.losses == 0
            await gate.shut()
            member.kill()
            shutil.rmtree(cluster.data / member.name)
            member.start()
            await store.commit([], [Put(PREFIX + "mark", b"another")])
            await put(store, "new", 50)
            await gate.open()
            await until(lambda: len(follower.snapshots) == 2)
            assert names(follower) == ["mark", "new"]
            await check_later(cluster, follower)


async def test_other_keys_lost_are_noticed_by_the_head_alone(make_cluster: MakeCluster, unused_tcp_port: int) -> None:
    """The watched keys' last event is older than the new etcd's head; what was seen of the old head is not."""
    cluster = make_cluster()
    [member] = cluster.members
    async with gated(cluster, unused_tcp_port) as (gate, endpoints), Store(cluster.endpoints) as store:
        await gate.open()
        async with following(endpoints) as follower:
            await put(store, "old", 5)
            for _ in range(100):
                await store.commit([], [Put("/elsewhere", b"")])
            last = await put(store, "old")
            await until(lambda: follower.revision == last)
            await gate.shut()
            member.kill()
            shutil.rmtree(cluster.data / member.name)
            member.start()
            await put(store, "new", 50)
            await gate.open()
            await until(lambda: len(follower.snapshots) == 2)
            assert names(follower) == ["new"]
            await check_later(cluster, follower)


async def test_a_member_that_lags_is_not_taken_for_a_restored_one(
    make_cluster: MakeCluster, unused_tcp_port: int
) -> None:
    cluster = make_cluster(3)
    async with gated(cluster, unused_tcp_port, number=1) as (gate, endpoints):
        await gate.open()
        lagging = cluster.members[0]
        async with following(Endpoints(endpoints.members[:2])) as follower:
            others = Endpoints(tuple(member.endpoint for member in cluster.members[1:]))
            async with Store(others) as store:
                lagging.freeze()
                last = await put(store, "behind", 200)
                await until(lambda: follower.revision == last)  # by way of the gate
                await gate.shut()
                await until(lambda: not follower.store.health.is_connected)
                lagging.thaw()
                async with writing(cluster) as done:
                    await more(done)
            await check(cluster, follower)
