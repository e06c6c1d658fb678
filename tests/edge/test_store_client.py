"""Reads, guards and writes on a real etcd."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING

import grpc
import pytest
from grpc import aio

from isthmus.core.errors import ConflictError, InvalidError, StoreUnavailableError
from isthmus.edge.store import (
    Delete,
    DeleteRange,
    Guard,
    KeyValue,
    LeaseLostError,
    Op,
    Put,
    RangeEmpty,
    RangeUnchanged,
    Snapshot,
    Store,
    TlsFiles,
    Unchanged,
)
from isthmus.wire.endpoints import Endpoint, Endpoints
from tests.edge.test_store_watch import Follower, running, until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.edge.conftest import Cluster, MakeCluster

pytestmark = pytest.mark.root


@pytest.fixture
async def store(shared_etcd: Cluster) -> AsyncIterator[Store]:
    async with Store(shared_etcd.endpoints) as store:
        yield store


@pytest.fixture
def prefix() -> str:
    return f"/{uuid.uuid4()}/"


async def _put(store: Store, key: str, value: bytes) -> int:
    revision = await store.commit([], [Put(key, value)])
    assert revision is not None
    return revision


async def test_a_read_gives_each_key_once_and_sorted(store: Store, prefix: str) -> None:
    second = await _put(store, prefix + "b", b"2")
    first = await _put(store, prefix + "a", b"1")
    snapshot = await store.read(keys=(prefix + "b", prefix + "gone"), prefixes=(prefix, prefix + "a"))
    assert snapshot.items == (KeyValue(prefix + "a", b"1", first), KeyValue(prefix + "b", b"2", second))
    assert snapshot.revision == first
    assert snapshot.by_key()[prefix + "a"].value == b"1"


async def test_keys_beside_a_prefix_are_not_read(store: Store, prefix: str) -> None:
    beside = prefix.removesuffix("/") + "0"  # "0" follows "/"
    await store.commit([], [Put(beside, b""), Put(prefix.removesuffix("/"), b""), Put(prefix + "in", b"")])
    snapshot = await store.read(prefixes=(prefix,))
    assert [item.key for item in snapshot.items] == [prefix + "in"]
    assert beside in (await store.read(prefixes=("",))).by_key()


async def test_a_read_is_of_one_revision(store: Store, prefix: str) -> None:
    left, right = prefix + "left", prefix + "right/"

    async def write() -> None:
        for number in range(300):
            await store.commit([], [Put(left, b"%d" % number), Put(right + "x", b"%d" % number)])

    writing = asyncio.create_task(write())
    seen = set()
    while not writing.done():
        snapshot = await store.read(keys=(left,), prefixes=(right,))
        values = {item.value for item in snapshot.items}
        assert len(values) <= 1
        assert all(item.mod_revision <= snapshot.revision for item in snapshot.items)
        seen |= values
    await writing
    assert len(seen) > 10


async def test_ops_are_done_together_and_give_their_revision(store: Store, prefix: str) -> None:
    await store.commit([], [Put(prefix + name, b"") for name in ("a", "b", "c/1", "c/2")])
    revision = await store.commit([], [Delete(prefix + "a"), DeleteRange(prefix + "c/"), Put(prefix + "d", b"new")])
    snapshot = await store.read(prefixes=(prefix,))
    assert [item.key for item in snapshot.items] == [prefix + "b", prefix + "d"]
    assert snapshot.revision == revision == snapshot.items[1].mod_revision


async def test_deleting_what_is_gone_succeeds(store: Store, prefix: str) -> None:
    assert await store.commit([], [Delete(prefix + "never")]) is not None


MakeGuard = Callable[[str, int, int], Guard]
GUARDS: list[tuple[str, MakeGuard, bool]] = [
    # after "a" and "c/1" were written at revision `first`, then "a" at `last`
    ("the present key as it stands", lambda p, _first, last: Unchanged(p + "a", last), True),
    ("a key written since", lambda p, first, _last: Unchanged(p + "a", first), False),
    ("a present key held for absent", lambda p, *_: Unchanged(p + "a", 0), False),
    ("an absent key", lambda p, *_: Unchanged(p + "none", 0), True),
    ("an absent key held for present", lambda p, first, _last: Unchanged(p + "none", first), False),
    ("a range not written since", lambda p, first, _last: RangeUnchanged(p + "c/", first), True),
    ("a range at its last write", lambda p, _first, last: RangeUnchanged(p, last), True),
    ("a range with one key written since", lambda p, first, _last: RangeUnchanged(p, first), False),
    ("a range created since", lambda p, first, _last: RangeUnchanged(p + "c/", first - 1), False),
    ("an empty range", lambda p, *_: RangeUnchanged(p + "none/", 1), True),
    ("an empty range, empty", lambda p, *_: RangeEmpty(p + "none/"), True),
    ("a range with a key, held for empty", lambda p, *_: RangeEmpty(p + "c/"), False),
]


@pytest.mark.parametrize(("what", "guard", "holds"), GUARDS, ids=[row[0] for row in GUARDS])
async def test_guards(store: Store, prefix: str, what: str, guard: MakeGuard, holds: bool) -> None:
    first = await store.commit([], [Put(prefix + "a", b"1"), Put(prefix + "c/1", b"")])
    last = await _put(store, prefix + "a", b"2")
    assert first is not None
    revision = await store.commit([guard(prefix, first, last)], [Put(prefix + "done", b"")])
    is_done = prefix + "done" in (await store.read(prefixes=(prefix,))).by_key()
    assert (revision is not None) == is_done == holds


async def test_one_failing_guard_stops_all(store: Store, prefix: str) -> None:
    revision = await _put(store, prefix + "a", b"")
    guards: list[Guard] = [Unchanged(prefix + "a", revision), RangeEmpty(prefix + "b"), Unchanged(prefix + "a", 0)]
    assert await store.commit(guards, [Put(prefix + "c", b"")]) is None


async def test_a_range_guard_does_not_see_deletions(store: Store, prefix: str) -> None:
    seen = await _put(store, prefix + "a", b"")
    await store.commit([], [Delete(prefix + "a")])
    assert await store.commit([RangeUnchanged(prefix, seen)], [Put(prefix + "b", b"")]) is not None


async def test_eight_writers_never_take_one_number_twice(shared_etcd: Cluster, prefix: str) -> None:
    """Each key is its taker's own, so only the range guard keeps two from deciding on the same sight."""
    takers, turns = 8, 6

    async def take(taker: int) -> None:
        async with Store(shared_etcd.endpoints) as store:
            for turn in range(turns):

                def decide(seen: Snapshot, key: str = f"{prefix}{taker}-{turn}") -> tuple[list[Guard], list[Op]]:
                    number = 1 + max((int(item.value) for item in seen.items), default=0)
                    return [RangeUnchanged(prefix, seen.revision)], [Put(key, b"%d" % number)]

                await store.swap(decide, prefixes=(prefix,))

    await asyncio.gather(*(take(taker) for taker in range(takers)))
    async with Store(shared_etcd.endpoints) as store:
        taken = sorted(int(item.value) for item in (await store.read(prefixes=(prefix,))).items)
    assert taken == list(range(1, takers * turns + 1))


