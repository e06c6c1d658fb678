"""All of etcd is lost and a backup restored: containers talk all the while, and the cluster is as it was."""

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from isthmus.lab.running import RunningLab, RunningNode, running
from isthmus.lab.topology import Lab
from tests.lab.probes import (
    NET,
    Container,
    at_once,
    create_group,
    create_net,
    eventually,
    held,
    networks,
    records,
    rest,
    run,
)

pytestmark = [pytest.mark.root, pytest.mark.lab]

BACKUP = "/root/backup.yaml"
OVER = "/run/over"  # this file on a node ends what goes on there
FLOOD = f"until test -e {OVER}; do ping -q -i 0.01 -c 100 {{target}} || exit; done"
OK = 200
DB, BLUE = "db", "contiv-net/blue"


@dataclass(frozen=True)
class Town:
    """A lab whose containers live in two tenants and a group, and what its operator was shown before."""

    lab: RunningLab
    one: Container
    two: Container
    member: Container
    blue: Container
    other_blue: Container

    @property
    def homes(self) -> list[tuple[Container, str]]:
        """All containers, and their Docker networks."""
        return [(self.one, NET), (self.two, NET), (self.member, DB), (self.blue, BLUE), (self.other_blue, BLUE)]

    @property
    def first(self) -> RunningNode:
        return self.lab.nodes[0]

    @property
    def pairs(self) -> list[tuple[Container, str]]:
        """Who reaches whom: from node to node in each network."""
        return [
            (self.one, self.two.address()),
            (self.two, self.member.address(DB)),
            (self.blue, self.other_blue.address(BLUE)),
        ]

    def shown(self) -> dict[str, str]:
        """What netctl shows, without what nodes report of themselves."""
        lines = ("tenant ls", "net ls -a -w", "export", "net inspect contiv-net", "net inspect -t blue contiv-net")
        return {line: _lasting(self.first.output(f"netctl {line}")) for line in lines}

    def is_settled(self) -> bool:
        """Whether every node is alive and holds all that it should."""
        answers = [rest(self.first, "GET", f"inspect/nodes/{each.name}") for each in self.lab.nodes]
        if any(status != OK for status, _ in answers):
            return False
        states = [json.loads(text) for _, text in answers]
        settled = [
            each["Config"].get("isAlive") and each["Oper"].get("inSync") and each["Oper"].get("appliedRevision")
            for each in states
        ]
        return all(settled) and all({NET, DB, BLUE} <= networks(each).keys() for each in self.lab.nodes)


def _lasting(shown: str) -> str:
    if not shown.startswith("{"):
        return shown
    found: dict[str, Any] = json.loads(shown)
    return json.dumps({**found, "Oper": {**found["Oper"], "nodes": []}})


@pytest.fixture(scope="module")
def town() -> Iterator[Town]:
    with running(Lab(f"backup-{os.getpid()}", nodes=2)) as lab:
        first, second = lab.nodes
        create_net(lab)
        create_group(lab, DB, ipPool="10.1.2.100-10.1.2.110")
        first.output("netctl tenant create blue")
        create_net(lab, NET, "10.1.2.0/24", "-t", "blue")
        wanted = [(first, "one", NET), (second, "two", NET), (first, "member", DB)]
        wanted += [(first, "blue", BLUE), (second, "other-blue", BLUE)]
        yield Town(lab, *at_once([partial(run, node, name, network=network) for node, name, network in wanted]))


def back_up(town: Town) -> dict[str, str]:
    """Make a backup; what netctl shows at that time."""
    town.first.output(f"netctl export --all >{BACKUP}")
    counted = town.first.output(f"netctl apply -f {BACKUP} --dry-run")
    assert counted.startswith("0 records to be restored, ")
    return town.shown()


def lose_etcd(town: Town) -> None:
    """End every member, remove what it kept, and start it again, empty."""
    for node in town.lab.nodes:
        node.kill("etcd")
        node.output("rm -r /var/lib/etcd/member")
    for node in (*town.lab.nodes, town.first):  # the first is ready when the second runs
        node.start("etcd")
    assert records(town.first, "endpoint") == {}


