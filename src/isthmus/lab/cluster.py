"""A lab as a whole: brought up, taken down, looked at; its machines turned on and off."""

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from isthmus.core.errors import EdgeError, IsthmusError, NotFoundError
from isthmus.lab import fabric, holder, image, power, programs, state
from isthmus.lab.process import Process
from isthmus.lab.topology import GATEWAY, MAX_NODES, Lab, Machine, Role, etcd_members, hosts_file, machines

T = TypeVar("T")
Say = Callable[[Machine, str], None]  # what has just happened on a machine

GONE_DEADLINE_S = 10.0

_NEEDED = ("busybox", "containerd", "etcd", "ip", "nft", "nsenter", "setpriv", "setsid", "tcpdump", "unshare")
_WAITING = "etcd runs but waits for the other members"
_OF_A_MEMBER = {"etcd", "netplugin", "dockerd"}
_MODULES = ("br_netfilter", "overlay", "vxlan")
_CONTAINERD_CONFIG = """version = 2
oom_score = 0
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]
"""


@dataclass(frozen=True, slots=True)
class ProgramState:
    """What a look at a program showed."""

    name: str
    is_running: bool
    is_ready: bool


@dataclass(frozen=True, slots=True)
class MachineState:
    """What a look at a machine showed."""

    machine: Machine
    is_on: bool
    programs: tuple[ProgramState, ...]

    @property
    def is_ready(self) -> bool:
        return self.is_on and all(program.is_ready for program in self.programs)


def up(lab: Lab, say: Say) -> None:
    """Bring up whatever of the lab is not up; to be called with the lab locked.

    Raises:
        NotFoundError: a program is not installed.
        EdgeError: a machine, or a program on it, does not come up; the rest stays for inspection.
    """
    _check_installed(lab)
    state.save(lab)
    _load_modules()
    every = machines(lab)
    _clear(lab)
    _in_parallel(every, lambda machine: _turn_on(lab, machine, say))
    switches = host(lab, _fabric(lab))
    fabric.build(lab, switches)
    for machine in every:
        fabric.plug(lab, switches, machine, host(lab, machine))
    _in_parallel(every, lambda machine: _start_programs(lab, machine, say, is_alone=False))


def down(name: str) -> bool:
    """Remove the lab, whole or half made, and whatever is left of it; say whether there was anything.

    Raises:
        EdgeError: the kernel does not let go of a part of it.
    """
    found = (state.DISK / name).exists()
    deadline_s = time.monotonic() + GONE_DEADLINE_S
    while holders := list(holder.find_marked(name)):  # again: one may have been about to start another
        found = True
        # The inner ones first: the outer ones then reap them and end, and the kernel frees the namespaces at once.
        holder.kill([each for each in holders if holder.parent(each)] or holders)
        if time.monotonic() > deadline_s:
            raise EdgeError(f"the lab's first processes do not end: {', '.join(str(each.pid) for each in holders)}")
    state.erase(name)
    return found


def status(lab: Lab) -> list[MachineState]:
    """Look at every machine and ask every program whether it is ready."""
    return _in_parallel([each for each in machines(lab) if each.role is not Role.FABRIC], lambda each: _look(lab, each))


def start_machine(lab: Lab, machine: Machine, say: Say) -> None:
    """Turn a machine on, plug it in, and start its programs."""
    switches = host(lab, _fabric(lab))
    _clear(lab)
    _turn_on(lab, machine, say)
    fabric.plug(lab, switches, machine, host(lab, machine))
    _start_programs(lab, machine, say, is_alone=True)


def stop_machine(lab: Lab, machine: Machine, say: Say) -> None:
    """Shut a machine down: its programs in reverse order, then all the rest."""
    running = _read(lab, machine)
    if running is None:
        return
    for program in reversed(programs.on(lab, machine)):
        if power.stop(running, program):
            say(machine, f"{program.name} stopped")
    holder.kill([running])


def kill_machine(lab: Lab, machine: Machine) -> None:
    """Pull a machine's power."""
    running = _read(lab, machine)
    if running is not None:
        holder.kill([running])


def start_program(lab: Lab, machine: Machine, name: str, say: Say) -> None:
    """Start a program and wait until it is ready; but no etcd for members that do not run."""
    running, program = host(lab, machine), programs.named(lab, machine, name)
    power.start(lab, machine, running, program)
    if _can_be_ready(lab, program):
        power.in_network_of(running, lambda: power.await_ready(lab, machine, running, program))
    else:
        say(machine, _WAITING)


def host(lab: Lab, machine: Machine) -> Process:
    """Give the first process of a machine.

    Raises:
        NotFoundError: the machine is off.
    """
    return holder.existing(state.place(lab, machine))


def switches(lab: Lab) -> Process:
    """Give the first process of the fabric.

    Raises:
        NotFoundError: the lab is down.
    """
    return host(lab, _fabric(lab))


