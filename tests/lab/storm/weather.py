"""What befalls the nodes during a storm, how it is mended, and which errors it explains."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from isthmus.core.errors import NotFoundError
from isthmus.lab import cluster, power
from isthmus.lab.member import await_member
from isthmus.lab.running import RunningLab, RunningNode
from tests.lab.probes import at_once, eventually
from tests.lab.storm.plan import Blow, Disturbance, Kind

_READY_S = 120.0
_BREAK: dict[Kind, Callable[[RunningNode], None]] = {
    Kind.AGENT_KILLED: lambda node: node.kill("netplugin"),
    Kind.ENGINE_KILLED: lambda node: node.kill("dockerd"),
    Kind.ENGINE_STOPPED: lambda node: node.stop("dockerd"),
    Kind.ETCD_KILLED: lambda node: node.kill("etcd"),
    Kind.POWER_PULLED: RunningNode.pull_power,
    Kind.UNDERLAY_CUT: lambda node: node.cut("eth1"),
    Kind.MANAGEMENT_CUT: lambda node: node.cut("eth0"),
}
_MEND: dict[Kind, Callable[[RunningNode], None]] = {
    Kind.AGENT_KILLED: lambda node: node.start("netplugin"),
    Kind.ENGINE_KILLED: lambda node: node.start("dockerd"),
    Kind.ENGINE_STOPPED: lambda node: node.start("dockerd"),
    Kind.ETCD_KILLED: lambda node: node.start("etcd"),
    Kind.POWER_PULLED: RunningNode.turn_on,
    Kind.UNDERLAY_CUT: lambda node: node.heal("eth1"),
    Kind.MANAGEMENT_CUT: lambda node: node.heal("eth0"),
}
_OF_ETCD = frozenset({Kind.ETCD_KILLED, Kind.POWER_PULLED, Kind.UNDERLAY_CUT})
_OF_ENGINE = frozenset({Kind.ENGINE_KILLED, Kind.ENGINE_STOPPED, Kind.POWER_PULLED})
_FOR_ALL = 0


@dataclass(slots=True)
class _Spell:
    """From when to when something was wrong on a node; `node` 0 is all of them."""

    node: int
    is_of_engine: bool
    is_of_etcd: bool
    from_s: float
    to_s: float = float("inf")


@dataclass(slots=True)
class Weather:
    """Breaks and mends, and remembers both."""

    lab: RunningLab
    _spells: list[_Spell] = field(default_factory=list)

    def strike(self, disturbance: Disturbance) -> None:
        """Break everything of a disturbance at once, let it lie, and mend it all."""
        spells = [self._begin(node, disturbance.blows) for node in _touched(disturbance.blows)]
        at_once([partial(_BREAK[blow.kind], self._node(blow)) for blow in disturbance.blows])
        time.sleep(disturbance.lasts_s)
        at_once([partial(_MEND[blow.kind], self._node(blow)) for blow in disturbance.blows])
        self._await_quorum(disturbance.blows)
        for spell in spells:
            spell.to_s = time.monotonic()

    def explains(self, node: int, since_s: float) -> bool:
        """Whether an error on a node may come of what has been wrong since then."""
        return any(spell.node in {node, _FOR_ALL} and spell.to_s >= since_s for spell in self._spells)

    def explains_etcd(self, since_s: float) -> bool:
        """Whether a member of etcd may have gone since then: what its leader was just writing is lost everywhere."""
        return any(spell.is_of_etcd and spell.to_s >= since_s for spell in self._spells)

    def is_calm(self, since_s: float) -> bool:
        """Whether nothing at all has been wrong since then."""
        return all(spell.to_s < since_s for spell in self._spells)

    def has_struck_engine(self, node: int, since_s: float) -> bool:
        """Whether containers may have come and gone since then without having been told to."""
        return any(each.node == node and each.is_of_engine and each.to_s >= since_s for each in self._spells)

    def await_quiet(self) -> None:
        """Return when every program is ready and every node in the cluster."""
        lab = self.lab.lab
        if not eventually(_READY_S, lambda: all(machine.is_ready for machine in cluster.status(lab))):
            raise AssertionError(f"not all programs are ready after {_READY_S:.0f} s: {cluster.status(lab)}")
        at_once([partial(_await_member, node) for node in self.lab.nodes])

    def mend_all(self) -> None:
        """Put right whatever a storm that was cut short has left broken."""
        for node in self.lab.nodes:
            if _is_off(node):
                node.turn_on()
            for cable in ("eth0", "eth1"):
                node.heal(cable)

    def _begin(self, node: int, blows: Sequence[Blow]) -> _Spell:
        is_of_engine = any(blow.node == node and blow.kind in _OF_ENGINE for blow in blows)
        is_of_etcd = any(blow.kind in _OF_ETCD for blow in blows)
        spell = _Spell(node, is_of_engine, is_of_etcd, time.monotonic())
        self._spells.append(spell)
        return spell

    def _node(self, blow: Blow) -> RunningNode:
        return self.lab.node(f"node{blow.node}")

    def _await_quorum(self, blows: Sequence[Blow]) -> None:
        """Until etcd answers on the nodes whose members, or whose way to the others, had gone."""
        nodes = [self._node(blow) for blow in blows if blow.kind in _OF_ETCD]
        if not eventually(_READY_S, lambda: all(_has_etcd(node) for node in nodes)):
            raise AssertionError(f"etcd does not answer {_READY_S:.0f} s after {', '.join(map(str, blows))}")


def _touched(blows: Sequence[Blow]) -> set[int]:
    """Which nodes feel it: with two of three members gone, all of them do."""
    without_etcd = {blow.node for blow in blows if blow.kind in _OF_ETCD}
    return {blow.node for blow in blows} | ({_FOR_ALL} if len(without_etcd) > 1 else set())


def _has_etcd(node: RunningNode) -> bool:
    return node.run(["etcdctl", "--command-timeout=2s", "endpoint", "health"]).returncode == 0


def _await_member(node: RunningNode) -> None:
    host = cluster.host(node.lab, node.machine)
    power.in_network_of(host, lambda: await_member(node.lab, node.machine, host))


def _is_off(node: RunningNode) -> bool:
    try:
        cluster.host(node.lab, node.machine)
    except NotFoundError:
        return True
    return False
