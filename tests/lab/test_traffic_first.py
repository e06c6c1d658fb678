"""Whatever of the control plane goes, comes back or is replaced: no packet is lost and no connection breaks."""

import json
import os
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import permutations
from pathlib import Path

import pytest

from isthmus.lab.programs import OWN_PROGRAMS
from isthmus.lab.running import RunningLab, RunningNode, running
from isthmus.lab.topology import Lab
from isthmus.wire.maps import LAYOUT
from tests.builds import OTHER_LAYOUT, build_other
from tests.lab.flows import flowing
from tests.lab.probes import NET, Container, at_once, create_net, eventually, records, run

pytestmark = [pytest.mark.root, pytest.mark.lab, pytest.mark.timeout(300)]

OUTAGE_S = 120.0  # of the issue: etcd gone for two minutes of real time
SUBNETS = ("10.1.2.0/24", "--subnetv6=2001:db8:1::/64")
OTHER_BUILD = "/run/isthmus-lab/build"
RUN_OTHER_BUILD = f"""#!/bin/sh
PYTHONPATH={OTHER_BUILD} exec {sys.executable} -P -m isthmus.netplugin "$@"
"""

Trio = tuple[Container, Container, Container]


@pytest.fixture(scope="module")
def cluster() -> Iterator[RunningLab]:
    """Three nodes, so that etcd may lose one of its members, with engines that let containers live."""
    with running(Lab(f"traffic-{os.getpid()}", nodes=3)) as up:
        for node in up.nodes:
            node.output("cat >/etc/docker/daemon.json", text=json.dumps({"live-restore": True}))
            node.stop("dockerd")
        at_once([partial(node.start, "dockerd") for node in up.nodes])
        assert eventually(20, lambda: engines(up) == {"ready"})  # netmaster waits for no engine that is away
        create_net(up, NET, *SUBNETS)
        yield up


def engines(lab: RunningLab) -> set[str]:
    """What the nodes' agents say of their engines."""
    found = records(lab.node("node1"), "node")
    return {found.get(node.name, {}).get("engine", "") for node in lab.nodes}


@pytest.fixture(scope="module")
def trio(cluster: RunningLab) -> Trio:
    """Two containers on one node and one on another."""
    first, second, _ = cluster.nodes
    return run(first, "one"), run(first, "near"), run(second, "far")


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_other(tmp_path_factory.mktemp("other"))


@contextmanager
def killed(program: str, nodes: Sequence[RunningNode]) -> Iterator[None]:
    """Kill a program on some nodes, and start it again after the block."""
    for node in nodes:
        node.kill(program)
    try:
        yield
    finally:
        at_once([partial(node.start, program) for node in nodes])


def check_new_container(trio: Trio, node: RunningNode) -> None:
    """A container that starts now reaches the others and is reached, by name."""
    new = run(node, "new")
    try:
        assert all(new.reaches(each.name) for each in trio)
        assert all(eventually(10, partial(each.reaches, new.name)) for each in trio)
    finally:
        new.remove()


@pytest.mark.parametrize("names", [["node1"], ["node2"], ["node1", "node2"]], ids="-".join)
@pytest.mark.parametrize("program", ["netplugin", "dockerd"])
def test_no_packet_is_lost_while_a_program_is_killed_and_started_again(
    program: str, names: list[str], cluster: RunningLab, trio: Trio
) -> None:
    with flowing(trio[0], trio[1:]):
        with killed(program, [cluster.node(name) for name in names]):
            pass
        check_new_container(trio, cluster.node("node1"))


@pytest.mark.parametrize("program", ["netplugin", "dockerd"])
def test_no_packet_is_lost_while_a_program_is_ended_and_started_again(
    program: str, cluster: RunningLab, trio: Trio
) -> None:
    with flowing(trio[0], trio[1:]):
        at_once([partial(node.stop, program) for node in cluster.nodes])
        at_once([partial(node.start, program) for node in cluster.nodes])
        check_new_container(trio, cluster.node("node1"))


