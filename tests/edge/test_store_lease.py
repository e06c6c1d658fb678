"""Leases on a real etcd."""

from __future__ import annotations

import asyncio
import sys
from contextlib import aclosing
from typing import TYPE_CHECKING

import pytest

from isthmus.edge.store import Events, Put, Snapshot, Store

if TYPE_CHECKING:
    from tests.edge.conftest import Cluster, MakeCluster

pytestmark = pytest.mark.root


_OWNER = """
import asyncio, sys
from isthmus.edge.store import Put, Store
from isthmus.wire.endpoints import parse_endpoints

async def main() -> None:
    async with Store(parse_endpoints(sys.argv[1])) as store, store.lease(1) as lease:
        await store.commit([], [Put("/lease/orphan", b"mine", lease.id)])
        print("held", flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


async def _keys(store: Store, prefix: str) -> list[str]:
    return [item.key for item in (await store.read(prefixes=(prefix,))).items]


async def test_a_lease_lives_as_long_as_its_block(shared_etcd: Cluster) -> None:
    async with Store(shared_etcd.endpoints) as owner, Store(shared_etcd.endpoints) as other:
        async with owner.lease(1) as lease:
            await owner.commit([], [Put("/lease/kept", b"", lease.id)])
            await asyncio.sleep(3.5 * lease.ttl_s)
            assert await _keys(other, "/lease/kept") == ["/lease/kept"]
            assert not lease.is_lost
        assert await _keys(other, "/lease/kept") == []


async def test_a_block_that_fails_revokes_too_and_its_error_comes_through(shared_etcd: Cluster) -> None:
    async with Store(shared_etcd.endpoints) as store:

        async def fail() -> None:
            async with store.lease(60) as lease:
                await store.commit([], [Put("/lease/failed", b"", lease.id)])
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await fail()
        assert await _keys(store, "/lease/failed") == []


async def test_a_revoked_lease_is_told_to_its_owner(shared_etcd: Cluster) -> None:
    async with Store(shared_etcd.endpoints) as store, store.lease(2) as lease:
        await store.commit([], [Put("/lease/lost", b"", lease.id)])
        await _revoke(shared_etcd, lease.id)
        async with asyncio.timeout(10):
            await lease.lost()
        assert lease.is_lost
        assert await _keys(store, "/lease/lost") == []


async def test_an_owner_that_is_gone_loses_its_keys(shared_etcd: Cluster) -> None:
    owner = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _OWNER, str(shared_etcd.endpoints)), stdout=asyncio.subprocess.PIPE
    )
    try:
        assert owner.stdout is not None
        assert await owner.stdout.readline() == b"held\n"
    finally:
        owner.kill()
        await owner.wait()
    async with Store(shared_etcd.endpoints) as store, aclosing(store.watch("/lease/orphan")) as watch:
        async with asyncio.timeout(10):
            held = await anext(watch)
            assert isinstance(held, Snapshot)
            assert [item.key for item in held.items] == ["/lease/orphan"]
            gone = await anext(watch)
            assert isinstance(gone, Events)
            assert [(event.value, event.previous) for event in gone.events] == [(None, b"mine")]


async def test_a_lease_outlives_an_etcd_that_was_down_for_longer(make_cluster: MakeCluster) -> None:
    cluster = make_cluster()
    # Longer than gRPC may pause before it connects again, which it does while etcd is down.
    async with Store(cluster.endpoints) as store, store.lease(4) as lease:
        await store.commit([], [Put("/lease/down", b"", lease.id)])
        cluster.members[0].kill()
        await asyncio.sleep(5)
        cluster.members[0].start()
        await asyncio.sleep(5)
        assert await _keys(store, "/lease/down") == ["/lease/down"]
        assert not lease.is_lost


async def test_a_lease_is_in_doubt_while_etcd_may_have_let_it_run_out(make_cluster: MakeCluster) -> None:
    cluster = make_cluster()
    async with Store(cluster.endpoints) as store, store.lease(2) as lease:
        assert await lease.confirmed()
        cluster.members[0].freeze()
        try:
            async with asyncio.timeout(10):
                while lease.is_sure:
                    await asyncio.sleep(0.05)
            assert not lease.is_lost
        finally:
            cluster.members[0].thaw()
        async with asyncio.timeout(10):
            await lease.confirmed()
        assert lease.is_sure or lease.is_lost


async def _revoke(cluster: Cluster, lease_id: int) -> None:
    etcdctl = ("etcdctl", "--endpoints", str(cluster.members[0].endpoint), "lease", "revoke", f"{lease_id:x}")
    process = await asyncio.create_subprocess_exec(
        *etcdctl, env={"ETCDCTL_API": "3"}, stdout=asyncio.subprocess.DEVNULL
    )
    assert await process.wait() == 0
