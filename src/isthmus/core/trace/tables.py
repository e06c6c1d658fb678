"""What one host's maps say, to be walked through."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address

from isthmus.core.datapath import (
    DatapathId,
    DirectoryEntry,
    Flood,
    KernelObject,
    KnownNetwork,
    KnownVtep,
    Leg,
    Underlay,
    Uplink,
)
from isthmus.core.model import Address, EndpointId


@dataclass(frozen=True, slots=True)
class Tables:
    """What the programs look up: the maps and settings of one host."""

    underlay: Underlay | None = None
    vteps: frozenset[IPv4Address] = frozenset()
    networks: Mapping[DatapathId, KnownNetwork] = field(default_factory=dict)
    legs: Mapping[EndpointId, Leg] = field(default_factory=dict)
    directory: Mapping[tuple[DatapathId, Address], DirectoryEntry] = field(default_factory=dict)
    floods: Mapping[DatapathId, Flood] = field(default_factory=dict)
    has_uplink: bool = False


def tables_of(objects: Iterable[KernelObject]) -> Tables:
    """The tables that these objects make."""
    everything = list(objects)
    return Tables(
        next((each for each in everything if isinstance(each, Underlay)), None),
        frozenset(each.address for each in everything if isinstance(each, KnownVtep)),
        {each.id: each for each in everything if isinstance(each, KnownNetwork)},
        {each.endpoint: each for each in everything if isinstance(each, Leg)},
        {(each.network, each.address): each for each in everything if isinstance(each, DirectoryEntry)},
        {each.network: each for each in everything if isinstance(each, Flood)},
        any(isinstance(each, Uplink) and each.is_active for each in everything),
    )
