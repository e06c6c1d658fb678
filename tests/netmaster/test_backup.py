"""A cluster's backup, restored into another etcd: the same records, whatever breaks off on the way."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import structlog
import yaml

from isthmus.core.datapath import Owner
from isthmus.core.ipam import parse_subnet
from isthmus.core.model import (
    AddressClaim,
    ClaimPurpose,
    Encap,
    Endpoint,
    EndpointId,
    EngineState,
    Epoch,
    EpochId,
    GroupName,
    Network,
    NetworkKey,
    NetworkName,
    Node,
    NodeContact,
    NodeLease,
    NodeName,
    Record,
    Settings,
    Tag,
    TagOwner,
    Tenant,
    TenantName,
    mac_of,
)
from isthmus.edge.etcd_child import EtcdSettings
from isthmus.edge.store import DeleteRange, Put, Store
from isthmus.netmaster import plans
from isthmus.netmaster.backup import MAX_BACKUP_BYTES
from isthmus.netplugin.ledger import Ledger
from isthmus.netplugin.mirror import Mirror
from isthmus.wire import keys
from isthmus.wire.endpoints import parse_endpoints
from tests.netmaster.test_apply import CLUSTER

if TYPE_CHECKING:
    from tests.netmaster.conftest import Master

pytestmark = pytest.mark.root

Dump = Callable[[], Awaitable[dict[str, bytes]]]
Records = dict[str, str]

BLUE = TenantName("blue")
NET = NetworkKey(BLUE, NetworkName("net"))


def netctl(master: Master, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "isthmus.netctl", "--netmaster", master.url, *words]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=100, check=False)


def restore(master: Master, records: Mapping[str, str], *, is_dry_run: bool = False) -> tuple[int, object]:
    path = f"/api/v1/restore/{'?dry-run=true' if is_dry_run else ''}"
    reply = master.ask("POST", path, {"records": records})
    return reply.status, reply.json if reply.status == 200 else reply.text


async def wipe(store: Store) -> None:
    """What a fresh etcd has, once a netmaster has seen it."""
    await store.commit((), (DeleteRange(keys.ROOT),))
    await plans.done(store, plans.first_records())


@asynccontextmanager
async def agent(store: Store, name: str) -> AsyncIterator[Ledger]:
    """What an agent writes with: one follows the world until the end of the block."""
    mirror = Mirror(store, structlog.get_logger())
    following = asyncio.create_task(mirror.run())
    try:
        await mirror.reached((await store.read(prefixes=(keys.ROOT,))).mod_revision)
        yield Ledger(store, mirror, NodeName(name))
    finally:
        following.cancel()
        await asyncio.wait((following,))


async def populate(store: Store) -> None:
    """Containers as agents write them: joined, not joined, in a group, an address claimed alone, one given back."""
    for number, name in enumerate(("node1", "node2"), start=10):
        node = Node(
            NodeName(name),
            IPv4Address(f"192.168.2.{number}"),
            "0.1.0",
            EngineState.READY,
            "28",
            77,
            {"host": "bad"},
            EpochId("e"),
            "done",
        )
        records = (node, NodeLease(node.name, "host"), NodeContact(node.name, 1))
        await store.commit((), [Put(keys.key_of(each), keys.render(each)) for each in records])
        async with agent(store, name) as ledger:
            for letter, group in (("a", None), ("b", GroupName("front")), ("c", GroupName("back"))):
                address = await ledger.claim_next(Owner(NET, group))
                assert isinstance(address, IPv4Address)
                born = Endpoint(EndpointId(f"{letter}{number}"), NET, node.name, mac_of(address), address, group=group)
                await ledger.create(born)
                if letter != "c":
                    await ledger.join(born, f"web-{letter}", "/run/netns/x")
            await ledger.release(NET, await ledger.claim_next(Owner(NET)))
            await ledger.claim_next(Owner(NET))


@pytest.fixture
async def rich(master: Master, store: Store) -> Master:
    """A netmaster with a cluster of every kind of object, and containers in it."""
    assert netctl(master, "apply", "-f", "-", stdin=CLUSTER).returncode == 0
    for number in range(30):  # tags and ids that are not those of a first creation
        master.post_network(f"blue:n{number}", f"10.2.{number}.0/24", encap="vlan" if number % 3 else "vxlan")
    for number in range(0, 30, 4):
        master.ask("DELETE", f"/api/v1/networks/blue:n{number}/")
    for number in (1, 2, 3):
        group = {"tenantName": "blue", "groupName": f"g{number}", "networkName": "net"}
        master.post("endpointGroups", f"blue:g{number}", **group)
    master.ask("DELETE", "/api/v1/endpointGroups/blue:g2/")
    await populate(store)
    await store.commit((), [Put(keys.EPOCH, keys.render(Epoch(EpochId("e"))))])
    return master


def lasting(records: Mapping[str, bytes]) -> dict[str, bytes]:
    """What a backup keeps: nodes' reports without what changes with every write, and neither leases nor contacts."""
    found: dict[str, bytes] = {}
    for key, value in records.items():
        record = keys.parse(key, value)
        if isinstance(record, Node):
            found[key] = keys.render(replace(record, applied_revision=0, problems={}, epoch=None, salvage=""))
        elif not isinstance(record, NodeLease | NodeContact | Epoch):
            found[key] = value
    return found


