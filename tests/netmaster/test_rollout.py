"""A change is done when the nodes have followed; what a node refuses is taken back."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import replace
from ipaddress import IPv4Address
from typing import TYPE_CHECKING

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
from isthmus.edge.etcd_child import EtcdSettings
from isthmus.edge.store import HistoryLost, Op, Put, Snapshot, Store
from isthmus.netmaster.rollout import Rollout, node_states, rollout
from isthmus.wire import keys

if TYPE_CHECKING:
    from tests.netmaster.conftest import Master

KEY = NetworkKey(TenantName("default"), NetworkName("net"))
ONE, TWO = NodeName("node1"), NodeName("node2")
TITLE = f"network {KEY}"
PROBLEM = {TITLE: "network name used by another driver"}

Dump = Callable[[], Awaitable[dict[str, bytes]]]


def node(name: NodeName, revision: int = 0, problems: Mapping[str, str] | None = None) -> Node:
    vtep = IPv4Address("192.168.2.10")
    return Node(name, vtep, "0", EngineState.READY, "20.10", revision, problems or {})


def put(*records: Node | NodeLease | Endpoint) -> tuple[Op, ...]:
    return tuple(Put(keys.key_of(record), keys.render(record)) for record in records)


async def report(store: Store, name: NodeName, problems: Mapping[str, str], begun: asyncio.Event) -> None:
    """Report every revision of the networks as applied, with these problems, as an agent does."""
    async with contextlib.aclosing(store.watch(keys.NETWORKS)) as changes:
        async for seen in changes:
            assert not isinstance(seen, HistoryLost)
            told = {} if isinstance(seen, Snapshot) else problems
            records = (node(name, seen.revision, told), NodeLease(name, "host"))
            await store.commit((), put(*records))
            begun.set()


@contextlib.asynccontextmanager
async def agents(store: Store, problems_by_node: Mapping[NodeName, Mapping[str, str]]) -> AsyncIterator[None]:
    """Agents that follow, and have reported once."""
    begun = {name: asyncio.Event() for name in problems_by_node}
    tasks = [
        asyncio.create_task(report(store, name, problems, begun[name])) for name, problems in problems_by_node.items()
    ]
    try:
        await asyncio.gather(*(each.wait() for each in begun.values()))
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture(scope="module")
def patient(etcd: EtcdSettings, start: Callable[..., Master]) -> Master:
    """A netmaster that waits for nodes longer than any test may take."""
    return start("-cluster-store", str(etcd.endpoints), "-rollout-wait", "600", "-log-level", "error")


@pytest.mark.root
async def test_an_answer_without_a_warning_means_that_all_nodes_have_it(patient: Master, store: Store) -> None:
    async with agents(store, {ONE: {}, TWO: {}}):
        reply = await asyncio.to_thread(patient.post_network, str(KEY), "10.1.1.0/24")
        assert (reply.status, reply.headers.get("isthmus-pending")) == (200, None)
        oper = patient.ask("GET", f"/api/v1/inspect/networks/{KEY}/").json["Oper"]
        assert oper["nodes"] == [{"name": ONE, "ready": True}, {"name": TWO, "ready": True}]
        gone = await asyncio.to_thread(patient.ask, "DELETE", f"/api/v1/networks/{KEY}/")
        assert (gone.status, gone.headers.get("isthmus-pending")) == (200, None)


@pytest.mark.root
async def test_a_network_that_a_node_refuses_is_taken_back(patient: Master, store: Store, dump: Dump) -> None:
    async with agents(store, {ONE: {}, TWO: PROBLEM}):
        before = await dump()
        reply = await asyncio.to_thread(patient.post_network, str(KEY), "10.1.1.0/24", gateway="10.1.1.1")
        assert reply.status == 409
        assert reply.text == f"network {KEY}: node node2: network name used by another driver\n"
        assert (await dump()).keys() == before.keys()


@pytest.mark.root
async def test_a_network_that_is_in_use_already_is_not_taken_back(patient: Master, store: Store) -> None:
    address = IPv4Address("10.1.1.1")
    user = Endpoint(EndpointId("e" * 64), KEY, ONE, mac_of(address), address)
    await store.commit((), put(user))
    async with agents(store, {TWO: PROBLEM}):
        reply = await asyncio.to_thread(patient.post_network, str(KEY), "10.1.1.0/24")
        assert (reply.status, reply.headers["isthmus-pending"]) == (200, "node2")
        oper = patient.ask("GET", f"/api/v1/inspect/networks/{KEY}/").json["Oper"]
        assert oper["nodes"] == [
            {"name": "node2", "ready": False, "problem": "network name used by another driver"},
        ]


@pytest.mark.root
async def test_nodes_that_do_not_follow_in_time_are_named(master: Master, store: Store) -> None:
    silent = (node(TWO), NodeLease(TWO, "host"))
    dead = node(NodeName("node3"))
    without_engine = replace(node(NodeName("node4")), engine=EngineState.ABSENT)
    await store.commit((), put(*silent, dead, without_engine, NodeLease(without_engine.name, "host")))
    async with agents(store, {ONE: {}}):
        created = await asyncio.to_thread(master.post_network, str(KEY), "10.1.1.0/24")
        deleted = await asyncio.to_thread(master.ask, "DELETE", f"/api/v1/networks/{KEY}/")
        for reply in (created, deleted):
            told = "node2, node4: its container engine does not answer"
            assert (reply.status, reply.headers["isthmus-pending"]) == (200, told)


@pytest.mark.root
async def test_an_answer_tells_that_no_node_is_alive(master: Master, store: Store) -> None:
    await store.commit((), put(node(ONE)))  # known, but without a lease
    created = await asyncio.to_thread(master.post_network, str(KEY), "10.1.1.0/24")
    deleted = await asyncio.to_thread(master.ask, "DELETE", f"/api/v1/networks/{KEY}/")
    for reply in (created, deleted):
        assert (reply.status, reply.headers["isthmus-pending"]) == (200, "any node: none is alive")


@pytest.mark.root
async def test_nobody_waits_for_a_node_without_an_engine(patient: Master, store: Store) -> None:
    without_engine = replace(node(ONE), engine=EngineState.ABSENT)
    await store.commit((), put(without_engine, NodeLease(ONE, "host")))
    reply = await asyncio.to_thread(patient.post_network, str(KEY), "10.1.1.0/24")
    assert reply.headers["isthmus-pending"] == "node1: its container engine does not answer"


def world(*records: Node | NodeLease) -> World:
    return evolve(World(), map(Change, records), 9).world


def test_only_living_nodes_with_an_engine_count() -> None:
    alive = [NodeLease(name, "host") for name in (ONE, TWO)]
    assert rollout(world(node(ONE, 7), *alive), TITLE, 7) == Rollout()
    assert rollout(world(node(ONE, 6), *alive), TITLE, 7) == Rollout(pending=(ONE,))
    assert rollout(world(node(ONE, 6)), TITLE, 7) == Rollout(is_nowhere=True)
    without_engine = replace(node(ONE, 6), engine=EngineState.ABSENT)
    assert rollout(world(without_engine, *alive), TITLE, 7) == Rollout(without_engine=(ONE,))
    assert rollout(world(without_engine), TITLE, 7) == Rollout(is_nowhere=True)


def test_a_problem_from_before_the_change_is_an_earlier_networks() -> None:
    lease = NodeLease(ONE, "host")
    assert rollout(world(node(ONE, 6, PROBLEM), lease), TITLE, 7) == Rollout(pending=(ONE,))
    refused = rollout(world(node(ONE, 7, PROBLEM), lease), TITLE, 7)
    assert refused == Rollout(problems={ONE: PROBLEM[TITLE]})
    assert refused.unready == (ONE,)


def test_another_networks_problem_is_not_ours() -> None:
    other = {"network default:other": "x"}
    assert rollout(world(node(ONE, 7, other), NodeLease(ONE, "host")), TITLE, 7) == Rollout()


@pytest.mark.parametrize(
    ("reported", "is_alive", "problem"),
    [
        (node(ONE, 7), True, ""),
        (node(ONE, 7), False, "unreachable"),
        (replace(node(ONE, 7), engine=EngineState.ABSENT), True, "container engine"),
        (node(ONE, 6, PROBLEM), True, "not yet applied"),
        (node(ONE, 7, PROBLEM), True, "another driver"),
    ],
)
def test_every_node_has_a_state(reported: Node, is_alive: bool, problem: str) -> None:
    leases = (NodeLease(ONE, "host"),) if is_alive else ()
    (state,) = node_states(world(reported, *leases), TITLE, 7)
    assert (state.ready, problem in state.problem) == (not problem, True)
