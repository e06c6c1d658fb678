"""Eight writers through three netmasters, also while the leader of etcd dies: nothing lost, double or dangling."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
from collections.abc import AsyncIterator, Awaitable, Callable
from ipaddress import IPv4Address
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from isthmus.core.datapath import Owner
from isthmus.core.errors import ConflictError, ExhaustedError, NotFoundError
from isthmus.core.model import Address, GroupName, NetworkKey, NetworkName, TenantName
from isthmus.core.world import World
from isthmus.edge.etcd_child import EtcdSettings
from isthmus.edge.store import Store
from isthmus.netmaster import plans
from isthmus.netmaster.reading import world_of
from isthmus.wire import keys
from tests.edge.conftest import Cluster, MakeCluster
from tests.edge.test_store_watch import leader_first
from tests.netmaster.consistency import contradictions
from tests.netmaster.rows import key_of
from tests.netplugin.conftest import Node

if TYPE_CHECKING:
    from tests.netmaster.conftest import Master

pytestmark = pytest.mark.root

WRITERS = 8
ROUNDS = 60
TRIES = 200  # an outage lasts a few
SHARED = ("net", "lan")  # networks, and policies `in` and `out`, that all writers use and none removes
GONE = None
Sent = dict[str, Any] | None

Objects = dict[tuple[str, str], Sent]


class Writer:
    """Does a random history, and remembers of its own objects what was acknowledged last."""

    def __init__(self, number: int, masters: list[Master]) -> None:
        self.number = number
        self._masters = masters
        self._random = Random(number)
        self._turn = number
        self.known: Objects = {}
        self.unexpected: list[str] = []

    def run(self, rounds: int) -> None:
        """The history; a rule a round is added to what all share."""
        for turn in range(rounds):
            peer = self._random.choice([{}, {"fromNetwork": self._random.choice(SHARED)}, {"fromEndpointGroup": "all"}])
            rule = {"policyName": "in", "ruleId": f"w{self.number}-{turn}", "direction": "in", **peer}
            self.create("rules", rule)
            self._random.choice(
                [self._network, self._group, self._group, self._policy, self._service, self._profile, self._tenant]
            )()
            if turn % 3 == 2:
                self._remove_something()

    def create(self, collection: str, fields: dict[str, Any]) -> None:
        """Create or change an object of its own."""
        body = {"tenantName": "default"} | fields
        key = key_of(collection, body)
        status, text = self._ask("POST", f"/api/v1/{collection}/{key}/", body)
        if status == 200:
            self.known[collection, key] = body
        elif status not in (404, 409):
            self.unexpected.append(f"{collection} {key}: {status} {text}")

    def remove(self, collection: str, key: str) -> None:
        """Remove an object of its own, if nobody uses it."""
        status, text = self._ask("DELETE", f"/api/v1/{collection}/{key}/")
        if status in (200, 404):
            self.known[collection, key] = GONE
        elif status != 409:
            self.unexpected.append(f"{collection} {key}: {status} {text}")

    def _ask(self, method: str, path: str, body: object = None) -> tuple[int, str]:
        """Ask the next master, again until it says what is so: a write that was answered by 503 may have been done."""
        for _ in range(TRIES):
            self._turn += 1
            with contextlib.suppress(OSError, http.client.HTTPException):
                reply = self._masters[self._turn % len(self._masters)].ask(method, path, body)
                if reply.status != 503:
                    return reply.status, reply.text
        return 503, f"{TRIES} times"

    def _name(self, kind: str, writer: int | None = None) -> str:
        return f"{kind}{self.number if writer is None else writer}-{self._random.randrange(3)}"

    def _anyones(self, kind: str) -> str:
        return self._name(kind, self._random.randrange(WRITERS))

    def _network(self) -> None:
        name = self._name("n")
        third = self._random.randrange(256)
        gateway = {"gateway": f"10.{100 + self.number}.{third}.254"} if third % 2 else {}
        encap = self._random.choice(["vxlan", "vlan"])
        subnet = f"10.{100 + self.number // 2}.{third}.0/24" if not gateway else f"10.{100 + self.number}.{third}.0/24"
        self.create("networks", {"networkName": name, "encap": encap, "subnet": subnet, **gateway})

    def _group(self) -> None:
        name = self._name("g")
        before = self.known.get(("endpointGroups", f"default:{name}"))
        network = before["networkName"] if before else self._random.choice([*SHARED, self._anyones("n")])
        first = self._random.randrange(200)
        pool = {"ipPool": f"10.1.{first}.1-10.1.{first + 1}.9"} if network == "net" and first % 2 else {}
        if before:
            pool = {field: before[field] for field in ("ipPool",) if field in before}
        policies = list(dict.fromkeys([self._anyones("p"), self._random.choice(["in", "out"])]))
        profile = self._random.choice([{}, {"netProfile": self._anyones("f")}])
        self.create(
            "endpointGroups", {"groupName": name, "networkName": network, "policies": policies, **pool, **profile}
        )

    def _policy(self) -> None:
        self.create("policys", {"policyName": self._name("p")})
        peer = self._random.choice([{"toEndpointGroup": self._anyones("g")}, {"toNetwork": self._anyones("n")}])
        rule = {"policyName": "out", "ruleId": f"w{self.number}", "direction": "out", **peer}
        self.remove("rules", f"default:out:w{self.number}")
        self.create("rules", rule)

    def _service(self) -> None:
        fields = {"selectors": [f"a={self._random.random()}"], "ports": ["80:80:TCP"]}
        name = self._name("s")
        before = self.known.get(("serviceLBs", f"default:{name}"))
        network = before["networkName"] if before else self._random.choice([*SHARED, self._anyones("n")])
        self.create("serviceLBs", {"serviceName": name, "networkName": network, **fields})

    def _profile(self) -> None:
        self.create("netprofiles", {"profileName": self._name("f"), "DSCP": self._random.randrange(1, 64)})
        groups = list(dict.fromkeys([self._anyones("g"), "all"]))
        self.create("appProfiles", {"appProfileName": self._name("a"), "endpointGroups": groups})

    def _tenant(self) -> None:
        """A tenant that all use: each adds to it what another may find in its way."""
        name = self._random.choice(["red", "blue"])
        self._ask("POST", f"/api/v1/tenants/{name}/", {"tenantName": name})
        own = {"tenantName": name, "networkName": self._name("n"), "encap": "vxlan"}
        self.create("networks", own | {"subnet": f"10.{self.number}.{self._random.randrange(256)}.0/24"})
        self.remove("networks", f"{name}:{self._name('n')}")
        self._ask("DELETE", f"/api/v1/tenants/{name}/")

    def _remove_something(self) -> None:
        there = sorted(
            own for own, sent in self.known.items() if sent is not GONE and not own[1].startswith("default:in")
        )
        if there:
            self.remove(*self._random.choice(there))


def furnish(master: Master) -> None:
    """What all share."""
    for collection, fields in (
        ("networks", {"networkName": "net", "encap": "vxlan", "subnet": "10.1.0.0/16"}),
        ("networks", {"networkName": "lan", "encap": "vlan", "subnet": "10.2.0.0/16", "gateway": "10.2.0.1"}),
        ("policys", {"policyName": "in"}),
        ("policys", {"policyName": "out"}),
        ("endpointGroups", {"groupName": "all", "networkName": "net"}),
    ):
        body = {"tenantName": "default"} | fields
        reply = master.ask("POST", f"/api/v1/{collection}/{key_of(collection, body)}/", body)
        assert reply.status == 200, reply.text


def lost(writers: list[Writer], master: Master) -> list[str]:
    """Of what was acknowledged, what is not so."""
    there: dict[tuple[str, str], Any] = {}
    for collection in {collection for writer in writers for collection, _ in writer.known}:
        shown = master.ask("GET", f"/api/v1/{collection}/").json
        there.update(((collection, each["key"]), each) for each in shown)
    return [
        f"{own}: sent {sent}, is {there.get(own)}"
        for writer in writers
        for own, sent in writer.known.items()
        if (there.get(own) is None) is not (sent is GONE)
        or (sent is not GONE and {name: there[own].get(name) for name in sent} != sent)
    ]


async def world(store: Store) -> World:
    return world_of(await store.read(prefixes=(keys.ROOT,)))


async def histories(masters: list[Master], *, rounds: int = ROUNDS) -> list[Writer]:
    """Eight writers at once, to their ends."""
    writers = [Writer(number, masters) for number in range(WRITERS)]
    await asyncio.gather(*(asyncio.to_thread(writer.run, rounds) for writer in writers))
    return writers


async def check(writers: list[Writer], master: Master, store: Store, *, rounds: int = ROUNDS) -> None:
    assert [each for writer in writers for each in writer.unexpected] == []
    assert lost(writers, master) == []
    after = await world(store)
    assert contradictions(after) == []
    rules = [key.id for key in after.rules if key.policy.name == "in"]
    assert sorted(rules) == sorted(f"w{number}-{turn}" for number in range(WRITERS) for turn in range(rounds))


@pytest.fixture
def three(masters: tuple[Master, Master], etcd: EtcdSettings, start: Callable[..., Master]) -> list[Master]:
    return [*masters, start("-cluster-store", str(etcd.endpoints), "-log-level", "error")]


async def test_eight_writers_lose_nothing_and_leave_nothing_dangling(three: list[Master], store: Store) -> None:
    furnish(three[0])
    await check(await histories(three), three[0], store)


async def test_of_settings_that_eight_change_at_once_none_is_lost(three: list[Master], store: Store) -> None:
    changes = {
        "vlans": "2-3000",
        "vxlans": "5-9000",
        "fwdMode": "routing",
        "arpMode": "flood",
        "pvtSubnet": "10.9.0.0/16",
    }
    replies = await asyncio.gather(
        *(
            asyncio.to_thread(three[number % 3].ask, "POST", "/api/v1/globals/global/", {"name": "global", name: value})
            for number, (name, value) in enumerate(changes.items())
        )
    )
    assert {reply.status for reply in replies} == {200}
    shown = three[0].ask("GET", "/api/v1/globals/global/").json
    assert {name: shown[name] for name in changes} == changes


@pytest.fixture
async def quorum(
    make_cluster: MakeCluster, start: Callable[..., Master]
) -> AsyncIterator[tuple[Cluster, list[Master], Store]]:
    """Three members of etcd, three netmasters on all of them, and the test's own connection."""
    cluster = make_cluster(3)
    words = ",".join(f"{member.endpoint}" for member in cluster.members)
    masters = [start("-cluster-store", f"etcd://{words}", "-log-level", "error") for _ in range(3)]
    async with Store(cluster.endpoints, timeout_s=20) as store:
        await plans.done(store, plans.first_records())
        yield cluster, masters, store
    for master in masters:
        await asyncio.to_thread(master.stop)


