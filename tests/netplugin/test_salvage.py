"""Agents' knowledge against a real etcd that was wiped, or is as it was earlier: what lives is put back, once."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from isthmus.core.datapath import Owner
from isthmus.core.errors import ConflictError, ExhaustedError
from isthmus.core.model import (
    AddressClaim,
    ClaimPurpose,
    ContainerId,
    Endpoint,
    EndpointGroup,
    EndpointId,
    GroupId,
    GroupKey,
    GroupName,
    Node,
    NodeLease,
    NodeName,
    Record,
    mac_of,
)
from isthmus.edge.engine import Engine
from isthmus.edge.etcd_child import EtcdChild, EtcdSettings
from isthmus.edge.store import Delete, DeleteRange, Put, Store
from isthmus.netplugin.census import Census, Outside
from isthmus.netplugin.ledger import Ledger
from isthmus.netplugin.memory import NOTHING, Remembered
from isthmus.netplugin.mirror import Mirror
from isthmus.netplugin.salvage import Salvage
from isthmus.netplugin.signals import Signals
from isthmus.wire import keys
from isthmus.wire.docker_api import Occupant
from tests.netplugin.conftest import GATEWAY, KEY, NETWORK, log, write

pytestmark = pytest.mark.root

LIFE = Owner(KEY)


@dataclass
class Host:
    """One host: what its agent knows, and who lives on its engine."""

    store: Store
    name: str
    mirror: Mirror
    ledger: Ledger
    signals: Signals
    salvage: Salvage
    occupants: dict[EndpointId, Occupant]
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    reviews: int = 0

    async def stop(self) -> None:
        """End the agent; the containers live on."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def begin(self, letter: str, wish: IPv4Address | None = None, owner: Owner = LIFE) -> Endpoint:
        """Start a container, as Docker's calls do it."""
        await until(lambda: KEY in self.mirror.world.networks)
        if wish is not None:
            await self.ledger.claim_wish(owner, wish)
        address = wish or await self.ledger.claim_next(owner)
        assert isinstance(address, IPv4Address)
        endpoint = Endpoint(
            EndpointId(letter * 64), KEY, NodeName(self.name), mac_of(address), address, group=owner.group
        )
        await self.ledger.create(endpoint)
        revision = await self.ledger.join(endpoint, letter, "/run/netns/x")
        self.occupants[endpoint.id] = Occupant(letter, ContainerId(letter))
        world = await self.mirror.reached(revision)
        return world.population(KEY).endpoints[endpoint.id]

    async def end(self, endpoint: Endpoint) -> None:
        """Stop a container."""
        del self.occupants[endpoint.id]
        await self.ledger.delete(endpoint)
        await self.ledger.release(KEY, endpoint.address)

    async def review(self) -> None:
        """Review for ever, as the census does, and report."""
        while True:
            with suppress(Exception):
                await self.salvage.announce()
                await self.salvage.review(self.occupants)
                self.reviews += 1
                node = Node(NodeName(self.name), IPv4Address("192.168.2.1"), "1", epoch=self.salvage.epoch)
                if self.mirror.records.get(keys.key_of(node)) != node:
                    await write(self.store, node)
            await asyncio.sleep(0.05)

    @property
    def lives(self) -> set[Endpoint]:
        """Those of the world, as this host's kernel and names are told of it."""
        return set(self.mirror.world.population(KEY).endpoints.values())


@pytest.fixture
async def hosts(etcd: EtcdSettings) -> AsyncIterator["Hosts"]:
    async with AsyncExitStack() as stack:
        yield Hosts(etcd, stack)


class Hosts:
    """Hosts on one etcd, which can lose everything."""

    def __init__(self, etcd: EtcdSettings, stack: AsyncExitStack) -> None:
        self._etcd = etcd
        self._stack = stack

    async def start(
        self, name: str, remembered: Remembered = NOTHING, occupants: Mapping[EndpointId, Occupant] | None = None
    ) -> Host:
        store = await self._stack.enter_async_context(Store(self._etcd.endpoints))
        mirror = Mirror(store, log(), remembered)
        ledger = Ledger(store, mirror, NodeName(name))
        signals = Signals()
        salvage = Salvage(store, mirror, ledger, signals, log())
        mirror.listen(salvage.notice)
        host = Host(store, name, mirror, ledger, signals, salvage, dict(occupants or {}))
        host.tasks = [asyncio.create_task(mirror.run()), asyncio.create_task(host.review())]
        self._stack.push_async_callback(host.stop)
        await mirror.reached()
        await write(store, NodeLease(host.ledger.node, name))
        return host


