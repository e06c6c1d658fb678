"""The main job, shown: a cluster, a network, two containers on two hosts, one ping by name.

Every command is printed as one would type it, with what it prints. A second run finds what is there and goes on.
"""

import shlex
import subprocess
import sys
import time
from dataclasses import dataclass

from isthmus.lab import cli, cluster, holder, power, state
from isthmus.lab.topology import DEFAULT_NAME, machine

_TICK_S = 1.0
_BOLD, _PLAIN = "\x1b[1m", "\x1b[0m"

NEXT = """
Both containers are still running. What to try next:
  .venv/bin/isthmus lab ssh node1          a shell on the first host: docker, netctl, tcpdump are there
  netctl tenant create blue                on it: a second tenant may use the same names and addresses
  docs/tutorial/                           the whole tour, chapter by chapter
  .venv/bin/isthmus lab status             what runs where
  .venv/bin/isthmus lab down               the end: nothing of it is left
"""


@dataclass(frozen=True, slots=True)
class Act:
    """A command on a node; where `unless` succeeds there already, `instead` is run, if there is anything to run."""

    node: str
    command: str
    unless: str = ""
    instead: str = ""


ACTS = (
    Act("node1", "netctl net create --subnet=10.1.2.0/24 contiv-net", "netctl net inspect contiv-net"),
    Act("node1", "netctl net ls"),
    Act("node1", "docker network ls"),
    Act(
        "node1",
        "docker run -itd --name=contiv-c1 --net=contiv-net alpine /bin/sh",
        "docker container inspect contiv-c1",
        "docker start contiv-c1",
    ),
    Act(
        "node2",
        "docker run -itd --name=contiv-c2 --net=contiv-net alpine /bin/sh",
        "docker container inspect contiv-c2",
        "docker start contiv-c2",
    ),
    Act("node2", "docker ps"),
    Act("node2", "docker exec contiv-c2 ping -c 3 contiv-c1"),
)


def main() -> int:
    """Run the demonstration; the exit code is that of the first command that failed, else 0."""
    _echo("$", "isthmus lab up")
    code = cli.main(["lab", "up"])
    for act in ACTS:
        code = code or _perform(act)
    if code:
        print(
            "\nThe demonstration stopped there. 'isthmus lab logs NODE' shows what the programs wrote.", file=sys.stderr
        )
        return code
    print(NEXT)
    return 0


def _perform(act: Act) -> int:
    prompt = f"tutorial-{act.node}$"
    if act.unless and _run(act.node, act.unless, is_shown=False) == 0:
        print(f"\n({act.command.split()[0]}: done by an earlier run)")
        return _perform(Act(act.node, act.instead)) if act.instead else 0
    _echo(prompt, act.command)
    return _run(act.node, act.command, is_shown=True)


def _echo(prompt: str, command: str) -> None:
    bold, plain = (_BOLD, _PLAIN) if sys.stdout.isatty() else ("", "")
    print(f"\n{prompt} {bold}{command}{plain}", flush=True)


def _run(node: str, command: str, *, is_shown: bool) -> int:
    lab = state.existing(DEFAULT_NAME)
    of = machine(lab, node)
    line = holder.enter(cluster.host(lab, of), power.inside(lab, of, shlex.split(command)))
    output = None if is_shown else subprocess.DEVNULL
    with subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=output, stderr=output) as running:
        return _watched(running)


def _watched(running: "subprocess.Popen[bytes]") -> int:
    """Wait for a command; tell on standard error that it is still under way."""
    started_s = time.monotonic()
    while True:
        try:
            return running.wait(_TICK_S)
        except subprocess.TimeoutExpired:
            print(f"   ... {time.monotonic() - started_s:.0f} s", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
