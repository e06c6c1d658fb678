"""The store: reads of one revision, guarded writes, watches and leases on an etcd cluster."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from copy import copy
from types import TracebackType
from typing import Final, Protocol, Self

from isthmus.core.errors import StoreUnavailableError
from isthmus.edge.store import lease, txn, watch
from isthmus.edge.store._etcd import etcd_pb2 as pb
from isthmus.edge.store.links import Health, Links, TlsFiles
from isthmus.edge.store.values import Guard, Op, Snapshot
from isthmus.wire.endpoints import Endpoints

_TIMEOUT_S: Final = 5.0
_AGAIN_S: Final = 0.1
_DOWN_S: Final = 1.0  # what a caller waits for an etcd that is known not to answer
_SIGN_OF_LIFE: Final = txn.read_request(("/",), ())

Decide = Callable[[Snapshot], tuple[Sequence[Guard], Sequence[Op]]]


class Gate(Protocol):
    """What must be so before anything is read or written."""

    @property
    def reason(self) -> str:
        """Why it is shut; empty where nobody knows."""

    async def opened(self) -> None:
        """Wait until it is open."""


class Store:
    """One etcd cluster; made and closed inside the event loop that uses it.

    Every call ends within `timeout_s`; soon, where etcd has not answered for some time. One that failed leaves its
    member, so the next asks another.
    etcd takes at most 128 guards, and 128 operations or ranges, in one call.
    """

    def __init__(self, endpoints: Endpoints, tls: TlsFiles | None = None, *, timeout_s: float = _TIMEOUT_S) -> None:
        self._links = Links(endpoints, tls)
        self._timeout_s = timeout_s
        self._gate: Gate | None = None

    def behind(self, gate: Gate) -> "Store":
        """Give the same store for one whose reads, writes and news wait until `gate` is open."""
        gated = copy(self)
        gated._gate = gate  # noqa: SLF001  # of our own class
        return gated

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def health(self) -> Health:
        """Whether etcd answers, as last seen by any call, watch or lease."""
        return self._links.health

    async def ready(self) -> None:
        """Return when a call has a chance.

        Raises:
            StoreUnavailableError: etcd does not answer, or the gate stays shut.
        """
        await self._refuse_soon()
        if self._gate is None:
            return
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._gate.opened()
        except TimeoutError as error:
            raise StoreUnavailableError(self.health.reason or self._gate.reason) from error

    async def read(self, *, keys: Sequence[str] = (), prefixes: Sequence[str] = ()) -> Snapshot:
        """All of it as of one revision, no older than the call. Asked again of others while time remains.

        Raises:
            StoreUnavailableError: etcd did not answer.
        """
        await self.ready()
        each_s = self._timeout_s if prefixes else self._timeout_s / 2  # only a large answer may take its time
        return txn.snapshot_of(await self._tried(txn.read_request(keys, prefixes), self._timeout_s, each_s))

    async def commit(self, guards: Sequence[Guard], ops: Sequence[Op]) -> int | None:
        """Do all of `ops` if all of `guards` hold: the revision that did, or None where a guard did not hold.

        Raises:
            StoreUnavailableError: etcd did not answer. The write may have been done all the same, so the
                caller reads again before it decides anew; it is never sent twice.
            LeaseLostError: a `Put` named a lease that is gone.
        """
        return await self._commit(guards, ops, self._timeout_s)

    async def _commit(self, guards: Sequence[Guard], ops: Sequence[Op], timeout_s: float) -> int | None:
        await self.ready()
        request = txn.commit_request(guards, ops)
        response = await self._links.call(lambda link: link.kv.Txn, request, timeout_s)
        return response.header.revision if response.succeeded else None

    async def swap(self, decide: Decide, *, keys: Sequence[str] = (), prefixes: Sequence[str] = ()) -> int:
        """Read, decide, commit, and again while a guard fails; the revision from which on it is so.

        `decide` refuses by raising; no operations mean that nothing is left to do. The revision is then the one that
        last wrote any of what was read, 0 where nothing was there: never one that only another's keys have brought.

        A commit that was not answered (a leader died with it, say) is decided anew once, by what is there then.
        """
        is_first = True
        while True:
            snapshot = await self.read(keys=keys, prefixes=prefixes)
            guards, ops = decide(snapshot)
            if not ops:
                return snapshot.mod_revision
            try:
                revision = await self._commit(guards, ops, self._timeout_s / 2 if is_first else self._timeout_s)
            except StoreUnavailableError:
                if not is_first:
                    raise
                is_first = False
                continue
            if revision is not None:
                return revision

    def watch(self, prefix: str, *, mark: str = "") -> AsyncGenerator[watch.News, None]:
        """A snapshot of the prefix, then every event after it, once and in order, whatever happens to etcd.

        Another snapshot comes where the history that was missed is compacted; and, after `HistoryLost`, where etcd was
        wiped or restored from a backup: it replaces all that was known, and its revision may be a lower one. An etcd
        that keeps its id, and is written beyond all that was seen before it is asked again, is told by the key `mark`
        under the prefix, if somebody has given that another value since.
        While etcd is away the iterator waits and `health` says why. Leave it early by cancelling its task or
        through `contextlib.aclosing`.
        """
        news = watch.follow(self._links, prefix, self._ask, mark or prefix or "\0")
        return news if self._gate is None else _behind(self._gate, news)

    def lease(self, ttl_s: int) -> AbstractAsyncContextManager[lease.Lease]:
        """A lease, kept alive during the block and revoked after it."""
        return lease.hold(self._links, ttl_s, self._timeout_s)

    async def compact(self, revision: int) -> None:
        """Forget what was before `revision`."""
        request = pb.CompactionRequest(revision=revision, physical=True)
        await self._links.call(lambda link: link.kv.Compact, request, self._timeout_s)

    async def close(self) -> None:
        """Drop the connections; watches under way end cancelled."""
        await self._links.close()

    async def _ask(self, request: pb.TxnRequest) -> pb.TxnResponse:
        await self._refuse_soon()
        return await self._tried(request, self._timeout_s)

    async def _refuse_soon(self) -> None:
        """Try an etcd that is known not to answer with a small question, which has little time.

        Less time for the question itself would never do for a large one, whose answer alone ends the outage.
        """
        if self._links.is_long_down:
            await self._tried(_SIGN_OF_LIFE, min(_DOWN_S, self._timeout_s))

    async def _tried(self, request: pb.TxnRequest, timeout_s: float, each_s: float | None = None) -> pb.TxnResponse:
        loop = asyncio.get_running_loop()
        end_s = loop.time() + timeout_s
        while True:
            try:
                left_s = end_s - loop.time()
                return await self._links.call(lambda link: link.kv.Txn, request, min(left_s, each_s or left_s))
            except StoreUnavailableError:
                if loop.time() + _AGAIN_S >= end_s:
                    raise
                await asyncio.sleep(_AGAIN_S)


async def _behind(gate: Gate, news: AsyncGenerator[watch.News, None]) -> AsyncGenerator[watch.News, None]:
    async with aclosing(news) as stream:
        async for each in stream:
            await gate.opened()
            yield each
