"""Whatever happened to a lab, `down` leaves nothing of it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from isthmus.core.errors import EdgeError
from isthmus.lab import cluster, state
from isthmus.lab.running import RunningLab, running
from isthmus.lab.topology import MAX_NODES, Lab, machines, switches

pytestmark = [pytest.mark.root, pytest.mark.lab]

SPACES = ("net", "mnt", "uts", "pid")


def up_words(lab: Lab) -> list[str]:
    only = ["--only", ",".join(lab.only)]
    return [sys.executable, "-m", "isthmus.lab", "lab", "up", "--name", lab.name, "--nodes", str(lab.nodes), *only]


def namespaces(pid: int | str) -> set[str]:
    try:
        return {str(Path(f"/proc/{pid}/ns/{space}").readlink()) for space in SPACES}
    except OSError:
        return set()


def every_namespace() -> set[str]:
    return {space for entry in Path("/proc").glob("[0-9]*") for space in namespaces(entry.name)}


def owned_namespaces(lab: RunningLab) -> set[str]:
    machines_namespaces = [namespaces(lab.node(each.name).pid) for each in machines(lab.lab)]
    return set().union(*machines_namespaces)


def marked_processes(name: str) -> list[str]:
    """Find processes that a lab started, by the variables that every one of them carries."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            variables = (entry / "environ").read_bytes()
        except OSError:
            continue
        if f"ISTHMUS_LAB={name}\0".encode() in variables or f"ISTHMUS_LAB_HOLDER={name}/".encode() in variables:
            found.append(entry.name)
    return found


def files(name: str) -> list[Path]:
    places = (state.RUN / name, state.DISK / name, *Path("/sys/fs/cgroup").glob(f"**/isthmus-lab/{name}"))
    return [place for place in places if place.exists()]


MOUNTED = {"/run", "/tmp", "/etc", "/proc", "/sys", "/sys/fs/bpf", "/sys/fs/cgroup", "/var/lib", "/var/log"}


def surroundings() -> tuple[list[str], list[str]]:
    """Give what a lab could have left in the computer's own namespaces: links of its names, mounts of its places."""
    largest = machines(Lab("largest", nodes=MAX_NODES))
    own = {*switches(Lab()), *(cable.port for each in largest for cable in each.links)}
    links = [path.name for path in Path("/sys/class/net").iterdir() if path.name in own]
    mounts = [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if _is_ours(line.split()[4])]
    return links, mounts


def _is_ours(mount_point: str) -> bool:
    return mount_point in MOUNTED or mount_point.startswith(("/run/", "/var/lib/", "/var/log/"))


def assert_nothing_is_left(name: str, owned: set[str]) -> None:
    assert files(name) == []
    assert marked_processes(name) == []
    deadline_s = time.monotonic() + 10
    while left := owned & every_namespace():
        assert time.monotonic() < deadline_s, left
        time.sleep(0.05)


def map_names() -> str:
    return subprocess.run(["bpftool", "map", "show"], capture_output=True, text=True, check=True).stdout


def test_down_leaves_nothing_of_a_lab_in_use() -> None:
    name, before = f"left-{os.getpid()}", surroundings()
    pinned = f"lab_{os.getpid()}"
    with running(Lab(name, nodes=1, only=("internet", "containerd", "dockerd"))) as lab:
        node = lab.node("node1")
        node.output("docker run -d --name=busy -p 80:80 alpine sleep 1000")
        node.output(f"bpftool map create /sys/fs/bpf/{pinned} type array key 4 value 4 entries 1 name {pinned}")
        assert pinned in map_names()
        container_cgroups = list(Path("/sys/fs/cgroup").glob(f"**/isthmus-lab/{name}/node1/*/cgroup.procs"))
        assert container_cgroups
        owned = owned_namespaces(lab) - namespaces("self")
        owned |= namespaces(_machine_pid(container_cgroups[0])) - namespaces("self")
        with subprocess.Popen(node.command("sleep 1000"), stdin=subprocess.DEVNULL) as session:
            cluster.down(name)
            assert session.wait(10) != 0  # a shell left open ends with its node
    assert_nothing_is_left(name, owned)
    assert surroundings() == before
    deadline_s = time.monotonic() + 10
    while pinned in map_names():
        assert time.monotonic() < deadline_s
        time.sleep(0.05)


def _machine_pid(cgroup: Path) -> str:
    return cgroup.read_text().split()[0]


@pytest.mark.parametrize("after_ms", [60, 150, 200, 250, 300, 350, 500, 900])
def test_down_leaves_nothing_of_an_up_that_was_killed(after_ms: int) -> None:
    lab, before = (
        Lab(f"half-{os.getpid()}", nodes=2, only=("internet", "etcd", "containerd", "dockerd")),
        surroundings(),
    )
    with subprocess.Popen(up_words(lab), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as up:
        try:
            time.sleep(after_ms / 1000)
        finally:
            up.send_signal(signal.SIGKILL)
    owned = set().union(*(namespaces(pid) for pid in marked_processes(lab.name))) - namespaces("self")
    cluster.down(lab.name)
    assert_nothing_is_left(lab.name, owned)
    assert surroundings() == before


@pytest.mark.parametrize("after_ms", [150, 200, 250, 300, 400, 700])
def test_an_up_that_was_killed_is_finished_by_the_next(after_ms: int) -> None:
    lab = Lab(f"again-{os.getpid()}", nodes=2, only=("internet", "etcd"))
    with subprocess.Popen(up_words(lab), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as up:
        time.sleep(after_ms / 1000)
        up.send_signal(signal.SIGKILL)
    with running(lab) as finished:
        assert all(each.is_ready for each in cluster.status(lab))
        finished.node("node1").output("ping -c 1 -W 2 192.168.2.11 && getent hosts contiv.com")


def test_two_labs_do_not_meet() -> None:
    only = ("internet", "etcd")
    with (
        running(Lab(f"one-{os.getpid()}", 1, only=only)) as one,
        running(Lab(f"two-{os.getpid()}", 2, only=only)) as two,
    ):
        assert one.node("node1").run("ping -c 1 -W 1 192.168.2.11").returncode != 0
        two.node("node1").output("ping -c 1 -W 2 192.168.2.11")
        one.node("node1").output("etcdctl put whose one")
        assert two.node("node1").output("etcdctl get whose") == ""
        cluster.down(two.name)
        assert one.node("node1").output("etcdctl get --print-value-only whose") == "one"


def test_a_lab_of_four_has_etcd_on_localhost_everywhere() -> None:
    with running(Lab(f"four-{os.getpid()}", nodes=4, only=("etcd",))) as lab:
        lab.node("node1").output("etcdctl put a b")
        assert lab.node("node4").output("etcdctl --endpoints=localhost:2379 get --print-value-only a") == "b"


def test_what_does_not_come_up_is_named_with_the_end_of_its_log(tmp_path: Path) -> None:
    broken = tmp_path / "dockerd"
    broken.write_text("#!/bin/sh\necho it is broken >&2\nexit 1\n")
    broken.chmod(0o755)
    lab = Lab(f"broken-{os.getpid()}", nodes=1, dockerd=str(broken), only=("containerd", "dockerd"))
    with pytest.raises(EdgeError, match=r"(?s)dockerd on broken-\d+-node1 has ended.*it is broken"), running(lab):
        pass
    assert files(lab.name) == []
