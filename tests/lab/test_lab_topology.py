"""A lab's settings to names, addresses and links: no root, no effects."""

from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from isthmus.core.errors import InvalidError, NotFoundError
from isthmus.lab.programs import TABLE, environment, named, on
from isthmus.lab.topology import (
    MAX_NODES,
    Lab,
    checked,
    hosts_file,
    link,
    machine,
    machines,
    names,
    nodes,
    switches,
)

LAB = Lab("tutorial", nodes=2)


def test_nodes_have_the_tutorials_names_and_addresses() -> None:
    first, second = nodes(LAB)
    assert (first.hostname, second.hostname) == ("tutorial-node1", "tutorial-node2")
    assert [str(cable.address) for cable in first.links] == ["10.0.2.15/24", "192.168.2.10/24", "None"]
    assert [str(cable.address) for cable in second.links] == ["10.0.2.16/24", "192.168.2.11/24", "None"]


def test_no_address_mac_or_port_is_given_twice_in_the_largest_lab() -> None:
    cables = [cable for each in machines(replace(LAB, nodes=MAX_NODES)) for cable in each.links]
    addresses = [cable.address for cable in cables if cable.address]
    for unique in (addresses, [cable.mac for cable in cables], [cable.port for cable in cables]):
        assert len(set(unique)) == len(unique)


def test_port_names_fit_into_the_kernels_fifteen_bytes() -> None:
    large = replace(LAB, nodes=MAX_NODES)
    ports = [cable.port for each in machines(large) for cable in each.links]
    assert max(len(port) for port in [*ports, *switches(large)]) <= 15


def test_netmaster_is_node1() -> None:
    assert names(LAB)["netmaster"] == names(LAB)["tutorial-node1"] == IPv4Address("192.168.2.10")
    assert "192.168.2.10 netmaster" in hosts_file(LAB).splitlines()


@pytest.mark.parametrize("name", ["node2", "tutorial-node2"])
def test_a_machine_is_found_by_either_name(name: str) -> None:
    assert machine(LAB, name).number == 2


def test_an_unknown_node_is_refused_with_the_choices() -> None:
    with pytest.raises(NotFoundError, match=r"'node3'.*outside, node1, node2"):
        machine(LAB, "node3")


def test_an_unknown_interface_is_refused_with_the_choices() -> None:
    with pytest.raises(NotFoundError, match=r"'eth3'.*eth0, eth1, eth2"):
        link(machine(LAB, "node1"), "eth3")


@pytest.mark.parametrize(
    ("lab", "why"),
    [
        (Lab("tutorial", nodes=0), r"--nodes 0.*1 to 16"),
        (Lab("tutorial", nodes=17), r"--nodes 17.*1 to 16"),
        (Lab("tutorial", masters=0), r"--masters 0.*1 to 2"),
        (Lab("tutorial", masters=3), r"--masters 3.*1 to 2"),
        (Lab("tutorial", mtu=100), r"--mtu 100.*1280 to 9000"),
        (Lab(""), "lab name ''"),
        (Lab("../x"), "lab name"),
        (Lab("Upper"), "lab name"),
        (Lab("1st"), "lab name"),
        (Lab("end-"), "lab name"),
        (Lab("a" * 21), r"1 to 20"),
    ],
)
def test_what_cannot_be_built_is_refused_with_its_limit(lab: Lab, why: str) -> None:
    with pytest.raises(InvalidError, match=why):
        checked(lab)


@pytest.mark.parametrize("name", ["a", "tutorial", "my-lab-2", "a" * 20])
def test_a_good_name_is_taken(name: str) -> None:
    assert checked(Lab(name)).name == name


def test_programs_run_where_they_belong() -> None:
    large = Lab("tutorial", nodes=4, masters=2)
    present = {each.name: [program.name for program in on(large, each)] for each in machines(large)}
    everywhere = ["etcd", "containerd", "netplugin", "dockerd"]
    assert present == {
        "fabric": [],
        "outside": ["internet"],
        "node1": [*everywhere, "netmaster"],
        "node2": [*everywhere, "netmaster"],
        "node3": everywhere,
        "node4": everywhere,
    }


def test_netctl_is_told_of_several_masters_on_every_node() -> None:
    large = Lab("tutorial", nodes=3, masters=2)
    told = {each.name: environment(large, each).get("NETMASTER") for each in machines(large)}
    everybody = "http://tutorial-node1:9999,http://tutorial-node2:9999"
    assert told == {"fabric": None, "outside": None, "node1": everybody, "node2": everybody, "node3": everybody}
    assert [each.name for each in nodes(LAB) if "NETMASTER" in environment(LAB, each)] == []


def test_the_fourth_etcd_passes_on_to_the_first_three() -> None:
    large = Lab("tutorial", nodes=4)
    etcd = next(program for program in TABLE if program.name == "etcd")
    assert etcd.command(large, machine(large, "node4"))[:3] == ["etcd", "gateway", "start"]
    assert "--endpoints=192.168.2.10:2379,192.168.2.11:2379,192.168.2.12:2379" in etcd.command(
        large, machine(large, "node4")
    )
    assert "--name=tutorial-node3" in etcd.command(large, machine(large, "node3"))


def test_our_programs_are_started_as_on_a_real_host() -> None:
    first = machine(LAB, "node1")
    assert " ".join(named(LAB, first, "netplugin").command(LAB, first)) == (
        "netplugin -plugin-mode docker -vlan-if eth2 -cluster-store etcd://localhost:2379"
    )
    assert " ".join(named(LAB, first, "netmaster").command(LAB, first)) == (
        "netmaster -cluster-store etcd://localhost:2379 -listen-url :9999"
    )


def test_a_program_of_another_node_is_refused_with_the_choices() -> None:
    with pytest.raises(NotFoundError, match=r"'netmaster'.*etcd, containerd, netplugin, dockerd"):
        named(LAB, machine(LAB, "node2"), "netmaster")
