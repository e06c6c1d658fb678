"""The table of measures: from a way and a time to one figure."""

import json
import math
import re
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from bench import loads
from bench.programs import PORT, answer_of, inside, serving
from bench.ways import Way
from isthmus.core.errors import EdgeError

PING_INTERVAL_S = 0.005


@dataclass(frozen=True, slots=True)
class Measure:
    """One row: `run` takes a way and seconds, and gives a figure in `unit`."""

    name: str
    title: str
    unit: str
    run: Callable[[Way, float], float]


def _tcp_gigabits(way: Way, seconds: float, *, streams: int) -> float:
    with serving(inside(way.server, ["iperf3", "-s", "-p", str(PORT)]), "tcp"):
        options = ["-p", str(PORT), "-t", str(math.ceil(seconds)), "-P", str(streams), "-J"]
        report = json.loads(answer_of(inside(way.client, ["iperf3", "-c", str(way.address), *options]), seconds))
    return float(report["end"]["sum_received"]["bits_per_second"]) / 1e9


def _round_trip_ms(way: Way, seconds: float) -> float:
    number = max(3, round(seconds / PING_INTERVAL_S))
    ping = ["ping", "-n", "-i", str(PING_INTERVAL_S), "-c", str(number), str(way.address)]
    times = re.findall(r"time=([\d.]+) ms", answer_of(inside(way.client, ping), seconds))
    if not times:
        raise EdgeError(f"ping {way.address} prints no times")
    return statistics.median(map(float, times))


MEASURES = (
    Measure("tcp1", "TCP, one stream", "Gbit/s", partial(_tcp_gigabits, streams=1)),
    Measure("tcp4", "TCP, four streams", "Gbit/s", partial(_tcp_gigabits, streams=4)),
    Measure("ping", "ping, median round trip", "ms", _round_trip_ms),
    Measure("tcp1-core", "TCP, one stream, one core", "Gbit/CPU s", partial(loads.rate, load=loads.TCP_GIGABITS)),
    Measure("tcp-rr", "TCP request-response, one core", "1/CPU s", partial(loads.rate, load=loads.TCP_EXCHANGES)),
    Measure("udp-rr", "UDP request-response, one core", "1/CPU s", partial(loads.rate, load=loads.UDP_EXCHANGES)),
    Measure("udp-packets", "UDP packets of 64 bytes, one core", "1/CPU s", partial(loads.rate, load=loads.UDP_PACKETS)),
    Measure("connects", "TCP connections, one core", "1/CPU s", partial(loads.rate, load=loads.CONNECTS)),
)
