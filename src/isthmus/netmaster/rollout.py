"""What the nodes make of a change: who has applied it, who has not, and why."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from isthmus.core.model import EngineState, NodeName
from isthmus.core.world import World
from isthmus.edge.store import Store
from isthmus.netmaster.reading import world_of
from isthmus.wire import keys
from isthmus.wire.rest.opers import NO_ENGINE, UNREACHABLE
from isthmus.wire.rest.states import NodeOper

_POLL_S = 0.05
_NO_NODE = "any node: none is alive"


@dataclass(frozen=True, slots=True)
class Rollout:
    """The nodes that have not yet applied a change, and those that cannot, each with its reason.

    Those `without_engine` are alive, but nobody waits for them. `is_nowhere`: no node is alive at all.
    """

    pending: tuple[NodeName, ...] = ()
    problems: Mapping[NodeName, str] = field(default_factory=dict)
    without_engine: tuple[NodeName, ...] = ()
    is_nowhere: bool = False

    @property
    def unready(self) -> tuple[str, ...]:
        """All nodes that do not hold it, as NAME or NAME: REASON."""
        if self.is_nowhere:
            return (_NO_NODE,)
        return tuple(sorted({*self.pending, *self.problems, *(f"{name}: {NO_ENGINE}" for name in self.without_engine)}))


def rollout(world: World, title: str, revision: int) -> Rollout:
    """How far the write at `revision` to what the nodes report as `title` has come on those that are alive.

    A problem counts only from a node that has seen the write: an older one may be an earlier object's.
    """
    nodes = [world.nodes[name] for name in sorted(world.leases) if name in world.nodes]
    serving = [node for node in nodes if node.engine is EngineState.READY]
    return Rollout(
        tuple(node.name for node in serving if node.applied_revision < revision),
        {
            node.name: node.problems[title]
            for node in serving
            if node.applied_revision >= revision and title in node.problems
        },
        tuple(node.name for node in nodes if node.engine is not EngineState.READY),
        is_nowhere=not nodes,
    )


async def settled(store: Store, title: str, revision: int, deadline_s: float) -> Rollout:
    """The rollout when no node is pending, a node cannot, or the deadline has passed.

    Raises:
        StoreUnavailableError: etcd does not answer.
    """
    loop = asyncio.get_running_loop()
    end_s = loop.time() + deadline_s
    while True:
        state = rollout(world_of(await store.read(prefixes=(keys.NODES,))), title, revision)
        if not state.pending or state.problems or loop.time() >= end_s:
            return state
        await asyncio.sleep(_POLL_S)


def node_states(world: World, title: str, revision: int) -> list[NodeOper]:
    """What every node, alive or not, makes of what it reports as `title` and was written at `revision`."""
    return [_node_state(world, name, title, revision) for name in sorted(world.nodes)]


def _node_state(world: World, name: NodeName, title: str, revision: int) -> NodeOper:
    node = world.nodes[name]
    if name not in world.leases:
        problem = UNREACHABLE
    elif node.engine is not EngineState.READY:
        problem = NO_ENGINE
    elif node.applied_revision < revision:
        problem = "not yet applied"
    else:
        problem = node.problems.get(title, "")
    return NodeOper(name=name, ready=not problem, problem=problem)
