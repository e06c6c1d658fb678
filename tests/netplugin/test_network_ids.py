"""What an agent keeps of its engine's network ids: everything, over a restart, and never half."""

import json
from pathlib import Path

import structlog

from isthmus.core.datapath import Owner
from isthmus.core.model import GroupName, NetworkKey, NetworkName, TenantName
from isthmus.netplugin.network_ids import NetworkIds
from isthmus.wire.docker import DockerNetworkId

A, B = DockerNetworkId("a" * 64), DockerNetworkId("b" * 64)
NET = Owner(NetworkKey(TenantName("default"), NetworkName("net")))
BLUE = Owner(NetworkKey(TenantName("blue"), NetworkName("net")))


def network_ids(path: Path) -> NetworkIds:
    return NetworkIds(path / "below" / "ids.json", structlog.get_logger())


def test_what_is_learnt_outlives_the_agent(tmp_path: Path) -> None:
    ids = network_ids(tmp_path)
    ids.learn(A, NET)
    ids.learn(B, BLUE)
    again = network_ids(tmp_path)
    assert (again.get(A), again.get(B)) == (NET, BLUE)


def test_a_group_is_told_from_its_network(tmp_path: Path) -> None:
    ids, group = network_ids(tmp_path), Owner(NET.network, GroupName("db"))
    ids.replace({A: NET, B: group})
    assert (network_ids(tmp_path).get(A), network_ids(tmp_path).get(B)) == (NET, group)


def test_a_file_of_an_agent_that_knew_no_groups_is_read(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "ids.json").write_text(json.dumps({A: ["default", "net"], B: ["blue", "net"]}))
    assert (network_ids(tmp_path).get(A), network_ids(tmp_path).get(B)) == (NET, BLUE)


def test_what_is_forgotten_or_not_the_engines_any_more_is_gone(tmp_path: Path) -> None:
    ids = network_ids(tmp_path)
    ids.replace({A: NET, B: BLUE})
    ids.forget(A)
    ids.forget(A)
    assert (network_ids(tmp_path).get(A), network_ids(tmp_path).get(B)) == (None, BLUE)
    ids.replace({})
    assert network_ids(tmp_path).get(B) is None


def test_a_damaged_file_is_as_good_as_none(tmp_path: Path) -> None:
    network_ids(tmp_path).learn(A, NET)
    for damage in ("", "[]", "{", '{"a": 1}', '{"a": ["x"]}'):
        (tmp_path / "below" / "ids.json").write_text(damage)
        ids = network_ids(tmp_path)
        assert ids.get(A) is None
        ids.learn(B, BLUE)
        assert network_ids(tmp_path).get(B) == BLUE


def test_a_disk_that_refuses_costs_only_the_memory(tmp_path: Path) -> None:
    (tmp_path / "below").write_text("a file where the directory should be")
    ids = network_ids(tmp_path)
    ids.learn(A, NET)
    assert ids.get(A) == NET
    assert network_ids(tmp_path).get(A) is None
