"""Snapshots of etcd to the facts that decisions stand on."""

from collections.abc import Iterator

from isthmus.core.model import Record
from isthmus.core.world import Change, World, evolve
from isthmus.edge.store import Snapshot
from isthmus.wire import keys


def records(snapshot: Snapshot) -> Iterator[Record]:
    """Every record of ours.

    Raises:
        UnreadableRecordError: one is not what this version writes.
    """
    for item in snapshot.items:
        record = keys.parse(item.key, item.value)
        if record is not None:
            yield record


def world_of(snapshot: Snapshot) -> World:
    """All records, indexed."""
    return evolve(World(), map(Change, records(snapshot)), snapshot.revision).world


def revision_of(snapshot: Snapshot, key: str) -> int:
    """The revision that wrote a key last; 0 where it is absent."""
    return next((item.mod_revision for item in snapshot.items if item.key == key), 0)
