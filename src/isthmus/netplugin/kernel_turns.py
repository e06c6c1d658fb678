"""Keeps this host's kernel as the world wants it: what changed, its steps, one turn after another."""

import asyncio
from collections.abc import Iterable

from structlog.typing import FilteringBoundLogger

from isthmus.core.datapath import KernelObject, Leg
from isthmus.core.desired import Seat, desired_host, desired_network
from isthmus.core.errors import EdgeError, KernelRefusedError
from isthmus.core.model import Endpoint, EndpointId, NetworkKey
from isthmus.core.reconcile import Step, Verb, steps
from isthmus.core.world import Evolution, World
from isthmus.edge.kernel import Kernel
from isthmus.netplugin.guard import Guard

_RETRY_S = 1.0
_JOIN_AGAIN_S = 5.0
AUDIT_S = 30.0  # for what no event tells; reading a kernel with 50,000 entries takes a second

_Part = NetworkKey | None  # a network's objects, or (None) the host's own


class KernelTurns:
    """Recomputes only the networks that changed; what failed is tried again, and named."""

    def __init__(
        self, kernel: Kernel, moved: asyncio.Event, log: FilteringBoundLogger, *, audit_s: float = AUDIT_S
    ) -> None:
        self._kernel = kernel
        self._guard = Guard(kernel, log)
        self._is_alarmed = False
        self._orphans: set[EndpointId] = set()  # joined before this agent started, and without a link then
        self._unplugged: set[KernelObject] = set()
        self._audit_s = audit_s
        self._moved = moved
        self._log = log
        self._world: World | None = None
        self._dirty: set[_Part] = set()
        self._wake = asyncio.Event()
        self._held: dict[_Part, frozenset[KernelObject]] = {}
        self._turned = asyncio.Condition()
        self._revision = 0
        self._problems: dict[_Part, str] = {}

    @property
    def revision(self) -> int:
        """The kernel holds what the world of this revision wants, but for `problems`."""
        return self._revision

    @property
    def problems(self) -> dict[str, str]:
        """Per part of the datapath, the first reason why it is not as wanted."""
        return self._guard.problems | {_title(part): text for part, text in self._problems.items()}

    def notice(self, evolution: Evolution) -> None:
        """Take over a later world; the next turn looks at what it touched."""
        self._dirty |= evolution.networks
        if evolution.is_host_changed:
            self._dirty |= {None, *evolution.world.networks}
        self._world = evolution.world
        self._revision = min(self._revision, evolution.world.revision)  # an etcd that was restored counts anew
        self._wake.set()

    async def applied(self, revision: int) -> None:
        """Wait until the turn after the world's `revision` is done, whatever came of it."""
        async with self._turned:
            await self._turned.wait_for(lambda: self._revision >= revision)

    def check_leg(self, endpoint: Endpoint) -> None:
        """Make sure that the kernel has this endpoint's leg.

        Raises:
            KernelRefusedError: it has not; the text says why. It is being tried again.
        """
        self._orphans.discard(endpoint.id)  # the engine is about to move its other end
        held = self._held.get(endpoint.network, frozenset())
        if not any(isinstance(each, Leg) and each.endpoint == endpoint.id for each in held):
            raise KernelRefusedError(0, self._problems.get(endpoint.network, f"no leg for {endpoint.id[:12]}"))

    def reseat(self, seat: Seat) -> None:
        """The node's place has changed: everything is looked at again."""
        self._seat = seat
        if self._world is not None:
            self._dirty |= {None, *self._world.networks}
            self._wake.set()

    async def run(self, seat: Seat) -> None:
        """Turn for ever. Nothing is touched before the first whole world is known."""
        self._seat = seat
        await self._wake.wait()
        await self._audit()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._turn_on())
            tasks.create_task(self._guard.run(self._alarm))
            tasks.create_task(self._adopt_orphans())

    async def _turn_on(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            end_s = loop.time() + self._audit_s
            while await self._is_woken(end_s - loop.time()) and not self._is_alarmed:
                await self._turn()
            await self._audit()

    async def _adopt_orphans(self) -> None:
        """Plug in what lost its link while no agent ran, unless the engine asks for it by then: Join is tried again."""
        await asyncio.sleep(_JOIN_AGAIN_S)
        orphans, self._orphans = self._orphans, set()
        for endpoint in orphans:
            self._kernel.claim(endpoint)
        for part, objects in self._held.items():
            lost = {each for each in objects if isinstance(each, Leg) and each.endpoint in orphans}
            if lost:
                self._unplugged |= lost
                self._dirty.add(part)
                self._wake.set()

    async def _alarm(self) -> None:
        """Others changed what is ours: an audit at once; while something cannot be mended, once a second."""
        self._is_alarmed = True
        self._wake.set()
        async with self._turned:
            await self._turned.wait_for(lambda: not self._is_alarmed)
        if self._problems:
            await asyncio.sleep(_RETRY_S)

    async def _audit(self) -> None:
        """Look at the whole kernel and mend what differs: at start, and from time to time."""
        while True:
            try:
                return await self._whole_turn()
            except EdgeError as error:
                self._log.warning("the kernel cannot be read; will retry", reason=str(error))
                await asyncio.sleep(_RETRY_S)

    async def _is_woken(self, longest_s: float) -> bool:
        """Wait for something to do; False: nothing for so long that it is time for an audit."""
        if longest_s <= 0:
            return False
        try:
            async with asyncio.timeout(min(longest_s, _RETRY_S) if self._problems else longest_s):
                await self._wake.wait()
        except TimeoutError:
            self._dirty |= set(self._problems)
            return bool(self._problems)
        return True

    async def _whole_turn(self) -> None:
        self._is_alarmed = False
        world = self._take()
        assert world is not None
        wanted = {part: _desired(world, self._seat, part) for part in (None, *world.networks)}
        union: frozenset[KernelObject] = frozenset().union(*wanted.values())
        actual = await self._kernel.read()
        strangers = actual - union
        todo = steps(union, actual)
        if not self._revision:
            added = (step.target for step in todo if step.verb is Verb.ADD)
            self._orphans = {each.endpoint for each in added if isinstance(each, Leg)}
        elif todo:
            self._log.warning("the kernel differed from what was applied; mending it", steps=len(todo))
        failed = await self._apply(todo)
        if replaced := await self._kernel.switch():
            self._log.info("programs of another build, with other tables, were replaced", programs=replaced)
        # A stranger that could not be removed has no part of its own: the host's part tries again.
        for part, objects in wanted.items():
            self._settle(part, objects, failed, still_there=strangers if part is None else frozenset())
        await self._done(world)

    async def _turn(self) -> None:
        parts = frozenset(self._dirty)
        world = self._take()
        assert world is not None
        wanted = {part: _desired(world, self._seat, part) for part in parts}
        before = {part: self._held.get(part, frozenset()) for part in parts}
        union: frozenset[KernelObject] = frozenset().union(*wanted.values())
        unplugged, self._unplugged = self._unplugged, set()  # they are there, and to be added again all the same
        failed = await self._apply(steps(union, frozenset().union(*before.values()) - unplugged))
        for part in parts:
            self._settle(part, wanted[part], failed, still_there=before[part])
        await self._done(world)

    def _take(self) -> World | None:
        self._wake.clear()
        self._dirty = set()
        return self._world

    async def _apply(self, todo: Iterable[Step]) -> dict[Step, str]:
        failed: dict[Step, str] = {}
        for step in todo:
            try:
                await self._kernel.apply(step)
            except EdgeError as error:
                self._log.warning(
                    "a kernel step failed; it will be tried again",
                    verb=str(step.verb),
                    target=repr(step.target),
                    reason=str(error),
                )
                failed[step] = str(error)
        return failed

    def _settle(
        self,
        part: _Part,
        wanted: frozenset[KernelObject],
        failed: dict[Step, str],
        still_there: frozenset[KernelObject],
    ) -> None:
        missing = {step.target: why for step, why in failed.items() if step.verb is Verb.ADD}
        left = {step.target: why for step, why in failed.items() if step.verb is Verb.REMOVE}
        self._held[part] = (wanted - missing.keys()) | (still_there & left.keys())
        reasons = [missing[each] for each in wanted & missing.keys()]
        reasons += [left[each] for each in still_there & left.keys()]
        self._problems.pop(part, None)
        if reasons:
            self._problems[part] = reasons[0]
        if not self._held[part]:
            del self._held[part]

    async def _done(self, world: World) -> None:
        self._revision = world.revision
        self._moved.set()
        async with self._turned:
            self._turned.notify_all()


def _title(part: _Part) -> str:
    return "host" if part is None else f"network {part}"


def _desired(world: World, seat: Seat, part: _Part) -> frozenset[KernelObject]:
    return desired_host(world, seat) if part is None else desired_network(world, seat, part)
