"""This node's entries in etcd: addresses claimed, endpoints committed. Each act is one transaction.

The order of an endpoint's life (Docker's calls, research of the remote driver protocol): RequestAddress claims an
address for this node; CreateEndpoint binds the claim; Join names container and sandbox; Leave takes them back;
DeleteEndpoint unbinds the claim; ReleaseAddress gives the address up. So an address is never free while anybody may
still believe to hold it, and each act may be repeated.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from ipaddress import IPv4Address

from isthmus.core import ipam, salvage
from isthmus.core.datapath import Owner
from isthmus.core.errors import ConflictError, ExhaustedError, NotFoundError, StoreUnavailableError
from isthmus.core.model import (
    Address,
    AddressClaim,
    AllocationCursor,
    ClaimPurpose,
    ContainerId,
    Endpoint,
    EndpointGroup,
    EndpointId,
    GroupKey,
    Network,
    NetworkKey,
    NodeName,
    Record,
)
from isthmus.core.world import Change, World, evolve
from isthmus.edge.store import Delete, Guard, Op, Put, RangeUnchanged, Snapshot, Store, Unchanged
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


@dataclass(frozen=True, slots=True)
class _Choice:
    """An address that was free in `world`; `is_wished` where the operator chose it."""

    address: Address
    world: World
    is_wished: bool = False


class _UnclaimedError(Exception):
    """An endpoint's address is not claimed any more: it was collected before the engine came to use it."""

    def __init__(self, address: Address) -> None:
        super().__init__(str(address))
        self.address = address


_Decision = tuple[list[Guard], list[Op]]
_NOTHING: _Decision = ([], [])