def restore(town: Town) -> None:
    assert eventually(30, lambda: "default" in town.first.run("netctl tenant ls -q").stdout)
    done = town.first.run(f"netctl apply -f {BACKUP}")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("restored ")


def flooding(container: Container, target: str) -> "subprocess.Popen[str]":
    line = container.node.command(container.inside(["sh", "-c", FLOOD.format(target=target)]))
    return subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def counted_losses(town: Town, floods: "list[subprocess.Popen[str]]") -> list[str]:
    """End the floods; the rounds in which something was lost."""
    assert all(flood.poll() is None for flood in floods), [flood.communicate()[0] for flood in floods]
    for node in town.lab.nodes:
        node.output(f"touch {OVER}")
    said = [line for flood in floods for line in flood.communicate(timeout=60)[0].splitlines() if "received" in line]
    for node in town.lab.nodes:
        node.output(f"rm {OVER}")
    return [line for line in said if "100 packets transmitted, 100 received" not in line]


@pytest.mark.parametrize("are_agents_up", [False, True])
def test_containers_talk_all_the_while_and_the_cluster_is_as_it_was(town: Town, are_agents_up: bool) -> None:
    before, endpoints = back_up(town), held(town.first)
    floods = [flooding(asker, target) for asker, target in town.pairs]
    if not are_agents_up:
        at_once([partial(node.kill, "netplugin") for node in town.lab.nodes])
    lose_etcd(town)
    restore(town)
    if not are_agents_up:
        at_once([partial(node.start, "netplugin") for node in town.lab.nodes])
    assert eventually(30, town.is_settled), town.first.run("netctl status").stdout
    assert counted_losses(town, floods) == []
    assert town.shown() == before
    assert held(town.first) == endpoints
    assert town.first.output(f"netctl apply -f {BACKUP}").count("\n") == 0
    assert town.one.reaches("two")
    assert town.two.reaches("member")
    taken = {key.rpartition("/")[2] for key in records(town.first, "address")}
    new, of_pool = run(town.lab.nodes[1], "new"), run(town.lab.nodes[1], "new-member", network=DB)
    assert not {new.address(), of_pool.address(DB)} & taken
    assert town.one.reaches("new")
    assert of_pool.reaches("member")
    for each in (new, of_pool):
        each.remove()


def test_what_a_backup_is_too_old_for_is_put_back_by_the_agents(town: Town) -> None:
    """Newer containers live on in newer networks, too; stopped ones start again; what has ended does not return."""
    ending = run(town.first, "ending")
    back_up(town)
    ended = ending.address()
    ending.remove()
    newer = run(town.lab.nodes[1], "newer", f"--ip={ended}")
    create_net(town.lab, "late", "10.7.0.0/24")
    late, other = run(town.first, "late", network="late"), run(town.lab.nodes[1], "other-late", network="late")
    town.member.node.output(f"docker stop -t 0 {town.member.name}")
    floods = [flooding(town.one, ended), flooding(late, other.address("late"))]
    lose_etcd(town)
    restore(town)
    problem = "etcd has lost it, and 1 containers of this host live on in it"
    told = partial(town.first.output, "netctl node ls -w")
    assert eventually(20, lambda: sum(problem in line for line in told().splitlines()) == len(town.lab.nodes)), told()
    create_net(town.lab, "late", "10.7.0.0/24")
    assert eventually(30, town.is_settled)
    assert counted_losses(town, floods) == []
    alive = {"one", "two", "blue", "other-blue", "newer", "late", "other-late"}
    assert eventually(20, lambda: {each["container"] for each in records(town.first, "endpoint").values()} == alive)
    town.member.node.output(f"docker start {town.member.name}")
    assert town.one.reaches("member")
    assert town.one.reaches("newer")
    assert late.reaches("other-late")
    assert "put back" in town.first.output(f"netctl node inspect {newer.node.name}")
    for each in (newer, late, other):
        each.remove()