@dataclass(frozen=True)
class Fresh:
    """A netmaster on an etcd of its own, which was empty when it started."""

    master: Master
    etcd_port: int

    async def dump(self) -> dict[str, bytes]:
        async with Store(parse_endpoints(f"etcd://127.0.0.1:{self.etcd_port}")) as store:
            return {item.key: item.value for item in (await store.read(prefixes=("",))).items}


@pytest.fixture
def fresh(start: Callable[..., Master], free_port: Callable[[], int], tmp_path: Path) -> Iterator[Fresh]:
    port = free_port()
    master = start("-data-dir", str(tmp_path / "fresh"), "-etcd-port", str(port), "-log-level", "error")
    end_s = time.monotonic() + 20
    while master.ask("GET", "/api/v1/tenants/default/").status != 200:
        assert time.monotonic() < end_s
        time.sleep(0.05)
    yield Fresh(master, port)
    master.stop()


@pytest.mark.parametrize("form", ["yaml", "json"])
async def test_a_backup_makes_the_same_cluster_of_an_empty_etcd(
    rich: Master, dump: Dump, fresh: Fresh, form: str
) -> None:
    wanted = lasting(await dump())
    assert {type(keys.parse(key, value)) for key, value in wanted.items()} == {*keys.KINDS} - {
        NodeLease,
        NodeContact,
        Epoch,
    }
    backup = netctl(rich, "export", "--all", "-o", form)
    assert (backup.returncode, backup.stderr) == (0, "")
    counts = f"{len(wanted) - 1} records to be restored, 1 unchanged\n"
    dry = netctl(fresh.master, "apply", "-f", "-", "--dry-run", stdin=backup.stdout)
    assert (dry.returncode, dry.stderr, dry.stdout.startswith(counts)) == (0, "", True)
    assert len(await fresh.dump()) == 2
    done = netctl(fresh.master, "apply", "-f", "-", stdin=backup.stdout)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"restored {len(wanted) - 1} records, 1 unchanged\n")
    assert done.stdout.count("\n") == 2
    assert await fresh.dump() == wanted
    again = netctl(fresh.master, "apply", "-f", "-", stdin=backup.stdout)
    assert (again.returncode, again.stdout) == (0, done.stdout.split("\n", 1)[1])
    assert await fresh.dump() == wanted
    assert netctl(fresh.master, "export", "--all", "-o", form).stdout == backup.stdout


