"""The programs in the kernel, fed by BPF_PROG_TEST_RUN in a network namespace and a BPF file system of their own."""

import ctypes
import os
import struct
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from isthmus.core.datapath import (
    DirectoryEntry,
    Flood,
    Here,
    KernelObject,
    KnownNetwork,
    KnownVtep,
    Leg,
    Underlay,
    Uplink,
)
from isthmus.core.model import EndpointId
from isthmus.core.trace import (
    Answer,
    Arrival,
    Copy,
    Deliver,
    Drop,
    DropReason,
    Encapsulate,
    FromContainer,
    FromOverlay,
    FromUnderlay,
    FromUplink,
    PassToKernel,
    Tag,
    ToUnderlay,
    Verdict,
)
from isthmus.edge.kernel.build import compile_one
from isthmus.edge.kernel.libbpf import Library, LoadedObject, TestRun, load, test_run
from isthmus.edge.kernel.programs import NAMES, object_path
from isthmus.edge.kernel.tables import Tables
from isthmus.wire.maps import Identity, Place, PlaceKey, Settings, pack_number, pack_settings, parse_verdict
from tests.bpf.packets import HOST, WIRED, A, P

_CLONE_NEWNET = 0x40000000
_LO = 1  # the device of every packet of a test run
_ELSEWHERE = 4242  # an interface without an endpoint
_UPLINK, _IDLE = 88, 89
_VOUCHED = 0xC5
_NOWHERE = IPv4Address(0)
_TC_UNSPEC, _TC_SHOT, _TC_STOLEN, _TC_REDIRECT = 0xFFFFFFFF, 2, 4, 7


@contextmanager
def _own_network() -> Iterator[None]:
    libc = ctypes.CDLL(None, use_errno=True)
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        assert libc.unshare(_CLONE_NEWNET) == 0
        yield
    finally:
        assert libc.setns(before, _CLONE_NEWNET) == 0
        os.close(before)


@contextmanager
def _bpffs(path: Path) -> Iterator[Path]:
    subprocess.run(["mount", "-t", "bpf", "bpf", path], check=True)
    try:
        yield path
    finally:
        subprocess.run(["umount", path], check=True)


class Rig:
    """One host's datapath. The endpoint of a `FromContainer` must be the one given to `hold` as `sender`."""

    def __init__(self, library: Library, pins: Path, harness: dict[str, Path], underlay: Underlay | None) -> None:
        self._library = library
        settings = Settings(records_verdicts=True)
        if underlay:
            settings = Settings(77, underlay.vtep, underlay.port, underlay.fast_receive, True)
        paths = {name: object_path(name) for name in NAMES} | harness
        self._objects: dict[str, LoadedObject] = {}
        for name, path in paths.items():
            self._objects[name] = load(library, path, pack_settings(settings), pins)
        self.maps = self._objects["from_container"].maps
        self.tables = Tables(self.maps)
        self._interfaces: dict[EndpointId, int] = {}

    def close(self) -> None:
        """Let go of the programs."""
        for each in self._objects.values():
            each.close()

    def hold(self, objects: Iterable[KernelObject], sender: EndpointId) -> None:
        """Fill the tables."""
        everything = list(objects)
        legs = [each for each in everything if isinstance(each, Leg)]
        self._interfaces = {leg.endpoint: 60 + i for i, leg in enumerate(legs)} | {sender: _LO}
        for each in everything:
            self._put(each)

    def _put(self, each: KernelObject) -> None:
        match each:
            case KnownNetwork():
                self.tables.put_network(each)
            case KnownVtep(address):
                self.tables.put_vtep(address)
            case Leg(endpoint, network, mac, addresses):
                ifindex = self._interfaces[endpoint]
                self.tables.put_identity(ifindex, Identity(endpoint, network, mac, addresses))
            case DirectoryEntry(network, address):
                self.tables.put_place(PlaceKey(network, address), self._place(each))
            case Flood(_, endpoints):
                self.tables.put_flood(each, [self._interfaces.get(member, _ELSEWHERE) for member in endpoints])
            case Uplink():
                self.tables.put_uplink(_UPLINK)
            case Underlay():
                pass  # settings, given when the programs were loaded

    def _place(self, entry: DirectoryEntry) -> Place:
        if isinstance(entry.place, Here):
            return Place(self._interfaces.get(entry.place.endpoint, _ELSEWHERE), _NOWHERE, entry.mac)
        return Place(0, entry.place.vtep, entry.mac)

    def run(self, arrival: Arrival) -> Verdict:
        """How the programs end this packet's way."""
        match arrival:
            case FromContainer(_, frame):
                return self._verdict(self._run("from_container", frame))
            case FromUnderlay(frame):
                return self._verdict(self._run("from_underlay", frame))
            case FromOverlay(frame, vtep, vni, is_vouched):
                sender = int(vtep) if vtep else 0
                return self._verdict(self._run("from_tunnel", frame, (sender, vni), is_vouched=is_vouched))
            case FromUplink():
                return self._verdict(self._run_uplink(arrival))
            case ToUnderlay(frame, is_vouched):
                return self._verdict(self._run("to_underlay", frame, is_vouched=is_vouched))

    def _run(self, name: str, frame: bytes, cb: tuple[int, int] = (0, 0), *, is_vouched: bool = False) -> TestRun:
        # struct __sk_buff: the mark at 8, cb at 48.
        context = struct.pack("<8xI36xII", _VOUCHED if is_vouched else 0, *cb).ljust(192, b"\0")
        program = self._objects[name].programs[name]
        return test_run(self._library, program, frame, context)

    def _run_uplink(self, arrival: FromUplink) -> TestRun:
        before = self.tables.uplink()
        self.tables.put_uplink(_LO if arrival.is_active and before else _IDLE)
        try:
            tag = (0, 0) if arrival.vlan is None else (0x8100, arrival.vlan)
            return self._run("from_trunk", arrival.frame, tag)
        finally:
            self.tables.put_uplink(before) if before else self.tables.remove_uplink()

    def _verdict(self, run: TestRun) -> Verdict:
        raw = self.maps["verdicts"].get(pack_number(0))
        assert raw
        last = parse_verdict(raw)
        names = {ifindex: endpoint for endpoint, ifindex in self._interfaces.items()}
        verdicts: dict[int, tuple[int, Verdict]] = {
            1: (_TC_UNSPEC, PassToKernel()),
            2: (_TC_REDIRECT, Deliver(names.get(last.ifindex, EndpointId("")), run.packet)),
            3: (_TC_REDIRECT, Encapsulate(last.vtep, last.vni)),
            4: (_TC_REDIRECT, Answer(run.packet)),
            6: (_TC_REDIRECT, Tag(last.vni)),
            7: (_TC_STOLEN, Copy(last.vni)),
        }
        if last.kind == 5:
            assert run.verdict == _TC_SHOT
            return Drop(DropReason(last.reason))
        code, verdict = verdicts[last.kind]
        assert last.kind != 6 or last.ifindex == _UPLINK
        assert run.verdict == code
        return verdict

    def lost(self, reason: DropReason) -> int:
        """The packets that the sender's device lost for a reason."""
        found = [each.packets for each in self.tables.drops() if (each.ifindex, each.reason) == (_LO, reason)]
        return sum(found)


