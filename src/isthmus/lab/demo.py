"""The main job, shown: a cluster, a network, two containers on two hosts, one ping by name.

Every command is printed as one would type it, with what it prints. A second run finds what is there and goes on.
"""

import os
import selectors
import shlex
import subprocess
import sys
import time
from dataclasses import dataclass

from isthmus.lab import cli, state
from isthmus.lab.running import RunningLab
from isthmus.lab.topology import DEFAULT_NAME

_TICK_S = 1.2  # a little more than ping's second: what is printed is progress enough
_READ_BYTES = 65536
_BOLD, _PLAIN = "\x1b[1m", "\x1b[0m"
_ERASE_LINE = "\r\x1b[K"

_NEXT = """
Both containers are still running. What to try next:

  .venv/bin/isthmus lab ssh{option} node1
      a shell on the first host, with docker, netctl, tcpdump; for example
      netctl net inspect contiv-net       who is in the network, and where
      netctl tenant create blue           a second tenant may use the same names and addresses
  .venv/bin/isthmus lab status{option}
      what runs where
  .venv/bin/isthmus lab down{option}
      the end: nothing of it is left

The whole tour, chapter by chapter: docs/tutorial/README.md
"""
_STOPPED = """
The demonstration stopped there. What the programs on {node} wrote: .venv/bin/isthmus lab logs{option} {node}"""


@dataclass(frozen=True, slots=True)
class Act:
    """A command on a node; where `unless` succeeds there already, `instead` is run, if there is anything to run."""

    node: str
    command: str
    unless: str = ""
    instead: str = ""


def _container(node: str, name: str) -> Act:
    return Act(
        node,
        f"docker run -itd --name={name} --net=contiv-net alpine /bin/sh",
        unless=f"docker container inspect {name}",
        instead=f"docker start {name}",
    )


ACTS = (
    Act("node1", "netctl net create --subnet=10.1.2.0/24 contiv-net", unless="netctl net inspect contiv-net"),
    Act("node1", "netctl net ls"),
    Act("node1", "docker network ls"),
    _container("node1", "contiv-c1"),
    _container("node2", "contiv-c2"),
    Act("node2", "docker ps"),
    Act("node2", "docker exec contiv-c2 ping -c 3 contiv-c1"),
)


def main(name: str = DEFAULT_NAME) -> int:
    """Run the demonstration in the lab of this name; the exit code is that of the first command that failed, else 0."""
    option = "" if name == DEFAULT_NAME else f" --name {name}"
    _echo("$", f".venv/bin/isthmus lab up{option}")
    if code := cli.main(["lab", "up", "--name", name]):
        return code
    lab = RunningLab(state.existing(name))
    for act in ACTS:
        if code := _perform(lab, act):
            print(_STOPPED.format(node=act.node, option=option), file=sys.stderr)
            return code
    print(_NEXT.format(option=option))
    return 0


def _perform(lab: RunningLab, act: Act) -> int:
    node = lab.node(act.node)
    prompt = f"root@{node.name}:~#"
    _echo(prompt, act.command)
    if not act.unless or node.run(shlex.split(act.unless)).returncode:
        return _shown(node.command(shlex.split(act.command)))
    print("(an earlier run has done this)", flush=True)
    if not act.instead:
        return 0
    _echo(prompt, act.instead)
    return _shown(node.command(shlex.split(act.instead)))


def _echo(prompt: str, command: str) -> None:
    bold, plain = (_BOLD, _PLAIN) if sys.stdout.isatty() else ("", "")
    print(f"\n{prompt} {bold}{command}{plain}", flush=True)


def _shown(command: list[str]) -> int:
    """Run a command, its output and errors passed on as they come; give its exit code."""
    with (
        subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        ) as running,
        selectors.DefaultSelector() as ready,
    ):
        assert running.stdout is not None
        ready.register(running.stdout, selectors.EVENT_READ)
        _pass_on(ready, running.stdout.fileno())
    return running.returncode


def _pass_on(ready: selectors.BaseSelector, output: int) -> None:
    """Copy to standard output; tell, on standard error, that a command which is silent is still under way."""
    started_s, is_told = time.monotonic(), False
    while True:
        if not ready.select(_TICK_S):
            _tell(time.monotonic() - started_s)
            is_told = True
            continue
        chunk = os.read(output, _READ_BYTES)
        if is_told and sys.stderr.isatty():
            print(_ERASE_LINE, end="", file=sys.stderr, flush=True)
        is_told = False
        if not chunk:
            return
        sys.stdout.buffer.write(chunk)
        sys.stdout.flush()


def _tell(elapsed_s: float) -> None:
    before, after = (_ERASE_LINE, "") if sys.stderr.isatty() else ("", "\n")
    print(f"{before}   ... {elapsed_s:.0f} s", end=after, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
