"""When a node was last heard of stands in etcd, wakes nobody, and is not told of a node that is not ours."""

import asyncio
import itertools
from collections.abc import Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from isthmus.core.model import NodeContact, NodeName
from isthmus.core.world import Evolution
from isthmus.edge.etcd_child import EtcdChild, EtcdSettings
from isthmus.edge.store import Store
from isthmus.netplugin.contact import keep_contact
from isthmus.netplugin.membership import Membership
from isthmus.netplugin.mirror import Mirror
from isthmus.wire import keys
from tests.netplugin.conftest import NETWORK, log, write

pytestmark = pytest.mark.root
NAME = NodeName("one")
PERIOD_S = 0.01


async def heard(store: Store) -> NodeContact | None:
    for item in (await store.read(keys=[keys.contact_key(NAME)])).items:
        contact = keys.parse(item.key, item.value)
        assert isinstance(contact, NodeContact)
        return contact
    return None


async def heard_since(store: Store, at_s: int) -> None:
    async with asyncio.timeout(20):
        while True:
            contact = await heard(store)
            if contact and contact.at_s >= at_s:
                return
            await asyncio.sleep(PERIOD_S)


def keep(store: Store, start_s: float = 1000.9) -> "asyncio.Task[None]":
    """Keep it by a clock that goes on a second with each look at it."""
    ticks = itertools.count(start_s)
    return asyncio.create_task(keep_contact(store, NAME, period_s=PERIOD_S, now_s=lambda: next(ticks)))


async def ended(*tasks: "asyncio.Task[None]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


async def test_it_is_told_in_whole_seconds_again_and_again_and_wakes_nobody(store: Store) -> None:
    woken: list[Evolution] = []
    mirror = Mirror(store, log())
    mirror.listen(woken.append)
    following = asyncio.create_task(mirror.run())
    await mirror.reached()
    seen = len(woken)
    keeping = keep(store)
    await heard_since(store, 1005)
    await mirror.reached(await write(store, NETWORK))
    assert len(woken) == seen + 1
    assert mirror.world.contacts == {}
    await ended(keeping, following)


async def test_it_goes_on_after_an_outage_and_says_nothing(tmp_path: Path, free_port: Callable[[], int]) -> None:
    settings = EtcdSettings(tmp_path / "etcd", free_port(), extra=("--unsafe-no-fsync",))
    with capture_logs() as lines:
        async with Store(settings.endpoints, timeout_s=1) as store:
            async with EtcdChild(settings):
                keeping = keep(store)
                async with asyncio.timeout(20):
                    while not store.health.is_connected or await heard(store) is None:
                        await asyncio.sleep(PERIOD_S)
            async with asyncio.timeout(20):
                while store.health.is_connected:
                    await asyncio.sleep(PERIOD_S)
            async with EtcdChild(settings):
                before = await asyncio.wait_for(last(store), 20)
                await heard_since(store, before.at_s + 2)
            await ended(keeping)
    assert [line for line in lines if line["log_level"] != "info"] == []


async def last(store: Store) -> NodeContact:
    contact = await heard(store)
    assert contact is not None
    return contact


async def test_a_host_without_the_nodes_lease_tells_nothing(store: Store) -> None:
    first, second = Membership(store, NAME, log()), Membership(store, NAME, log())
    holding = asyncio.create_task(first.run("10.0.0.1"))
    keeping = keep(store.behind(first))
    await heard_since(store, 1003)
    refused = asyncio.create_task(second.run("10.0.0.2"))
    intruding = keep(store.behind(second), 9000)
    seen = await last(store)
    await heard_since(store, seen.at_s + 5)
    await ended(intruding, refused)
    assert (await last(store)).at_s < 9000
    await ended(keeping, holding)