async def test_a_swap_goes_on_while_any_member_falls_silent(make_cluster: MakeCluster) -> None:
    cluster = make_cluster(3)
    async with Store(cluster.endpoints) as store:
        await store.swap(lambda _: ([], [Put("/swap", b"0")]), keys=["/swap"])
        for number, silent in enumerate(cluster.members, start=1):  # one of them is the leader

            def count(snapshot: Snapshot, number: int = number) -> tuple[list[Guard], list[Op]]:
                [item] = snapshot.items
                is_done = item.value == str(number).encode()
                guard = Unchanged("/swap", item.mod_revision)
                return ([], []) if is_done else ([guard], [Put("/swap", str(number).encode())])

            silent.freeze()
            try:
                revision = await store.swap(count, keys=["/swap"])
            finally:
                silent.thaw()
            [item] = (await store.read(keys=["/swap"])).items
            assert (item.value, item.mod_revision) == (str(number).encode(), revision)


async def test_a_swap_ends_with_its_refusal_or_with_nothing_to_do(store: Store, prefix: str) -> None:
    def refuse(_seen: Snapshot) -> tuple[Sequence[Guard], Sequence[Op]]:
        raise ConflictError("taken")

    with pytest.raises(ConflictError):
        await store.swap(refuse, prefixes=(prefix,))
    assert await store.swap(lambda _seen: ([], []), prefixes=(prefix,)) == 0
    revision = await _put(store, prefix + "a", b"")
    await _put(store, "/of-another", b"")
    assert await store.swap(lambda _seen: ([], []), prefixes=(prefix,)) == revision


