"""Groups as Docker networks: the same on every engine, in their network, with addresses of their pools."""

import json
from typing import Any

import pytest

from isthmus.lab.running import RunningLab, RunningNode
from tests.lab.probes import (
    NET,
    SUBNET,
    Container,
    at_once,
    create_group,
    create_net,
    eventually,
    held,
    legs,
    networks,
    records,
    rest,
    run,
)

pytestmark = [pytest.mark.root, pytest.mark.lab]

POOL = "10.1.2.100-10.1.2.102"


def inspected(node: RunningNode, name: str) -> dict[str, Any]:
    shown: list[dict[str, Any]] = json.loads(node.output(["docker", "network", "inspect", name]))
    return shown[0]


def refused(node: RunningNode, network: str, *options: str) -> str:
    """Why a container cannot be."""
    done = node.run(["docker", "run", "--rm", f"--net={network}", *options, "alpine", "true"])
    assert done.returncode != 0
    return done.stderr


def endpoints(node: RunningNode) -> dict[str, dict[str, Any]]:
    """The endpoints in etcd, by container."""
    return {record["container"]: record for record in records(node, "endpoint").values()}


def test_every_engine_shows_a_group_beside_its_network(cluster: RunningLab) -> None:
    create_net(cluster, NET, SUBNET, "--gateway=10.1.2.254")
    cluster.node("node1").output("netctl tenant create blue")
    create_net(cluster, NET, SUBNET, "-t", "blue")
    create_group(cluster, "db", ipPool=POOL)
    create_group(cluster, "db", tenant="blue")
    for node in cluster.nodes:
        assert {"db", "db/blue", NET, f"{NET}/blue"} <= networks(node).keys()
        for name, network, tenant in (("db", NET, "default"), ("db/blue", f"{NET}/blue", "blue")):
            shown, whole = inspected(node, name), inspected(node, network)
            assert (shown["Driver"], shown["Scope"]) == ("netplugin", "local")
            assert shown["Options"] == whole["Options"]
            assert shown["IPAM"]["Options"] == {"tenant": tenant, "network": NET, "group": "db"}
            assert shown["IPAM"]["Config"] == whole["IPAM"]["Config"]


def test_a_groups_containers_are_in_its_network_and_its_name_means_all_of_them(cluster: RunningLab) -> None:
    create_net(cluster)
    create_group(cluster, "db")
    first, second = cluster.nodes
    outside = run(first, "outside")
    one, two = run(first, "one", network="db"), run(second, "two", network="db")
    addresses = [each.address(name) for each, name in ((outside, NET), (one, "db"), (two, "db"))]
    assert addresses == ["10.1.2.1", "10.1.2.2", "10.1.2.3"]
    for asker in (outside, one, two):
        assert all(asker.reaches(name) for name in ("outside", "one", "two"))
        named = asker.output("nslookup -type=a db | sed -n 's/^Address: //p'").split()
        assert named == ["10.1.2.2", "10.1.2.3"]
    known = endpoints(first)
    assert [known[name]["group"] for name in ("outside", "one", "two")] == [None, "db", "db"]


def test_members_get_their_pools_addresses_on_every_host_and_nobody_else_does(cluster: RunningLab) -> None:
    create_net(cluster, NET, "10.1.2.0/29")
    create_group(cluster, "db", ipPool="10.1.2.1-10.1.2.2")
    first, second = cluster.nodes
    one, two = run(first, "one", network="db"), run(second, "two", network="db")
    assert [one.address("db"), two.address("db")] == ["10.1.2.1", "10.1.2.2"]
    assert run(second, "three").address() == "10.1.2.3"
    assert "exhaustion in pool 10.1.2.1-10.1.2.2 of group default:db" in refused(first, "db")
    assert "10.1.2.1 of network default:contiv-net is for members of group" in refused(first, NET, "--ip=10.1.2.1")
    assert "is not in pool 10.1.2.1-10.1.2.2 of group default:db" in refused(first, "db", "--ip=10.1.2.4")
    assert "in use by container two" in refused(first, "db", "--ip=10.1.2.2")
    two.remove()
    wished = run(first, "wished", "--ip=10.1.2.2", network="db")
    assert wished.address("db") == "10.1.2.2"
    assert wished.reaches("three")
    assert wished.reaches("one")


