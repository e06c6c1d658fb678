"""The reasons for which the datapath drops a packet: `enum drop_reason` of bpf/abi.h, in an operator's words."""

from enum import IntEnum


class DropReason(IntEnum):
    """Why a packet was dropped. Numbered for ever: append, never reuse."""

    sentence: str

    def __new__(cls, number: int, sentence: str = "") -> "DropReason":
        """Carry the sentence beside the number."""
        member = int.__new__(cls, number)
        member._value_ = number
        member.sentence = sentence
        return member

    TRUNCATED = 1, "The frame ends within a header."
    BAD_HEADER = 2, "The IP header's version or length is wrong."
    ETHERTYPE = 3, "The frame is neither IPv4 nor IPv6 nor ARP."
    TAGGED = 4, "The container's frame carries a VLAN tag; containers do not choose their VLAN."
    EXTENSION_HEADERS = 5, "The IPv6 packet has more than six extension headers."
    MAPPED_ADDRESS = 6, "The IPv6 packet carries an IPv4-mapped address, which may not travel."
    NO_ENDPOINT = 7, "No endpoint is known behind this interface: it is being set up or taken down."
    SOURCE_MAC = 8, "The frame's source MAC is not the endpoint's."
    SOURCE_ADDRESS = 9, "The packet's source address is not the endpoint's."
    ARP_SENDER = 10, "The ARP request's sender is not the endpoint."
    ARP_FORM = 11, "The ARP message is not a request for an IPv4 address; answers are given by the host."
    ADDRESS_PROBE = 12, "The container asks whether an address is taken, its own as a rule; no answer means no."
    UNKNOWN_NEIGHBOUR = 13, "No endpoint of the network has the address whose MAC is asked for."
    NEIGHBOUR_DISCOVERY = 14, "An IPv6 discovery message other than a plain neighbour solicitation."
    MULTICAST = 15, "The packet is for a group or for all; this network floods nothing."
    UNKNOWN_DESTINATION = 16, "No endpoint of the network has the destination address."
    DESTINATION_MAC = 17, "The frame's destination MAC is not the one of its destination address."
    UNKNOWN_NETWORK = 18, "The network is not known on this host."
    ENCAP = 19, "The network does not travel that way."
    NO_UNDERLAY = 20, "The destination is on another host, and this host has no tunnel."
    NO_RECEIVER = 21, "The destination lives here, but its interface is being set up or taken down."
    NOT_FROM_UNDERLAY = 22, "The tunnel packet did not enter by the underlay's device."
    NO_TUNNEL_KEY = 23, "The frame came out of the tunnel device without a tunnel."
    UNKNOWN_VTEP = 24, "The tunnel packet comes from a host that is not of the cluster."
    SOURCE_IS_LOCAL = 25, "The source is the receiver's own address, or came from afar though it lives on this host."
    NOT_HERE = 26, "The packet came from afar for an endpoint of another host."
    FORGED_TUNNEL = 27, "The VXLAN packet for a host of the cluster was not sent by the tunnel."
    KERNEL_REFUSED = 28, "The kernel refused to change or move the packet."
    NO_UPLINK = 29, "The packet is for the wire of a VLAN network, and this host has no uplink that works."
    IDLE_UPLINK = 30, "The frame entered by an uplink that is not the active one; the other brings it too."
    NOT_ASKED = 31, "A question or answer about neighbours on the wire, for nobody of this host."
