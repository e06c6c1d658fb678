"""The description of the API holds: schemathesis finds no answer that it does not tell, and no failure.

In a process of its own, since it brings libraries whose warnings are not ours to mend.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import defaultdict
from ipaddress import IPv4Address
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from isthmus.core.model import (
    AddressClaim,
    ClaimPurpose,
    Endpoint,
    EndpointId,
    GroupName,
    NetworkKey,
    NetworkName,
    Node,
    NodeContact,
    NodeLease,
    NodeName,
    Record,
    TenantName,
    mac_of,
)
from isthmus.edge.store import Put, Store
from isthmus.wire import keys

if TYPE_CHECKING:
    from tests.netmaster.conftest import Master

pytestmark = pytest.mark.root

ROOT = Path(__file__).parents[2]
NET = NetworkKey(TenantName("default"), NetworkName("net"))
CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,"
    "response_headers_conformance,response_schema_conformance"
)
EXAMPLES = 8
SEED = 3
# What each object needs, and what keeps it from being deleted at once.
OBJECTS = (
    ("globals", "global", {"fwdMode": "routing"}),
    ("tenants", "blue", {"tenantName": "blue"}),
    ("networks", "default:net", {"networkName": "net", "encap": "vxlan", "subnet": "10.1.0.0/16"}),
    ("policys", "default:in", {"policyName": "in"}),
    ("netprofiles", "default:slow", {"profileName": "slow", "bandwidth": "1Mbps"}),
    (
        "endpointGroups",
        "default:db",
        {"groupName": "db", "networkName": "net", "policies": ["in"], "netProfile": "slow"},
    ),
    ("rules", "default:in:0", {"policyName": "in", "ruleId": "0", "direction": "in", "fromEndpointGroup": "db"}),
    ("appProfiles", "default:shop", {"appProfileName": "shop", "endpointGroups": ["db"]}),
)


async def furnish(master: Master, store: Store) -> None:
    for collection, key, fields in OBJECTS:
        reply = master.post(collection, key, **({"tenantName": "default"} | fields))
        assert reply.status == 200, reply.text
    node, lost, address = NodeName("node1"), NodeName("node2"), IPv4Address("10.1.0.5")
    ours = EndpointId("e" * 64)
    records: tuple[Record, ...] = (
        Node(node, IPv4Address("192.168.2.10"), "0"),
        Node(lost, None, "0"),
        NodeLease(node, "host"),
        NodeContact(lost, 1_764_100_799),
        Endpoint(ours, NET, node, mac_of(address), address, None, GroupName("db"), "web", "/run/netns/a"),
        AddressClaim(NET, address, ClaimPurpose.LEASE, node, ours),
    )
    await store.commit((), [Put(keys.key_of(each), keys.render(each)) for each in records])


def run_schemathesis(url: str, report: Path) -> subprocess.CompletedProcess[str]:
    bounds = ["--phases", "fuzzing", "--max-examples", str(EXAMPLES), "--seed", str(SEED), "--no-shrink"]
    output = ["--no-color", "--warnings", "off", "--report-ndjson-path", str(report), "--continue-on-failure"]
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{url}/openapi.json", "--checks", CHECKS]
    environment = os.environ | {
        "SCHEMATHESIS_HOOKS": "tests.netmaster.schemathesis_hooks",
        "PYTHONPATH": str(ROOT),
        "HYPOTHESIS_STORAGE_DIRECTORY": str(report.parent),
    }
    return subprocess.run(
        command + bounds + output,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
        env=environment,
        cwd=report.parent,
    )


def statuses(report: Path) -> dict[str, set[int]]:
    """{operation: the statuses that it answered}."""
    found: defaultdict[str, set[int]] = defaultdict(set)
    for line in report.read_text().splitlines():
        scenario = json.loads(line).get("ScenarioFinished")
        if scenario:
            recorder = scenario["recorder"]
            answers = (each["response"] for each in recorder["interactions"].values())
            found[recorder["label"]] |= {each["status_code"] for each in answers if each}
    return found


async def test_no_request_gets_an_answer_that_is_not_described(master: Master, store: Store, tmp_path: Path) -> None:
    await furnish(master, store)
    report = tmp_path / "report.ndjson"
    run = run_schemathesis(master.url, report)
    assert run.returncode == 0, run.stdout[-20_000:] + run.stderr
    answered = statuses(report)
    described = master.ask("GET", "/openapi.json").json["paths"]
    operations = {f"{method.upper()} {path}" for path, methods in described.items() for method in methods}
    assert answered.keys() == operations
    # Most of what is there is in use, so a deletion may be refused always; POST and PUT are the same.
    done = {each.replace("PUT ", "POST ") for each in operations if 200 in answered[each] or each.startswith("DELETE ")}
    assert sorted({each.replace("PUT ", "POST ") for each in operations} - done) == []
