"""The maps' rows as values. Reading and writing a row is one system call; nothing here waits."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address

from isthmus.core.datapath import DatapathId, KnownNetwork, KnownVtep
from isthmus.core.model import EndpointId, Tag
from isthmus.core.trace import DropReason
from isthmus.edge.kernel.libbpf import Map
from isthmus.wire import maps
from isthmus.wire.maps import Identity, Place, PlaceKey, Traffic

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

    def identities(self) -> dict[int, Identity]:
        """Who sends from behind which interface."""
        rows = self._maps["endpoints"].rows()
        return {maps.parse_number(key): maps.parse_identity(value) for key, value in rows}

    def put_identity(self, ifindex: int, identity: Identity) -> None:
        """Name the sender behind an interface, and count what it sends from now on."""
        key = maps.pack_number(ifindex)
        traffic = self._maps["traffic"]
        if traffic.get(key) is None:
            traffic.put(key, bytes(traffic.value_bytes))
        self._maps["endpoints"].put(key, maps.pack_identity(identity))

    def forget(self, ifindex: int) -> None:
        """Remove the counters of an interface that is gone, then its sender, by which a restarted agent finds them."""
        key = maps.pack_number(ifindex)
        for reason in DropReason:
            self._maps["drops"].remove(maps.pack_drop_key(ifindex, reason))
        self._maps["traffic"].remove(key)
        self._maps["endpoints"].remove(key)

    def interfaces_of(self, endpoint: EndpointId) -> list[int]:
        """Behind which interfaces an endpoint is said to send."""
        return [ifindex for ifindex, each in self.identities().items() if each.endpoint == endpoint]

    def networks(self) -> Iterator[KnownNetwork]:
        """The networks known here; the tag is the lower part of the id."""
        for key, value in self._maps["networks"].rows():
            number = maps.parse_number(key)
            yield KnownNetwork(DatapathId(number), maps.parse_encap(value), Tag(number & _TAG_MASK))

    def put_network(self, network: KnownNetwork) -> None:
        """Make a network known."""
        self._maps["networks"].put(maps.pack_number(network.id), maps.pack_encap(network.encap))

    def remove_network(self, network: KnownNetwork) -> None:
        """Forget a network."""
        self._maps["networks"].remove(maps.pack_number(network.id))

    def vteps(self) -> Iterator[KnownVtep]:
        """The hosts from which tunnelled frames are taken."""
        for key, _ in self._maps["vteps"].rows():
            yield KnownVtep(maps.parse_vtep_key(key))

    def put_vtep(self, address: IPv4Address) -> None:
        """Make a host known."""
        self._maps["vteps"].put(maps.pack_vtep_key(address), maps.VTEP_VALUE)

    def remove_vtep(self, address: IPv4Address) -> None:
        """Forget a host."""
        self._maps["vteps"].remove(maps.pack_vtep_key(address))

    def directory(self) -> list[tuple[PlaceKey, Place]]:
        """Where every address lives."""
        rows = self._maps["directory"].rows()
        return [(maps.parse_place_key(key), maps.parse_place(value)) for key, value in rows]

    def put_place(self, key: PlaceKey, place: Place) -> None:
        """Say where an address lives."""
        self._maps["directory"].put(maps.pack_place_key(key), maps.pack_place(place))

    def remove_place(self, key: PlaceKey) -> None:
        """Forget an address."""
        self._maps["directory"].remove(maps.pack_place_key(key))

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
