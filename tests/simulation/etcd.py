"""A simulated etcd: one history of revisions that can be wiped or turned back, and stores that lose calls and news."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field

from isthmus.core.errors import StoreUnavailableError
from isthmus.edge.store import (
    Decide,
    Delete,
    DeleteRange,
    Event,
    Events,
    Guard,
    Health,
    HistoryLost,
    KeyValue,
    Op,
    Put,
    RangeEmpty,
    RangeUnchanged,
    Snapshot,
    Unchanged,
)
from isthmus.wire import keys
from tests.simulation.chance import Chance

_Values = dict[str, KeyValue]


@dataclass
class SimEtcd:
    """The cluster itself. `is_away`: nobody gets an answer."""

    revision: int = 1
    values: _Values = field(default_factory=dict)
    log: list[Events] = field(default_factory=list)
    is_away: bool = False
    backup: tuple[int, _Values] = (1, {})
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    watch: Callable[[], None] = lambda: None  # after each commit
    life: int = 0  # another one whenever it lost its memory
    cluster: int = 0  # the id by which a stream knows it again

    def read(self, wanted: Sequence[str] = (), prefixes: Sequence[str] = ()) -> Snapshot:
        """The keys and prefixes, sorted."""
        found = [each for key, each in self.values.items() if key in wanted or key.startswith(tuple(prefixes))]
        return Snapshot(self.revision, tuple(sorted(found, key=lambda each: each.key)))

    def commit(self, guards: Sequence[Guard], ops: Sequence[Op]) -> int | None:
        """Do all of it if all guards hold."""
        if not all(map(self._holds, guards)):
            return None
        revision = self.revision + 1
        events = tuple(event for op in ops for event in self._done(op, revision))
        if events:
            self.revision = revision
            self.log.append(Events(revision, events))
            self.watch()
            self.tell()
        return self.revision

    def go(self, *, is_away: bool) -> None:
        """Be away, or come back."""
        self.is_away = is_away
        self.tell()

    def tell(self) -> None:
        """Wake whoever waits for news."""
        self.changed.set()
        self.changed = asyncio.Event()

    def expire(self, key: str) -> None:
        """Let a lease run out."""
        self.commit([], [Delete(key)])

    def save(self) -> None:
        """Make a backup."""
        self.backup = (self.revision, dict(self.values))

    def turn_back(self, *, is_same_cluster: bool) -> None:
        """Be as at the last backup; by its id the same cluster, or one made anew of it."""
        self.cluster += not is_same_cluster
        self.revision, values = self.backup
        self.values = dict(values)
        self.log.clear()
        self.life += 1
        self.tell()

    def wipe(self) -> None:
        """Know nothing."""
        self.revision, self.values = 1, {}
        self.log.clear()
        self.life += 1
        self.tell()

    def _holds(self, guard: Guard) -> bool:
        match guard:
            case Unchanged(key, revision):
                return (self.values[key].mod_revision if key in self.values else 0) == revision
            case RangeUnchanged(prefix, revision):
                return all(each.mod_revision <= revision for each in self._below(prefix))
            case RangeEmpty(prefix):
                return not self._below(prefix)

    def _below(self, prefix: str) -> list[KeyValue]:
        return [each for key, each in self.values.items() if key.startswith(prefix)]

    def _done(self, op: Op, revision: int) -> list[Event]:
        match op:
            case Put(key, value):
                self.values[key] = KeyValue(key, value, revision)
                return [Event(key, value, revision, None)]
            case Delete(key):
                gone = [key] if key in self.values else []
            case DeleteRange(prefix):
                gone = [each.key for each in self._below(prefix)]
        for key in gone:
            del self.values[key]
        return [Event(key, None, revision, None) for key in gone]


class SimStore:
    """One node's connection, in the form of `edge.store.Store`."""

    def __init__(self, etcd: SimEtcd, chance: Chance) -> None:
        self._etcd = etcd
        self._chance = chance
        self._is_cut = False
        self.loss = 0.0  # the share of calls that fail, half of them after they were done

    def cut(self, *, is_cut: bool) -> None:
        """Cut the way to etcd, or mend it."""
        self._is_cut = is_cut
        self._etcd.tell()

    @property
    def health(self) -> Health:
        """Whether a call would be answered."""
        return Health(self._is_reached, "" if self._is_reached else "etcd is away", time.time())

    @property
    def _is_reached(self) -> bool:
        return not (self._is_cut or self._etcd.is_away)

    async def read(self, *, keys: Sequence[str] = (), prefixes: Sequence[str] = ()) -> Snapshot:
        """As Store.read."""
        await self._trip()
        return self._etcd.read(keys, prefixes)

    async def commit(self, guards: Sequence[Guard], ops: Sequence[Op]) -> int | None:
        """As Store.commit: it may have been done although it failed."""
        await self._trip()
        revision = self._etcd.commit(guards, ops)
        await self._trip()
        return revision

    async def swap(self, decide: Decide, *, keys: Sequence[str] = (), prefixes: Sequence[str] = ()) -> int:
        """As Store.swap."""
        while True:
            snapshot = await self.read(keys=keys, prefixes=prefixes)
            guards, ops = decide(snapshot)
            revision = await self.commit(guards, ops) if ops else snapshot.mod_revision
            if revision is not None:
                return revision

    async def watch(self, prefix: str, *, mark: str = "") -> AsyncGenerator[Snapshot | Events | HistoryLost, None]:
        """As Store.watch; the stream breaks now and then, and news may be late."""
        while True:
            await self._reached()
            snapshot = self._etcd.read((), (prefix,))
            yield snapshot
            seen, known = snapshot.revision, self._marked(mark)
            life, cluster = self._etcd.life, self._etcd.cluster
            while True:
                batch = await self._news(seen, life)
                if life != self._etcd.life:
                    life = self._etcd.life
                    if cluster != self._etcd.cluster or self._etcd.revision < seen or known != self._marked(mark):
                        yield HistoryLost()
                        break
                elif batch is None and self._chance.happens(0.05):
                    break  # compacted meanwhile
                if batch is None:
                    continue
                seen = batch.revision
                known = next((each.value for each in batch.events[::-1] if each.key == mark), known)
                told = tuple(each for each in batch.events if each.key.startswith(prefix))
                if told:
                    yield Events(seen, told)

    def _marked(self, mark: str) -> bytes | None:
        return self._etcd.values[mark].value if mark in self._etcd.values else None

    async def _news(self, seen: int, life: int) -> Events | None:
        """The next revision's events; None: the stream was broken, and it is to be looked what came of it."""
        await self._chance.pass_time(0.0, 0.02)
        if not self._is_reached:
            await self._reached()
            return None
        if life != self._etcd.life:
            return None
        log = self._etcd.log  # of one revision after another, without a gap
        if log and log[-1].revision > seen:
            return log[max(0, seen + 1 - log[0].revision)]
        await self._etcd.changed.wait()
        return None

    async def _reached(self) -> None:
        while not self._is_reached:
            await self._etcd.changed.wait()

    async def _trip(self) -> None:
        await self._chance.pass_time(0.0, 0.004)
        if not self._is_reached:
            await asyncio.sleep(1.0)
            raise StoreUnavailableError("etcd is away")
        if self._chance.happens(self.loss):
            raise StoreUnavailableError("the answer was lost")


FOREIGN = keys.ROOT.replace("v1", "v2") + "network/of-another-version"
