"""The kernel turns on a real kernel: what somebody else changes there is mended."""

import asyncio
import json
import re
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from isthmus.core.datapath import host_link_name
from isthmus.core.model import Encap, Endpoint, Network, Node, Record, Tag, mac_of
from isthmus.edge.kernel.programs import object_path
from isthmus.wire.maps import LAYOUT
from tests.edge.kernel_hosts import PORT, VTEPS, Host, address, leg, lone_host, run
from tests.netplugin.conftest import KEY, SUBNET
from tests.netplugin.turning import ONE, TWO, tell, turning

pytestmark = pytest.mark.root

LEG = host_link_name(leg(1).endpoint)
WORLD: list[Record] = [
    Node(ONE, VTEPS[0], "1"),
    Node(TWO, VTEPS[1], "1"),
    Network(KEY, Encap.VXLAN, Tag(1), SUBNET),
    Endpoint(leg(1).endpoint, KEY, ONE, mac_of(address(1)), address(1), sandbox="/s"),
]


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    with lone_host(tmp_path) as made:
        yield made


def seen(host: Host) -> object:
    """Our links, programs and rules, as an operator's tools show them; None where one of them is not there."""
    try:
        links = [each for each in json.loads(tell(host, "ip -j link show")) if each["ifname"].startswith("is")]
        looks = sorted((each["ifname"], each["mtu"], "UP" in each["flags"], each.get("ifalias")) for each in links)
        places = [(name, side) for name in (LEG, "isthmus-vxlan", "eth1") for side in ("ingress", "egress")]
        shown = [tell(host, f"tc filter show dev {name} {side}") for name, side in places]
        labels = [re.findall(r"pref 18771 .*handle 0x1 ([a-z_]+)", each) for each in shown]
        return looks, labels, tell(host, "nft list table ip isthmus-underlay")
    except subprocess.CalledProcessError:
        return None


async def mended(host: Host, look: Callable[[], object], *damages: str) -> None:
    """Do the damage, and wait until all looks as before."""
    async with turning(host, WORLD):
        before = await asyncio.to_thread(look)
        assert before is not None
        for each in damages:
            await asyncio.to_thread(tell, host, each)  # fails if there is nothing to damage
        while await asyncio.to_thread(look) != before:
            await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    "damage",
    [
        "ip link del isthmus-vxlan",
        "ip link set isthmus-vxlan down",
        "ip link set isthmus-vxlan mtu 1400",
        "ip link set isthmus-vxlan alias other",
        f"ip link del {LEG}",
        f"ip link set {LEG} down",
        f"ip link set {LEG} mtu 1300",
        f"ip link set {LEG} alias other",
        f"tc qdisc del dev {LEG} clsact",
        f"tc filter del dev {LEG} ingress",
        f"tc filter replace dev {LEG} ingress prio 18771 handle 1 bpf da object-pinned OTHER",
        "tc qdisc del dev eth1 clsact",
        "tc qdisc del dev isthmus-vxlan clsact",
        "tc filter del dev eth1 egress",
        "tc filter del dev eth1 ingress prio 18771",
        "tc filter replace dev eth1 ingress prio 18771 handle 1 bpf da object-pinned OTHER",
        "nft delete table ip isthmus-underlay",
        "nft flush table ip isthmus-underlay",
        "nft add rule ip isthmus-underlay output drop",
        f"nft add rule ip isthmus-underlay prerouting udp dport {PORT} notrack",
        "nft add chain ip isthmus-underlay more { type filter hook input priority 0; policy drop; }",
    ],
)
def test_what_somebody_changes_is_put_back_without_an_audit_by_time(host: Host, damage: str) -> None:
    other = host.bpffs / "other"
    run(f"bpftool prog load {object_path('to_underlay')} {other}")
    host.do(mended(host, partial(seen, host), damage.replace("OTHER", str(other))))


def test_a_tunnel_stands_on_a_carrier_that_was_made_anew(host: Host) -> None:
    again = (
        "ip link del eth1",
        "ip link add eth1 type veth peer name wire",
        f"ip addr add {VTEPS[0]}/24 dev eth1",
        "ip link set eth1 up",
    )
    host.do(mended(host, partial(seen, host), *again))


def test_a_tunnel_takes_what_its_carrier_takes(host: Host) -> None:
    host.do(_widened(host))


async def _widened(host: Host) -> None:
    async with turning(host, WORLD):
        tell(host, "ip link set eth1 mtu 9000")
        while "mtu 8950" not in await asyncio.to_thread(tell, host, "ip link show isthmus-vxlan"):
            await asyncio.sleep(0.02)


class Table:
    """One of our maps, by its pin, in bpftool's hands."""

    def __init__(self, host: Host, name: str) -> None:
        self._name = name
        self._pin = f"pinned {host.bpffs}/isthmus/v{LAYOUT}/{name}"

    def rows(self) -> dict[str, str]:
        dumped = json.loads(run(f"bpftool -j map dump {self._pin}"))
        return {" ".join(each["key"]): " ".join(each.get("value", ())) for each in dumped}

    def act(self, verb: str) -> str:
        key, value = next(iter(self.rows().items()))
        value = value or " ".join(["0"] * 32)  # a counter's, for each CPU
        match verb:
            case "delete":
                return f"bpftool map delete {self._pin} key {key}"
            case "change":
                return f"bpftool map update {self._pin} key {key} value {_others(value)}"
            case _:
                return f"bpftool map update {self._pin} key {_others(key)} value {value}"


def _others(octets: str) -> str:
    return " ".join(str(255 - int(each, 0)) for each in octets.split())


@pytest.mark.parametrize(
    ("name", "act"),
    [
        *(
            (name, act)
            for name in ("endpoints", "networks", "directory", "vteps")
            for act in ("delete", "change", "add")
        ),
        ("traffic", "delete"),
        ("traffic", "add"),
    ],
)
def test_rows_are_put_back(host: Host, name: str, act: str) -> None:
    host.do(_rows_mended(host, Table(host, name), act))


async def _rows_mended(host: Host, table: Table, act: str) -> None:
    async with turning(host, WORLD):
        before = await asyncio.to_thread(table.rows)
        await asyncio.to_thread(run, await asyncio.to_thread(table.act, act))
        while await asyncio.to_thread(table.rows) != before:
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("damage", ["rm {}/directory", "rm -r {}", "mv {0}/vteps {0}/networks"])
def test_pins_are_put_back_on_the_same_maps(host: Host, damage: str) -> None:
    host.do(mended(host, partial(_pins, host), damage.format(_layout(host))))


def _layout(host: Host) -> Path:
    return host.bpffs / "isthmus" / f"v{LAYOUT}"


def _pins(host: Host) -> object:
    """Which map is pinned where."""
    names = ("endpoints", "networks", "directory", "vteps", "traffic", "drops")
    try:
        return [json.loads(run(f"bpftool -j map show pinned {_layout(host) / name}"))["id"] for name in names]
    except subprocess.CalledProcessError:
        return None
