"""One snapshot of all intent and state, and how records change it."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address
from typing import Any, TypeVar

from isthmus.core.model import (
    Address,
    AddressClaim,
    AllocationCursor,
    AppProfile,
    AppProfileKey,
    Bgp,
    Encap,
    Endpoint,
    EndpointGroup,
    EndpointId,
    Epoch,
    EpochId,
    GroupId,
    GroupIdOwner,
    GroupKey,
    GroupName,
    NetProfile,
    Network,
    NetworkKey,
    Node,
    NodeContact,
    NodeLease,
    NodeName,
    Policy,
    PolicyKey,
    ProfileKey,
    Record,
    Rule,
    RuleKey,
    Service,
    ServiceKey,
    Settings,
    Tag,
    TagOwner,
    Tenant,
    TenantName,
)

_K = TypeVar("_K")
_V = TypeVar("_V")


@dataclass(frozen=True, slots=True)
class Population:
    """Who lives in one network: its endpoints, the addresses held, and the last address given of each share of it."""

    endpoints: Mapping[EndpointId, Endpoint] = field(default_factory=dict)
    claims: Mapping[Address, AddressClaim] = field(default_factory=dict)
    cursors: Mapping[GroupName | None, AllocationCursor] = field(default_factory=dict)

    @property
    def cursor(self) -> AllocationCursor | None:
        """The last address given of what is in no pool."""
        return self.cursors.get(None)


@dataclass(frozen=True, slots=True)
class World:
    """All records of one etcd revision, indexed."""

    revision: int = 0
    settings: Settings = field(default_factory=Settings)
    tenants: Mapping[TenantName, Tenant] = field(default_factory=dict)
    networks: Mapping[NetworkKey, Network] = field(default_factory=dict)
    groups: Mapping[GroupKey, EndpointGroup] = field(default_factory=dict)
    policies: Mapping[PolicyKey, Policy] = field(default_factory=dict)
    rules: Mapping[RuleKey, Rule] = field(default_factory=dict)
    net_profiles: Mapping[ProfileKey, NetProfile] = field(default_factory=dict)
    services: Mapping[ServiceKey, Service] = field(default_factory=dict)
    app_profiles: Mapping[AppProfileKey, AppProfile] = field(default_factory=dict)
    bgps: Mapping[NodeName, Bgp] = field(default_factory=dict)
    tag_owners: Mapping[tuple[Encap, Tag], TagOwner] = field(default_factory=dict)
    group_ids: Mapping[GroupId, GroupIdOwner] = field(default_factory=dict)
    populations: Mapping[NetworkKey, Population] = field(default_factory=dict)
    nodes: Mapping[NodeName, Node] = field(default_factory=dict)
    leases: Mapping[NodeName, NodeLease] = field(default_factory=dict)
    contacts: Mapping[NodeName, NodeContact] = field(default_factory=dict)
    epoch: EpochId | None = None

    def population(self, key: NetworkKey) -> Population:
        """Who lives in this network; empty where nobody does."""
        return self.populations.get(key, EMPTY)

    def groups_in(self, key: NetworkKey) -> Iterator[EndpointGroup]:
        """The groups whose members live in this network."""
        return (group for group in self.groups.values() if group.network_key == key)

    def rules_of(self, key: PolicyKey) -> Iterator[Rule]:
        """The rules of this policy."""
        return (rule for rule in self.rules.values() if rule.key.policy == key)

    def tags(self, encap: Encap) -> dict[Tag, NetworkKey]:
        """Who holds the tags of one kind."""
        return {tag: each.owner for (kind, tag), each in self.tag_owners.items() if kind is encap}

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
    is_intent_changed: bool = False  # what engines and kernels must hold: a network or a group came, went or differs
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
        is_intent_changed=(world.networks, world.groups) != (after.networks, after.groups),
        is_host_changed=_vteps(world) != _vteps(after),
    )


def _vteps(world: World) -> dict[NodeName, IPv4Address | None]:
    return {name: node.vtep for name, node in world.nodes.items()}


_INDEXES: dict[type, tuple[str, Callable[[Any], Any]]] = {
    Tenant: ("tenants", lambda tenant: tenant.name),
    Network: ("networks", lambda network: network.key),
    EndpointGroup: ("groups", lambda group: group.key),
    Policy: ("policies", lambda policy: policy.key),
    Rule: ("rules", lambda rule: rule.key),
    NetProfile: ("net_profiles", lambda profile: profile.key),
    Service: ("services", lambda service: service.key),
    AppProfile: ("app_profiles", lambda profile: profile.key),
    Bgp: ("bgps", lambda bgp: bgp.node),
    TagOwner: ("tag_owners", lambda tag: (tag.encap, tag.tag)),
    GroupIdOwner: ("group_ids", lambda group: group.id),
    Node: ("nodes", lambda node: node.name),
    NodeLease: ("leases", lambda lease: lease.name),
    NodeContact: ("contacts", lambda contact: contact.name),
}
"""In which index of the world a record stands, and under which key."""


class _Draft:
    """A world being changed: each index is copied at the first write to it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._settings = world.settings
        self._epoch = world.epoch
        self._indexes: dict[str, dict[Any, Any]] = {}
        self._populations = dict(world.populations)
        self._open: dict[NetworkKey, tuple[dict[EndpointId, Endpoint], dict[Address, AddressClaim]]] = {}

    def take(self, change: Change) -> set[NetworkKey]:
        """Take a change over; the networks of which it is."""
        match change.record:
            case Settings() as settings:
                self._settings = Settings() if change.is_removal else settings
            case Epoch(epoch):
                self._epoch = None if change.is_removal else epoch
            case Endpoint() | AddressClaim() | AllocationCursor() as inhabitant:
                return self._settle(inhabitant, gone=change.is_removal)
            case record:
                self._index(record, gone=change.is_removal)
        return {change.record.key} if isinstance(change.record, Network) else set()

    def _index(self, record: Record, *, gone: bool) -> None:
        name, key_of = _INDEXES[type(record)]
        if name not in self._indexes:
            self._indexes[name] = dict(getattr(self._world, name))
        _put(self._indexes[name], key_of(record), record, gone=gone)

    def _settle(self, record: Endpoint | AddressClaim | AllocationCursor, *, gone: bool) -> set[NetworkKey]:
        key = record.network
        match record:
            case AllocationCursor():
                before = self._populations.get(key, EMPTY)
                cursors = dict(before.cursors)
                _put(cursors, record.group, record, gone=gone)
                self._populations[key] = replace(before, cursors=cursors)
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
        """The world after all of it."""
        for key, (endpoints, claims) in self._open.items():
            cursors = self._populations.get(key, EMPTY).cursors
            self._populations[key] = Population(endpoints, claims, cursors)
        populations = {key: each for key, each in self._populations.items() if each != EMPTY}
        return replace(
            self._world,
            revision=revision,
            settings=self._settings,
            epoch=self._epoch,
            populations=populations,
            **self._indexes,
        )


def _put(index: dict[_K, _V], key: _K, value: _V, *, gone: bool) -> None:
    if gone:
        index.pop(key, None)
    else:
        index[key] = value
