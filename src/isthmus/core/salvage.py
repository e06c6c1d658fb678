"""What an agent goes on believing where etcd comes back without it: wiped, or as it was at some earlier time.

Nobody knows better than an agent what lives on its host, and no agent can ask etcd for the rest. So each holds on to
what it last knew of who lives where, and lets go of a node's part as soon as that node has told etcd anew.
"""

from collections.abc import Iterable, Iterator, Mapping, Set

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
        if _endpoint_of(record) in lost or (isinstance(record, Network | EndpointGroup | Node) and key not in told)
    }
    counting = (record for key, record in known.items() if key in kept or key in told)
    return kept | dict.fromkeys(_newcomers(counting, {key: told[key] for key in told.keys() - known.keys()}))


def lost_intent(known: Records, told: Records) -> frozenset[str]:
    """The keys of what an operator once said and another etcd does not know."""
    return frozenset(key for key, record in known.items() if isinstance(record, INTENT) and key not in told)


def _lost_endpoints(known: Records, told: Records, settled: frozenset[NodeName]) -> frozenset[EndpointId]:
    """The endpoints of which etcd has not all that was known: the record itself, or the claim to an address."""
    differing = (record for key, record in known.items() if told.get(key) != record and _node_of(record) not in settled)
    lost = {_endpoint_of(each) for each in differing}
    return frozenset(each.id for each in known.values() if isinstance(each, Endpoint) and each.id in lost)


def amend(kept: Kept, told: Records, written: Set[str], settled: frozenset[NodeName]) -> dict[str, Record | None]:
    """What is still kept when etcd tells `told`, of which these keys have just been written, or deleted.

    An endpoint is kept, with its claims, until etcd has all of it again; or its node changes it that has told of
    everything since: others may write what is older, from a backup. Who comes to an address that is kept is hidden.
    """
    gone = {key for key in written if key in kept and _endpoint_of(kept[key]) is None}
    touched = {endpoint for key in written if (endpoint := _endpoint_of(kept.get(key))) is not None}
    for keys_of_one in _by_endpoint(kept, touched).values():
        news = [key for key in keys_of_one if key in written]
        if _is_told(kept, told, keys_of_one) or _is_overtaken(kept, told, news, settled):
            gone.update(keys_of_one)
    after = {key: record for key, record in kept.items() if key not in gone}
    newcomers = {key: told[key] for key in written if key in told and key not in after}
    return after | dict.fromkeys(_newcomers(after.values(), newcomers))


def _by_endpoint(kept: Kept, wanted: Set[EndpointId]) -> dict[EndpointId, list[str]]:
    found: dict[EndpointId, list[str]] = {each: [] for each in wanted}
    if wanted:
        for key, record in kept.items():
            endpoint = _endpoint_of(record)
            if endpoint in found:
                found[endpoint].append(key)
    return found


def _is_told(kept: Kept, told: Records, wanted: Iterable[str]) -> bool:
    return all(told.get(key) == kept[key] for key in wanted)


def _is_overtaken(kept: Kept, told: Records, written: Iterable[str], settled: frozenset[NodeName]) -> bool:
    for key in written:
        after = told.get(key)
        if isinstance(kept[key], Endpoint) and (after is None or (after != kept[key] and _node_of(after) in settled)):
            return True
    return False


def rivals(kept: Kept, hidden: Endpoint) -> Iterator[Endpoint]:
    """The kept endpoints that have an address of this one."""
    places = set(_places(hidden))
    for record in kept.values():
        if isinstance(record, Endpoint) and record.id != hidden.id and places & set(_places(record)):
            yield record


def _newcomers(counting: Iterable[Record | None], others: Records) -> Iterator[str]:
    """The keys of those among the others that have an address of one that counts."""
    newcomers = {key: each for key, each in others.items() if isinstance(each, Endpoint)}
    wanted = {place for each in newcomers.values() for place in _places(each)}
    if not wanted:
        return
    living = (each for each in counting if isinstance(each, Endpoint))
    holders = {place: each.id for each in living for place in _places(each) if place in wanted}
    for key, newcomer in newcomers.items():
        if any(holders.get(place, newcomer.id) != newcomer.id for place in _places(newcomer)):
            yield key


def of_endpoint(kept: Kept, endpoint: EndpointId) -> Iterator[str]:
    """The keys of what is kept of an endpoint: itself, and its claims."""
    return (key for key, record in kept.items() if _endpoint_of(record) == endpoint)


def told_again(kept: Kept, told: Records, settled: frozenset[NodeName], own: NodeName) -> Iterator[str]:
    """The keys of what other nodes' part need not be kept any more: they have told etcd anew, or were removed.

    An endpoint stays hidden as long as another with its address is kept.
    """
    nodes = {each.name for each in (*told.values(), *kept.values()) if isinstance(each, Node)}
    hidden = {key: told[key] for key, record in kept.items() if record is None and key in told}
    rivalled = frozenset(_newcomers(kept.values(), hidden))
    inhabited = {node for record in kept.values() if (node := _node_of(record)) is not None}
    for key, record in kept.items():
        if key in rivalled:
            continue
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


def _endpoint_of(record: Record | None) -> EndpointId | None:
    if isinstance(record, Endpoint):
        return record.id
    return record.endpoint if isinstance(record, AddressClaim) else None


def _node_of(record: Record | None) -> NodeName | None:
    return record.node if isinstance(record, Endpoint | AddressClaim) else None


def _places(endpoint: Endpoint) -> Iterator[tuple[NetworkKey, Address]]:
    return ((endpoint.network, address) for address in endpoint.addresses)
