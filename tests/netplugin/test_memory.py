"""What an agent remembers of the cluster: all of it, over a restart, and never half."""

import asyncio
import contextlib
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

from isthmus.core.model import EpochId, Node, NodeLease, NodeName, Record, Tenant, TenantName
from isthmus.core.world import Evolution, World
from isthmus.netplugin.memory import NOTHING, Memory, Remembered
from isthmus.wire import keys
from tests.netplugin.conftest import NETWORK, log

RECORDS: tuple[Record, ...] = (NETWORK, Tenant(TenantName("blue")), Node(NodeName("n"), IPv4Address(1), "1"))
KEPT = {keys.key_of(NETWORK): NETWORK, "/isthmus/v1/endpoint/blue/net/gone": None}
KNOWN = Remembered(EpochId("e"), 7, {keys.key_of(each): each for each in RECORDS}, KEPT, frozenset([EpochId("d")]))


def content(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


async def kept(memory: Memory, known: Remembered, path: Path) -> None:
    """Let it be written."""
    before = content(path)
    memory.notice(Evolution(World()))
    task = asyncio.create_task(memory.keep(lambda: known))
    try:
        while content(path) in (None, before):
            assert not task.done()
            await asyncio.sleep(0.01)
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_what_was_known_is_known_again_but_not_who_was_alive(tmp_path: Path) -> None:
    path = tmp_path / "below" / "cluster.json"
    lease = NodeLease(NodeName("n"), "host")
    await kept(Memory(path, log()), replace(KNOWN, records={**KNOWN.records, "x": lease}), path)
    assert Memory(path, log()).load() == KNOWN
    later = Remembered(None, 8, {})
    await kept(Memory(path, log()), later, path)
    assert Memory(path, log()).load() == later


def test_without_a_file_or_with_a_damaged_one_nothing_is_known(tmp_path: Path) -> None:
    path = tmp_path / "cluster.json"
    assert Memory(path, log()).load() == NOTHING
    for damaged in (
        "",
        "{",
        "[]",
        '{"epoch":null}',
        '{"epoch":null,"revision":1,"records":{"/isthmus/v1/global":"{"}}',
    ):
        path.write_text(damaged)
        assert Memory(path, log()).load() == NOTHING
