"""What completes a command line, by the tables of commands; names of objects come from a server that has them."""

import http.server
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from isthmus.netctl.__main__ import ROOT, run
from isthmus.netctl.command import FILES
from isthmus.netctl.completion import COLLECTIONS
from isthmus.netctl.kinds import KINDS

NOBODY = "http://127.0.0.1:1"
OBJECTS: dict[str, list[dict[str, object]]] = {
    "tenants": [{"tenantName": "blue"}, {"tenantName": "default"}],
    "networks": [
        {"tenantName": "default", "networkName": "net"},
        {"tenantName": "default", "networkName": "other"},
        {"tenantName": "blue", "networkName": "sky"},
    ],
    "endpointGroups": [{"tenantName": "default", "groupName": name} for name in ("front", "back")],
    "policys": [{"tenantName": "default", "policyName": "web"}, {"tenantName": "blue", "policyName": "db"}],
    "rules": [
        {"tenantName": "default", "policyName": "web", "ruleId": "1"},
        {"tenantName": "default", "policyName": "web", "ruleId": "10"},
        {"tenantName": "default", "policyName": "other", "ruleId": "2"},
        {"tenantName": "blue", "policyName": "web", "ruleId": "3"},
    ],
    "netprofiles": [{"tenantName": "default", "profileName": "slow"}],
    "serviceLBs": [{"tenantName": "default", "serviceName": "www"}],
    "appProfiles": [{"tenantName": "default", "appProfileName": "shop"}],
    "Bgps": [{"hostname": "node1"}],
    "nodes": [{"name": "node1"}, {"name": "node2"}],
    "endpoints": [
        {"tenantName": "default", "containerName": "c1", "endpointID": "abc"},
        {"tenantName": "blue", "containerName": "c2", "endpointID": "abd"},
        {"tenantName": "default", "endpointID": "xyz"},
    ],
}


class _Master(http.server.BaseHTTPRequestHandler):
    """Answers each collection with its objects."""

    def do_GET(self) -> None:
        body = json.dumps(OBJECTS[self.path.split("/")[3]]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *_: object) -> None:  # noqa: A002 - its name there
        """Be silent."""


