"""Carries out the operations of a plan on real engines, and judges what each of them answers."""

import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote

from isthmus.lab.running import RunningLab
from tests.lab.probes import eventually
from tests.lab.storm.engine import SLOT, Container, Engine, EngineGoneError, RefusedError
from tests.lab.storm.plan import NETS, Net, Operation, Verb
from tests.lab.storm.weather import Weather

_ENGINE_BACK_S = 120.0
_NO_ADDRESS = re.compile(r"address exhaustion in (pool|network)|exhaustion")
_ADDRESS_IN_USE = re.compile(r"address \S+ of network \S+ is in use by (container \S+|a container) on node \S+")


class StormError(Exception):
    """Something happened that must not happen; the text says at which step."""


@dataclass(slots=True)
class Known:
    """What a worker knows of one of its containers; it is not `sure` where a call was cut short."""

    container: Container
    wish: str
    at_s: float
    is_sure: bool = True


@dataclass(slots=True)
class Tally:
    """How the operations of a storm went."""

    done: int = 0
    refused: int = 0  # for want of an address, and rightly so
    mistimed: int = 0  # on what a disturbance, or such a refusal, had made of a container
    disturbed: int = 0  # failed while something was wrong on the node


@dataclass(slots=True)
class Crew:
    """All workers of a storm, and what they know together."""

    lab: RunningLab
    weather: Weather
    tally: Tally = field(default_factory=Tally)
    known: dict[str, Known] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    stories: list[str] = field(default_factory=list)  # of what did not go as planned
    _busy: dict[int, Operation] = field(default_factory=dict)  # by thread
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def work(self, operations: Sequence[Operation]) -> None:
        """Do one queue's operations in order; stop where one fails that must not."""
        for operation in operations:
            if self.failures:
                return
            try:
                self._do(operation)
            except StormError as failure:
                self.failures.append(str(failure))
            with self._lock:
                self.tally.done += 1

    def engine(self, node: int) -> Engine:
        """The engine of a node."""
        return Engine(self.lab.node(f"node{node}"))

    def left_on(self, node: int) -> dict[str, Container]:
        """The containers on a node as their workers left them, where nothing else has changed them since."""
        own = {slot: each for slot, each in self.known.items() if slot.startswith(str(node)) and each.is_sure}
        return {
            slot: each.container for slot, each in own.items() if not self.weather.has_struck_engine(node, each.at_s)
        }

    def _do(self, operation: Operation) -> None:
        engine, begun_s = self.engine(operation.node), time.monotonic()
        if not eventually(_ENGINE_BACK_S, engine.answers):
            raise StormError(f"{operation}: the engine does not answer for {_ENGINE_BACK_S:.0f} s")
        with self._lock:
            self._busy[threading.get_ident()] = operation
        try:
            self._catch_up(engine, operation)
            _CALLS[operation.verb](engine, operation, self._id(operation))
            self._learn(engine, operation, is_done=True)
        except RefusedError as refusal:
            self._judge(engine, operation, refusal, begun_s)
        except EngineGoneError as gone:
            if not self.weather.explains(operation.node, begun_s):
                raise StormError(f"{operation}: the engine went, and nothing was done to it: {gone}") from gone
            self._count("disturbed", operation, str(gone))
            self._doubt(operation)
        finally:
            with self._lock:
                del self._busy[threading.get_ident()]

    def _catch_up(self, engine: Engine, operation: Operation) -> None:
        """Look what became of a container that was not left to its worker alone."""
        known = self.known.get(operation.slot)
        if known and (not known.is_sure or self.weather.has_struck_engine(operation.node, known.at_s)):
            self._learn(engine, operation, is_done=False)

    def _id(self, operation: Operation) -> str:
        """How the engine is to find the container: by its id where we know it, else by no name that it has."""
        known = self.known.get(operation.slot)
        return known.container.id if known else f"no-{operation.slot}"

    def _judge(self, engine: Engine, operation: Operation, refusal: RefusedError, begun_s: float) -> None:
        """Accept a refusal for a reason that we know of.

        Raises:
            StormError: there is none.
        """
        before = self.known.get(operation.slot)
        self._relearn(engine, operation, begun_s)
        has_lost_etcd = "etcd at " in str(refusal) and self.weather.explains_etcd(begun_s)
        if has_lost_etcd or self.weather.explains(operation.node, begun_s):
            self._count("disturbed", operation, str(refusal))
            self._doubt(operation)
        elif self._is_mistimed(operation, before, refusal):
            self._count("mistimed", operation, str(refusal))
        elif self._is_out_of_addresses(operation, before, str(refusal)):
            self._count("refused", operation, str(refusal))
        else:
            raise StormError(f"{operation}: {refusal.status} {refusal}; it was {before}")

    def _relearn(self, engine: Engine, operation: Operation, begun_s: float) -> None:
        try:
            self._learn(engine, operation, is_done=False)
        except (EngineGoneError, RefusedError) as trouble:
            if not self.weather.explains(operation.node, begun_s):
                raise StormError(
                    f"{operation}: and then the engine did not say what came of it: {trouble}"
                ) from trouble

    def _learn(self, engine: Engine, operation: Operation, *, is_done: bool) -> None:
        """Ask what the container is now.

        Raises:
            StormError: it is not what a call that was done must have made of it.
        """
        at_s = time.monotonic()
        container = engine.find(operation.slot)
        before = self.known.get(operation.slot)
        with self._lock:
            if container is None:
                self.known.pop(operation.slot, None)
            else:
                wish = operation.address if operation.verb is Verb.CREATE else before.wish if before else ""
                self.known[operation.slot] = Known(container, wish, at_s)
        is_odd = is_done and not _OUTCOMES[operation.verb](container, operation)
        if is_odd and not self.weather.explains(operation.node, at_s):
            raise StormError(f"{operation}: done, says the engine, but the container is now {container}")

    def _is_mistimed(self, operation: Operation, before: Known | None, refusal: RefusedError) -> bool:
        """Whether the container was not as planned, through no fault of this call."""
        if operation.verb is Verb.CREATE or (operation.verb is Verb.RENAME and before):
            return self._is_name_taken(operation, before, refusal)
        if before is None:
            return refusal.status == 404
        container, said = before.container, str(refusal)
        return {
            Verb.KILL: not container.is_running and "is not running" in said,
            Verb.CONNECT: operation.network in container.networks and "already" in said,
            Verb.DISCONNECT: operation.network not in _connected(container) and "is not connected" in said,
        }.get(operation.verb, False)

    def _is_name_taken(self, operation: Operation, before: Known | None, refusal: RefusedError) -> bool:
        """Whether this container has the name already, or another of its node has."""
        if before and before.container.name == operation.name:
            return "same name" in str(refusal)
        known = (each.container for slot, each in self.known.items() if slot.startswith(str(operation.node)))
        return refusal.status == 409 and any(
            each.name == operation.name for each in known if each.slot != operation.slot
        )

    def _is_out_of_addresses(self, operation: Operation, before: Known | None, said: str) -> bool:
        """Whether there was no address for it, and that is what it was told."""
        if before is None or operation.verb not in {Verb.START, Verb.RESTART, Verb.CONNECT}:
            return False
        if _ADDRESS_IN_USE.search(said):
            return bool(before.wish)
        if not _NO_ADDRESS.search(said):
            return False
        wanted = {operation.network} if operation.network else before.container.networks
        return any(self._may_be_full(NETS[name]) for name in wanted)

    def _may_be_full(self, net: Net) -> bool:
        """Whether containers that run, or are just coming or going, may hold all addresses of a share."""
        with self._lock:
            running = [each.container for each in self.known.values() if each.container.is_running]
            held = sum(any(leg.network == net.docker for leg in each.legs) for each in running)
            return held + len(self._busy) >= net.capacity or not self.weather.is_calm(time.monotonic() - 60)

    def _doubt(self, operation: Operation) -> None:
        known = self.known.get(operation.slot)
        if known:
            known.is_sure = False

    def _count(self, what: str, operation: Operation, said: str) -> None:
        with self._lock:
            setattr(self.tally, what, getattr(self.tally, what) + 1)
            self.stories.append(f"{time.strftime('%H:%M:%S')} {what}: {operation}: {said}")


