"""netctl apply and export against a real netmaster: what they print, what comes true, and what stays as it was."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from ipaddress import IPv4Address
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from isthmus.core.admit.whole import faults
from isthmus.core.model import (
    Endpoint,
    EndpointId,
    EngineState,
    GroupName,
    NetworkKey,
    NetworkName,
    Node,
    NodeLease,
    NodeName,
    TenantName,
    mac_of,
)
from isthmus.core.world import Change, World, evolve
from isthmus.edge.store import Put, Store
from isthmus.wire import keys

if TYPE_CHECKING:
    from tests.netmaster.conftest import Master

pytestmark = pytest.mark.root

Netctl = Callable[..., subprocess.CompletedProcess[str]]
Dump = Callable[[], Awaitable[dict[str, bytes]]]

CLUSTER = """\
version: 1
objects:
- kind: rule
  tenant: blue
  policy: web
  name: 1
  direction: in
  protocol: tcp
  port: 80
  fromEndpointGroup: front
- {kind: tenant, name: blue}
- {kind: group, tenant: blue, name: front, networkName: net}
- kind: group
  tenant: blue
  name: back
  networkName: net
  policies: [web]
  netProfile: slow
  ipPool: 10.1.1.10-10.1.1.20
- {kind: policy, tenant: blue, name: web}
- {kind: network, tenant: blue, name: net, encap: vxlan, subnet: 10.1.1.0/24, gateway: 10.1.1.254}
- {kind: netprofile, tenant: blue, name: slow, bandwidth: 10Mbps}
- {kind: app-profile, tenant: blue, name: shop, endpointGroups: [front, back]}
- {kind: service, tenant: blue, name: www, networkName: net, selectors: [app=web], ports: [80:8080:tcp]}
---
version: 1
objects:
- {kind: global, fwdMode: routing, vxlans: 100-200}
- {kind: bgp, name: node1, routerip: 50.1.1.2/24, as: 65001, neighbor: 50.1.1.1, neighbor-as: 65002}
"""
TITLES = [
    "tenant blue",
    "global",
    "policy blue:web",
    "network blue:net",
    "netprofile blue:slow",
    "group blue:back",
    "group blue:front",
    "rule blue:web:1",
    "service blue:www",
    "app-profile blue:shop",
    "bgp node1",
]


def environment(master: Master) -> dict[str, str]:
    return os.environ | {"NETMASTER": master.url}


async def add_node(store: Store) -> None:
    """A node that has applied everything, whatever will come."""
    node = Node(NodeName("node1"), IPv4Address("192.168.2.10"), "0", EngineState.READY, applied_revision=1 << 40)
    await store.commit((), [Put(keys.key_of(each), keys.render(each)) for each in (node, NodeLease(node.name, "host"))])


@pytest.fixture
async def netctl(master: Master, store: Store) -> Netctl:
    await add_node(store)

    def run(line: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "isthmus.netctl", *line.split()]
        return subprocess.run(
            command, input=stdin, capture_output=True, text=True, timeout=60, check=False, env=environment(master)
        )

    return run


def said(done: subprocess.CompletedProcess[str]) -> tuple[int, str, str]:
    return done.returncode, done.stdout, done.stderr


def edited(text: str, edit: Callable[[list[dict[str, object]]], object]) -> str:
    """A file whose objects were changed."""
    content = yaml.safe_load(text)
    edit(content["objects"])
    return str(yaml.safe_dump(content, sort_keys=False))


def without(text: str, *titles: str) -> str:
    """A file without some objects."""

    def title(each: dict[str, object]) -> str:
        return f"{each['kind']} {each['name']}" if "name" in each else str(each["kind"])

    return edited(
        text, lambda objects: objects.__setitem__(slice(None), [x for x in objects if title(x) not in titles])
    )


def test_a_cluster_comes_from_a_file_and_a_second_time_nothing_changes(netctl: Netctl) -> None:
    verbs = ["changed" if title == "global" else "created" for title in TITLES]
    lines = [f"{verb} {title}\n" for verb, title in zip(verbs, TITLES, strict=True)]
    assert said(netctl("apply -f -", CLUSTER)) == (0, "".join(lines) + "10 created, 1 changed, 0 unchanged\n", "")
    assert said(netctl("apply -f -", CLUSTER)) == (0, "11 unchanged\n", "")


async def test_what_is_exported_makes_the_same_again(netctl: Netctl, store: Store, dump: Dump) -> None:
    netctl("apply -f -", CLUSTER)
    for form in ("yaml", "json"):
        exported = netctl(f"export -o {form}")
        assert (exported.returncode, exported.stderr) == (0, "")
        assert netctl("apply -f - -prune", exported.stdout).stdout == "12 unchanged\n"
        before = await dump()
        assert netctl("apply -f - -prune", without(exported.stdout, *(t for t in KEPT_OUT))).returncode == 0
        assert netctl("apply -f -", exported.stdout).returncode == 0
        assert await dump() == before
        assert netctl(f"export -o {form}").stdout == exported.stdout


KEPT_OUT = ("app-profile shop", "service www", "rule 1", "bgp node1")  # what has no number that would be given anew


def test_an_export_is_for_people_and_for_comparing(netctl: Netctl) -> None:
    netctl("apply -f -", CLUSTER)
    assert netctl("export -t blue -k network -k rule -k group").stdout == (
        "# Written by netctl export; netctl apply -f FILE makes it so again.\n"
        "version: 1\n"
        "objects:\n"
        "- kind: network\n"
        "  tenant: blue\n"
        "  name: net\n"
        "  encap: vxlan\n"
        "  subnet: 10.1.1.0/24\n"
        "  gateway: 10.1.1.254\n"
        "  nwType: data\n"
        "- kind: group\n"
        "  tenant: blue\n"
        "  name: back\n"
        "  networkName: net\n"
        "  policies:\n"
        "  - web\n"
        "  netProfile: slow\n"
        "  ipPool: 10.1.1.10-10.1.1.20\n"
        "- kind: group\n"
        "  tenant: blue\n"
        "  name: front\n"
        "  networkName: net\n"
        "- kind: rule\n"
        "  tenant: blue\n"
        "  policy: web\n"
        "  name: '1'\n"
        "  direction: in\n"
        "  priority: 1\n"
        "  fromEndpointGroup: front\n"
        "  protocol: tcp\n"
        "  port: 80\n"
        "  action: allow\n"
    )


@pytest.mark.parametrize(
    ("line", "code", "text"),
    [
        ("export -t red", 3, "tenant red not found"),
        ("export -k net", 1, 'unknown kind \\"net\\": it is one of tenant, global, policy'),
        ("export -o xml", 1, 'output \\"xml\\": it is yaml or json'),
        ("export now", 1, "More arguments than required"),
        ("apply", 1, "File required"),
        ("apply -f - -f -", 1, "Standard input can be read once only"),
        ("apply -f - now", 1, "More arguments than required"),
        ("apply -f /nowhere", 3, "/nowhere: it cannot be read: No such file or directory"),
        ("apply -f /", 3, "/: it cannot be read: Is a directory"),
    ],
)
def test_what_cannot_be_asked_is_told(netctl: Netctl, line: str, code: int, text: str) -> None:
    done = netctl(line)
    assert done.returncode == code
    assert text in done.stderr


def test_several_files_are_one_wish(netctl: Netctl, tmp_path: Path) -> None:
    for name, text in zip("ab", CLUSTER.split("---\n"), strict=True):
        (tmp_path / name).write_text(text)
    assert netctl(f"apply -f {tmp_path}/b -f {tmp_path}/a").stdout.endswith("10 created, 1 changed, 0 unchanged\n")
    twice = netctl(f"apply -f {tmp_path}/b -f {tmp_path}/b")
    assert f"{tmp_path}/b:4: bgp node1 stands twice: first at {tmp_path}/b:4" in twice.stderr


async def test_a_dry_run_says_what_would_change_and_changes_nothing(netctl: Netctl, dump: Dump) -> None:
    netctl("apply -f -", CLUSTER)
    before = await dump()
    changed = without(CLUSTER.split("---\n", maxsplit=1)[0], "app-profile shop").replace("10Mbps", "20Mbps")
    changed += "- {kind: policy, tenant: blue, name: db}\n"
    assert said(netctl("apply -f - --dry-run --prune", changed)) == (
        0,
        "- app-profile blue:shop\n"
        "+ policy blue:db\n"
        "~ netprofile blue:slow\n"
        "    bandwidth: 10Mbps -> 20Mbps\n"
        "1 to be created, 1 to be changed, 1 to be removed, 7 unchanged\n",
        "",
    )
    assert await dump() == before


async def test_all_that_is_wrong_is_told_before_anything_is_done(netctl: Netctl, dump: Dump) -> None:
    netctl("apply -f -", CLUSTER)
    before = await dump()
    text = """\
