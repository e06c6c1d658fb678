"""The world as etcd tells it, kept up to date, and those who wait for it."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing

from structlog.typing import FilteringBoundLogger

from isthmus.core import salvage
from isthmus.core.errors import StoreUnavailableError, UnreadableRecordError
from isthmus.core.model import Epoch, EpochId, Record
from isthmus.core.world import Change, Evolution, World, evolve
from isthmus.edge.store import Events, HistoryLost, Snapshot, Store
from isthmus.netplugin.memory import NOTHING, Remembered
from isthmus.wire import keys

Listener = Callable[[Evolution], None]


class Mirror:
    """One snapshot of all records, then their changes; every change is told to the listeners, in order.

    Where etcd comes back with another history than it had, some of what was known counts on: `kept`, see core.salvage.
    """

    def __init__(self, store: Store, log: FilteringBoundLogger, remembered: Remembered = NOTHING) -> None:
        """`remembered` is what an earlier agent on this host knew."""
        self._store = store
        self._log = log
        self._records = dict(remembered.records)  # as etcd told them
        self._kept = dict(remembered.kept)
        self._past = remembered.past  # the epochs before this one: an etcd that tells one of them is an older state
        self._revision = remembered.revision
        self._is_lost = False
        self._world: World | None = None
        self._moved = asyncio.Condition()
        self._listeners: list[Listener] = []
        self.unreadable: Mapping[str, str] = {}
        self.lost: frozenset[str] = frozenset()  # the keys of what was intended and is in etcd no more since
        self.epoch = remembered.epoch  # None until somebody has given this history an id of its own
        counting = [Change(each) for each in {**remembered.records, **remembered.kept}.values() if each is not None]
        self.remembered = evolve(World(), counting, remembered.revision)

    @property
    def world(self) -> World:
        """The latest world.

        Raises:
            StoreUnavailableError: no snapshot has arrived yet.
        """
        if self._world is None:
            raise StoreUnavailableError(f"the cluster's state is not known yet: {self._store.health.reason}")
        return self._world

    @property
    def records(self) -> Mapping[str, Record]:
        """The records by their keys, as etcd has told them."""
        return self._records

    @property
    def kept(self) -> salvage.Kept:
        """What counts instead of them, since etcd came back without it."""
        return self._kept

    def is_past(self, epoch: EpochId) -> bool:
        """Whether it is that of a history before this one; as long as etcd tells it, a new one is to be announced."""
        return epoch in self._past

    def listen(self, listener: Listener) -> None:
        """Tell `listener` of every later evolution; it must not block."""
        self._listeners.append(listener)

    async def reached(self, revision: int = 0) -> World:
        """Wait until the world is of this revision or a later one, and return it."""
        async with self._moved:
            await self._moved.wait_for(lambda: self._world is not None and self._world.revision >= revision)
        return self.world

    async def run(self) -> None:
        """Follow the store for ever."""
        while True:
            async with aclosing(self._store.watch(keys.ROOT, mark=keys.EPOCH)) as stream:
                async for news in stream:
                    if isinstance(news, HistoryLost):
                        self._is_lost = True
                    elif self._is_of_another_epoch(news):
                        self._is_lost = True
                        break  # another agent has noticed what we have not: all is listed again
                    else:
                        await self._publish(list(self._changes(news)), news.revision)

    async def let_go(self, gone: Iterable[str]) -> None:
        """Keep these no longer: what etcd has told of them counts, so it has to have told first."""
        wanted = list(gone)
        world = await self.reached()
        known = [key for key in wanted if key in self._kept]
        if not known:
            return
        before = self._effective(known)
        for key in known:
            del self._kept[key]
        await self._publish(list(self._differences(before)), world.revision)

    def remember(self) -> Remembered:
        """What a later agent on this host should know."""
        return Remembered(self.epoch, self._revision, dict(self._records), dict(self._kept), self._past)

    async def _publish(self, changes: Sequence[Change], revision: int) -> None:
        evolution = evolve(self._world or self.remembered.world, changes, revision)
        self._world = evolution.world
        for listener in self._listeners:
            listener(evolution)
        async with self._moved:
            self._moved.notify_all()

    def _changes(self, news: Snapshot | Events) -> Iterator[Change]:
        match news:
            case Snapshot():
                values: dict[str, bytes | None] = {item.key: item.value for item in news.items}
                gone = (key for key in (*self._records, *self._kept, *self.unreadable) if key not in values)
                before = self._effective([*values, *gone])
                self._list({**dict.fromkeys(before), **values}, news.revision)
            case Events():
                values = {event.key: event.value for event in news.events}
                before = self._effective(values)
                self._learn(values)
                kept = self._kept
                self._supersede(values)
                moved = kept.keys() ^ self._kept.keys()
                before = {key: kept.get(key, self._records.get(key)) for key in moved} | before
        self._revision = news.revision
        yield from self._differences(before)

    def _list(self, values: Mapping[str, bytes | None], revision: int) -> None:
        """Take over all that etcd has; if it is of another history, hold on to what was known."""
        known = {key: record for key in values if (record := self._effective([key])[key]) is not None}
        told_before = dict(self._records)
        self._learn(values)
        if self._is_lost or revision < self._revision or self.epoch not in (None, self._told_epoch()):
            self._lose(known)
        else:
            self._supersede([key for key in values if told_before.get(key) != self._records.get(key)])

    def _lose(self, known: Mapping[str, Record]) -> None:
        self._is_lost = False
        if self.epoch is not None:
            self._past |= {self.epoch}
        self.epoch = self._told_epoch()
        self._kept = salvage.keep(known, self._records, salvage.settled_nodes(self._records.values(), self.epoch))
        self.lost |= salvage.lost_intent(known, self._records)
        if self._kept or self.lost:
            names = ", ".join(sorted(key.removeprefix(keys.ROOT) for key in self.lost))
            self._log.warning("etcd has lost what it knew", kept=len(self._kept), lost=names)

    def _is_of_another_epoch(self, news: Snapshot | Events) -> bool:
        if self.epoch is None or isinstance(news, Snapshot):
            return False
        told = [event.value for event in news.events if event.key == keys.EPOCH]
        return bool(told) and told[-1] != keys.render(Epoch(self.epoch))

    def _told_epoch(self) -> EpochId | None:
        told = self._records.get(keys.EPOCH)
        return told.id if isinstance(told, Epoch) and not self.is_past(told.id) else None

    def _supersede(self, written: Iterable[str]) -> None:
        """What is written to etcd counts more than what was kept, if it is newer."""
        if self.epoch is None:
            self.epoch = self._told_epoch()
        if self._kept:
            writes = frozenset(written)
            nodes = (keys.node_key(name) for name in (self._world or self.remembered.world).nodes)
            told = (self._records[key] for key in (*nodes, *writes) if key in self._records)
            settled = salvage.settled_nodes(told, self.epoch)
            self._kept = salvage.amend(self._kept, self._records, writes, settled)

    def _effective(self, wanted: Iterable[str]) -> dict[str, Record | None]:
        return {key: self._kept[key] if key in self._kept else self._records.get(key) for key in wanted}

    def _differences(self, before: Mapping[str, Record | None]) -> Iterator[Change]:
        for key, after in self._effective(before).items():
            earlier = before[key]
            if after is not None and after != earlier:
                yield Change(after)
            elif after is None and earlier is not None:
                yield Change(earlier, is_removal=True)

    def _learn(self, values: Mapping[str, bytes | None]) -> None:
        for key, value in values.items():
            record = None if value is None else self._read(key, value)
            if record is not None:
                self._records[key] = record
            elif value is None or key not in self.unreadable:
                self._records.pop(key, None)
        self.lost -= self._records.keys()
        self.unreadable = {key: text for key, text in self.unreadable.items() if values.get(key, b"") is not None}

    def _read(self, key: str, value: bytes) -> Record | None:
        try:
            record = keys.parse(key, value)
        except UnreadableRecordError as error:
            self._log.error("a record in etcd cannot be read; it is left out", key=key, reason=str(error))
            self.unreadable = {**self.unreadable, key: str(error)}
            return None
        self.unreadable = {known: text for known, text in self.unreadable.items() if known != key}
        return record
