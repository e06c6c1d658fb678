"""An underlay and a trunk of jumbo frames: containers use all of it, whole packets pass, and nothing is fragmented."""

import os
from collections.abc import Iterator

import pytest

from isthmus.lab.running import RunningLab, running
from isthmus.lab.topology import Lab
from tests.lab.probes import NET, Container, create_net, run

pytestmark = [pytest.mark.root, pytest.mark.lab]

LINK_BYTES = 9000
HEADERS_BYTES = 28  # IPv4 20, ICMP 8
WIRE = "wire"


@pytest.fixture(scope="module")
def jumbo() -> Iterator[RunningLab]:
    with running(Lab(f"jumbo-{os.getpid()}", nodes=2, mtu=LINK_BYTES)) as up:
        yield up


def whole(sender: Container, target: str, packet_bytes: int) -> int:
    """The exit code of pings of this size that may not be fragmented; 0 is success."""
    size_bytes = packet_bytes - HEADERS_BYTES
    ping = ["ping", "-M", "do", "-c", "2", "-W", "2", "-s", str(size_bytes), target]
    return sender.node.run(sender.inside(ping)).returncode


def test_containers_get_what_the_links_carry(jumbo: RunningLab) -> None:
    first, second = jumbo.nodes
    create_net(jumbo)
    create_net(jumbo, WIRE, "10.1.3.0/24", "-p", "112", "-e", "vlan")
    for network, mtu_bytes in ((NET, LINK_BYTES - 50), (WIRE, LINK_BYTES)):
        one, two = run(first, f"{network}-1", network=network), run(second, f"{network}-2", network=network)
        assert f"mtu {mtu_bytes} " in one.output("ip link show eth0")
        assert whole(one, two.address(network), mtu_bytes) == 0
        assert whole(one, two.address(network), mtu_bytes + 1) != 0
    *_, created, _ = first.output("nstat -asz IpFragCreates").split()  # the name, the count, the rate
    assert created == "0"
