"""Every verb of netctl against a real netmaster, as the files in transcripts/ have it.

A line that begins with `$ ` is a command, one with `# ` a remark, and what follows a command is what it printed on
stdout, then on stderr, and its exit code if it is not 0.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from isthmus.core.model import EngineState, Node, NodeLease, NodeName
from isthmus.edge.store import Put, Store
from isthmus.netctl.__main__ import ROOT
from isthmus.wire import keys

if TYPE_CHECKING:
    from tests.netmaster.conftest import Master

FOLDER = Path(__file__).parent / "transcripts"
TRANSCRIPTS = {path.stem: path.read_text() for path in sorted(FOLDER.glob("*.txt"))}

_TIME = re.compile(r'^time="[^"]*"', re.MULTILINE)


def played(text: str, master: Master) -> str:
    """The transcript, with what its commands print now."""
    return "".join(_played(text, master))


def _played(text: str, master: Master) -> Iterator[str]:
    for line in text.splitlines(keepends=True):
        if line.startswith("# "):
            yield line
        elif line.startswith("$ netctl "):
            yield line
            yield _printed(shlex.split(line)[2:], master)


def _printed(words: list[str], master: Master) -> str:
    environment = os.environ | {"NETMASTER": master.url}
    command = [sys.executable, "-m", "isthmus.netctl", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)
    code = f"exit code {done.returncode}\n" if done.returncode else ""
    return done.stdout + _TIME.sub('time="..."', done.stderr) + code


@pytest.fixture
async def quick_node(store: Store) -> None:
    """A node that holds every change at once."""
    node = Node(NodeName("node1"), IPv4Address("192.168.2.10"), "0.1.0", EngineState.READY, applied_revision=1 << 40)
    records = (node, NodeLease(node.name, "host1"))
    await store.commit((), [Put(keys.key_of(each), keys.render(each)) for each in records])


@pytest.mark.root
@pytest.mark.usefixtures("quick_node")
@pytest.mark.parametrize("name", TRANSCRIPTS)
def test_netctl_prints_what_the_transcript_says(name: str, master: Master) -> None:
    assert played(TRANSCRIPTS[name], master) == TRANSCRIPTS[name]


def test_every_verb_stands_in_a_transcript() -> None:
    told = {tuple(line.split()[2:4]) for text in TRANSCRIPTS.values() for line in text.splitlines() if line[:2] == "$ "}
    missing = [
        (group.names[0], command.names[0])
        for group in ROOT.subcommands
        for command in group.subcommands
        if not any((first, second) in told for first in group.names for second in command.names)
    ]
    assert missing == []
