"""The loaded programs and their maps, and where they are attached."""

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from isthmus.core.datapath import host_link_name
from isthmus.core.errors import KernelRefusedError
from isthmus.core.model import EndpointId
from isthmus.edge.kernel.libbpf import Library
from isthmus.edge.kernel.links import Link, Links, Side
from isthmus.edge.kernel.programs import FROM_CONTAINER, FROM_UPLINK, has_same_tables, load_programs
from isthmus.edge.kernel.tables import Tables
from isthmus.wire.maps import LAYOUT, Settings

_HOST_LINK_PREFIX = host_link_name(EndpointId(""))
_LAYOUT_NAME = re.compile(r"v[0-9]+")


class Datapath:
    """Programs in the kernel, replaced as a whole by `reload`; the tables are the same before and after.

    What a build with other tables left on a device stays there, and works, until `switch`: this build's own tables
    may be empty so far. Until then it counts as ours and whole.
    """

    def __init__(self, bpffs: Path, links: Links, settings: Settings) -> None:
        self.links = links
        self.library = Library()
        self._pins = bpffs / "isthmus" / f"v{LAYOUT}"
        self._kept: dict[tuple[int, Side], str] = {}  # where another build's program stays until the switch
        with _pinning(self._pins):
            self._pins.mkdir(parents=True, exist_ok=True)
        self.programs = load_programs(self.library, settings, self._pins)
        self.tables = Tables(self.programs.maps)
        self._pinned = self._find_pins()

    async def reload(self, settings: Settings) -> None:
        """Load this build's programs with other settings and put them on every leg and uplink, under traffic."""
        self.mend_pins()  # or the programs would get maps of their own, and empty ones
        before = self.programs
        self.programs = load_programs(self.library, settings, self._pins)
        self.tables.follow(self.programs.maps)
        before.close()
        await self.renew_all()

    async def renew_all(self) -> None:
        """Renew whatever of ours is on a leg or on an uplink."""
        for link in await self.links.all():
            if is_host_link(link):
                await self.renew(link.index, Side.INGRESS, FROM_CONTAINER)
            else:
                await self.renew(link.index, Side.TRUNK, FROM_UPLINK)

    async def renew(self, index: int, side: Side, name: str) -> None:
        """Put this build's program in the place of an earlier one: now if they share tables, else at the switch."""
        running = await self.links.label_at(index, side)
        if running is None:
            return
        if has_same_tables(running, self.programs[name].label):
            await self._replace(index, side, name)
        else:
            self._kept[index, side] = name

    async def attach(self, index: int, side: Side, name: str) -> None:
        """Put this build's program on a device, whatever of ours is there."""
        await self.links.attach(index, side, self.programs[name])
        self._kept.pop((index, side), None)

    async def detach(self, index: int, side: Side) -> None:
        """Take our program off a device."""
        await self.links.detach(index, side)
        self._kept.pop((index, side), None)

    def is_kept(self, index: int, side: Side) -> bool:
        """Whether another build's program does the work there until the switch."""
        return (index, side) in self._kept

    async def is_served(self, index: int, side: Side, name: str) -> bool:
        """Whether this build's program is there, or another's until the switch."""
        label = await self.links.label_at(index, side)
        return label == self.programs[name].label or (label is not None and self.is_kept(index, side))

    async def switch(self) -> int:
        """Replace what other builds left, now that our tables are full, then drop their pins; return how many.

        Raises:
            KernelRefusedError: a program cannot be replaced; the others are, and all pins stay.
        """
        kept, refusals = dict(self._kept), list[KernelRefusedError]()
        for (index, side), name in kept.items():
            try:
                await self._replace(index, side, name)
            except KernelRefusedError as error:
                refusals.append(error)
        if refusals:
            raise refusals[0]
        self._remove_other_layouts()
        return len(kept)

    async def _replace(self, index: int, side: Side, name: str) -> None:
        try:
            await self.attach(index, side, name)
        except KernelRefusedError as error:
            if error.errno != errno.ENODEV:
                raise
            self._kept.pop((index, side), None)  # its sandbox took the device with it

    def mend_pins(self) -> int:
        """Pin again whatever map is not at its path any more, or something else is; return how many."""
        there = self._find_pins()
        missing = [each for name, each in self.programs.maps.items() if there.get(name) != self._pinned.get(name)]
        if missing:
            with _pinning(self._pins):
                self._pins.mkdir(parents=True, exist_ok=True)
                for each in missing:
                    each.pin(self._pins / each.name)
            self._pinned = self._find_pins()
        return len(missing)

    def _find_pins(self) -> dict[str, tuple[int, int]]:
        found = {}
        for name in self.programs.maps:
            with suppress(OSError):  # it is gone, or the way to it
                status = (self._pins / name).stat()
                found[name] = (status.st_dev, status.st_ino)
        return found

    def _remove_other_layouts(self) -> None:
        for directory in self._pins.parent.glob("v*"):
            if directory != self._pins and _LAYOUT_NAME.fullmatch(directory.name):
                with _pinning(directory):
                    for pin in directory.iterdir():
                        pin.unlink()
                    directory.rmdir()

    def close(self) -> None:
        """Let go of programs and maps; what is attached and pinned stays."""
        self.programs.close()


def is_host_link(link: Link) -> bool:
    """Whether a link is the host's end of an endpoint's veth."""
    return link.kind == "veth" and link.name.startswith(_HOST_LINK_PREFIX)


@contextmanager
def _pinning(pins: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        asked = f"change {pins}: is a BPF file system mounted there? `mount -t bpf bpf {pins.parents[1]}`"
        raise KernelRefusedError(error.errno or errno.EIO, asked) from error
