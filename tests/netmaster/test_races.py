"""Every two wishes that contradict each other: one comes between the other's reading and its writing, and both hold.

Not left to chance: the store of the first lets the second be done just before it commits.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any

import pytest

from isthmus.core.errors import IsthmusError
from isthmus.core.model import (
    AddressClaim,
    ClaimPurpose,
    Endpoint,
    EndpointId,
    GroupName,
    NetworkKey,
    NetworkName,
    NodeName,
    TenantName,
    mac_of,
)
from isthmus.edge.etcd_child import EtcdSettings
from isthmus.edge.store import Guard, Op, Put, RangeUnchanged, Store, Unchanged
from isthmus.netmaster import plans
from isthmus.netmaster.kinds import KINDS
from isthmus.netmaster.reading import revision_of, world_of
from isthmus.wire import keys
from tests.netmaster.consistency import contradictions
from tests.netmaster.rows import key_of

pytestmark = pytest.mark.root

KIND = {kind.collection: kind for kind in KINDS}
NET = NetworkKey(TenantName("t"), NetworkName("net"))
NODE = NodeName("node1")


class LateStore(Store):
    """Lets a rival come first, once, between a reading and its commit."""

    rival: Callable[[], Awaitable[None]] | None = None

    async def commit(self, guards: Sequence[Guard], ops: Sequence[Op]) -> int | None:
        if self.rival is not None:
            rival, self.rival = self.rival, None
            await rival()
        return await super().commit(guards, ops)


@dataclass(frozen=True)
class Act:
    """A wish: of an object of tenant `t` to be there, or to go."""

    collection: str
    fields: dict[str, Any]
    is_removal: bool = False

    def __str__(self) -> str:
        names = "-".join(str(value) for name, value in self.fields.items() if name.lower().endswith("name"))
        return f"{'remove' if self.is_removal else 'create'}-{self.collection}-{names}"

    async def do(self, store: Store) -> None:
        """Carry it out; a refusal is as good."""
        kind, body = KIND[self.collection], {"tenantName": "t"} | self.fields
        key = key_of(self.collection, body)
        with contextlib.suppress(IsthmusError):
            if self.is_removal:
                assert kind.remove is not None
                await plans.done(store, kind.remove(kind.parse_key(key)))
            else:
                assert kind.create is not None
                await plans.done(store, kind.create(json.dumps(body).encode(), key))


def create(collection: str, **fields: Any) -> Act:
    return Act(collection, fields)


def remove(collection: str, **fields: Any) -> Act:
    return Act(collection, fields, is_removal=True)


def network(name: str, subnet: str, **fields: Any) -> Act:
    return create("networks", networkName=name, encap="vxlan", subnet=subnet, **fields)


def group(name: str, **fields: Any) -> Act:
    return create("endpointGroups", groupName=name, networkName="net", **fields)


def rule(**fields: Any) -> Act:
    return create("rules", policyName="p", ruleId="1", direction="in", **fields)


def service(name: str, **fields: Any) -> Act:
    return create("serviceLBs", serviceName=name, networkName="net", selectors=["a=b"], ports=["1:1:tcp"], **fields)


def settings(**fields: Any) -> Act:
    return create("globals", name="global", **fields)


NO_TENANT = remove("tenants")
NO_NETWORK = remove("networks", networkName="net")
NO_POLICY = remove("policys", policyName="p")
NO_GROUP = remove("endpointGroups", groupName="g")
NO_PROFILE = remove("netprofiles", profileName="f")
THERE = (
    create("tenants"),
    network("net", "10.1.0.0/24"),
    create("policys", policyName="p"),
    create("netprofiles", profileName="f"),
    group("g"),
)
POOL = "10.1.0.1-10.1.0.9"
BGP = create("Bgps", hostname="node1", routerip="50.1.1.2/24", **{"as": "1", "neighbor-as": "2"})
ROUTING, BRIDGE = settings(fwdMode="routing"), settings(fwdMode="bridge")
# (what is there before, the one, the other)
PAIRS = [
    (THERE[:1], network("net", "10.1.0.0/24"), NO_TENANT),
    (THERE[:1], create("policys", policyName="p"), NO_TENANT),
    (THERE[:1], create("netprofiles", profileName="f"), NO_TENANT),
    (THERE[:1], create("appProfiles", appProfileName="a"), NO_TENANT),
    (THERE[:4], group("h"), NO_NETWORK),
    (THERE, group("h", policies=["p"]), NO_POLICY),
    (THERE, group("g", policies=["p"]), NO_POLICY),
    (THERE, group("h", netProfile="f"), NO_PROFILE),
    (THERE, group("g", netProfile="f"), NO_PROFILE),
    (THERE, group("g", policies=["p"]), NO_GROUP),
    (THERE, rule(), NO_POLICY),
    (THERE, rule(fromEndpointGroup="g"), NO_GROUP),
    (THERE[:3], rule(fromNetwork="net"), NO_NETWORK),
    (THERE[:2], service("s"), NO_NETWORK),
    (THERE, create("appProfiles", appProfileName="a", endpointGroups=["g"]), NO_GROUP),
    (THERE, network("twin", "10.9.0.0/24"), group("twin")),
    (THERE, network("a", "10.9.0.0/24", pktTag=11), network("b", "10.9.0.128/25", pktTag=12)),
    (
        THERE,
        network("a", "10.8.0.0/24", ipv6Subnet="2001:db8::/64", pktTag=11),
        network("b", "10.9.0.0/24", ipv6Subnet="2001:db8::/48", pktTag=12),
    ),
    (THERE, network("a", "10.8.0.0/24", pktTag=9), network("b", "10.9.0.0/24", pktTag=9)),
    (THERE, network("a", "10.8.0.0/24"), network("b", "10.9.0.0/24")),
    (THERE, network("a", "10.8.0.0/24", pktTag=9), settings(vxlans="1-8")),
    (THERE[:1], network("net", "10.8.0.0/24"), settings(fwdMode="routing", pvtSubnet="10.9.0.0/16")),
    (THERE, group("a"), group("b")),
    (THERE, group("a", ipPool=POOL), group("b", ipPool=POOL)),
    (THERE, group("a", ipPool=POOL), service("s")),
    (THERE, group("a", ipPool=POOL), service("s", ipAddress="10.1.0.5")),
    (THERE, service("a"), service("b")),
    (THERE, service("a", ipAddress="10.1.0.5"), service("b", ipAddress="10.1.0.5")),
    ((ROUTING,), BGP, BRIDGE),
]


@pytest.fixture
async def late(etcd: EtcdSettings) -> AsyncIterator[LateStore]:
    async with LateStore(etcd.endpoints, timeout_s=20) as late:
        yield late


@pytest.mark.parametrize(
    ("there", "first", "second"),
    [(there, *pair) for there, one, other in PAIRS for pair in ((one, other), (other, one))],
    ids=lambda value: str(value) if isinstance(value, Act) else "",
)
async def test_of_two_that_contradict_each_other_both_never_come_true(
    store: Store, late: LateStore, there: Sequence[Act], first: Act, second: Act
) -> None:
    for act in there:
        await act.do(store)
    late.rival = lambda: second.do(store)
    await first.do(late)
    assert late.rival is None, "the first had nothing to write"
    assert contradictions(world_of(await store.read(prefixes=(keys.ROOT,)))) == []


def endpoint(group_name: str | None) -> Endpoint:
    address = IPv4Address("10.1.0.5")
    name = GroupName(group_name) if group_name else None
    return Endpoint(EndpointId("e" * 64), NET, NODE, mac_of(address), address, None, name, "c")


async def write_as_an_agent(store: Store, record: Endpoint | AddressClaim) -> None:
    """Commit as an agent does: while network and group stand as they were, and no group was made since."""
    groups = keys.scoped(keys.GROUPS, NET.tenant)
    places = [keys.network_key(NET), f"{groups}g"]
    before = await store.read(keys=places)
    guards: list[Guard] = [Unchanged(place, revision_of(before, place)) for place in places]
    await store.commit(
        [*guards, RangeUnchanged(groups, before.revision)], [Put(keys.key_of(record), keys.render(record))]
    )


@pytest.mark.parametrize(
    ("there", "wish", "record"),
    [
        (THERE[:2], NO_NETWORK, endpoint(None)),
        (THERE, NO_GROUP, endpoint("g")),
        (THERE, group("h", ipPool=POOL), AddressClaim(NET, IPv4Address("10.1.0.5"), ClaimPurpose.LEASE, NODE)),
        (THERE, service("s"), AddressClaim(NET, IPv4Address("10.1.0.1"), ClaimPurpose.LEASE, NODE)),
        (THERE[:2], NO_NETWORK, AddressClaim(NET, IPv4Address("10.1.0.5"), ClaimPurpose.LEASE, NODE)),
    ],
    ids=["endpoint-network", "endpoint-group", "claim-pool", "claim-service", "claim-network"],
)
async def test_what_an_agent_writes_meanwhile_is_seen(
    store: Store, late: LateStore, there: Sequence[Act], wish: Act, record: Endpoint | AddressClaim
) -> None:
    for act in there:
        await act.do(store)
    late.rival = lambda: write_as_an_agent(store, record)
    await wish.do(late)
    after = world_of(await store.read(prefixes=(keys.ROOT,)))
    assert contradictions(after) == []
    if isinstance(record, Endpoint):
        assert (NET in after.networks, record.id in after.population(NET).endpoints) == (True, True)
    pools = [pool for each in after.groups.values() for pool in each.pools]
    assert [address for address in after.population(NET).claims for pool in pools if address in pool] == []
