"""netctl with a list of masters, one of which dies in mid-answer or has no etcd: what was asked comes true, once."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from isthmus import __version__
from isthmus.wire import keys

if TYPE_CHECKING:
    from tests.netmaster.conftest import Master

pytestmark = pytest.mark.root

Dump = Callable[[], Awaitable[dict[str, bytes]]]
ABORT = struct.pack("ii", 1, 0)  # SO_LINGER: a close is a reset
NOBODY = "http://127.0.0.1:1"


class DyingMaster:
    """Lets a real master carry a request out, passes on so many bytes of its answer, and breaks off."""

    def __init__(self, real: Master) -> None:
        self._real = real
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.passes_bytes = 0
        self.resets = False
        self.statuses: list[bytes] = []

    def _serve(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            with connection:
                request = connection.recv(65536)
                if not request:
                    return
                answer = self._answer_to(request)
                self.statuses.append(answer.split()[1])
                connection.sendall(answer[: self.passes_bytes])
                if self.resets:
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)

    def _answer_to(self, request: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", self._real.port)) as real, real.makefile("rb") as answer:
            real.sendall(request)
            return answer.read()

    def close(self) -> None:
        socket.create_connection(self._listener.getsockname()).close()
        self._thread.join()
        self._listener.close()


@pytest.fixture
def dying(masters: tuple[Master, Master]) -> Iterator[DyingMaster]:
    """The second master, seen through a connection that breaks."""
    with contextlib.closing(DyingMaster(masters[1])) as dying:
        yield dying


def netctl(masters: str, line: str) -> tuple[int, str, str]:
    """Exit code, output and errors; not the warnings, which say that no node is alive here."""
    command = [sys.executable, "-m", "isthmus.netctl", *line.split()]
    environment = os.environ | {"NETMASTER": masters}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)
    errors = [line for line in done.stderr.splitlines() if "level=warning" not in line]
    return done.returncode, done.stdout, "\n".join(errors)


@pytest.mark.parametrize("resets", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize("passes_bytes", [0, 12, 150])
async def test_a_write_that_broke_off_comes_true_once_and_is_told_once(
    master: Master, dying: DyingMaster, dump: Dump, passes_bytes: int, *, resets: bool
) -> None:
    dying.passes_bytes, dying.resets = passes_bytes, resets
    both = f"{dying.url},{master.url}"
    assert netctl(both, "tenant create blue") == (0, "Creating tenant: blue\n", "")
    assert netctl(both, "net create -t blue -s 10.1.2.0/24 -g 10.1.2.254 net") == (
        0,
        "Creating network blue:net\n",
        "",
    )
    written = await dump()
    assert [key for key in written if key.startswith((keys.NETWORKS, keys.ROOT + "vni/"))] == [
        f"{keys.NETWORKS}blue/net",
        f"{keys.ROOT}vni/1",
    ]
    assert netctl(both, "net ls -a -q") == (0, "net\n", "")
    assert netctl(both, "net rm -t blue net") == (0, "Deleting network blue:net\n", "")
    assert netctl(both, "tenant rm blue") == (0, "Deleting tenant blue\n", "")
    assert [key for key in await dump() if "blue" in key or "vni" in key] == []
    assert dying.statuses == [b"200"] * 5


def test_what_the_next_master_refuses_is_refused(master: Master, dying: DyingMaster) -> None:
    both = f"{dying.url},{master.url}"
    code, _, error = netctl(both, "net create -t red -s 10.1.2.0/24 net")
    assert (code, "tenant red not found" in error) == (3, True)
    master.post_network("default:net", "10.1.2.0/24")
    code, _, error = netctl(both, "net create -s 10.9.2.0/24 net")
    assert (code, dying.statuses) == (3, [b"404", b"409"])


def test_deleting_what_was_never_there_is_an_error_where_nobody_broke_off(master: Master) -> None:
    code, printed, error = netctl(f"{NOBODY},{master.url}", "net rm net")
    assert (code, printed, "network default:net not found" in error) == (3, "", True)


def test_a_master_whose_etcd_is_away_is_passed_over(master: Master, start: Callable[..., Master]) -> None:
    away = start("-cluster-store", "etcd://127.0.0.1:1", "-log-level", "error")
    assert netctl(f"{away.url},{master.url}", "net create -s 10.1.2.0/24 net") == (
        0,
        "Creating network default:net\n",
        "",
    )
    code, printed, error = netctl(f"{NOBODY},{away.url},{master.url}", "status")
    _, _, nobody, no_etcd, serving, *_ = printed.splitlines()
    assert (code, nobody.split(maxsplit=1)) == (3, [NOBODY, "Connection refused"])
    assert no_etcd.startswith(f"{away.url}  {__version__}    etcd at 127.0.0.1:1: ")
    assert serving == f"{master.url}  {__version__}    serves; what follows is from it"
    assert 'msg="2 of 3 masters do not serve; there is no node"' in error
    code, printed, error = netctl(f"{NOBODY},{away.url}", "status")
    assert (code, printed) == (3, "")
    assert f"none of 2 serves: {NOBODY}: Connection refused; {away.url}: it answers (version {__version__})" in error
    assert away.stop() == 0
