"""The name service of a host: listeners in each sandbox, so an asker is known by where its question arrives."""

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from isthmus.core.errors import KernelRefusedError
from isthmus.core.model import Address
from isthmus.edge.sandbox.doors import Doors, marked_socket, open_doors
from isthmus.edge.sandbox.netns import Identity, in_netns, leads_to, netns_identity
from isthmus.edge.sandbox.relay import DatagramRelay, StreamRelay
from isthmus.wire.dns import Lookup

# The container's first question comes some 200 ms after its namespace does, and that seldom takes two seconds.
_APPEARS_POLLS_S = (*[0.005] * 400, *[0.1] * 80)
_GONE_POLL_S = 1.0


class NameService:
    """Answers names in sandboxes, each by a lookup of its own. What the lookup does not know, Docker answers.

    If this process dies, the kernel removes its redirects and Docker's own resolver is asked as before.
    """

    def __init__(self, *, upstream_timeout_s: float = 5.0) -> None:
        self._upstream_timeout_s = upstream_timeout_s  # for Docker's resolver; then SERVFAIL
        self._attachments: dict[Path, _Attachment] = {}
        self._lives: set[asyncio.Task[None]] = set()  # of those being taken back, too
        self._is_closed = False
        # One thread for all that touches libnftables, which keeps state of its process.
        self._nft = ThreadPoolExecutor(max_workers=1, thread_name_prefix="nft")

    @property
    def attached(self) -> frozenset[Path]:
        """The sandboxes in which names are answered now."""
        return frozenset(path for path, each in self._attachments.items() if each.is_open)

    async def attach(self, sandbox: Path, names: Lookup) -> None:
        """Answer `names` in a sandbox; wait until that is so, or until the sandbox is not to be expected any more.

        The engine makes a sandbox only after Join has been answered: await this elsewhere. Attached twice is
        attached once, and the later names count. A sandbox that goes is detached by itself, and so is one whose
        listeners somebody destroyed: attach it again from time to time.
        After `close` nothing is done.

        Raises:
            KernelRefusedError: the sandbox is there, but the listeners or the redirect were refused.
        """
        if self._is_closed:
            return
        attachment = self._attachments.get(sandbox)
        if attachment is None:
            attachment = self._attachments[sandbox] = self._new(sandbox, names)
        attachment.names.latest = names
        await asyncio.shield(attachment.settled)

    async def detach(self, sandbox: Path) -> None:
        """Leave a sandbox to Docker's resolver alone; succeeds where it is already."""
        attachment = self._attachments.pop(sandbox, None)
        if attachment is not None:
            await attachment.end()

    async def close(self) -> None:
        """Leave all sandboxes, and enter none any more: whoever keeps the service in them may still be at it."""
        self._is_closed = True
        await asyncio.gather(*map(self.detach, list(self._attachments)))
        await asyncio.gather(*self._lives, return_exceptions=True)
        self._nft.shutdown()

    def _new(self, sandbox: Path, names: Lookup) -> "_Attachment":
        attachment = _Attachment(sandbox, names, self._nft, self._upstream_timeout_s)
        attachment.life.add_done_callback(lambda _: self._forget(sandbox, attachment))
        self._lives.add(attachment.life)
        attachment.life.add_done_callback(self._lives.discard)
        return attachment

    def _forget(self, sandbox: Path, attachment: "_Attachment") -> None:
        if self._attachments.get(sandbox) is attachment:
            del self._attachments[sandbox]


class _Latest:
    """The names last given for a sandbox."""

    def __init__(self, latest: Lookup) -> None:
        self.latest = latest

    def addresses(self, name: str) -> Sequence[Address] | None:
        return self.latest.addresses(name)

    def name(self, address: Address) -> str | None:
        return self.latest.name(address)


class _Attachment:
    """Our presence in one sandbox, from the wait for it until one of us goes."""

    def __init__(self, sandbox: Path, names: Lookup, nft: ThreadPoolExecutor, upstream_timeout_s: float) -> None:
        loop = asyncio.get_running_loop()
        self.names = _Latest(names)
        self.is_open = False
        self.settled: asyncio.Future[None] = loop.create_future()  # open, or never to be
        self._sandbox = sandbox
        self._nft = nft
        self._upstream_timeout_s = upstream_timeout_s
        self.life = loop.create_task(self._live())
        self.life.add_done_callback(self._settle)  # not within the task: it may be cancelled before it starts

    async def end(self) -> None:
        self.life.cancel()
        await asyncio.wait([self.life])

    async def _live(self) -> None:
        identity: Identity | None = None
        try:
            identity = await self._appeared()
            if identity is None:
                return
            doors = await self._opened()
        except OSError as error:
            if identity is not None and not leads_to(self._sandbox, identity):
                return
            raise KernelRefusedError(error.errno or 0, f"names in {self._sandbox}: {error}") from error
        async with self._relays(doors):
            self.is_open = True
            self.settled.set_result(None)
            await self._gone(identity, doors)

    def _settle(self, life: asyncio.Task[None]) -> None:
        if self.settled.done():
            return
        error = None if life.cancelled() else life.exception()
        if error is None:
            self.settled.set_result(None)
        else:
            self.settled.set_exception(error)

    async def _appeared(self) -> Identity | None:
        for pause_s in _APPEARS_POLLS_S:
            identity = netns_identity(self._sandbox)
            if identity is not None:
                return identity
            await asyncio.sleep(pause_s)
        return None

    async def _gone(self, identity: Identity, doors: Doors) -> None:
        # Nothing can be waited for: our own sockets keep the namespace alive, only its path goes.
        while True:
            await asyncio.sleep(_GONE_POLL_S)
            if not leads_to(self._sandbox, identity) or not doors.are_open:
                return

    async def _opened(self) -> Doors:
        opening = self._nft.submit(in_netns, self._sandbox, open_doors)
        try:
            return await asyncio.wrap_future(opening)
        except asyncio.CancelledError:
            opening.cancel()
            self._nft.submit(_close_if_open, opening)
            raise

    @asynccontextmanager
    async def _relays(self, doors: Doors) -> AsyncIterator[None]:
        dial = partial(in_netns, self._sandbox, partial(marked_socket, socket.SOCK_STREAM))
        datagrams = DatagramRelay(doors, self.names, self._upstream_timeout_s)
        streams = StreamRelay(self.names, partial(asyncio.to_thread, dial), self._upstream_timeout_s)
        try:
            await streams.open(doors.tcp)
            yield
        finally:
            try:
                # The kernel takes its time over a table; and no question may meet a closed socket.
                await asyncio.wrap_future(self._nft.submit(doors.redirect.close))
            finally:  # a sandbox that goes by itself may be detached meanwhile
                datagrams.close()
                await streams.close()
                doors.close()


def _close_if_open(opening: Future[Doors]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()