async def test_what_is_given_after_a_restoration_is_new(rich: Master, store: Store, dump: Dump) -> None:
    records: Records = rich.ask("GET", "/api/v1/backup/").json["records"]
    before = {key for key in await dump() if key.startswith((keys.ADDRESSES, keys.GROUP_IDS, keys.ROOT + "v"))}
    await wipe(store)
    assert restore(rich, records)[0] == 200
    async with agent(store, "node3") as ledger:
        address = await ledger.claim_next(Owner(NET))
    assert keys.address_key(NET, address) not in before
    assert rich.post_network("blue:more", "10.77.0.0/16").status == 200
    group = {"tenantName": "blue", "groupName": "more-g", "networkName": "more"}
    assert rich.post("endpointGroups", "blue:more-g", **group).status == 200
    after = await dump()
    new = {key for key in after if key.startswith((keys.GROUP_IDS, keys.ROOT + "vni/"))} - before
    assert len(new) == 2


async def test_wherever_it_breaks_off_the_same_again_completes_it(
    masters: tuple[Master, Master], store: Store, dump: Dump
) -> None:
    records = dict(many(700))
    assert restore(masters[0], records)[0] == 200
    items = (await store.read(prefixes=(keys.ROOT,))).items
    revisions = sorted({item.mod_revision for item in items})
    assert len(revisions) > 10
    whole = await dump()
    for cut in revisions[:: len(revisions) // 7]:
        await wipe(store)
        written = [item for item in items if item.mod_revision <= cut]
        for first in range(0, len(written), 100):
            await store.commit((), [Put(item.key, item.value) for item in written[first : first + 100]])
        status, counts = restore(masters[1], records)
        assert (status, await dump()) == (200, whole)
        assert isinstance(counts, dict)
        assert counts["written"] + counts.get("unchanged", 0) == len(records)


async def test_many_at_once_restore_it_once(masters: tuple[Master, Master], store: Store, dump: Dump) -> None:
    records = dict(many(500))
    replies = await asyncio.gather(*(asyncio.to_thread(restore, master, records) for master in masters * 3))
    assert [status for status, _ in replies] == [200] * 6
    assert {key: value.decode() for key, value in (await dump()).items()} == records


def many(endpoints: int) -> Iterator[tuple[str, str]]:
    """A cluster with so many containers: two records each, and some more."""
    records: list[Record] = [Settings(), Tenant(TenantName("default")), Tenant(BLUE)]
    for number in range(10):
        key = NetworkKey(BLUE, NetworkName(f"n{number}"))
        network = Network(key, Encap.VXLAN, Tag(number + 1), parse_subnet(f"10.{number}.0.0/16"))
        records += [network, TagOwner(Encap.VXLAN, network.tag, key)]
        for each in range(number, endpoints, 10):
            address = network.subnet.prefix[each + 1]
            node = NodeName(f"node{each % 100}")
            container = f"container-{each}"
            endpoint = Endpoint(
                EndpointId(f"{each:064x}"), key, node, mac_of(address), address, None, None, container, "/run/netns/x"
            )
            records += [endpoint, AddressClaim(key, address, ClaimPurpose.LEASE, node, endpoint.id)]
    yield from ((keys.key_of(record), keys.render(record).decode()) for record in records)


async def test_a_large_backup_goes_through_though_its_master_is_killed_in_the_middle(
    etcd: EtcdSettings, store: Store, masters: tuple[Master, Master], start: Callable[..., Master], tmp_path: Path
) -> None:
    async def dump() -> dict[str, bytes]:
        return {item.key: item.value for item in (await store.read(prefixes=("",))).items}

    records = dict(many(10_000))
    assert len(records) > 20_000
    path = tmp_path / "backup.yaml"
    path.write_text(yaml.dump({"version": 1, "records": records}, Dumper=yaml.CSafeDumper, width=1000))
    assert path.stat().st_size > 2**22
    mortal = start("-cluster-store", str(etcd.endpoints), "-log-level", "error")
    words = [sys.executable, "-m", "isthmus.netctl", "--netmaster", mortal.url, "apply", "-f", str(path)]
    child = await asyncio.create_subprocess_exec(*words, stdout=-1, stderr=-1)
    first = next(key for key in sorted(records) if key.startswith(keys.ADDRESSES))
    while not (await store.read(keys=(first,))).items:
        assert child.returncode is None
    mortal.process.kill()
    mortal.process.communicate()
    out, err = await child.communicate()
    assert (child.returncode, out) == (3, b"")
    assert b"not all records are restored: " in err
    assert b"(run it again to complete it)" in err
    assert 100 < len(await dump()) < len(records)
    done = await asyncio.to_thread(netctl, masters[0], "apply", "-f", str(path))
    assert (done.returncode, done.stderr) == (0, "")
    assert {key: value.decode() for key, value in (await dump()).items()} == records
    exported = await asyncio.to_thread(netctl, masters[0], "export", "--all", "-o", "json")
    assert json.loads(exported.stdout)["records"] == records


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("/isthmus/v2/tenant/blue", "{}", 'record "/isthmus/v2/tenant/blue" is of a kind that this version does not'),
        ("/isthmus/v1/planet/earth", "{}", 'record "/isthmus/v1/planet/earth" is of a kind'),
        ("/isthmus/v1/tenant/blue", "{}", "record /isthmus/v1/tenant/blue cannot be read: name: "),
        ("/isthmus/v1/tenant/blue", "?", "record /isthmus/v1/tenant/blue cannot be read: "),
        ("/isthmus/v1/tenant/blue", "\ud800", "record /isthmus/v1/tenant/blue cannot be read: "),
        (
            "/isthmus/v1/tenant/blue",
            '{"name":"red"}',
            "record /isthmus/v1/tenant/blue cannot be: its value is that of /",
        ),
        ("/isthmus/v1/vni/7", '{"encap":"vxlan","tag":7,"owner":{"tenant":"a","name":"b"}}', "vxlan tag 7 is held by"),
        ("/isthmus/v1/node/n/lease", '{"name":"n","identity":"x"}', "says what goes on at present"),
        ("/isthmus/v1-contact/n", '{"name":"n","at_s":1}', "says what goes on at present"),
    ],
)
async def test_a_record_that_cannot_be_is_refused_by_name_and_nothing_is_written(
    master: Master, dump: Dump, key: str, value: str, said: str
) -> None:
    before = await dump()
    good = dict(many(10))
    status, text = restore(master, {**good, key: value})
    assert status == 400
    assert said in str(text)
    assert await dump() == before
    done = netctl(master, "apply", "-f", "-", stdin=json.dumps({"version": 1, "records": {**good, key: value}}))
    assert (done.returncode, done.stdout) == (3, "")
    assert await dump() == before


