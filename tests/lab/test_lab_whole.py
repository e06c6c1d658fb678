"""A lab with everything: our programs beside the engines."""

import pytest

from isthmus.core.errors import EdgeError
from isthmus.lab import cluster, power
from isthmus.lab.member import await_member
from isthmus.lab.running import RunningLab, RunningNode
from tests.lab.probes import NET, create_net, networks, records

pytestmark = [pytest.mark.root, pytest.mark.lab]


def test_every_program_is_ready_when_up_returns(lab: RunningLab) -> None:
    looked = {each.machine.name: [program.name for program in each.programs] for each in cluster.status(lab.lab)}
    assert all(each.is_ready for each in cluster.status(lab.lab))
    assert looked["node1"] == ["etcd", "containerd", "netplugin", "dockerd", "netmaster"]
    assert looked["node2"] == ["etcd", "containerd", "netplugin", "dockerd"]


def test_netctl_finds_netmaster_from_every_node(lab: RunningLab) -> None:
    for node in lab.nodes:
        assert "Server Version" in node.output("netctl version")


def test_our_programs_stop_when_asked_to(lab: RunningLab) -> None:
    node = lab.node("node1")
    for program in ("netplugin", "netmaster"):
        node.stop(program)
        stopped = {each.name for each in _programs(lab, "node1") if not each.is_running}
        node.start(program)
        assert stopped == {program}
    assert all(each.is_ready for each in _programs(lab, "node1"))


def test_a_node_that_was_turned_on_is_in_the_cluster(lab: RunningLab) -> None:
    node = lab.node("node2")
    node.turn_off()  # takes its lease back
    node.turn_on()
    found = records(lab.node("node1"), "node")
    assert f"{node.name}/lease" in found
    assert found[node.name]["engine"] == "ready"
    create_net(lab)
    assert networks(node)[NET] == "netplugin"


def test_an_agent_that_has_ended_is_not_waited_for(lab: RunningLab) -> None:
    node = lab.node("node1")
    node.stop("netplugin")
    with pytest.raises(EdgeError, match=f"netplugin on {node.name} has ended"):
        _await_member(node)
    node.start("netplugin")
    _await_member(node)


def _await_member(node: RunningNode) -> None:
    host = cluster.host(node.lab, node.machine)
    power.in_network_of(host, lambda: await_member(node.lab, node.machine, host))


def _programs(lab: RunningLab, name: str) -> tuple[cluster.ProgramState, ...]:
    return next(each.programs for each in cluster.status(lab.lab) if each.machine.name == name)
