"""The kernel's own accounts: packets and connections of a network namespace, CPU time of processes."""

import time
from pathlib import Path

_FILES = {"Tcp": "snmp", "Udp": "snmp", "IpExt": "netstat"}


def count(pid: int, protocol: str, name: str) -> int:
    """Give a counter, as `Udp` `InDatagrams`, of the network namespace that `pid` is in.

    The file has lines in pairs: the names of a protocol's counters, then their values.
    """
    lines = Path(f"/proc/{pid}/net/{_FILES[protocol]}").read_text().splitlines()
    names, values = (line.split() for line in lines if line.startswith(f"{protocol}:"))
    return int(dict(zip(names, values, strict=True))[name])


def cpu_s(pid: int) -> float:
    """Give the CPU time that a process has used so far, its packets' way through the kernel included."""
    clock = ~pid << 3 | 2  # the kernel's number for it: clock_getcpuclockid(3)
    return time.clock_gettime(clock)


def softirq_thread(core: int) -> int:
    """Give the pid of the kernel's thread that takes over a core's packets when there are many."""
    wanted = f"ksoftirqd/{core}\n"
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and _comm(entry) == wanted:
            return int(entry.name)
    raise LookupError(wanted)


def _comm(entry: Path) -> str:
    try:
        return (entry / "comm").read_text()
    except OSError:  # it has ended
        return ""
