"""A storm from its first operation to its last: rounds, checkpoints, and what is said of them."""

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from isthmus.core.errors import EdgeError
from isthmus.lab import cluster, power
from isthmus.lab.running import RunningLab, RunningNode
from tests.lab import probes
from tests.lab.storm.agreement import UNFINISHED, differences
from tests.lab.storm.asking import misunderstandings
from tests.lab.storm.crew import Crew, StormError, Tally
from tests.lab.storm.engine import EngineGoneError
from tests.lab.storm.looking import Seen, look
from tests.lab.storm.plan import NETS, Disturbance, Round, names, plan
from tests.lab.storm.weather import Weather

CONVERGENCE_S = 10.0  # the law; how long it takes is reported
COLLECTED_S = 20.0  # for what a call that was cut short has left: the census has a grace period of 5 s
_NAMES = (*names(), *(net.group for net in NETS.values() if net.group))
_TOLD = 2
_SPARE_DESCRIPTORS = 8
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Agreement:
    """How long it took from quiet until all agreed, and until the rest of calls cut short was gone; what differed."""

    after_s: float
    collected_after_s: float
    last: tuple[str, ...]

    def __str__(self) -> str:
        before = f" ({len(self.last)} differences before, as {'; '.join(self.last[:_TOLD])})" if self.last else ""
        return f"agreed after {self.after_s:.1f} s{before}, collected after {self.collected_after_s:.1f} s"


@dataclass(slots=True)
class Report:
    """How a storm went: its tally, and every checkpoint's agreement."""

    tally: Tally
    agreements: list[Agreement] = field(default_factory=list)

    def __str__(self) -> str:
        took = ", ".join(f"{each.after_s:.1f}" for each in self.agreements)
        collected_s = max((each.collected_after_s for each in self.agreements), default=0.0)
        return f"{self.tally}; agreed after {took} s of quiet; all collected after {collected_s:.1f} s at most"


def prepare(lab: RunningLab) -> None:
    """Make the tenants, networks and groups of a storm."""
    lab.node("node1").output("netctl tenant create blue")
    for net in NETS.values():
        if net.group is None:
            probes.create_net(lab, net.network, net.subnet, "-t", net.tenant)
        else:
            probes.create_group(lab, net.group, net.network, tenant=net.tenant, ipPool=net.pool or "")


def storm(lab: RunningLab, seed: int, operations: int, say: Say) -> Report:
    """Let a storm rage over a lab that `prepare` has prepared.

    Raises:
        StormError: something was not as it must be; the text has the seed, the step, and what differs.
    """
    crew = Crew(lab, Weather(lab))
    report = Report(crew.tally)
    before = {node.name: descriptors(node) for node in lab.nodes}
    try:
        for number, each in enumerate(plan(seed, operations)):
            begun_s = time.monotonic()
            _rage(crew, each, say)
            took_s = time.monotonic() - begun_s
            report.agreements.append(checkpoint(crew))
            say(f"round {number}: {took_s:.0f} s, {report.agreements[-1]}; {crew.tally}")
        _clear(crew)
        report.agreements.append(checkpoint(crew))
        _check_descriptors(lab, before)
    except (StormError, EdgeError, AssertionError) as failure:
        kept = _keep_evidence(crew, seed)
        crew.weather.mend_all()
        steps = f"after {crew.tally.done} of {operations} operations"
        raise StormError(
            f"storm of seed {seed}, {steps}:\n{failure}\n{kept}\nreplay: make storm N={operations} SEED={seed}"
        ) from failure
    return report


def checkpoint(crew: Crew) -> Agreement:
    """Wait until all agree.

    Raises:
        StormError: they do not.
    """
    crew.weather.await_quiet()
    return agreement(crew.lab, lambda seen: _surprises(crew, seen))


def agreement(lab: RunningLab, surprises: Callable[[Seen], list[str]] = lambda _: []) -> Agreement:
    """Wait until everything agrees with the containers that run; what was begun and cut short may take longer.

    Raises:
        StormError: it does not.
    """
    quiet_s = time.monotonic()
    last = _wait(lambda: _disagreements(lab, surprises), quiet_s, CONVERGENCE_S)
    agreed_s = time.monotonic()
    _wait(lambda: differences(look(lab)), quiet_s, COLLECTED_S)
    return Agreement(agreed_s - quiet_s, time.monotonic() - quiet_s, tuple(last))


