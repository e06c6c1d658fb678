"""The table of the programs of a lab: where each runs, its command line, and when it is ready."""

import http.client
import json
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from isthmus.core.errors import NotFoundError
from isthmus.lab import state
from isthmus.lab.process import Process
from isthmus.lab.topology import Lab, Machine, Role, cluster_address, etcd_members, masters

STORE = "etcd://localhost:2379"
PLUGIN_SOCKET = "run/docker/plugins/netplugin.sock"
DOCKER_SOCKET = "run/docker.sock"
CONTAINERD_SOCKET = "run/containerd/containerd.sock"
MASTER_PORT = 9999
PROBE_DEADLINE_S = 2.0

OWN_PROGRAMS = "/run/isthmus-lab/bin"  # what a learner or a test puts there runs on that node in the place of ours
_STANDARD_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class Program:
    """One row of the table. `is_ready` is asked from within the machine's network namespace."""

    name: str
    runs_on: Callable[[Lab, Machine], bool]
    command: Callable[[Lab, Machine], list[str]]
    is_ready: Callable[[Process], bool]


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: Path, timeout_s: float = PROBE_DEADLINE_S) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def on(lab: Lab, machine: Machine) -> list[Program]:
    """Give the programs of a machine in the order in which they start."""
    return [each for each in TABLE if each.runs_on(lab, machine) and (not lab.only or each.name in lab.only)]


def named(lab: Lab, machine: Machine, name: str) -> Program:
    """Find a program of a machine.

    Raises:
        NotFoundError: the machine has no such program.
    """
    present = on(lab, machine)
    for program in present:
        if program.name == name:
            return program
    choices = ", ".join(program.name for program in present) or "none"
    raise NotFoundError(f"{machine.hostname} has no program '{name}'; it has: {choices}")


def environment(lab: Lab, machine: Machine) -> dict[str, str]:
    """Give the environment of everything in a machine: nothing of the caller's but the terminal's kind is let in."""
    own = [OWN_PROGRAMS, str(Path(sys.prefix) / "bin")]
    engine = [str(Path(lab.dockerd).parent)] if "/" in lab.dockerd else []
    return _netctl_settings(lab, machine) | {
        "PATH": ":".join([*own, *engine, _STANDARD_PATH]),
        "HOME": "/root",
        "USER": "root",
        "LANG": "C.UTF-8",
        "ETCDCTL_API": "3",
        "DOCKER_CONFIG": "/run/isthmus-lab/docker",
        "HISTFILE": "/run/isthmus-lab/history",
        "ISTHMUS_LAB": lab.name,
        "ISTHMUS_NODE": machine.name,
    }


def _netctl_settings(lab: Lab, machine: Machine) -> dict[str, str]:
    """Give netctl the list of masters; of one master it knows the name, netmaster."""
    if machine.role is not Role.NODE or lab.masters == 1:
        return {}
    return {"NETMASTER": ",".join(f"http://{each.hostname}:{MASTER_PORT}" for each in masters(lab))}


def _is_node(_lab: Lab, machine: Machine) -> bool:
    return machine.role is Role.NODE


def _is_master(lab: Lab, machine: Machine) -> bool:
    return machine in masters(lab)


def _is_outside(_lab: Lab, machine: Machine) -> bool:
    return machine.role is Role.OUTSIDE


def _etcd(lab: Lab, machine: Machine) -> list[str]:
    members = etcd_members(lab)
    if machine not in members:
        endpoints = ",".join(f"{cluster_address(member)}:2379" for member in members)
        return ["etcd", "gateway", "start", f"--endpoints={endpoints}", "--listen-addr=127.0.0.1:2379"]
    own = cluster_address(machine)
    peers = ",".join(f"{member.hostname}=http://{cluster_address(member)}:2380" for member in members)
    return [
        "etcd",
        f"--name={machine.hostname}",
        "--data-dir=/var/lib/etcd/member",
        f"--listen-client-urls=http://127.0.0.1:2379,http://{own}:2379",
        f"--advertise-client-urls=http://{own}:2379",
        f"--listen-peer-urls=http://{own}:2380",
        f"--initial-advertise-peer-urls=http://{own}:2380",
        f"--initial-cluster={peers}",
        f"--initial-cluster-token=isthmus-lab-{lab.name}",
        "--auto-compaction-retention=1h",
        "--logger=zap",
    ]