def test_a_pool_of_either_family_is_kept(cluster: RunningLab) -> None:
    create_net(cluster, NET, SUBNET, "--subnetv6=fd00:1::/64")
    create_group(cluster, "db", ipPool=POOL, ipv6Pool="fd00:1::a0-fd00:1::a3")
    first, second = cluster.nodes
    found = [(run(node, f"m{i}", network="db"), run(node, f"n{i}")) for i, node in enumerate((first, second))]
    for number, (member, other) in enumerate(found):
        assert member.address("db") == f"10.1.2.{100 + number}"
        assert address_v6(member, "db") == f"fd00:1::a{number}"
        assert address_v6(other, NET) == f"fd00:1::{number + 1}"
    assert found[0][0].reaches(f"-6 {address_v6(found[1][1], NET)}")


def address_v6(container: Container, network: str) -> str:
    return container.inspected(f'{{{{(index .NetworkSettings.Networks "{network}").GlobalIPv6Address}}}}')


def test_many_members_at_once_on_both_hosts_get_an_address_each(cluster: RunningLab) -> None:
    create_net(cluster)
    create_group(cluster, "db", ipPool="10.1.2.100-10.1.2.105")
    works = [
        lambda node=node, name=f"{network}{i}", network=network: run(node, name, network=network).address(network)
        for node in cluster.nodes
        for network in ("db", NET)
        for i in ([1, 2, 3] if node is cluster.nodes[0] else [4, 5, 6])
    ]
    given = at_once(works)
    assert len(set(given)) == 12
    assert sorted(each for each in given if int(each.rpartition(".")[2]) >= 100) == [
        f"10.1.2.{i}" for i in range(100, 106)
    ]


def test_a_group_in_use_stays_and_one_that_is_left_goes_from_everywhere(cluster: RunningLab) -> None:
    create_net(cluster)
    create_group(cluster, "db", ipPool=POOL)
    first, second = cluster.nodes
    member = run(second, "member", network="db")
    status, answer = rest(first, "DELETE", "endpointGroups/default:db")
    assert status == 409
    assert "member (10.1.2.100 on" in answer
    assert all("db" in networks(node) for node in cluster.nodes)
    member.remove()
    status, answer = rest(first, "DELETE", "endpointGroups/default:db")
    assert status == 200, answer
    assert not any("db" in networks(node) for node in cluster.nodes)
    assert not any(records(first, kind) for kind in ("group", "group-id", "endpoint"))
    assert held(first) == []
    assert not any(legs(node) for node in cluster.nodes)
    assert f"{NET}/last/db" not in " ".join(records(first, "address"))
    assert run(first, "later", "--ip=10.1.2.100").address() == "10.1.2.100"


def test_a_group_that_one_engine_refuses_is_nowhere(cluster: RunningLab) -> None:
    create_net(cluster)
    first, second = cluster.nodes
    second.output("docker network create db")
    try:
        body = {"tenantName": "default", "groupName": "db", "networkName": NET}
        status, answer = rest(first, "POST", "endpointGroups/default:db", body)
        assert status == 409, answer
        for part in ("default:db", second.name, "another driver, bridge"):
            assert part in answer
        assert not records(first, "group")
        assert "db" not in networks(first)
    finally:
        second.output("docker network rm db")


def test_a_member_comes_back_with_its_engine_and_agent_in_its_group(cluster: RunningLab) -> None:
    create_net(cluster)
    create_group(cluster, "db", ipPool=POOL)
    first, second = cluster.nodes
    member, other = run(first, "member", "--restart=always", network="db"), run(second, "other")
    for program in ("dockerd", "netplugin"):
        first.stop(program)
    first.start("netplugin")
    first.start("dockerd")
    assert eventually(20, lambda: other.reaches("member")), first.log("netplugin")[-2000:]
    assert endpoints(first)["member"]["group"] == "db"
    assert member.address("db") in {"10.1.2.100", "10.1.2.101"}
    assert run(first, "next", network="db").reaches("other")
