"""An etcd that has no room left: refused with the reason, and as before once somebody has made room."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from isthmus.core.errors import StoreUnavailableError
from isthmus.edge.store import DeleteRange, Put, Store
from tests.netmaster.conftest import Master

if TYPE_CHECKING:
    from tests.edge.conftest import Cluster, MakeCluster

pytestmark = pytest.mark.root

Start = Callable[..., Master]
QUOTA_BYTES = 8 << 20
PIECE = b"x" * (1 << 20)


def etcdctl(cluster: Cluster, *words: str) -> None:
    line = ["etcdctl", "--endpoints", str(cluster.members[0].endpoint), *words]
    subprocess.run(line, env={"ETCDCTL_API": "3"}, check=True, capture_output=True)


async def fill(store: Store) -> None:
    """Write until etcd raises its alarm."""

    async def write() -> None:
        for number in range(100):
            await store.commit([], [Put(f"/filler/{number}", PIECE)])

    with pytest.raises(StoreUnavailableError, match="database space exceeded"):
        await write()
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