async def test_a_lost_lease_is_told_apart(store: Store, prefix: str) -> None:
    with pytest.raises(LeaseLostError):
        await store.commit([], [Put(prefix + "a", b"", lease_id=4711)])
    assert store.health.is_connected


async def test_a_wrong_question_is_a_bug_and_no_outage(store: Store, prefix: str) -> None:
    with pytest.raises(aio.AioRpcError) as caught:
        await store.commit([], [Put(prefix + "a", b"1"), Put(prefix + "a", b"2")])
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1"])
async def test_no_etcd_is_said_with_its_cause(unused_tcp_port: int, host: str) -> None:
    member = Endpoint(host, unused_tcp_port)
    said = f"etcd at {member}: connection refused"
    async with Store(Endpoints((member,)), timeout_s=0.5) as store:
        assert not store.health.is_connected
        with pytest.raises(StoreUnavailableError) as caught:
            await store.read(keys=("/a",))
        assert str(caught.value) == said
        assert isinstance(caught.value.__cause__, aio.AioRpcError)
        with pytest.raises(StoreUnavailableError, match="refused"):
            await store.commit([], [Put("/a", b"")])
        assert store.health.reason == said


async def test_a_name_that_does_not_resolve_is_said_plainly() -> None:
    async with Store(Endpoints((Endpoint("no-such-host.invalid", 1),)), timeout_s=0.5) as store:
        with pytest.raises(StoreUnavailableError, match=r"^etcd at no-such-host\.invalid:1: domain name not found$"):
            await store.read(keys=("/a",))


async def test_an_etcd_known_to_be_away_is_not_waited_for(make_cluster: MakeCluster, prefix: str) -> None:
    """The calls' own deadline is far beyond the test's."""
    cluster = make_cluster()
    [member] = cluster.members
    async with Store(cluster.endpoints, timeout_s=600) as store, running(Follower(store)) as follower:
        await until(lambda: bool(follower.snapshots))
        member.freeze()
        await until(lambda: not store.health.is_connected)
        await asyncio.sleep(2.5)
        async with asyncio.timeout(30):
            with pytest.raises(StoreUnavailableError):
                await store.read(keys=(prefix,))
            with pytest.raises(StoreUnavailableError):
                await store.commit([], [Put(prefix, b"")])
            with pytest.raises(StoreUnavailableError):
                await store.swap(lambda _seen: ([], []), keys=(prefix,))
        member.thaw()
        await _put(store, prefix + "a", b"1")
        assert store.health.is_connected


async def test_dead_members_and_names_that_do_not_resolve_are_passed_over(
    shared_etcd: Cluster, unused_tcp_port: int, prefix: str
) -> None:
    port = shared_etcd.members[0].client_port
    members = (
        Endpoint("127.0.0.1", unused_tcp_port),
        Endpoint("no-such-host.invalid", port),
        Endpoint("::1", unused_tcp_port),
        Endpoint("localhost", port),
    )
    async with Store(Endpoints(members)) as store:
        assert await _put(store, prefix + "a", b"1")
        assert store.health.is_connected


async def test_a_proxy_for_the_outside_is_not_asked(
    shared_etcd: Cluster, monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int
) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{unused_tcp_port}")
    monkeypatch.setenv("no_proxy", "")
    async with Store(shared_etcd.endpoints) as store:
        assert (await store.read(keys=("/",))).items == ()


async def test_certificates_need_the_tls_scheme(shared_etcd: Cluster, tmp_path: Path) -> None:
    with pytest.raises(InvalidError, match="etcds://"):
        Store(shared_etcd.endpoints, TlsFiles(tmp_path / "ca.pem"))


class _Door:
    """A gate that the test opens."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.reason = "the door is shut"

    async def opened(self) -> None:
        await self.open.wait()


async def test_behind_a_shut_gate_nothing_is_read_written_or_told(shared_etcd: Cluster, prefix: str) -> None:
    door = _Door()
    async with Store(shared_etcd.endpoints, timeout_s=0.5) as store:
        behind = store.behind(door)
        await _put(store, prefix + "a", b"1")
        for vain in (behind.read(keys=(prefix,)), behind.commit([], [Put(prefix + "b", b"")]), behind.ready()):
            with pytest.raises(StoreUnavailableError, match="the door is shut"):
                await vain
        follower = Follower(behind)
        async with running(follower):
            await asyncio.sleep(0.2)
            assert not follower.snapshots
            door.open.set()
            await until(lambda: bool(follower.snapshots))
        assert [item.key for item in (await behind.read(prefixes=(prefix,))).items] == [prefix + "a"]
