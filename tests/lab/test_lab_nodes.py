"""What a newcomer finds on the nodes of a lab: names, addresses, engines, the outside, cables, programs."""

import json
import subprocess
import time
from collections.abc import Callable

import pytest

from isthmus.core.errors import NotFoundError
from isthmus.lab import cluster
from isthmus.lab.running import RunningLab, RunningNode

pytestmark = [pytest.mark.root, pytest.mark.lab]


def within(seconds: float, is_so: Callable[[], bool]) -> bool:
    """Say whether something becomes so in time."""
    deadline_s = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline_s:
            return False
        time.sleep(0.05)
    return True


def flags(node: RunningNode, interface: str) -> list[str]:
    links: list[dict[str, list[str]]] = json.loads(node.output(f"ip -j link show {interface}"))
    return links[0]["flags"]


def state_of(engines: RunningLab, node: str, program: str) -> cluster.ProgramState:
    looked = {each.machine.name: each for each in cluster.status(engines.lab)}
    return next(each for each in looked[node].programs if each.name == program)


def test_every_node_knows_its_name_and_all_others(engines: RunningLab) -> None:
    for node in engines.nodes:
        assert node.output("hostname") == node.output("cat /etc/hostname") == node.name
        for i, other in enumerate(engines.nodes):
            assert node.output(f"getent hosts {other.name}").split()[0] == f"192.168.2.{10 + i}"
        assert node.output("getent hosts netmaster").split()[0] == "192.168.2.10"
        assert node.output("getent ahosts localhost").split()[0] == "127.0.0.1"


def test_interfaces_are_the_tutorials(engines: RunningLab) -> None:
    shown = engines.node("node2").output("ip -4 -brief address; ip route show default; ip -brief link show eth2")
    for expected in ("10.0.2.16/24", "192.168.2.11/24", "default via 10.0.2.2 dev eth0", "eth2@"):
        assert expected in shown
    assert engines.node("node2").output("ip -brief address show eth2").split()[2:] == []


def test_nodes_reach_each_other_and_nothing_of_the_computers_network(engines: RunningLab) -> None:
    node = engines.node("node1")
    node.output(f"ping -c 1 -W 2 {engines.node('node2').name}")
    refused = node.run("ping -c 1 -W 2 198.51.100.1")
    assert refused.returncode != 0
    assert "Unreachable" in refused.stdout


def test_the_outside_has_a_name_and_a_page_and_sees_one_address(engines: RunningLab) -> None:
    node = engines.node("node1")
    assert node.output("getent hosts contiv.com").split()[0] == "203.0.113.10"
    assert "203.0.113.1." in node.output("busybox wget -q -O - http://contiv.com/")
    assert node.output("dig +tcp +short contiv.com") == "203.0.113.10"
    assert "NXDOMAIN" in node.output("dig nobody.example")


SEND_TAGGED = """
import socket
frame = bytes.fromhex("ffffffffffff" "020000000001" "8100" "004d" "88b5") + b"tagged frame".ljust(46)
with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as wire:
    wire.bind(("eth2", 0))
    wire.send(frame)
"""


