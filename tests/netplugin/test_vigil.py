"""An etcd that goes away and comes back is told in the log, once each."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from isthmus.edge.etcd_child import EtcdChild, EtcdSettings
from isthmus.edge.store import Store
from isthmus.netplugin.mirror import Mirror
from isthmus.netplugin.vigil import keep_vigil
from tests.netplugin.conftest import log

pytestmark = pytest.mark.root


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not is_so():  # the state is etcd's, which sets no event of ours
            await asyncio.sleep(0.01)


async def test_an_outage_of_etcd_is_two_lines(tmp_path: Path, free_port: Callable[[], int]) -> None:
    settings = EtcdSettings(tmp_path / "etcd", free_port(), extra=("--unsafe-no-fsync",))
    with capture_logs() as lines:
        async with Store(settings.endpoints) as store:
            mirror = Mirror(store, log())
            async with EtcdChild(settings):
                following = asyncio.create_task(mirror.run())
                await mirror.reached()
                vigil = asyncio.create_task(keep_vigil(store, log(), period_s=0.01))
                await until(lambda: store.health.is_connected)
            await until(lambda: len(lines) >= 1)
            async with EtcdChild(settings):
                await until(lambda: len(lines) >= 2)
            for task in (following, vigil):
                task.cancel()
            await asyncio.wait((following, vigil))
    gone, back = lines[:2]
    assert (gone["log_level"], gone["event"]) == (
        "warning",
        "etcd does not answer; what runs goes on, what is new waits",
    )
    assert str(settings.client_port) in gone["reason"]
    assert (back["log_level"], back["event"]) == ("info", "etcd answers again")