async def test_eight_writers_lose_nothing_while_the_leader_of_etcd_dies_and_comes_back(
    quorum: tuple[Cluster, list[Master], Store],
) -> None:
    cluster, masters, store = quorum
    await asyncio.to_thread(furnish, masters[0])
    writing = asyncio.create_task(histories(masters))
    deaths = 0
    while not writing.done() and deaths < 3:
        leader, _ = await leader_first(cluster)
        leader.kill()
        deaths += 1
        await asyncio.wait({writing}, timeout=1.5)
        leader.start()
        await asyncio.wait({writing}, timeout=1.5)
    writers = await writing
    assert deaths > 0
    await check(writers, masters[0], store)


class Claimer:
    """An agent that claims and frees addresses for containers in a network and in its groups."""

    def __init__(self, node: Node, number: int) -> None:
        self._node = node
        self._random = Random(number)
        self.held: dict[Address, GroupName | None] = {}

    async def run(self, network: NetworkKey, claims: int) -> None:
        for _ in range(claims):
            group = self._random.choice([None, None, *(GroupName(f"g{number}") for number in range(4))])
            with contextlib.suppress(NotFoundError, ExhaustedError, ConflictError):
                address = await self._node.ledger.claim_next(Owner(network, group))
                assert address not in self.held
                self.held[address] = group
            if self.held and self._random.random() < 0.4:
                freed = self._random.choice(sorted(self.held, key=int))
                del self.held[freed]
                await self._node.ledger.release(network, freed)


