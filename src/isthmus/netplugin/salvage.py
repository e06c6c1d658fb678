"""Puts back into etcd what lives on this host, where etcd came back without it: wiped, or as it was earlier."""

import asyncio
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

from structlog.typing import FilteringBoundLogger

from isthmus.core import salvage
from isthmus.core.datapath import Owner
from isthmus.core.errors import ConflictError, InvalidError, NotFoundError
from isthmus.core.model import AddressClaim, Endpoint, EndpointId, Epoch, EpochId, GroupKey, Network, NodeName
from isthmus.core.world import Evolution
from isthmus.edge.store import Guard, Op, Put, Snapshot, Store, Unchanged
from isthmus.netplugin.ledger import Ledger
from isthmus.netplugin.mirror import Mirror
from isthmus.netplugin.signals import Signals
from isthmus.wire import keys
from isthmus.wire.docker_api import Occupant

_PATIENCE_S = 10.0  # what holds an address may be a leftover, which its own host collects
_GRACE_S = 5.0  # an endpoint under construction is unknown to the engine for some milliseconds
_QUIET_S = 60.0  # a backup is restored piece by piece, or by hand

_LOST = "etcd has lost it, and {count} containers of this host live on in it; restore a backup, or create it again"

_TOLD_AT_MOST = 20

Occupants = Mapping[EndpointId, Occupant]


@dataclass(slots=True)
class _Tally:
    """What came of it, by the endpoints' ids: which were put back and removed; and why some were cut off."""

    put_back: dict[EndpointId, str] = field(default_factory=dict)
    removed: dict[EndpointId, str] = field(default_factory=dict)
    cut: dict[EndpointId, str] = field(default_factory=dict)

    def __str__(self) -> str:
        parts = (("put back", self.put_back), ("removed", self.removed), ("cut off", self.cut))
        return "; ".join(f"{what}: {_listed(each.values())}" for what, each in parts if each)


def _listed(names: Iterable[str]) -> str:
    known = sorted(names)
    more = len(known) - _TOLD_AT_MOST
    return ", ".join([*known[:_TOLD_AT_MOST], *([f"and {more} more"] if more > 0 else [])])


def _described(endpoint: Endpoint) -> str:
    return f"{endpoint.container or endpoint.id[:12]} ({endpoint.address} in {endpoint.network})"


