"""Traffic between containers that must not notice what is done to the lab meanwhile."""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count

from tests.lab import stream
from tests.lab.probes import Container

PORT = 9001
END_DEADLINE_S = 60
_FLOOD = "until test -e {over}; do ping -q -i 0.002 -c 500 {target} || exit; done"
_serial = count()


@dataclass(frozen=True, slots=True)
class Flow:
    """What runs in a container's network: a flood of pings, or one end of a connection."""

    title: str
    process: "subprocess.Popen[str]"

    def finish(self) -> str:
        """Wait for its end; return what it said."""
        return f"{self.title}\n{self.process.communicate(timeout=END_DEADLINE_S)[0]}"

    def check_flood(self) -> None:
        """All of all rounds came back; there was one at least."""
        said = self.finish()
        assert said.count("500 packets transmitted, 500 received") == said.count("packets transmitted") > 0, said

    def check_stream(self) -> None:
        """All arrived, on the connection that was made at first."""
        said = self.finish()
        assert self.process.returncode == 0, said


@contextmanager
def flowing(source: Container, targets: Sequence[Container]) -> Iterator[None]:
    """Keep up traffic to each target by IPv4 and IPv6 as long as the block lasts, then check that all of it arrived.

    That is to each address a flood of pings, a connection in use, and one that is idle until the end.
    """
    over = f"/run/over-{next(_serial)}"
    floods, streams = [], []
    with ExitStack() as stack:
        for target, address in [(each, address) for each in targets for address in each.addresses()]:
            server = start(stack, target, "serve", address)
            stack.callback(server.process.terminate)
            streams += [start(stack, source, verb, address, over) for verb in ("busy", "idle")]
            floods.append(flood(stack, source, address, over))
        stack.callback(source.node.output, f"touch {over}")  # the first of these to be called, also if the block fails
        yield
        source.node.output(f"touch {over}")
        for each in floods:
            each.check_flood()
        for each in streams:
            each.check_stream()


def flood(stack: ExitStack, source: Container, address: str, over: str) -> Flow:
    """Ping from a container's network, in rounds of 500, until it is over."""
    line = source.inside(["sh", "-c", _FLOOD.format(target=address, over=over)])
    return Flow(f"flood from {source.name} to {address}", _open(stack, source, line))


def start(stack: ExitStack, container: Container, verb: str, address: str, *rest: str) -> Flow:
    """Run one end of a connection in a container's network; return when it listens or is connected.

    It is a process of the node, and not one of the engine's, which is killed too.
    """
    line = container.inside([sys.executable, "-P", stream.__file__, verb, address, str(PORT), *rest])
    flow = Flow(f"{verb} {address}", _open(stack, container, line))
    assert flow.process.stdout is not None
    said = flow.process.stdout.readline()
    assert said in {"listening\n", "connected\n"}, said + flow.finish()
    return flow


def _open(stack: ExitStack, container: Container, line: list[str]) -> "subprocess.Popen[str]":
    words = container.node.command(line)
    return stack.enter_context(subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True))
