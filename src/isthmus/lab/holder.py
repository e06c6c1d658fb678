"""A machine's namespaces: started around one small first process, entered, and ended by killing it.

The first process is pid 1 of its PID namespace, so the kernel ends every process of the machine with it, and with the
last process go the machine's links, mounts and BPF pins. It writes its own pid and start time before it does anything
else; the marker in its environment finds it even if it was killed before that.
"""

import os
import select
import shlex
import signal
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from isthmus.core.errors import EdgeError, NotFoundError
from isthmus.lab.process import Process, is_alive, parse_stat
from isthmus.lab.topology import DEFAULT_NAME

MARKER = "ISTHMUS_LAB_HOLDER"
START_DEADLINE_S = 20.0
END_DEADLINE_S = 20.0
ALL_SPACES = "mnup"
NETWORK = "n"

_FIRST_SCRIPT = "first-process.sh"
_COMPLETE = "/run/isthmus-lab/complete"
_OWN_DIRECTORIES = ("/var/lib/docker", "/var/lib/containerd", "/var/lib/etcd", "/var/lib/isthmus", "/var/log/isthmus")
_OWN_LAYERS = ("/etc", "/var/lib", "/var/log")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a machine keeps its things: `record` is the file of its holder, `disk` the directory of its files.

    `has_own_tmp` is false where programs that it runs lie below /tmp, which a /tmp of its own would hide.
    """

    lab: str
    name: str
    hostname: str
    record: Path
    disk: Path
    has_own_tmp: bool


def start(place: Place) -> Process:
    """Make the machine's namespaces and mounts; return its first process.

    Raises:
        EdgeError: the kernel refused one of them; the text has the refusal.
    """
    place.record.unlink(missing_ok=True)
    (place.disk / _FIRST_SCRIPT).write_text(_script(place))
    log = place.disk / "holder.log"
    with (
        log.open("wb") as errors,
        subprocess.Popen(
            _command(place),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            env={"PATH": os.environ["PATH"], MARKER: f"{place.lab}/{place.name}"},
        ) as launcher,
    ):
        assert launcher.stdout is not None
        ready, _, _ = select.select([launcher.stdout], [], [], START_DEADLINE_S)
        said = launcher.stdout.readline() if ready else b"nothing"
    holder = read(place)
    if said.strip() != b"ready" or holder is None:
        raise EdgeError(f"{place.hostname} does not start: {log.read_text().strip() or said!r}")
    return holder


def read(place: Place) -> Process | None:
    """Give the machine's first process if it lives and has made all that a machine needs."""
    try:
        recorded = parse_stat(place.record.read_text())
    except (FileNotFoundError, ValueError):
        return None
    return recorded if is_alive(recorded) and (recorded.root / _COMPLETE[1:]).exists() else None


def find_marked(lab: str) -> Iterator[Process]:
    """Find the first processes of a lab by the marker in their environment, recorded or not."""
    wanted = f"{MARKER}={lab}/".encode()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            variables = (entry / "environ").read_bytes().split(b"\0")
            if any(variable.startswith(wanted) for variable in variables):
                yield parse_stat((entry / "stat").read_text())
        except (OSError, ValueError):
            continue  # it ended while we looked


def parent(holder: Process) -> int | None:
    """Give the process that waits outside for a machine's first one; None of a process that is outside itself."""
    try:
        status = Path(f"/proc/{holder.pid}/status").read_text()
    except OSError:
        return None
    fields = {name: value.split() for name, _, value in (line.partition(":") for line in status.splitlines())}
    return int(fields["PPid"][0]) if len(fields["NSpid"]) > 1 else None


def kill(holders: Sequence[Process]) -> None:
    """Kill machines, and return when the kernel has ended every process in them.

    Raises:
        EdgeError: one of them is still there after `END_DEADLINE_S`.
    """
    doomed = [(holder, fd) for holder in holders if (fd := _pidfd(holder)) is not None]
    try:
        for _, fd in doomed:
            _signal_kill(fd)
        for holder, fd in doomed:
            if not select.select([fd], [], [], END_DEADLINE_S)[0]:
                raise EdgeError(f"process {holder.pid} does not end")
    finally:
        for _, fd in doomed:
            os.close(fd)


