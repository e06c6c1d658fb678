"""libbpf.so.1 by ctypes: objects opened, filled, pinned and loaded; maps read and written; test runs."""

import ctypes
import errno
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ctypes import POINTER, byref, c_bool, c_char_p, c_int, c_size_t, c_uint32, c_uint64, c_void_p
from dataclasses import dataclass
from pathlib import Path

from isthmus.core.errors import KernelRefusedError

_LOG_LINES = 40  # of the verifier's; the last ones hold the reason
_LOG_INFO = 1  # LIBBPF_INFO; debug is above
_BATCH = 4096
_BATCH_BYTES = 1 << 20
_PERCPU_TYPES = (5, 10)  # BPF_MAP_TYPE_PERCPU_HASH, BPF_MAP_TYPE_LRU_PERCPU_HASH

_SIGNATURES: dict[str, tuple[type | None, list[type]]] = {
    "bpf_object__open_file": (c_void_p, [c_char_p, c_void_p]),
    "bpf_object__load": (c_int, [c_void_p]),
    "bpf_object__close": (None, [c_void_p]),
    "bpf_object__next_map": (c_void_p, [c_void_p, c_void_p]),
    "bpf_object__next_program": (c_void_p, [c_void_p, c_void_p]),
    "bpf_map__name": (c_char_p, [c_void_p]),
    "bpf_map__fd": (c_int, [c_void_p]),
    "bpf_map__is_internal": (c_bool, [c_void_p]),
    "bpf_map__set_pin_path": (c_int, [c_void_p, c_char_p]),
    "bpf_map__initial_value": (c_void_p, [c_void_p, POINTER(c_size_t)]),
    "bpf_program__name": (c_char_p, [c_void_p]),
    "bpf_program__fd": (c_int, [c_void_p]),
    "bpf_map_update_elem": (c_int, [c_int, c_char_p, c_char_p, c_uint64]),
    "bpf_map_lookup_elem": (c_int, [c_int, c_char_p, c_char_p]),
    "bpf_map_delete_elem": (c_int, [c_int, c_char_p]),
    "bpf_map_lookup_batch": (c_int, [c_int] + [c_void_p] * 6),
    "bpf_obj_pin": (c_int, [c_int, c_char_p]),
    "bpf_obj_get_info_by_fd": (c_int, [c_int, c_void_p, POINTER(c_uint32)]),
    "bpf_prog_test_run_opts": (c_int, [c_int, c_void_p]),
    "libbpf_num_possible_cpus": (c_int, []),
}


class _MapInfo(ctypes.Structure):
    _fields_ = [(name, c_uint32) for name in ("type", "id", "key_bytes", "value_bytes", "max_entries")]


class _TestRun(ctypes.Structure):
    """`struct bpf_test_run_opts`."""

    _fields_ = [
        ("sz", c_size_t),
        ("data_in", c_void_p),
        ("data_out", c_void_p),
        ("data_size_in", c_uint32),
        ("data_size_out", c_uint32),
        ("ctx_in", c_void_p),
        ("ctx_out", c_void_p),
        ("ctx_size_in", c_uint32),
        ("ctx_size_out", c_uint32),
        ("retval", c_uint32),
        ("repeat", c_int),
        ("duration", c_uint32),
        ("flags", c_uint32),
        ("cpu", c_uint32),
        ("batch_size", c_uint32),
    ]


