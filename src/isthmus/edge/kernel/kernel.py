"""What this kernel holds for us, read and changed in the words of core.datapath."""

import asyncio
from collections.abc import Sequence
from ipaddress import IPv4Address
from pathlib import Path
from typing import assert_never

from isthmus.core.datapath import (
    DirectoryEntry,
    Flood,
    Here,
    KernelObject,
    KnownNetwork,
    KnownVtep,
    Leg,
    There,
    Underlay,
    Uplink,
    host_link_name,
)
from isthmus.core.model import Address, EndpointId
from isthmus.core.reconcile import Step, Verb
from isthmus.edge.kernel.datapath import Datapath, is_host_link
from isthmus.edge.kernel.events import Events
from isthmus.edge.kernel.legs import add_leg, endpoint_of, read_legs, remove_leg, sweep
from isthmus.edge.kernel.links import PRIORITY, TRUNK_PRIORITY, Link, Links, default_source
from isthmus.edge.kernel.plug import plug
from isthmus.edge.kernel.tables import Drops, Tables
from isthmus.edge.kernel.underlay import (
    VXLAN_LINK,
    add_underlay,
    read_underlay,
    remove_underlay,
    renew_underlay,
    settings_left,
)
from isthmus.edge.kernel.uplinks import add_uplink, read_uplinks, remove_uplink
from isthmus.edge.kernel.watch import Watch
from isthmus.wire.maps import Place, PlaceKey, Traffic

_NOWHERE = IPv4Address(0)
_GONE = EndpointId("")  # whose interface is not there any more; differs from every desired place


