"""Docker's API: networks of ours to JSON and back, and what else is read of the engine's answers."""

import json
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.core.datapath import DockerNetwork, docker_network
from isthmus.core.errors import InvalidError
from isthmus.core.model import (
    ContainerId,
    Encap,
    EndpointId,
    GroupName,
    Network,
    NetworkKey,
    NetworkName,
    Subnet,
    SubnetV6,
    Tag,
    TenantName,
)
from isthmus.wire import docker_api
from isthmus.wire.docker import DockerNetworkId
from isthmus.wire.docker_api import Occupant

BLUE = DockerNetwork(
    name="contiv-net/blue",
    key=NetworkKey(TenantName("blue"), NetworkName("contiv-net")),
    encap=Encap.VXLAN,
    tag=Tag(2),
    subnet=IPv4Network("10.1.2.0/24"),
)
CREATED: dict[str, object] = {
    "Name": "contiv-net/blue",
    "CheckDuplicate": True,
    "Driver": "netplugin",
    "Attachable": True,
    "EnableIPv6": False,
    "IPAM": {
        "Driver": "netplugin",
        "Options": {"tenant": "blue", "network": "contiv-net"},
        "Config": [{"Subnet": "10.1.2.0/24"}],
    },
    "Options": {"tenant": "blue", "encap": "vxlan", "pkt-tag": "2"},
}


def _inspected(created: dict[str, object]) -> bytes:
    """What the engine keeps of a request, and adds."""
    told = {key: value for key, value in created.items() if key != "CheckDuplicate"}
    return json.dumps(told | {"Id": "76e5", "Scope": "local", "Containers": {}, "Labels": {}}).encode()


def test_a_network_is_created_as_contiv_created_it() -> None:
    assert docker_api.render_network_create(BLUE) == CREATED


_V4 = st.tuples(st.ip_addresses(v=4), st.integers(8, 30)).map(lambda pair: IPv4Network(pair, strict=False))
_V6 = st.tuples(st.ip_addresses(v=6), st.integers(8, 126)).map(lambda pair: IPv6Network(pair, strict=False))
_NETWORKS = st.builds(
    DockerNetwork,
    name=st.text(min_size=1),
    key=st.builds(NetworkKey, st.text(min_size=1), st.text(min_size=1)),
    encap=st.sampled_from(Encap),
    tag=st.integers(1, 10000),
    subnet=_V4,
    gateway=st.none() | st.ip_addresses(v=4),
    subnet_v6=_V6,
    gateway_v6=st.none() | st.ip_addresses(v=6),
    group=st.none() | st.text(min_size=1).map(GroupName),
)


@given(_NETWORKS)
def test_a_network_is_read_back_as_it_was_wanted(wanted: DockerNetwork) -> None:
    assert docker_api.parse_network(_inspected(docker_api.render_network_create(wanted))) == wanted


def test_networks_of_others_are_left_out() -> None:
    strangers: list[dict[str, Any]] = [
        {"Id": "1", "Name": "bridge", "Driver": "bridge", "IPAM": {"Driver": "default", "Options": None}},
        json.loads(_inspected(CREATED)) | {"Id": "2", "Driver": "overlay"},
        json.loads(_inspected(CREATED)) | {"Id": "3", "Options": None},
        json.loads(_inspected(CREATED)) | {"Id": "4", "Options": {"encap": "gre", "pkt-tag": "2"}},
        json.loads(_inspected(CREATED)) | {"Id": "5", "IPAM": {"Driver": "netplugin", "Options": {}}},
        json.loads(_inspected(CREATED)) | {"Id": "6", "IPAM": None},
    ]
    for stranger in strangers:
        assert docker_api.parse_network(json.dumps(stranger).encode()) is None
    listed = json.dumps([*strangers, json.loads(_inspected(CREATED))]).encode()
    assert docker_api.parse_networks(listed) == [("76e5", BLUE)]


def test_a_network_of_the_world_is_one_of_docker() -> None:
    network = Network(
        key=NetworkKey(TenantName("default"), NetworkName("contiv-net")),
        encap=Encap.VLAN,
        tag=Tag(7),
        subnet=Subnet(
            "10.1.2.10-10.1.2.20/24",
            IPv4Network("10.1.2.0/24"),
            IPv4Address("10.1.2.10"),
            IPv4Address("10.1.2.20"),
        ),
        gateway=IPv4Address("10.1.2.254"),
        subnet_v6=SubnetV6("fd00::/64", IPv6Network("fd00::/64")),
        gateway_v6=IPv6Address("fd00::fe"),
    )
    rendered = docker_api.render_network_create(docker_network(network))
    assert rendered["Name"] == "contiv-net"
    assert rendered["EnableIPv6"] is True
    assert rendered["IPAM"] == {
        "Driver": "netplugin",
        "Options": {"tenant": "default", "network": "contiv-net"},
        "Config": [
            {"Subnet": "10.1.2.0/24", "Gateway": "10.1.2.254"},
            {"Subnet": "fd00::/64", "Gateway": "fd00::fe"},
        ],
    }
    assert rendered["Options"] == {"tenant": "default", "encap": "vlan", "pkt-tag": "7"}


