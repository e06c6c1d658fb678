"""A lab with everything: our programs beside the engines."""

import pytest

from isthmus.lab import cluster
from isthmus.lab.running import RunningLab

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


def _programs(lab: RunningLab, name: str) -> tuple[cluster.ProgramState, ...]:
    return next(each.programs for each in cluster.status(lab.lab) if each.machine.name == name)
