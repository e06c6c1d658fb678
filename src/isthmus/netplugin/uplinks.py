"""Watches the devices of the trunk: which are there, and which one VLAN networks leave and enter by."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from structlog.typing import FilteringBoundLogger

from isthmus.core.desired import Seat
from isthmus.core.errors import EdgeError
from isthmus.edge.kernel import Kernel, Link

_RETRY_S = 1.0
_POLL_S = 0.25  # a cable that is pulled is noticed within it


@dataclass(frozen=True, slots=True)
class Trunk:
    """The devices that are there, in the operator's order, and the active one of them.

    `problems` are by device, in an operator's words.
    """

    devices: tuple[str, ...] = ()
    active: str | None = None
    mtu_bytes: int = 1500
    problems: Mapping[str, str] = field(default_factory=dict)


def trunk(names: Sequence[str], links: Mapping[str, Link], before: Trunk) -> Trunk:
    """What the operator's uplinks are good for now; the active one stays so for as long as it works."""
    devices = tuple(name for name in names if name in links)
    running = [name for name in devices if links[name].is_running]
    active = before.active if before.active in running else next(iter(running), None)
    mtu_bytes = min((links[name].mtu_bytes for name in devices), default=before.mtu_bytes)
    told = {f"uplink {name}": _problem(links.get(name)) for name in names}
    return Trunk(devices, active, mtu_bytes, {title: text for title, text in told.items() if text})


def _problem(link: Link | None) -> str:
    if link is None:
        return "there is no such device"
    if not link.is_up:
        return "the device is down"
    return "" if link.is_running else "the device has no carrier: is its cable plugged in?"


def seated(seat: Seat, now: Trunk) -> Seat:
    """The node's place with these uplinks."""
    return replace(seat, uplinks=now.devices, active_uplink=now.active, uplink_mtu_bytes=now.mtu_bytes)


class Uplinks:
    """Looks at the uplinks for as long as it runs; where none are named it has nothing to do."""

    def __init__(self, kernel: Kernel, names: tuple[str, ...], log: FilteringBoundLogger) -> None:
        self._kernel = kernel
        self._names = names
        self._log = log
        self._now = Trunk()

    @property
    def problems(self) -> Mapping[str, str]:
        """By device, why it is no use."""
        return self._now.problems

    async def seat(self, seat: Seat) -> Seat:
        """The node's place with the uplinks as they are at this moment."""
        self._now = trunk(self._names, await self._kernel.links_of(self._names), self._now)
        return seated(seat, self._now)

    async def run(self, seat: Seat, reseat: Callable[[Seat], None]) -> None:
        """Tell of every change, for ever."""
        while self._names:
            await asyncio.sleep(_POLL_S)
            before = self._now
            try:
                changed = await self.seat(seat)
            except EdgeError as error:
                self._log.warning("the uplinks cannot be read; will retry", reason=str(error))
                await asyncio.sleep(_RETRY_S)
                continue
            if self._now != before:
                self._tell(before)
                reseat(changed)

    def _tell(self, before: Trunk) -> None:
        now = self._now
        if now.active != before.active:
            self._log.warning("VLAN networks use another uplink", uplink=now.active, before=before.active)
        for title in before.problems.keys() ^ now.problems.keys():
            self._log.warning(title, state=now.problems.get(title, "works again"))