async def until(is_so: Callable[[], bool], seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not is_so():
            await asyncio.sleep(0.02)


async def records(store: Store) -> set[Record]:
    """Endpoints and leases of addresses, as etcd has them."""
    snapshot = await store.read(prefixes=[keys.ENDPOINTS, keys.ADDRESSES])
    read = (keys.parse(item.key, item.value) for item in snapshot.items)
    return {each for each in read if isinstance(each, Endpoint | AddressClaim) and not _is_gateway(each)}


def _is_gateway(record: Record) -> bool:
    return isinstance(record, AddressClaim) and record.purpose is ClaimPurpose.GATEWAY


def whole(*endpoints: Endpoint) -> set[Record]:
    """What etcd has of these."""
    claims = (AddressClaim(KEY, each.address, ClaimPurpose.LEASE, each.node, each.id) for each in endpoints)
    return {*endpoints, *claims}


async def found(store: Store) -> None:
    """The network, as netmaster makes it."""
    await write(store, NETWORK, AddressClaim(KEY, GATEWAY, ClaimPurpose.GATEWAY))


async def test_all_that_lives_counts_on_without_its_network_and_is_put_back_with_it(hosts: "Hosts") -> None:
    one, two = await hosts.start("one"), await hosts.start("two")
    await found(one.store)
    lives = {await one.begin("a"), await one.begin("b"), await two.begin("c")}
    await until(lambda: one.salvage.is_done and two.salvage.is_done)
    before = one.salvage.epoch
    await one.store.commit([], [DeleteRange("/")])
    await until(lambda: bool(one.salvage.problems) and bool(two.salvage.problems))
    assert (
        one.salvage.text
        == two.salvage.text
        == "etcd came back without what was in it: not in etcd any more: network/default/net"
    )
    assert one.lives == two.lives == lives
    assert KEY in one.mirror.world.networks
    assert "2 containers of this host live on" in one.salvage.problems[f"kept network {KEY}"]
    await found(one.store)
    await until(lambda: one.salvage.is_done and two.salvage.is_done)
    assert one.salvage.epoch == two.salvage.epoch != before
    await until(lambda: not one.mirror.kept and not two.mirror.kept)
    assert await records(one.store) == whole(*lives)
    assert one.lives == two.lives == lives
    assert one.salvage.problems == {}
    assert one.salvage.text.endswith("put back: a (10.1.2.1 in default:net), b (10.1.2.2 in default:net)")


async def test_of_an_older_state_what_ended_goes_and_what_began_comes_back(hosts: "Hosts") -> None:
    one, two = await hosts.start("one"), await hosts.start("two")
    await found(one.store)
    old, staying = await two.begin("a"), await one.begin("b")
    await until(lambda: one.salvage.is_done and two.salvage.is_done)
    backup = (await one.store.read(prefixes=[keys.ROOT])).items
    await two.end(old)
    new = await one.begin("c", old.address)
    await one.store.commit([], [DeleteRange(keys.ROOT)])
    await one.store.commit([], [Put(item.key, item.value) for item in backup if item.key != keys.EPOCH])
    await until(lambda: one.salvage.text != "" and one.salvage.is_done and two.salvage.is_done)
    await until(lambda: not one.mirror.kept and not two.mirror.kept)
    assert await records(one.store) == whole(staying, new)
    assert one.lives == two.lives == {staying, new}
    assert two.salvage.text == f"etcd came back without what was in it: removed: a ({old.address} in {KEY})"


async def test_at_no_time_do_others_hear_of_an_endpoint_that_had_gone(hosts: "Hosts") -> None:
    one, two = await hosts.start("one"), await hosts.start("two")
    await found(one.store)
    old = await two.begin("a")
    await until(lambda: one.salvage.is_done and two.salvage.is_done)
    backup = (await one.store.read(prefixes=[keys.ROOT])).items
    await two.end(old)
    new = await one.begin("c", old.address)
    await until(lambda: new in two.lives)
    seen: set[Endpoint] = set()
    for host in (one, two):
        host.mirror.listen(lambda evolution: seen.update(evolution.world.population(KEY).endpoints.values()))
    stale = [Put(item.key, item.value) for item in backup if item.key != keys.EPOCH]
    fresh = keys.key_of(new)
    await one.store.commit([], [*stale, Delete(fresh), Delete(keys.EPOCH)])
    await until(lambda: one.salvage.text != "" and one.salvage.is_done and two.salvage.is_done)
    await until(lambda: not one.mirror.kept and not two.mirror.kept)
    assert seen == {new}


async def test_an_agent_that_was_away_knows_by_the_epoch(hosts: "Hosts") -> None:
    one = await hosts.start("one")
    await found(one.store)
    living = await one.begin("a")
    await until(lambda: one.salvage.is_done)
    await one.stop()
    remembered = one.mirror.remember()
    two = await hosts.start("two")
    await two.store.commit([], [DeleteRange("/")])
    await until(lambda: two.mirror.epoch not in (None, remembered.epoch))
    again = await hosts.start("one", remembered, one.occupants)
    assert again.lives == {living}
    await found(again.store)
    await until(lambda: again.salvage.is_done)
    assert await records(again.store) == whole(living)


async def test_who_lost_his_address_to_another_is_cut_off_and_named(
    hosts: "Hosts", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("isthmus.netplugin.salvage._PATIENCE_S", 0.2)
    one = await hosts.start("one")
    await found(one.store)
    living = await one.begin("a")
    await until(lambda: one.salvage.is_done)
    await one.stop()
    remembered = one.mirror.remember()
    await one.ledger.delete(living)
    await one.ledger.release(KEY, living.address)
    await one.store.commit([], [Delete(keys.EPOCH)])
    two = await hosts.start("two")
    other = await two.begin("b", living.address)
    await until(lambda: two.salvage.is_done)
    again = await hosts.start("one", remembered, {living.id: Occupant("a", ContainerId("a"))})
    await until(lambda: again.salvage.is_done)
    assert again.lives == {other}
    assert f"address {living.address} is in use" in again.salvage.problems[f"endpoint {living.id[:12]}"]
    assert "it is cut off until it is restarted" in str(again.salvage.problems)
    again.occupants.clear()
    await until(lambda: again.salvage.problems == {})


async def test_a_wiped_etcd_is_known_by_its_revision(tmp_path: Path, free_port: Callable[[], int]) -> None:
    settings = EtcdSettings(tmp_path / "own", free_port(), extra=("--unsafe-no-fsync",))
    async with AsyncExitStack() as stack:
        hosts = Hosts(settings, stack)
        async with EtcdChild(settings):
            one = await hosts.start("one")
            await found(one.store)
            living = await one.begin("a")
            await until(lambda: one.salvage.is_done)
        shutil.rmtree(tmp_path / "own")
        async with EtcdChild(settings):
            await until(lambda: bool(one.salvage.problems))
            assert one.lives == {living}
            await found(one.store)
            await until(lambda: one.salvage.is_done)
            assert await records(one.store) == whole(living)


async def test_a_renamed_container_keeps_its_name_over_an_older_state(hosts: "Hosts") -> None:
    one = await hosts.start("one")
    await found(one.store)
    living = await one.begin("a")
    await until(lambda: one.salvage.is_done)
    await one.ledger.identify(living, "renamed", ContainerId("a"))
    await until(lambda: {each.container for each in one.lives} == {"renamed"})
    older = replace(living, sandbox="", container="")
    await one.store.commit([], [Put(keys.key_of(older), keys.render(older)), Delete(keys.EPOCH)])
    await until(lambda: one.salvage.text != "" and one.salvage.is_done)
    assert {(each.container, each.sandbox) for each in one.lives} == {("renamed", living.sandbox)}
    assert await records(one.store) == whole(*one.lives)


async def backup_of(store: Store, *prefixes: str) -> list[Put]:
    """What puts the state of now there again."""
    snapshot = await store.read(prefixes=prefixes or [keys.ROOT])
    return [Put(item.key, item.value) for item in snapshot.items if not item.key.endswith("/lease")]


async def test_the_same_older_state_restored_twice_is_known_for_old_each_time(hosts: "Hosts") -> None:
    one = await hosts.start("one")
    await found(one.store)
    await until(lambda: one.salvage.is_done)
    await until(lambda: keys.NODES + "one" in one.mirror.records)
    older = await backup_of(one.store)
    living = await one.begin("a")
    epochs = {one.salvage.epoch}
    for _ in range(2):
        await one.store.commit([], [DeleteRange(keys.ROOT)])
        await one.store.commit([], list(older))
        await until(lambda: one.salvage.is_done and one.salvage.epoch not in epochs)
        epochs.add(one.salvage.epoch)
        assert one.lives == {living}
        assert await records(one.store) == whole(living)


async def test_an_agent_that_is_done_knows_after_a_restart_who_is_not(hosts: "Hosts") -> None:
    one, two = await hosts.start("one"), await hosts.start("two")
    await found(one.store)
    older = await backup_of(one.store)
    living = await two.begin("a")
    await until(lambda: one.lives == {living} and one.salvage.is_done and two.salvage.is_done)
    await until(lambda: one.mirror.world.population(KEY).claims[living.address].endpoint is not None)
    away = two.mirror.remember()
    await two.stop()
    before = one.salvage.epoch
    await one.store.commit([], [DeleteRange(keys.ROOT)])
    await one.store.commit([], [each for each in older if each.key != keys.EPOCH])
    await until(lambda: one.salvage.is_done and one.salvage.epoch != before)
    await one.stop()
    again = await hosts.start("one", one.mirror.remember())
    assert again.lives == {living}
    other = await again.begin("b")
    assert other.address != living.address
    back = await hosts.start("two", away, two.occupants)
    await until(lambda: back.salvage.is_done and again.salvage.is_done and not again.mirror.kept)
    assert await records(again.store) == whole(living, other)
    assert again.lives == back.lives == {living, other}


async def test_where_half_of_an_endpoint_is_lost_the_rest_is_not_kept_for_ever(hosts: "Hosts") -> None:
    one = await hosts.start("one")
    await found(one.store)
    living = await one.begin("a")
    await until(lambda: one.salvage.is_done)
    epochs = {one.salvage.epoch}
    for part in (keys.ADDRESSES, keys.ENDPOINTS):
        await one.store.commit([], [DeleteRange(part), Delete(keys.EPOCH)])
        await until(lambda: one.salvage.is_done and one.salvage.epoch not in epochs)
        await until(lambda: not one.mirror.kept)
        assert await records(one.store) == whole(living)
        epochs.add(one.salvage.epoch)


async def test_a_restored_endpoint_of_a_settled_node_takes_no_address_from_who_lives(hosts: "Hosts") -> None:
    one, two = await hosts.start("one"), await hosts.start("two")
    await found(one.store)
    old = await two.begin("a")
    await until(lambda: one.salvage.is_done and two.salvage.is_done)
    people = await backup_of(one.store, keys.ADDRESSES, keys.ENDPOINTS)
    await two.end(old)
    new = await one.begin("b", old.address)
    await until(lambda: two.lives == {new})
    before = one.salvage.epoch
    await one.store.commit([], [DeleteRange(keys.ROOT)])
    await until(lambda: two.salvage.is_done and two.salvage.epoch != before and one.mirror.epoch == two.salvage.epoch)
    await until(lambda: keys.NODES + "two" in one.mirror.records)
    seen: set[Endpoint] = set()
    for host in (one, two):
        host.mirror.listen(lambda evolution: seen.update(evolution.world.population(KEY).endpoints.values()))
    await one.store.commit([], list(people))
    await found(one.store)
    await until(lambda: one.salvage.is_done and two.salvage.is_done)
    await until(lambda: not one.mirror.kept and not two.mirror.kept)
    assert await records(one.store) == whole(new)
    assert seen == {new}


async def test_whom_a_settled_node_keeps_at_an_address_is_believed_in_the_end(
    hosts: "Hosts", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("isthmus.netplugin.salvage._PATIENCE_S", 0.2)
    one, two = await hosts.start("one"), await hosts.start("two")
    await found(one.store)
    away = await one.begin("a")
    await until(lambda: two.lives == {away} and two.salvage.is_done)
    await one.stop()
    before = two.salvage.epoch
    await two.store.commit([], [DeleteRange(keys.ROOT)])
    await until(lambda: two.salvage.is_done and two.salvage.epoch != before)
    await found(two.store)
    newcomer = await hosts.start("three")
    other = await newcomer.begin("b", away.address)
    await until(lambda: newcomer.salvage.is_done and other in two.lives)
    assert two.lives == {other}


async def test_an_address_of_who_lives_is_not_given_though_etcd_lost_its_claim(hosts: "Hosts") -> None:
    one, two = await hosts.start("one"), await hosts.start("two")
    await found(one.store)
    living = await one.begin("a")
    await until(lambda: two.lives == {living} and two.salvage.is_done and one.salvage.is_done)
    await one.stop()
    before = two.salvage.epoch
    await two.store.commit([], [DeleteRange(keys.ROOT)])
    await until(lambda: two.salvage.is_done and two.salvage.epoch != before)
    await found(two.store)
    with pytest.raises(ConflictError, match=f"address {living.address} .*container a on node one"):
        await two.ledger.claim_wish(LIFE, living.address)
    others = {await two.begin(letter) for letter in "bcdefghijklm"}
    assert living.address not in {each.address for each in others}
    with pytest.raises(ExhaustedError):
        await two.ledger.claim_next(LIFE)


async def test_an_address_that_its_container_gave_up_is_free_at_once(hosts: "Hosts") -> None:
    one = await hosts.start("one")
    await found(one.store)
    living = await one.begin("a")
    await until(lambda: one.salvage.is_done)
    one.tasks[1].cancel()  # the engine has yet to be asked
    await one.store.commit([], [DeleteRange(keys.ROOT)])
    await until(lambda: living.id in {each.id for each in one.mirror.kept.values() if isinstance(each, Endpoint)})
    await found(one.store)
    await one.end(living)
    assert one.lives == set()
    again = await one.begin("b", living.address)
    assert one.lives == {again}


async def test_a_container_that_the_engine_does_not_show_yet_is_not_let_go(hosts: "Hosts") -> None:
    one = await hosts.start("one")
    await found(one.store)
    living = await one.begin("a")
    await until(lambda: one.salvage.is_done)
    before = one.salvage.epoch
    starting, one.occupants = one.occupants, {}
    reviews = one.reviews
    await one.store.commit([], [DeleteRange(keys.ROOT)])
    await until(lambda: one.mirror.epoch not in (None, before) and one.reviews > reviews + 1)
    one.occupants = starting
    await found(one.store)
    await until(lambda: one.salvage.is_done and one.salvage.epoch != before)
    assert one.lives == {living}
    assert await records(one.store) == whole(living)


async def test_what_is_missing_is_named_be_it_the_group_alone(hosts: "Hosts") -> None:
    one = await hosts.start("one")
    group = EndpointGroup(GroupKey(KEY.tenant, GroupName("db")), GroupId(1), KEY.name)
    await found(one.store)
    await write(one.store, group)
    await until(lambda: group.key in one.mirror.world.groups)
    living = await one.begin("a", owner=Owner(KEY, group.key.name))
    await until(lambda: one.salvage.is_done)
    before = one.salvage.epoch
    await one.store.commit([], [DeleteRange(keys.ROOT)])
    await until(lambda: list(one.salvage.problems) == [f"kept network {KEY}"])
    await found(one.store)
    await until(lambda: list(one.salvage.problems) == ["kept group default:db"])
    await write(one.store, group)
    await until(lambda: one.salvage.is_done and one.salvage.epoch != before)
    assert await records(one.store) == whole(living)


async def test_a_new_history_is_named_though_no_engine_is_there(hosts: "Hosts", tmp_path: Path) -> None:
    one = await hosts.start("one")
    await found(one.store)
    await until(lambda: one.salvage.is_done)
    before = one.salvage.epoch
    one.tasks[1].cancel()
    async with Engine(tmp_path / "docker.sock") as engine:
        outside = Outside(engine, one.mirror, one.ledger)
        census = Census(one.ledger.node, outside, one.salvage, one.signals.stirred, log())
        one.tasks.append(asyncio.create_task(census.run()))
        await one.store.commit([], [DeleteRange(keys.ROOT)])
        await until(lambda: one.mirror.epoch not in (None, before))
        assert one.salvage.epoch == before
        await one.stop()
