"""A lab's settings to its machines, links, addresses and name files: values only, no effects."""

import re
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from isthmus.core.errors import InvalidError, NotFoundError

MAX_NODES = 16
MAX_NAME_LENGTH = 20
MAX_ETCD_MEMBERS = 3
MIN_MTU, MAX_MTU = 1280, 9000
DEFAULT_NAME = "tutorial"

MANAGEMENT = IPv4Network("10.0.2.0/24")
CLUSTER = IPv4Network("192.168.2.0/24")
FIRST_MANAGEMENT_OFFSET = 15
FIRST_CLUSTER_OFFSET = 10
GATEWAY = MANAGEMENT[2]
WEBSITE = "contiv.com"
WEBSITE_ADDRESS = IPv4Address("203.0.113.10")  # RFC 5737, TEST-NET-3: nobody's address
NAT_ADDRESS = IPv4Address("203.0.113.1")  # what the internet of the lab sees of every node
INTERNET = IPv4Network("203.0.113.0/24")

_NAME = re.compile(r"[a-z][a-z0-9-]*[a-z0-9]|[a-z]")


class Role(StrEnum):
    """What a machine of the lab is for."""

    NODE = "node"
    OUTSIDE = "outside"  # the internet of the lab: gateway, DNS, a web server
    FABRIC = "fabric"  # the switches; no program runs there


@dataclass(frozen=True, slots=True)
class Lab:
    """What an operator asked for; everything else follows from it."""

    name: str = DEFAULT_NAME
    nodes: int = 2
    masters: int = 1
    dockerd: str = "dockerd"
    mtu: int = 1500
    only: tuple[str, ...] = ()  # programs to start; empty means all


@dataclass(frozen=True, slots=True)
class Link:
    """One cable from a machine's interface to a switch of the fabric."""

    interface: str
    port: str
    switch: str
    mac: str
    address: IPv4Interface | None


@dataclass(frozen=True, slots=True)
class Machine:
    """A cluster node, the outside or the fabric."""

    name: str
    hostname: str
    role: Role
    number: int  # 1 for node1; 0 for what is no node
    links: tuple[Link, ...]


def checked(lab: Lab) -> Lab:
    """Give `lab` back if it can be built.

    Raises:
        InvalidError: the name, or a number, lies outside its limits.
    """
    check_name(lab.name)
    if not 1 <= lab.nodes <= MAX_NODES:
        raise InvalidError(f"--nodes {lab.nodes}: a lab has 1 to {MAX_NODES} nodes")
    if not 1 <= lab.masters <= lab.nodes:
        raise InvalidError(f"--masters {lab.masters}: a lab of {lab.nodes} nodes has 1 to {lab.nodes} masters")
    if not MIN_MTU <= lab.mtu <= MAX_MTU:
        raise InvalidError(f"--mtu {lab.mtu}: a link carries {MIN_MTU} to {MAX_MTU} bytes")
    return lab


def check_name(name: str) -> None:
    """Refuse a lab name that cannot begin a host's name.

    Raises:
        InvalidError: it is too long, or has other characters.
    """
    if len(name) > MAX_NAME_LENGTH or not _NAME.fullmatch(name):
        raise InvalidError(
            f"lab name '{name}': 1 to {MAX_NAME_LENGTH} lower-case letters, digits and hyphens, "
            "first a letter, last no hyphen"
        )


def machines(lab: Lab) -> tuple[Machine, ...]:
    """Give every machine of the lab in the order in which they come up."""
    return (_fabric(lab), _outside(lab), *nodes(lab))


def nodes(lab: Lab) -> tuple[Machine, ...]:
    """Give the cluster's nodes, node1 first."""
    return tuple(_node(lab, number) for number in range(1, lab.nodes + 1))


def machine(lab: Lab, name: str) -> Machine:
    """Find a machine by its short name (node1) or its host name (tutorial-node1).

    Raises:
        NotFoundError: the lab has no such machine.
    """
    for known in machines(lab):
        if name in {known.name, known.hostname}:
            return known
    choices = ", ".join(known.name for known in machines(lab))
    raise NotFoundError(f"lab '{lab.name}' has no node '{name}'; it has: {choices}")


def link(of: Machine, interface: str) -> Link:
    """Find the cable in a machine's interface.

    Raises:
        NotFoundError: the machine has no such cable.
    """
    for known in of.links:
        if known.interface == interface:
            return known
    choices = ", ".join(known.interface for known in of.links) or "none"
    raise NotFoundError(f"{of.hostname} has no cable in '{interface}'; it has: {choices}")


def cluster_address(node: Machine) -> IPv4Address:
    """Give the address of a node on the cluster network."""
    return CLUSTER[FIRST_CLUSTER_OFFSET + node.number - 1]


def etcd_members(lab: Lab) -> tuple[Machine, ...]:
    """Give the nodes whose etcd holds data; the others' etcd passes requests on to these."""
    return nodes(lab)[:MAX_ETCD_MEMBERS]


def masters(lab: Lab) -> tuple[Machine, ...]:
    """Give the nodes on which netmaster runs."""
    return nodes(lab)[: lab.masters]


def names(lab: Lab) -> dict[str, IPv4Address]:
    """Give the addresses of every name that the lab's DNS server knows."""
    known = {node.hostname: cluster_address(node) for node in nodes(lab)}
    return known | {"netmaster": CLUSTER[FIRST_CLUSTER_OFFSET], WEBSITE: WEBSITE_ADDRESS}


def hosts_file(lab: Lab) -> str:
    """Render /etc/hosts.

    `localhost` has its IPv4 address only: etcd, dialled by that name, listens on 127.0.0.1.
    """
    own = {name: address for name, address in names(lab).items() if name != WEBSITE}
    lines = ["127.0.0.1 localhost", "::1 ip6-localhost ip6-loopback"]
    return "\n".join([*lines, *(f"{address} {name}" for name, address in own.items()), ""])


def switches(lab: Lab) -> tuple[str, ...]:
    """Give the names of the fabric's switches."""
    return tuple(sorted({cable.switch for host in machines(lab) for cable in host.links}))


def _fabric(lab: Lab) -> Machine:
    return Machine("fabric", f"{lab.name}-fabric", Role.FABRIC, 0, ())


def _outside(lab: Lab) -> Machine:
    eth0 = Link("eth0", "outside-eth0", "management", _mac(0, 0), IPv4Interface((GATEWAY, MANAGEMENT.prefixlen)))
    eth2 = Link("eth2", "outside-eth2", "trunk", _mac(2, 0), None)
    return Machine("outside", f"{lab.name}-outside", Role.OUTSIDE, 0, (eth0, eth2))


def _node(lab: Lab, number: int) -> Machine:
    name = f"node{number}"
    management = MANAGEMENT[FIRST_MANAGEMENT_OFFSET + number - 1]
    cluster = CLUSTER[FIRST_CLUSTER_OFFSET + number - 1]
    places: tuple[tuple[str, IPv4Interface | None], ...] = (
        ("management", IPv4Interface((management, MANAGEMENT.prefixlen))),
        ("cluster", IPv4Interface((cluster, CLUSTER.prefixlen))),
        ("trunk", None),
    )
    links = tuple(
        Link(f"eth{i}", f"{name}-eth{i}", switch, _mac(i, number), address)
        for i, (switch, address) in enumerate(places)
    )
    return Machine(name, f"{lab.name}-{name}", Role.NODE, number, links)


def _mac(network: int, number: int) -> str:
    # Fixed, so that neighbours' tables stay true when a node has been off; 52:54:00 is locally administered.
    return f"52:54:00:00:{network:02x}:{number:02x}"
