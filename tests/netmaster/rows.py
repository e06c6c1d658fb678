"""The runner of tables of rules: each row is a request that must be refused, by what text, and leave nothing behind."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from isthmus.core.model import Record
from isthmus.edge.store import Put, Store
from isthmus.wire import keys

if TYPE_CHECKING:
    from tests.netmaster.conftest import Master

Dump = Callable[[], Awaitable[dict[str, bytes]]]
Fields = Mapping[str, Any]

KEY_FIELDS = {
    "tenants": ("tenantName",),
    "networks": ("tenantName", "networkName"),
    "endpointGroups": ("tenantName", "groupName"),
    "policys": ("tenantName", "policyName"),
    "rules": ("tenantName", "policyName", "ruleId"),
    "netprofiles": ("tenantName", "profileName"),
    "serviceLBs": ("tenantName", "serviceName"),
    "appProfiles": ("tenantName", "appProfileName"),
    "Bgps": ("hostname",),
    "globals": ("name",),
}
LONG = "a" * 65

# Objects that name each other, in the order in which they may come.
FURNITURE: tuple[tuple[str, Fields], ...] = (
    ("tenants", {"tenantName": "blue"}),
    ("networks", {"networkName": "net", "encap": "vxlan", "subnet": "10.1.0.0/16", "ipv6Subnet": "2001:db8::/64"}),
    ("networks", {"networkName": "lan", "encap": "vlan", "subnet": "10.2.0.0/24", "gateway": "10.2.0.254"}),
    ("networks", {"networkName": "spare", "encap": "vxlan", "subnet": "10.3.0.0/29"}),
    ("policys", {"policyName": "in"}),
    ("policys", {"policyName": "idle"}),
    ("netprofiles", {"profileName": "slow", "bandwidth": "10Mbps"}),
    ("netprofiles", {"profileName": "idle"}),
    (
        "endpointGroups",
        {
            "groupName": "db",
            "networkName": "net",
            "policies": ["in"],
            "netProfile": "slow",
            "ipPool": "10.1.9.1-10.1.9.9",
        },
    ),
    ("endpointGroups", {"groupName": "web", "networkName": "net"}),
    ("endpointGroups", {"groupName": "idle", "networkName": "net"}),
    ("rules", {"policyName": "in", "ruleId": "1", "direction": "in", "fromEndpointGroup": "web", "protocol": "tcp"}),
    ("rules", {"policyName": "in", "ruleId": "2", "direction": "in", "fromNetwork": "lan"}),
    (
        "serviceLBs",
        {"serviceName": "front", "networkName": "spare", "selectors": ["app=web"], "ports": ["80:8080:TCP"]},
    ),
    ("appProfiles", {"appProfileName": "shop", "endpointGroups": ["db"]}),
)


@dataclass(frozen=True)
class Row:
    """What must be refused: the fields that differ from a good request (None: left out), the status, words of it."""

    rule: str
    fields: Fields
    status: int
    words: tuple[str, ...]


def row(rule: str, fields: Fields, status: int, *words: str) -> Row:
    return Row(rule, fields, status, words)


def key_of(collection: str, fields: Fields) -> str:
    return ":".join(str(fields.get(name, "x")) for name in KEY_FIELDS[collection])


def post(master: Master, collection: str, fields: Fields) -> Any:
    """Post an object of the default tenant, unless it says another, under the key that is its own."""
    body = {"tenantName": "default", **fields} if collection not in ("Bgps", "globals") else dict(fields)
    body = {name: value for name, value in body.items() if value is not None}
    return master.ask("POST", f"/api/v1/{collection}/{key_of(collection, body)}/", body)


def furnish(master: Master) -> None:
    for collection, fields in FURNITURE:
        reply = post(master, collection, fields)
        assert reply.status == 200, reply.text


async def put(store: Store, *records: Record) -> None:
    """Write records as agents do."""
    await store.commit((), [Put(keys.key_of(each), keys.render(each)) for each in records])


async def not_refused(master: Master, dump: Dump, collection: str, good: Fields, rows: Iterable[Row]) -> list[str]:
    """What is not as the rows say of posts of `good` with their fields."""
    before = await dump()
    wrong = []
    for each in rows:
        reply = post(master, collection, {**good, **each.fields})
        missing = [word for word in each.words if word not in reply.text]
        is_plain = reply.headers["content-type"].startswith("text/plain") and reply.text.count("\n") == 1
        if reply.status != each.status or missing or not is_plain:
            wrong.append(f"{each.rule}: {reply.status} without {missing}: {reply.text}")
        if await dump() != before:
            wrong.append(f"{each.rule}: it left something behind")
            before = await dump()
    return wrong


async def not_kept(master: Master, dump: Dump, rows: Iterable[tuple[str, str]]) -> list[str]:
    """What is not as the rows (path, the text of the 409) say of deletions."""
    before = await dump()
    wrong = []
    for path, text in rows:
        reply = master.ask("DELETE", f"/api/v1/{path}/")
        if (reply.status, reply.text.rstrip("\n")) != (409, text) or await dump() != before:
            wrong.append(f"{path}: {reply.status} {reply.text}")
    return wrong
