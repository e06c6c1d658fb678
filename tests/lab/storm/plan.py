"""From a seed to everything that a storm does: operations by queue and round, and disturbances between them.

Nothing here depends on what comes of an operation: the same seed always gives the same plan.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

NODES = 3
QUEUES = ("a", "b")  # on every node; each has containers and names of its own
SLOTS = 5  # containers of a queue
ROUND = 100  # operations between two checkpoints
CALM_EVERY = 3  # of so many rounds one has no disturbance
TWO_AT_ONCE = 0.3

_WISHES = ("10.1.2.12", "10.1.2.13", "10.1.2.14")
_WORDS = ("web", "app", "log", "mail", "shop", "wiki", "chat")


@dataclass(frozen=True, slots=True)
class Net:
    """A Docker network of the storm: a network, or a group of one; `capacity` addresses are its containers'."""

    docker: str
    tenant: str
    network: str
    subnet: str
    capacity: int
    group: str | None = None
    pool: str | None = None


NETS = {
    net.docker: net
    for net in (
        Net("contiv-net", "default", "contiv-net", "10.1.2.0/28", 11),
        Net("db", "default", "contiv-net", "10.1.2.0/28", 3, group="db", pool="10.1.2.9-10.1.2.11"),
        Net("back", "default", "back", "10.1.3.0/29", 6),
        Net("contiv-net/blue", "blue", "contiv-net", "10.1.2.0/29", 6),
    )
}
_FIRST_CHOICES = {"contiv-net": 9, "db": 4, "back": 3, "contiv-net/blue": 6}
_SECOND_CHOICES = {"contiv-net": ("back",), "db": ("back",), "back": ("contiv-net", "db"), "contiv-net/blue": ()}


class Verb(StrEnum):
    """What is done with a container."""

    CREATE = "create"
    START = "start"
    STOP = "stop"
    RESTART = "restart"
    KILL = "kill"
    RENAME = "rename"
    CONNECT = "connect"
    DISCONNECT = "disconnect"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True)
class Operation:
    """One call of an engine. `slot` is the container's label; it outlives every name."""

    step: int
    node: int
    verb: Verb
    slot: str
    name: str = ""  # of CREATE and RENAME
    network: str = ""  # of CREATE, CONNECT and DISCONNECT
    address: str = ""  # wished for at CREATE
    is_kept: bool = False  # CREATE: comes back with its engine

    def __str__(self) -> str:
        words = [f"step {self.step}: {self.verb} {self.slot} on node{self.node}"]
        words += [f"{key} {value}" for key in ("name", "network", "address") if (value := getattr(self, key))]
        return ", ".join(words)


class Kind(StrEnum):
    """What befalls a node."""

    AGENT_KILLED = "agent killed"
    ENGINE_KILLED = "engine killed"
    ENGINE_STOPPED = "engine stopped"
    ETCD_KILLED = "etcd member killed"
    POWER_PULLED = "power pulled"
    UNDERLAY_CUT = "eth1 cut"
    MANAGEMENT_CUT = "eth0 cut"


@dataclass(frozen=True, slots=True)
class Blow:
    """One thing that befalls one node."""

    kind: Kind
    node: int

    def __str__(self) -> str:
        return f"{self.kind} on node{self.node}"


@dataclass(frozen=True, slots=True)
class Disturbance:
    """What happens at once when so many operations of a round are done, and is mended after a while."""

    after: int
    blows: tuple[Blow, ...]
    lasts_s: float

    def __str__(self) -> str:
        return f"{' and '.join(map(str, self.blows))} for {self.lasts_s} s after {self.after} operations"


@dataclass(frozen=True, slots=True)
class Round:
    """The operations of every queue up to a checkpoint, and what disturbs them."""

    queues: tuple[tuple[Operation, ...], ...]
    disturbances: tuple[Disturbance, ...]


@dataclass(slots=True)
class _Planned:
    """A container as it will be if all goes well."""

    name: str
    networks: list[str]
    is_running: bool = False


@dataclass(slots=True)
class _Queue:
    """The containers that one worker has on one node."""

    node: int
    letter: str
    rng: random.Random
    slots: dict[str, _Planned] = field(default_factory=dict)
    made: int = 0

    def next(self, step: int) -> Operation:
        """The next operation, and what it makes of the containers."""
        verb, slot = self._choose()
        return _PLANNERS[verb](self, step, slot)

    def _choose(self) -> tuple[Verb, str]:
        if not self.slots or (len(self.slots) < SLOTS and self.rng.random() < 0.35):
            return Verb.CREATE, ""
        slot = self.rng.choice(sorted(self.slots))
        planned = self.slots[slot]
        weights = _RUNNING if planned.is_running else _STOPPED
        verb = self.rng.choices([*weights], [*weights.values()])[0]
        return (verb, slot) if self._is_possible(verb, planned) else (self._usual(planned), slot)

    def _is_possible(self, verb: Verb, planned: _Planned) -> bool:
        if verb is Verb.CONNECT:
            return len(planned.networks) == 1 and bool(_SECOND_CHOICES[planned.networks[0]])
        return verb is not Verb.DISCONNECT or len(planned.networks) > 1

    def _usual(self, planned: _Planned) -> Verb:
        return Verb.RESTART if planned.is_running else Verb.START

    def free_name(self) -> str:
        """A name of the queue's that none of its containers has; the same queue of another node may have it too."""
        taken = {each.name for each in self.slots.values()}
        return self.rng.choice([name for word in _WORDS if (name := f"{word}-{self.letter}") not in taken])


