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
    NodeLease,
    NodeName,
    TenantName,
    mac_of,
)
from isthmus.core.world import Change, World, evolve
from isthmus.wire.rest.answers import node_body
from isthmus.wire.rest.opers import endpoint_body, node_oper
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


@pytest.mark.parametrize(("tenant", "network"), [("c", "a.b"), ("b.c", "a")])
def test_an_endpoints_tenant_and_network_are_told_apart_where_names_have_dots(tenant: str, network: str) -> None:
    key = NetworkKey(TenantName(tenant), NetworkName(network))
    address = IPv4Address("10.1.1.1")
    body = endpoint_body(Endpoint(EndpointId("e" * 64), key, NAME, mac_of(address), address), World())
    assert (body.network, body.tenantName, body.networkName) == ("a.b.c", tenant, network)