async def test_what_contradicts_the_cluster_is_refused_by_name_and_nothing_is_written(
    master: Master, dump: Dump
) -> None:
    assert master.post_tenant("blue").status == 200
    assert master.post_network("blue:n1", "10.99.0.0/16").status == 200
    assert master.post_network("default:mine", "10.99.0.0/16", pktTag=5).status == 200
    before = await dump()
    for is_dry_run in (True, False):
        status, text = restore(master, dict(many(10)), is_dry_run=is_dry_run)
        assert status == 409
        for key in ("network/blue/n1", "vni/1", "vni/5"):
            assert f"record /isthmus/v1/{key} is there, and differs" in str(text)
    assert await dump() == before


def test_a_body_beyond_the_limit_is_refused_and_one_of_a_mebibyte_is_not(master: Master) -> None:
    tenants = {f"t{number}": {"name": f"t{number}", "more": "x" * 400_000} for number in range(6)}
    assert restore(master, {f"{keys.TENANTS}{name}": json.dumps(each) for name, each in tenants.items()})[0] == 200
    reply = master.ask("POST", "/api/v1/tenants/red/", b" " * (2**20 + 1))
    assert (reply.status, "1048576" in reply.text) == (413, True)
    reply = master.ask("POST", "/api/v1/restore", b" " * (MAX_BACKUP_BYTES + 1))
    assert (reply.status, str(MAX_BACKUP_BYTES) in reply.text) == (413, True)


@pytest.mark.parametrize("line", ["export --all -t blue", "export --all -k network"])
def test_a_backup_is_of_the_whole_cluster(master: Master, line: str) -> None:
    done = netctl(master, *line.split())
    assert (done.returncode, "--all goes with neither" in done.stderr) == (1, True)
