"""The store: reads of one revision, guarded writes, watches and leases on an etcd cluster."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Final, Self

from isthmus.core.errors import StoreUnavailableError
from isthmus.edge.store import lease, txn, watch
from isthmus.edge.store._etcd import etcd_pb2 as pb
from isthmus.edge.store.links import Health, Links, TlsFiles
from isthmus.edge.store.values import Events, Guard, Op, Snapshot
from isthmus.wire.endpoints import Endpoints

_TIMEOUT_S: Final = 5.0
_AGAIN_S: Final = 0.1

Decide = Callable[[Snapshot], tuple[Sequence[Guard], Sequence[Op]]]


class Store:
    """One etcd cluster; made and closed inside the event loop that uses it.

    Every call ends within `timeout_s`. One that failed leaves its member, so the next asks another.
    etcd takes at most 128 guards, and 128 operations or ranges, in one call.
    """

    def __init__(self, endpoints: Endpoints, tls: TlsFiles | None = None, *, timeout_s: float = _TIMEOUT_S) -> None:
        self._links = Links(endpoints, tls)
        self._timeout_s = timeout_s

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

    async def read(self, *, keys: Sequence[str] = (), prefixes: Sequence[str] = ()) -> Snapshot:
        """All of it as of one revision, no older than the call. Asked again of others while time remains.

        Raises:
            StoreUnavailableError: etcd did not answer.
        """
        request = txn.read_request(keys, prefixes)
        loop = asyncio.get_running_loop()
        end_s = loop.time() + self._timeout_s
        while True:
            try:
                response = await self._links.call(lambda link: link.kv.Txn, request, end_s - loop.time())
            except StoreUnavailableError:
                if loop.time() + _AGAIN_S >= end_s:
                    raise
                await asyncio.sleep(_AGAIN_S)
            else:
                return txn.snapshot_of(response)

    async def commit(self, guards: Sequence[Guard], ops: Sequence[Op]) -> int | None:
        """Do all of `ops` if all of `guards` hold: the revision that did, or None where a guard did not hold.

        Raises:
            StoreUnavailableError: etcd did not answer. The write may have been done all the same, so the
                caller reads again before it decides anew; it is never sent twice.
            LeaseLostError: a `Put` named a lease that is gone.
        """
        request = txn.commit_request(guards, ops)
        response = await self._links.call(lambda link: link.kv.Txn, request, self._timeout_s)
        return response.header.revision if response.succeeded else None

    async def swap(self, decide: Decide, *, keys: Sequence[str] = (), prefixes: Sequence[str] = ()) -> int:
        """Read, decide, commit, and again while a guard fails; the revision that decided it.

        `decide` refuses by raising; no operations mean that nothing is left to do.
        """
        while True:
            snapshot = await self.read(keys=keys, prefixes=prefixes)
            guards, ops = decide(snapshot)
            revision = await self.commit(guards, ops) if ops else snapshot.revision
            if revision is not None:
                return revision

    def watch(self, prefix: str) -> AsyncGenerator[Snapshot | Events, None]:
        """A snapshot of the prefix, then every event after it, once and in order, whatever happens to etcd.

        Another snapshot comes where the history that was missed is compacted: it replaces all that was known.
        While etcd is away the iterator waits and `health` says why. Leave it early by cancelling its task or
        through `contextlib.aclosing`.
        """
        return watch.follow(self._links, prefix, lambda: self.read(prefixes=(prefix,)))

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
