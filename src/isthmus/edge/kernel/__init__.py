"""The kernel: links and filters by netlink, programs and maps by bpf(2)."""

from isthmus.edge.kernel.kernel import Kernel
from isthmus.edge.kernel.links import Link
from isthmus.edge.kernel.tables import Drops
from isthmus.wire.maps import Traffic

__all__ = ["Drops", "Kernel", "Link", "Traffic"]
