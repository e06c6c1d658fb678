"""Records survive the way to etcd and back, each under a key of its own."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

import pytest

from isthmus.core.errors import UnreadableRecordError
from isthmus.core.model import (
    AddressClaim,
    AllocationCursor,
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
    NetworkType,
    Node,
    NodeContact,
    NodeLease,
    NodeName,
    Range,
    Record,
    Settings,
    Subnet,
    SubnetV6,
    Tag,
    TagOwner,
    Tenant,
    TenantName,
    mac_of,
)
from isthmus.wire import keys

KEY = NetworkKey(TenantName("blue"), NetworkName("contiv-net"))
ADDRESS, ADDRESS_V6 = IPv4Address("10.1.2.3"), IPv6Address("fd00::3")
SUBNET = Subnet("10.1.2.9/24", IPv4Network("10.1.2.0/24"), IPv4Address("10.1.2.0"), IPv4Address("10.1.2.255"))
SUBNET_V6 = SubnetV6("fd00::/64", IPv6Network("fd00::/64"))

RECORDS: list[tuple[str, Record]] = [
    ("global", Settings(Range(1, 9), Range(2, 8))),
    ("tenant/blue", Tenant(TenantName("blue"))),
    ("network/blue/contiv-net", Network(KEY, Encap.VXLAN, Tag(1), SUBNET)),
    (
        "network/blue/contiv-net",
        Network(KEY, Encap.VLAN, Tag(112), SUBNET, ADDRESS, SUBNET_V6, ADDRESS_V6, 112, NetworkType.INFRA, "label"),
    ),
    ("vni/1", TagOwner(Encap.VXLAN, Tag(1), KEY)),
    ("vlan/112", TagOwner(Encap.VLAN, Tag(112), KEY)),
    ("endpoint/blue/contiv-net/e1", Endpoint(EndpointId("e1"), KEY, NodeName("n"), mac_of(ADDRESS), ADDRESS)),
    (
        "endpoint/blue/contiv-net/e1",
        Endpoint(
            EndpointId("e1"), KEY, NodeName("n"), mac_of(ADDRESS), ADDRESS, ADDRESS_V6, None, "c1", "/run/netns/a"
        ),
    ),
    ("address/blue/contiv-net/10.1.2.3", AddressClaim(KEY, ADDRESS, ClaimPurpose.GATEWAY)),
    (
        "address/blue/contiv-net/fd00::3",
        AddressClaim(KEY, ADDRESS_V6, ClaimPurpose.LEASE, NodeName("n"), EndpointId("e1")),
    ),
    ("address/blue/contiv-net/last", AllocationCursor(KEY, ADDRESS, ADDRESS_V6)),
    ("address/blue/contiv-net/last/db", AllocationCursor(KEY, ADDRESS, group=GroupName("db"))),
    ("node/n", Node(NodeName("n"), ADDRESS, "0.1.0", EngineState.READY, "20.10", 7, {"network a:b": "why"})),
    ("node/n/lease", NodeLease(NodeName("n"), "identity")),
    ("epoch", Epoch(EpochId("e"))),
]


@pytest.mark.parametrize(("path", "record"), RECORDS)
def test_a_record_is_read_back_from_where_it_is_written(path: str, record: Record) -> None:
    assert keys.key_of(record) == keys.ROOT + path
    assert keys.parse(keys.key_of(record), keys.render(record)) == record


def test_a_contact_stands_outside_what_every_agent_watches() -> None:
    record = NodeContact(NodeName("n"), 1_764_100_000)
    place = keys.key_of(record)
    assert place == keys.CONTACTS + "n"
    assert not place.startswith(keys.ROOT)
    assert keys.parse(place, keys.render(record)) == record


@pytest.mark.parametrize("path", ["new-kind/x", "tenant/a/b", "node/n/other", "global/more", ""])
def test_a_key_of_a_later_version_is_left_alone(path: str) -> None:
    assert keys.parse(keys.ROOT + path, b"?") is None


@pytest.mark.parametrize("key", ["tenant/blue", "global", "/isthmus/v2/global", "/isthmus/v1-contact/a/b", ""])
def test_a_key_of_another_root_is_none_of_ours(key: str) -> None:
    assert keys.parse(key, b"?") is None


@pytest.mark.parametrize("value", [b"", b"[]", b"{}", b'"text"', b'{"schema":1,"name":3}', b"\xff"])
def test_a_damaged_value_is_named_by_its_key(value: bytes) -> None:
    with pytest.raises(UnreadableRecordError, match="tenant/blue"):
        keys.parse(keys.tenant_key(TenantName("blue")), value)


def test_a_field_of_a_later_version_does_not_hurt() -> None:
    value = b'{"schema":1,"name":"blue","colour":"#00f"}'
    assert keys.parse(keys.tenant_key(TenantName("blue")), value) == Tenant(TenantName("blue"))


def test_a_key_lies_under_its_network_and_under_no_namesake() -> None:
    longer = NetworkKey(KEY.tenant, NetworkName("contiv-net2"))
    record = Endpoint(EndpointId("e1"), longer, NodeName("n"), mac_of(ADDRESS), ADDRESS)
    assert not keys.key_of(record).startswith(keys.endpoints_of(KEY))
    assert keys.key_of(record).startswith(keys.endpoints_of(longer))
