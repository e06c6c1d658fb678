"""Legs: veths with our program at the host's end and a row that says who sends there."""

from collections.abc import Sequence

from isthmus.core.datapath import DatapathId, Leg, container_link_name, host_link_name
from isthmus.core.model import EndpointId, Mac
from isthmus.edge.kernel.datapath import Datapath, is_host_link
from isthmus.edge.kernel.links import Link, Side, silence_ipv6
from isthmus.edge.kernel.programs import FROM_CONTAINER
from isthmus.wire.maps import Identity


def endpoint_of(link: Link) -> EndpointId:
    """Whose link it is: its alias, or what its name tells where its making was cut short."""
    return EndpointId(link.alias or link.name.removeprefix(host_link_name(EndpointId(""))))


async def read_legs(datapath: Datapath, links: Sequence[Link]) -> list[Leg]:
    """The legs whose link, program and row agree.

    A link without the rest is a leg without addresses, to be removed, while its other end is still here.
    Once that is in a sandbox it is none: only its sandbox may end it, and adding the leg repairs it.
    """
    identities = datapath.tables.identities()
    legs = []
    for link in filter(is_host_link, links):
        endpoint, identity = endpoint_of(link), identities.get(link.index)
        has_program = await datapath.is_served(link.index, Side.INGRESS, FROM_CONTAINER)
        if identity and identity.endpoint == endpoint and has_program and link.is_up:
            legs.append(_leg(identity, link.mtu_bytes))
        elif not link.is_parted:
            legs.append(Leg(endpoint, DatapathId(0), Mac(""), (), 0))
    return legs


def _leg(identity: Identity, mtu_bytes: int) -> Leg:
    return Leg(identity.endpoint, identity.network, identity.mac, identity.addresses, mtu_bytes)


async def add_leg(datapath: Datapath, leg: Leg) -> int:
    """Make the leg, or what is missing of it; return the ifindex of the host's end.

    The program is there before the link is up, so no packet passes unjudged.
    """
    name = host_link_name(leg.endpoint)
    link = await datapath.links.find(name) or await _create(datapath, leg)
    await _repair(datapath, leg, link)
    if not datapath.is_kept(link.index, Side.INGRESS):
        await datapath.attach(link.index, Side.INGRESS, FROM_CONTAINER)
    identity = Identity(leg.endpoint, leg.network, leg.mac, leg.addresses)
    datapath.tables.put_identity(link.index, identity)
    if not link.is_up:
        await datapath.links.set(name, state="up")
    return link.index


async def _create(datapath: Datapath, leg: Leg) -> Link:
    name = host_link_name(leg.endpoint)
    await datapath.links.add_veth(name, container_link_name(leg.endpoint), leg.mac, leg.mtu_bytes)
    silence_ipv6(name)
    return await datapath.links.find_or_fail(name)


async def _repair(datapath: Datapath, leg: Leg, link: Link) -> None:
    """Put right what differs at the host's end; the other end is the engine's as soon as it has it."""
    if link.alias != leg.endpoint:
        await datapath.links.set(link.name, ifalias=leg.endpoint)
    if link.mtu_bytes != leg.mtu_bytes:
        await datapath.links.set(link.name, mtu=leg.mtu_bytes)
        if not link.is_parted:
            await datapath.links.set(container_link_name(leg.endpoint), mtu=leg.mtu_bytes)


async def remove_leg(datapath: Datapath, endpoint: EndpointId) -> None:
    """Delete the veth, then forget who sent there: a packet that came in between would be counted for ever."""
    interfaces = datapath.tables.interfaces_of(endpoint)
    await datapath.links.remove(host_link_name(endpoint))
    for ifindex in interfaces:
        datapath.tables.forget(ifindex)


def sweep(datapath: Datapath, links: Sequence[Link]) -> None:
    """Forget the senders behind interfaces that are gone; their sandbox took the veth with it."""
    alive = {link.index for link in links if is_host_link(link)}
    for ifindex in datapath.tables.identities().keys() - alive:
        datapath.tables.forget(ifindex)
