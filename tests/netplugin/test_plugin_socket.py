"""The plugin socket answers from the first moment, with nothing else alive, and never with a traceback."""

import asyncio
import json
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from isthmus.core.model import NodeName
from isthmus.edge.engine import Engine
from isthmus.edge.kernel import Kernel
from isthmus.edge.server import listen_unix, serve
from isthmus.edge.store import Store
from isthmus.netplugin.driver import Driver
from isthmus.netplugin.kernel_turns import KernelTurns
from isthmus.netplugin.ledger import Ledger
from isthmus.netplugin.mirror import Mirror
from isthmus.netplugin.network_ids import NetworkIds
from isthmus.netplugin.plugin import CALLS, CONSTANTS, plugin_app
from isthmus.wire.endpoints import parse_endpoints
from tests.netplugin.conftest import log

NOBODY = "etcd://127.0.0.1:1"  # a port that nobody serves


@pytest.fixture
async def plugin(tmp_path: Path) -> AsyncIterator[aiohttp.ClientSession]:
    """A client of the socket of a driver that has no etcd, no engine and no kernel."""
    socket_path, stop = tmp_path / "netplugin.sock", asyncio.Event()
    listening = listen_unix(socket_path)
    assert stat.S_IMODE(socket_path.stat().st_mode) == 0o600
    async with Store(parse_endpoints(NOBODY)) as store, Engine(tmp_path / "docker.sock") as engine:
        mirror = Mirror(store, log())
        kernel = KernelTurns(Kernel(), asyncio.Event(), log())
        ids = NetworkIds(tmp_path / "ids.json", log())
        driver = Driver(NodeName("one"), mirror, Ledger(store, mirror, NodeName("one")), kernel, engine, ids)
        app = plugin_app(driver, store.ready, lambda: "etcd does not answer", log())
        serving = asyncio.create_task(serve(app, [listening], stop))
        async with aiohttp.ClientSession("http://plugin", connector=aiohttp.UnixConnector(str(socket_path))) as client:
            yield client
        stop.set()
        await serving


async def call(client: aiohttp.ClientSession, name: str, body: bytes = b"") -> tuple[int, dict[str, object]]:
    headers = {"Accept": "application/vnd.docker.plugins.v1.2+json"}  # and no content type, as the engine does
    async with client.post(f"/{name}", data=body, headers=headers) as response:
        answer = json.loads(await response.read())
        assert isinstance(answer, dict)
        return response.status, answer


MEANINGLESS = (b"", b"{", b"[]", b'{"NetworkID":7}', b'"\xff"')


async def test_what_the_engine_asks_first_is_answered_without_anybody(plugin: aiohttp.ClientSession) -> None:
    for name in CONSTANTS:
        status, answer = await call(plugin, name, b"{}")
        assert status == 200, name
        assert "Err" not in answer, name


async def test_a_body_that_means_nothing_is_an_error_in_both_forms(plugin: aiohttp.ClientSession) -> None:
    for name in CALLS:
        for body in MEANINGLESS:
            status, answer = await call(plugin, name, body)
            assert status == 500, (name, body)
            assert answer["Err"] == answer["Error"]
            assert name in str(answer["Err"]) or "netctl net create" in str(answer["Err"])
            assert "bug" not in str(answer["Err"])


async def test_a_retried_call_without_a_body_says_so(plugin: aiohttp.ClientSession) -> None:
    _, answer = await call(plugin, "NetworkDriver.Join")
    assert "empty request" in str(answer["Err"])


async def test_capabilities_are_of_a_local_driver(plugin: aiohttp.ClientSession) -> None:
    assert (await call(plugin, "NetworkDriver.GetCapabilities"))[1] == {"Scope": "local"}
    assert (await call(plugin, "Plugin.Activate"))[1] == {"Implements": ["NetworkDriver", "IpamDriver"]}


async def test_a_network_with_dockers_own_ipam_is_refused_with_the_reason(plugin: aiohttp.ClientSession) -> None:
    body = json.dumps({"NetworkID": "n", "IPv4Data": [{"AddressSpace": "LocalDefault", "Pool": "10.0.0.0/24"}]})
    _, answer = await call(plugin, "NetworkDriver.CreateNetwork", body.encode())
    assert "--ipam-driver netplugin" in str(answer["Err"])


async def test_no_connection_outlives_its_call(plugin: aiohttp.ClientSession) -> None:
    """An engine repeats a call without its body where it wrote it while we closed the connection for being idle."""
    for name in ("Plugin.Activate", "IpamDriver.ReleasePool", "NetworkDriver.Join"):
        async with plugin.post(f"/{name}", data=b"{}") as response:
            assert response.headers["Connection"] == "close", name