@pytest.mark.parametrize(("program", "name"), [("netmaster", "node1"), ("etcd", "node3")])
def test_no_packet_is_lost_and_containers_start_while_netmaster_or_one_member_of_etcd_is_gone(
    program: str, name: str, cluster: RunningLab, trio: Trio
) -> None:
    with flowing(trio[0], trio[1:]):
        with killed(program, [cluster.node(name)]):
            for node in cluster.nodes[:2]:
                check_new_container(trio, node)
        assert eventually(20, lambda: can_start_containers(cluster.node("node3")))
        check_new_container(trio, cluster.node("node3"))


def test_no_packet_is_lost_while_the_only_member_of_etcd_that_an_agent_asks_is_gone(
    cluster: RunningLab, trio: Trio
) -> None:
    first, second, _ = cluster.nodes
    with flowing(trio[0], trio[1:]):
        with killed("etcd", [first]):
            meanwhile = run(second, "meanwhile")
        assert eventually(20, lambda: trio[0].reaches("meanwhile"))
        meanwhile.remove()
        assert eventually(20, lambda: can_start_containers(first))
        check_new_container(trio, first)


def test_no_packet_is_lost_and_names_are_answered_while_etcd_is_gone_for_two_minutes(
    cluster: RunningLab, trio: Trio
) -> None:
    with flowing(trio[0], trio[1:]):
        with killed("etcd", cluster.nodes):
            end_s = time.monotonic() + OUTAGE_S
            while time.monotonic() < end_s:
                for asker, asked in permutations(trio, 2):
                    assert asked.address() in asker.output(f"nslookup {asked.name}")
        assert eventually(20, lambda: can_start_containers(cluster.node("node1")))
        check_new_container(trio, cluster.node("node1"))


def can_start_containers(node: RunningNode) -> bool:
    """Whether the node's agent knows again that etcd answers."""
    return node.run(["docker", "run", "--rm", f"--net={NET}", "alpine", "true"]).returncode == 0


def restart_as(node: RunningNode, build: Path | None) -> None:
    """Kill a node's netplugin and start it of another build, or of this one."""
    root = Path(f"/proc/{node.pid}/root")
    script = root / OWN_PROGRAMS[1:] / "netplugin"
    node.kill("netplugin")
    if build:
        shutil.copytree(build, root / OTHER_BUILD[1:], dirs_exist_ok=True)
        script.parent.mkdir(exist_ok=True)
        script.write_text(RUN_OTHER_BUILD)
        script.chmod(0o755)
    else:
        script.unlink(missing_ok=True)
    node.start("netplugin")


def layouts(node: RunningNode) -> str:
    return node.output("ls /sys/fs/bpf/isthmus")


def change(node: RunningNode, build: Path | None) -> None:
    """Let another build, or this one, take over a node; return when it has."""
    restart_as(node, build)
    assert eventually(30, lambda: has_taken_over(node, build)), node.log("netplugin")


def has_taken_over(node: RunningNode, build: Path | None) -> bool:
    """Whether a build's maps are the only ones on a node."""
    return layouts(node) == f"v{OTHER_LAYOUT if build else LAYOUT}"


def test_a_build_with_another_layout_and_the_former_again_on_one_node_after_the_other(
    cluster: RunningLab, trio: Trio, other: Path
) -> None:
    with flowing(trio[0], trio[1:]):
        for build in (other, None):
            for node in cluster.nodes[:2]:
                change(node, build)
                check_new_container(trio, cluster.node("node2"))


def test_a_build_with_another_layout_and_the_former_again_on_all_nodes_at_once(
    cluster: RunningLab, trio: Trio, other: Path
) -> None:
    with flowing(trio[0], trio[1:]):
        for build in (other, None):
            at_once([partial(change, node, build) for node in cluster.nodes])
            check_new_container(trio, cluster.node("node1"))


def test_a_build_with_another_layout_waits_for_etcd_and_packets_do_not(
    cluster: RunningLab, trio: Trio, other: Path
) -> None:
    node = cluster.node("node1")
    with flowing(trio[0], trio[1:]):
        for build in (other, None):
            with killed("etcd", cluster.nodes):
                restart_as(node, build)
                assert eventually(30, lambda: layouts(node) == f"v{LAYOUT}\nv{OTHER_LAYOUT}")
            assert eventually(30, partial(has_taken_over, node, build)), node.log("netplugin")
            check_new_container(trio, node)
