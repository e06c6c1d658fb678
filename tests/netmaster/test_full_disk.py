"""An etcd that has no room left: refused with the reason, and as before once somebody has made room."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from isthmus.core.errors import StoreUnavailableError
from isthmus.edge.store import DeleteRange, Put, Store
from isthmus.wire.endpoints import parse_endpoints
from tests.edge.test_store_watch import until
from tests.netmaster.conftest import Master, free_ports

if TYPE_CHECKING:
    from tests.edge.conftest import Cluster, MakeCluster

pytestmark = pytest.mark.root

Start = Callable[..., Master]
QUOTA_BYTES = 8 << 20
PIECE = b"x" * (1 << 20)
DISK_MB = 150  # etcd takes 128 of them at once


def etcdctl(cluster: Cluster, *words: str) -> None:
    line = ["etcdctl", "--endpoints", str(cluster.members[0].endpoint), *words]
    subprocess.run(line, env={"ETCDCTL_API": "3"}, check=True, capture_output=True)


async def write_pieces(store: Store) -> None:
    for number in range(100):
        await store.commit([], [Put(f"/filler/{number}", PIECE)])


async def fill(store: Store) -> None:
    """Write until etcd raises its alarm."""
    with pytest.raises(StoreUnavailableError, match="database space exceeded"):
        await write_pieces(store)
    assert store.health.is_connected, "it answers, and no other member knows better"


async def test_etcds_alarm_is_a_refusal_that_names_it_and_ends_with_it(make_cluster: MakeCluster, start: Start) -> None:
    cluster = make_cluster(1, f"--quota-backend-bytes={QUOTA_BYTES}")
    async with Store(cluster.endpoints) as store:
        master = start("-cluster-store", str(cluster.endpoints))
        assert master.post_tenant("before").status == 200
        await fill(store)
        refused = master.post_tenant("blue")
        assert (refused.status, "database space exceeded" in refused.text) == (503, True), refused.text
        assert str(cluster.members[0].endpoint) in refused.text
        assert [each["tenantName"] for each in master.ask("GET", "/api/v1/tenants/").json] == ["before", "default"]
        await store.commit([], [DeleteRange("/filler/")])
        await store.compact((await store.read()).revision)
        for words in (("defrag",), ("alarm", "disarm")):
            etcdctl(cluster, *words)
        assert master.post_tenant("blue").status == 200
    assert master.stop() == 0


@contextmanager
def disk(folder: Path) -> Iterator[Path]:
    """A small disk of its own."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "small", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def take_the_rest(filler: Path) -> None:
    done = subprocess.run(["dd", "if=/dev/zero", f"of={filler}", "bs=64k"], capture_output=True, check=False)
    assert b"No space left" in done.stderr


async def test_a_private_etcd_on_a_full_disk_is_told_and_is_back_when_there_is_room(
    tmp_path: Path, start: Start
) -> None:
    port, _ = free_ports(2)
    with disk(tmp_path) as folder:
        master = start("-data-dir", str(folder / "etcd"), "-etcd-port", str(port))
        await until(lambda: master.post_tenant("before").status == 200)
        take_the_rest(folder / "filler")
        async with Store(parse_endpoints(f"etcd://127.0.0.1:{port}")) as store:
            with pytest.raises(StoreUnavailableError):
                await write_pieces(store)
        refused = master.post_tenant("blue")
        assert (refused.status, f"etcd at 127.0.0.1:{port}" in refused.text) == (503, True), refused.text
        (folder / "filler").unlink()
        await until(lambda: master.post_tenant("blue").status == 200)
        master.process.terminate()
        said = master.process.communicate(timeout=20)[1]
    reasons = [line.partition("reason=")[2] for line in said.splitlines() if "the private etcd has ended" in line]
    assert "no space left on device" in reasons[0]
    assert len(reasons) == len(set(reasons)), "each is told once, however often etcd is started in vain"
