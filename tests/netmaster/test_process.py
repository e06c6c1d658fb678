"""The process: its command line, its private etcd, its start and its end."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from isthmus import __version__
from isthmus.core.errors import InvalidError
from isthmus.edge.etcd_child import EtcdSettings
from isthmus.edge.store import DeleteRange, Store
from isthmus.netmaster.options import FLAGS, IGNORED, Listen, help_text, parse_listen, parse_options
from isthmus.wire import keys
from isthmus.wire.endpoints import parse_endpoints

if TYPE_CHECKING:
    from tests.netmaster.conftest import Master


def test_contivs_start_line_is_understood() -> None:
    line = "-cluster-store etcd://127.0.0.1:2379 -listen-url :9999 -cluster-mode docker -dns-enable true -debug"
    options = parse_options(line.split())
    assert options.store == parse_endpoints("etcd://127.0.0.1:2379")
    assert (options.listen, options.log_level) == (Listen("", 9999), "debug")
    assert options.ignored == ("cluster-mode", "dns-enable")


def test_without_options_it_brings_its_own_etcd_and_listens_everywhere() -> None:
    options = parse_options([])
    assert (options.store, options.etcd_port, options.data_dir) == (None, 2379, Path("/var/lib/isthmus/etcd"))
    assert (options.listen, options.log_level, options.ignored) == (Listen("0.0.0.0", 9999), "info", ())


@pytest.mark.parametrize("flag", ["-cluster-store=etcd://a,b", "--etcd-endpoints=etcd://a,b", "-etcd=a,b"])
def test_the_store_has_several_names(flag: str) -> None:
    assert parse_options([flag]).store == parse_endpoints("etcd://a:2379,b:2379")


@pytest.mark.parametrize(
    ("text", "listen"),
    [
        (":9999", Listen("", 9999)),
        ("10.0.0.1:80", Listen("10.0.0.1", 80)),
        ("[::1]:9999", Listen("::1", 9999)),
        ("http://0.0.0.0:9999/", Listen("0.0.0.0", 9999)),
    ],
)
def test_listen_addresses(text: str, listen: Listen) -> None:
    assert parse_listen(text) == listen
    assert parse_listen(str(listen)) == listen


WRONG_LINES = [
    ("-nonsense", "-nonsense"),
    ("stray", "stray"),
    ("-cluster-store consul://a", "etcd://"),
    ("-listen-url 9999", '"9999"'),
    ("-listen-url :0", "PORT 1 to 65535"),
    ("-listen-url :65536", "PORT 1 to 65535"),
    ("-listen-url ::1:9999", "::1:9999"),
    ("-log-level loud", "debug, info, warn, error"),
    ("-etcd-port 0", "1 to 65535"),
    ("-rollout-wait -1", "0 to 600"),
    ("-etcd-cert x", "etcd-key"),
    ("-etcd-cert x -etcd-key y", "etcd-ca"),
]


@pytest.mark.parametrize(("line", "text"), WRONG_LINES)
def test_a_wrong_line_is_refused_by_name(line: str, text: str) -> None:
    with pytest.raises(InvalidError) as refusal:
        parse_options(line.split())
    assert text in str(refusal.value)


def test_no_option_has_two_meanings_and_help_shows_them() -> None:
    names = [name for flag in (*FLAGS, *IGNORED) for name in flag.names]
    assert len(names) == len(set(names))
    assert [flag.name for flag in FLAGS if f"--{flag.name}" not in help_text()] == []


def netmaster(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "isthmus.netmaster", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.root
def test_a_bad_configuration_exits_with_22() -> None:
    for words in (["-nonsense"], ["-cluster-store", "etcds://127.0.0.1:1"]):
        done = netmaster(*words, "-listen-url", "127.0.0.1:1")
        assert done.returncode == 22
        assert done.stderr.startswith("netmaster: ")
        assert done.stderr.count("\n") == 1


@pytest.mark.root
def test_what_is_ignored_is_said() -> None:
    done = netmaster("-dns-enable", "true", "-cluster-store", "etcds://127.0.0.1:1", "-listen-url", "127.0.0.1:1")
    assert 'level=warning event="option ignored" option=dns-enable' in done.stderr


@pytest.mark.root
def test_an_address_in_use_exits_with_22_and_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = netmaster("-cluster-store", "etcd://127.0.0.1:1", "-listen-url", address)
    assert (done.returncode, done.stderr) == (
        22,
        f"netmaster: cannot listen on {address}: Address already in use\n",
    )


@pytest.mark.root
def test_the_version_is_printed() -> None:
    assert netmaster("-version").stdout == f"netmaster version {__version__}\n"


@pytest.mark.root
def test_it_answers_before_etcd_is_there_and_says_why_it_cannot_do_more(
    start: Callable[..., Master],
) -> None:
    master = start("-cluster-store", "etcd://127.0.0.1:1")
    assert master.ask("GET", "/version").json["Version"] == __version__
    reply = master.ask("GET", "/api/v1/networks/")
    assert reply.status == 503
    assert "127.0.0.1:1" in reply.text
    assert master.stop() == 0


@pytest.mark.root
def test_its_private_etcd_keeps_everything_over_a_restart(
    start: Callable[..., Master], tmp_path: Path, free_port: Callable[[], int]
) -> None:
    options = ("-data-dir", str(tmp_path / "etcd"), "-etcd-port", str(free_port()))
    first = start(*options)
    assert wait_for(lambda: first.post_network("default:net", "10.1.1.0/24").status == 200)
    assert first.stop() == 0
    second = start(*options)
    assert wait_for(lambda: second.ask("GET", "/api/v1/networks/default:net/").status == 200)
    second.process.kill()  # its etcd dies with it, by the kernel
    second.process.communicate()
    third = start(*options)
    assert wait_for(lambda: third.ask("GET", "/api/v1/networks/default:net/").status == 200)
    assert third.stop() == 0


@pytest.mark.root
async def test_the_first_records_come_back_after_etcd_was_wiped(master: Master, store: Store) -> None:
    await store.commit((), (DeleteRange(keys.ROOT),))
    assert wait_for(lambda: master.ask("GET", "/api/v1/tenants/default/").status == 200)
    assert keys.GLOBAL in (await store.read(keys=(keys.GLOBAL,))).by_key()


@pytest.mark.root
def test_a_port_that_its_etcd_cannot_have_exits_with_22(
    etcd: EtcdSettings, tmp_path: Path, free_port: Callable[[], int]
) -> None:
    listen = f"127.0.0.1:{free_port()}"
    done = netmaster("-listen-url", listen, "-data-dir", str(tmp_path), "-etcd-port", str(etcd.client_port))
    assert done.returncode == 22
    assert f"netmaster: port {etcd.client_port} on 127.0.0.1 is in use" in done.stderr


def wait_for(is_so: Callable[[], bool]) -> bool:
    """Whether it comes true within 20 seconds."""
    end_s = time.monotonic() + 20
    while time.monotonic() < end_s:
        if is_so():
            return True
        time.sleep(0.1)
    return False
