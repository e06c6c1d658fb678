"""Words spoken to all and to a group, and heard."""

import socket
import struct

from tests.edge.kernel_hosts import Netns

GROUP, BROADCAST = "239.1.2.3", "10.1.0.255"
_PORT = 5001
_ANY = bytes(4)


def listening(netns: Netns, link: str) -> socket.socket:
    """A socket that hears what is for all, and has joined the group."""

    def listen() -> socket.socket:
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.bind(("", _PORT))
        membership = struct.pack("4s4si", socket.inet_aton(GROUP), _ANY, socket.if_nametoindex(link))
        made.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
        return made

    return netns.call(listen)


def say(netns: Netns, link: str, word: bytes, target: str) -> None:
    """Say a word once to all or to the group."""

    def send() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            way = struct.pack("4s4si", _ANY, _ANY, socket.if_nametoindex(link))
            sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, way)
            sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 0)
            sender.sendto(word, (target, _PORT))

    netns.call(send)


def is_heard_once(ear: socket.socket, word: bytes) -> bool:
    """Whether a word is heard, and not a second time."""
    ear.settimeout(2)
    if ear.recv(100) != word:
        return False
    ear.settimeout(0.1)
    try:
        ear.recv(100)
    except TimeoutError:
        return True
    return False