def test_containers_of_a_network_are_told_by_endpoint() -> None:
    inspected = {
        "Containers": {
            "ep-5d17": {"Name": "contiv-c2", "EndpointID": "5d17", "MacAddress": ""},
            "ab35": {"Name": "contiv-c1", "EndpointID": "77aa", "IPv4Address": "10.1.2.2/24"},
        }
    }
    told = docker_api.parse_containers(json.dumps(inspected).encode())
    assert told == {"5d17": Occupant("contiv-c2"), "77aa": Occupant("contiv-c1", ContainerId("ab35"))}
    assert docker_api.parse_containers(b"{}") == {}
    assert docker_api.parse_containers(b'{"Containers": null}') == {}


def test_a_container_has_endpoints_on_the_networks_asked_for() -> None:
    inspected = {
        "Id": "ab35",
        "Name": "/contiv-c1",
        "NetworkSettings": {
            "SandboxKey": "/var/run/docker/netns/x",
            "Networks": {
                "contiv-net": {"NetworkID": "n1", "EndpointID": "e1"},
                "bridge": {"NetworkID": "n2", "EndpointID": "e2"},
                "left": {"NetworkID": "n1", "EndpointID": ""},
            },
        },
    }
    container = docker_api.parse_container(json.dumps(inspected).encode())
    assert (container.name, container.sandbox) == ("contiv-c1", "/var/run/docker/netns/x")
    assert container.endpoints_on(frozenset([DockerNetworkId("n1")])) == (EndpointId("e1"),)
    listed = [{"Id": "ab35", "Names": ["/contiv-c1"], "NetworkSettings": {"Networks": None}}]
    assert docker_api.parse_container_list(json.dumps(listed).encode()) == (docker_api.Container(ContainerId("ab35")),)


EVENTS: list[tuple[str, str, dict[str, str], docker_api.Event | None]] = [
    (
        "network",
        "create",
        {"name": "contiv-net", "type": "netplugin"},
        docker_api.NetworkCreated(DockerNetworkId("x"), "contiv-net"),
    ),
    (
        "network",
        "destroy",
        {"name": "contiv-net"},
        docker_api.NetworkDestroyed(DockerNetworkId("x"), "contiv-net"),
    ),
    (
        "network",
        "connect",
        {"container": "ab35", "name": "contiv-net"},
        docker_api.ContainerConnected(DockerNetworkId("x"), ContainerId("ab35")),
    ),
    (
        "network",
        "disconnect",
        {"container": "ab35"},
        docker_api.ContainerDisconnected(DockerNetworkId("x"), ContainerId("ab35")),
    ),
    ("container", "start", {"name": "c1"}, docker_api.ContainerStarted(ContainerId("x"), "c1")),
    ("container", "die", {"name": "c1"}, docker_api.ContainerDied(ContainerId("x"), "c1")),
    (
        "container",
        "rename",
        {"name": "c2", "oldName": "/c1"},
        docker_api.ContainerRenamed(ContainerId("x"), "c2", "c1"),
    ),
    ("container", "create", {"name": "c1"}, None),
    ("container", "exec_start: sh", {}, None),
]


@pytest.mark.parametrize(("kind", "action", "attributes", "meant"), EVENTS)
def test_an_event_is_read_as_meant(
    kind: str, action: str, attributes: dict[str, str], meant: docker_api.Event | None
) -> None:
    line = {"Type": kind, "Action": action, "Actor": {"ID": "x", "Attributes": attributes}, "time": 1}
    assert docker_api.parse_event(json.dumps(line).encode() + b"\n") == meant


def test_refusals_are_told_in_the_engines_words() -> None:
    assert docker_api.parse_refusal(b'{"message": "no such network"}') == "no such network"
    assert docker_api.parse_refusal(b"404 page not found\n") == "404 page not found"
    assert docker_api.parse_refusal(b"") == "no reason given"
    assert docker_api.parse_created(b'{"Id": "76e5", "Warning": ""}') == "76e5"


@pytest.mark.parametrize(
    "parse",
    [
        docker_api.parse_networks,
        docker_api.parse_named_networks,
        docker_api.parse_containers,
        docker_api.parse_container,
        docker_api.parse_container_list,
        docker_api.parse_created,
        docker_api.parse_event,
    ],
)
@pytest.mark.parametrize("body", [b"", b"<html>", b"7", b'{"Id": 7, "Containers": []}'])
def test_nonsense_of_the_engine_is_named(parse: Any, body: bytes) -> None:
    with pytest.raises(InvalidError, match="the engine's"):
        parse(body)
