"""The loaded programs and their maps, and where they are attached."""

import errno
from pathlib import Path

from isthmus.core.datapath import host_link_name
from isthmus.core.errors import KernelRefusedError
from isthmus.core.model import EndpointId
from isthmus.edge.kernel.libbpf import Library
from isthmus.edge.kernel.links import Link, Links, Side
from isthmus.edge.kernel.programs import FROM_CONTAINER, load_programs
from isthmus.edge.kernel.tables import Tables
from isthmus.wire.maps import LAYOUT, Settings

_HOST_LINK_PREFIX = host_link_name(EndpointId(""))


class Datapath:
    """Programs in the kernel, replaced as a whole by `reload`; the tables are the same before and after."""

    def __init__(self, bpffs: Path, links: Links, settings: Settings) -> None:
        self.links = links
        self.library = Library()
        self._pins = bpffs / "isthmus" / f"v{LAYOUT}"
        _make_pin_directory(self._pins)
        self.programs = load_programs(self.library, settings, self._pins)

    @property
    def tables(self) -> Tables:
        """The maps' rows."""
        return Tables(self.programs.maps)

    async def reload(self, settings: Settings) -> None:
        """Load this build's programs with other settings and put them on every leg, under traffic."""
        before = self.programs
        self.programs = load_programs(self.library, settings, self._pins)
        before.close()
        await self.renew_legs()

    async def renew_legs(self) -> None:
        """Put this program in the place of whatever of ours is on a leg."""
        for link in await self.links.all():
            if is_host_link(link) and await self.links.label_at(link.index, Side.INGRESS) is not None:
                await self.links.attach(link.index, Side.INGRESS, self.programs[FROM_CONTAINER])

    def close(self) -> None:
        """Let go of programs and maps; what is attached and pinned stays."""
        self.programs.close()


def is_host_link(link: Link) -> bool:
    """Whether a link is the host's end of an endpoint's veth."""
    return link.kind == "veth" and link.name.startswith(_HOST_LINK_PREFIX)


def _make_pin_directory(pins: Path) -> None:
    try:
        pins.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        asked = f"create {pins}: is a BPF file system mounted there? `mount -t bpf bpf {pins.parents[1]}`"
        raise KernelRefusedError(error.errno or errno.EIO, asked) from error
