"""What an agent goes on believing where etcd comes back without it: wiped, or as it was at some earlier time.

Nobody knows better than an agent what lives on its host, and no agent can ask etcd for the rest. So each holds on to
what it last knew of who lives where, and lets go of a node's part as soon as that node has told etcd anew.
"""

from collections.abc import Iterable, Iterator, Mapping

from isthmus.core.model import (
    Address,
    AddressClaim,
    AppProfile,
    Bgp,
    Endpoint,
    EndpointGroup,
    EndpointId,
    EpochId,
    NetProfile,
    Network,
    NetworkKey,
    Node,
    NodeName,
    Policy,
    Record,
    Rule,
    Service,
    Tenant,
)

Records = Mapping[str, Record]  # by their keys in etcd
INTENT = (Tenant, Network, EndpointGroup, Policy, Rule, NetProfile, Service, AppProfile, Bgp)
Kept = Mapping[str, Record | None]
"""What counts instead of etcd's records, by their keys; None: it is gone, although etcd still has it."""


def settled_nodes(told: Iterable[Record], epoch: EpochId | None) -> frozenset[NodeName]:
    """The nodes that have told etcd of everything that lives on them, since it came back."""
    if epoch is None:
        return frozenset()
    return frozenset(each.name for each in told if isinstance(each, Node) and each.epoch == epoch)


def keep(known: Records, told: Records, settled: frozenset[NodeName]) -> dict[str, Record | None]:
    """What of `known` counts more than what another etcd has told: who lives where, and what they live in.

    Of what is intended etcd has the last word, but for networks and groups that it does not know at all.
    """
    lost = _lost_endpoints(known, told, settled)
    kept: dict[str, Record | None] = {
        key: record
        for key, record in known.items()
        if _is_of(record, lost) or (isinstance(record, Network | EndpointGroup | Node) and key not in told)
    }
    holders = _holders(record for record in known.values() if isinstance(record, Endpoint))
    for key, record in told.items():
        if key in known or not isinstance(record, Endpoint) or record.node in settled:
            continue
        if any(holders.get(place, record.id) != record.id for place in _places(record)):
            kept[key] = None
    return kept


def lost_intent(known: Records, told: Records) -> frozenset[str]:
    """The keys of what an operator once said and another etcd does not know."""
    return frozenset(key for key, record in known.items() if isinstance(record, INTENT) and key not in told)


def _lost_endpoints(known: Records, told: Records, settled: frozenset[NodeName]) -> frozenset[EndpointId]:
    """The endpoints of which etcd has not all that was known: the record itself, or the claim to an address."""
    differing = (record for key, record in known.items() if told.get(key) != record and _node_of(record) not in settled)
    lost: set[EndpointId | None] = {
        each.id if isinstance(each, Endpoint) else each.endpoint
        for each in differing
        if isinstance(each, Endpoint | AddressClaim)
    }
    return frozenset(each.id for each in known.values() if isinstance(each, Endpoint) and each.id in lost)


def _is_of(record: Record, endpoints: frozenset[EndpointId]) -> bool:
    match record:
        case Endpoint(id=endpoint) | AddressClaim(endpoint=endpoint):
            return endpoint in endpoints
        case _:
            return False


def amend(kept: Kept, written: Mapping[str, Record | None], settled: frozenset[NodeName]) -> dict[str, Record | None]:
    """What is still kept after these were written to etcd, or deleted (None).

    A node that has told etcd of everything since is believed. Of the others an endpoint may also be written by whoever
    restores a backup, which knows less than what is kept; and they themselves give no address away that is kept.
    """
    after = {
        key: record
        for key, record in kept.items()
        if key not in written or not _is_final(written[key], record, settled)
    }
    for key, record in written.items():
        if not isinstance(record, Endpoint) or key in after:
            continue
        rivals = list(_rivals(after, record))
        if rivals and record.node not in settled:
            after[key] = None
            continue
        for rival in rivals:
            del after[rival]
    return after


def _is_final(written: Record | None, kept: Record | None, settled: frozenset[NodeName]) -> bool:
    if written is None or written == kept:
        return True
    node = _node_of(written)
    return node is None or node in settled


def _rivals(kept: Kept, written: Endpoint) -> Iterator[str]:
    """The keys of kept endpoints that have an address of another one, with their claims."""
    places = set(_places(written))
    for key, record in kept.items():
        if isinstance(record, Endpoint) and record.id != written.id and places & set(_places(record)):
            yield key
            yield from claims_of(kept, record)


def claims_of(kept: Kept, endpoint: Endpoint) -> Iterator[str]:
    """The keys of the claims kept for an endpoint."""
    for key, record in kept.items():
        if isinstance(record, AddressClaim) and record.endpoint == endpoint.id:
            yield key


def told_again(kept: Kept, told: Records, settled: frozenset[NodeName], own: NodeName) -> Iterator[str]:
    """The keys of what other nodes' part need not be kept any more: they have told etcd anew, or were removed."""
    nodes = {each.name for each in (*told.values(), *kept.values()) if isinstance(each, Node)}
    inhabited = {node for record in kept.values() if (node := _node_of(record)) is not None}
    for key, record in kept.items():
        node = _node_of(record or told.get(key))
        is_told = node not in (None, own) and (node in settled or node not in nodes)
        if is_told or (isinstance(record, Node) and record.name not in inhabited):
            yield key


def unused(kept: Kept, endpoints: Iterable[Endpoint]) -> Iterator[str]:
    """The keys of kept networks, and of groups of theirs, in which nobody lives."""
    used = {each.network for each in endpoints}
    for key, record in kept.items():
        match record:
            case Network(key=network) if network not in used:
                yield key
            case EndpointGroup(network_key=network) if network not in used:
                yield key


def _node_of(record: Record | None) -> NodeName | None:
    return record.node if isinstance(record, Endpoint | AddressClaim) else None


def _holders(endpoints: Iterable[Endpoint]) -> dict[tuple[NetworkKey, Address], EndpointId]:
    return {place: each.id for each in endpoints for place in _places(each)}


def _places(endpoint: Endpoint) -> Iterator[tuple[NetworkKey, Address]]:
    return ((endpoint.network, address) for address in endpoint.addresses)
