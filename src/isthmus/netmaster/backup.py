"""The cluster's records as they are, given out in one piece and taken back in many transactions.

Each piece is guarded, and in such an order that a restoration may break off anywhere and be done again.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import structlog
from fastapi import Request, Response

from isthmus.core.admit.restore import Restoration, admit_restore
from isthmus.core.errors import StoreUnavailableError, UnreadableRecordError
from isthmus.core.model import EndpointGroup, Network, Node
from isthmus.edge.store import Guard, KeyValue, Put, RangeUnchanged, Snapshot, Store, Unchanged
from isthmus.netmaster.answers import answer
from isthmus.netmaster.routes import Here
from isthmus.wire import keys
from isthmus.wire.rest.batches import Backup, parse_backup
from isthmus.wire.rest.bodies import BackupBody, RestoredBody

MAX_BACKUP_BYTES = 2**26  # some 200,000 records
_AT_ONCE = 100  # etcd takes 128 operations in one transaction
_BYTES_AT_ONCE = 2**19  # etcd takes 1.5 MiB
_ATTEMPTS = 100

log = structlog.get_logger()


async def backup(here: Here) -> Response:
    """Every record as of one moment, but for what says that it is this moment: leases and the epoch."""
    snapshot = await here.store.read(prefixes=(keys.ROOT,))
    found = ((item.key, _text(item)) for item in snapshot.items)
    return answer(BackupBody(records={key: text for key, text in found if text is not None}))


async def restore(here: Here, request: Request) -> Response:
    """Write the records that are not there yet; with `dry-run=true` only say how many they are."""
    wanted = parse_backup(await request.body())
    if request.query_params.get("dry-run", "") in ("1", "true"):
        found = await _look(here.store, wanted)
        return answer(RestoredBody(written=len(found.missing), unchanged=found.there))
    written = await _restored(here.store, wanted)
    if written:
        log.warning("records restored from a backup", written=written, of=len(wanted.records))
    return answer(RestoredBody(written=written, unchanged=len(wanted.records) - written))


def _text(item: KeyValue) -> str | None:
    """What a backup has of a record: of a node's report only what outlives its agent; None for a lease or the epoch.

    Raises:
        UnreadableRecordError: it is no text.
    """
    try:
        record = keys.parse(item.key, item.value) if item.key.startswith((keys.NODES, keys.EPOCH)) else None
        if isinstance(record, Node):
            return keys.render(replace(record, applied_revision=0, problems={}, epoch=None, salvage="")).decode()
        return None if record else item.value.decode()
    except UnicodeDecodeError as error:
        raise UnreadableRecordError(f"record {item.key} is no text") from error


@dataclass(frozen=True, slots=True)
class _View:
    """A snapshot, and what of a backup is not in it."""

    snapshot: Snapshot
    restoration: Restoration


async def _look(store: Store, wanted: Backup) -> Restoration:
    return (await _view(store, wanted)).restoration


async def _view(store: Store, wanted: Backup) -> _View:
    snapshot = await store.read(prefixes=(keys.ROOT,))
    present = {item.key: record for item in snapshot.items if (record := keys.parse(item.key, item.value)) is not None}
    return _View(snapshot, admit_restore(wanted.records, present))


async def _restored(store: Store, wanted: Backup) -> int:
    """Write until nothing is missing; how much was written.

    Raises:
        StoreUnavailableError: etcd does not answer, or others always came first.
    """
    written = 0
    for _ in range(_ATTEMPTS):
        view = await _view(store, wanted)
        if not view.restoration.missing:
            return written
        written += await _write(store, wanted, view)
    raise StoreUnavailableError(f"other writes came first {_ATTEMPTS} times; try again")


async def _write(store: Store, wanted: Backup, view: _View) -> int:
    """Write piece by piece, as long as nobody else writes there; how much was written."""
    revisions = {item.key: item.mod_revision for item in view.snapshot.items}
    checked, written = view.snapshot.revision, 0
    for piece in _pieces(view.restoration.missing, wanted):
        puts = [Put(key, wanted.values[key]) for key in piece]
        guards: list[Guard] = [Unchanged(key, revisions.get(key, 0)) for key in piece]
        is_dividing = any(isinstance(wanted.records[key], Network | EndpointGroup) for key in piece)
        if is_dividing:  # subnets must not overlap, nor pools, nor may names be the same
            guards += [RangeUnchanged(prefix, checked) for prefix in (keys.NETWORKS, keys.GROUPS)]
        revision = await store.commit(guards, puts)
        if revision is None:
            break
        checked = revision if is_dividing else checked
        written += len(piece)
    return written


def _pieces(missing: Sequence[str], wanted: Backup) -> Iterator[list[str]]:
    piece: list[str] = []
    length = 0
    for key in missing:
        own = len(key) + len(wanted.values[key])
        if piece and (len(piece) == _AT_ONCE or length + own > _BYTES_AT_ONCE):
            yield piece
            piece, length = [], 0
        piece.append(key)
        length += own
    if piece:
        yield piece
