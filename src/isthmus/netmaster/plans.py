"""Wishes: what each must read, and what is decided of it; and how a decision becomes one guarded transaction."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from isthmus.core.admit.decision import Decision
from isthmus.core.errors import StoreUnavailableError
from isthmus.core.model import DEFAULT_TENANT, Tenant
from isthmus.core.world import World
from isthmus.edge.store import Delete, DeleteRange, Guard, Op, Put, RangeUnchanged, Snapshot, Store, Unchanged
from isthmus.netmaster.reading import revision_of, world_of
from isthmus.wire import keys

_ATTEMPTS = 200  # each that fails means that another write succeeded, so this many at once

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Wish(Generic[_T]):
    """What must be read, all at one revision, and the stage that decides on it.

    The decision is written only if `own` (the object itself) and `keys` are as they were read, and if nothing was
    written under `prefixes`. `glanced` is read without such a guard: the numbers in use, say, where the key that takes
    one is guarded by itself. All under `clears` goes when something is removed.
    """

    own: str
    decide: Callable[[World], Decision[_T]]
    keys: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    glanced: tuple[str, ...] = ()
    clears: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Done(Generic[_T]):
    """What came true, and at which revision; whether it was written now, and whether it was not there before."""

    outcome: _T
    revision: int
    is_written: bool = False
    is_new: bool = False


async def carry_out(store: Store, wish: Wish[_T], *, written_at: int | None = None) -> Done[_T] | None:
    """Read, decide, commit; again while what was read has changed meanwhile.

    With `written_at`, only if the object is the one that was written at that revision; else None.

    Raises:
        IsthmusError: the decision is a refusal.
        StoreUnavailableError: etcd does not answer, or others always came first.
    """
    for _ in range(_ATTEMPTS):
        snapshot = await store.read(keys=(wish.own, *wish.keys), prefixes=(*wish.prefixes, *wish.glanced))
        before = revision_of(snapshot, wish.own)
        if written_at is not None and before != written_at:
            return None
        decision = wish.decide(world_of(snapshot))
        if not decision.put and not decision.remove:
            return Done(decision.outcome, before)
        revision = await store.commit(list(_guards(wish, decision, snapshot)), list(_ops(wish, decision)))
        if revision is not None:
            return Done(decision.outcome, revision, is_written=True, is_new=not before)
    raise StoreUnavailableError(f"other writes came first {_ATTEMPTS} times; try again")


async def done(store: Store, wish: Wish[_T]) -> Done[_T]:
    """As `carry_out`, whoever wrote the object."""
    outcome = await carry_out(store, wish)
    assert outcome is not None
    return outcome


def _guards(wish: Wish[_T], decision: Decision[_T], snapshot: Snapshot) -> Iterator[Guard]:
    revisions = {item.key: item.mod_revision for item in snapshot.items}
    written = (keys.key_of(record) for record in decision.put)
    for key in dict.fromkeys((wish.own, *wish.keys, *written)):
        yield Unchanged(key, revisions.get(key, 0))
    for prefix in wish.prefixes:
        yield RangeUnchanged(prefix, snapshot.revision)


def _ops(wish: Wish[_T], decision: Decision[_T]) -> Iterator[Op]:
    for record in decision.put:
        yield Put(keys.key_of(record), keys.render(record))
    for record in decision.remove:
        yield Delete(keys.key_of(record))
    if decision.remove:
        yield from map(DeleteRange, wish.clears)


def first_records() -> Wish[None]:
    """The settings and the default tenant, where they are absent."""

    def decide(world: World) -> Decision[None]:
        is_there = DEFAULT_TENANT in world.tenants
        return Decision(None) if is_there else Decision(None, put=(Tenant(DEFAULT_TENANT), world.settings))

    return Wish(keys.GLOBAL, decide, keys=(keys.tenant_key(DEFAULT_TENANT),))