_RUNNING = {
    Verb.STOP: 22,
    Verb.RESTART: 14,
    Verb.KILL: 12,
    Verb.RENAME: 12,
    Verb.CONNECT: 14,
    Verb.DISCONNECT: 12,
    Verb.REMOVE: 14,
}
_STOPPED = {Verb.START: 70, Verb.RENAME: 6, Verb.CONNECT: 6, Verb.DISCONNECT: 4, Verb.REMOVE: 14}


def _create(queue: _Queue, step: int, _slot: str) -> Operation:
    queue.made += 1
    rng, slot, name = queue.rng, f"{queue.node}{queue.letter}{queue.made}", queue.free_name()
    network = rng.choices([*_FIRST_CHOICES], [*_FIRST_CHOICES.values()])[0]
    wish = rng.choice(_WISHES) if network == "contiv-net" and rng.random() < 0.3 else ""
    queue.slots[slot] = _Planned(name, [network])
    return Operation(step, queue.node, Verb.CREATE, slot, name, network, wish, is_kept=rng.random() < 0.5)


def _rename(queue: _Queue, step: int, slot: str) -> Operation:
    queue.slots[slot].name = queue.free_name()
    return Operation(step, queue.node, Verb.RENAME, slot, name=queue.slots[slot].name)


def _connect(queue: _Queue, step: int, slot: str) -> Operation:
    planned = queue.slots[slot]
    planned.networks.append(queue.rng.choice(_SECOND_CHOICES[planned.networks[0]]))
    return Operation(step, queue.node, Verb.CONNECT, slot, network=planned.networks[-1])


def _disconnect(queue: _Queue, step: int, slot: str) -> Operation:
    networks = queue.slots[slot].networks
    network = networks.pop(queue.rng.randrange(len(networks)))
    return Operation(step, queue.node, Verb.DISCONNECT, slot, network=network)


def _remove(queue: _Queue, step: int, slot: str) -> Operation:
    del queue.slots[slot]
    return Operation(step, queue.node, Verb.REMOVE, slot)


def _start(queue: _Queue, step: int, slot: str) -> Operation:
    queue.slots[slot].is_running = True
    return Operation(step, queue.node, Verb.START, slot)


def _stop(queue: _Queue, step: int, slot: str) -> Operation:
    queue.slots[slot].is_running = False
    return Operation(step, queue.node, Verb.STOP, slot)


def _kill(queue: _Queue, step: int, slot: str) -> Operation:
    queue.slots[slot].is_running = False
    return Operation(step, queue.node, Verb.KILL, slot)


def _restart(queue: _Queue, step: int, slot: str) -> Operation:
    return Operation(step, queue.node, Verb.RESTART, slot)


_PLANNERS = {
    Verb.CREATE: _create,
    Verb.START: _start,
    Verb.STOP: _stop,
    Verb.RESTART: _restart,
    Verb.KILL: _kill,
    Verb.RENAME: _rename,
    Verb.CONNECT: _connect,
    Verb.DISCONNECT: _disconnect,
    Verb.REMOVE: _remove,
}


def plan(seed: int, operations: int) -> Iterator[Round]:
    """The rounds of a storm."""
    queues = [
        _Queue(node, letter, random.Random(f"{seed}/{node}{letter}"))
        for letter in QUEUES
        for node in range(1, NODES + 1)
    ]
    weather = _disturbances(random.Random(f"{seed}/weather"))
    for number, first in enumerate(range(0, operations, ROUND)):
        steps = range(first + 1, min(first + ROUND, operations) + 1)
        yield Round(_deal(queues, steps), () if number % CALM_EVERY == 0 else (next(weather), next(weather)))


def names() -> tuple[str, ...]:
    """Every name that a container of any storm may have."""
    return tuple(f"{word}-{letter}" for letter in QUEUES for word in _WORDS)


def _deal(queues: Sequence[_Queue], steps: range) -> tuple[tuple[Operation, ...], ...]:
    dealt: list[list[Operation]] = [[] for _ in queues]
    for step in steps:
        number = step % len(queues)
        dealt[number].append(queues[number].next(step))
    return tuple(map(tuple, dealt))


def _disturbances(rng: random.Random) -> Iterator[Disturbance]:
    """Two to a round, without end; each kind on each node before any comes again."""
    blows = _blows(rng)
    while True:
        for part in (0.15, 0.55):
            drawn = [next(blows)]
            if rng.random() < TWO_AT_ONCE:
                drawn.append(next(each for each in blows if each.node != drawn[0].node))
            yield Disturbance(int((part + rng.random() * 0.2) * ROUND), tuple(drawn), round(rng.uniform(0.5, 3), 1))


def _blows(rng: random.Random) -> Iterator[Blow]:
    while True:
        deck = [Blow(kind, node) for kind in Kind for node in range(1, NODES + 1)]
        rng.shuffle(deck)
        yield from deck