version: 1
objects:
- {kind: policy, tenant: blue, name: new}
- {kind: network, tenant: blue, name: net, encap: vxlan, subnet: 10.2.0.0/16}
- {kind: network, tenant: blue, name: other, encap: gre, subnet: 10.3.0.0/33}
- {kind: group, tenant: blue, name: x, networkName: nowhere}
- {kind: network, tenant: blue, name: a_b, encap: vxlan, subnet: 10.4.0.0/16}
- kind: service
  tenant: blue
  name: www
  networkName: net
  selectors: [app=web]
  ports: ["80:8080:tcp"]
  ipAddress: 10.1.1.99
"""
    done = netctl("apply -f -", text)
    assert (done.returncode, done.stdout) == (3, "")
    expected = [
        "-:4: network blue:net is there and cannot change subnet 10.1.1.0/24 to 10.2.0.0/16, gateway 10.1.1.254 to",
        '-:5: network blue:other: encap \\"gre\\" has an invalid format: it is vxlan or vlan',
        "-:6: group blue:x names network blue:nowhere, which is neither in the file nor there",
        '-:7: network blue:a_b: networkName \\"a_b\\" has an invalid format',
        "-:8: service blue:www is there and cannot change ipAddress 10.1.1.1 to 10.1.1.99; remove it first",
        "nothing was changed: 5 errors",
    ]
    lines = done.stderr.splitlines()
    assert [line for line, text in zip(lines, expected, strict=True) if text not in line] == []
    assert await dump() == before


def test_the_address_that_a_service_has_may_be_asked_for_afterwards(netctl: Netctl) -> None:
    netctl("apply -f -", CLUSTER)
    wished = CLUSTER.replace("networkName: net, selectors", "networkName: net, ipAddress: 10.1.1.1, selectors")
    assert netctl("apply -f -", wished).stdout == "changed service blue:www\n1 changed, 10 unchanged\n"
    assert netctl("apply -f -", CLUSTER).stdout == "changed service blue:www\n1 changed, 10 unchanged\n"


def test_pruning_empties_the_tenants_of_the_file_and_nothing_else(netctl: Netctl) -> None:
    netctl("apply -f -", CLUSTER)
    netctl("net create -s 10.9.0.0/16 mine")
    done = netctl("apply -f - --prune", "version: 1\nobjects: [{kind: tenant, name: blue}]\n")
    gone = [title for title in reversed(TITLES) if ":" in title]
    assert sorted(done.stdout.splitlines()[:-1]) == sorted(f"removed {title}" for title in gone)
    assert done.stdout.endswith("8 removed, 1 unchanged\n")
    kinds = [each["kind"] for each in yaml.safe_load(netctl("export").stdout)["objects"]]
    assert kinds == ["tenant", "tenant", "global", "network", "bgp"]
    done = netctl("apply -f - --prune", "version: 1\nobjects: [{kind: global}, {kind: tenant, name: default}]\n")
    assert done.stdout == "removed bgp node1\nremoved network default:mine\n2 removed, 2 unchanged\n"


async def test_what_containers_use_is_not_pruned_and_nothing_else_is_either(
    netctl: Netctl, store: Store, dump: Dump
) -> None:
    netctl("apply -f -", CLUSTER)
    address, key = IPv4Address("10.1.1.10"), NetworkKey(TenantName("blue"), NetworkName("net"))
    user = Endpoint(
        EndpointId("e" * 64), key, NodeName("node1"), mac_of(address), address, None, GroupName("back"), "web"
    )
    await store.commit((), (Put(keys.key_of(user), keys.render(user)),))
    before = await dump()
    done = netctl("apply -f - --prune", "version: 1\nobjects: [{kind: tenant, name: blue}]\n")
    assert (done.returncode, done.stdout) == (3, "")
    for title in ("network blue:net", "group blue:back"):
        assert f"--prune: {title} cannot be removed, it is in use by 1 container: web on node1" in done.stderr
    assert await dump() == before


def test_what_the_master_refuses_in_the_middle_is_told_and_a_second_run_completes(netctl: Netctl) -> None:
    text = """\
