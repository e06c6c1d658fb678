"""What the acceptance tests ask of a running lab: containers, what they reach, and what is held for them where."""

import json
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from isthmus.core.trace.drops import DropReason
from isthmus.lab.running import RunningLab, RunningNode
from isthmus.wire import maps

_T = TypeVar("_T")

NET = "contiv-net"
SUBNET = "10.1.2.0/24"
OVERLAY = "isthmus-vxlan"
PINS = f"/sys/fs/bpf/isthmus/v{maps.LAYOUT}"
ROOT = "/isthmus/v1/"
IDLE = "sleep infinity"


def eventually(seconds: float, is_so: Callable[[], bool]) -> bool:
    """Say whether something becomes so in time."""
    deadline_s = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline_s:
            return False
        time.sleep(0.1)
    return True


def at_once(works: Sequence[Callable[[], _T]]) -> list[_T]:
    """Call all of them side by side; return what they return, in order."""
    with ThreadPoolExecutor(max_workers=max(1, len(works))) as pool:
        return [task.result() for task in [pool.submit(work) for work in works]]


@dataclass(frozen=True, slots=True)
class Container:
    """A container that a test runs."""

    node: RunningNode
    name: str

    def run(self, words: str) -> subprocess.CompletedProcess[str]:
        """Run a line of shell in the container."""
        return self.node.run(["docker", "exec", self.name, "sh", "-c", words])

    def output(self, words: str) -> str:
        """Run a line of shell that must succeed; return what it printed."""
        return self.node.output(["docker", "exec", self.name, "sh", "-c", words])

    def start(self, words: str) -> None:
        """Start a line of shell in the background."""
        self.node.output(["docker", "exec", "-d", self.name, "sh", "-c", words])

    def inspected(self, template: str) -> str:
        """What docker knows of it."""
        return self.node.output(["docker", "inspect", "--format", template, self.name])

    @property
    def pid(self) -> int:
        """Its first process, as its node counts."""
        return int(self.inspected("{{.State.Pid}}"))

    def address(self, network: str = NET) -> str:
        """Its address in a network."""
        return self.inspected(f'{{{{(index .NetworkSettings.Networks "{network}").IPAddress}}}}')

    def addresses(self, network: str = NET) -> list[str]:
        """Its addresses in a network, IPv4 first."""
        one = f'index .NetworkSettings.Networks "{network}"'
        return self.inspected(f"{{{{with {one}}}}}{{{{.IPAddress}}}} {{{{.GlobalIPv6Address}}}}{{{{end}}}}").split()

    def inside(self, words: list[str]) -> list[str]:
        """Give the node's words that run a program of the node's in the container's network."""
        return ["nsenter", "-t", str(self.pid), "-n", "--", *words]

    def reaches(self, target: str, *, size_bytes: int = 56) -> bool:
        """Whether a target, by name or by address, answers one of three pings.

        News of a name takes its time to the other hosts, and an unknown name fails at once: hence the pauses.
        """
        tries = f"for i in 1 2 3; do ping -c 1 -W 1 -s {size_bytes} {target} && exit; sleep 1; done; exit 1"
        return self.run(tries).returncode == 0

    def remove(self) -> None:
        """Remove it, alive or not."""
        self.node.output(["docker", "rm", "-f", self.name])


def run(node: RunningNode, name: str, *options: str, network: str = NET, command: str = IDLE) -> Container:
    """Start a container on a network of ours."""
    line = ["docker", "run", "-d", "--init", f"--name={name}", f"--net={network}", *options, "alpine"]
    node.output([*line, "sh", "-c", command])
    return Container(node, name)


def create_net(lab: RunningLab, name: str = NET, subnet: str = SUBNET, *options: str) -> None:
    """Create a network from the first node."""
    lab.node("node1").output(["netctl", "net", "create", *options, f"--subnet={subnet}", name])


def rest(node: RunningNode, method: str, route: str, body: dict[str, Any] | None = None) -> tuple[int, str]:
    """Ask netmaster from a node; return the status and the answer's text."""
    line = ["curl", "-s", "-X", method, "-w", "\n%{http_code}", f"http://netmaster:9999/api/v1/{route}/"]
    content = ["-H", "Content-Type: application/json", "-d", json.dumps(body)] if body is not None else []
    answer, _, status = node.output([*line, *content]).rpartition("\n")
    return int(status), answer


def create_group(lab: RunningLab, name: str, network: str = NET, *, tenant: str = "default", **fields: str) -> None:
    """Create a group from the first node; `fields` are the REST object's, as ipPool="A.B.C.D-E.F.G.H"."""
    body = {"tenantName": tenant, "groupName": name, "networkName": network, **fields}
    status, answer = rest(lab.node("node1"), "POST", f"endpointGroups/{tenant}:{name}", body)
    assert status in {200, 201}, answer


