"""A network of ours as each engine shows it: the same everywhere, refused everywhere, gone everywhere."""

import json
from typing import Any

import pytest

from isthmus.lab.running import RunningLab, RunningNode
from tests.lab.probes import NET, SUBNET, at_once, create_net, eventually, networks, records, run

pytestmark = [pytest.mark.root, pytest.mark.lab]

REFUSED = 3  # netctl's exit code


def inspected(node: RunningNode, name: str) -> dict[str, Any]:
    shown: list[dict[str, Any]] = json.loads(node.output(["docker", "network", "inspect", name]))
    return shown[0]


def test_every_engine_shows_a_network_as_netctl_was_told(cluster: RunningLab) -> None:
    create_net(cluster, NET, SUBNET, "--gateway=10.1.2.254")
    tag = str(records(cluster.node("node1"), "network")[f"default/{NET}"]["tag"])
    for node in cluster.nodes:
        assert networks(node)[NET] == "netplugin"
        network = inspected(node, NET)
        assert (network["Driver"], network["Scope"]) == ("netplugin", "local")
        assert network["Options"] == {"encap": "vxlan", "pkt-tag": tag, "tenant": "default"}
        assert network["IPAM"]["Driver"] == "netplugin"
        assert network["IPAM"]["Options"] == {"network": NET, "tenant": "default"}
        assert network["IPAM"]["Config"] == [{"Subnet": SUBNET, "Gateway": "10.1.2.254"}]


def test_a_tenants_network_bears_both_names(cluster: RunningLab) -> None:
    create_net(cluster)
    cluster.node("node1").output("netctl tenant create blue")
    create_net(cluster, NET, SUBNET, "-t", "blue")
    for node in cluster.nodes:
        assert inspected(node, f"{NET}/blue")["Options"]["tenant"] == "blue"
        assert inspected(node, NET)["Options"]["tenant"] == "default"


def test_a_network_in_use_stays_and_its_containers_are_named(cluster: RunningLab) -> None:
    create_net(cluster)
    one, two = (run(node, f"user{i}") for i, node in enumerate(cluster.nodes))
    refused = cluster.node("node2").run(["netctl", "net", "rm", NET])
    assert refused.returncode == REFUSED
    for container in (one, two):
        assert container.name in refused.stderr
        assert container.node.name in refused.stderr
    assert all(NET in networks(node) for node in cluster.nodes)
    assert one.reaches(two.name)


def test_an_unused_network_goes_from_every_engine(cluster: RunningLab) -> None:
    create_net(cluster)
    run(cluster.node("node2"), "user").remove()
    cluster.node("node2").output(["netctl", "net", "rm", NET])
    assert not any(NET in networks(node) for node in cluster.nodes)
    assert not records(cluster.node("node1"), "network")
    assert not records(cluster.node("node1"), "vni")


def test_a_network_that_one_engine_refuses_is_nowhere(cluster: RunningLab) -> None:
    first, second = cluster.nodes
    second.output("docker network create contiv-x")
    try:
        refused = first.run(["netctl", "net", "create", "--subnet=10.7.0.0/24", "--gateway=10.7.0.1", "contiv-x"])
        assert refused.returncode == REFUSED
        for part in ("default:contiv-x", second.name, "another driver, bridge"):
            assert part in refused.stderr
        assert not any(records(first, kind) for kind in ("network", "vni", "vlan", "address", "endpoint"))
        assert "contiv-x" not in networks(first)
        assert networks(second)["contiv-x"] == "bridge"
    finally:
        second.output("docker network rm contiv-x")


def test_the_same_create_from_two_nodes_at_once_makes_one_network(cluster: RunningLab) -> None:
    line = ["netctl", "net", "create", f"--subnet={SUBNET}", NET]
    done = at_once([lambda node=node: node.run(line) for node in cluster.nodes * 2])  # type: ignore[misc]
    assert [each.returncode for each in done] == [0] * 4, [each.stderr for each in done]
    assert list(records(cluster.node("node1"), "network")) == [f"default/{NET}"]
    for node in cluster.nodes:
        shown = node.output(["docker", "network", "ls", "-q", "--filter", f"name={NET}"])
        assert len(shown.splitlines()) == 1


def test_of_two_overlapping_networks_at_once_one_is_made(cluster: RunningLab) -> None:
    lines = [["netctl", "net", "create", f"--subnet=10.8.0.0/{bits}", f"net{bits}"] for bits in (24, 25)]
    done = at_once([lambda line=line: cluster.node("node1").run(line) for line in lines])  # type: ignore[misc]
    assert sorted(each.returncode for each in done) == [0, REFUSED]
    assert "overlaps" in "".join(each.stderr for each in done)
    assert len(records(cluster.node("node1"), "vni")) == 1


def test_a_network_removed_by_hand_comes_back(cluster: RunningLab) -> None:
    create_net(cluster)
    node = cluster.node("node1")
    node.output(["docker", "network", "rm", NET])
    assert eventually(10, lambda: NET in networks(node))
    assert run(node, "late").reaches(run(cluster.node("node2"), "far").name)


def test_a_network_made_by_hand_is_refused_with_the_way_to_make_one(cluster: RunningLab) -> None:
    create_net(cluster)
    node = cluster.node("node1")
    imitation = f"--ipam-driver netplugin --ipam-opt tenant=default --ipam-opt network={NET} --subnet {SUBNET}"
    for options in (imitation, "--ipam-driver netplugin"):
        refused = node.run(f"docker network create -d netplugin {options} imitation")
        assert refused.returncode != 0
        assert "netctl net create" in refused.stderr
    assert "imitation" not in networks(node)


def test_a_network_goes_at_once_after_its_last_container_however_often(cluster: RunningLab) -> None:
    node = cluster.node("node2")
    for _ in range(4):
        create_net(cluster)
        node.output(["docker", "run", "--rm", f"--net={NET}", "alpine", "true"])
        assert eventually(10, lambda: cluster.node("node1").run(["netctl", "net", "rm", NET]).returncode == 0)
        assert all(NET not in networks(each) for each in cluster.nodes)


def test_dockers_own_addresses_are_refused(cluster: RunningLab) -> None:
    refused = cluster.node("node1").run("docker network create -d netplugin doubtful")
    assert refused.returncode != 0
    assert "--ipam-driver netplugin" in refused.stderr
