"""Programs in a machine: started, found again, awaited, stopped, killed. What dies stays dead until it is started."""

import ctypes
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import TypeVar

from isthmus.core.errors import EdgeError, KernelRefusedError
from isthmus.lab import holder, state
from isthmus.lab.process import Process, is_alive, parse_stat
from isthmus.lab.programs import Program, environment
from isthmus.lab.topology import Lab, Machine

READY_DEADLINE_S = 60.0
STOP_DEADLINE_S = 30.0  # dockerd gives its containers ten seconds, then takes its own time
POLL_S = 0.05
LOG_TAIL_LINES = 15

T = TypeVar("T")

_RECORDS = "run/isthmus-lab"
_CLONE_NEWNET = 0x40000000

# The record is written before this shell ends, so whoever started a program finds it. A background child of a shell
# ignores INT and QUIT, and so would the containers of dockerd: env puts the default back.
_SPAWN = """
name=$1; shift
setsid env --default-signal "$@" </dev/null >>/var/log/isthmus/$name.log 2>&1 &
read -r stat </proc/$!/stat
echo "$stat" >/run/isthmus-lab/$name
"""


def inside(lab: Lab, machine: Machine, command: Sequence[str]) -> list[str]:
    """Give the arguments of `env` that run a command with the machine's environment, in root's home."""
    variables = environment(lab, machine) | {"TERM": os.environ.get("TERM", "dumb")}
    return ["env", "-i", "--chdir=/root", *(f"{name}={value}" for name, value in variables.items()), *command]


def find(host: Process, name: str) -> Process | None:
    """Give the program's process if it lives; its pid is that in the machine."""
    try:
        process = parse_stat((host.root / _RECORDS / name).read_text())
    except (OSError, ValueError):
        return None
    return process if is_alive(process, host.root / "proc") else None


def start(lab: Lab, machine: Machine, host: Process, program: Program) -> bool:
    """Start a program unless it runs; say whether it was started."""
    if find(host, program.name) is not None:
        return False
    command = ["sh", "-c", _SPAWN, "sh", program.name, *program.command(lab, machine)]
    holder.run(host, inside(lab, machine, command))
    return True


def await_ready(lab: Lab, machine: Machine, host: Process, program: Program) -> None:
    """Return when the program answers. To be called from within the machine's network namespace.

    Raises:
        EdgeError: it ended, or does not answer in time; the text has the end of its log.
    """
    deadline_s = time.monotonic() + READY_DEADLINE_S
    while not program.is_ready(host):
        if find(host, program.name) is None:
            raise EdgeError(f"{program.name} on {machine.hostname} has ended.\n{log_tail(lab, machine, program)}")
        if time.monotonic() > deadline_s:
            raise EdgeError(
                f"{program.name} on {machine.hostname} is not ready after {READY_DEADLINE_S:.0f} seconds.\n"
                f"{log_tail(lab, machine, program)}"
            )
        time.sleep(POLL_S)


def stop(host: Process, program: Program) -> bool:
    """End a program with SIGTERM, and with SIGKILL if it does not heed that; say whether it ran."""
    process = find(host, program.name)
    if process is None:
        return False
    _send(host, process, "TERM")
    if not _await_end(host, program, STOP_DEADLINE_S):
        kill(host, program)
    return True


def kill(host: Process, program: Program) -> bool:
    """End a program with SIGKILL; say whether it ran.

    Raises:
        EdgeError: the kernel does not end it.
    """
    process = find(host, program.name)
    if process is None:
        return False
    _send(host, process, "KILL")
    if not _await_end(host, program, STOP_DEADLINE_S):
        raise EdgeError(f"{program.name}, process {process.pid} in its machine, does not end")
    return True


def log_tail(lab: Lab, machine: Machine, program: Program) -> str:
    """Give the last lines of a program's log, under a line that says whose."""
    path = state.log_file(lab, machine, program.name)
    with path.open(errors="replace") as log:
        lines = [f"  {line.rstrip()}" for line in deque(log, LOG_TAIL_LINES)]
    return "\n".join([f"The end of {path}:", *(lines or ["  (it is empty)"])])


def in_network_of(host: Process, work: Callable[[], T]) -> T:
    """Call `work` in a thread of its own that has entered the machine's network namespace."""
    results: list[T] = []
    failures: list[BaseException] = []

    def body() -> None:
        try:
            _enter_network(host)
            results.append(work())
        except BaseException as failure:  # handed to the caller, who raises it
            failures.append(failure)

    thread = threading.Thread(target=body, daemon=True)
    thread.start()
    thread.join()
    if failures:
        raise failures[0]
    return results[0]


def _enter_network(host: Process) -> None:
    libc = ctypes.CDLL(None, use_errno=True)  # Python 3.11 has no os.setns
    try:
        fd = os.open(f"/proc/{host.pid}/ns/net", os.O_RDONLY)
    except FileNotFoundError as gone:
        raise EdgeError(f"process {host.pid} has just ended, and its machine with it") from gone
    try:
        if libc.setns(fd, _CLONE_NEWNET):
            raise KernelRefusedError(ctypes.get_errno(), f"setns to the network of process {host.pid}")
    finally:
        os.close(fd)


def _send(host: Process, process: Process, name: str) -> None:
    try:
        holder.run(host, ["sh", "-c", f"kill -{name} {process.pid}"])
    except EdgeError:
        if is_alive(process, host.root / "proc"):
            raise


def _await_end(host: Process, program: Program, within_s: float) -> bool:
    deadline_s = time.monotonic() + within_s
    while find(host, program.name) is not None:
        if time.monotonic() > deadline_s:
            return False
        time.sleep(POLL_S)
    return True
