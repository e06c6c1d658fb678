"""ARP and neighbour discovery from a VLAN's wire: asked for who lives here we answer; answers are let in."""

from isthmus.core.datapath import DatapathId, DirectoryEntry, Here
from isthmus.core.model import Address
from isthmus.core.trace import frames
from isthmus.core.trace.drops import DropReason
from isthmus.core.trace.frames import DroppedError, Packet, Question, require
from isthmus.core.trace.receive import check_remote_source, deliver, entry_here
from isthmus.core.trace.tables import Tables
from isthmus.core.trace.ways import Answer, Deliver


def take_arp(tables: Tables, network: DatapathId, packet: Packet) -> Answer | Deliver:
    """Answer a request for who lives here; deliver a reply to who asked.

    Raises:
        DroppedError: it is for nobody here, or pretends to come from who is ours.
    """
    arp = frames.parse_arp(packet)
    check_remote_source(tables, network, arp.sender)
    entry = entry_here(tables, network, arp.target)
    if entry is None:
        raise DroppedError(DropReason.NOT_ASKED)
    if arp.is_request:
        return Answer(frames.answer_arp(packet, arp, entry.mac))
    _check_answerer(tables, network, arp.sender)
    return _admit_answer(tables, network, packet, entry)


def take_discovery(tables: Tables, network: DatapathId, packet: Packet) -> Answer | Deliver:
    """The same for solicitations and advertisements.

    Raises:
        DroppedError: as `take_arp`, and for all other discovery.
    """
    message = frames.parse_discovery(packet)
    if frames.is_probe(packet):
        return _take_probe(tables, network, packet, message)
    if not message.is_request:
        _check_answerer(tables, network, message.target)
        _check_answerer(tables, network, packet.source)
        return _take_advertisement(tables, network, packet)
    is_plain = frames.is_plain_solicitation(packet) and frames.has_source_option(packet)
    require(is_plain, DropReason.NEIGHBOUR_DISCOVERY)
    check_remote_source(tables, network, packet.source)
    entry = entry_here(tables, network, message.target)
    if entry is None:
        raise DroppedError(DropReason.NOT_ASKED)
    return Answer(frames.answer_solicitation(packet, message, entry.mac))


def _take_probe(tables: Tables, network: DatapathId, packet: Packet, probe: Question) -> Answer:
    require(probe.is_request, DropReason.NEIGHBOUR_DISCOVERY)
    entry = entry_here(tables, network, probe.target)
    if entry is None:
        raise DroppedError(DropReason.ADDRESS_PROBE)
    return Answer(frames.answer_probe(packet, probe, entry.mac))


def _check_answerer(tables: Tables, network: DatapathId, answerer: Address) -> None:
    """Who is of the network is asked for and answered on the hosts: the wire does not speak for them."""
    check_remote_source(tables, network, answerer)
    require((network, answerer) not in tables.directory, DropReason.NOT_ASKED)


def _take_advertisement(tables: Tables, network: DatapathId, packet: Packet) -> Deliver:
    entry = tables.directory.get((network, packet.destination))
    if entry is None:
        return _to_link_local(tables, network, packet)
    return _admit_answer(tables, network, packet, entry)


def _to_link_local(tables: Tables, network: DatapathId, packet: Packet) -> Deliver:
    """The directory has no link-local address, but neighbours are asked from it."""
    flood = tables.floods.get(network)
    legs = (tables.legs.get(each) for each in (flood.endpoints if flood else ()))
    owners = [leg for leg in legs if leg and leg.network == network and leg.mac == packet.destination_mac]
    require(bool(owners) and packet.destination == frames.link_local(packet.destination_mac), DropReason.NOT_ASKED)
    return Deliver(owners[0].endpoint, packet.frame)


def _admit_answer(tables: Tables, network: DatapathId, packet: Packet, entry: DirectoryEntry) -> Deliver:
    if not isinstance(entry.place, Here):
        raise DroppedError(DropReason.NOT_ASKED)
    require(entry.mac == packet.destination_mac, DropReason.DESTINATION_MAC)
    return deliver(tables, network, packet, entry.place.endpoint)
