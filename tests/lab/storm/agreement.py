"""What must be so where certain containers run, against what is seen: every difference in words. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from ipaddress import IPv4Address
from typing import TypeVar

from isthmus.core.datapath import DatapathId, datapath_id, host_link_name
from isthmus.core.model import (
    AddressClaim,
    ClaimPurpose,
    Endpoint,
    EndpointId,
    Mac,
    Network,
    NetworkKey,
    NetworkName,
    TenantName,
)
from isthmus.wire import maps
from tests.lab.storm.looking import Life, Member, Seen, SeenNode
from tests.lab.storm.plan import Net

_K = TypeVar("_K")
_V = TypeVar("_V")

UNFINISHED = "unfinished:"  # so begins what differs only by a call that was cut short, of which nothing else knows

_NOWHERE = IPv4Address(0)


def differences(seen: Seen) -> list[str]:
    """Everything in which etcd, the nodes' tables, Docker and the listings disagree with the containers that run."""
    found = [*_doubles(seen.lives), *_of_etcd(seen), *_of_listing(seen)]
    for name, node in seen.nodes.items():
        found += [
            f"{name}: {text}" for text in (*_of_tables(seen, name), *_of_legs(seen, name), *_of_docker(seen, name))
        ]
        found += [f"{name}: {text}" for text in _of_interfaces(node)]
    return found


def compared(what: str, expected: Mapping[_K, _V], found: Mapping[_K, _V]) -> Iterator[str]:
    """What is missing, what is too much, and what differs."""
    for key in sorted(expected.keys() - found.keys(), key=str):
        yield f"{what}: {key} is missing; it should be {expected[key]}"
    for key in sorted(found.keys() - expected.keys(), key=str):
        yield f"{what}: {key} is there, though nothing that runs is behind it: {found[key]}"
    for key in sorted(expected.keys() & found.keys(), key=str):
        if expected[key] != found[key]:
            yield f"{what}: {key} is {found[key]}; it should be {expected[key]}"


def key_of(net: Net) -> NetworkKey:
    """The network behind a Docker network."""
    return NetworkKey(TenantName(net.tenant), NetworkName(net.network))


def addresses_of(name: str, asker: Sequence[Life], lives: Sequence[Life]) -> list[str]:
    """What a container must be told of a name: of what runs in its tenant, and rather in its own networks."""
    tenant = asker[0].net.tenant
    own = {key_of(life.net) for life in asker}
    members = [each for each in lives if each.net.tenant == tenant and each.net.group == name]
    found = members or [each for each in lives if each.net.tenant == tenant and each.container == name]
    near = [each for each in found if key_of(each.net) in own]
    return sorted({str(each.address) for each in near or found})


def reachable(asker: Sequence[Life], lives: Sequence[Life]) -> list[str]:
    """The addresses that must answer a container: those of its networks, its own among them."""
    own = {key_of(life.net) for life in asker}
    return sorted({str(each.address) for each in lives if key_of(each.net) in own})


def _doubles(lives: Sequence[Life]) -> Iterator[str]:
    holders: dict[tuple[NetworkKey, IPv4Address], list[Life]] = {}
    for life in lives:
        holders.setdefault((key_of(life.net), life.address), []).append(life)
    for (key, address), several in holders.items():
        if len(several) > 1:
            yield f"address {address} of {key} has {len(several)} owners: {several}"


def _of_etcd(seen: Seen) -> Iterator[str]:
    begun = unfinished(seen)
    lived = {EndpointId(each.endpoint): _lived(each) for each in seen.lives}
    told = {each.id: _told(each) for each in seen.records if isinstance(each, Endpoint) and each.id not in begun}
    yield from compared("etcd, endpoints", lived, told)
    leases = [each for each in seen.records if isinstance(each, AddressClaim) and each.purpose is ClaimPurpose.LEASE]
    claims = {
        (str(each.network), str(each.address)): (each.node, each.endpoint)
        for each in leases
        if each.endpoint is not None and each.endpoint not in begun
    }
    held = {(str(key_of(each.net)), str(each.address)): (each.node, each.endpoint) for each in seen.lives}
    yield from compared("etcd, addresses", held, claims)
    yield from (f"{UNFINISHED} endpoint {each}" for each in begun)
    yield from (f"{UNFINISHED} address {each}" for each in leases if each.endpoint is None)