def networks(node: RunningNode) -> dict[str, str]:
    """The engine's networks: {name: driver}."""
    listed = node.output(["docker", "network", "ls", "--format", "{{.Name}} {{.Driver}}"])
    return dict(line.split() for line in listed.splitlines())


def records(node: RunningNode, kind: str) -> dict[str, dict[str, Any]]:
    """What etcd holds of one kind: {key below the kind: value}."""
    prefix = f"{ROOT}{kind}/"
    lines = node.output(["etcdctl", "get", "--prefix", prefix]).splitlines()
    return {key.removeprefix(prefix): json.loads(value) for key, value in zip(lines[::2], lines[1::2], strict=True)}


def held(node: RunningNode) -> list[str]:
    """The keys that containers hold in etcd: endpoints, and addresses that are no gateway's."""
    addresses = records(node, "address")
    leases = [key for key, value in addresses.items() if value.get("purpose") == "lease"]
    return sorted([*records(node, "endpoint"), *leases])


def table(node: RunningNode, name: str) -> list[tuple[bytes, bytes]]:
    """A BPF map of a node, whole: keys and values; a value of a map with one for each CPU is all of them in a row."""
    found = json.loads(node.output(["bpftool", "-j", "map", "dump", "pinned", f"{PINS}/{name}"]))
    return [(_octets(row["key"]), _value(row)) for row in found]


def _value(row: dict[str, Any]) -> bytes:
    return _octets(row["value"]) if "value" in row else b"".join(_octets(each["value"]) for each in row["values"])


def _octets(words: list[str]) -> bytes:
    return bytes(int(word, 16) for word in words)


def directory(node: RunningNode) -> list[str]:
    """The addresses that this node's datapath knows, of every network."""
    return sorted(str(maps.parse_place_key(key).address) for key, _ in table(node, "directory"))


def drops(node: RunningNode, reason: DropReason) -> int:
    """How many packets this node has dropped for a reason, on all its interfaces."""
    counted = ((maps.parse_drop_key(key), maps.sum_drops(value)) for key, value in table(node, "drops"))
    return sum(packets for (_, number), packets in counted if number == reason)


def legs(node: RunningNode) -> list[str]:
    """The links that this node holds for containers on our networks."""
    shown = json.loads(node.output("ip -j link show"))
    return [each["ifname"] for each in shown if each["ifname"].startswith(("ish", "isc")) and each["ifname"] != OVERLAY]


@contextmanager
def capturing(container: Container, what: str) -> Iterator[list[str]]:
    """Collect the packets that enter or leave a container and fit a filter, as tcpdump prints them."""
    command = container.inside(["tcpdump", "--immediate-mode", "-n", "-l", "-e", "-Z", "root", "-i", "eth0", what])
    seen: list[str] = []
    with subprocess.Popen(
        container.node.command(command), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as tcpdump:
        assert tcpdump.stdout is not None
        assert tcpdump.stderr is not None
        try:
            while "listening" not in tcpdump.stderr.readline():
                assert tcpdump.poll() is None
            yield seen
            time.sleep(0.3)  # what was sent last is still on its way
        finally:
            tcpdump.terminate()
            seen += filter(None, tcpdump.stdout.read().splitlines())


@contextmanager
def frozen(program: str, *nodes: RunningNode) -> Iterator[None]:
    """Hold a program on these nodes during the block: it lives, keeps its connections, and does nothing."""
    of_program = f"$(cut -d ' ' -f 1 /run/isthmus-lab/{program})"
    try:
        for node in nodes:
            node.output(f"kill -STOP {of_program}")
        yield
    finally:
        for node in nodes:
            node.run(f"kill -CONT {of_program}")  # it may have been killed meanwhile


def clean(lab: RunningLab) -> None:
    """Remove all containers, groups, networks and tenants of the tests, as an operator would."""

    def empty(node: RunningNode) -> Callable[[], object]:
        return lambda: node.output("docker ps -aq | xargs -r docker rm -f")

    at_once([empty(node) for node in lab.nodes])
    first = lab.node("node1")
    assert eventually(20, lambda: not held(first)), held(first)
    for key in records(first, "group"):
        status, answer = rest(first, "DELETE", f"endpointGroups/{key.replace('/', ':')}")
        assert status == 200, answer
    for key in records(first, "network"):
        tenant, name = key.split("/")
        first.output(["netctl", "net", "rm", "-t", tenant, name])
    for tenant in records(first, "tenant"):
        if tenant != "default":
            first.output(["netctl", "tenant", "rm", tenant])
    for node in lab.nodes:
        _await_removal(node)


def _await_removal(node: RunningNode) -> None:
    """Wait until the engine has no network of ours; where it has miscounted (moby#42119), do what the report says."""

    def has_none() -> bool:
        return "netplugin" not in networks(node).values()

    if not eventually(3, has_none):
        assert "counts again when dockerd is restarted" in node.run(["netctl", "node", "inspect", node.name]).stdout
        node.stop("dockerd")
        node.start("dockerd")
    assert eventually(20, has_none), networks(node)
