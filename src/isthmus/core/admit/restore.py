"""Records from a backup: which of them may be written beside what is there, and in which order."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from isthmus.core.admit.whole import faults
from isthmus.core.errors import ConflictError, InvalidError
from isthmus.core.model import (
    DEFAULT_TENANT,
    AddressClaim,
    AllocationCursor,
    AppProfile,
    Bgp,
    ClaimPurpose,
    Endpoint,
    EndpointGroup,
    Epoch,
    GroupIdOwner,
    NetProfile,
    Network,
    Node,
    NodeContact,
    NodeLease,
    Policy,
    Record,
    Rule,
    Service,
    Settings,
    TagOwner,
    Tenant,
)
from isthmus.core.world import Change, World, evolve

_TOLD_AT_MOST = 20
_FIRST_RECORDS: tuple[Record, ...] = (Settings(), Tenant(DEFAULT_TENANT))

# Containers can come as soon as their network is there, so all that is held in it comes before; the tags and ids
# that make others unique likewise. From then on nobody names what comes later.
_RANKS: dict[type, int] = {
    kind: rank
    for rank, kinds in enumerate(
        (
            (Settings, Tenant),
            (TagOwner, GroupIdOwner, AddressClaim, AllocationCursor, Endpoint, Node),
            (Policy, NetProfile),
            (Network, EndpointGroup),
            (Rule, Service, AppProfile, Bgp),
        )
    )
    for kind in kinds
}

Records = Mapping[str, Record]  # by their keys in etcd


@dataclass(frozen=True, slots=True)
class Restoration:
    """The keys of a backup's records that have to be written, in order; and how many are there already."""

    missing: tuple[str, ...]
    there: int


def admit_restore(backup: Records, present: Records) -> Restoration:
    """What of a backup is still to be written.

    What an empty cluster begins with is replaced. What agents have written stays: they know better by now.

    Raises:
        InvalidError: the backup's records do not go together, or one of them is not for backups.
        ConflictError: another record stands under the key of one, or they do not go together with what is there.
    """
    momentary = sorted(key for key, record in backup.items() if isinstance(record, NodeLease | NodeContact | Epoch))
    if momentary:
        raise InvalidError(f"record {momentary[0]} says what goes on at present, which no backup can know")
    wrong = _told(faults(_world(backup)))
    if wrong:
        raise InvalidError(f"the records do not go together: {wrong}")
    backup = dict(_not_overtaken(backup, present))
    missing = [key for key, record in backup.items() if not _is_there(record, present.get(key))]
    conflicts = sorted(key for key in missing if key in present and present[key] not in _FIRST_RECORDS)
    if conflicts:
        said = _told(f"record {key} is there, and differs" for key in conflicts)
        raise ConflictError(f"the cluster is another than that of the backup: {said}")
    agents = {key: record for key, record in present.items() if _is_of_an_agent(record)}
    wrong = _told(faults(_world({**present, **backup, **agents})))
    if wrong:
        raise ConflictError(f"the records do not go together with what is there: {wrong}")
    return Restoration(tuple(sorted(missing, key=lambda key: _rank(key, backup[key]))), len(backup) - len(missing))


def _not_overtaken(backup: Records, present: Records) -> Iterator[tuple[str, Record]]:
    """All but the endpoints of which an address is held for another one by now, or for none."""
    holders = {(each.network, each.address): each for each in present.values() if isinstance(each, AddressClaim)}
    for key, record in backup.items():
        if not isinstance(record, Endpoint):
            yield key, record
            continue
        held = (holders.get((record.network, address)) for address in record.addresses)
        if all(claim is None or claim.endpoint == record.id for claim in held):
            yield key, record


def _is_there(record: Record, present: Record | None) -> bool:
    return record == present or (present is not None and _is_of_an_agent(record) and _is_of_an_agent(present))


def _is_of_an_agent(record: Record) -> bool:
    return isinstance(record, Node | AllocationCursor | Endpoint) or (
        isinstance(record, AddressClaim) and record.purpose is ClaimPurpose.LEASE
    )


def _rank(key: str, record: Record) -> tuple[int, str, str]:
    """A network's groups come with it, since their pools divide its addresses."""
    match record:
        case Network():
            beside = str(record.key)
        case EndpointGroup():
            beside = f"{record.network_key} "
        case _:
            beside = ""
    return _RANKS[type(record)], beside, key


def _world(records: Records) -> World:
    return evolve(World(), map(Change, records.values()), 0).world


def _told(texts: Iterable[str]) -> str:
    """As one line; of many only the first."""
    found = list(texts)
    more = len(found) - _TOLD_AT_MOST
    return "; ".join([*found[:_TOLD_AT_MOST], *([f"and {more} more"] if more > 0 else [])])
