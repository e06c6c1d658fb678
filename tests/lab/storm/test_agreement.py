"""The judge of a storm: silent where all is well, and it names every single thing that is not."""

from collections.abc import Mapping
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from typing import Any, TypeVar

import pytest

from isthmus.core.datapath import DatapathId, host_link_name
from isthmus.core.model import (
    AddressClaim,
    ClaimPurpose,
    Encap,
    Endpoint,
    EndpointId,
    Mac,
    Network,
    NetworkKey,
    NetworkName,
    NodeName,
    Record,
    Subnet,
    Tag,
    TenantName,
    mac_of,
)
from isthmus.wire import maps
from tests.lab.storm.agreement import UNFINISHED, addresses_of, differences, reachable
from tests.lab.storm.looking import Life, Member, Seen, SeenNode
from tests.lab.storm.plan import NETS

_K = TypeVar("_K")
_V = TypeVar("_V")

NET = NETS["contiv-net"]
KEY = NetworkKey(TenantName("default"), NetworkName("contiv-net"))
NUMBER = DatapathId(1)
VTEPS = {"n1": IPv4Address("192.168.2.10"), "n2": IPv4Address("192.168.2.11")}


def life(number: int, node: str, net: str = "contiv-net", container: str = "") -> Life:
    address = IPv4Address(f"10.1.2.{number}")
    return Life(
        node, container or f"c{number}", 100 + number, NETS[net], f"{number:012x}{0:052x}", address, mac_of(address)
    )


LIVES = (life(1, "n1"), life(2, "n2"), life(3, "n1"))


def link(each: Life) -> str:
    return host_link_name(EndpointId(each.endpoint))


def identity(each: Life) -> maps.Identity:
    return maps.Identity(EndpointId(each.endpoint), NUMBER, Mac(each.mac), (each.address,))


def node(name: str) -> SeenNode:
    own = {each: 10 + i for i, each in enumerate(LIVES) if each.node == name}
    places = {each: own.get(each, 0) for each in LIVES}
    return SeenNode(
        vtep=VTEPS[name],
        interfaces=frozenset([2, *own.values()]),
        links={link(each): ifindex for each, ifindex in own.items()},
        identities={ifindex: identity(each) for each, ifindex in own.items()},
        directory={
            maps.PlaceKey(NUMBER, each.address): maps.Place(
                ifindex, IPv4Address(0) if ifindex else VTEPS[each.node], Mac(each.mac)
            )
            for each, ifindex in places.items()
        },
        networks=frozenset([1]),
        vteps=frozenset(vtep for other, vtep in VTEPS.items() if other != name),
        counted=frozenset([2, *own.values()]),
        programs=["eth1", *(link(each) for each in own)],
        members={(NET.docker, each.endpoint): Member(each.container, f"{each.address}/28", each.mac) for each in own},
    )


def endpoint(each: Life) -> Endpoint:
    place = (EndpointId(each.endpoint), KEY, NodeName(each.node), Mac(each.mac), each.address)
    return Endpoint(*place, container=each.container, sandbox="/run/netns/x")


def claim(each: Life) -> AddressClaim:
    node_name, owner = NodeName(each.node), EndpointId(each.endpoint)
    return AddressClaim(KEY, each.address, ClaimPurpose.LEASE, node_name, owner)


def seen() -> Seen:
    prefix = IPv4Network("10.1.2.0/28")
    network = Network(KEY, Encap.VXLAN, Tag(1), Subnet("10.1.2.0/28", prefix, prefix[1], prefix[14]))
    records: tuple[Record, ...] = (network, *map(endpoint, LIVES), *map(claim, LIVES))
    rows = {
        each.endpoint: ("default", "contiv-net", "", each.container, str(each.address), each.node) for each in LIVES
    }
    return Seen(LIVES, {}, records, {name: node(name) for name in VTEPS}, rows)


def with_node(name: str, **changes: Any) -> Seen:
    whole = seen()
    return replace(whole, nodes={**whole.nodes, name: replace(whole.nodes[name], **changes)})


def without(rows: Mapping[_K, _V], number: int) -> dict[_K, _V]:
    """All rows but one."""
    return {key: rows[key] for key in rows if key != [*rows][number]}