class Library:
    """The shared library, its functions typed and its log kept for the next error."""

    def __init__(self) -> None:
        try:
            self.so = ctypes.CDLL("libbpf.so.1", use_errno=True)
        except OSError as error:
            raise KernelRefusedError(errno.ENOENT, "libbpf.so.1 is missing: apt-get install libbpf1") from error
        for name, (result, arguments) in _SIGNATURES.items():
            function = getattr(self.so, name)
            function.restype, function.argtypes = result, arguments
        self.lock = threading.Lock()  # the log is one for the whole process
        self._log: list[str] = []
        self._vsnprintf = ctypes.CDLL(None).vsnprintf
        self._keep = ctypes.CFUNCTYPE(c_int, c_int, c_char_p, c_void_p)(self._hear)
        self.so.libbpf_set_print(self._keep)

    def _hear(self, level: int, form: bytes, arguments: int) -> int:
        if level > _LOG_INFO:
            return 0
        line = ctypes.create_string_buffer(65536)
        self._vsnprintf(line, c_size_t(len(line)), form, c_void_p(arguments))
        self._log += line.value.decode(errors="replace").splitlines()
        return 0

    @contextmanager
    def fresh_log(self) -> Iterator[None]:
        """Keep what libbpf says within, for its own errors and for no later ones."""
        try:
            yield
        finally:
            self._log.clear()

    def check(self, result: int, asked: str) -> int:
        """Pass a result on.

        Raises:
            KernelRefusedError: it is negative; the text is what was asked and the end of the log.
        """
        if result >= 0:
            return result
        raise KernelRefusedError(-result, "\n".join([asked, *self._log[-_LOG_LINES:]]))


