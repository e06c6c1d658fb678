"""What is read from etcd, what a write demands, and what it does."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class KeyValue:
    """One key as it stood; `mod_revision` is the revision that wrote it last."""

    key: str
    value: bytes
    mod_revision: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The keys that were asked for, sorted and each once, all as of `revision`."""

    revision: int
    items: tuple[KeyValue, ...]

    @property
    def mod_revision(self) -> int:
        """The revision that last wrote any of the items; 0 where there are none.

        Unlike `revision`, which moves with every key of that etcd, it is one that a watch of them comes to.
        """
        return max((item.mod_revision for item in self.items), default=0)

    def by_key(self) -> dict[str, KeyValue]:
        """The same items by key."""
        return {item.key: item for item in self.items}


@dataclass(frozen=True, slots=True)
class Event:
    """A key was written, or deleted where `value` is None.

    `previous` is the value before; None where there was none, or where compaction has taken it.
    """

    key: str
    value: bytes | None
    mod_revision: int
    previous: bytes | None


@dataclass(frozen=True, slots=True)
class Events:
    """What happened up to and including `revision`: whole revisions, in order."""

    revision: int
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class HistoryLost:
    """What was seen before is not this etcd's past: it was wiped, or has come back from a backup."""


@dataclass(frozen=True, slots=True)
class Unchanged:
    """The key still has this `mod_revision`; 0 says that it is absent."""

    key: str
    mod_revision: int


@dataclass(frozen=True, slots=True)
class RangeUnchanged:
    """Nothing under the prefix was created or written after `revision`.

    A deletion passes unnoticed, so this protects what was *not* seen (a phantom); what was seen and matters
    needs its own `Unchanged`.
    """

    prefix: str
    revision: int


@dataclass(frozen=True, slots=True)
class RangeEmpty:
    """No key stands under the prefix."""

    prefix: str


@dataclass(frozen=True, slots=True)
class Put:
    """Write a key; with a lease, it goes when the lease does."""

    key: str
    value: bytes
    lease_id: int = 0


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove a key; absence is no fault."""

    key: str


@dataclass(frozen=True, slots=True)
class DeleteRange:
    """Remove every key under a prefix."""

    prefix: str


Guard = Unchanged | RangeUnchanged | RangeEmpty
Op = Put | Delete | DeleteRange
