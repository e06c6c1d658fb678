"""netctl's words and the cluster's names, completed on TAB in a real bash and a real zsh."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pexpect
import pytest

if TYPE_CHECKING:
    from tests.netmaster.conftest import Master

pytestmark = pytest.mark.root

PROMPT = "READY> "
SHELLS = {  # its options, and what makes its line editor simple
    "bash": ("--norc --noprofile -i", ("bind 'set enable-bracketed-paste off'", "bind 'set bell-style none'")),
    "zsh": (
        "-f -i",
        (
            "unset zle_bracketed_paste; unsetopt prompt_sp prompt_cr beep; bindkey -e",
            "autoload -Uz compinit && compinit -u -D",
        ),
    ),
}
START, END, TAB = "\x01", "\x05", "\t"


class Shell:
    """A shell at a terminal, with netctl's completion."""

    def __init__(self, name: str, url: str, folder: Path) -> None:
        options, settings = SHELLS[name]
        own = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PS1": PROMPT}
        place = {"NETMASTER": url, "TERM": "dumb", "HOME": str(folder), "LANG": "C.UTF-8"}
        self._child: pexpect.spawn[str] = pexpect.spawn(
            name,
            options.split(),
            env={**own, **place},
            encoding="utf-8",
            timeout=60,
            dimensions=(24, 300),
            cwd=str(folder),
        )
        self._child.expect_exact(PROMPT)
        for line in (*settings, f"source <(netctl completion {name})"):
            self._child.sendline(line)
            self._child.expect_exact(PROMPT)

    def completed(self, typed: str) -> str:
        """What stands on the line after TAB: an echo put before it tells, in place of the command."""
        self._child.send(f"{typed}{TAB}{START}echo G''OT {END}\n")
        self._child.expect(r"[\r\n]GOT ([^\r]*)\r")
        found = self._child.match
        assert isinstance(found, re.Match)
        self._child.expect_exact(PROMPT)
        return str(found.group(1))

    def close(self) -> None:
        self._child.close(force=True)


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest, master: Master, tmp_path: Path) -> Iterator[Shell]:
    """A shell that asks a netmaster with some objects in it."""
    for tenant in ("blue", "red"):
        assert master.post_tenant(tenant).status == 200
    assert master.post_network("default:front-net", "10.1.0.0/16").status == 200
    assert master.post_network("blue:sky", "10.1.0.0/16").status == 200
    policy = {"tenantName": "blue", "policyName": "web"}
    assert master.post("policys", "blue:web", **policy).status == 200
    assert master.post("rules", "blue:web:17", **policy, ruleId="17", direction="in").status == 200
    (tmp_path / "cluster.yaml").touch()
    made = Shell(request.param, master.url, tmp_path)
    yield made
    made.close()


LINES = {  # typed before TAB: what it becomes
    "netctl tena": "netctl tenant",
    "netctl app-profile group-li": "netctl app-profile group-list",
    "netctl net rm fr": "netctl net rm front-net",
    "netctl net rm -t blue ": "netctl net rm -t blue sky",
    "netctl net rm --tenant=bl": "netctl net rm --tenant=blue",
    "netctl net rm --tenant=blue ": "netctl net rm --tenant=blue sky",
    "netctl policy rule-rm -t blue web ": "netctl policy rule-rm -t blue web 17",
    "netctl net create --subnetv": "netctl net create --subnetv6",
    "netctl group create -t blue sky g --poli": "netctl group create -t blue sky g --policy",
    "netctl group create -t blue sky g --policy ": "netctl group create -t blue sky g --policy web",
    "netctl apply -f clu": "netctl apply -f cluster.yaml",
    "netctl net rm nothing-of-this": "netctl net rm nothing-of-this",
}


def test_lines_are_completed(shell: Shell) -> None:
    assert {typed: shell.completed(typed) for typed in LINES} == LINES
