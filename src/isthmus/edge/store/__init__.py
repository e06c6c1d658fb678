"""etcd, the only store: transactions, watches and leases."""

import os

# Read when gRPC starts: children are spawned, never forked, so its fork handlers would only warn.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

from isthmus.edge.store.client import Decide, Gate, Store
from isthmus.edge.store.lease import Lease
from isthmus.edge.store.links import Health, LeaseLostError, TlsFiles
from isthmus.edge.store.values import (
    Delete,
    DeleteRange,
    Event,
    Events,
    Guard,
    HistoryLost,
    KeyValue,
    Op,
    Put,
    RangeEmpty,
    RangeUnchanged,
    Snapshot,
    Unchanged,
)

__all__ = [
    "Decide",
    "Delete",
    "DeleteRange",
    "Event",
    "Events",
    "Gate",
    "Guard",
    "Health",
    "HistoryLost",
    "KeyValue",
    "Lease",
    "LeaseLostError",
    "Op",
    "Put",
    "RangeEmpty",
    "RangeUnchanged",
    "Snapshot",
    "Store",
    "TlsFiles",
    "Unchanged",
]