@pytest.fixture(scope="module")
def master() -> Iterator[str]:
    """The URL of a server that has OBJECTS."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Master) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def answer(line: str, master: str = NOBODY, breaks: str = "") -> list[str]:
    environment = os.environ | {"_NETCTL_LINE": line, "_NETCTL_BREAKS": breaks, "NETMASTER": master}
    command = [sys.executable, "-m", "isthmus.netctl"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.splitlines()


def words(line: str, master: str = NOBODY, breaks: str = "") -> list[str]:
    first, *found = answer(line, master, breaks)
    assert first == "words"
    return found


def test_commands_are_offered_by_every_name() -> None:
    assert {"net", "network", "tenant", "version", "apply", "ep"} <= set(words("netctl "))
    assert words("netctl net") == ["net", "netprofile", "network"]
    assert words("netctl net c") == ["create"]
    assert words("netctl policy rule-") == ["rule-add", "rule-delete", "rule-list", "rule-ls", "rule-rm"]
    assert words("netctl bananas ") == words("netctl net bananas ") == []


def test_options_are_offered_where_a_dash_is() -> None:
    assert words("netctl net create --subnet") == ["--subnet", "--subnetv6"]
    assert words("netctl net create -subnet") == ["-subnet", "-subnetv6"]
    assert {"-t", "--tenant", "--s6", "--help", "-h"} <= set(words("netctl net create foo -"))
    assert words("netctl -") == sorted(["--netmaster", "--insecure", "--help", "-h", "--version", "-v"])
    assert words("netctl net -") == []
    assert words("netctl net ls -- -") == []


def test_an_option_that_was_given_is_not_offered_again_unless_it_may_be_repeated() -> None:
    assert "--subnet" not in words("netctl net create -s 10.1.1.0/24 --sub")
    assert words("netctl group create -p a --pol") == ["--policy"]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("net create -e ", ["vlan", "vxlan"]),
        ("net create --encap vx", ["vxlan"]),
        ("net create foo --encap=v", ["--encap=vlan", "--encap=vxlan"]),
        ("net create -encap=vx", ["-encap=vxlan"]),
        ("policy rule-add p 1 -d ", ["in", "out"]),
        ("export -o ", ["json", "yaml"]),
        ("export -k ne", ["netprofile", "network"]),
        ("completion ", ["bash", "zsh"]),
        ("completion bash ", []),
        ("net create -s ", []),
        ("net create ", []),
        ("--netmaster ", []),
        ('net create "foo', []),
        ('net create "foo" -e "vx', ["vxlan"]),
        ("net create foo\\", []),
    ],
)
def test_words_are_offered_by_the_table(line: str, found: list[str]) -> None:
    assert words(f"netctl {line}") == found


def test_the_shell_completes_files_by_itself() -> None:
    assert answer("netctl apply -f ") == answer("netctl apply --file=/etc") == [FILES]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("tenant rm ", ["blue", "default"]),
        ("net rm ", ["net", "other"]),
        ("net rm o", ["other"]),
        ("net inspect -t blue ", ["sky"]),
        ("net inspect --tenant=blue s", ["sky"]),
        ("net inspect -t ", ["blue", "default"]),
        ("net ls --tenant=b", ["--tenant=blue"]),
        ("group create ", ["net", "other"]),
        ("group create net ", ["back", "front"]),
        ("group create -t blue ", ["sky"]),
        ("group create net g -p ", ["web"]),
        ("group create net g --policy web --policy ", ["web"]),
        ("group create net g --networkprofile ", ["slow"]),
        ("group create net g -t blue -p ", ["db"]),
        ("policy rule-rm web ", ["1", "10"]),
        ("policy rule-rm -t blue web ", ["3"]),
        ("policy rule-add web 7 -g ", ["back", "front"]),
        ("policy rule-add web 7 --to-network ", ["net", "other"]),
        ("policy rule-add web ", []),
        ("netprofile create ", ["slow"]),
        ("service rm ", ["www"]),
        ("service create new -s ", ["net", "other"]),
        ("app-profile update ", ["shop"]),
        ("app-profile create new -g front,", ["front,back", "front,front"]),
        ("app-profile create new --group=front,b", ["--group=front,back"]),
        ("bgp create ", ["node1", "node2"]),
        ("bgp rm ", ["node1"]),
        ("node rm node", ["node1", "node2"]),
        ("endpoint inspect ", ["c1", "c2"]),
        ("endpoint inspect ab", ["abc", "abd"]),
        ("ep rm ", ["c1"]),
        ("ep rm -g ", ["back", "front"]),
        ("export -t ", ["blue", "default"]),
        ("net rm net ", []),
    ],
)
def test_names_of_objects_are_offered(master: str, line: str, found: list[str]) -> None:
    assert words(f"netctl {line}", master) == found


def test_the_master_of_the_line_is_asked(master: str) -> None:
    assert words(f"netctl --netmaster {master} net rm ") == ["net", "other"]
    assert words(f"netctl -netmaster={master} -insecure net rm ") == ["net", "other"]


def test_a_shell_that_breaks_words_at_the_sign_gets_what_is_behind_it(master: str) -> None:
    assert words("netctl net ls --tenant=b", master, breaks=" \t=:") == ["blue"]
    assert words("netctl app-profile update --group=front,b", master, breaks="=") == ["front,back"]


@pytest.mark.parametrize("url", [NOBODY, "nonsense", "http://no.such.host.invalid:9999"])
def test_without_a_master_there_are_no_names_and_no_noise(url: str) -> None:
    assert words("netctl net rm ", url) == []


def test_nobody_waits_for_a_master_that_does_not_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        before_s = time.monotonic()
        assert words("netctl net rm ", f"http://127.0.0.1:{silent.getsockname()[1]}") == []
        assert time.monotonic() - before_s < 30  # netctl itself would wait for 60


def test_what_tables_say_is_known() -> None:
    known = {*COLLECTIONS, FILES}
    said = {flag.completes for _, command in ROOT.leaves() for flag in command.flags}
    said |= {completes for _, command in ROOT.leaves() for completes in command.completes}
    assert {each.removesuffix(",") for each in said if each and "|" not in each} == known


def test_every_command_about_what_is_there_completes_it() -> None:
    verbs = ("rm", "inspect", "update", "rule-rm", "rule-ls", "group-ls")
    about = [(path, command) for path, command in ROOT.leaves() if path[-1] in verbs and command.arguments]
    absent = [path for path, command in about if len(command.completes) != command.arguments.count("[")]
    assert [path for path in absent if path[0] != "external-contracts"] == []
    assert len(about) > 20


def test_the_kinds_of_export_are_all_offered() -> None:
    assert words("netctl export --kind ") == sorted(kind.word for kind in KINDS)


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_the_script_of_a_shell_is_printed(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["completion", shell]) == 0
    assert "_netctl_complete" in capsys.readouterr().out
    assert run(["completion", "csh"]) == 1
    assert run(["completion"]) == 1
