"""The three ways from one host to the other, built in labs of their own."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

from isthmus.lab.running import RunningLab, RunningNode, running
from isthmus.lab.topology import Lab, cluster_address

Tell = Callable[[str], None]

WIRE, OVERLAY, OURS = WAYS = ("wire", "overlay", "ours")

_SUBNETS = {OURS: "10.101.0.0/24", OVERLAY: "10.102.0.0/24"}


@dataclass(frozen=True, slots=True)
class Way:
    """Two network namespaces that reach each other: loads run from `client` to `address` in `server`."""

    name: str
    client: Path
    server: Path
    address: IPv4Address


@contextmanager
def built(tell: Tell) -> Iterator[tuple[Way, ...]]:
    """Give the ways, in the order of `WAYS`; their labs are gone when the block ends, however that comes.

    The wire is that of a second lab without engines: it is bare only where no iptables, no connection tracking and
    no program of ours look at its packets.
    """
    with ExitStack() as labs:
        tell("two nodes with nothing but their cables")
        bare = labs.enter_context(running(Lab(f"wire-{os.getpid()}", only=("internet",))))
        tell("two nodes with Docker engines and Isthmus")
        full = labs.enter_context(running(Lab(f"bench-{os.getpid()}")))
        tell("a network of ours, a swarm with an overlay, two containers on each")
        _make_networks(full)
        containers = tuple(_containers(full, name) for name in (OVERLAY, OURS))
        yield (_wire(bare), *containers)


def _wire(lab: RunningLab) -> Way:
    client, server = (Path(f"/proc/{node.pid}/ns/net") for node in lab.nodes)
    return Way(WIRE, client, server, cluster_address(lab.nodes[1].machine))


def _make_networks(lab: RunningLab) -> None:
    first, second = lab.nodes
    first.output(f"netctl net create --subnet={_SUBNETS[OURS]} {OURS}")
    first.output("docker swarm init --advertise-addr eth1")
    token = first.output("docker swarm join-token -q worker")
    second.output(f"docker swarm join --token {token} {cluster_address(first.machine)}")
    # Swarm's own choice would come from 10.0.0.0/8, where the lab's 10.0.2.0/24 is.
    first.output(f"docker network create -d overlay --attachable --subnet {_SUBNETS[OVERLAY]} {OVERLAY}")


def _containers(lab: RunningLab, network: str) -> Way:
    first, second = lab.nodes
    client, _ = _container(first, network)
    server, address = _container(second, network)
    return Way(network, client, server, address)


def _container(node: RunningNode, network: str) -> tuple[Path, IPv4Address]:
    name = f"{network}-{node.machine.name}"
    node.output(f"docker run -d --name {name} --network {network} alpine sleep 1d")
    form = f'{{{{.State.Pid}}}} {{{{(index .NetworkSettings.Networks "{network}").IPAddress}}}}'
    pid, address = node.output(["docker", "inspect", "-f", form, name]).split()
    # The pid counts in the node's own procfs, which is reached through its first process.
    return Path(f"/proc/{node.pid}/root/proc/{pid}/ns/net"), IPv4Address(address)
