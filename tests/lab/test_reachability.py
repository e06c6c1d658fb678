"""Containers of one network reach each other by name, across hosts and on one host, with packets of any size."""

import pytest

from isthmus.lab.running import RunningLab
from tests.lab.probes import Container, create_net, eventually, run

pytestmark = [pytest.mark.root, pytest.mark.lab]

MEGABYTES = 100
PORT = 9000


@pytest.fixture
def trio(cluster: RunningLab) -> tuple[Container, Container, Container]:
    """Two containers on the first node, one on the second."""
    create_net(cluster)
    first, second = cluster.nodes
    return run(first, "one"), run(first, "two"), run(second, "three")


Trio = tuple[Container, Container, Container]


def test_all_reach_all_by_name(trio: Trio) -> None:
    for here in trio:
        for there in trio:
            assert here.reaches(there.name), f"{here.name} does not reach {there.name}"


def test_a_packet_of_1450_bytes_and_fragments_of_8000_pass(trio: Trio) -> None:
    one, two, three = trio
    for there in (two, three):
        assert "mtu 1450" in there.output("ip link show eth0")
        for size_bytes in (1422, 8000, 65000):  # 1422: with ICMP's 8 and IP's 20, one packet of 1450
            assert one.reaches(there.name, size_bytes=size_bytes)


def test_a_whole_packet_of_1450_bytes_is_not_fragmented(trio: Trio) -> None:
    one, _, three = trio
    whole = ["ping", "-M", "do", "-c", "1", "-W", "2", "-s", "1422", three.address()]
    one.node.output(one.inside(whole))


def checksum(sender: Container, receiver: Container) -> tuple[str, str]:
    """What was sent over one TCP connection and what arrived, as SHA-256."""
    receiver.start(f"nc -l {PORT} | sha256sum >/tmp/arrived.new; mv /tmp/arrived.new /tmp/arrived")
    assert eventually(5, lambda: f":{PORT}" in receiver.output("netstat -ltn"))
    sender.output(f"dd if=/dev/urandom of=/tmp/sent bs=1M count={MEGABYTES} 2>/dev/null")
    sender.output(f"nc -N {receiver.name} {PORT} </tmp/sent")
    assert eventually(20, lambda: receiver.run("test -e /tmp/arrived").returncode == 0)
    sent = sender.output("sha256sum </tmp/sent; rm /tmp/sent")
    return sent, receiver.output("cat /tmp/arrived; rm /tmp/arrived")


def test_a_long_stream_arrives_intact(trio: Trio) -> None:
    one, two, three = trio
    for receiver in (three, two):
        sent, arrived = checksum(one, receiver)
        assert arrived == sent


def test_datagrams_of_8000_bytes_arrive_whole(trio: Trio) -> None:
    one, _, three = trio
    three.start(f"nc -u -l -w 3 {PORT} >/tmp/datagram")
    assert eventually(5, lambda: f":{PORT}" in three.output("netstat -lun"))
    one.output(f"head -c 8000 /dev/zero | nc -u -w 1 {three.name} {PORT}")
    assert eventually(5, lambda: three.output("wc -c </tmp/datagram").strip() == "8000")


def test_ipv6_reaches_as_ipv4_does(cluster: RunningLab) -> None:
    create_net(cluster, "six", "10.6.0.0/24", "--subnetv6=2001:db8:6::/64")
    first, second = cluster.nodes
    one, two, three = (
        run(node, name, network="six") for node, name in ((first, "six1"), (first, "six2"), (second, "six3"))
    )
    for there in (two, three):
        assert there.output(f"ping -6 -c 1 -W 2 {one.name}").count("2001:db8:6::1") > 0
        assert one.output(f"ping -6 -c 1 -W 2 -s 4000 {there.name}").count("2001:db8:6::") > 0
        assert one.output(f"ping -4 -c 1 -W 2 {there.name}").count("10.6.0.") > 0
