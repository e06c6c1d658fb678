"""Two hosts on a trunk, containers of a VLAN on both, and a foreign device there: all of them namespaces."""

import socket
import struct
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from isthmus.core.datapath import (
    DatapathId,
    DirectoryEntry,
    Flood,
    Here,
    KernelObject,
    KnownNetwork,
    Leg,
    Uplink,
    container_link_name,
    vlan_datapath_id,
)
from isthmus.core.model import Encap, Tag
from isthmus.edge.kernel.build import compile_one
from tests.edge.kernel_hosts import HOME, Host, Netns, address, address_v6, entries, leg, own_bpffs, run

VLAN = 112
VLAN_NET = vlan_datapath_id(VLAN)
DEVICE = 9  # the foreign device's number, in its addresses
_ACCESS_PORT = Path(__file__).parents[1] / "lab" / "access_port.bpf.c"
_ETH_P_ALL = 3
_SOL_PACKET, _PACKET_AUXDATA = 263, 8
_TP_STATUS_VLAN_VALID = 0x10


def vlan_leg(i: int) -> Leg:
    """Container `i`'s leg into the VLAN."""
    here = leg(i)
    return Leg(here.endpoint, VLAN_NET, here.mac, here.addresses, 1500)


def vlan_desired(host: int, *uplinks: Uplink, network: DatapathId = VLAN_NET) -> frozenset[KernelObject]:
    """What a host of the trunk holds; `uplinks` are eth2 unless said otherwise."""
    legs = [vlan_leg(i) for i in HOME if HOME[i] == host]
    places = [each for i in HOME for each in entries(i, host) if isinstance(each, DirectoryEntry)]
    flood = Flood(network, tuple(sorted(each.endpoint for each in legs)))
    known = KnownNetwork(network, Encap.VLAN, Tag(VLAN))
    directory = [DirectoryEntry(network, each.address, each.mac, each.place) for each in places]
    assert any(isinstance(each.place, Here) for each in directory)
    return frozenset([*(uplinks or [Uplink("eth2", True)]), known, flood, *legs, *directory])


class Trunk:
    """The trunk is a bridge of its own namespace; all of it is unmade, in turn, by the stack."""

    def __init__(self, directory: Path, stack: ExitStack) -> None:
        self._stack = stack
        self.switch = self._netns()
        self.switch.ip("link add trunk type bridge mcast_snooping 0")
        self.switch.ip("link set trunk up")
        self.hosts = [self._host(directory / str(i), i) for i in range(2)]
        self.device = self._netns()
        self.plug(self.device, "eth2", "device")
        self._tag_device(compile_one(_ACCESS_PORT, directory))
        self.containers = {i: self._join(i) for i in HOME}

    def _netns(self) -> Netns:
        made = Netns()
        self._stack.callback(run, f"ip netns del {made.name}")
        return made

    def _host(self, bpffs: Path, number: int) -> Host:
        self._stack.enter_context(own_bpffs(bpffs))
        host = Host(bpffs)
        self._stack.callback(run, f"ip netns del {host.netns.name}")
        self._stack.callback(host.close)
        self.plug(host.netns, "eth2", f"host{number}")
        host.netns.ip(f"addr add 192.168.3.1{number}/24 dev eth2")
        host.reach(vlan_desired(number))
        return host

    def plug(self, netns: Netns, name: str, port: str) -> None:
        """Join a namespace to the trunk, and wait until the switch forwards there."""
        netns.ip(f"link add {name} type veth peer name {port} netns {self.switch.name}")
        netns.ip(f"link set {name} up")
        self.switch.ip(f"link set {port} master trunk up")
        end = time.monotonic() + 5
        while "state forwarding" not in self.switch.ip(f"-d link show dev {port}"):
            assert time.monotonic() < end
            time.sleep(0.02)

    def _tag_device(self, programs: Path) -> None:
        """The device's second cable is in the VLAN; its first one carries what it likes."""
        self.plug(self.device, "vlan", "device-vlan")
        inside = f"ip netns exec {self.device.name} tc"
        run(f"{inside} qdisc add dev vlan clsact")
        for side in ("egress", "ingress"):
            run(f"{inside} filter add dev vlan {side} bpf direct-action object-file {programs} section tc/{side}")
        self.device.ip(f"addr add {address(DEVICE)}/24 dev vlan")
        self.device.ip(f"addr add {address_v6(DEVICE)}/64 dev vlan nodad")

    def _join(self, i: int) -> Netns:
        container, host = self._netns(), self.hosts[HOME[i]].netns
        host.ip(f"link set {container_link_name(leg(i).endpoint)} netns {container.name} name eth0")
        container.ip("link set eth0 up")
        container.ip(f"addr add {address(i)}/24 dev eth0")
        container.ip(f"addr add {address_v6(i)}/64 dev eth0 nodad")
        return container


class Capture:
    """Frames that a link of a namespace carries, with the tag that the kernel keeps beside each."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock

    def frames(self, *, quiet_s: float = 0.3) -> list[tuple[int | None, bytes]]:
        """What has come since, until nothing does for a while."""
        found, end = [], time.monotonic() + 5
        self._socket.settimeout(quiet_s)
        while time.monotonic() < end:
            try:
                frame, told, _, _ = self._socket.recvmsg(1 << 16, 256)
            except TimeoutError:
                break
            found.append((_tag(told), frame))
        return found


def _tag(told: list[tuple[int, int, bytes]]) -> int | None:
    for level, kind, raw in told:
        if (level, kind) == (_SOL_PACKET, _PACKET_AUXDATA):
            status, *_, tci, _ = struct.unpack("=IIIHHHH", raw[:20])
            return tci & 0xFFF if status & _TP_STATUS_VLAN_VALID else None
    return None


@contextmanager
def captured(netns: Netns, link: str) -> Iterator[Capture]:
    """Capture what a link carries from now on."""
    with netns.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL)) as sock:
        sock.bind((link, _ETH_P_ALL))
        sock.setsockopt(_SOL_PACKET, _PACKET_AUXDATA, 1)
        yield Capture(sock)
