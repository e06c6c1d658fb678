"""Three masters on one etcd: any two may be killed, cut off or without power, and netctl goes on."""

import os
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

import pytest

from isthmus.lab import cluster, state
from isthmus.lab.cli import main
from isthmus.lab.running import RunningLab, RunningNode
from tests.lab.probes import at_once, eventually, records

pytestmark = [pytest.mark.root, pytest.mark.lab]

NODES = ("node1", "node2", "node3")
SILENT_PORT = 9998


@pytest.fixture(scope="module")
def trio() -> Iterator[RunningLab]:
    """Three nodes with etcd and netmaster, as an operator asks for them."""
    words = ["--name", f"masters-{os.getpid()}"]
    try:
        assert main(["lab", "up", *words, "--masters", "3", "--only", "internet,etcd,netmaster"]) == 0
        yield RunningLab(state.existing(words[1]))
    finally:
        assert main(["lab", "down", *words]) == 0


@dataclass
class Operator:
    """Creates, lists and deletes networks of one tenant from one node, until told that it is enough."""

    node: RunningNode
    is_enough: threading.Event
    kept: list[str] = field(default_factory=list)
    rounds: int = 0

    @property
    def tenant(self) -> str:
        return f"of-{self.node.machine.name}"

    def work(self) -> None:
        self.says("tenant create {}", f"Creating tenant: {self.tenant}")
        while not self.is_enough.is_set():
            self.work_one_round()
            self.rounds += 1

    def work_one_round(self) -> None:
        name = f"n{self.rounds}"
        subnet = f"10.{self.rounds // 256}.{self.rounds % 256}.0/24"
        self.says(f"net create -t {{}} -s {subnet} {name}", f"Creating network {self.tenant}:{name}")
        self.says("net ls -q -t {}", "\n".join(sorted([*self.kept, name])))
        if self.rounds % 3 == 0:
            self.kept.append(name)
        else:
            self.says(f"net rm -t {{}} {name}", f"Deleting network {self.tenant}:{name}")

    def says(self, line: str, printed: str) -> None:
        """Run a line that must print so, and complain of nothing; that no netplugin is alive here is a warning."""
        done = self.node.run(["netctl", *line.format(self.tenant).split()])
        errors = [text for text in done.stderr.splitlines() if "none is alive" not in text]
        assert (line, done.returncode, done.stdout.rstrip(), errors) == (line, 0, printed, [])


@dataclass
class Operators:
    """One on every node, all at work."""

    all: list[Operator]
    tasks: list[Future[None]]

    def go_on(self, rounds: int = 3) -> None:
        """Wait until each has done so many rounds more."""
        wanted = [each.rounds + rounds for each in self.all]

        def is_so() -> bool:
            for task in self.tasks:
                if task.done():
                    task.result()
            return all(each.rounds >= number for each, number in zip(self.all, wanted, strict=True))

        assert eventually(60, is_so), [each.rounds for each in self.all]


@contextmanager
def operators(trio: RunningLab) -> Iterator[Operators]:
    """Operators at work during the block; whatever one of them met is raised at its end."""
    is_enough = threading.Event()
    every = [Operator(node, is_enough) for node in trio.nodes]
    with ThreadPoolExecutor(max_workers=len(every)) as pool:
        tasks = [pool.submit(each.work) for each in every]
        try:
            yield Operators(every, tasks)
        finally:
            is_enough.set()
        for task in tasks:
            task.result()


def masters_of(trio: RunningLab) -> list[str]:
    """The nodes whose netmaster is ready."""
    looked = {each.machine.name: each.programs for each in cluster.status(trio.lab)}
    return [name for name in NODES if any(each.name == "netmaster" and each.is_ready for each in looked[name])]


def test_every_node_has_a_master_and_knows_all_of_them(trio: RunningLab) -> None:
    assert masters_of(trio) == list(NODES)
    listed = ",".join(f"http://{node.name}:9999" for node in trio.nodes)
    for node in trio.nodes:
        assert node.output("echo $NETMASTER") == listed
        assert "Server Version" in node.output("netctl version")


def test_any_two_masters_are_killed_and_what_netctl_said_came_true_once(trio: RunningLab) -> None:
    one, two, three = trio.nodes
    with operators(trio) as working:
        working.go_on()
        one.kill("netmaster")
        two.kill("netmaster")
        working.go_on()
        one.start("netmaster")
        three.kill("netmaster")
        working.go_on()
        two.start("netmaster")
        one.kill("netmaster")
        working.go_on()
    assert masters_of(trio) == ["node2"]
    kept = sorted(f"{each.tenant}/{name}" for each in working.all for name in each.kept)
    owners = [each["owner"] for each in records(two, "vni").values()]
    assert len(kept) >= 3
    assert sorted(records(two, "network")) == kept
    assert sorted(f"{owner['tenant']}/{owner['name']}" for owner in owners) == kept
    at_once([partial(node.start, "netmaster") for node in (one, three)])


def test_a_node_with_a_master_is_cut_off_and_turned_off(trio: RunningLab) -> None:
    one, two, three = trio.nodes
    with silent(one) as url:
        asked = subprocess.Popen(
            two.command(["netctl", "--netmaster", f"{url},http://{three.name}:9999", "tenant", "ls", "-q"]),
            stdout=subprocess.PIPE,
            text=True,
        )
        assert eventually(20, lambda: one.output(f"ss -Htn state established sport = :{SILENT_PORT}") != "")
        one.cut("eth1")
        works = [(one, "tenant ls"), (two, "tenant create red"), (three, "tenant ls -q")]
        lonely, created, listed = at_once([partial(node.run, f"netctl {line}") for node, line in works])
        assert "default" in asked.communicate(timeout=30)[0].splitlines(), "TCP tells that the host has gone"
    assert (created.returncode, created.stdout, created.stderr) == (0, "Creating tenant: red\n", "")
    assert "default" in listed.stdout.splitlines()
    assert lonely.returncode == 3
    assert all(f"http://{node.name}:9999: " in lonely.stderr for node in trio.nodes)
    one.heal("eth1")
    assert eventually(20, lambda: "red" in one.run("netctl tenant ls -q").stdout.split())
    one.pull_power()
    at_once([partial(two.output, "netctl tenant rm red"), partial(three.output, "netctl tenant ls")])
    assert "red" not in records(three, "tenant")


@contextmanager
def silent(node: RunningNode) -> Iterator[str]:
    """A server on a node that takes a request and never answers; its URL."""
    with subprocess.Popen(node.command(["nc", "-d", "-l", str(SILENT_PORT)]), stdout=subprocess.DEVNULL) as server:
        try:
            assert eventually(20, lambda: str(SILENT_PORT) in node.output("ss -Hltn"))
            yield f"http://{node.name}:{SILENT_PORT}"
        finally:
            server.terminate()