@pytest.fixture(scope="session")
def harness(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """What plays the kernel's part before a program runs, compiled."""
    place = tmp_path_factory.mktemp("harness")
    sources = [Path(__file__).with_name(f"{name}.bpf.c") for name in ("from_tunnel", "from_trunk")]
    return {source.name.split(".")[0]: compile_one(source, place) for source in sources}


class Rigs:
    """Makes rigs, each with maps of its own, and ends them."""

    def __init__(self, root: Path, harness: dict[str, Path], stack: ExitStack) -> None:
        self._root, self._harness, self._stack = root, harness, stack
        self._count = 0
        self.library = Library()

    def make(self, objects: Iterable[KernelObject], sender: EndpointId) -> Rig:
        """A rig whose tables hold these objects."""
        everything = list(objects)
        self._count += 1
        mount = self._root / str(self._count)
        mount.mkdir()
        pins = self._stack.enter_context(_bpffs(mount))
        underlay = next((each for each in everything if isinstance(each, Underlay)), None)
        rig = Rig(self.library, pins, self._harness, underlay)
        self._stack.callback(rig.close)
        rig.hold(everything, sender)
        return rig

    def make_slow(self, objects: Iterable[KernelObject], sender: EndpointId) -> Rig:
        """The same without the fast receive."""
        slowed = [replace(each, fast_receive=False) if isinstance(each, Underlay) else each for each in objects]
        return self.make(slowed, sender)


@pytest.fixture(scope="module")
def rigs(tmp_path_factory: pytest.TempPathFactory, harness: dict[str, Path]) -> Iterator[Rigs]:
    """A maker of rigs, in a network namespace of its own."""
    with ExitStack() as stack:
        stack.enter_context(_own_network())
        yield Rigs(tmp_path_factory.mktemp("bpffs"), harness, stack)


@pytest.fixture(scope="module")
def rig(rigs: Rigs) -> Rig:
    """The host of tests.bpf.packets, seen from A."""
    return rigs.make(HOST, A)


@pytest.fixture(scope="module")
def flooded(rigs: Rigs) -> Rig:
    """The host of tests.bpf.packets with floods and an uplink, seen from A."""
    return rigs.make(WIRED, A)


@pytest.fixture(scope="module")
def wired(rigs: Rigs) -> Rig:
    """The same, seen from P."""
    return rigs.make(WIRED, P)