def _containerd(_lab: Lab, _machine: Machine) -> list[str]:
    return ["containerd", "--config=/etc/containerd/config.toml"]


def _dockerd(lab: Lab, machine: Machine) -> list[str]:
    command = [
        lab.dockerd,
        f"--containerd=/{CONTAINERD_SOCKET}",
        f"--cgroup-parent={state.cgroup_path(lab, machine)}",
        "--exec-opt=native.cgroupdriver=cgroupfs",  # there is no systemd in a node to ask
    ]
    # Without CAP_SYS_RESOURCE an engine that lowers its own score, as all did up to version 24, does not start.
    return [*command, "--oom-score-adjust=0"] if _lowers_oom_score(lab.dockerd) else command


def _netplugin(_lab: Lab, _machine: Machine) -> list[str]:
    return ["netplugin", "-plugin-mode", "docker", "-vlan-if", "eth2", "-cluster-store", STORE]


def _netmaster(_lab: Lab, _machine: Machine) -> list[str]:
    return ["netmaster", "-cluster-store", STORE, "-listen-url", f":{MASTER_PORT}"]


def _internet(lab: Lab, _machine: Machine) -> list[str]:
    return [sys.executable, "-m", "isthmus.lab.outside", lab.name, str(lab.nodes)]


@cache
def _lowers_oom_score(dockerd: str) -> bool:
    shown = subprocess.run([dockerd, "--help"], capture_output=True, text=True, check=False)
    return "--oom-score-adjust" in shown.stdout


def _etcd_is_ready(_host: Process) -> bool:
    status, body = _get(http.client.HTTPConnection("127.0.0.1", 2379, timeout=PROBE_DEADLINE_S), "/health")
    return status == 200 and json.loads(body).get("health") in {"true", True}


def _containerd_is_ready(host: Process) -> bool:
    return _accepts(host.root / CONTAINERD_SOCKET)


def _dockerd_is_ready(host: Process) -> bool:
    return _get(UnixConnection(host.root / DOCKER_SOCKET), "/_ping")[0] == 200


def _netplugin_is_ready(host: Process) -> bool:
    return _accepts(host.root / PLUGIN_SOCKET)


def _netmaster_is_ready(_host: Process) -> bool:
    return _get(http.client.HTTPConnection("127.0.0.1", MASTER_PORT, timeout=PROBE_DEADLINE_S), "/version")[0] == 200


def _internet_is_ready(_host: Process) -> bool:
    return _get(http.client.HTTPConnection("127.0.0.1", 80, timeout=PROBE_DEADLINE_S), "/")[0] == 200


def _get(connection: http.client.HTTPConnection, path: str) -> tuple[int, bytes]:
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException):
        return 0, b""
    finally:
        connection.close()


def _accepts(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(PROBE_DEADLINE_S)
        return client.connect_ex(str(path)) == 0


# netplugin comes before dockerd, as its unit does on a real host: dockerd looks for it when it starts.
TABLE = (
    Program("internet", _is_outside, _internet, _internet_is_ready),
    Program("etcd", _is_node, _etcd, _etcd_is_ready),
    Program("containerd", _is_node, _containerd, _containerd_is_ready),
    Program("netplugin", _is_node, _netplugin, _netplugin_is_ready),
    Program("dockerd", _is_node, _dockerd, _dockerd_is_ready),
    Program("netmaster", _is_master, _netmaster, _netmaster_is_ready),
)
