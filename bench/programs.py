"""Load programs of this machine, run inside a way's network namespaces: the same binaries for every way."""

import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from isthmus.core.errors import EdgeError

PORT = 24680
START_DEADLINE_S = 15.0
END_DEADLINE_S = 5.0
SPARE_S = 30.0  # beyond its own time, before a client counts as hung

_POLL_S = 0.005
_LISTENING = {"tcp": "0A", "udp": "07"}  # in /proc/net, the state of a socket that has no peer


def inside(namespace: Path, command: Sequence[str], core: int | None = None) -> list[str]:
    """Give the command line that runs a program there, on one core only where it is given.

    Every step replaces itself by the next, so the process started is in the end the program.
    """
    pinned = [] if core is None else ["taskset", "-c", str(core)]
    return ["nsenter", f"--net={namespace}", "--", *pinned, *command]


@contextmanager
def running(line: Sequence[str]) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a program while the block lasts."""
    with subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as program:
        try:
            yield program
        finally:
            _end(program)


@contextmanager
def serving(line: Sequence[str], protocol: str) -> Iterator[int]:
    """Run a server that listens on `PORT` while the block lasts; give its pid.

    Raises:
        EdgeError: it does not listen in time.
    """
    with running(line) as server:
        deadline_s = time.monotonic() + START_DEADLINE_S
        while not _is_listening(server.pid, protocol):
            if server.poll() is not None or time.monotonic() > deadline_s:
                raise EdgeError(f"{' '.join(line)}: does not listen on {protocol} port {PORT}")
            time.sleep(_POLL_S)
        yield server.pid


def answer_of(line: Sequence[str], seconds: float) -> str:
    """Run a client of about `seconds` to its end; return what it printed.

    Raises:
        EdgeError: it failed, or did not end; the text has what it said.
    """
    try:
        done = subprocess.run(line, capture_output=True, text=True, timeout=seconds + SPARE_S, check=False)
    except subprocess.TimeoutExpired as late:
        raise EdgeError(f"{' '.join(line)}: no end after {late.timeout:.0f} seconds") from late
    if done.returncode:
        raise EdgeError(f"{' '.join(line)}: {done.stdout[-1000:]}{done.stderr[-1000:]}")
    return done.stdout


def last_core() -> int:
    """Give the core for pinned loads: the last one, as interrupts and odd jobs tend to the first."""
    return max(os.sched_getaffinity(0))


def _is_listening(pid: int, protocol: str) -> bool:
    """Look for the port among the sockets of the namespace: lines of `slot: address:port peer:port state ...`."""
    process = Path(f"/proc/{pid}")
    if (process / "ns/net").samefile("/proc/self/ns/net"):
        return False  # nsenter has not entered yet
    tables = (process / "net" / f"{protocol}{version}" for version in ("", "6"))
    sockets = (line.split() for each in tables if each.exists() for line in each.read_text().splitlines()[1:])
    return any(fields[1].endswith(f":{PORT:04X}") and fields[3] == _LISTENING[protocol] for fields in sockets)


def _end(program: "subprocess.Popen[bytes]") -> None:
    program.terminate()
    try:
        program.wait(END_DEADLINE_S)
    except subprocess.TimeoutExpired:
        program.kill()
