"""Agents' parts on a real etcd."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest
import structlog
from structlog.typing import FilteringBoundLogger

from isthmus.core.model import (
    AddressClaim,
    ClaimPurpose,
    Encap,
    Network,
    NetworkKey,
    NetworkName,
    NodeName,
    Record,
    Subnet,
    Tag,
    TenantName,
)
from isthmus.edge.etcd_child import EtcdChild, EtcdSettings
from isthmus.edge.store import DeleteRange, Put, Store
from isthmus.netplugin.ledger import Ledger
from isthmus.netplugin.mirror import Mirror
from isthmus.wire import keys

KEY = NetworkKey(TenantName("default"), NetworkName("net"))
GATEWAY = IPv4Address("10.1.2.14")
SUBNET = Subnet("10.1.2.0/28", IPv4Network("10.1.2.0/28"), IPv4Address("10.1.2.0"), IPv4Address("10.1.2.15"))
NETWORK = Network(KEY, Encap.VXLAN, Tag(1), SUBNET, gateway=GATEWAY)


async def write(store: Store, *records: Record) -> int:
    """Put records as netmaster would."""
    revision = await store.commit([], [Put(keys.key_of(each), keys.render(each)) for each in records])
    assert revision is not None
    return revision


class Node:
    """What one node's agent has of etcd: a connection, the world, the ledger."""

    def __init__(self, store: Store, name: str) -> None:
        self.store = store
        self.mirror = Mirror(store, log())
        self.ledger = Ledger(store, self.mirror, NodeName(name))


def log() -> FilteringBoundLogger:
    logger: FilteringBoundLogger = structlog.get_logger()
    return logger


MakeNode = Callable[[str], Node]


@pytest.fixture
async def etcd(tmp_path: Path, free_port: Callable[[], int]) -> AsyncIterator[EtcdSettings]:
    """A running etcd."""
    settings = EtcdSettings(tmp_path / "etcd", free_port(), extra=("--unsafe-no-fsync",))
    async with EtcdChild(settings):
        yield settings


@pytest.fixture
async def store(etcd: EtcdSettings) -> AsyncIterator[Store]:
    async with Store(etcd.endpoints) as opened:
        yield opened


@pytest.fixture
async def make_node(store: Store) -> AsyncIterator[MakeNode]:
    """Nodes on one etcd with one network in it; each follows the world until the test ends."""
    await store.commit([], [DeleteRange(keys.ROOT), DeleteRange(keys.CONTACTS)])
    await write(store, NETWORK, AddressClaim(KEY, GATEWAY, ClaimPurpose.GATEWAY))
    following: list[asyncio.Task[None]] = []

    def make(name: str) -> Node:
        node = Node(store, name)
        following.append(asyncio.create_task(node.mirror.run()))
        return node

    yield make
    for task in following:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@pytest.fixture
def free_port() -> Callable[[], int]:
    import socket

    def find() -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
            return port

    return find
