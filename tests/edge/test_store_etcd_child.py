"""The private etcd child: kept alive, kept private, ended."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from isthmus.core.errors import ConflictError, InvalidError, NotFoundError, StoreUnavailableError
from isthmus.edge.etcd_child import EtcdChild, EtcdSettings
from isthmus.edge.store import Put, Store

pytestmark = pytest.mark.root


@pytest.fixture
def settings(tmp_path: Path, unused_tcp_port: int) -> EtcdSettings:
    return EtcdSettings(tmp_path / "etcd", unused_tcp_port, extra=("--unsafe-no-fsync",))


async def test_it_answers_and_keeps_its_data_over_a_restart(settings: EtcdSettings) -> None:
    async with EtcdChild(settings) as child, Store(settings.endpoints) as store:
        first = child.pid
        await store.commit([], [Put("/kept", b"1")])
    assert not _is_alive(first)
    async with EtcdChild(settings) as child, Store(settings.endpoints) as store:
        assert child.pid not in (0, first)
        [kept] = (await store.read(keys=("/kept",))).items
        assert kept.value == b"1"
    assert stat.S_IMODE(settings.data_dir.stat().st_mode) == 0o700


async def test_it_is_started_again_when_it_dies(settings: EtcdSettings) -> None:
    async with EtcdChild(settings) as child, Store(settings.endpoints) as store:
        await store.commit([], [Put("/kept", b"1")])
        for restarts in (1, 2):
            os.kill(child.pid, signal.SIGKILL)
            await _until(lambda restarts=restarts: child.restarts == restarts)  # type: ignore[misc]
            assert len((await store.read(keys=("/kept",))).items) == 1
        last = child.pid
    assert not _is_alive(last)


async def test_it_dies_with_its_parent_however_that_dies(settings: EtcdSettings) -> None:
    parent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _PARENT, str(settings.data_dir), str(settings.client_port)),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert parent.stdout is not None
        pid = int(await parent.stdout.readline())
        assert _is_alive(pid)
    finally:
        parent.kill()
        await parent.wait()
    await _until(lambda: not _is_alive(pid))
    async with EtcdChild(settings):  # and the next starts at once, on the same port and data
        pass


async def test_it_listens_on_loopback_only(settings: EtcdSettings) -> None:
    async with EtcdChild(settings) as child:
        addresses = _listening(child.pid)
    assert addresses
    assert all(address.startswith("0100007F:") for address in addresses)  # 127.0.0.1, little-endian


async def test_a_taken_port_is_named_with_the_way_out(settings: EtcdSettings) -> None:
    refused = pytest.raises(ConflictError, match=rf"{settings.client_port}.*--cluster-store")
    with socket.create_server(("127.0.0.1", settings.client_port)), refused:
        await EtcdChild(settings).__aenter__()


async def test_an_etcd_that_ends_at_once_is_quoted(settings: EtcdSettings) -> None:
    settings.data_dir.mkdir()
    (settings.data_dir / "member").write_text("no directory")
    with pytest.raises(StoreUnavailableError, match="not a directory"):
        await EtcdChild(settings).__aenter__()


async def test_a_data_directory_that_cannot_be_is_named(tmp_path: Path, unused_tcp_port: int) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidError, match="file/etcd"):
        await EtcdChild(EtcdSettings(tmp_path / "file" / "etcd", unused_tcp_port)).__aenter__()


async def test_a_missing_program_is_named_with_its_package(
    settings: EtcdSettings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "setpriv").symlink_to("/usr/bin/setpriv")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NotFoundError, match="etcd-server"):
        await EtcdChild(settings).__aenter__()


_PARENT = """
import asyncio, sys
from pathlib import Path
from isthmus.edge.etcd_child import EtcdChild, EtcdSettings

async def main() -> None:
    async with EtcdChild(EtcdSettings(Path(sys.argv[1]), int(sys.argv[2]))) as child:
        print(child.pid, flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


def _is_alive(pid: int) -> bool:
    return pid != 0 and Path(f"/proc/{pid}").exists()


def _listening(pid: int) -> list[str]:
    """The local addresses, as the kernel prints them, of a process's listening TCP sockets."""
    links = [str(path.readlink()) for path in Path(f"/proc/{pid}/fd").iterdir() if path.is_symlink()]
    inodes = {link[len("socket:[") : -1] for link in links if link.startswith("socket:[")}
    rows = [
        line.split()
        for name in ("tcp", "tcp6")
        for line in Path(f"/proc/{pid}/net/{name}").read_text().splitlines()[1:]
    ]
    return [row[1] for row in rows if row[3] == "0A" and row[9] in inodes]


async def _until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not is_so():  # the state is the kernel's
            await asyncio.sleep(0.02)
