"""Builds with other map layouts replace each other under traffic, whenever they are killed."""

import itertools
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from isthmus.core.datapath import KernelObject
from isthmus.wire.maps import LAYOUT
from tests.builds import OTHER_LAYOUT, PRESENT, build_other, environment
from tests.edge import one_life
from tests.edge.kernel_hosts import HOME, Cluster, Host, desired, leg

pytestmark = [pytest.mark.root, pytest.mark.timeout(240)]

ROUND = 200


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_other(tmp_path_factory.mktemp("other"))


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with ExitStack() as stack:
        made = Cluster(tmp_path, stack)
        for i, host in enumerate(made.hosts):
            host.reach(desired(i))
        for i in HOME:
            made.join(i)
        yield made


@contextmanager
def no_ping_lost(cluster: Cluster) -> Iterator[None]:
    """Flood within the first host and between both, by IPv4 and IPv6, in rounds, while the block lasts."""
    is_over = threading.Event()
    rounds: list[int] = []

    def flood(there: int, family: int) -> None:
        while not is_over.is_set():
            rounds.append(cluster.containers[1].ping(leg(there).addresses[family], count=ROUND, every_s=0.002))

    threads = [threading.Thread(target=flood, args=each) for each in itertools.product((2, 3), (0, 1))]
    for each in threads:
        each.start()
    try:
        yield
    finally:
        is_over.set()
        for each in threads:
            each.join()
    assert len(rounds) >= len(threads)
    assert rounds == [ROUND] * len(rounds)


def live(host: Host, build: Path, wanted: frozenset[KernelObject] | None, calls: int = sys.maxsize) -> list[int]:
    """Let an agent of a build live on a host; return its calls up to the end of each stage that it saw."""
    words = pickle.dumps({"bpffs": host.bpffs, "desired": wanted, "calls": calls})
    line = ["nsenter", f"--net=/run/netns/{host.netns.name}", sys.executable, "-P", one_life.__file__]
    done = subprocess.run(line, input=words, capture_output=True, env=environment(build), check=False)
    assert done.returncode in {0, -signal.SIGKILL}, done.stderr.decode()
    return [int(word) for word in done.stdout.split()]


def layouts(host: Host) -> list[str]:
    return sorted(each.name for each in (host.bpffs / "isthmus").iterdir())


def test_a_newer_layout_and_the_older_again_lose_no_packet(cluster: Cluster, other: Path) -> None:
    with no_ping_lost(cluster):
        for build, layout in ((other, OTHER_LAYOUT), (PRESENT, LAYOUT)):
            for i, host in enumerate(cluster.hosts):
                live(host, build, desired(i))
                assert layouts(host) == [f"v{layout}"]


def test_both_hosts_change_layout_at_once_and_lose_no_packet(cluster: Cluster, other: Path) -> None:
    with no_ping_lost(cluster):
        for build, layout in ((other, OTHER_LAYOUT), (PRESENT, LAYOUT)):
            lives = [
                threading.Thread(target=live, args=(host, build, desired(i))) for i, host in enumerate(cluster.hosts)
            ]
            for each in lives:
                each.start()
            for each in lives:
                each.join()
            assert layouts(cluster.hosts[0]) == layouts(cluster.hosts[1]) == [f"v{layout}"]


def test_until_the_world_is_known_the_older_programs_and_tables_go_on(cluster: Cluster, other: Path) -> None:
    host = cluster.hosts[0]
    with no_ping_lost(cluster):
        for _ in range(2):
            live(host, other, None)
            assert layouts(host) == [f"v{LAYOUT}", f"v{OTHER_LAYOUT}"]
        live(host, PRESENT, None)
        live(host, PRESENT, desired(0))
        assert layouts(host) == [f"v{LAYOUT}"]


@pytest.mark.parametrize("is_same", [True, False], ids=["the-same-build", "the-build-before"])
def test_an_agent_killed_at_any_moment_of_a_change_of_layout_is_followed_by_either_build(
    cluster: Cluster, other: Path, is_same: bool
) -> None:
    host, running, following = cluster.hosts[0], PRESENT, other
    opened, filled, switched = live(host, other, desired(0))
    live(host, PRESENT, desired(0))
    within_the_switch = range(filled, switched, (switched - filled) // 5 + 1)
    with no_ping_lost(cluster):
        for moment in (opened // 2, opened, (opened + filled) // 2, *within_the_switch):
            assert len(live(host, following, desired(0), moment)) < 3
            if is_same:
                running, following = following, running
            live(host, running, None)  # it starts, and does not know the world yet
            assert len(live(host, running, desired(0))) == 3


def test_tables_whose_pins_somebody_removed_are_filled_before_they_are_read(cluster: Cluster) -> None:
    host = cluster.hosts[0]
    with no_ping_lost(cluster):
        for pin in (host.bpffs / "isthmus" / f"v{LAYOUT}").iterdir():
            pin.unlink()
        live(host, PRESENT, None)
        live(host, PRESENT, desired(0))
