"""Guards, operations and reads to etcd's messages, and its answers back. Pure."""

from collections.abc import Iterable, Sequence
from typing import assert_never

from isthmus.edge.store._etcd import etcd_pb2 as pb
from isthmus.edge.store.values import (
    Delete,
    DeleteRange,
    Event,
    Guard,
    KeyValue,
    Op,
    Put,
    RangeEmpty,
    RangeUnchanged,
    Snapshot,
    Unchanged,
)


def encode_key(key: str) -> bytes:
    """A key's bytes; whatever `decode_key` returned goes back to what it was."""
    return key.encode(errors="surrogateescape")


def decode_key(key: bytes) -> str:
    """A key's text, also where somebody's key is not UTF-8."""
    return key.decode(errors="surrogateescape")


def prefix_end(prefix: str) -> bytes:
    r"""The first key after all that start with `prefix`; `\0`, etcd's "to the end", where there is none."""
    trimmed = encode_key(prefix).rstrip(b"\xff")
    return trimmed[:-1] + bytes([trimmed[-1] + 1]) if trimmed else b"\0"


def read_request(keys: Sequence[str], prefixes: Sequence[str]) -> pb.TxnRequest:
    """One transaction that reads all of it."""
    ranges = [pb.RangeRequest(key=encode_key(key)) for key in keys]
    ranges += [pb.RangeRequest(key=_first(prefix), range_end=prefix_end(prefix)) for prefix in prefixes]
    return pb.TxnRequest(success=[pb.RequestOp(request_range=one) for one in ranges])


def snapshot_of(response: pb.TxnResponse) -> Snapshot:
    """What a read found; overlapping prefixes give a key once."""
    found = {kv.key: kv for one in response.responses for kv in one.response_range.kvs}
    items = (KeyValue(decode_key(kv.key), kv.value, kv.mod_revision) for _, kv in sorted(found.items()))
    return Snapshot(response.header.revision, tuple(items))


def commit_request(guards: Iterable[Guard], ops: Iterable[Op]) -> pb.TxnRequest:
    """One transaction: all of `ops` if all of `guards` hold, else nothing."""
    return pb.TxnRequest(compare=[_compare(guard) for guard in guards], success=[_request(op) for op in ops])


def event_of(event: pb.Event) -> Event:
    """A watch's event."""
    return Event(
        key=decode_key(event.kv.key),
        value=None if event.type == pb.Event.DELETE else event.kv.value,
        mod_revision=event.kv.mod_revision,
        previous=event.prev_kv.value if event.HasField("prev_kv") else None,
    )


def watch_request(prefix: str, start_revision: int) -> pb.WatchRequest:
    """Ask for everything under `prefix` from `start_revision` on.

    `fragment` stays unset, so that etcd never splits the events of one revision over two answers.
    """
    create = pb.WatchCreateRequest(
        key=_first(prefix), range_end=prefix_end(prefix), start_revision=start_revision, prev_kv=True
    )
    return pb.WatchRequest(create_request=create)


def _first(prefix: str) -> bytes:
    return encode_key(prefix) or b"\0"  # the empty key is refused; no key sorts before this one


def _compare(guard: Guard) -> pb.Compare:
    match guard:
        case Unchanged(key, mod_revision):
            return pb.Compare(
                result=pb.Compare.EQUAL,
                target=pb.Compare.MOD,
                key=encode_key(key),
                mod_revision=mod_revision,
            )
        case RangeUnchanged(prefix, revision):
            return pb.Compare(
                result=pb.Compare.LESS,
                target=pb.Compare.MOD,
                key=_first(prefix),
                range_end=prefix_end(prefix),
                mod_revision=revision + 1,
            )
        case RangeEmpty(prefix):
            return pb.Compare(
                result=pb.Compare.EQUAL,
                target=pb.Compare.CREATE,
                key=_first(prefix),
                range_end=prefix_end(prefix),
                create_revision=0,
            )
        case _:
            assert_never(guard)


def _request(op: Op) -> pb.RequestOp:
    match op:
        case Put(key, value, lease_id):
            return pb.RequestOp(request_put=pb.PutRequest(key=encode_key(key), value=value, lease=lease_id))
        case Delete(key):
            return pb.RequestOp(request_delete_range=pb.DeleteRangeRequest(key=encode_key(key)))
        case DeleteRange(prefix):
            ranged = pb.DeleteRangeRequest(key=_first(prefix), range_end=prefix_end(prefix))
            return pb.RequestOp(request_delete_range=ranged)
        case _:
            assert_never(op)