def _wait(ask: Callable[[], list[str]], since_s: float, limit_s: float) -> list[str]:
    """Ask until nothing differs; return what differed the time before."""
    last: list[str] = []
    while found := ask():
        last = found
        if time.monotonic() > since_s + limit_s:
            raise StormError("\n".join([f"{limit_s:.0f} s after quiet there are {len(found)} differences:", *found]))
    return last


def _disagreements(lab: RunningLab, surprises: Callable[[Seen], list[str]]) -> list[str]:
    try:
        seen = look(lab)
        found = [*surprises(seen), *(each for each in differences(seen) if not each.startswith(UNFINISHED))]
        return found or misunderstandings(lab, seen.lives, _NAMES)
    except (AssertionError, EngineGoneError) as failure:  # a node, or a program on it, does not answer
        return [str(failure)]


def _surprises(crew: Crew, seen: Seen) -> list[str]:
    """Where an engine has other containers than its workers left there, and nothing has befallen it since."""
    found = []
    for number, (name, containers) in enumerate(seen.containers.items(), 1):
        by_slot = {each.slot: each for each in containers}
        for slot, container in crew.left_on(number).items():
            if by_slot.get(slot) != container:
                found.append(f"{name}: {slot} is {by_slot.get(slot)}; its worker left {container}")
    return found


def _rage(crew: Crew, each: Round, say: Say) -> None:
    begun = crew.tally.done
    with ThreadPoolExecutor(max_workers=len(each.queues) + 1) as pool:
        workers = [pool.submit(crew.work, operations) for operations in each.queues]
        weather = pool.submit(_strike_all, crew, each.disturbances, begun, say)
        for worker in workers:
            worker.result()
        weather.result()
    if crew.failures:
        raise StormError("\n".join(crew.failures))


def _strike_all(crew: Crew, disturbances: Sequence[Disturbance], begun: int, say: Say) -> None:
    for disturbance in disturbances:
        while crew.tally.done - begun < disturbance.after and not crew.failures:
            time.sleep(0.05)
        if not crew.failures:
            say(str(disturbance))
            try:
                crew.weather.strike(disturbance)
            except (EdgeError, AssertionError) as failure:
                crew.failures.append(f"{disturbance}: {failure}")


def descriptors(node: RunningNode) -> int:
    """How many files, sockets and namespaces the agent of a node holds open."""
    host = cluster.host(node.lab, node.machine)
    agent = power.find(host, "netplugin")
    assert agent is not None
    return len(list((host.root / "proc" / str(agent.pid) / "fd").iterdir()))


def _check_descriptors(lab: RunningLab, before: Mapping[str, int]) -> None:
    """No agent may keep anything of sandboxes that are gone; a few connections more or less are no leak.

    Raises:
        StormError: one has kept something.
    """
    for node in lab.nodes:
        most = before[node.name] + _SPARE_DESCRIPTORS
        if not probes.eventually(CONVERGENCE_S, partial(lambda node, most: descriptors(node) <= most, node, most)):
            raise StormError(
                f"{node.name}: netplugin has {descriptors(node)} open files; it began with {before[node.name]}"
            )


def _keep_evidence(crew: Crew, seed: int) -> str:
    """Save what a failure has to be understood from; return where."""
    place = Path(tempfile.mkdtemp(prefix=f"storm-{seed}-"))
    (place / "stories").write_text("\n".join(crew.stories))
    for node in crew.lab.nodes:
        for program in ("netplugin", "dockerd"):
            (place / f"{node.name}.{program}").write_text(node.log(program))
    state = crew.lab.nodes[0].run(["etcdctl", "get", "--prefix", probes.ROOT, "-w", "json"])
    (place / "etcd.json").write_text(state.stdout)
    return f"logs, etcd's records and what did not go as planned: {place}"


def _clear(crew: Crew) -> None:
    """Remove all containers: afterwards nothing may be held for any."""
    probes.at_once([partial(node.output, "docker ps -aq | xargs -r docker rm -f") for node in crew.lab.nodes])
    crew.known.clear()
