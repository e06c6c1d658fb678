"""What must hold at every moment, and what once all is quiet."""

from collections.abc import Iterator
from ipaddress import IPv4Address

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
)
from isthmus.core.model import VXLAN_OVERHEAD_BYTES, AddressClaim, ClaimPurpose, Endpoint, Network, NetworkKey, mac_of
from isthmus.core.reconcile import Step, Verb
from isthmus.wire import keys
from tests.simulation.engine import Attachment
from tests.simulation.etcd import FOREIGN, SimEtcd
from tests.simulation.node import SimNode

FOREIGN_VALUE = b"theirs"


class LawBrokenError(Exception):
    """What was seen that must not be."""


def check_step(node: SimNode, step: Step) -> None:
    """No step takes a leg away from a container that its engine still runs."""
    if step.verb is Verb.REMOVE and isinstance(step.target, Leg):
        here = node.engine.attachments.get(step.target.endpoint)
        if here is not None and here.is_joined:
            raise LawBrokenError(f"{node.name}: the leg of {here.container} is removed, which still runs")


def check_etcd(etcd: SimEtcd) -> None:
    """No address has two owners, and what is not ours is as it was."""
    owners: dict[tuple[NetworkKey, object], Endpoint] = {}
    for each in endpoints(etcd):
        other = owners.setdefault((each.network, each.address), each)
        if other is not each:
            raise LawBrokenError(
                f"{each.address} of {each.network} has two owners: {other.container}, {each.container}"
            )
    if etcd.values[FOREIGN].value != FOREIGN_VALUE:
        raise LawBrokenError("a foreign key was written")


def check_engines(nodes: list[SimNode]) -> None:
    """No two containers that run on one network have one address."""
    owners: dict[tuple[str, IPv4Address], str] = {}
    for name, here in running(nodes):
        other = owners.setdefault((name, here.address), here.container)
        if other != here.container:
            raise LawBrokenError(f"{here.address} of {name} was given to {other} and to {here.container}")


def check_quiet(etcd: SimEtcd, nodes: list[SimNode]) -> None:
    """Every table, name and record agrees with the containers that run."""
    networks = {str(each.key.name): each for each in records(etcd) if isinstance(each, Network)}
    for node in nodes:
        assert node.agent is not None
        node.agent.check()
        _same(f"{node.name}: Docker networks", {each.name for each in node.engine.our_networks.values()}, {*networks})
        _same(f"{node.name}: kernel", set(_whole(node.kernel.objects)), set(_wanted(node, nodes, networks)))
        _check_names(node, nodes)
        if node.agent.mirror.kept:
            raise LawBrokenError(f"{node.name}: still keeps {sorted(node.agent.mirror.kept)}")
    lives = {(here.endpoint, here.address) for _, here in running(nodes)}
    _same("endpoints in etcd", {(each.id, each.address) for each in endpoints(etcd)}, lives)
    claims = (each for each in records(etcd) if isinstance(each, AddressClaim) and each.purpose is ClaimPurpose.LEASE)
    _same("claims in etcd", {(each.endpoint, each.address) for each in claims}, lives)


def _whole(objects: frozenset[KernelObject]) -> Iterator[KernelObject]:
    return (each for each in objects if not isinstance(each, Underlay | KnownVtep))


def _wanted(node: SimNode, nodes: list[SimNode], networks: dict[str, Network]) -> Iterator[KernelObject]:
    """What a kernel has to hold for the containers that run, said anew, without the product's own words for it."""
    own = {node.engine.our_networks[here.network].name for here in node.engine.attachments.values()}
    for each in nodes:
        for here in each.engine.attachments.values():
            name = each.engine.our_networks[here.network].name
            if name not in own:
                continue
            network = networks[name]
            number, mac = network.tag, mac_of(here.address)
            place = Here(here.endpoint) if each is node else There(each.vtep)
            yield KnownNetwork(number, network.encap, network.tag)  # type: ignore[arg-type]  # a VNI is its own number
            yield DirectoryEntry(number, here.address, mac, place)  # type: ignore[arg-type]
            if each is node:
                mtu_bytes = 1500 - VXLAN_OVERHEAD_BYTES
                yield Leg(here.endpoint, number, mac, (here.address,), mtu_bytes)  # type: ignore[arg-type]
    yield from (_flood(name, network, node, nodes) for name, network in networks.items() if name in own)


def _flood(name: str, network: Network, node: SimNode, nodes: list[SimNode]) -> Flood:
    members = {each.name: [here.endpoint for here in _members(each, name)] for each in nodes}
    others = sorted(each.vtep for each in nodes if each is not node and members[each.name])
    return Flood(network.tag, tuple(sorted(members[node.name])), tuple(others))  # type: ignore[arg-type]


def _members(node: SimNode, name: str) -> Iterator[Attachment]:
    attachments = node.engine.attachments.values()
    return (each for each in attachments if node.engine.our_networks[each.network].name == name)


def _check_names(node: SimNode, nodes: list[SimNode]) -> None:
    assert node.agent is not None
    book = node.agent.book
    wanted: dict[str, dict[str, set[IPv4Address]]] = {}
    for name, here in running(nodes):
        wanted.setdefault(here.container, {}).setdefault(name, set()).add(here.address)
    for here in node.engine.attachments.values():
        home = node.engine.our_networks[here.network].name
        sandbox = f"/run/{here.endpoint[:8]}"
        for container, places in wanted.items():
            addresses = places.get(home) or set().union(*places.values())
            _same(
                f"{node.name}: {container} asked for by {here.container}",
                set(book.addresses(sandbox, container) or ()),
                addresses,
            )
        if book.addresses(sandbox, "gone") is not None:
            raise LawBrokenError(f"{node.name}: a name is known that nobody has")


def _same(what: str, found: object, wanted: object) -> None:
    if found != wanted:
        assert isinstance(found, set)
        assert isinstance(wanted, set)
        raise LawBrokenError(
            f"{what}: too much {sorted(map(repr, found - wanted))}, missing {sorted(map(repr, wanted - found))}"
        )


def running(nodes: list[SimNode]) -> Iterator[tuple[str, Attachment]]:
    """The containers that run, with their network's name."""
    for node in nodes:
        for here in node.engine.attachments.values():
            if here.is_joined:
                yield node.engine.our_networks[here.network].name, here


def records(etcd: SimEtcd) -> Iterator[object]:
    """All records."""
    for item in list(etcd.values.values()):
        yield keys.parse(item.key, item.value)


def endpoints(etcd: SimEtcd) -> Iterator[Endpoint]:
    """Those that etcd has."""
    for item in list(etcd.values.values()):
        if item.key.startswith(keys.ENDPOINTS):
            record = keys.parse(item.key, item.value)
            assert isinstance(record, Endpoint)
            yield record
