"""The command line of `isthmus lab`, run as an operator runs it."""

import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from isthmus.lab import state
from isthmus.lab.cli import main
from isthmus.lab.running import RunningLab, running
from isthmus.lab.topology import Lab

pytestmark = [pytest.mark.root, pytest.mark.lab]


@pytest.fixture(scope="module")
def small() -> Iterator[RunningLab]:
    """One node, etcd only."""
    with running(Lab(f"cmd-{os.getpid()}", nodes=1, only=("internet", "etcd"))) as up:
        yield up


def isthmus(*words: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run `isthmus lab VERB ...`."""
    command = [sys.executable, "-m", "isthmus.lab", "lab", *words]
    return subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, check=False)


def test_exec_passes_the_exit_code_and_standard_input(small: RunningLab) -> None:
    done = isthmus("exec", "--name", small.name, "node1", "--", "sh", "-c", "cat; hostname; exit 7", text="hello\n")
    assert (done.returncode, done.stdout) == (7, f"hello\n{small.name}-node1\n")


def test_exec_gives_the_command_its_own_options(small: RunningLab) -> None:
    assert isthmus("exec", "--name", small.name, "node1", "--", "echo", "--name", "-f").stdout == "--name -f\n"


def test_exec_of_what_is_not_there_is_127(small: RunningLab) -> None:
    assert isthmus("exec", "--name", small.name, "node1", "--", "no-such-thing").returncode == 127


def test_exec_reaches_the_outside(small: RunningLab) -> None:
    done = isthmus("exec", "--name", small.name, "outside", "--", "ping", "-c", "1", "-W", "2", "10.0.2.15")
    assert done.returncode == 0


def test_a_command_ends_with_its_exec(small: RunningLab) -> None:
    command = [sys.executable, "-m", "isthmus.lab", "lab", "exec", "--name", small.name, "node1", "--"]
    with subprocess.Popen([*command, "sh", "-c", "echo on; exec sleep 4321"], stdout=subprocess.PIPE) as started:
        assert started.stdout is not None
        assert started.stdout.readline() == b"on\n"
        started.send_signal(signal.SIGKILL)
    deadline_s = time.monotonic() + 10
    while small.node("node1").run("pgrep -f 'sleep 432[1]'").returncode == 0:
        assert time.monotonic() < deadline_s
        time.sleep(0.05)


def test_ssh_is_a_shell_on_our_terminal(small: RunningLab) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "isthmus.lab", "lab", "ssh", "--name", small.name, "node1"]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True) as shell:
        os.close(theirs)
        os.write(ours, b"tty && echo host-$(hostname)\nexit 5\n")
        shown = _read_all(ours)
        assert shell.wait(10) == 5
    os.close(ours)
    assert f"host-{small.name}-node1" in shown
    assert "/dev/pts/" in shown


def _read_all(terminal: int) -> str:
    shown = b""
    while True:
        try:
            part = os.read(terminal, 4096)
        except OSError:  # the other side has closed
            return shown.decode()
        if not part:
            return shown.decode()
        shown += part


def test_status_shows_every_program(small: RunningLab) -> None:
    done = isthmus("status", "--name", small.name)
    assert done.returncode == 0
    assert f"{small.name}-node1" in done.stdout
    assert "192.168.2.10" in done.stdout
    assert "etcd ready" in done.stdout


def test_a_second_up_changes_nothing(small: RunningLab) -> None:
    before = small.node("node1").pid
    done = isthmus("up", "--name", small.name)
    assert (done.returncode, done.stdout) == (0, f"lab '{small.name}' is up already\n")
    assert small.node("node1").pid == before


def test_a_second_up_starts_what_is_dead(small: RunningLab) -> None:
    assert isthmus("kill", "--name", small.name, "node1", "etcd").returncode == 0
    stopped = isthmus("status", "--name", small.name)
    assert (stopped.returncode, "etcd stopped" in stopped.stdout) == (1, True)
    assert isthmus("up", "--name", small.name).returncode == 0
    assert isthmus("status", "--name", small.name).returncode == 0


def test_what_is_off_is_named_with_the_command_that_starts_it(small: RunningLab) -> None:
    assert isthmus("stop", "--name", small.name, "outside").returncode == 0
    refused = isthmus("exec", "--name", small.name, "outside", "--", "true")
    assert refused.returncode == 1
    _, command, _ = refused.stderr.split("'")
    assert isthmus(*command.removeprefix("isthmus lab ").split()).returncode == 0
    assert isthmus("exec", "--name", small.name, "outside", "--", "true").returncode == 0


def test_restart_gives_a_new_process(small: RunningLab) -> None:
    before = small.node("node1").output("pgrep -x etcd")
    assert isthmus("restart", "--name", small.name, "node1", "etcd").returncode == 0
    assert small.node("node1").output("pgrep -x etcd") != before


def test_logs_are_shown_by_program(small: RunningLab) -> None:
    assert "etcd" in isthmus("logs", "--name", small.name, "node1", "etcd", "-n", "5").stdout


def test_capture_writes_a_file_of_ours(small: RunningLab, tmp_path: Path) -> None:
    saved = tmp_path / "saved.pcap"
    command = [sys.executable, "-m", "isthmus.lab", "lab", "capture", "--name", small.name, "node1", "eth0"]
    with subprocess.Popen([*command, "-w", str(saved), "-c", "2", "icmp"], stderr=subprocess.PIPE) as tcpdump:
        assert tcpdump.stderr is not None
        while b"listening" not in tcpdump.stderr.readline():
            assert tcpdump.poll() is None
        small.node("node1").output("ping -c 1 -W 2 10.0.2.2")
        tcpdump.stderr.read()
    assert saved.stat().st_size > 2 * 84


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("exec", "node9", "--", "true"), "no node 'node9'; it has: fabric, outside, node1"),
        (("exec", "node1"), "what should run on the node"),
        (("cut", "node1", "eth9"), "no cable in 'eth9'; it has: eth0, eth1, eth2"),
        (("kill", "node1", "sshd"), "no program 'sshd'; it has: etcd"),
        (("stop", "fabric"), "choose one of: outside, node1"),
        (("capture", "node1", "eth9"), "no interface 'eth9'; it has: eth0, eth1, eth2, lo"),
        (("up", "--nodes", "3"), "exists with --nodes 1"),
        (("up", "--only", "etcd,sshd"), "no program 'sshd'"),
    ],
)
def test_a_wrong_word_is_refused_with_the_choices(small: RunningLab, words: tuple[str, ...], why: str) -> None:
    verb, *rest = words
    done = isthmus(verb, "--name", small.name, *rest)
    assert (done.returncode, done.stdout) == (1, "")
    assert why in done.stderr
    assert done.stderr.startswith("isthmus: ")


def test_a_lab_that_is_not_there_is_refused_with_those_that_are(small: RunningLab) -> None:
    done = isthmus("status", "--name", "nobody")
    assert done.returncode == 1
    assert "no lab 'nobody'" in done.stderr
    assert small.name in done.stderr


def test_down_of_nothing_is_fine(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lab", "down", "--name", "nobody"]) == 0
    assert "nothing to do" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words", [("--nodes", "99"), ("--masters", "17"), ("--nodes", "2", "--masters", "3"), ("--only", "sshd")]
)
def test_a_refused_up_leaves_no_file(words: tuple[str, ...]) -> None:
    name = f"refused-{os.getpid()}"
    assert main(["lab", "up", "--name", name, *words]) == 1
    assert not (state.RUN / name).exists()
    assert not (state.DISK / name).exists()


def test_who_is_not_root_is_told_so() -> None:
    done = subprocess.run(
        ["unshare", "--user", sys.executable, "-m", "isthmus.lab", "lab", "status"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "only root may make" in done.stderr
