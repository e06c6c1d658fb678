"""A container whose link was deleted under it is plugged in again; one that the engine is plugging in is left to it."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address, IPv6Network
from pathlib import Path

import pytest

from isthmus.core.datapath import container_link_name, host_link_name
from isthmus.core.model import Encap, Endpoint, EndpointId, Network, Node, Record, SubnetV6, Tag, mac_of
from tests.edge.kernel_hosts import VTEPS, Host, Netns, lone_host, run
from tests.netplugin.conftest import GATEWAY, KEY, SUBNET
from tests.netplugin.turning import ONE, tell, turning

pytestmark = pytest.mark.root

V6 = IPv6Network("fd00:2::/64")
GATEWAY_V6 = V6[14]
NETWORK = Network(KEY, Encap.VXLAN, Tag(1), SUBNET, GATEWAY, SubnetV6(str(V6), V6), GATEWAY_V6)


Seen = tuple[list[tuple[object, ...]], str, list[str]]


@dataclass(frozen=True, slots=True)
class Plugged:
    """A container as the engine knows it."""

    netns: Netns
    endpoint: Endpoint

    @property
    def host_link(self) -> str:
        return host_link_name(self.endpoint.id)

    def engine_plugs(self, host: Host, name: str = "eth0") -> None:
        """What the engine does after Join."""
        link, inside = container_link_name(self.endpoint.id), self.netns
        host.netns.ip(f"link set {link} netns {inside.name} name {name}")
        inside.ip(f"addr add {self.endpoint.address}/28 dev {name}")
        inside.ip(f"addr add {self.endpoint.address_v6}/64 dev {name} nodad")
        inside.ip(f"link set {name} up")
        inside.ip(f"route add default via {GATEWAY}")
        inside.ip(f"-6 route add default via {GATEWAY_V6}")

    def seen(self) -> Seen:
        """All there is inside, but for numbers that the kernel chose."""
        links = json.loads(self.netns.ip("-j addr show"))
        looks: list[tuple[object, ...]] = [
            (each["ifname"], each["address"], each["mtu"], each["operstate"], _addresses(each["addr_info"]))
            for each in links
        ]
        return looks, self.netns.ip("route show"), _without_metric(self.netns.ip("-6 route show default"))


def _addresses(found: list[dict[str, object]]) -> list[tuple[object, ...]]:
    keys = ("family", "local", "prefixlen", "scope", "nodad", "tentative")
    return sorted(tuple(str(each.get(key)) for key in keys) for each in found if each["scope"] != "link")


def _without_metric(routes: str) -> list[str]:
    return [line.split(" metric")[0] for line in routes.splitlines()]


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    with lone_host(tmp_path) as made:
        yield made


@pytest.fixture
def pair() -> Iterator[tuple[Plugged, Plugged]]:
    """Two containers of the host."""
    with ExitStack() as stack:
        made = []
        for i in (1, 2):
            netns = Netns()
            stack.callback(run, f"ip netns del {netns.name}")
            made.append(Plugged(netns, _endpoint(i, netns)))
        yield made[0], made[1]


def _endpoint(i: int, netns: Netns) -> Endpoint:
    address, address_v6 = IPv4Address(f"10.1.2.{i}"), IPv6Address(f"fd00:2::{i}")
    sandbox = f"/run/netns/{netns.name}"
    identity = EndpointId(f"{i:04x}{netns.name.encode().hex():0<60}")
    return Endpoint(identity, KEY, ONE, mac_of(address), address, address_v6, sandbox=sandbox)


def _world(*containers: Plugged) -> list[Record]:
    return [Node(ONE, VTEPS[0], "1"), NETWORK, *(each.endpoint for each in containers)]


async def _until(plugged: Plugged, looks: Seen) -> None:
    while await asyncio.to_thread(plugged.seen) != looks:
        await asyncio.sleep(0.02)


async def _plug_in(host: Host, *containers: Plugged) -> Seen:
    for each in containers:
        await asyncio.to_thread(each.engine_plugs, host)
    return await asyncio.to_thread(containers[0].seen)


@pytest.mark.parametrize("is_inside", [False, True], ids=["the host's end", "the container's end"])
def test_a_deleted_link_is_plugged_in_again(host: Host, pair: tuple[Plugged, Plugged], is_inside: bool) -> None:
    host.do(_deleted(host, pair, is_inside=is_inside))
    for target in (pair[1].endpoint.address, pair[1].endpoint.address_v6):
        assert target is not None
        assert pair[0].netns.ping(target) == 5


async def _deleted(host: Host, pair: tuple[Plugged, Plugged], *, is_inside: bool) -> None:
    one = pair[0]
    async with turning(host, _world(*pair)):
        before = await _plug_in(host, *pair)
        for _ in range(2):
            await asyncio.to_thread(one.netns.ip if is_inside else host.netns.ip, f"link del {_end(one, is_inside)}")
            await _until(one, before)


def _end(plugged: Plugged, is_inside: bool) -> str:  # a test's parameter
    return "eth0" if is_inside else plugged.host_link


def test_a_link_deleted_while_no_agent_ran_is_plugged_in_again(host: Host, pair: tuple[Plugged, Plugged]) -> None:
    one = pair[0]
    before = host.do(_turned_once(host, pair))
    host.netns.ip(f"link del {one.host_link}")
    host.restart()
    host.do(_found(host, pair, before))
    assert one.netns.ping(pair[1].endpoint.address) == 5


async def _turned_once(host: Host, pair: tuple[Plugged, Plugged]) -> Seen:
    async with turning(host, _world(*pair)):
        return await _plug_in(host, *pair)


async def _found(host: Host, pair: tuple[Plugged, Plugged], before: Seen) -> None:
    async with turning(host, _world(*pair)):
        await _until(pair[0], before)


def test_a_leg_that_the_engine_has_not_plugged_in_is_left_to_it(host: Host, pair: tuple[Plugged, Plugged]) -> None:
    host.do(_fresh(host, pair))


async def _fresh(host: Host, pair: tuple[Plugged, Plugged]) -> None:
    one, other = pair
    async with turning(host, _world(*pair)) as turns:
        turns.check_leg(one.endpoint)  # Join
        before = await _plug_in(host, other)
        for each in pair:
            await asyncio.to_thread(host.netns.ip, f"link del {each.host_link}")
        while container_link_name(one.endpoint.id) not in await asyncio.to_thread(tell, host, "ip link show"):
            await asyncio.sleep(0.02)
        await _until(other, before)
        await asyncio.to_thread(one.engine_plugs, host)  # finds it where Join said


def test_the_link_that_is_missing_gets_its_name_back(host: Host, pair: tuple[Plugged, Plugged]) -> None:
    host.do(_first_of_two(host, pair))


async def _first_of_two(host: Host, pair: tuple[Plugged, Plugged]) -> None:
    first, second = pair
    second = Plugged(first.netns, replace(second.endpoint, sandbox=first.endpoint.sandbox))
    async with turning(host, _world(first, second)):
        await _plug_in(host, first)
        host.netns.ip(f"link set {container_link_name(second.endpoint.id)} netns {first.netns.name} name eth1")
        before = await asyncio.to_thread(first.seen)
        first.netns.ip("link del eth0")
        while _by_name(await asyncio.to_thread(first.seen)) != _by_name(before):
            await asyncio.sleep(0.02)


def _by_name(seen: Seen) -> Seen:
    """The links' order is that of their making."""
    links, routes, routes_v6 = seen
    return sorted(links, key=repr), routes, routes_v6
