"""Faults planted on a living node whose agent is dead: the storm's judge names each, and the agent mends them all."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from isthmus.core.model import AddressClaim, ClaimPurpose, Endpoint
from isthmus.lab.running import RunningLab, RunningNode
from isthmus.wire import keys, maps
from tests.lab.probes import PINS
from tests.lab.storm.agreement import differences
from tests.lab.storm.asking import misunderstandings
from tests.lab.storm.looking import Seen, look
from tests.lab.storm.storm import agreement
from tests.lab.storm.test_moby import start

pytestmark = [pytest.mark.root, pytest.mark.lab]


def plant_place(node: RunningNode, seen: Seen) -> None:
    """An address that nobody has, behind another host."""
    key, place = next(iter(seen.nodes[node.name].directory.items()))
    stale = maps.pack_place_key(replace(key, address=key.address + 5))
    words = ["hex", *stale.hex(" ").split()], ["hex", *maps.pack_place(place).hex(" ").split()]
    node.output(["bpftool", "map", "update", "pinned", f"{PINS}/directory", "key", *words[0], "value", *words[1]])


def plant_claim(node: RunningNode, seen: Seen) -> None:
    """An address held for nobody."""
    claim = next(each for each in seen.records if isinstance(each, AddressClaim) and each.node == node.name)
    stale = replace(claim, address=claim.address + 6, purpose=ClaimPurpose.LEASE, endpoint=None)
    node.output(["etcdctl", "put", keys.key_of(stale), keys.render(stale).decode()])


def plant_name(node: RunningNode, seen: Seen) -> None:
    """A name that its container does not have."""
    endpoint = next(each for each in seen.records if isinstance(each, Endpoint) and each.node == node.name)
    node.output(["etcdctl", "put", keys.key_of(endpoint), keys.render(replace(endpoint, container="old")).decode()])


PLANTED: list[tuple[Callable[[RunningNode, Seen], None], str]] = [
    (plant_place, "directory: "),
    (plant_claim, "unfinished: address "),
    (plant_name, "etcd, endpoints: "),
]


def test_what_is_planted_is_named_and_a_living_agent_mends_it(sea: RunningLab) -> None:
    first, second, _ = sea.nodes
    start(first, "here")
    start(second, "there")
    agreement(sea)
    first.kill("netplugin")
    try:
        healthy = look(sea)
        assert differences(healthy) == []
        for plant, _ in PLANTED:
            plant(first, healthy)
        found = differences(look(sea))
        for _, words in PLANTED:
            assert any(words in each for each in found), found
        misled = misunderstandings(sea, healthy.lives, ["here", "old"])
        assert any("of the name old; it should be []" in each for each in misled), misled
    finally:
        first.start("netplugin")
    agreement(sea)
