"""Two hosts joined by a wire, containers on both: all of them namespaces, with the kernel's edge on each host."""

import asyncio
import ctypes
import itertools
import os
import socket
import subprocess
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack, contextmanager
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Any, TypeVar

from isthmus.core.datapath import (
    DatapathId,
    DirectoryEntry,
    Here,
    KernelObject,
    KnownNetwork,
    KnownVtep,
    Leg,
    There,
    Underlay,
    container_link_name,
)
from isthmus.core.model import Address, Encap, EndpointId, Tag, mac_of
from isthmus.core.reconcile import Step, Verb, steps
from isthmus.core.trace import DropReason
from isthmus.edge.kernel import Kernel

NET, PORT = DatapathId(7), 8472
VTEPS = [IPv4Address("192.168.2.10"), IPv4Address("192.168.2.11")]
HOME = {1: 0, 2: 1, 3: 0}  # container -> host
_CLONE_NEWNET = 0x40000000
_serial = itertools.count()
_T = TypeVar("_T")


def run(command: str) -> str:
    return subprocess.run(command.split(), check=True, capture_output=True, text=True).stdout


class Netns:
    """A network namespace; `call` runs a function on a thread inside."""

    def __init__(self) -> None:
        self.name = f"isk{os.getpid()}-{next(_serial)}"
        run(f"ip netns add {self.name}")
        self.ip("link set lo up")

    def ip(self, command: str) -> str:
        return run(f"ip -n {self.name} {command}")

    def enter(self) -> None:
        with Path("/run/netns", self.name).open() as file:
            assert ctypes.CDLL(None).setns(file.fileno(), _CLONE_NEWNET) == 0

    def call(self, function: Callable[[], _T]) -> _T:
        found: list[_T] = []

        def inside() -> None:
            self.enter()
            found.append(function())

        thread = threading.Thread(target=inside)
        thread.start()
        thread.join()
        return found[0]

    def socket(self, *kind: int) -> socket.socket:
        return self.call(lambda: socket.socket(*kind))

    def ping(self, target: Address, *, size: int = 56, count: int = 5, every_s: float = 0.02) -> int:
        """Replies received."""
        command = f"ip netns exec {self.name} ping -n -q -c {count} -i {every_s} -W 2 -s {size} {target}"
        done = subprocess.run(command.split(), capture_output=True, text=True, check=False)
        return int(done.stdout.split(" packets transmitted, ")[1].split()[0])


class Host:
    """A host: its namespace, its BPF file system, and a kernel edge on a thread there."""

    def __init__(self, bpffs: Path) -> None:
        self.netns = Netns()
        self.bpffs = bpffs
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, daemon=True)  # a kernel that refuses must not hang the run
        self._thread.start()
        self.kernel = Kernel(bpffs)
        self.do(self.kernel.open())

    def _serve(self) -> None:
        self.netns.enter()
        self._loop.run_forever()
        self._loop.close()

    def do(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(60)

    def restart(self) -> None:
        """As after the agent's death: nothing but what the kernel keeps is left."""
        self.do(self.kernel.close())
        self.kernel = Kernel(self.bpffs)
        self.do(self.kernel.open())

    def close(self) -> None:
        self.do(self.kernel.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def add(self, target: KernelObject) -> None:
        self.do(self.kernel.apply(Step(Verb.ADD, target)))

    def remove(self, target: KernelObject) -> None:
        self.do(self.kernel.apply(Step(Verb.REMOVE, target)))

    def reach(self, desired: frozenset[KernelObject]) -> None:
        for step in steps(desired, self.do(self.kernel.read())):
            self.do(self.kernel.apply(step))

    def lost(self, reason: DropReason) -> int:
        return sum(each.packets for each in self.do(self.kernel.drops()) if each.reason is reason)


def address(i: int) -> IPv4Address:
    return IPv4Address(f"10.1.0.{i}")


def address_v6(i: int) -> IPv6Address:
    return IPv6Address(f"fd00::{i}")


def leg(i: int) -> Leg:
    endpoint = EndpointId(f"{i:012x}{os.getpid():052x}")
    return Leg(endpoint, NET, mac_of(address(i)), (address(i), address_v6(i)), 1450)


def entries(i: int, host: int) -> list[KernelObject]:
    place = Here(leg(i).endpoint) if HOME[i] == host else There(VTEPS[HOME[i]])
    return [DirectoryEntry(NET, each, leg(i).mac, place) for each in leg(i).addresses]


def underlay(host: int, *, is_fast: bool = True) -> Underlay:
    return Underlay("eth1", VTEPS[host], PORT, is_fast)


def desired(host: int, *, is_fast: bool = True) -> frozenset[KernelObject]:
    basis: list[KernelObject] = [underlay(host, is_fast=is_fast), KnownNetwork(NET, Encap.VXLAN, Tag(7))]
    legs = [leg(i) for i in HOME if HOME[i] == host]
    return frozenset([*basis, *map(KnownVtep, VTEPS), *legs, *(each for i in HOME for each in entries(i, host))])


@contextmanager
def own_bpffs(path: Path) -> Iterator[Path]:
    path.mkdir()
    run(f"mount -t bpf bpf {path}")
    try:
        yield path
    finally:
        run(f"umount {path}")


class Cluster:
    """Two hosts and three containers; what is made is unmade, in turn, by the stack."""

    def __init__(self, directory: Path, stack: ExitStack) -> None:
        self._stack = stack
        self.hosts = [self._host(directory / str(i)) for i in range(2)]
        self.hosts[0].netns.ip(f"link add eth1 type veth peer name eth1 netns {self.hosts[1].netns.name}")
        for host, vtep in zip(self.hosts, VTEPS, strict=True):
            host.netns.ip(f"addr add {vtep}/24 dev eth1")
            host.netns.ip("link set eth1 up")
        self.containers: dict[int, Netns] = {}

    def _host(self, bpffs: Path) -> Host:
        self._stack.enter_context(own_bpffs(bpffs))
        host = Host(bpffs)
        self._stack.callback(run, f"ip netns del {host.netns.name}")
        self._stack.callback(host.close)
        return host

    def netns(self) -> Netns:
        made = Netns()
        self._stack.callback(run, f"ip netns del {made.name}")
        return made

    def join(self, i: int) -> None:
        """What the engine does with the container's end."""
        self.containers[i] = container = self.netns()
        host = self.hosts[HOME[i]].netns
        host.ip(f"link set {container_link_name(leg(i).endpoint)} netns {container.name} name eth0")
        container.ip("link set eth0 up")
        container.ip(f"addr add {address(i)}/24 dev eth0")
        container.ip(f"addr add {address_v6(i)}/64 dev eth0 nodad")


@contextmanager
def lone_host(tmp_path: Path) -> Iterator[Host]:
    """A host without anything of ours, on a wire that leads nowhere."""
    with ExitStack() as stack:
        stack.enter_context(own_bpffs(tmp_path / "bpffs"))
        host = Host(tmp_path / "bpffs")
        stack.callback(run, f"ip netns del {host.netns.name}")
        stack.callback(host.close)
        host.netns.ip("link add eth1 type veth peer name wire")
        host.netns.ip(f"addr add {VTEPS[0]}/24 dev eth1")
        host.netns.ip("link set eth1 up")
        yield host
