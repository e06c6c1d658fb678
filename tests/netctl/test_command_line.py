"""What netctl does without a master: help, usage, and connections that fail."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from isthmus import __version__
from isthmus.netctl.__main__ import ROOT, run

NOBODY = "http://127.0.0.1:1"


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


Netctl = Callable[..., Done]


@pytest.fixture
def netctl(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Netctl:
    """Runs netctl with a master that is not there, or another."""
    monkeypatch.delenv("INSECURE", raising=False)

    def call(*words: str, master: str = NOBODY) -> Done:
        monkeypatch.setenv("NETMASTER", master)
        return Done(run(words), *capsys.readouterr())

    return call


@pytest.mark.parametrize(
    ("line", "first_line"),
    [
        ("", "netctl - Networks and tenants for containers"),
        ("help", "netctl - Networks"),
        ("-h", "netctl - Networks"),
        ("--help", "netctl - Networks"),
        ("net", "netctl net - Networks"),
        ("network", "netctl network - Networks"),
        ("net -h", "netctl net - Networks"),
        ("net help", "netctl net - Networks"),
        ("help net", "netctl net - Networks"),
        ("net help create", "netctl net create - Create a network"),
        ("net create --help", "netctl net create - Create a network"),
        ("net create foo -h", "netctl net create - Create a network"),
        ("tenant ls -help", "netctl tenant ls - List the tenants"),
        ("ep", "netctl ep - Endpoints"),
        ("policy rule-add -h", "netctl policy rule-add - Add a rule to a policy"),
        ("policy rule-list -h", "netctl policy rule-list - List the rules"),
        ("app-profile group-list -h", "netctl app-profile group-list - List the groups"),
        ("aci-gw set -h", "netctl aci-gw set - Refused: this system has no ACI"),
    ],
)
def test_help_is_where_it_is_looked_for(netctl: Netctl, line: str, first_line: str) -> None:
    done = netctl(*line.split())
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split("\n")[1].strip().startswith(first_line)


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("net create", "Network name required"),
        ("net create a b -s 10.1.1.0/24", "More arguments than required"),
        ("net create a", "Subnet is required"),
        ("net create a -s 10.1.1.0/24 -g 10.1.1", "Invalid gateway - Enter in A.B.C.D format"),
        ("net create a -s 10.1.1.0/24 -g6 10.1.1.1", "Invalid IPv6 gateway"),
        ("net rm", "Network name required"),
        ("net inspect a b", "More arguments than required"),
        ("net ls a", "More arguments than required"),
        ("tenant create", "Tenant name required"),
        ("tenant rm a b", "More arguments than required"),
        ("tenant inspect", "Tenant name required"),
        ("tenant ls a", "More arguments than required"),
        ("group create", "Network and group name required"),
        ("group create net", "Network and group name required"),
        ("group create net a b", "More arguments than required"),
        ("group rm", "EndpointGroup name required"),
        ("group inspect", "EndpointGroup name required"),
        ("group ls a", "More arguments than required"),
        ("policy create", "Policy name required"),
        ("policy rm", "Policy name required"),
        ("policy inspect", "Policy name required"),
        ("policy ls a", "More arguments than required"),
        ("policy rule-ls", "Policy name required"),
        ("policy rule-ls a b", "More arguments than required"),
        ("policy rule-add a", "Policy name and Rule ID required"),
        ("policy rule-add a 1 2", "More arguments than required"),
        ("policy rule-rm a", "Policy name and Rule ID required"),
        ("netprofile create", "Net profile name required"),
        ("netprofile rm", "Net profile name required"),
        ("netprofile ls a", "More arguments than required"),
        ("service create", "Service name required"),
        ("service rm", "Service name required"),
        ("service inspect", "Service group name required"),
        ("service ls a", "More arguments than required"),
        ("bgp create", "Host name required"),
        ("bgp create node1", "Missing attributes"),
        ("bgp create node1 --router-ip 50.1.1.1/24 --as 1 --neighbor-as 2", "Missing attributes"),
        (
            "bgp create node1 --router-ip 50.1.1.1 --as 1 --neighbor-as 2 --neighbor 50.1.1.2",
            "Wrong CIDR format. Enter in x.x.x.x/len format",
        ),
        (
            "bgp create node1 --router-ip 50.1.1.256/24 --as 1 --neighbor-as 2 --neighbor 50.1.1.2",
            "Wrong CIDR format. Enter in x.x.x.x/len format",
        ),
        (
            "bgp create node1 --router-ip 50.1.1.1/24 --as 1 --neighbor-as 2 --neighbor 50.1.1.2/24",
            "Wrong IP format. Enter in x.x.x.x format",
        ),
        ("bgp rm", "Host name required"),
        ("bgp inspect", "Host name required"),
        ("bgp ls a", "More arguments than required"),
        ("global info a", "More arguments than required"),
        ("global inspect a", "More arguments than required"),
        ("global set a", "More arguments than required"),
        ("global set", "Nothing to set: give an option"),
        ("app-profile create", "Profile name required"),
        ("app-profile update", "Profile name required"),
        ("app-profile rm", "Profile name required"),
        ("app-profile group-ls", "Profile name required"),
        ("app-profile ls a", "More arguments than required"),
        ("endpoint inspect", "Endpoint name required"),
        ("endpoint rm", "Endpoint name required"),
        ("endpoint rm a b", "More arguments than required"),
        ("endpoint rm a --network net", "More arguments than required"),
        ("endpoint rm --network net --group db", "Give either --network or --group"),
        ("endpoint ls a", "More arguments than required"),
        ("node inspect", "Node name required"),
        ("node rm", "Node name required"),
        ("node ls a", "More arguments than required"),
        ("node bananas", "unknown command: netctl node bananas"),
        ("version now", "More arguments than required"),
        ("status now", "More arguments than required"),
        ("bananas", "unknown command: netctl bananas"),
        ("net bananas", "unknown command: netctl net bananas"),
    ],
)
def test_wrong_usage_exits_with_1_and_shows_the_help(netctl: Netctl, line: str, text: str) -> None:
    done = netctl(*line.split())
    assert done.returncode == 1
    assert f'level=error msg="{text}' in done.stderr
    assert done.stdout.startswith("NAME:\n   netctl")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ("-e db", "Cant specify to-group for incoming rule"),
        ("-direction=in -to-group=db", "Cant specify to-group for incoming rule"),
        ("-d in -o net", "Cant specify to-network for incoming rule"),
        ("-d in -g db -n net", "Can't specify both from-group argument and -from-network"),
        ("-d out -g db", "Cant specify from-group for outgoing rule"),
        ("-d out -n net", "Cant specify from-network for outgoing rule"),
        ("-d out -i 10.1.1.1", "Cant specify from-ip-address for outgoing rule"),
        ("-d out -e db -o net", "Can't specify both -to-group and -to-network"),
        ("-d both", "Unknown direction"),
    ],
)
def test_a_rule_that_contradicts_itself_exits_with_1_and_without_help(netctl: Netctl, options: str, text: str) -> None:
    done = netctl("policy", "rule-add", "web", "1", *options.split())
    assert (done.returncode, done.stdout) == (1, "")
    assert f'level=error msg="{text}"\n' in done.stderr


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("net ls -x", "not defined: -x"),
        ("net ls -aq", "not defined: -aq"),
        ("net create a -p x -s 10.1.1.0/24", 'invalid value \\"x\\" for option -p'),
        ("--nonsense net ls", "not defined: -nonsense"),
        ("net create -t", "needs a value: -t"),
        ("tenant ls -w", "not defined: -w"),
        ("policy rule-add a 1 -priority=high", 'invalid value \\"high\\" for option -priority'),
        ("aci-gw set -x", "not defined: -x"),
    ],
)
def test_a_wrong_option_exits_with_1_and_says_incorrect_usage(netctl: Netctl, line: str, text: str) -> None:
    done = netctl(*line.split())
    assert done.returncode == 1
    assert done.stdout.startswith("Incorrect Usage.\n\nNAME:\n   netctl")
    assert text in done.stderr


def test_a_master_that_does_not_answer_exits_with_3_and_2_for_its_version(netctl: Netctl) -> None:
    for line, code in ((["net", "ls"], 3), (["version"], 2)):
        done = netctl(*line)
        assert (done.returncode, done.stdout) == (code, "")
        assert f"Error connecting to netmaster {NOBODY}: Connection refused" in done.stderr


@pytest.mark.parametrize("url", ["netmaster:9999", "ftp://netmaster", "http://", "http://a:port"])
def test_a_url_that_is_none_exits_with_1(netctl: Netctl, url: str) -> None:
    for done in (netctl("net", "ls", master=url), netctl("--netmaster", url, "net", "ls")):
        assert done.returncode == 1
        assert "Error connecting to netmaster" in done.stderr


def test_people_get_the_short_form_of_an_error(netctl: Netctl, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert netctl("net", "rm").stderr == "ERRO[0000] Network name required\n"


def test_the_option_goes_before_the_environment(netctl: Netctl) -> None:
    done = netctl("-netmaster=http://127.0.0.1:2", "net", "ls")
    assert "http://127.0.0.1:2:" in done.stderr


@pytest.mark.parametrize("word", ["-v", "--version", "-version"])
def test_its_own_version_needs_no_master(netctl: Netctl, word: str) -> None:
    assert netctl(word).stdout == f"netctl version {__version__}\n"


def spawn(line: str, stdout: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "isthmus.netctl", *line.split()]
    environment = os.environ | {"NETMASTER": NOBODY}
    return subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, text=True, check=False, env=environment)


@pytest.mark.parametrize("line", ["", "net create --help", "-v", "net create", "--nonsense"])
def test_a_reader_that_has_gone_ends_it_silently_with_4(line: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = spawn(line, writer)
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (4, "")


def test_output_that_cannot_be_written_is_an_error_with_exit_code_4() -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        done = spawn("-v", full)
    finally:
        os.close(full)
    assert (done.returncode, done.stderr.count("\n")) == (4, 1)
    assert "No space left on device" in done.stderr


def test_every_command_has_a_summary_and_no_option_two_meanings() -> None:
    for path, command in ROOT.leaves():
        names = [name for flag in command.flags for name in flag.names]
        assert len(names) == len(set(names)), path
        assert command.summary


def test_it_starts_without_the_heavy_libraries() -> None:
    probe = "import sys, isthmus.netctl.__main__; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    heavy = {
        "isthmus.netctl.networks",
        "isthmus.netctl.glance",
        "pydantic",
        "http.client",
        "dataclasses",
        "asyncio",
        "grpc",
        "aiohttp",
        "fastapi",
        "structlog",
        "rich",
        "argparse",
        "yaml",
        "shlex",
        "threading",
    }
    assert heavy & set(done.stdout.split()) == set()