@dataclass(frozen=True, slots=True)
class Map:
    """A map by its file descriptor, which whoever opened it closes."""

    library: Library
    name: str
    id: int  # the kernel's own; a map made anew has another
    fd: int
    key_bytes: int
    value_bytes: int  # of all CPUs together where the map is per CPU
    max_entries: int

    def put(self, key: bytes, value: bytes) -> None:
        """Write a row, there or not."""
        asked = f"write to map {self.name} of {self.max_entries} rows"
        self.library.check(self.library.so.bpf_map_update_elem(self.fd, key, value, 0), asked)

    def get(self, key: bytes) -> bytes | None:
        """A row's value."""
        value = ctypes.create_string_buffer(self.value_bytes)
        result = self.library.so.bpf_map_lookup_elem(self.fd, key, value)
        if result == -errno.ENOENT:
            return None
        self.library.check(result, f"read map {self.name}")
        return value.raw

    def remove(self, key: bytes) -> None:
        """Delete a row; one that is gone is no error."""
        result = self.library.so.bpf_map_delete_elem(self.fd, key)
        if result != -errno.ENOENT:
            self.library.check(result, f"delete a row of map {self.name}")

    def rows(self) -> Iterator[tuple[bytes, bytes]]:
        """All rows, by batches; a row that changes meanwhile is seen as before or as after."""
        for keys, values in self._batches():
            yield from self.split(keys, values)

    def image(self) -> tuple[bytes, bytes]:
        """All keys and all values, in the kernel's order: the same for as long as no row changes."""
        batches = list(self._batches())
        return b"".join(keys for keys, _ in batches), b"".join(values for _, values in batches)

    def split(self, keys: bytes, values: bytes) -> Iterator[tuple[bytes, bytes]]:
        """The rows of an image."""
        return zip(_cut(keys, self.key_bytes), _cut(values, self.value_bytes), strict=True)

    def _batches(self) -> Iterator[tuple[bytes, bytes]]:
        batch = min(_BATCH, _BATCH_BYTES // self.value_bytes)
        keys = ctypes.create_string_buffer(batch * self.key_bytes)
        values = ctypes.create_string_buffer(batch * self.value_bytes)
        cursor, count, at = ctypes.create_string_buffer(64), c_uint32(), None
        ends = False
        while not ends:
            count.value = batch
            result = self.library.so.bpf_map_lookup_batch(self.fd, at, cursor, keys, values, byref(count), None)
            ends = result == -errno.ENOENT
            if not ends:
                self.library.check(result, f"read map {self.name}")
            at = cursor
            yield keys.raw[: count.value * self.key_bytes], values.raw[: count.value * self.value_bytes]

    def pin(self, path: Path) -> None:
        """Keep the map under a path of a BPF file system, whatever is there."""
        path.unlink(missing_ok=True)
        self.library.check(self.library.so.bpf_obj_pin(self.fd, os.fsencode(path)), f"pin map {self.name} at {path}")


def _cut(whole: bytes, size: int) -> list[bytes]:
    return [whole[at : at + size] for at in range(0, len(whole), size)]


class LoadedObject:
    """An object in the kernel: its maps and its programs' file descriptors, until `close`."""

    def __init__(self, library: Library, handle: int) -> None:
        self._library = library
        self._handle = handle
        so = library.so
        self.programs = {
            so.bpf_program__name(each).decode(): so.bpf_program__fd(each)
            for each in _each(handle, so.bpf_object__next_program)
        }
        self.maps = {
            so.bpf_map__name(each).decode(): _open_map(library, each)
            for each in _each(handle, so.bpf_object__next_map)
            if not so.bpf_map__is_internal(each)
        }

    def close(self) -> None:
        """Let go; what is pinned or attached stays."""
        self._library.so.bpf_object__close(self._handle)


def load(library: Library, path: Path, settings: bytes, pins: Path) -> LoadedObject:
    """Load an object with these settings, its maps shared by name with whoever pinned them under `pins`.

    Raises:
        KernelRefusedError: with libbpf's and the verifier's own words.
    """
    with library.lock, library.fresh_log():
        handle = library.so.bpf_object__open_file(os.fsencode(path), None)
        if not handle:
            library.check(-ctypes.get_errno(), f"open {path.name}")
        try:
            _prepare_maps(library, handle, settings, pins)
            library.check(library.so.bpf_object__load(handle), f"load {path.name}")
            return LoadedObject(library, handle)
        except BaseException:
            library.so.bpf_object__close(handle)
            raise


def _prepare_maps(library: Library, handle: int, settings: bytes, pins: Path) -> None:
    so = library.so
    for each in _each(handle, so.bpf_object__next_map):
        name = so.bpf_map__name(each).decode()
        if name.endswith(".rodata"):
            _fill(library, each, settings)
        elif not so.bpf_map__is_internal(each):
            library.check(so.bpf_map__set_pin_path(each, os.fsencode(pins / name)), f"pin map {name}")


def _fill(library: Library, rodata: int, settings: bytes) -> None:
    size = c_size_t()
    start = library.so.bpf_map__initial_value(rodata, byref(size))
    if size.value != len(settings):
        asked = f"set {len(settings)} bytes of settings where the object has {size.value}: rebuild it"
        raise KernelRefusedError(errno.EINVAL, asked)
    ctypes.memmove(start, settings, len(settings))


def _each(handle: int, step: Callable[[int, int | None], int | None]) -> Iterator[int]:
    each = step(handle, None)
    while each:
        yield each
        each = step(handle, each)


def _open_map(library: Library, each: int) -> Map:
    so = library.so
    name, fd = so.bpf_map__name(each).decode(), so.bpf_map__fd(each)
    info, size = _MapInfo(), c_uint32(ctypes.sizeof(_MapInfo))
    library.check(so.bpf_obj_get_info_by_fd(fd, byref(info), byref(size)), f"describe map {name}")
    is_per_cpu = info.type in _PERCPU_TYPES
    # The kernel pads each CPU's value to eight bytes.
    padded = (info.value_bytes + 7) // 8 * 8
    value_bytes = padded * so.libbpf_num_possible_cpus() if is_per_cpu else info.value_bytes
    return Map(library, name, info.id, fd, info.key_bytes, value_bytes, info.max_entries)


@dataclass(frozen=True, slots=True)
class TestRun:
    """What a program made of a packet: the tc verdict, and the packet after it."""

    __test__ = False  # the name is the kernel's; pytest would collect it

    verdict: int
    packet: bytes


def test_run(library: Library, program: int, packet: bytes, context: bytes) -> TestRun:
    """Run a program once on a packet; `context` is the `struct __sk_buff` to start with."""
    incoming = ctypes.create_string_buffer(packet, len(packet))
    outgoing = ctypes.create_string_buffer(len(packet) + 256)
    sk_buff = ctypes.create_string_buffer(context, len(context))
    options = _TestRun(sz=ctypes.sizeof(_TestRun), repeat=1)
    options.data_in, options.data_size_in = ctypes.addressof(incoming), len(packet)
    options.data_out, options.data_size_out = ctypes.addressof(outgoing), len(outgoing)
    options.ctx_in, options.ctx_size_in = ctypes.addressof(sk_buff), len(context)
    library.check(library.so.bpf_prog_test_run_opts(program, byref(options)), "test a program")
    return TestRun(options.retval, outgoing.raw[: options.data_size_out])


test_run.__test__ = False  # type: ignore[attr-defined]
