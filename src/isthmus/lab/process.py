"""Processes that are surely the ones we started: a pid together with its start time."""

from dataclasses import dataclass
from pathlib import Path

_STATE_FIELD = 0  # of /proc/PID/stat after the parenthesised name, which may hold spaces
_START_TIME_FIELD = 19


@dataclass(frozen=True, slots=True)
class Process:
    """A process, told from a later one of the same pid by its start time, in clock ticks since boot."""

    pid: int
    start_time: int

    @property
    def root(self) -> Path:
        """The file system that the process sees, seen from here."""
        return Path(f"/proc/{self.pid}/root")


def parse_stat(stat: str) -> Process:
    """Read a line of /proc/PID/stat.

    Raises:
        ValueError: it is not such a line.
    """
    head, _, tail = stat.rpartition(")")
    fields = tail.split()
    if len(fields) <= _START_TIME_FIELD:
        raise ValueError(f"not a line of /proc/PID/stat: {stat!r}")
    return Process(int(head.split()[0]), int(fields[_START_TIME_FIELD]))


def is_alive(process: Process, proc: Path = Path("/proc")) -> bool:
    """Say whether that very process still runs; `proc` is the procfs in whose numbers its pid counts."""
    try:
        stat = (proc / str(process.pid) / "stat").read_text()
        return parse_stat(stat) == process and stat.rpartition(")")[2].split()[_STATE_FIELD] not in "ZX"
    except (OSError, ValueError):
        return False
