"""A lease that is kept alive for as long as its owner lives, and says when it is lost all the same."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Final

from grpc import aio

from isthmus.core.errors import StoreUnavailableError
from isthmus.edge.store._etcd import etcd_pb2 as pb
from isthmus.edge.store.links import NEED_LEADER, LeaseLostError, Link, Links, plain_text

_BEATS: Final = 3  # refreshes in one time to live, so two may fail
_REVOKE_S: Final = 2.0


class Lease:
    """A granted lease: put keys under its `id`."""

    def __init__(self, lease_id: int, ttl_s: int, asked_s: float) -> None:
        """`asked_s` is when it was asked for, by `boot_time_s`."""
        self.id = lease_id
        self.ttl_s = ttl_s
        self._sure_until_s = asked_s + ttl_s
        self._word = asyncio.Event()
        self._lost = asyncio.Event()

    @property
    def is_lost(self) -> bool:
        """Whether etcd has said that the lease is gone, and its keys with it.

        An etcd that is down says nothing, and starts every time to live anew when it is back.
        """
        return self._lost.is_set()

    async def lost(self) -> None:
        """Wait until `is_lost`."""
        await self._lost.wait()

    @property
    def is_sure(self) -> bool:
        """Whether etcd cannot have let the lease run out yet, whatever else it did: so nobody else has its keys."""
        return not self.is_lost and boot_time_s() < self._sure_until_s

    async def confirmed(self) -> bool:
        """Wait until the lease `is_sure`; False: it is lost."""
        while not (self.is_sure or self.is_lost):
            self._word.clear()
            await self._word.wait()
        return not self.is_lost

    async def keep(self, links: Links) -> None:
        """Refresh the lease until it is lost."""
        left_s = self.ttl_s
        try:
            while left_s > 0:
                await asyncio.sleep(left_s / _BEATS)
                left_s, asked_s = await _refreshed(links, self.id, self.ttl_s / _BEATS)
                self._sure_until_s = asked_s + left_s
                self._word.set()
        finally:
            self._lost.set()
            self._word.set()


def boot_time_s() -> float:
    """The time that no clock setting moves and that goes on while the host sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@contextlib.asynccontextmanager
async def hold(links: Links, ttl_s: int, timeout_s: float) -> AsyncIterator[Lease]:
    """A lease for the length of the block, revoked at its end if etcd can be reached."""
    asked_s = boot_time_s()
    granted = await links.call(lambda link: link.lease.LeaseGrant, pb.LeaseGrantRequest(TTL=ttl_s), timeout_s)
    lease = Lease(granted.ID, granted.TTL, asked_s)
    keeping = asyncio.create_task(lease.keep(links))
    try:
        yield lease
    finally:
        keeping.cancel()
        await asyncio.wait((keeping,))
        revoke = pb.LeaseRevokeRequest(ID=lease.id)
        with contextlib.suppress(StoreUnavailableError, LeaseLostError):
            await links.call(lambda link: link.lease.LeaseRevoke, revoke, _REVOKE_S)


async def _refreshed(links: Links, lease_id: int, timeout_s: float) -> tuple[int, float]:
    """Refresh a lease; its seconds, 0 where it is gone, from when on. Asks again, another member, until one answers."""
    while True:
        link: Link | None = None
        asked_s = boot_time_s()
        try:
            async with asyncio.timeout(timeout_s):
                link = await links.ready()
                ttl_s = await _refresh(link, lease_id)
        except (TimeoutError, aio.AioRpcError) as error:
            why = plain_text(error) if isinstance(error, aio.AioRpcError) else "lease not refreshed in time"
            links.failed(link, f"etcd at {link.name if link else links.name}: {why}")
            await asyncio.sleep(timeout_s / 10)
        else:
            links.answered()
            return ttl_s, asked_s


async def _refresh(link: Link, lease_id: int) -> int:
    call = link.lease.LeaseKeepAlive(metadata=NEED_LEADER)
    try:
        await call.write(pb.LeaseKeepAliveRequest(ID=lease_id))
        answer = await call.read()
    finally:
        call.cancel()
    if not isinstance(answer, pb.LeaseKeepAliveResponse):
        raise TimeoutError
    return answer.TTL