class Salvage:
    """Works off what the mirror keeps of this node, and lets go of what other nodes have told again.

    An endpoint goes back if the engine still has it, and the rest is let go. Where its address is another's by now, it
    is cut off: no address may have two owners.
    """

    def __init__(
        self, store: Store, mirror: Mirror, ledger: Ledger, signals: Signals, log: FilteringBoundLogger
    ) -> None:
        self._node = ledger.node
        self._store = store
        self._mirror = mirror
        self._ledger = ledger
        self._signals = signals
        self._log = log
        self._tally = _Tally()
        self._refused_since_s: dict[EndpointId, float] = {}
        self._absent_since_s: dict[EndpointId, float] = {}
        self._hidden_since_s: dict[str, float] = {}
        self._changed_s = asyncio.get_running_loop().time()
        self._waiting: Counter[str] = Counter()
        self.epoch: EpochId | None = None

    @property
    def is_done(self) -> bool:
        """Whether etcd has all that lives here."""
        return self.epoch is not None and self.epoch == self._mirror.epoch

    @property
    def problems(self) -> dict[str, str]:
        """What the operator has to do something about."""
        # Not under the network's own title: that would refuse it to whoever creates it again.
        lost = {f"kept {title}": _LOST.format(count=count) for title, count in self._waiting.items()}
        return lost | {f"endpoint {each[:12]}": text for each, text in self._tally.cut.items()}

    @property
    def text(self) -> str:
        """What was done since the agent started; empty where nothing had to be."""
        lost = _listed(key.removeprefix(keys.ROOT) for key in self._mirror.lost)
        parts = (str(self._tally), f"not in etcd any more: {lost}" if lost else "")
        done = "; ".join(filter(None, parts))
        return f"etcd came back without what was in it: {done}" if done else ""

    def notice(self, evolution: Evolution) -> None:
        """A later world: look whether something is to be put back."""
        if evolution.is_intent_changed:
            self._changed_s = asyncio.get_running_loop().time()
        if self._mirror.kept or not self.is_done:
            self._signals.stirred.set()

    async def announce(self) -> None:
        """Give this history of etcd an id, unless somebody has.

        Raises:
            StoreUnavailableError: etcd does not answer.
        """
        if self._mirror.epoch is not None:
            return

        def decide(snapshot: Snapshot) -> tuple[Sequence[Guard], Sequence[Op]]:
            item = snapshot.by_key().get(keys.EPOCH)
            told = keys.parse(keys.EPOCH, item.value) if item else None
            if isinstance(told, Epoch) and not self._mirror.is_past(told.id):
                return [], []
            fresh = Epoch(EpochId(uuid.uuid4().hex))
            return [Unchanged(keys.EPOCH, item.mod_revision if item else 0)], [Put(keys.EPOCH, keys.render(fresh))]

        await self._store.swap(decide, keys=[keys.EPOCH])

    async def review(self, occupants: Occupants) -> None:
        """Bring etcd and the mirror as far as it can be done now.

        Raises:
            StoreUnavailableError: etcd does not answer.
        """
        waiting: Counter[str] = Counter()
        own = dict(self._own())
        self._forget_times(own.values(), occupants)
        for key, record in own.items():
            if record is None:
                await self._unhide(key, occupants)
            elif record.id not in occupants:
                await self._end(record)
            elif (home := self._missing_home(record)) or not await self._put_back(record):
                waiting[home or Owner(record.network, record.group).title] += 1
        self._waiting = waiting
        await self._let_others_go()
        self._tally.cut = {each: text for each, text in self._tally.cut.items() if each in occupants}
        if not any(self._own()):
            self.epoch = self._mirror.epoch
        self._signals.moved.set()

    def _forget_times(self, own: Iterable[Endpoint | None], occupants: Occupants) -> None:
        kept = {each.id for each in own if each is not None}
        self._refused_since_s = {each: since_s for each, since_s in self._refused_since_s.items() if each in kept}
        absent = kept - occupants.keys()
        self._absent_since_s = {each: since_s for each, since_s in self._absent_since_s.items() if each in absent}

    def _own(self) -> Iterator[tuple[str, Endpoint | None]]:
        """This node's endpoints that count for more than what etcd has; None: one that had gone."""
        for key, record in self._mirror.kept.items():
            known = record or self._mirror.records.get(key)
            if isinstance(known, Endpoint) and known.node == self._node:
                yield key, record if isinstance(record, Endpoint) else None

    def _missing_home(self, endpoint: Endpoint) -> str:
        """What etcd has to have before it can be put back, as in reports; empty where nothing is missing.

        Asked of the mirror, for all nodes wait for a lost network, and would ask etcd for it all the while.
        """
        records, owner = self._mirror.records, Owner(endpoint.network, endpoint.group)
        if keys.network_key(endpoint.network) not in records:
            return Owner(endpoint.network).title
        if isinstance(owner.key, GroupKey) and keys.group_key(owner.key) not in records:
            return owner.title
        return ""

    async def _put_back(self, endpoint: Endpoint) -> bool:
        """Commit it, or cut it off in the end; False where it has no place in etcd."""
        try:
            await self._ledger.put_back(endpoint, self._is_ended)
        except NotFoundError:
            return False
        except (ConflictError, InvalidError) as error:
            since_s = self._refused_since_s.setdefault(endpoint.id, asyncio.get_running_loop().time())
            if asyncio.get_running_loop().time() - since_s > _PATIENCE_S:
                await self._cut(endpoint, str(error))
        else:
            self._refused_since_s.pop(endpoint.id, None)
            if endpoint.id not in self._tally.put_back:
                self._tally.put_back[endpoint.id] = _described(endpoint)
                self._log.warning("put back what etcd had lost", endpoint=_described(endpoint))
        return True

    def _is_ended(self, claim: AddressClaim) -> bool:
        """Whether the claim is of an endpoint that had gone, and whose host is not there to say so."""
        key = keys.endpoints_of(claim.network) + (claim.endpoint or "")
        is_alone = claim.node == self._node or claim.node not in self._mirror.world.leases
        return is_alone and key in self._mirror.kept and self._mirror.kept[key] is None

    async def _cut(self, endpoint: Endpoint, why: str) -> None:
        name = _described(endpoint)
        self._tally.cut[endpoint.id] = f"etcd came back without {name}, and {why}; it is cut off until it is restarted"
        self._log.error("cut off what etcd had lost", endpoint=name, reason=why)
        await self._mirror.let_go(list(salvage.of_endpoint(self._mirror.kept, endpoint.id)))

    async def _end(self, kept: Endpoint) -> None:
        """Let go of what the engine does not have, and not only because it is about to begin."""
        now_s = asyncio.get_running_loop().time()
        if now_s - self._absent_since_s.setdefault(kept.id, now_s) > _GRACE_S:
            await self._mirror.let_go(list(salvage.of_endpoint(self._mirror.kept, kept.id)))

    async def _unhide(self, key: str, occupants: Occupants) -> None:
        """Remove what etcd only remembers; if it lives all the same, believe it."""
        told = self._mirror.records.get(key)
        if not isinstance(told, Endpoint):
            return
        if told.id in occupants:
            await self._believe(key, told)
            return
        await self._ledger.delete(told)
        for address in told.addresses:
            await self._ledger.release(told.network, address)
        self._tally.removed[told.id] = _described(told)

    async def _believe(self, key: str, told: Endpoint) -> None:
        """Hide this endpoint no longer; whoever was known to have its address before is let go."""
        kept = self._mirror.kept
        parts = (salvage.of_endpoint(kept, each.id) for each in salvage.rivals(kept, told))
        await self._mirror.let_go([key, *chain.from_iterable(parts)])

    async def _let_others_go(self) -> None:
        mirror = self._mirror
        settled = salvage.settled_nodes(mirror.records.values(), mirror.epoch) if mirror.kept else frozenset()
        await mirror.let_go(list(salvage.told_again(mirror.kept, mirror.records, settled, self._node)))
        await self._believe_others(settled)
        await self._let_networks_go()

    async def _believe_others(self, settled: frozenset[NodeName]) -> None:
        """A node that has told of everything ends at once what a backup brought; so what it still has is real."""
        now_s, mirror = asyncio.get_running_loop().time(), self._mirror
        told = {key: mirror.records.get(key) for key, record in mirror.kept.items() if record is None}
        self._hidden_since_s = {key: self._hidden_since_s.get(key, now_s) for key in told}
        for key, record in told.items():
            is_overdue = now_s - self._hidden_since_s[key] > _PATIENCE_S
            if not is_overdue or not isinstance(record, Endpoint) or record.node not in settled:
                continue
            if all(each.node != self._node for each in salvage.rivals(mirror.kept, record)):
                await self._believe(key, record)

    async def _let_networks_go(self) -> None:
        mirror = self._mirror
        is_quiet = asyncio.get_running_loop().time() - self._changed_s > _QUIET_S
        if is_quiet and any(isinstance(each, Network) for each in mirror.records.values()):
            populations = mirror.world.populations.values()
            endpoints = (each for population in populations for each in population.endpoints.values())
            await mirror.let_go(list(salvage.unused(mirror.kept, endpoints)))