version: 1
objects:
- {kind: tenant, name: blue}
- {kind: network, tenant: blue, name: a, encap: vxlan, subnet: 10.1.0.0/16}
- {kind: network, tenant: blue, name: b, encap: vxlan, subnet: 10.1.1.0/24}
- {kind: policy, tenant: blue, name: p}
- {kind: group, tenant: blue, name: g, networkName: b, policies: [p]}
"""
    done = netctl("apply -f -", text)
    assert (done.returncode, done.stdout) == (3, "created tenant blue\ncreated policy blue:p\ncreated network blue:a\n")
    assert "network blue:b cannot be created: subnet 10.1.1.0/24 of network blue:b overlaps subnet" in done.stderr
    assert "(3 of 5 changes made; run it again to complete it)" in done.stderr
    done = netctl("apply -f -", text.replace("10.1.1.0/24", "10.2.0.0/16"))
    assert done.stdout == "created network blue:b\ncreated group blue:g\n2 created, 3 unchanged\n"


async def test_nodes_that_do_not_follow_are_one_warning_for_all_that_they_owe(netctl: Netctl, store: Store) -> None:
    silent = Node(NodeName("node2"), IPv4Address("192.168.2.11"), "0", EngineState.ABSENT)
    for record in (silent, NodeLease(silent.name, "host")):
        await store.commit((), [Put(keys.key_of(record), keys.render(record))])
    done = netctl("apply -f -", CLUSTER)
    assert (done.returncode, done.stderr.count("\n")) == (0, 1)
    expected = "network blue:net, group blue:back, group blue:front: not yet so on node2: its container engine does not"
    assert f'level=warning msg="{expected}' in done.stderr


def numbered(count: int) -> str:
    """Two tenants, and in each some networks with groups and rules."""
    objects: list[dict[str, object]] = []
    for tenant in ("blue", "red"):
        objects += [{"kind": "tenant", "name": tenant}, {"kind": "policy", "tenant": tenant, "name": "p"}]
        for number in range(count):
            own = {"tenant": tenant, "name": f"n{number}"}
            objects.append({"kind": "network", **own, "encap": "vxlan", "subnet": f"10.{number}.0.0/16"})
            own = {"tenant": tenant, "name": f"g{number}"}
            objects.append({"kind": "group", **own, "networkName": f"n{number}", "policies": ["p"]})
            rule = {"policy": "p", "direction": "in", "fromEndpointGroup": f"g{number}"}
            objects.append({"kind": "rule", **own, **rule})
    return json.dumps({"version": 1, "objects": objects})


async def applied(master: Master, text: str, *options: str) -> tuple[int | None, bytes, bytes]:
    """How an apply that runs beside others ends."""
    words = (sys.executable, "-m", "isthmus.netctl", "apply", "-f", "-", *options)
    child = await asyncio.create_subprocess_exec(*words, stdin=-1, stdout=-1, stderr=-1, env=environment(master))
    out, err = await child.communicate(text.encode())
    return child.returncode, out, err


async def test_many_that_contradict_each_other_leave_a_cluster_that_goes_together(
    masters: tuple[Master, Master], store: Store, dump: Dump
) -> None:
    await add_node(store)
    tenant = {"kind": "tenant", "name": "blue"}
    one = json.loads(numbered(5))["objects"]
    other = [{**each, "policies": []} if each["kind"] == "group" else each for each in one if each["name"] != "n1"]
    other = [each for each in other if each.get("networkName") != "n1" and each["kind"] not in ("rule", "policy")]
    texts = [json.dumps({"version": 1, "objects": objects}) for objects in (one, other, [tenant])]
    ends = await asyncio.gather(*(applied(masters[n % 2], texts[n % 3], "--prune") for n in range(9)))
    assert {code for code, _, _ in ends} <= {0, 3}
    assert all(b"error" in err for code, _, err in ends if code)
    records = [keys.parse(key, value) for key, value in (await dump()).items()]
    assert list(faults(evolve(World(), [Change(each) for each in records if each], 1).world)) == []
    for text in texts:
        assert (await applied(masters[0], text, "--prune"))[0] == 0
        assert (await applied(masters[1], text, "--prune"))[1].count(b"\n") == 1


async def test_many_at_once_make_it_so_once(masters: tuple[Master, Master], store: Store, dump: Dump) -> None:
    await add_node(store)
    text = numbered(8)

    ends = await asyncio.gather(*(applied(master, text) for master in masters * 2))
    assert [(code, err) for code, _, err in ends] == [(0, b"")] * 4
    content = await dump()
    networks = {key: json.loads(value) for key, value in content.items() if key.startswith(keys.NETWORKS)}
    owners = {key: json.loads(value)["owner"] for key, value in content.items() if "/vni/" in key}
    assert len(networks) == len(owners) == 16
    assert all(owners[f"{keys.ROOT}vni/{each['tag']}"] == each["key"] for each in networks.values())
    assert len([key for key in content if key.startswith(keys.GROUP_IDS)]) == 16
    done = await applied(masters[0], text)
    assert done == (0, b"52 unchanged\n", b"")


def test_the_form_of_many_objects_is_checked_and_nothing_is_written(master: Master) -> None:
    good = {"collection": "tenants", "key": "blue", "fields": {"tenantName": "blue"}}
    bad = {"collection": "tenants", "key": "red", "fields": {"tenantName": "blue"}}
    none = {"collection": "nodes", "key": "red", "fields": {}}
    reply = master.ask("POST", "/api/v1/check/", {"objects": [good, bad, none]})
    assert (reply.status, [each.get("index") for each in reply.json]) == (200, [1, 2])
    assert "invalid key" in reply.json[0]["text"]
    assert "nodes is no collection in which objects are created" in reply.json[1]["text"]
    assert [each["key"] for each in master.ask("GET", "/api/v1/tenants/").json] == ["default"]
    for body in (b"", b"[]", {"objects": [1]}, {"objects": [{"collection": "tenants", "key": "a", "fields": []}]}):
        assert master.ask("POST", "/api/v1/check/", body).status == 400
