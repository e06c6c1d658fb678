"""Loads pinned to one core, both ends: how much of them the kernel does in a second of CPU time.

On an idle machine that is a second by the clock. Where others want the core too, only this figure stays put: their
share of the core is not ours to measure.
"""

import math
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

from bench.accounts import count, cpu_s, softirq_thread
from bench.programs import PORT, inside, last_core, running, serving
from bench.ways import Way
from isthmus.core.errors import EdgeError

PAYLOAD_BYTES = 64
FLOW_DEADLINE_S = 15.0

_POLL_S = 0.01
_STARTED = 2_000  # counted by then: the load flows
_CONNECTS = [sys.executable, "-I", "-S", str(Path(__file__).with_name("connects.py"))]


@dataclass(frozen=True, slots=True)
class Load:
    """A server, a client that lasts longer than it is watched, and the server's counter that tells how far they are."""

    protocol: str
    server: Sequence[str]
    client: Callable[[IPv4Address, int], Sequence[str]]  # an address, whole seconds
    counter: tuple[str, str]
    scale: float = 1.0


def rate(way: Way, seconds: float, *, load: Load) -> float:
    """Run a load for `seconds`; give what it counted for each second of CPU time that both ends used.

    Raises:
        EdgeError: nothing, or next to nothing, arrives.
    """
    core = last_core()
    kernel = softirq_thread(core)
    line = load.client(way.address, math.ceil(seconds + FLOW_DEADLINE_S))
    with (
        serving(inside(way.server, load.server, core), load.protocol) as server,
        running(inside(way.client, line, core)) as client,
    ):

        def read() -> tuple[int, float]:
            return count(server, *load.counter), sum(map(cpu_s, (server, client.pid, kernel)))

        _await_flow(lambda: read()[0], f"{line[0]} to {way.name}, {way.address}")
        before, used_before_s = read()
        time.sleep(seconds)
        after, used_after_s = read()
    return (after - before) / (used_after_s - used_before_s) * load.scale


def _await_flow(counted: Callable[[], int], what: str) -> None:
    first, deadline_s = counted(), time.monotonic() + FLOW_DEADLINE_S
    while counted() < first + _STARTED:
        if time.monotonic() > deadline_s:
            raise EdgeError(f"{what}: fewer than {_STARTED} arrived in {FLOW_DEADLINE_S:.0f} seconds")
        time.sleep(_POLL_S)


def _sockperf(verb: str, *options: str) -> Callable[[IPv4Address, int], Sequence[str]]:
    fixed = ["sockperf", verb, *options, "-p", str(PORT), "-m", str(PAYLOAD_BYTES)]
    # Its time is short because it takes 10 MB of memory for each second of it, in advance.
    return lambda address, seconds: [*fixed, "-i", str(address), "-t", str(seconds)]


_UDP_SERVER = ["sockperf", "server", "-p", str(PORT)]

# Every request brings the acknowledgement of the reply before it, so segments in are requests.
TCP_EXCHANGES = Load(
    "tcp", [*_UDP_SERVER, "--tcp", "--uc-reuseaddr"], _sockperf("ping-pong", "--tcp"), ("Tcp", "InSegs")
)
UDP_EXCHANGES = Load("udp", _UDP_SERVER, _sockperf("ping-pong"), ("Udp", "InDatagrams"))
UDP_PACKETS = Load("udp", _UDP_SERVER, _sockperf("throughput"), ("Udp", "InDatagrams"))
CONNECTS = Load(
    "tcp",
    [*_CONNECTS, "serve", str(PORT)],
    lambda address, _: [*_CONNECTS, "connect", str(address), str(PORT)],
    ("Tcp", "PassiveOpens"),
)
TCP_GIGABITS = Load(
    "tcp",
    ["iperf3", "-s", "-p", str(PORT)],
    lambda address, seconds: ["iperf3", "-c", str(address), "-p", str(PORT), "-t", str(seconds)],
    ("IpExt", "InOctets"),
    8e-9,
)