def test_the_trunk_passes_frames_with_any_vlan(engines: RunningLab) -> None:
    sender, receiver = engines.nodes
    listen = ["tcpdump", "-i", "eth2", "-c", "1", "-A", "-Z", "root", "vlan 77"]
    with subprocess.Popen(
        receiver.command(listen), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as tcpdump:
        assert tcpdump.stderr is not None
        assert tcpdump.stdout is not None
        while "listening" not in tcpdump.stderr.readline():
            assert tcpdump.poll() is None
        sender.output(["python3", "-c", SEND_TAGGED])
        assert "tagged frame" in tcpdump.stdout.read()


def test_tools_are_at_hand(engines: RunningLab) -> None:
    node = engines.node("node1")
    node.output("command -v docker netctl netplugin netmaster etcdctl tcpdump nc iptables ifconfig")
    assert "is healthy" in node.run("etcdctl endpoint health 2>&1").stdout
    assert len(node.output("etcdctl member list").splitlines()) == 2


def test_containers_on_dockers_bridge_reach_each_other_and_the_outside(engines: RunningLab) -> None:
    node = engines.node("node1")
    node.output("docker run -itd --name=talker alpine /bin/sh")
    try:
        address = node.output("docker inspect --format '{{.NetworkSettings.IPAddress}}' talker")
        node.output("docker exec -d talker nc -l 8888")
        assert within(5, lambda: ":8888" in node.output("docker exec talker netstat -ltn"))
        refused = node.run(f"docker run --rm alpine nc -nzvw 1 {address} 8889")
        served = node.run(f"docker run --rm alpine sh -c 'ping -c 1 {address} && nc -nzvw 1 {address} 8888'")
        assert (refused.returncode != 0, served.returncode) == (True, 0), served.stderr
        assert "succeeded" in served.stderr
        assert "contiv.com" in node.output("docker exec talker wget -q -O - http://contiv.com")
    finally:
        node.run("docker rm -f talker")


def test_names_resolve_through_dockers_own_resolver(engines: RunningLab) -> None:
    node = engines.node("node1")
    node.output("docker network create named && docker run -itd --name=peer --net=named alpine")
    try:
        asked = "nslookup contiv.com && nslookup peer && ping -c 1 peer && wget -q -O - http://contiv.com"
        shown = node.output(f"docker run --rm --net=named alpine sh -c 'cat /etc/resolv.conf && {asked}'")
        assert "nameserver 127.0.0.11" in shown
        assert "203.0.113.10" in shown
    finally:
        node.run("docker rm -f peer; docker network rm named")


def test_a_cut_cable_has_no_carrier_until_it_is_healed(engines: RunningLab) -> None:
    node, other = engines.nodes
    node.cut("eth1")
    try:
        assert within(5, lambda: "NO-CARRIER" in flags(node, "eth1"))
        assert node.run("ping -c 1 -W 1 192.168.2.11").returncode != 0
        assert "NO-CARRIER" not in flags(other, "eth1")
        assert node.run("ping -c 1 -W 2 10.0.2.16").returncode == 0
    finally:
        node.heal("eth1")
    assert within(10, lambda: node.run("ping -c 1 -W 1 192.168.2.11").returncode == 0)


def test_what_is_killed_stays_dead_until_started(engines: RunningLab) -> None:
    node = engines.node("node2")
    node.kill("dockerd")
    assert not state_of(engines, "node2", "dockerd").is_running
    assert state_of(engines, "node2", "containerd").is_ready
    assert node.run("docker ps").returncode != 0
    node.start("dockerd")
    assert state_of(engines, "node2", "dockerd").is_ready
    assert "API listen" in node.log("dockerd")


def test_a_stopped_node_comes_back_with_its_containers_and_its_cut_cable(engines: RunningLab) -> None:
    node = engines.node("node2")
    node.output("docker create --name=kept alpine && echo mine >/etc/mine")
    node.cut("eth2")
    try:
        node.turn_off()
        with pytest.raises(NotFoundError, match="is off"):
            node.run("true")
        assert not state_of(engines, "node2", "etcd").is_running
        node.turn_on()
        assert node.output("docker ps -a --format '{{.Names}}'") == "kept"
        assert node.output("cat /etc/mine") == "mine"
        assert "NO-CARRIER" in flags(node, "eth2")
    finally:
        node.heal("eth2")
        node.run("docker rm kept")


def test_a_node_without_power_comes_back(engines: RunningLab) -> None:
    node = engines.node("node1")
    node.output("docker run -d --name=lost --restart=always alpine sleep 1000")
    node.pull_power()
    assert not state_of(engines, "node1", "etcd").is_running
    node.turn_on()
    try:
        assert within(20, lambda: "lost" in node.output("docker ps --format '{{.Names}}'"))
    finally:
        node.run("docker rm -f lost")
    node.output("ping -c 1 -W 2 192.168.2.11")
