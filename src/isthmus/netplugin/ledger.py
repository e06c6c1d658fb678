"""This node's entries in etcd: addresses claimed, endpoints committed. Each act is one transaction.

The order of an endpoint's life (Docker's calls, research of the remote driver protocol): RequestAddress claims an
address for this node; CreateEndpoint binds the claim; Join names container and sandbox; Leave takes them back;
DeleteEndpoint unbinds the claim; ReleaseAddress gives the address up. So an address is never free while anybody may
still believe to hold it, and each act may be repeated.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from ipaddress import IPv4Address

from isthmus.core import ipam
from isthmus.core.errors import ConflictError, ExhaustedError, NotFoundError
from isthmus.core.model import (
    Address,
    AddressClaim,
    AllocationCursor,
    ClaimPurpose,
    Endpoint,
    EndpointId,
    Network,
    NetworkKey,
    NodeName,
    Record,
)
from isthmus.core.world import Change, World, evolve
from isthmus.edge.store import Delete, Guard, Op, Put, Snapshot, Store, Unchanged
from isthmus.netplugin.mirror import Mirror
from isthmus.wire import keys

_ATTEMPTS = 20


@dataclass(frozen=True, slots=True)
class _Page:
    """What was read of some keys in one transaction, and the guards that it is still so."""

    snapshot: Snapshot

    def record(self, key: str) -> Record | None:
        for item in self.snapshot.items:
            if item.key == key:
                return keys.parse(key, item.value)
        return None

    def unchanged(self, key: str) -> Unchanged:
        found = (item.mod_revision for item in self.snapshot.items if item.key == key)
        return Unchanged(key, next(found, 0))


_Decision = tuple[list[Guard], list[Op]]
_NOTHING: _Decision = ([], [])


class Ledger:
    """Claims addresses and commits endpoints for one node."""

    def __init__(self, store: Store, mirror: Mirror, node: NodeName) -> None:
        self._store = store
        self._mirror = mirror
        self._node = node
        self._turns: defaultdict[NetworkKey, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def claim_next(self, key: NetworkKey, *, is_v6: bool = False) -> Address:
        """Claim the next free address of a network, counting up from the last one given in the cluster.

        Raises:
            NotFoundError: there is no such network.
            ExhaustedError: every address is held.
        """
        async with self._turns[key]:  # one search at a time; other hosts are told apart by the transaction
            world = await self._mirror.reached()
            for _ in range(_ATTEMPTS):
                address = await self._search(world, key, is_v6=is_v6)
                page = await self._read(keys.network_key(key), keys.cursor_key(key), _claim_key(key, address))
                revision = await self._commit_claim(page, key, address, is_wished=False)
                if revision is not None:
                    await self._mirror.reached(revision)
                    return address
                world = await self._mirror.reached(page.snapshot.mod_revision)
        raise ConflictError(f"network {key}: {_ATTEMPTS} addresses in a row were taken by other hosts; try again")

    async def claim_wish(self, key: NetworkKey, address: Address) -> None:
        """Claim one address that the operator asked for.

        Raises:
            ConflictError: it is held, or it is not the network's to give.
        """
        world = await self._mirror.reached()
        network = network_of(world.networks.get(key), key)
        ipam.check_wish(ipam.share_of(network, world.groups_in(key)), address, ())
        page = await self._read(keys.network_key(key), keys.cursor_key(key), _claim_key(key, address))
        holder = page.record(_claim_key(key, address))
        if isinstance(holder, AddressClaim):
            raise ConflictError(f"address {address} of network {key} is in use by {self._describe(holder)}")
        if await self._commit_claim(page, key, address, is_wished=True) is None:
            raise ConflictError(f"address {address} of network {key} was taken a moment ago")

    async def release(self, key: NetworkKey, address: Address) -> None:
        """Give up an address, unless an endpoint or another node holds it by now."""
        place = _claim_key(key, address)
        await self._swap([place], lambda page: self._release(page, place))

    async def create(self, endpoint: Endpoint) -> None:
        """Commit an endpoint and bind its addresses to it, all or nothing.

        Raises:
            NotFoundError: the network has gone.
            ConflictError: an address is another's, or the endpoint exists with others.
        """
        await self._swap(_places(endpoint), lambda page: self._create(page, endpoint))

    async def join(self, endpoint: Endpoint, container: str, sandbox: str) -> int:
        """Say in which sandbox the endpoint is, and whose it is; returns the revision from which on it is so."""
        joined = replace(endpoint, container=container, sandbox=sandbox)
        return await self._update(joined)

    async def leave(self, endpoint: Endpoint) -> int:
        """Take the endpoint out of its sandbox; returns the revision from which on it is so."""
        return await self._update(replace(endpoint, sandbox=""))

    async def rename(self, endpoint: Endpoint, container: str) -> None:
        """Give the endpoint's container another name."""
        await self._update(replace(endpoint, container=container))

    async def delete(self, endpoint: Endpoint) -> int:
        """Remove the endpoint and unbind its addresses; removing what is gone succeeds."""
        return await self._swap(_places(endpoint), lambda page: self._delete(page, endpoint))

    async def find(self, key: NetworkKey, endpoint_id: EndpointId) -> Endpoint | None:
        """The endpoint as etcd has it now."""
        place = keys.endpoints_of(key) + endpoint_id
        found = (await self._read(place)).record(place)
        return found if isinstance(found, Endpoint) else None

    async def _search(self, world: World, key: NetworkKey, *, is_v6: bool) -> Address:
        """The next free address. The mirror may not know yet of one just freed, so a full network is read again."""
        try:
            return _next(world, key, is_v6=is_v6)
        except ExhaustedError:
            return _next(await self._now(key), key, is_v6=is_v6)

    async def _now(self, key: NetworkKey) -> World:
        """One network and its addresses, as etcd has them now."""
        snapshot = await self._store.read(keys=[keys.network_key(key)], prefixes=[keys.addresses_of(key)])
        records = (keys.parse(item.key, item.value) for item in snapshot.items)
        changes = [Change(record) for record in records if record is not None]
        return evolve(World(), changes, snapshot.revision).world

    async def _read(self, *wanted: str) -> _Page:
        return _Page(await self._store.read(keys=wanted))

    async def _swap(self, wanted: list[str], decide: Callable[[_Page], _Decision]) -> int:
        return await self._store.swap(lambda snapshot: decide(_Page(snapshot)), keys=wanted)

    async def _update(self, endpoint: Endpoint) -> int:
        place = keys.key_of(endpoint)

        def decide(page: _Page) -> _Decision:
            before = page.record(place)
            if before is None:
                raise NotFoundError(f"endpoint {endpoint.id[:12]} of network {endpoint.network} does not exist")
            return _NOTHING if before == endpoint else ([page.unchanged(place)], [_put(endpoint)])

        return await self._swap([place], decide)

    async def _commit_claim(self, page: _Page, key: NetworkKey, address: Address, *, is_wished: bool) -> int | None:
        network_of(page.record(keys.network_key(key)), key)
        ops: list[Op] = [_put(AddressClaim(key, address, ClaimPurpose.LEASE, self._node))]
        if not is_wished:
            ops.append(_put(_advance(page.record(keys.cursor_key(key)), key, address)))
        free = Unchanged(_claim_key(key, address), 0)
        return await self._store.commit([page.unchanged(keys.network_key(key)), free], ops)

    def _create(self, page: _Page, endpoint: Endpoint) -> _Decision:
        network_of(page.record(keys.network_key(endpoint.network)), endpoint.network)
        existing = page.record(keys.key_of(endpoint))
        if isinstance(existing, Endpoint):
            if (existing.addresses, existing.node) == (endpoint.addresses, endpoint.node):
                return _NOTHING
            raise ConflictError(f"endpoint {endpoint.id[:12]} exists with address {existing.address}")
        places = _places(endpoint)
        claims = [self._bound(page, endpoint, address) for address in endpoint.addresses]
        return [page.unchanged(place) for place in places], [_put(endpoint), *map(_put, claims)]

    def _bound(self, page: _Page, endpoint: Endpoint, address: Address) -> AddressClaim:
        place = _claim_key(endpoint.network, address)
        claim = page.record(place)
        if isinstance(claim, AddressClaim) and (claim.node != self._node or claim.endpoint is not None):
            user = self._describe(claim)
            raise ConflictError(f"address {address} of network {endpoint.network} is in use by {user}")
        return AddressClaim(endpoint.network, address, ClaimPurpose.LEASE, self._node, endpoint.id)

    def _delete(self, page: _Page, endpoint: Endpoint) -> _Decision:
        ops: list[Op] = []
        guards: list[Guard] = []
        if page.record(keys.key_of(endpoint)) is not None:
            ops.append(Delete(keys.key_of(endpoint)))
        for address in endpoint.addresses:
            place = _claim_key(endpoint.network, address)
            claim = page.record(place)
            if isinstance(claim, AddressClaim) and claim.endpoint == endpoint.id:
                guards.append(page.unchanged(place))
                ops.append(_put(replace(claim, endpoint=None)))
        return guards, ops

    def _release(self, page: _Page, place: str) -> _Decision:
        claim = page.record(place)
        is_ours = isinstance(claim, AddressClaim) and claim.node == self._node and claim.endpoint is None
        return ([page.unchanged(place)], [Delete(place)]) if is_ours else _NOTHING

    def _describe(self, claim: AddressClaim) -> str:
        if claim.purpose is ClaimPurpose.GATEWAY:
            return "the network's gateway"
        endpoints = self._mirror.world.population(claim.network).endpoints
        holder = endpoints.get(claim.endpoint) if claim.endpoint else None
        container = f"container {holder.container}" if holder and holder.container else "a container"
        return f"{container} on node {claim.node}"