def unfinished(seen: Seen) -> frozenset[EndpointId]:
    """Endpoints of which no packet and no name knows: begun and not joined, or left and not removed."""
    alive = {each.endpoint for each in seen.lives}
    found = [each for each in seen.records if isinstance(each, Endpoint) and not each.is_joined]
    return frozenset(each.id for each in found if each.id not in alive)


def _told(endpoint: Endpoint) -> tuple[object, ...]:
    place = (str(endpoint.network), endpoint.group, endpoint.node, endpoint.container)
    return (*place, str(endpoint.address), endpoint.mac, endpoint.is_joined)


def _lived(life: Life) -> tuple[object, ...]:
    return (str(key_of(life.net)), life.net.group, life.node, life.container, str(life.address), life.mac, True)


def _of_listing(seen: Seen) -> Iterator[str]:
    rows = {
        each.endpoint: (
            each.net.tenant,
            each.net.network,
            each.net.group or "",
            each.container,
            str(each.address),
            each.node,
        )
        for each in seen.lives
    }
    listed = {each: row for each, row in seen.listed.items() if each not in unfinished(seen)}
    yield from compared("netctl endpoint ls", rows, listed)


def _of_tables(seen: Seen, name: str) -> Iterator[str]:
    node, numbers = seen.nodes[name], _numbers(seen)
    ours = {key_of(each.net) for each in seen.lives if each.node == name}
    in_ours = [each for each in seen.lives if key_of(each.net) in ours]
    directory = {maps.PlaceKey(numbers[key_of(each.net)], each.address): _place(seen, name, each) for each in in_ours}
    yield from compared("directory", directory, node.directory)
    yield from _sets("networks", {int(numbers[key]) for key in ours}, node.networks)
    yield from _sets("vteps", {each.vtep for other, each in seen.nodes.items() if other != name}, node.vteps)


def _numbers(seen: Seen) -> dict[NetworkKey, DatapathId]:
    return {each.key: datapath_id(each) for each in seen.records if isinstance(each, Network)}


def _place(seen: Seen, name: str, life: Life) -> maps.Place:
    if life.node == name:
        return maps.Place(_link_of(seen.nodes[name], life), _NOWHERE, Mac(life.mac))
    return maps.Place(0, seen.nodes[life.node].vtep, Mac(life.mac))


def _link_of(node: SeenNode, life: Life) -> int:
    return node.links.get(host_link_name(EndpointId(life.endpoint)), -1)


def _of_legs(seen: Seen, name: str) -> Iterator[str]:
    node, numbers = seen.nodes[name], _numbers(seen)
    here = [each for each in seen.lives if each.node == name]
    yield from _sets("legs", {host_link_name(EndpointId(each.endpoint)) for each in here}, node.links.keys())
    identities = {
        _link_of(node, each): maps.Identity(
            EndpointId(each.endpoint), numbers[key_of(each.net)], Mac(each.mac), (each.address,)
        )
        for each in here
    }
    yield from compared("senders", identities, node.identities)


def _of_docker(seen: Seen, name: str) -> Iterator[str]:
    members = {
        (each.net.docker, each.endpoint): Member(
            each.container, f"{each.address}/{each.net.subnet.partition('/')[2]}", each.mac
        )
        for each in seen.lives
        if each.node == name
    }
    yield from compared("docker network inspect", members, seen.nodes[name].members)


def _of_interfaces(node: SeenNode) -> Iterator[str]:
    for ifindex in sorted(node.counted - node.interfaces):
        yield f"counters: interface {ifindex} is counted, though there is no such interface"
    legs = [each for each in node.programs if each.startswith("ish") and each in node.links]
    for link in node.links:
        if legs.count(link) != 1:
            yield f"programs: {link} has {legs.count(link)} of ours; it should have 1"


def _sets(what: str, expected: Iterable[object], found: Iterable[object]) -> Iterator[str]:
    yield from compared(what, dict.fromkeys(expected, "there"), dict.fromkeys(found, "there"))