STALE = maps.PlaceKey(NUMBER, IPv4Address("10.1.2.9"))
ELSEWHERE = maps.Place(0, IPv4Address("192.168.2.99"), mac_of(IPv4Address("10.1.2.2")))
FAR = maps.PlaceKey(NUMBER, IPv4Address("10.1.2.2"))
N1 = node("n1")
WRONG: dict[str, tuple[Seen, str]] = {
    "a stale address in the directory": (
        with_node("n1", directory={**N1.directory, STALE: ELSEWHERE}),
        "n1: directory: PlaceKey(network=1, address=IPv4Address('10.1.2.9')) is there",
    ),
    "an address behind the wrong host": (with_node("n1", directory={**N1.directory, FAR: ELSEWHERE}), "192.168.2.99"),
    "an address that a host does not know": (with_node("n1", directory=without(N1.directory, 1)), "is missing"),
    "a sender that is gone": (
        with_node("n2", identities={**node("n2").identities, 99: identity(LIVES[0])}),
        "senders: 99",
    ),
    "a sender that is missing": (with_node("n1", identities=without(N1.identities, 0)), "n1: senders: 10 is missing"),
    "a leg left over": (with_node("n2", links={**node("n2").links, "ishdead": 12}), "n2: legs: ishdead is there"),
    "a leg without its program": (with_node("n1", programs=["eth1", link(LIVES[0])]), "has 0 of ours"),
    "a program twice": (with_node("n2", programs=[link(LIVES[1])] * 2), "has 2 of ours"),
    "a network without legs": (with_node("n1", networks=frozenset([1, 7])), "n1: networks: 7 is there"),
    "a host that is not known": (with_node("n1", vteps=frozenset()), "n1: vteps: 192.168.2.11 is missing"),
    "counters of what is gone": (with_node("n2", counted=frozenset([2, 77])), "n2: counters: interface 77"),
    "a member that Docker still shows": (
        with_node("n2", members={**node("n2").members, (NET.docker, "dead"): Member("gone", "10.1.2.9/28", "")}),
        "n2: docker network inspect",
    ),
    "an endpoint left over": (replace(seen(), records=(*seen().records, endpoint(life(9, "n1")))), "etcd, endpoints"),
    "an endpoint that is missing": (
        replace(seen(), records=(seen().records[0], *seen().records[2:])),
        "etcd, endpoints",
    ),
    "an old name": (
        replace(seen(), records=(*seen().records, replace(endpoint(LIVES[0]), container="old"))),
        "etcd, endpoints",
    ),
    "an address that nobody has": (replace(seen(), records=(*seen().records, claim(life(9, "n1")))), "etcd, addresses"),
    "a listing of what is gone": (replace(seen(), listed={**seen().listed, "dead": ()}), "netctl endpoint ls: dead"),
    "an address with two owners": (replace(seen(), lives=(*LIVES, life(1, "n2"))), "has 2 owners"),
}


def test_where_all_is_well_nothing_is_said() -> None:
    assert differences(seen()) == []


def test_what_a_call_cut_short_has_left_is_told_apart() -> None:
    """No packet and no name knows of it: an endpoint without a sandbox, and an address without an endpoint."""
    begun = life(9, "n1")
    records = (
        replace(endpoint(begun), sandbox="", container=""),
        claim(begun),
        replace(claim(life(8, "n2")), endpoint=None),
    )
    left = replace(seen(), records=(*seen().records, *records), listed={**seen().listed, begun.endpoint: ()})
    assert [each.startswith(UNFINISHED) for each in differences(left)] == [True, True]


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_named(what: str) -> None:
    wrong, words = WRONG[what]
    assert any(words in each for each in differences(wrong)), differences(wrong)


def test_a_name_means_the_running_containers_of_the_askers_tenant_and_rather_those_of_its_networks() -> None:
    default = [life(1, "n1", container="web"), life(2, "n2", container="web"), life(3, "n1", "back", "web")]
    member, blue = life(4, "n1", "db", "own"), life(5, "n2", "contiv-net/blue", "web")
    lives = [*default, member, blue]
    assert addresses_of("web", [default[0]], lives) == ["10.1.2.1", "10.1.2.2"]
    assert addresses_of("web", [member], lives) == ["10.1.2.1", "10.1.2.2"]
    assert addresses_of("web", [blue], lives) == ["10.1.2.5"]
    assert addresses_of("db", [default[2]], lives) == ["10.1.2.4"]
    assert addresses_of("gone", [blue], lives) == []


def test_reach_ends_at_the_network_and_a_group_is_within_it() -> None:
    lives = [life(1, "n1"), life(2, "n2", "db"), life(3, "n2", "back"), life(4, "n1", "contiv-net/blue")]
    assert reachable([lives[0]], lives) == ["10.1.2.1", "10.1.2.2"]
    assert reachable([lives[0], lives[2]], lives) == ["10.1.2.1", "10.1.2.2", "10.1.2.3"]
    assert reachable([lives[3]], lives) == ["10.1.2.4"]