class Kernel:
    """This network namespace's kernel, between `open` and `close`.

    What was applied stays when the agent ends, however it ends: programs are attached, maps pinned
    under `bpffs`, and the next `open` finds them there.
    """

    def __init__(self, bpffs: Path = Path("/sys/fs/bpf")) -> None:
        self._bpffs = bpffs
        self._turn = asyncio.Lock()
        self._ifindexes: dict[EndpointId, int] = {}

    async def open(self) -> None:
        """Load this build's programs and put them in place of an earlier build's, under traffic.

        An earlier build's that read other tables stay until `switch`.

        Raises:
            KernelRefusedError: no BPF file system, no libbpf, no objects, or the kernel refuses one.
        """
        self._links = Links()
        await self._links.open()
        self._events = Events(frozenset([PRIORITY, TRUNK_PRIORITY]), self._links.port)
        self._watch = Watch(self._events)
        try:
            links = await self._links.all()
            self._datapath = Datapath(self._bpffs, self._links, settings_left(links))
        except BaseException:
            await self._links.close()
            raise
        try:
            self._events.open()
            sweep(self._datapath, links)
            await self._datapath.renew_all()
            await renew_underlay(self._datapath, links)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Let go of the kernel; it holds on to everything that was applied."""
        self._events.close()
        self._datapath.close()
        await self._links.close()

    async def read(self) -> frozenset[KernelObject]:
        """Everything here that is ours."""
        async with self._turn:
            links = await self._links.all()
            sweep(self._datapath, links)
            legs = await read_legs(self._datapath, links)
            underlays = await read_underlay(self._datapath, links)
            self._ifindexes = {endpoint_of(each): each.index for each in links if is_host_link(each)}
            self._watch.keep_legs({self._ifindexes[each.endpoint]: each for each in legs})
            self._watch.keep_parted(each.name for each in links if is_host_link(each) and each.is_parted)
            self._keep_underlay(underlays[0] if underlays else None, links)
            uplinks = await read_uplinks(self._datapath, links)
            self._watch.keep_uplinks({index: uplink.device for index, uplink in uplinks.items()})
            tables = self._datapath.tables
            entries = await asyncio.to_thread(_directory, tables, links)
            rows: list[KernelObject] = [*tables.vteps(), *tables.networks(), *entries, *_floods(tables, links)]
            return frozenset([*underlays, *uplinks.values(), *legs, *rows])

    async def apply(self, step: Step) -> None:
        """Take one step. Adding twice equals adding once; removing what is gone succeeds.

        Raises:
            KernelRefusedError: with the errno, and what was asked.
        """
        async with self._turn:
            if step.verb is Verb.ADD:
                await self._add(step.target)
            else:
                await self._remove(step.target)

    async def stirred(self) -> None:
        """Wait until links, filters or nft tables of this namespace change, ours or not, by whomever."""
        await self._events.stirred.wait()

    async def is_as_left(self) -> bool:
        """Whether no link, filter or table of ours was changed by others since the last time; cheap."""
        async with self._turn:
            return self._watch.is_as_left()

    async def mend_rows(self) -> dict[str, int]:
        """Put back every row and pin that others changed; return how many, by map.

        Maps tell nobody that they changed: this is to be called from time to time.

        Raises:
            KernelRefusedError: no BPF file system is mounted any more, say.
        """
        async with self._turn:
            mended, pins = self._datapath.tables.mend(), self._datapath.mend_pins()
            return mended | ({"pins": pins} if pins else {})

    def claim(self, endpoint: EndpointId) -> None:
        """Let the container's end of a leg be ours to move, as if it had been lost: when the leg is added next."""
        self._watch.keep_parted([host_link_name(endpoint)])

    async def switch(self) -> int:
        """Replace the programs that read other tables than ours, which now hold all that they should.

        Returns how many. Other layouts' pins go with them.

        Raises:
            KernelRefusedError: one cannot be replaced; to be called again.
        """
        async with self._turn:
            return await self._datapath.switch()

    async def _add(self, target: KernelObject) -> None:
        match target:
            case Underlay():
                # Those that have the programs now: somebody may have made others meanwhile.
                overlay, carrier = await add_underlay(self._datapath, target)
                self._watch.keep_underlay(target, overlay, carrier)
            case Uplink():
                self._watch.keep_uplink(await add_uplink(self._datapath, target))
            case Leg(endpoint):
                self._ifindexes[endpoint] = await add_leg(self._datapath, target)
                self._watch.keep_leg(self._ifindexes[endpoint], target)
                if self._watch.was_parted(host_link_name(endpoint)):
                    await plug(self._links, target)
            case KnownVtep() | KnownNetwork() | DirectoryEntry() | Flood():
                await self._put_row(target)
            case _:
                assert_never(target)

    async def _put_row(self, target: KnownVtep | KnownNetwork | DirectoryEntry | Flood) -> None:
        match target:
            case KnownVtep(address):
                self._tables.put_vtep(address)
            case KnownNetwork():
                self._tables.put_network(target)
            case DirectoryEntry():
                self._tables.put_place(_key(target), await self._place(target))
            case Flood(_, endpoints):
                self._tables.put_flood(target, [await self._ifindex_of(each) for each in endpoints])
            case _:
                assert_never(target)

    async def _remove(self, target: KernelObject) -> None:
        match target:
            case Underlay():
                self._watch.keep_underlay(None, None, None)
                await remove_underlay(self._datapath, target)
            case Uplink(device):
                self._watch.forget_uplink(device)
                await remove_uplink(self._datapath, device)
            case Leg(endpoint):
                self._ifindexes.pop(endpoint, None)
                self._watch.forget_leg(host_link_name(endpoint))
                await remove_leg(self._datapath, endpoint)
            case KnownVtep() | KnownNetwork() | DirectoryEntry() | Flood():
                self._remove_row(target)
            case _:
                assert_never(target)

    def _remove_row(self, target: KnownVtep | KnownNetwork | DirectoryEntry | Flood) -> None:
        match target:
            case KnownVtep(address):
                self._tables.remove_vtep(address)
            case KnownNetwork():
                self._tables.remove_network(target)
            case DirectoryEntry():
                self._tables.remove_place(_key(target))
            case Flood(network):
                self._tables.remove_flood(network)
            case _:
                assert_never(target)

    def _keep_underlay(self, underlay: Underlay | None, links: Sequence[Link]) -> None:
        by_name = {each.name: each for each in links}
        carrier = by_name.get(underlay.device) if underlay else None
        self._watch.keep_underlay(underlay, by_name.get(VXLAN_LINK), carrier)

    @property
    def _tables(self) -> Tables:
        return self._datapath.tables

    async def _place(self, entry: DirectoryEntry) -> Place:
        match entry.place:
            case There(vtep):
                return Place(0, vtep, entry.mac)
            case Here(endpoint):
                return Place(await self._ifindex_of(endpoint), _NOWHERE, entry.mac)

    async def _ifindex_of(self, endpoint: EndpointId) -> int:
        if endpoint not in self._ifindexes:
            link = await self._links.find_or_fail(host_link_name(endpoint))
            self._ifindexes[endpoint] = link.index
        return self._ifindexes[endpoint]

    async def link_of_address(self, address: Address) -> str | None:
        """The name of the link that holds an address; None where none does."""
        return await self._links.holder_of(address)

    async def mtu_of(self, link: str) -> int:
        """A link's MTU in bytes.

        Raises:
            KernelRefusedError: ENODEV.
        """
        return (await self._links.find_or_fail(link)).mtu_bytes

    async def links_of(self, names: Sequence[str]) -> dict[str, Link]:
        """Those of these links that are there."""
        found = [await self._links.find(name) for name in names]
        return {each.name: each for each in found if each is not None}

    async def default_address(self) -> IPv4Address | None:
        """The source address of the default route; None where there is none."""
        return default_source()

    async def counters(self) -> dict[EndpointId, Traffic]:
        """What each endpoint sent and received."""
        identities, traffic = self._tables.identities(), self._tables.traffic()
        return {each.endpoint: traffic[i] for i, each in identities.items() if i in traffic}

    async def drops(self) -> list[Drops]:
        """What each device lost, and why."""
        return self._tables.drops()


def _key(entry: DirectoryEntry) -> PlaceKey:
    return PlaceKey(entry.network, entry.address)


def _floods(tables: Tables, links: Sequence[Link]) -> list[Flood]:
    endpoints = {each.index: endpoint_of(each) for each in links if is_host_link(each)}
    return [
        Flood(network, tuple(endpoints.get(ifindex, _GONE) for ifindex in ifindexes), tuple(vteps))
        for network, ifindexes, vteps in tables.floods()
    ]


def _directory(tables: Tables, links: Sequence[Link]) -> list[DirectoryEntry]:
    endpoints = {each.index: endpoint_of(each) for each in links if is_host_link(each)}
    found = []
    for key, place in tables.directory():
        where = Here(endpoints.get(place.ifindex, _GONE)) if place.ifindex else There(place.vtep)
        found.append(DirectoryEntry(key.network, key.address, place.mac, where))
    return found
