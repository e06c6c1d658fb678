"""A lab for Python programs: up while a `with` block lasts, its nodes asked to run commands."""

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from isthmus.lab import cluster, fabric, holder, power, programs, state
from isthmus.lab.topology import Lab, Machine, checked, link, machine, nodes

RUN_DEADLINE_S = 60.0


@dataclass(frozen=True, slots=True)
class RunningNode:
    """One machine of a running lab."""

    lab: Lab
    machine: Machine

    @property
    def name(self) -> str:
        """The host name, as in `tutorial-node1`."""
        return self.machine.hostname

    @property
    def pid(self) -> int:
        """The first process, for /proc/PID/ns and /proc/PID/root."""
        return cluster.host(self.lab, self.machine).pid

    def command(self, words: str | Sequence[str]) -> list[str]:
        """Give the command line that, run here, runs `words` on the node; a text is for its shell."""
        inner = ["sh", "-c", words] if isinstance(words, str) else list(words)
        return holder.enter(cluster.host(self.lab, self.machine), power.inside(self.lab, self.machine, inner))

    def run(
        self, words: str | Sequence[str], *, text: str = "", timeout_s: float = RUN_DEADLINE_S
    ) -> subprocess.CompletedProcess[str]:
        """Run a command on the node with `text` as its input, to its end; a failure is the caller's to see.

        Raises:
            subprocess.TimeoutExpired: it took longer than `timeout_s`.
        """
        line = self.command(words)
        return subprocess.run(line, input=text, capture_output=True, text=True, timeout=timeout_s, check=False)

    def output(self, words: str | Sequence[str], *, text: str = "", timeout_s: float = RUN_DEADLINE_S) -> str:
        """Run a command that must succeed; return what it printed, without the last line's end.

        Raises:
            AssertionError: it failed; the text has all that it said.
        """
        done = self.run(words, text=text, timeout_s=timeout_s)
        if done.returncode != 0:
            raise AssertionError(f"{self.name}: {words!r} gave {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout.rstrip("\n")

    def start(self, program: str) -> None:
        """Start a program and wait until it is ready; but no etcd for others that do not run."""
        cluster.start_program(self.lab, self.machine, program, _silent)

    def stop(self, program: str) -> None:
        """End a program with SIGTERM."""
        power.stop(cluster.host(self.lab, self.machine), programs.named(self.lab, self.machine, program))

    def kill(self, program: str) -> None:
        """End a program with SIGKILL; it stays dead until it is started."""
        power.kill(cluster.host(self.lab, self.machine), programs.named(self.lab, self.machine, program))

    def turn_on(self) -> None:
        """Turn the node on and start its programs."""
        cluster.start_machine(self.lab, self.machine, _silent)

    def turn_off(self) -> None:
        """Shut the node down, its programs first."""
        cluster.stop_machine(self.lab, self.machine, _silent)

    def pull_power(self) -> None:
        """Kill the node with everything in it."""
        cluster.kill_machine(self.lab, self.machine)

    def cut(self, interface: str) -> None:
        """Pull the cable out of an interface."""
        fabric.cut(self.lab, cluster.switches(self.lab), link(self.machine, interface))

    def heal(self, interface: str) -> None:
        """Put the cable back."""
        fabric.heal(self.lab, cluster.switches(self.lab), link(self.machine, interface))

    def log(self, program: str) -> str:
        """Give what a program has written so far."""
        path = state.log_file(self.lab, self.machine, program)
        return path.read_text(errors="replace") if path.exists() else ""


@dataclass(frozen=True, slots=True)
class RunningLab:
    """A lab that is up."""

    lab: Lab

    @property
    def name(self) -> str:
        return self.lab.name

    def node(self, name: str) -> RunningNode:
        """Give a machine by its short name or its host name.

        Raises:
            NotFoundError: the lab has no such machine.
        """
        return RunningNode(self.lab, machine(self.lab, name))

    @property
    def nodes(self) -> tuple[RunningNode, ...]:
        """The cluster's nodes, node1 first."""
        return tuple(RunningNode(self.lab, each) for each in nodes(self.lab))


@contextmanager
def running(lab: Lab) -> Iterator[RunningLab]:
    """Bring a lab up, and remove it at the end of the block, however that comes."""
    checked(lab)
    try:
        with state.locked(lab.name):
            cluster.up(lab, _silent)
        yield RunningLab(lab)
    finally:
        with state.locked(lab.name):
            cluster.down(lab.name)


def _silent(_machine: Machine, _what: str) -> None:
    """Tell nobody of progress."""