def _connected(container: Container) -> frozenset[str]:
    """The networks that it can be disconnected from; an engine also shows those that had no address for it."""
    return frozenset(leg.network for leg in container.legs) if container.is_running else container.networks


def _create(engine: Engine, operation: Operation, _id: str) -> None:
    endpoint = {"IPAMConfig": {"IPv4Address": operation.address}} if operation.address else {}
    body = {
        "Image": "alpine",
        "Cmd": ["sleep", "infinity"],
        "Labels": {SLOT: operation.slot},
        "StopTimeout": 5,
        "HostConfig": {
            "Init": True,
            "NetworkMode": operation.network,
            "RestartPolicy": {"Name": "always" if operation.is_kept else "no"},
        },
        "NetworkingConfig": {"EndpointsConfig": {operation.network: endpoint}},
    }
    engine.ask("POST", f"/containers/create?name={operation.name}", body)


def _simple(path: str) -> Callable[[Engine, Operation, str], None]:
    def call(engine: Engine, _operation: Operation, container: str) -> None:
        engine.ask("POST", f"/containers/{container}/{path}")

    return call


def _rename(engine: Engine, operation: Operation, container: str) -> None:
    engine.ask("POST", f"/containers/{container}/rename?name={operation.name}")


def _connect(engine: Engine, operation: Operation, container: str) -> None:
    engine.ask("POST", f"/networks/{quote(operation.network, safe='')}/connect", {"Container": container})


def _disconnect(engine: Engine, operation: Operation, container: str) -> None:
    engine.ask("POST", f"/networks/{quote(operation.network, safe='')}/disconnect", {"Container": container})


def _remove(engine: Engine, _operation: Operation, container: str) -> None:
    engine.ask("DELETE", f"/containers/{container}?force=1&v=1")


_CALLS: Mapping[Verb, Callable[[Engine, Operation, str], None]] = {
    Verb.CREATE: _create,
    Verb.START: _simple("start"),
    Verb.STOP: _simple("stop"),
    Verb.RESTART: _simple("restart"),
    Verb.KILL: _simple("kill"),
    Verb.RENAME: _rename,
    Verb.CONNECT: _connect,
    Verb.DISCONNECT: _disconnect,
    Verb.REMOVE: _remove,
}


def _runs(container: Container | None, _operation: Operation) -> bool:
    return (
        container is not None
        and container.is_running
        and {leg.network for leg in container.legs} == (container.networks)
    )


def _rests(container: Container | None, _operation: Operation) -> bool:
    return container is not None and not container.is_running


_OUTCOMES: Mapping[Verb, Callable[[Container | None, Operation], bool]] = {
    Verb.CREATE: _rests,
    Verb.START: _runs,
    Verb.STOP: _rests,
    Verb.RESTART: _runs,
    Verb.KILL: _rests,
    Verb.RENAME: lambda container, operation: container is not None and container.name == operation.name,
    Verb.CONNECT: lambda container, operation: container is not None and operation.network in container.networks,
    Verb.DISCONNECT: lambda container, operation: container is not None and operation.network not in container.networks,
    Verb.REMOVE: lambda container, _: container is None,
}
