"""What each wish reads, and from that what it writes, and on which conditions."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from isthmus.core.admit import (
    NetworkFacts,
    NetworkRequest,
    admit_network,
    admit_network_removal,
    admit_tenant,
    admit_tenant_removal,
    network_records,
)
from isthmus.core.errors import StoreUnavailableError
from isthmus.core.model import (
    DEFAULT_TENANT,
    Endpoint,
    Network,
    NetworkKey,
    Record,
    Settings,
    Tenant,
    TenantName,
)
from isthmus.edge.store import (
    Delete,
    DeleteRange,
    Guard,
    Op,
    Put,
    RangeEmpty,
    RangeUnchanged,
    Snapshot,
    Store,
    Unchanged,
)
from isthmus.netmaster.reading import one, only, revision_of, tag_owners
from isthmus.wire import keys

_ATTEMPTS = 200  # each that fails means that another write succeeded, so this many at once

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Plan(Generic[_T]):
    """`outcome` comes true when `ops` are done while `guards` hold; without ops it is true already."""

    outcome: _T
    guards: tuple[Guard, ...] = ()
    ops: tuple[Op, ...] = ()


@dataclass(frozen=True, slots=True)
class Wish(Generic[_T]):
    """What must be read, all at one revision, and the stage that makes a plan of it or refuses."""

    plan: Callable[[Snapshot], Plan[_T]]
    keys: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Done(Generic[_T]):
    """What came true, at which revision, and whether that took a write."""

    outcome: _T
    revision: int
    is_new: bool


async def carry_out(store: Store, wish: Wish[_T]) -> Done[_T]:
    """Read, plan, commit; again while what was read has changed meanwhile.

    Raises:
        IsthmusError: the plan refused.
        StoreUnavailableError: etcd does not answer, or others always came first.
    """
    for _ in range(_ATTEMPTS):
        snapshot = await store.read(keys=wish.keys, prefixes=wish.prefixes)
        plan = wish.plan(snapshot)
        if not plan.ops:
            return Done(plan.outcome, snapshot.revision, is_new=False)
        revision = await store.commit(plan.guards, plan.ops)
        if revision is not None:
            return Done(plan.outcome, revision, is_new=True)
    raise StoreUnavailableError(f"other writes came first {_ATTEMPTS} times; try again")


def first_records() -> Wish[None]:
    """The settings and the default tenant, where they are absent."""
    wanted: dict[str, Record] = {keys.key_of(record): record for record in (Settings(), Tenant(DEFAULT_TENANT))}

    def plan(snapshot: Snapshot) -> Plan[None]:
        absent = [key for key in wanted if not revision_of(snapshot, key)]
        return Plan(None, _absent(absent), _put(wanted[key] for key in absent))

    return Wish(plan, keys=tuple(wanted))


def tenant_creation(request: Tenant) -> Wish[Tenant]:
    """A tenant that shall be there."""
    key = keys.tenant_key(request.name)

    def plan(snapshot: Snapshot) -> Plan[Tenant]:
        existing = one(Tenant, snapshot)
        tenant = admit_tenant(request, existing)
        return Plan(tenant) if existing else Plan(tenant, _absent([key]), _put([tenant]))

    return Wish(plan, keys=(key,))


def tenant_removal(name: TenantName) -> Wish[Tenant]:
    """A tenant that shall go."""
    key, networks = keys.tenant_key(name), keys.networks_of(name)

    def plan(snapshot: Snapshot) -> Plan[Tenant]:
        tenant = admit_tenant_removal(name, one(Tenant, snapshot), only(Network, snapshot))
        guards = (Unchanged(key, revision_of(snapshot, key)), RangeEmpty(networks))
        return Plan(tenant, guards, (Delete(key),))

    return Wish(plan, keys=(key,), prefixes=(networks,))


def network_creation(request: NetworkRequest) -> Wish[Network]:
    """A network that shall be there, its tag chosen."""
    tenant = keys.tenant_key(request.key.tenant)
    siblings = keys.networks_of(request.key.tenant)

    def plan(snapshot: Snapshot) -> Plan[Network]:
        facts = _network_facts(request, snapshot)
        network = admit_network(request, facts)
        if network in facts.networks:
            return Plan(network)
        written = network_records(network)
        guards = (
            Unchanged(tenant, revision_of(snapshot, tenant)),
            Unchanged(keys.GLOBAL, revision_of(snapshot, keys.GLOBAL)),
            RangeUnchanged(siblings, snapshot.revision),
            *_absent(map(keys.key_of, written)),
        )
        return Plan(network, guards, _put(written))

    return Wish(plan, keys=(tenant, keys.GLOBAL), prefixes=(siblings, keys.tags_of(request.encap)))


def _network_facts(request: NetworkRequest, snapshot: Snapshot) -> NetworkFacts:
    return NetworkFacts(
        tenant=one(Tenant, snapshot),
        networks=only(Network, snapshot),
        tag_owners=tag_owners(snapshot, request.encap),
        settings=one(Settings, snapshot) or Settings(),
    )


def network_removal(key: NetworkKey, *, written_at: int | None = None) -> Wish[Network | None]:
    """A network that shall go, with its tag and its addresses.

    With `written_at`, only the one that was written at that revision; the outcome None says that it has gone.
    """
    own, users = keys.network_key(key), keys.endpoints_of(key)

    def plan(snapshot: Snapshot) -> Plan[Network | None]:
        revision = revision_of(snapshot, own)
        if written_at is not None and revision != written_at:
            return Plan(None)
        network = admit_network_removal(key, one(Network, snapshot), only(Endpoint, snapshot))
        guards = (Unchanged(own, revision), RangeEmpty(users))
        tag = keys.tag_key(network.encap, network.tag)
        return Plan(network, guards, (Delete(own), Delete(tag), DeleteRange(keys.addresses_of(key))))

    return Wish(plan, keys=(own,), prefixes=(users,))


def _absent(wanted: Iterable[str]) -> tuple[Guard, ...]:
    return tuple(Unchanged(key, 0) for key in wanted)


def _put(wanted: Iterable[Record]) -> tuple[Op, ...]:
    return tuple(Put(keys.key_of(record), keys.render(record)) for record in wanted)
