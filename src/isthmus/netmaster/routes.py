"""Each route's way: decode the request, carry the wish out, encode what came true."""

from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

import structlog
from fastapi import Depends, Request, Response

from isthmus import __version__
from isthmus.core.admit.decision import found
from isthmus.core.errors import ConflictError
from isthmus.core.world import World
from isthmus.edge.store import Store
from isthmus.netmaster import plans
from isthmus.netmaster.answers import answer
from isthmus.netmaster.kinds import Kind
from isthmus.netmaster.reading import revision_of, world_of
from isthmus.netmaster.rollout import Rollout, node_states, settled
from isthmus.wire.rest.bodies import VersionBody
from isthmus.wire.rest.view import view_of

log = structlog.get_logger()

_K = TypeVar("_K")
_R = TypeVar("_R")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the routes work with: the store, and how long a change may wait for the nodes."""

    store: Store
    rollout_s: float


def _surroundings(request: Request) -> Surroundings:
    found = request.app.state.surroundings
    assert isinstance(found, Surroundings)
    return found


Here = Annotated[Surroundings, Depends(_surroundings)]


async def version() -> Response:
    """What this netmaster was built from."""
    return answer(VersionBody(Version=__version__))


@dataclass(frozen=True, slots=True)
class Objects:
    """The routes of one kind of object."""

    kind: Kind[Any, Any]

    async def list_all(self, here: Here) -> Response:
        """All of them, by their keys."""
        kind = self.kind
        world = world_of(await here.store.read(prefixes=(kind.prefix, *kind.links)))
        view = view_of(world)
        return answer([kind.show(each, view) for _, each in sorted(kind.index(world).items())])

    async def read(self, here: Here, key: str) -> Response:
        """One of them."""
        return answer(await _shown(here, self.kind, self.kind.parse_key(key)))

    async def create(self, here: Here, key: str, request: Request) -> Response:
        """See that it is there as said; one that is the same is answered as if it were new."""
        assert self.kind.create is not None
        done = await plans.done(here.store, self.kind.create(await request.body(), key))
        if done.is_written:
            log.info("created" if done.is_new else "changed", kind=self.kind.noun, key=key)
        own = self.kind.parse_key(key)
        unready = await _rolled_out(here, self.kind, own, done)
        return answer(await _shown(here, self.kind, own, done.outcome), unready)

    async def delete(self, here: Here, key: str) -> Response:
        """Delete it."""
        assert self.kind.remove is not None
        own = self.kind.parse_key(key)
        done = await plans.done(here.store, self.kind.remove(own))
        log.info("deleted", kind=self.kind.noun, key=key)
        state = await _settled(here, self.kind, own, done.revision)
        return answer(key, state.unready)

    async def inspect(self, here: Here, key: str) -> Response:
        """One of them, and its state."""
        kind = self.kind
        own = kind.parse_key(key)
        around = kind.around((*kind.links, *kind.state), own)
        snapshot = await here.store.read(keys=(kind.place(own),), prefixes=around)
        world = world_of(snapshot)
        record = _found(kind, own, world)
        state = kind.state_of(record, world)
        if kind.title:
            revision = revision_of(snapshot, kind.place(own))
            state = state.model_copy(update={"nodes": node_states(world, kind.title(own), revision)})
        shown = kind.show(record, view_of(world))
        return answer(kind.inspection.model_validate({"Config": shown, "Oper": state}))


def _found(kind: Kind[_K, _R], key: _K, world: World) -> _R:
    return found(kind.index(world).get(key), f"{kind.noun} {key}")


async def _shown(here: Surroundings, kind: Kind[_K, _R], key: _K, written: _R | None = None) -> Any:
    """The object as it stands now; `written` itself where it has gone meanwhile."""
    snapshot = await here.store.read(keys=(kind.place(key),), prefixes=kind.around(kind.links, key))
    world = world_of(snapshot)
    record = kind.index(world).get(key) or written
    return kind.show(found(record, f"{kind.noun} {key}"), view_of(world))


async def _settled(here: Surroundings, kind: Kind[_K, _R], key: _K, revision: int) -> Rollout:
    """What the nodes make of a write, where they have to follow."""
    if kind.title is None:
        return Rollout()
    return await settled(here.store, kind.title(key), revision, here.rollout_s)


async def _rolled_out(here: Surroundings, kind: Kind[_K, _R], key: _K, done: plans.Done[_R]) -> tuple[str, ...]:
    """Wait for the nodes, also where another master wrote it and died; take back what is new and some node refuses."""
    state = await _settled(here, kind, key, done.revision)
    if state.problems and done.is_new:
        state = await _taken_back(here, kind, key, done.revision, state)
    return state.unready


async def _taken_back(here: Surroundings, kind: Kind[_K, _R], key: _K, revision: int, state: Rollout) -> Rollout:
    """Take an object back that some node refused; the state as it was where it is in use already."""
    assert kind.remove is not None
    reasons = "; ".join(f"node {name}: {reason}" for name, reason in sorted(state.problems.items()))
    try:
        gone = await plans.carry_out(here.store, kind.remove(key), written_at=revision)
    except ConflictError as error:
        log.warning("stays, since it is in use", kind=kind.noun, key=str(key), refused=reasons, why=str(error))
        return state
    log.warning("taken back", kind=kind.noun, key=str(key), refused=reasons)
    if gone is not None:
        await _settled(here, kind, key, gone.revision)
    raise ConflictError(f"{kind.noun} {key}: {reasons}")