async def test_agents_claim_while_pools_come_and_go_and_no_pool_is_another_ones(
    three: list[Master], store: Store
) -> None:
    network = NetworkKey(TenantName("default"), NetworkName("net"))
    assert three[0].post_network(str(network), "10.1.0.0/24").status == 200
    nodes = [Node(store, name) for name in ("one", "two")]
    claimers = [Claimer(node, number) for number, node in enumerate(nodes)]
    following = [asyncio.create_task(node.mirror.run()) for node in nodes]
    try:
        await asyncio.gather(_pools(three), *(claimer.run(network, 100) for claimer in claimers))
    finally:
        for task in following:
            task.cancel()
        await asyncio.wait(following)
    after = await world(store)
    assert contradictions(after) == []
    held = [address for claimer in claimers for address in claimer.held]
    assert sorted(held, key=int) == sorted(after.population(network).claims, key=int)
    for claimer in claimers:
        for address, owner in claimer.held.items():
            pool = next(
                (group.key.name for group in after.groups.values() if any(address in each for each in group.pools)),
                None,
            )
            assert pool in (None, owner), f"{address}, of {owner}, is in the pool of {pool}"


def _pools(masters: list[Master]) -> Awaitable[None]:
    """Create and delete groups with pools, so long as the claims may take."""

    def come_and_go() -> None:
        random = Random(9)
        for turn in range(60):
            name, first = f"g{random.randrange(4)}", random.randrange(1, 240)
            pool = f"10.1.0.{first}-{IPv4Address('10.1.0.0') + first + 9}"
            body = {"tenantName": "default", "groupName": name, "networkName": "net", "ipPool": pool}
            masters[turn % 3].ask("POST", f"/api/v1/endpointGroups/default:{name}/", body)
            if turn % 2:
                masters[turn % 3].ask("DELETE", f"/api/v1/endpointGroups/default:g{random.randrange(4)}/")

    return asyncio.to_thread(come_and_go)
