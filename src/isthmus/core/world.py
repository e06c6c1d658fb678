"""One snapshot of all intent and state, and how records change it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address
from typing import TypeVar

from isthmus.core.model import (
    Address,
    AddressClaim,
    AllocationCursor,
    Endpoint,
    EndpointId,
    Network,
    NetworkKey,
    Node,
    NodeLease,
    NodeName,
    Record,
    Settings,
    TagOwner,
    Tenant,
    TenantName,
)

_K = TypeVar("_K")
_V = TypeVar("_V")


@dataclass(frozen=True, slots=True)
class Population:
    """Who lives in one network: its endpoints, the addresses held, and the last address given."""

    endpoints: Mapping[EndpointId, Endpoint] = field(default_factory=dict)
    claims: Mapping[Address, AddressClaim] = field(default_factory=dict)
    cursor: AllocationCursor | None = None


@dataclass(frozen=True, slots=True)
class World:
    """All records of one etcd revision, indexed."""

    revision: int = 0
    settings: Settings = field(default_factory=Settings)
    tenants: Mapping[TenantName, Tenant] = field(default_factory=dict)
    networks: Mapping[NetworkKey, Network] = field(default_factory=dict)
    populations: Mapping[NetworkKey, Population] = field(default_factory=dict)
    nodes: Mapping[NodeName, Node] = field(default_factory=dict)
    leases: Mapping[NodeName, NodeLease] = field(default_factory=dict)

    def population(self, key: NetworkKey) -> Population:
        """Who lives in this network; empty where nobody does."""
        return self.populations.get(key, EMPTY)

    def vtep(self, node: NodeName) -> IPv4Address | None:
        """The tunnel address of a node, alive or not; None where it is unknown."""
        record = self.nodes.get(node)
        return record.vtep if record else None


EMPTY = Population()


@dataclass(frozen=True, slots=True)
class Change:
    """A record written, or removed (`is_removal`; then `record` is the last value known)."""

    record: Record
    is_removal: bool = False


@dataclass(frozen=True, slots=True)
class Evolution:
    """A later world, and what of it must be looked at again."""

    world: World
    networks: frozenset[NetworkKey] = frozenset()
    is_intent_changed: bool = False  # a network came, went or differs
    is_host_changed: bool = False  # a node's VTEP came, went or moved


def evolve(world: World, changes: Iterable[Change], revision: int) -> Evolution:
    """Apply `changes` in order; what they do not touch is shared with the world before."""
    touched: set[NetworkKey] = set()
    draft = _Draft(world)
    for change in changes:
        touched |= draft.take(change)
    after = draft.done(revision)
    return Evolution(
        after,
        frozenset(touched),
        is_intent_changed=world.networks != after.networks,
        is_host_changed=_vteps(world) != _vteps(after),
    )


def _vteps(world: World) -> dict[NodeName, IPv4Address | None]:
    return {name: node.vtep for name, node in world.nodes.items()}


class _Draft:
    """A world being changed: each index is copied at the first write to it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._tenants = dict(world.tenants)
        self._networks = dict(world.networks)
        self._populations = dict(world.populations)
        self._nodes = dict(world.nodes)
        self._leases = dict(world.leases)
        self._settings = world.settings
        self._open: dict[NetworkKey, tuple[dict[EndpointId, Endpoint], dict[Address, AddressClaim]]] = {}

    def take(self, change: Change) -> set[NetworkKey]:
        gone = change.is_removal
        match change.record:
            case Settings() as settings:
                self._settings = Settings() if gone else settings
            case Tenant() as tenant:
                _put(self._tenants, tenant.name, tenant, gone=gone)
            case Network() as network:
                _put(self._networks, network.key, network, gone=gone)
                return {network.key}
            case Node() as node:
                _put(self._nodes, node.name, node, gone=gone)
            case NodeLease() as lease:
                _put(self._leases, lease.name, lease, gone=gone)
            case TagOwner():
                pass  # guards uniqueness in etcd; the network itself says its tag
            case Endpoint() | AddressClaim() | AllocationCursor() as inhabitant:
                return self._settle(inhabitant, gone=gone)
        return set()

    def _settle(self, record: Endpoint | AddressClaim | AllocationCursor, *, gone: bool) -> set[NetworkKey]:
        key = record.network
        match record:
            case AllocationCursor():
                before = self._populations.get(key, EMPTY)
                self._populations[key] = replace(before, cursor=None if gone else record)
                return set()
            case Endpoint():
                _put(self._opened(key)[0], record.id, record, gone=gone)
                return {key}
            case AddressClaim():
                _put(self._opened(key)[1], record.address, record, gone=gone)
                return set()

    def _opened(self, key: NetworkKey) -> tuple[dict[EndpointId, Endpoint], dict[Address, AddressClaim]]:
        if key not in self._open:
            before = self._populations.get(key, EMPTY)
            self._open[key] = (dict(before.endpoints), dict(before.claims))
        return self._open[key]

    def done(self, revision: int) -> World:
        for key, (endpoints, claims) in self._open.items():
            cursor = self._populations.get(key, EMPTY).cursor
            self._populations[key] = Population(endpoints, claims, cursor)
        populations = {key: each for key, each in self._populations.items() if each != EMPTY}
        return World(
            revision,
            self._settings,
            self._tenants,
            self._networks,
            populations,
            self._nodes,
            self._leases,
        )


def _put(index: dict[_K, _V], key: _K, value: _V, *, gone: bool) -> None:
    if gone:
        index.pop(key, None)
    else:
        index[key] = value
