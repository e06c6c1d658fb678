"""Endpoints and nodes that their agent will not remove any more."""

from collections.abc import Sequence

from isthmus.core.admit.decision import Decision, counted, found
from isthmus.core.errors import ConflictError
from isthmus.core.model import Endpoint, Node, NodeName, Record
from isthmus.core.world import World


def admit_endpoint_removal(endpoint: Endpoint, world: World, *, is_forced: bool) -> Decision[Endpoint]:
    """The endpoint that goes by an operator's word, with its addresses; one that has gone already is fine.

    Raises:
        ConflictError: its node is alive, and the removal is not forced: the node's own agent removes what ends.
    """
    population = world.population(endpoint.network)
    if endpoint.node in world.leases and not is_forced:
        name = endpoint.container or endpoint.id[:12]
        raise ConflictError(
            f"endpoint {endpoint.id[:12]} ({name}) lives on node {endpoint.node}, which is alive and removes it when "
            "its container ends; force the removal to cut the container off"
        )
    own = [each for each in [population.endpoints.get(endpoint.id)] if each is not None]
    claims = [each for each in population.claims.values() if each.endpoint == endpoint.id]
    return Decision(endpoint, remove=(*own, *claims))


def admit_node_removal(name: NodeName, world: World) -> Decision[Node]:
    """The node that goes, with its last contact; `leftovers_of_node` must have gone before.

    Raises:
        NotFoundError: there is none.
        ConflictError: its agent is alive.
    """
    node = lost_node(name, world)
    endpoints = endpoints_of_node(name, world)
    if endpoints:
        users = [each.container or each.id[:12] for each in endpoints]
        raise ConflictError(f"node {name} still has {counted(users, 'endpoint')}")
    contact = world.contacts.get(name)
    return Decision(node, remove=(node,) if contact is None else (node, contact))


def lost_node(name: NodeName, world: World) -> Node:
    """The node itself, whose agent is not alive.

    Raises:
        NotFoundError: there is none.
        ConflictError: its agent is alive.
    """
    node = found(world.nodes.get(name), f"node {name}")
    if name in world.leases:
        raise ConflictError(f"node {name} is alive; stop its netplugin first, or it comes back at once")
    return node


def endpoints_of_node(name: NodeName, world: World) -> list[Endpoint]:
    """All endpoints that a node has committed."""
    everyone = (each for population in world.populations.values() for each in population.endpoints.values())
    return [each for each in everyone if each.node == name]


def leftovers_of_node(name: NodeName, world: World) -> Sequence[Record]:
    """All that a node holds in etcd: endpoints, and the addresses claimed for it."""
    claims = (each for population in world.populations.values() for each in population.claims.values())
    return [*endpoints_of_node(name, world), *(each for each in claims if each.node == name)]
