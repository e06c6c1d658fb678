"""What comes in from afar: who may have sent it, and to whom it goes."""

from isthmus.core.datapath import DatapathId, DirectoryEntry, Here
from isthmus.core.model import Address, EndpointId
from isthmus.core.trace.drops import DropReason
from isthmus.core.trace.frames import DroppedError, Packet, require
from isthmus.core.trace.tables import Tables
from isthmus.core.trace.ways import Deliver


def entry_here(tables: Tables, network: DatapathId, address: Address) -> DirectoryEntry | None:
    """The entry of an address that lives on this host."""
    entry = tables.directory.get((network, address))
    return entry if entry and isinstance(entry.place, Here) else None


def check_remote_source(tables: Tables, network: DatapathId, source: Address) -> None:
    """End the walk of what claims to be from an address of this host.

    Raises:
        DroppedError: it does.
    """
    require(entry_here(tables, network, source) is None, DropReason.SOURCE_IS_LOCAL)


def deliver(tables: Tables, network: DatapathId, packet: Packet, endpoint: EndpointId) -> Deliver:
    """Into the sandbox of an endpoint that is of the network, and did not send this itself.

    Raises:
        DroppedError: it is not, or did.
    """
    receiver = tables.legs.get(endpoint)
    if receiver is None or receiver.network != network:
        raise DroppedError(DropReason.NO_RECEIVER)
    require(packet.source not in receiver.addresses, DropReason.SOURCE_IS_LOCAL)
    return Deliver(endpoint, packet.frame)
