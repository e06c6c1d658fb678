"""One prefix, followed for ever: a snapshot, then every event after it once and in order.

The stream goes on at the last *event's* revision + 1 over any break. It is never moved by an answer's header:
etcd may send it ahead of events still to come (while catching up, and upon asked-for progress before 3.4.25).
Headers tell something else: an etcd that was wiped or restored from a backup counts again from a lower revision,
and waits without a word for one that is still to come.
"""

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from typing import Final

from grpc import aio

from isthmus.core.errors import StoreUnavailableError
from isthmus.edge.store._etcd import etcd_pb2 as pb
from isthmus.edge.store.links import NEED_LEADER, Link, Links, plain_text
from isthmus.edge.store.txn import event_of, read_request, snapshot_of, watch_request
from isthmus.edge.store.values import Events, HistoryLost, Snapshot

_ASK_S: Final = 2.0  # how often a sign of life is asked for
_SILENCE_S: Final = 5.0  # after which the member is held for dead
_PAUSES_S: Final = (0.05, 0.1, 0.2, 0.5, 1.0)

_Call = aio.StreamStreamCall[pb.WatchRequest, pb.WatchResponse]
News = Snapshot | Events | HistoryLost
Ask = Callable[[pb.TxnRequest], Awaitable[pb.TxnResponse]]  # a read, no older than the question


class _BrokenError(Exception):
    """The stream ended, or fell silent."""


class _CompactedError(Exception):
    """The revision to go on from is no longer kept."""


class _HistoryLostError(Exception):
    """The revision to go on from is another history's."""


@dataclass(frozen=True, slots=True)
class _Mark:
    key: str
    value: bytes | None = None  # None: it has not been given one

    def of(self, snapshot: Snapshot) -> bytes | None:
        return next((item.value for item in snapshot.items if item.key == self.key), None)


class _History:
    """Whose history is followed, and how far it was seen to reach; and its mark, a key of which each has its own."""

    def __init__(self, start: pb.ResponseHeader, head: Callable[[], Awaitable[pb.TxnResponse]], mark: _Mark) -> None:
        """`head` reads the mark's key."""
        self._newest = start
        self._head = head
        self._mark = mark

    async def resume(self) -> None:
        """See that it is still this history that is to be gone on with.

        Raises:
            _HistoryLostError: it has another mark.
            _BrokenError: the cluster does not answer.
        """
        if self._mark.value != self._mark.of(snapshot_of(await self._told())):
            raise _HistoryLostError

    def note(self, events: Events) -> None:
        """Take over a mark that was seen to be given."""
        for event in events.events:
            if event.key == self._mark.key:
                self._mark = replace(self._mark, value=event.value)

    async def check(self, header: pb.ResponseHeader) -> None:
        """See that an answer is of this history.

        A member that lags behind the others shows less than was seen, too, so the cluster has the last word.

        Raises:
            _HistoryLostError: it is another's, or was cut back.
            _BrokenError: the cluster does not answer.
        """
        if not self._reaches(header):
            header = (await self._told()).header
        if not self._reaches(header):
            raise _HistoryLostError
        self._newest = header

    async def _told(self) -> pb.TxnResponse:
        try:
            return await self._head()
        except StoreUnavailableError as error:
            raise _BrokenError("another history perhaps, and the cluster does not answer") from error

    def _reaches(self, header: pb.ResponseHeader) -> bool:
        return header.cluster_id == self._newest.cluster_id and header.revision >= self._newest.revision


async def follow(links: Links, prefix: str, ask: Ask, mark: str) -> AsyncGenerator[News, None]:
    """A snapshot, then events without end; where what follows it cannot be known, a snapshot again."""
    everything, one_key = read_request((), (prefix,)), read_request((mark,), ())
    while True:
        answer = await _persist(lambda: ask(everything))
        snapshot = snapshot_of(answer)
        yield snapshot
        history = _History(answer.header, lambda: ask(one_key), _Mark(mark, _Mark(mark).of(snapshot)))
        try:
            async with aclosing(_resumed(links, prefix, snapshot.revision + 1, history)) as stream:
                async for events in stream:
                    yield events
        except _CompactedError:
            continue
        except _HistoryLostError:
            yield HistoryLost()


async def _persist(relist: Callable[[], Awaitable[pb.TxnResponse]]) -> pb.TxnResponse:
    pauses_s = iter(_PAUSES_S)
    while True:
        try:
            return await relist()
        except StoreUnavailableError:  # kept in the store's health; the caller waits, as it does between events
            await asyncio.sleep(_jittered(next(pauses_s, _PAUSES_S[-1])))


async def _resumed(links: Links, prefix: str, start_revision: int, history: _History) -> AsyncGenerator[Events, None]:
    pauses_s = iter(_PAUSES_S)
    is_first = True
    while True:
        link = await links.ready()
        try:
            if not is_first:
                await history.resume()
            is_first = False
            async with aclosing(_stream(link, links.answered, watch_request(prefix, start_revision))) as stream:
                async for answer in stream:
                    await history.check(answer.header)
                    if answer.events:
                        events = tuple(event_of(event) for event in answer.events)
                        start_revision = events[-1].mod_revision + 1
                        pauses_s = iter(_PAUSES_S)
                        news = Events(events[-1].mod_revision, events)
                        history.note(news)
                        yield news
        except (_BrokenError, aio.AioRpcError) as error:
            why = plain_text(error) if isinstance(error, aio.AioRpcError) else error
            links.failed(link, f"etcd at {link.name}: {why}")
            await asyncio.sleep(_jittered(next(pauses_s, _PAUSES_S[-1])))


def _jittered(pause_s: float) -> float:
    return pause_s * random.uniform(0.5, 1.0)  # noqa: S311  # so that a hundred agents do not come back at once


async def _stream(
    link: Link, answered: Callable[[], None], request: pb.WatchRequest
) -> AsyncGenerator[pb.WatchResponse, None]:
    call = link.watch.Watch(metadata=NEED_LEADER)
    asking = asyncio.create_task(_ask(call, request))
    try:
        while True:
            answer = await _read(call)
            answered()
            yield answer
    finally:
        asking.cancel()
        call.cancel()
        await asyncio.wait((asking,))


async def _ask(call: _Call, request: pb.WatchRequest) -> None:
    """Open the watch, then ask for signs of life; a break is the reader's to report."""
    with suppress(aio.AioRpcError, asyncio.InvalidStateError):
        await call.write(request)
        while True:
            await asyncio.sleep(_ASK_S)
            await call.write(pb.WatchRequest(progress_request=pb.WatchProgressRequest()))


async def _read(call: _Call) -> pb.WatchResponse:
    try:
        async with asyncio.timeout(_SILENCE_S):
            answer = await call.read()
    except TimeoutError as error:
        raise _BrokenError(f"silent for {_SILENCE_S:g} s") from error
    if not isinstance(answer, pb.WatchResponse):
        raise _BrokenError("the watch ended")
    if answer.compact_revision:
        raise _CompactedError
    if answer.canceled:
        raise _BrokenError(f"the watch was refused: {answer.cancel_reason}")
    return answer