def network_of(record: Record | None, key: NetworkKey) -> Network:
    """The network itself.

    Raises:
        NotFoundError: there is none of that name.
    """
    if not isinstance(record, Network):
        raise NotFoundError(f"network {key} does not exist; 'netctl net ls -a' lists those that do")
    return record


def _next(world: World, key: NetworkKey, *, is_v6: bool) -> Address:
    network, population = network_of(world.networks.get(key), key), world.population(key)
    share = ipam.share_of(network, world.groups_in(key))
    return ipam.next_free(share, population.claims, population.cursor, is_v6=is_v6)


def _advance(before: Record | None, key: NetworkKey, address: Address) -> AllocationCursor:
    cursor = before if isinstance(before, AllocationCursor) else AllocationCursor(key)
    if isinstance(address, IPv4Address):
        return replace(cursor, last=address)
    return replace(cursor, last_v6=address)


def _claim_key(key: NetworkKey, address: Address) -> str:
    return keys.addresses_of(key) + str(address)


def _places(endpoint: Endpoint) -> list[str]:
    claims = [_claim_key(endpoint.network, address) for address in endpoint.addresses]
    return [keys.network_key(endpoint.network), keys.key_of(endpoint), *claims]


def _put(record: Record) -> Put:
    return Put(keys.key_of(record), keys.render(record))
