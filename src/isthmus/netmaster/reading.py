"""Snapshots of etcd to the facts that decisions stand on."""

from collections.abc import Iterator
from typing import TypeVar

from isthmus.core.model import Encap, NetworkKey, Record, Tag, TagOwner
from isthmus.core.world import Change, World, evolve
from isthmus.edge.store import Snapshot
from isthmus.wire import keys

_R = TypeVar("_R", bound=Record)


def records(snapshot: Snapshot) -> Iterator[Record]:
    """Every record of ours.

    Raises:
        UnreadableRecordError: one is not what this version writes.
    """
    for item in snapshot.items:
        record = keys.parse(item.key, item.value)
        if record is not None:
            yield record


def only(kind: type[_R], snapshot: Snapshot) -> list[_R]:
    """The records of one kind, in the order of their keys."""
    return [record for record in records(snapshot) if isinstance(record, kind)]


def one(kind: type[_R], snapshot: Snapshot) -> _R | None:
    """The one record of a kind; None where there is none."""
    return next(iter(only(kind, snapshot)), None)


def world_of(snapshot: Snapshot) -> World:
    """All records, indexed."""
    return evolve(World(), map(Change, records(snapshot)), snapshot.revision).world


def tag_owners(snapshot: Snapshot, encap: Encap) -> dict[Tag, NetworkKey]:
    """Who holds the tags of one kind."""
    return {each.tag: each.owner for each in only(TagOwner, snapshot) if each.encap is encap}


def revision_of(snapshot: Snapshot, key: str) -> int:
    """The revision that wrote a key last; 0 where it is absent."""
    return next((item.mod_revision for item in snapshot.items if item.key == key), 0)
