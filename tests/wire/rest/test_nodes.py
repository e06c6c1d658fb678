"""Nodes and endpoints as REST shows them."""

from ipaddress import IPv4Address

import pytest

from isthmus.core.model import (
    Endpoint,
    EndpointId,
    EngineState,
    NetworkKey,
    NetworkName,
    Node,
    NodeContact,
    NodeLease,
    NodeName,
    TenantName,
    mac_of,
)
from isthmus.core.world import Change, World, evolve
from isthmus.wire.rest.answers import node_body
from isthmus.wire.rest.opers import NO_ENGINE, UNREACHABLE, endpoint_body, node_oper
from isthmus.wire.rest.view import view_of

NAME = NodeName("node1")
ALIVE = (NodeLease(NAME, "host"),)


def node(engine: EngineState, **problems: str) -> Node:
    return Node(NAME, IPv4Address("192.168.2.10"), "1", engine, "28", 1, problems)


@pytest.mark.parametrize(
    ("of", "lease", "is_alive", "is_in_sync"),
    [
        (node(EngineState.READY), ALIVE, True, True),
        (node(EngineState.READY), (), False, False),
        (node(EngineState.ABSENT), ALIVE, True, False),
        (node(EngineState.READY, net="no"), ALIVE, True, False),
    ],
)
def test_a_node_in_a_list_is_in_sync_where_its_state_says_so(
    of: Node, lease: tuple[NodeLease, ...], is_alive: bool, is_in_sync: bool
) -> None:
    world = evolve(World(), [Change(of), *map(Change, lease)], 1).world
    body = node_body(of, view_of(world))
    assert (body.isAlive, body.inSync) == (is_alive, is_in_sync)
    assert node_oper(of, world).inSync == is_in_sync


@pytest.mark.parametrize(
    ("of", "lease", "first"),
    [
        (node(EngineState.READY), ALIVE, ""),
        (node(EngineState.READY, net="no"), (), UNREACHABLE),
        (node(EngineState.ABSENT, net="no"), ALIVE, NO_ENGINE),
        (node(EngineState.READY, net="no", host="bad"), ALIVE, "host: bad"),
    ],
)
def test_a_node_in_a_list_tells_the_first_of_its_problems(of: Node, lease: tuple[NodeLease, ...], first: str) -> None:
    world = evolve(World(), [Change(of), *map(Change, lease)], 1).world
    body = node_body(of, view_of(world))
    assert ([body.problem] if body.problem else []) == node_oper(of, world).problems[:1] == ([first] if first else [])
    assert body.appliedRevision == node_oper(of, world).appliedRevision == of.applied_revision


@pytest.mark.parametrize(("at_s", "text"), [(0, "1970-01-01T00:00:00Z"), (1_764_100_799, "2025-11-25T19:59:59Z")])
def test_a_nodes_last_contact_is_told_alive_or_not_and_left_out_where_it_never_was(at_s: int, text: str) -> None:
    of = node(EngineState.READY)
    assert node_body(of, view_of(World())).lastContact == ""
    other = NodeContact(NodeName("node2"), 7)
    for lease in (ALIVE, ()):
        known = [of, *lease, NodeContact(NAME, at_s), other]
        assert node_body(of, view_of(evolve(World(), map(Change, known), 1).world)).lastContact == text


@pytest.mark.parametrize(("tenant", "network"), [("c", "a.b"), ("b.c", "a")])
def test_an_endpoints_tenant_and_network_are_told_apart_where_names_have_dots(tenant: str, network: str) -> None:
    key = NetworkKey(TenantName(tenant), NetworkName(network))
    address = IPv4Address("10.1.1.1")
    body = endpoint_body(Endpoint(EndpointId("e" * 64), key, NAME, mac_of(address), address), World())
    assert (body.network, body.tenantName, body.networkName) == ("a.b.c", tenant, network)
