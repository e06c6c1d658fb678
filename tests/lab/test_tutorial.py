"""The tutorial, done: every command of docs/tutorial typed in its order in a new lab, every output compared."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pexpect
import pytest

from isthmus.lab import cluster, state
from isthmus.lab.topology import DEFAULT_NAME
from tests.lab.transcript import MACHINE, Step, difference, steps

ROOT = Path(__file__).parents[2]
CHAPTERS = sorted((ROOT / "docs/tutorial").glob("[0-9][0-9]-*.md"))
DEADLINE_S = 60
WIDE_ENOUGH = (200, 250)  # rows and columns: no line is broken
CONTAINER_PROMPT = "/ # "
OPENS_TERMINAL = "isthmus lab ssh "

# The tutorial of Contiv, whose commands these are: set-up, chapters 1 to 4 without Docker's overlay. What has
# changed since is `vagrant`, etcdctl's word for health, and that one is root here, without sudo.
COMMANDS = (
    ("machine", "isthmus lab up"),
    ("machine", "isthmus lab ssh node1"),
    ("node1", "docker info"),
    ("node1", "etcdctl endpoint health --cluster"),
    ("node1", "ifconfig docker0"),
    ("node1", "ifconfig eth1"),
    ("node1", "ifconfig eth0"),
    ("node1", "netctl version"),
    ("node1", "docker network ls"),
    ("node1", "docker run -itd --name=vanilla-c alpine /bin/sh"),
    ("node1", "ifconfig"),
    ("node1", "docker network inspect bridge"),
    ("node1", "docker inspect --format '{{.NetworkSettings.IPAddress}}' vanilla-c"),
    ("node1", "docker exec -it vanilla-c /bin/sh"),
    ("node1", "ifconfig eth0"),
    ("node1", "exit"),
    ("node1", "iptables -t nat -L -n"),
    ("node1", "netctl net create --subnet=10.1.2.0/24 contiv-net"),
    ("node1", "netctl net ls"),
    ("node1", "docker network ls"),
    ("node1", "docker network inspect contiv-net"),
    ("node1", "docker run -itd --name=contiv-c1 --net=contiv-net alpine /bin/sh"),
    ("machine", "isthmus lab ssh node2"),
    ("node2", "docker run -itd --name=contiv-c2 --net=contiv-net alpine /bin/sh"),
    ("node2", "docker ps"),
    ("node2", "docker exec -it contiv-c2 /bin/sh"),
    ("node2", "ping contiv-c1"),
    ("node2", "exit"),
    ("node1", "netctl tenant create blue"),
    ("node1", "netctl tenant ls"),
    ("node1", "netctl net create -t blue --subnet=10.1.2.0/24 contiv-net"),
    ("node1", "netctl net ls -t blue"),
    ("node1", "docker run -itd --name=contiv-blue-c1 --net=contiv-net/blue alpine /bin/sh"),
    ("node1", "docker ps"),
    ("node2", "docker run -itd --name=contiv-blue-c2 --net=contiv-net/blue alpine /bin/sh"),
    ("node2", "docker run -itd --name=contiv-blue-c3 --net=contiv-net/blue alpine /bin/sh"),
    ("node2", "docker ps"),
    ("node2", "docker network inspect contiv-net/blue"),
    ("node2", "docker exec -it contiv-blue-c3 /bin/sh"),
    ("node2", "ping contiv-blue-c1"),
    ("node2", "ping contiv-blue-c2"),
    ("node2", "exit"),
    ("node1", "docker exec -it contiv-c1 /bin/sh"),
    ("node1", "ifconfig -a"),
    ("node1", "ping contiv.com"),
    ("node1", "exit"),
    ("node1", "nc -vw 1 localhost 9099"),
    ("node1", "docker run -itd -p 9099:9099 --name=contiv-exposed --net=contiv-net alpine /bin/sh"),
    ("node1", "nc -vw 1 localhost 9099"),
    ("node1", "iptables -t nat -L -n"),
    ("node1", "netctl net create -p 112 -e vlan -s 10.1.3.0/24 contiv-vlan"),
    ("node1", "netctl net ls"),
    ("node1", "docker run -itd --name=contiv-vlan-c1 --net=contiv-vlan alpine /bin/sh"),
    ("node2", "docker run -itd --name=contiv-vlan-c2 --net=contiv-vlan alpine /bin/sh"),
    ("node2", "docker exec -it contiv-vlan-c2 /bin/sh"),
    ("node2", "ping contiv-vlan-c1"),
    ("node1", "tcpdump -e -i eth2 icmp"),
)


class Terminal:
    """A shell on a node, typed into."""

    def __init__(self, lab: str, node: str) -> None:
        self._prompts = [f"root@{lab}-{node}:~# ", CONTAINER_PROMPT]
        self._shell: pexpect.spawn[str] = pexpect.spawn(
            sys.executable,
            ["-m", "isthmus.lab", "lab", "ssh", "--name", lab, node],
            env=os.environ | {"TERM": "dumb"},
            dimensions=WIDE_ENOUGH,
            timeout=DEADLINE_S,
            encoding="utf-8",
        )
        self._shell.expect_exact(self._prompts)

    def type(self, step: Step) -> list[str]:
        """Type a command, and its ^C when all above that is printed; give what is printed up to the next prompt."""
        self._shell.sendline(step.command)
        # A shell in a container draws its prompt again when it learns its window's size: what stands before is that.
        self._shell.expect_exact(f"{step.command}\r\n")
        printed = self._until_interrupt(step) if step.is_interrupted else ""
        if not printed.endswith(CONTAINER_PROMPT):
            self._shell.expect_exact(self._prompts)
            printed += self._shell.before or ""
        return printed.removesuffix(CONTAINER_PROMPT).replace("\r\n", "\n").rstrip().splitlines()

    def close(self) -> None:
        self._shell.close(force=True)

    def _until_interrupt(self, step: Step) -> str:
        printed = ""
        for _ in range(step.lines_before_interrupt):
            came_back = self._shell.expect_exact(["\r\n", CONTAINER_PROMPT])
            printed += f"{self._shell.before}{self._shell.after}"
            if came_back:
                return printed
        self._shell.sendintr()
        return printed


class Tour:
    """A lab of its own, not there before `isthmus lab up` is typed, and a terminal for each node."""

    def __init__(self, lab: str) -> None:
        self.lab = lab
        self._terminals: dict[str, Terminal] = {}

    def printed(self, step: Step) -> list[str]:
        """Do a step; give the lines it prints, as they would be in a lab of the usual name."""
        try:
            lines = self._on_machine(step.command) if step.place == MACHINE else self._terminals[step.place].type(step)
        except (pexpect.TIMEOUT, pexpect.EOF) as failure:
            raise AssertionError(f"{step}\nno prompt came back:\n{failure}") from failure
        return [line.replace(f"--name {self.lab} ", "").replace(self.lab, DEFAULT_NAME) for line in lines]

    def close(self) -> None:
        for terminal in self._terminals.values():
            terminal.close()
        with state.locked(self.lab):
            cluster.down(self.lab)

    def _on_machine(self, command: str) -> list[str]:
        program, area, verb, *rest = command.split()
        assert (program, area) == ("isthmus", "lab"), command
        if command.startswith(OPENS_TERMINAL):
            self._terminals[rest[0]] = Terminal(self.lab, rest[0])
            return []
        words = [sys.executable, "-m", "isthmus.lab", "lab", verb, "--name", self.lab, *rest]
        done = subprocess.run(words, capture_output=True, text=True, timeout=2 * DEADLINE_S, check=False)
        return (done.stderr + done.stdout).rstrip().splitlines()


@contextmanager
def tour(name: str) -> Iterator[Tour]:
    """Give a tour, and leave nothing of it."""
    here = Tour(name)
    try:
        yield here
    finally:
        here.close()


def transcript() -> list[Step]:
    """Give every step of every chapter."""
    return [step for path in CHAPTERS for step in steps(str(path.relative_to(ROOT)), path.read_text(encoding="utf-8"))]


def differences(here: Tour, every: Sequence[Step]) -> str:
    """Do the steps in order; give all differences, each with what was printed before it was normalised."""
    found: list[str] = []
    for step in every:
        printed = here.printed(step)
        if text := difference(step, printed):
            found.append("\n".join([text, "All that is printed:", *printed]))
    return "\n\n".join(found)


def test_the_commands_are_those_of_contivs_tutorial_in_its_order() -> None:
    typed = iter([(step.place, step.command) for step in transcript()])
    missing = [command for command in COMMANDS if command not in typed]  # `in` goes on where the last one was found
    assert not missing


@pytest.mark.root
@pytest.mark.lab
@pytest.mark.timeout(600)
def test_every_command_prints_what_stands_there_and_an_edited_line_is_found() -> None:
    every = transcript()
    with tour(f"tour-{os.getpid()}") as here:
        assert not (found := differences(here, every)), found
        number, edited = with_another_subnet(every)
        assert differences(here, [edited]).startswith(f"{edited.path}:{number}: here it begins to differ\n")


def with_another_subnet(every: Sequence[Step]) -> tuple[int, Step]:
    """Give the step that lists the networks of blue, its last line edited, and that line's number."""
    step = next(step for step in every if step.command == "netctl net ls -t blue")
    *kept, last = step.expected
    assert "10.1.2.0/24" in last.text
    return last.number, replace(step, expected=(*kept, replace(last, text=last.text.replace("10.1.2.0", "10.1.3.0"))))
