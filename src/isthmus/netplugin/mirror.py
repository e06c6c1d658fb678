"""The world as etcd tells it, kept up to date, and those who wait for it."""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence

from structlog.typing import FilteringBoundLogger

from isthmus.core.errors import StoreUnavailableError, UnreadableRecordError
from isthmus.core.model import Record
from isthmus.core.world import Change, Evolution, World, evolve
from isthmus.edge.store import Events, Snapshot, Store
from isthmus.wire import keys

Listener = Callable[[Evolution], None]


class Mirror:
    """One snapshot of all records, then their changes; every change is told to the listeners, in order."""

    def __init__(self, store: Store, log: FilteringBoundLogger) -> None:
        self._store = store
        self._log = log
        self._records: dict[str, Record] = {}
        self._world: World | None = None
        self._moved = asyncio.Condition()
        self._listeners: list[Listener] = []
        self.unreadable: Mapping[str, str] = {}

    @property
    def world(self) -> World:
        """The latest world.

        Raises:
            StoreUnavailableError: no snapshot has arrived yet.
        """
        if self._world is None:
            raise StoreUnavailableError(f"the cluster's state is not known yet: {self._store.health.reason}")
        return self._world

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
        async for news in self._store.watch(keys.ROOT):
            changes = list(self._changes(news))
            evolution = evolve(self._world or World(), changes, news.revision)
            self._world = evolution.world
            for listener in self._listeners:
                listener(evolution)
            async with self._moved:
                self._moved.notify_all()

    def _changes(self, news: Snapshot | Events) -> Iterator[Change]:
        match news:
            case Snapshot():
                values = {item.key: item.value for item in news.items}
                yield from self._forget([key for key in (*self._records, *self.unreadable) if key not in values])
                yield from self._learn(values)
            case Events():
                for event in news.events:
                    if event.value is None:
                        yield from self._forget([event.key])
                    else:
                        yield from self._learn({event.key: event.value})

    def _learn(self, values: Mapping[str, bytes]) -> Iterator[Change]:
        for key, value in values.items():
            record = self._read(key, value)
            if record is not None and record != self._records.get(key):
                self._records[key] = record
                yield Change(record)

    def _read(self, key: str, value: bytes) -> Record | None:
        try:
            record = keys.parse(key, value)
        except UnreadableRecordError as error:
            self._log.error("a record in etcd cannot be read; it is left out", key=key, reason=str(error))
            self.unreadable = {**self.unreadable, key: str(error)}
            return self._records.get(key)
        self.unreadable = {known: text for known, text in self.unreadable.items() if known != key}
        return record

    def _forget(self, gone: Sequence[str]) -> Iterator[Change]:
        self.unreadable = {known: text for known, text in self.unreadable.items() if known not in gone}
        for key in gone:
            record = self._records.pop(key, None)
            if record is not None:
                yield Change(record, is_removal=True)
