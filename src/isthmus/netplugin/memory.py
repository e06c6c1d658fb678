"""What an agent knew of the cluster, on disk: for names while etcd is away, and for an etcd that comes back empty."""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from structlog.typing import FilteringBoundLogger

from isthmus.core import salvage
from isthmus.core.errors import UnreadableRecordError
from isthmus.core.model import EpochId, NodeLease, Record
from isthmus.core.world import Evolution
from isthmus.wire import keys

_PAUSE_S = 1.0
_SHARE = 20  # writing takes one part in so many of the time


@dataclass(frozen=True, slots=True)
class Remembered:
    """The records by their keys in etcd, as of a revision of an epoch; and what counts instead of them.

    `past`: the epochs before that one; it is None where they have no successor yet.
    """

    epoch: EpochId | None = None
    revision: int = 0
    records: Mapping[str, Record] = field(default_factory=dict)
    kept: salvage.Kept = field(default_factory=dict)
    past: frozenset[EpochId] = frozenset()


NOTHING = Remembered()


class Memory:
    """A file with what was last known; written after changes, seldom, and whole or not at all."""

    def __init__(self, path: Path, log: FilteringBoundLogger) -> None:
        self._path = path
        self._log = log
        self._changed = asyncio.Event()
        self._is_failing = False

    def load(self) -> Remembered:
        """What an earlier agent knew; nothing where there was none, or where its file cannot be read."""
        try:
            return _parse(self._path.read_bytes())
        except FileNotFoundError:
            return NOTHING
        except (OSError, ValueError, LookupError, AttributeError, TypeError, UnreadableRecordError) as error:
            self._log.warning("what was known before cannot be read", path=str(self._path), reason=str(error))
            return NOTHING

    def notice(self, _evolution: Evolution) -> None:
        """Something is known that was not: write it soon."""
        self._changed.set()

    async def keep(self, current: Callable[[], Remembered]) -> None:
        """Write `current` whenever it has changed, for ever."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            began_s = asyncio.get_running_loop().time()
            await asyncio.to_thread(self._save, current())
            await asyncio.sleep(_PAUSE_S + _SHARE * (asyncio.get_running_loop().time() - began_s))

    def _save(self, known: Remembered) -> None:
        draft = self._path.with_suffix(".new")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            draft.write_text(_render(known))
            draft.replace(self._path)
        except OSError as error:
            if not self._is_failing:
                self._log.warning("could not keep what is known", path=str(self._path), reason=str(error))
            self._is_failing = True
        else:
            self._is_failing = False


def _render(known: Remembered) -> str:
    """All but who was alive: `{"epoch": id, "past": [id], "revision": number, "records": {key: text}, "kept": ...}`."""
    lasting = {key: record for key, record in known.records.items() if not isinstance(record, NodeLease)}
    told = {
        "epoch": known.epoch,
        "past": sorted(known.past),
        "revision": known.revision,
        "records": {key: keys.render(record).decode() for key, record in lasting.items()},
        "kept": {key: record and keys.render(record).decode() for key, record in known.kept.items()},
    }
    return json.dumps(told)


def _parse(text: bytes) -> Remembered:
    told = json.loads(text)
    records = {key: keys.parse(key, each.encode()) for key, each in told["records"].items()}
    return Remembered(
        told["epoch"] and EpochId(told["epoch"]),
        int(told["revision"]),
        {key: record for key, record in records.items() if record is not None},
        {key: each and keys.parse(key, each.encode()) for key, each in told["kept"].items()},
        frozenset(map(EpochId, told["past"])),
    )