def enter(holder: Process, command: Sequence[str], spaces: str = ALL_SPACES) -> list[str]:
    """Give the command line that runs `command` in the machine's namespaces, each a letter of nsenter's.

    In the machine's PID namespace it ends with whoever started it: nsenter waits outside and passes no signal on.
    """
    last_words = ["setpriv", "--pdeathsig", "TERM", "--"] if "p" in spaces else []
    return ["nsenter", "-t", str(holder.pid), *(f"-{space}" for space in spaces), "--", *last_words, *command]


def run(holder: Process, command: Sequence[str], *, spaces: str = ALL_SPACES, text: str = "") -> str:
    """Run a command in the machine with `text` as its input; return what it printed.

    Raises:
        EdgeError: it failed; the text has what it said.
    """
    line = enter(holder, command, spaces)
    done = subprocess.run(line, input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        raise EdgeError(f"{shlex.join(command)}: {done.stderr.strip() or done.stdout.strip() or done.returncode}")
    return done.stdout


def existing(place: Place) -> Process:
    """Give the machine's first process.

    Raises:
        NotFoundError: the machine is off.
    """
    holder = read(place)
    if holder is None:
        words = place.name if place.lab == DEFAULT_NAME else f"--name {place.lab} {place.name}"
        raise NotFoundError(f"{place.hostname} is off; 'isthmus lab start {words}' starts it")
    return holder


def _command(place: Place) -> list[str]:
    # setsid forks, so that nobody here is the parent of what stays; unshare waits, and its end is the machine's end.
    unshare = ["unshare", "-n", "-m", "-u", "-p", "--fork", "--kill-child", "--propagation", "private"]
    return ["setsid", "--fork", *unshare, "sh", str(place.disk / _FIRST_SCRIPT)]


def _script(place: Place) -> str:
    """Give what the first process does: record itself, mount, then only reap and wait.

    A shell's `wait` reaps every child it has, also those that the kernel handed to it as pid 1.
    """
    steps = [
        "set -e",
        f'read -r stat </proc/self/stat; echo "$stat" >{shlex.quote(str(place.record))}',
        "trap 'exit 0' TERM",
        f"unset {MARKER}",
        f"hostname {place.hostname}",
        "ip link set lo up",
        *_mount_steps(place),
        f"touch {_COMPLETE}",
        "echo ready || :",  # who started it may be dead; the machine is whole all the same
        "exec >/dev/null 2>&1",
        "sleep infinity & wait",
        "",
    ]
    return "\n".join(steps)


def _mount_steps(place: Place) -> Iterator[str]:
    """Give the mounts in order; the things still needed of the machine's own tree are moved aside first."""
    yield "mount -t tmpfs -o mode=755 tmpfs /run"
    yield "mkdir -p /run/lock /run/isthmus-lab /run/.aside/disk /run/.aside/cgroup"
    yield f"mount --bind {shlex.quote(str(place.disk))} /run/.aside/disk"
    yield "mount --rbind /sys/fs/cgroup /run/.aside/cgroup"
    yield "mount -t sysfs sysfs /sys"
    yield "mount --move /run/.aside/cgroup /sys/fs/cgroup"
    yield "mount -t bpf bpf /sys/fs/bpf"
    if place.has_own_tmp:
        yield "mount -t tmpfs -o mode=1777 tmpfs /tmp"
    for path in _OWN_LAYERS:
        yield from _layer_steps(path)
    for path in _OWN_DIRECTORIES:
        yield f"mkdir -p {path} /run/.aside/disk{path}; mount --bind /run/.aside/disk{path} {path}"
    yield "umount -l /run/.aside/disk"
    yield "mount -t proc proc /proc"


def _layer_steps(path: str) -> Iterator[str]:
    """Lay the machine's own changes over a directory of the computer's.

    /etc keeps them on disk. The lab's disk lies below /var/lib, where the kernel allows no upper layer: memory there.
    """
    upper = "/run/.aside/disk" if path == "/etc" else "/run/.layers"
    above, work = f"{upper}{path}", f"{upper}/.work{path}"
    yield f"mkdir -p {above} {work}"
    yield f"mount -t overlay overlay -o lowerdir={path},upperdir={above},workdir={work} {path}"


def _pidfd(holder: Process) -> int | None:
    try:
        fd = os.pidfd_open(holder.pid)
    except ProcessLookupError:
        return None
    if is_alive(holder):  # looked at after opening: the descriptor is surely of this process
        return fd
    os.close(fd)
    return None


def _signal_kill(pidfd: int) -> None:
    try:
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    except ProcessLookupError:
        return
