"""`netctl status` asks every master, tells each one's word, and exits with 0 only where all is well."""

import json
import socket

import pytest

from isthmus.netctl.__main__ import run
from isthmus.netctl.client import Client, Object
from isthmus.netctl.glance import ask_all
from tests.netctl.test_masters import AWAY, NOBODY, Fake, Fakes, fake  # noqa: F401  a fixture

LOST: Object = {
    "name": "node2",
    "isAlive": False,
    "problem": "unreachable: gone",
    "lastContact": "1970-01-01T00:00:00Z",
}
WELL: Object = {"name": "node1", "isAlive": True, "inSync": True, "engine": "ready", "version": "1"}
ILL: Object = {"name": "node3", "isAlive": True, "engine": "ready", "problem": "network a:b: no"}
IDLE: Object = {"name": "node4", "isAlive": True, "engine": "absent", "problem": "no engine"}
VERSION: Object = {"Version": "1.2.3"}


def ok(value: object) -> bytes:
    return b"HTTP/1.1 200 OK\r\n\r\n" + json.dumps(value).encode()


def master(fake: Fakes, *nodes: Object) -> Fake:  # noqa: F811
    """One that serves: its version, its settings, and then the nodes, two endpoints, a network and no group."""
    endpoints = [{"homingHost": "node1"}, {"homingHost": "node2"}]
    return fake(*map(ok, (VERSION, [{}], nodes, endpoints, [{}], [])))


def status(*masters: Fake | str, words: tuple[str, ...] = ()) -> int:
    urls = ",".join(each if isinstance(each, str) else each.url for each in masters)
    return run(["--netmaster", urls, "status", *words])


Printed = pytest.CaptureFixture[str]


def test_where_all_is_well_it_exits_with_0_and_there_is_nothing_to_look_at(fake: Fakes, capsys: Printed) -> None:  # noqa: F811
    first = master(fake, WELL)
    assert status(first) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    assert printed.out == (
        "Master                  Version  Says\n"
        "------                  -------  ----\n"
        f"{first.url:<22}  1.2.3    serves; what follows is from it\n"
        "\n"
        "Nodes: 1 (1 in sync, 0 not in sync, 0 unreachable)\n"
        "Networks: 1, groups: 0, endpoints: 2\n"
        "\n"
        "Name   Engine  Version  Endpoints  Revision  Contact  Status   Reason\n"
        "----   ------  -------  ---------  --------  -------  ------   ------\n"
        "node1  ready   1        1          0         now      in sync  \n"
    )
    assert [path.split("/")[-2] for path in first.asked[2:]] == ["nodes", "endpoints", "networks", "endpointGroups"]


def test_a_dead_master_is_named_with_its_reason_whatever_the_nodes_do(fake: Fakes, capsys: Printed) -> None:  # noqa: F811
    first, second = master(fake, WELL), master(fake, WELL)
    assert status(NOBODY, first, second) == 3
    printed = capsys.readouterr()
    _, _, *rows = (line.split(maxsplit=2) for line in printed.out.splitlines()[:5])
    assert rows == [
        [NOBODY, "Connection", "refused"],
        [first.url, "1.2.3", "serves; what follows is from it"],
        [second.url, "1.2.3", "serves"],
    ]
    assert printed.out.endswith(
        f"\nLook at:\n- master {NOBODY}: Connection refused: "
        "is its host on, and does netmaster run there? journalctl -u isthmus-netmaster\n"
    )
    assert 'msg="1 of 3 masters does not serve"' in printed.err
    assert len(second.asked) == 2


def test_a_master_whose_etcd_is_away_is_not_passed_over_in_silence(fake: Fakes, capsys: Printed) -> None:  # noqa: F811
    away = fake(ok(VERSION), AWAY)
    assert status(away, master(fake, WELL)) == 3
    printed = capsys.readouterr()
    assert f"{away.url:<22}  1.2.3    etcd is away\n" in printed.out
    assert f"- master {away.url}: etcd is away: look at etcd from its host\n" in printed.out


def test_where_nobody_serves_one_error_says_which_master_says_what(fake: Fakes, capsys: Printed) -> None:  # noqa: F811
    away = fake(ok(VERSION), AWAY)
    assert status(NOBODY, away) == 3
    printed = capsys.readouterr()
    assert printed.out == ""
    excuse = f"{away.url}: it answers (version 1.2.3), and says: etcd is away"
    assert f'"Error connecting to netmaster, none of 2 serves: {NOBODY}: Connection refused; {excuse}"' in printed.err
    assert status(NOBODY) == 3
    assert f'"Error connecting to netmaster {NOBODY}: Connection refused"' in capsys.readouterr().err


def test_a_master_that_hangs_does_not_keep_the_others_from_being_seen(fake: Fakes) -> None:  # noqa: F811
    with socket.create_server(("127.0.0.1", 0)) as hanging:
        url = f"http://127.0.0.1:{hanging.getsockname()[1]}"
        found = ask_all(Client(f"{url},{master(fake, WELL).url}").each(), 3)
    assert [each.problem for each in found] == ["no answer within 3 seconds", ""]


def test_every_node_that_is_not_in_sync_has_a_line_of_what_to_look_at(fake: Fakes, capsys: Printed) -> None:  # noqa: F811
    assert status(master(fake, WELL, LOST, ILL, IDLE)) == 3
    printed = capsys.readouterr()
    lost, ill, idle = printed.out.partition("\nLook at:\n")[2].splitlines()
    assert lost.startswith("- node node2: unreachable, last contact ")
    assert "d" in lost.partition("contact ")[2].partition(" ago: is its host on, does netplugin run there")[0]
    assert ill == "- node node3: network a:b: no; all reasons: netctl node inspect node3"
    assert idle == "- node node4: no engine: does Docker run there? journalctl -u docker"
    assert 'msg="2 of 4 nodes not in sync; 1 of 4 nodes unreachable"' in printed.err
    assert "Nodes: 4 (1 in sync, 2 not in sync, 1 unreachable)\n" in printed.out


def test_a_cluster_without_any_node_is_not_well(fake: Fakes, capsys: Printed) -> None:  # noqa: F811
    assert status(master(fake)) == 3
    printed = capsys.readouterr()
    assert "- nodes: there is none; no netplugin has reached etcd since it was empty\n" in printed.out
    assert 'msg="there is no node"' in printed.err


def test_json_has_the_same_and_the_same_exit_code(fake: Fakes, capsys: Printed) -> None:  # noqa: F811
    assert status(NOBODY, master(fake, WELL, LOST), words=("-j",)) == 3
    shown = json.loads(capsys.readouterr().out)
    assert [(each["serves"], each["asked"], each["problem"]) for each in shown["masters"]] == [
        (False, False, "Connection refused"),
        (True, True, ""),
    ]
    assert [each["numEndpoints"] for each in shown["nodes"]] == [1, 1]
    numbers = ("inSync", "notInSync", "unreachable", "networks", "groups", "endpoints")
    assert [shown[each] for each in numbers] == [1, 0, 1, 1, 0, 2]
    assert len(shown["lookAt"]) == 2
    assert status(master(fake, WELL), words=("-j",)) == 0
