"""The maps' rows as values. Reading and writing a row is one system call; nothing here waits."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address

from isthmus.core.datapath import DatapathId, Flood, KnownNetwork, KnownVtep
from isthmus.core.model import EndpointId, Tag
from isthmus.core.trace import DropReason
from isthmus.edge.kernel.libbpf import Map
from isthmus.edge.kernel.rows import Rows
from isthmus.wire import maps
from isthmus.wire.maps import Identity, Place, PlaceKey, Traffic

OURS = ("endpoints", "networks", "vteps", "directory", "uplinks", "floods")  # the maps that the programs only read
_TAG_MASK = (1 << 24) - 1


@dataclass(frozen=True, slots=True)
class Drops:
    """How many packets a device lost for one reason."""

    ifindex: int
    reason: DropReason
    packets: int


class Tables:
    """The datapath's maps."""

    def __init__(self, by_name: Mapping[str, Map]) -> None:
        self._maps = by_name
        self._rows = {name: Rows(by_name[name]) for name in OURS}

    def follow(self, by_name: Mapping[str, Map]) -> None:
        """Go on with the same maps, opened anew."""
        self._maps = by_name
        for name, rows in self._rows.items():
            rows.follow(by_name[name])

    def mend(self) -> dict[str, int]:
        """Put back every row that is not as we left it; return how many were put back, by map."""
        mended = {name: rows.mend() for name, rows in self._rows.items()}
        mended["traffic"] = self._mend_traffic()
        return {name: count for name, count in mended.items() if count}

    def _mend_traffic(self) -> int:
        """The programs write what they count there; whose traffic is counted is ours to say."""
        traffic = self._maps["traffic"]
        wanted, there = set(self._rows["endpoints"].keys()), {key for key, _ in traffic.rows()}
        for key in wanted - there:
            traffic.put(key, bytes(traffic.value_bytes))
        for key in there - wanted:
            traffic.remove(key)
        return len(wanted ^ there)

    def identities(self) -> dict[int, Identity]:
        """Who sends from behind which interface."""
        read = self._rows["endpoints"].read(lambda key, value: (maps.parse_number(key), maps.parse_identity(value)))
        return dict(read)

    def put_identity(self, ifindex: int, identity: Identity) -> None:
        """Name the sender behind an interface, and count what it sends from now on."""
        key = maps.pack_number(ifindex)
        traffic = self._maps["traffic"]
        if traffic.get(key) is None:
            traffic.put(key, bytes(traffic.value_bytes))
        self._rows["endpoints"].put(key, maps.pack_identity(identity))

    def forget(self, ifindex: int) -> None:
        """Remove the counters of an interface that is gone, then its sender, by which a restarted agent finds them."""
        key = maps.pack_number(ifindex)
        for reason in DropReason:
            self._maps["drops"].remove(maps.pack_drop_key(ifindex, reason))
        self._maps["traffic"].remove(key)
        self._rows["endpoints"].remove(key)

    def interfaces_of(self, endpoint: EndpointId) -> list[int]:
        """Behind which interfaces an endpoint is said to send."""
        return [ifindex for ifindex, each in self.identities().items() if each.endpoint == endpoint]

    def networks(self) -> list[KnownNetwork]:
        """The networks known here; the tag is the lower part of the id."""
        return self._rows["networks"].read(_known_network)

    def put_network(self, network: KnownNetwork) -> None:
        """Make a network known."""
        self._rows["networks"].put(maps.pack_number(network.id), maps.pack_encap(network.encap))

    def remove_network(self, network: KnownNetwork) -> None:
        """Forget a network."""
        self._rows["networks"].remove(maps.pack_number(network.id))

    def vteps(self) -> Iterator[KnownVtep]:
        """The hosts from which tunnelled frames are taken."""
        for key, _ in self._rows["vteps"]:
            yield KnownVtep(maps.parse_vtep_key(key))

    def put_vtep(self, address: IPv4Address) -> None:
        """Make a host known."""
        self._rows["vteps"].put(maps.pack_vtep_key(address), maps.VTEP_VALUE)

    def remove_vtep(self, address: IPv4Address) -> None:
        """Forget a host."""
        self._rows["vteps"].remove(maps.pack_vtep_key(address))

    def uplink(self) -> int | None:
        """The ifindex of the active uplink."""
        return next((maps.parse_number(value) for _, value in self._rows["uplinks"]), None)

    def put_uplink(self, ifindex: int) -> None:
        """Let VLAN networks leave and enter by this device."""
        self._rows["uplinks"].put(maps.UPLINK_KEY, maps.pack_number(ifindex))

    def remove_uplink(self) -> None:
        """Let VLAN networks end on this host."""
        self._rows["uplinks"].remove(maps.UPLINK_KEY)

    def floods(self) -> list[tuple[DatapathId, list[int], list[IPv4Address]]]:
        """For each network, the interfaces and the hosts that get what is for all."""
        return self._rows["floods"].read(
            lambda key, value: (DatapathId(maps.parse_number(key)), *maps.parse_flood(value))
        )

    def put_flood(self, flood: Flood, ifindexes: Sequence[int]) -> None:
        """Say who gets what is for all; `ifindexes` are those of the flood's endpoints."""
        self._rows["floods"].put(maps.pack_number(flood.network), maps.pack_flood(ifindexes, flood.vteps))

    def remove_flood(self, network: DatapathId) -> None:
        """Let nobody get what is for all."""
        self._rows["floods"].remove(maps.pack_number(network))

    def directory(self) -> list[tuple[PlaceKey, Place]]:
        """Where every address lives."""
        rows = self._rows["directory"]
        return [(maps.parse_place_key(key), maps.parse_place(value)) for key, value in rows]

    def put_place(self, key: PlaceKey, place: Place) -> None:
        """Say where an address lives."""
        self._rows["directory"].put(maps.pack_place_key(key), maps.pack_place(place))

    def remove_place(self, key: PlaceKey) -> None:
        """Forget an address."""
        self._rows["directory"].remove(maps.pack_place_key(key))

    def traffic(self) -> dict[int, Traffic]:
        """What each interface's endpoint sent and received."""
        rows = self._maps["traffic"].rows()
        return {maps.parse_number(key): maps.sum_traffic(value) for key, value in rows}

    def drops(self) -> list[Drops]:
        """What each device lost, and why."""
        found = []
        for key, value in self._maps["drops"].rows():
            ifindex, reason = maps.parse_drop_key(key)
            found.append(Drops(ifindex, DropReason(reason), maps.sum_drops(value)))
        return found


def _known_network(key: bytes, value: bytes) -> KnownNetwork:
    number = maps.parse_number(key)
    return KnownNetwork(DatapathId(number), maps.parse_encap(value), Tag(number & _TAG_MASK))