class Ledger:
    """Claims addresses and commits endpoints for one node."""

    def __init__(self, store: Store, mirror: Mirror, node: NodeName) -> None:
        self._store = store
        self._mirror = mirror
        self.node = node
        self._turns: defaultdict[NetworkKey, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def claim_next(self, owner: Owner, *, is_v6: bool = False) -> Address:
        """Claim the next free address of a network, counting up from the last one given in the cluster.

        A group's comes from its pool where it has one.

        Raises:
            NotFoundError: there is no such network, or no such group.
            ExhaustedError: every address is held.
        """
        async with self._turns[owner.network]:  # one search at a time; other hosts are told apart by the transaction
            search = partial(self._search, owner=owner, is_v6=is_v6)
            try:
                address, revision = await self._claim(owner, search)
            except StoreUnavailableError:  # a leader died with it, say; what it has claimed is collected
                address, revision = await self._claim(owner, search)
            await self._mirror.reached(revision)
            return address

    async def claim_wish(self, owner: Owner, address: Address) -> None:
        """Claim one address that the operator asked for.

        Raises:
            NotFoundError: there is no such network, or no such group.
            InvalidError: it is not the network's to give, or not in the group's pool.
            ConflictError: it is held, or in the pool of another group.
        """
        await self._claim(owner, lambda world: self._check(world, owner, address))

    async def release(self, key: NetworkKey, address: Address) -> None:
        """Give up an address, unless an endpoint or another node holds it by now."""
        place = keys.address_key(key, address)
        await self._let_go(place)
        await self._swap([place], lambda page: self._release(page, place))

    async def create(self, endpoint: Endpoint) -> None:
        """Commit an endpoint and bind its addresses to it, all or nothing.

        Raises:
            NotFoundError: the network or the group has gone.
            ConflictError: an address is another's, or the endpoint exists with others.
        """
        for _ in range(_ATTEMPTS):
            try:
                await self._swap(_places(endpoint), lambda page: self._create(page, endpoint))
            except _UnclaimedError as lost:
                await self.claim_wish(Owner(endpoint.network, endpoint.group), lost.address)
            else:
                return
        raise ConflictError(f"the addresses of endpoint {endpoint.id[:12]} were released while it was made; try again")

    async def put_back(self, endpoint: Endpoint, is_ended: Callable[[AddressClaim], bool]) -> None:
        """Commit an endpoint that lives here and that etcd has lost; take its addresses over from what `is_ended`.

        Raises:
            NotFoundError: the network or the group is not there.
            InvalidError: an address is not the network's to give.
            ConflictError: an address is another's.
        """
        await self._swap(_places(endpoint), lambda page: self._put_back(page, endpoint, is_ended))

    async def join(self, endpoint: Endpoint, container: str, sandbox: str) -> int:
        """Say in which sandbox the endpoint is, and whose it is; returns the revision from which on it is so."""
        return await self._update(endpoint, lambda before: replace(before, container=container, sandbox=sandbox))

    async def leave(self, endpoint: Endpoint) -> int:
        """Take the endpoint out of its sandbox; returns the revision from which on it is so."""
        return await self._update(endpoint, lambda before: replace(before, sandbox=""))

    async def identify(self, endpoint: Endpoint, container: str, container_id: ContainerId | None) -> None:
        """Say by what name and id the endpoint's container is known, as long as it is joined."""

        def named(before: Endpoint) -> Endpoint:
            return replace(before, container=container, container_id=container_id) if before.is_joined else before

        await self._update(endpoint, named)

    async def delete(self, endpoint: Endpoint) -> int:
        """Remove the endpoint and unbind its addresses; removing what is gone succeeds."""
        return await self._swap(_places(endpoint), lambda page: self._delete(page, endpoint))

    async def find(self, key: NetworkKey, endpoint_id: EndpointId) -> Endpoint | None:
        """The endpoint as etcd has it now."""
        place = keys.endpoints_of(key) + endpoint_id
        found = (await self._read(place)).record(place)
        return found if isinstance(found, Endpoint) else None

    async def _claim(self, owner: Owner, choose: Callable[[World], Awaitable[_Choice]]) -> tuple[Address, int]:
        """Claim what `choose` finds, again while what it looked at has changed; the address and the revision."""
        world = await self._mirror.reached()
        for _ in range(_ATTEMPTS):
            choice = await choose(world)
            revision = await self._commit_claim(owner, choice)
            if revision is not None:
                return choice.address, revision
            seen = await self._store.read(keys=_claim_places(owner, choice.address), prefixes=[_groups_of(owner)])
            world = await self._mirror.reached(seen.mod_revision)
        raise ConflictError(f"{owner.title}: other writes came first {_ATTEMPTS} times; try again")

    async def _search(self, world: World, owner: Owner, *, is_v6: bool) -> _Choice:
        """The next free address. The mirror may not know yet of one just freed, so a full share is read again."""
        try:
            return _next(world, owner, is_v6=is_v6)
        except ExhaustedError:
            return _next(await self._now(owner), owner, is_v6=is_v6)

    async def _check(self, world: World, owner: Owner, address: Address) -> _Choice:
        """A wish that the owner may have, unless somebody holds it."""
        ipam.check_wish(owned(world, owner), address, ())
        place = keys.address_key(owner.network, address)
        holder = (await self._read(place)).record(place) or self._mirror.kept.get(place)
        if isinstance(holder, AddressClaim):
            raise ConflictError(f"address {address} of network {owner.network} is in use by {self._describe(holder)}")
        return _Choice(address, world, is_wished=True)

    async def _now(self, owner: Owner) -> World:
        """One network, its addresses and its tenant's groups, as etcd has them now; and claims that it has lost."""
        key = owner.network
        prefixes = [keys.addresses_of(key), _groups_of(owner)]
        snapshot = await self._store.read(keys=[keys.network_key(key)], prefixes=prefixes)
        records = (keys.parse(item.key, item.value) for item in snapshot.items)
        kept = (each for each in self._mirror.kept.values() if isinstance(each, AddressClaim) and each.network == key)
        changes = [Change(record) for record in (*records, *kept) if record is not None]
        return evolve(World(), changes, snapshot.revision).world

    async def _let_go(self, place: str) -> None:
        """The engine has done with the address: nobody lives there any more, whatever etcd has lost."""
        kept = self._mirror.kept
        claim = kept.get(place)
        if isinstance(claim, AddressClaim) and claim.node == self.node and claim.endpoint:
            await self._mirror.let_go(list(salvage.of_endpoint(kept, claim.endpoint)))

    async def _read(self, *wanted: str) -> _Page:
        return _Page(await self._store.read(keys=wanted))

    async def _swap(self, wanted: list[str], decide: Callable[[_Page], _Decision]) -> int:
        return await self._store.swap(lambda snapshot: decide(_Page(snapshot)), keys=wanted)

    async def _update(self, endpoint: Endpoint, change: Callable[[Endpoint], Endpoint]) -> int:
        """Change the endpoint as it stands now, which may be further than the caller has seen it."""
        place = keys.key_of(endpoint)

        def decide(page: _Page) -> _Decision:
            before = page.record(place)
            if not isinstance(before, Endpoint):
                raise NotFoundError(f"endpoint {endpoint.id[:12]} of network {endpoint.network} does not exist")
            after = change(before)
            return _NOTHING if before == after else ([page.unchanged(place)], [_put(after)])

        return await self._swap([place], decide)

    async def _commit_claim(self, owner: Owner, choice: _Choice) -> int | None:
        """Claim it; None where it is not free, or where network and pools are not those that it was chosen from."""
        key, address, world = owner.network, choice.address, choice.world
        page, share = await self._read(*_claim_places(owner, address)), owned(world, owner)
        if _holdings(page, owner) != (share.network, share.group):
            return None
        ops: list[Op] = [_put(AddressClaim(key, address, ClaimPurpose.LEASE, self.node))]
        if not choice.is_wished:
            cursor = AllocationCursor(key, group=share.cursor_group(is_v6=address.version == 6))
            ops.append(_put(_advance(page.record(keys.key_of(cursor)), cursor, address)))
        guards = [page.unchanged(place) for place in _owner_places(owner)]
        others = RangeUnchanged(_groups_of(owner), world.revision)  # a pool made meanwhile may hold the address
        return await self._store.commit([*guards, Unchanged(keys.address_key(key, address), 0), others], ops)

    def _create(self, page: _Page, endpoint: Endpoint) -> _Decision:
        _holdings(page, Owner(endpoint.network, endpoint.group))
        existing = page.record(keys.key_of(endpoint))
        if isinstance(existing, Endpoint):
            if (existing.addresses, existing.node) == (endpoint.addresses, endpoint.node):
                return _NOTHING
            raise ConflictError(f"endpoint {endpoint.id[:12]} exists with address {existing.address}")
        places = _places(endpoint)
        claims = [self._bound(page, endpoint, address) for address in endpoint.addresses]
        return [page.unchanged(place) for place in places], [_put(endpoint), *map(_put, claims)]

    def _bound(self, page: _Page, endpoint: Endpoint, address: Address) -> AddressClaim:
        place = keys.address_key(endpoint.network, address)
        claim = page.record(place)
        if not isinstance(claim, AddressClaim):
            raise _UnclaimedError(address)
        if claim.node != self.node or claim.endpoint is not None:
            user = self._describe(claim)
            raise ConflictError(f"address {address} of network {endpoint.network} is in use by {user}")
        return AddressClaim(endpoint.network, address, ClaimPurpose.LEASE, self.node, endpoint.id)

    def _put_back(self, page: _Page, endpoint: Endpoint, is_ended: Callable[[AddressClaim], bool]) -> _Decision:
        owner = Owner(endpoint.network, endpoint.group)
        _holdings(page, owner)
        wanted: list[Record] = [endpoint]
        ops: list[Op] = []
        for address in endpoint.addresses:
            ipam.check_wish(owned(self._mirror.world, owner), address, ())
            bound = AddressClaim(endpoint.network, address, ClaimPurpose.LEASE, self.node, endpoint.id)
            claim = page.record(keys.key_of(bound))
            if isinstance(claim, AddressClaim) and claim not in (bound, replace(bound, endpoint=None)):
                if claim.endpoint is None or not is_ended(claim):
                    raise ConflictError(f"address {address} is in use by {self._describe(claim)}")
                ops.append(Delete(keys.endpoints_of(endpoint.network) + claim.endpoint))
            wanted.append(bound)
        ops += [_put(record) for record in wanted if page.record(keys.key_of(record)) != record]
        return [page.unchanged(place) for place in _places(endpoint)], ops

    def _delete(self, page: _Page, endpoint: Endpoint) -> _Decision:
        ops: list[Op] = []
        guards: list[Guard] = []
        if page.record(keys.key_of(endpoint)) is not None:
            ops.append(Delete(keys.key_of(endpoint)))
        for address in endpoint.addresses:
            place = keys.address_key(endpoint.network, address)
            claim = page.record(place)
            if isinstance(claim, AddressClaim) and claim.endpoint == endpoint.id:
                guards.append(page.unchanged(place))
                ops.append(_put(replace(claim, endpoint=None)))
        return guards, ops

    def _release(self, page: _Page, place: str) -> _Decision:
        claim = page.record(place)
        is_ours = isinstance(claim, AddressClaim) and claim.node == self.node and claim.endpoint is None
        return ([page.unchanged(place)], [Delete(place)]) if is_ours else _NOTHING

    def _describe(self, claim: AddressClaim) -> str:
        if claim.purpose is ClaimPurpose.GATEWAY:
            return "the network's gateway"
        if claim.purpose is ClaimPurpose.SERVICE:
            return f"service {claim.network.tenant}:{claim.service}"
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


def group_of(record: Record | None, owner: Owner) -> EndpointGroup:
    """The group itself.

    Raises:
        NotFoundError: there is none of that name in that network.
    """
    if not isinstance(record, EndpointGroup) or record.network_key != owner.network:
        raise NotFoundError(f"{owner.title} does not exist in network {owner.network}; 'netctl group ls -a' lists all")
    return record


def _holdings(page: _Page, owner: Owner) -> tuple[Network, EndpointGroup | None]:
    """The network and the group as they were read.

    Raises:
        NotFoundError: one of them is not there.
    """
    network = network_of(page.record(keys.network_key(owner.network)), owner.network)
    if not isinstance(owner.key, GroupKey):
        return network, None
    return network, group_of(page.record(keys.group_key(owner.key)), owner)


def owned(world: World, owner: Owner) -> ipam.Share:
    """The network and the group that a Docker network stands for, and which addresses are theirs.

    Raises:
        NotFoundError: one of them is not there.
    """
    network = network_of(world.networks.get(owner.network), owner.network)
    if isinstance(owner.key, GroupKey):
        group_of(world.groups.get(owner.key), owner)
    return ipam.share_of(network, world.groups_in(owner.network), owner.group)


def _next(world: World, owner: Owner, *, is_v6: bool) -> _Choice:
    share, population = owned(world, owner), world.population(owner.network)
    cursor = population.cursors.get(share.cursor_group(is_v6=is_v6))
    return _Choice(ipam.next_free(share, population.claims, cursor, is_v6=is_v6), world)


def _advance(before: Record | None, fresh: AllocationCursor, address: Address) -> AllocationCursor:
    cursor = before if isinstance(before, AllocationCursor) else fresh
    if isinstance(address, IPv4Address):
        return replace(cursor, last=address)
    return replace(cursor, last_v6=address)


def _groups_of(owner: Owner) -> str:
    return keys.scoped(keys.GROUPS, owner.network.tenant)


def _owner_places(owner: Owner) -> list[str]:
    """Where the network stands, and the group."""
    network = keys.network_key(owner.network)
    return [network, keys.group_key(owner.key)] if isinstance(owner.key, GroupKey) else [network]


def _claim_places(owner: Owner, address: Address) -> list[str]:
    cursors = {keys.cursor_key(owner.network, group) for group in (None, owner.group)}
    return [*_owner_places(owner), *cursors, keys.address_key(owner.network, address)]


def _places(endpoint: Endpoint) -> list[str]:
    claims = [keys.address_key(endpoint.network, address) for address in endpoint.addresses]
    return [*_owner_places(Owner(endpoint.network, endpoint.group)), keys.key_of(endpoint), *claims]


def _put(record: Record) -> Put:
    return Put(keys.key_of(record), keys.render(record))
