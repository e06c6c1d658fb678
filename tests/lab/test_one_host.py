"""One host, as docs/operate/install.md has it: an engine, and our two programs started without a single option."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pytest

from isthmus.lab.running import RunningLab, RunningNode, running
from isthmus.lab.topology import Lab
from tests.lab.probes import NET, Container, create_net, eventually, networks, records, run

pytestmark = [pytest.mark.root, pytest.mark.lab]

STARTED_WITHIN_S = 20


@pytest.fixture(scope="module")
def host() -> Iterator[RunningLab]:
    """A machine with a plain engine, and nothing of ours."""
    with running(Lab(f"lone-{os.getpid()}", nodes=1, only=("internet", "containerd", "dockerd"))) as up:
        yield up


@contextmanager
def started(node: RunningNode, program: str) -> Iterator[None]:
    """The program without options, ended by SIGTERM when the block ends."""
    words = f"echo $$ >/run/{program}.pid; exec {program} >>/var/log/isthmus/{program}.log 2>&1"
    running_program = subprocess.Popen(node.command(words))
    try:
        yield
    finally:
        node.run(f"kill $(cat /run/{program}.pid)")
        code = running_program.wait(timeout=20)
    assert code == 0


@contextmanager
def ours(node: RunningNode) -> Iterator[None]:
    """netmaster and netplugin, ready."""
    with started(node, "netmaster"), started(node, "netplugin"):
        await_member(node)
        yield


def await_member(node: RunningNode) -> None:
    """Wait until the host is a live member of its own cluster: before, netmaster waits for nobody to follow."""
    assert eventually(STARTED_WITHIN_S, lambda: node.run("netctl net ls").returncode == 0)
    assert eventually(STARTED_WITHIN_S, lambda: is_member(node)), node.log("netplugin")


def is_member(node: RunningNode) -> bool:
    """Whether a lease says that its agent is alive, and its report that its engine is there."""
    found = records(node, "node")
    return f"{node.name}/lease" in found and found.get(node.name, {}).get("engine") == "ready"


def pair(node: RunningNode, *names: str) -> list[Container]:
    return [run(node, name) for name in names]


def test_a_machine_without_options_has_networks_and_keeps_them(host: RunningLab) -> None:
    node = host.node("node1")
    with ours(node):
        create_net(host)
        assert networks(node)[NET] == "netplugin"
        one, two = pair(node, "one", "two")
        assert one.reaches("two")
        assert two.reaches("one")
        kept = records(node, "endpoint"), records(node, "network"), records(node, "address")
    address = two.address()
    assert one.reaches(address), "packets need neither program"
    with ours(node):
        assert (records(node, "endpoint"), records(node, "network"), records(node, "address")) == kept
        assert eventually(10, partial(one.reaches, "two"))
        assert run(node, "three").reaches("one")
        check_refusal_without_uplink(node)
        assert "one" in node.run(["netctl", "net", "rm", NET]).stderr
        for name in ("one", "two", "three"):
            Container(node, name).remove()
        node.output(["netctl", "net", "rm", NET])
        assert NET not in networks(node)


def check_refusal_without_uplink(node: RunningNode) -> None:
    node.output("netctl net create -p 112 -e vlan -s 10.1.3.0/24 wire")
    refused = node.run("docker run --rm --net=wire alpine true")
    assert refused.returncode != 0
    assert f"wire is a VLAN network, and node {node.name} has no uplink: see netplugin -vlan-if" in refused.stderr
    node.output("netctl net rm wire")


def test_netplugin_answers_its_engine_before_there_is_a_store_and_finds_it_later(host: RunningLab) -> None:
    node = host.node("node1")
    activate = "curl -sSf -d '' --unix-socket /run/docker/plugins/netplugin.sock http://netplugin/Plugin.Activate"
    with started(node, "netplugin"):
        assert eventually(STARTED_WITHIN_S, lambda: "IpamDriver" in node.run(activate).stdout)
        with started(node, "netmaster"):
            await_member(node)
            create_net(host)
            one, two = pair(node, "one", "two")
            assert one.reaches("two")
            for each in (one, two):
                each.remove()
            node.output(["netctl", "net", "rm", NET])
