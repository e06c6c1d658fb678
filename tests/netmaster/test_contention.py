"""Several netmasters at once: what may be only once is only once."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from isthmus.edge.etcd_child import EtcdChild, EtcdSettings
from isthmus.edge.store import Store
from isthmus.netmaster.reading import world_of
from isthmus.wire import keys

if TYPE_CHECKING:
    from tests.netmaster.conftest import Master

pytestmark = pytest.mark.root

CREATORS = 8


async def create_all(masters: tuple[Master, Master], wishes: list[tuple[str, str]]) -> list[int]:
    """The statuses of networks posted at once, to the one netmaster and the other in turn."""
    posts = (
        asyncio.to_thread(masters[number % 2].post_network, key, subnet) for number, (key, subnet) in enumerate(wishes)
    )
    return [reply.status for reply in await asyncio.gather(*posts)]


async def test_of_eight_overlapping_subnets_exactly_one_wins(masters: tuple[Master, Master], store: Store) -> None:
    for turn in range(10):
        wishes = [(f"default:n{turn}-{each}", f"10.{turn}.{each}.0/16") for each in range(CREATORS)]
        assert Counter(await create_all(masters, wishes)) == {200: 1, 409: CREATORS - 1}
    world = world_of(await store.read(prefixes=(keys.ROOT,)))
    assert len(world.networks) == len(world.tag_owners) == 10


async def test_no_vni_is_given_twice(masters: tuple[Master, Master], store: Store) -> None:
    for tenant in ("red", "blue"):
        masters[0].post_tenant(tenant)
    wishes = [
        (f"{tenant}:n{each}", f"10.{each}.0.0/16") for each in range(CREATORS) for tenant in ("red", "blue", "default")
    ]
    assert set(await create_all(masters, wishes)) == {200}
    networks = world_of(await store.read(prefixes=(keys.NETWORKS,))).networks
    assert sorted(each.tag for each in networks.values()) == list(range(1, len(wishes) + 1))


async def test_one_of_two_wishes_for_a_tag_wins_and_the_same_network_twice_is_one(
    masters: tuple[Master, Master], store: Store
) -> None:
    same = [("default:same", "10.200.0.0/16")] * CREATORS
    assert await create_all(masters, same) == [200] * CREATORS
    assert len(world_of(await store.read(prefixes=(keys.ROOT,))).tag_owners) == 1
    replies = await asyncio.gather(
        *(
            asyncio.to_thread(masters[each % 2].post_network, f"default:t{each}", f"10.{each}.0.0/16", pktTag=77)
            for each in range(CREATORS)
        )
    )
    assert Counter(reply.status for reply in replies) == {200: 1, 409: CREATORS - 1}


async def test_a_tenant_is_not_deleted_under_a_network_being_created(
    masters: tuple[Master, Master], store: Store
) -> None:
    for turn in range(10):
        name = f"t{turn}"
        masters[0].post_tenant(name)
        created, deleted = await asyncio.gather(
            asyncio.to_thread(masters[0].post_network, f"{name}:net", "10.1.1.0/24"),
            asyncio.to_thread(masters[1].ask, "DELETE", f"/api/v1/tenants/{name}/"),
        )
        assert (created.status, deleted.status) in {(200, 409), (404, 200)}


async def test_masters_that_wait_for_an_empty_etcd_write_the_first_records_once(
    start: Callable[..., Master], tmp_path: Path, free_port: Callable[[], int]
) -> None:
    settings = EtcdSettings(tmp_path / "etcd", free_port())
    waiting = [start("-cluster-store", str(settings.endpoints)) for _ in range(3)]
    async with EtcdChild(settings), Store(settings.endpoints) as store:
        for master in waiting:
            while (await asyncio.to_thread(master.ask, "GET", "/api/v1/tenants/default/")).status != 200:
                await asyncio.sleep(0.1)
        snapshot = await store.read(prefixes=("",))
        assert {item.mod_revision for item in snapshot.items} == {snapshot.revision} == {2}  # an empty etcd is at 1
        for master in waiting:
            master.process.send_signal(signal.SIGTERM)
        said = "".join(await asyncio.gather(*(asyncio.to_thread(_last_words, master) for master in waiting)))
    assert said.count("first records written") == 1


def _last_words(master: Master) -> str:
    return master.process.communicate(timeout=20)[1]