def _fabric(lab: Lab) -> Machine:
    return machines(lab)[0]


def _read(lab: Lab, machine: Machine) -> Process | None:
    return holder.read(state.place(lab, machine))


def _check_installed(lab: Lab) -> None:
    for needed in (lab.dockerd, *_NEEDED):
        if shutil.which(needed) is None:
            raise NotFoundError(f"'{needed}' is not installed or no program; 'make setup' installs what a lab needs")


def _clear(lab: Lab) -> None:
    """Kill machines that a command cut short left half made, and all of them if the switches are gone."""
    whole = [on for machine in machines(lab) if (on := _read(lab, machine)) is not None]
    if _read(lab, _fabric(lab)) is None:  # without its switches a running machine has lost its cables for good
        whole = []
    kept = {pid for each in whole for pid in (each.pid, holder.parent(each))}
    holder.kill([each for each in holder.find_marked(lab.name) if each.pid not in kept])


def _load_modules() -> None:
    """Load what containers need before a namespace takes its settings over; some kernels have it built in."""
    if shutil.which("modprobe") is not None:
        subprocess.run(["modprobe", "-q", "-a", *_MODULES], capture_output=True, check=False)


def _turn_on(lab: Lab, machine: Machine, say: Say) -> None:
    if _read(lab, machine) is None:
        place = state.place(lab, machine)
        _write_files(lab, machine, place.disk)
        place.record.parent.mkdir(parents=True, exist_ok=True)
        holder.start(place)
        say(machine, "on")


def _write_files(lab: Lab, machine: Machine, disk: Path) -> None:
    """Write what a machine's own /etc has over the computer's; an opaque directory hides the computer's whole."""
    etc = disk / "etc"
    for opaque in ("docker", "containerd"):
        (etc / opaque).mkdir(parents=True, exist_ok=True)
        os.setxattr(etc / opaque, "trusted.overlay.opaque", b"y")
    (etc / "hosts").write_text(hosts_file(lab))
    (etc / "hostname").write_text(f"{machine.hostname}\n")
    (etc / "resolv.conf").unlink(missing_ok=True)
    (etc / "resolv.conf").write_text(f"nameserver {GATEWAY}\n")
    (etc / "containerd/config.toml").write_text(_CONTAINERD_CONFIG)


def _start_programs(lab: Lab, machine: Machine, say: Say, *, is_alone: bool) -> None:
    """Start all programs of a machine; if it `is_alone`, nobody starts those of the others meanwhile."""
    running = host(lab, machine)

    def work() -> None:
        present = programs.on(lab, machine)
        for program in present:
            power.start(lab, machine, running, program)
        for program in present:
            if is_alone and not _can_be_ready(lab, program):
                say(machine, _WAITING)
                continue
            power.await_ready(lab, machine, running, program)
            say(machine, f"{program.name} ready")
        names = {program.name for program in present if _can_be_ready(lab, program)}
        if "dockerd" in names and image.ensure(running):
            say(machine, f"image {image.NAME} built")
        if names >= _OF_A_MEMBER:
            from isthmus.lab.member import await_member  # its parsers would slow down every other command's start

            await_member(lab, machine, running)
            say(machine, "in the cluster")

    power.in_network_of(running, work)


def _can_be_ready(lab: Lab, program: programs.Program) -> bool:
    """Say whether enough members of etcd run; all other programs need nobody for their first answer."""
    if program.name != "etcd":
        return True
    members = etcd_members(lab)
    hosts = [running for member in members if (running := _read(lab, member)) is not None]
    return 2 * sum(power.find(each, "etcd") is not None for each in hosts) > len(members)


def _look(lab: Lab, machine: Machine) -> MachineState:
    present = programs.on(lab, machine)
    running = _read(lab, machine)
    if running is None:
        off = tuple(ProgramState(program.name, is_running=False, is_ready=False) for program in present)
        return MachineState(machine, is_on=False, programs=off)

    def ask() -> tuple[ProgramState, ...]:
        return tuple(_look_at(running, program) for program in present)

    return MachineState(machine, is_on=True, programs=power.in_network_of(running, ask))


def _look_at(running: Process, program: programs.Program) -> ProgramState:
    is_running = power.find(running, program.name) is not None
    return ProgramState(program.name, is_running, is_running and program.is_ready(running))


def _in_parallel(every: Iterable[Machine], work: Callable[[Machine], T]) -> list[T]:
    """Call `work` for every machine at once; raise one error that tells of all that failed."""
    with ThreadPoolExecutor(max_workers=MAX_NODES + 2) as pool:
        tasks = [pool.submit(work, machine) for machine in every]
    failures = [failure for task in tasks if (failure := task.exception()) is not None]
    for failure in failures:
        if not isinstance(failure, (EdgeError, IsthmusError)):
            raise failure
    if failures:
        raise EdgeError("\n".join(str(failure) for failure in failures)) from failures[0]
    return [task.result() for task in tasks]
