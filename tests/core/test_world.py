"""The laws of `evolve`: a world is its records, whatever their order of arrival between two changes of one key."""

from ipaddress import IPv4Address, IPv4Network

from hypothesis import given
from hypothesis import strategies as st

from isthmus.core.model import (
    AddressClaim,
    AllocationCursor,
    ClaimPurpose,
    Encap,
    Endpoint,
    EndpointId,
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
    Subnet,
    Tag,
    TagOwner,
    Tenant,
    TenantName,
    mac_of,
)
from isthmus.core.world import Change, World, evolve

KEYS = [NetworkKey(TenantName(tenant), NetworkName(name)) for tenant in ("default", "blue") for name in ("a", "b")]
SUBNET = Subnet("10.1.2.0/24", IPv4Network("10.1.2.0/24"), IPv4Address("10.1.2.0"), IPv4Address("10.1.2.255"))


def address(last: int) -> IPv4Address:
    return IPv4Address(f"10.1.2.{last}")


def endpoint(key: NetworkKey, last: int, node: str = "node1") -> Endpoint:
    return Endpoint(EndpointId(f"{last:064x}"), key, NodeName(node), mac_of(address(last)), address(last))


keys = st.sampled_from(KEYS)
lasts = st.integers(1, 6)
groups = st.sampled_from([None, GroupName("db")])
nodes = st.sampled_from([NodeName("node1"), NodeName("node2")])
records: st.SearchStrategy[Record] = st.one_of(
    st.builds(lambda key, tag: Network(key, Encap.VXLAN, Tag(tag), SUBNET), keys, st.integers(1, 9)),
    st.builds(endpoint, keys, lasts, nodes),
    st.builds(lambda key, last: AddressClaim(key, address(last), ClaimPurpose.LEASE), keys, lasts),
    st.builds(lambda key, last, group: AllocationCursor(key, address(last), group=group), keys, lasts, groups),
    st.builds(lambda name, last: Node(name, address(last), "1"), nodes, lasts),
    st.builds(NodeLease, nodes, st.just("identity")),
    st.builds(NodeContact, nodes, lasts),
    st.builds(Epoch, st.sampled_from([EpochId("a"), EpochId("b")])),
    st.builds(lambda name: Tenant(TenantName(name)), st.sampled_from(["default", "blue"])),
    st.just(Settings()),
    st.builds(lambda key: TagOwner(Encap.VXLAN, Tag(1), key), keys),
)
histories = st.lists(st.builds(Change, records, st.booleans()), max_size=30)


@given(histories)
def test_one_evolution_of_all_changes_equals_one_a_change(history: list[Change]) -> None:
    stepwise = World()
    for number, change in enumerate(history, start=1):
        stepwise = evolve(stepwise, [change], number).world
    assert evolve(World(), history, len(history)).world == stepwise


@given(histories)
def test_what_was_added_and_removed_leaves_the_world_as_before(history: list[Change]) -> None:
    added = [Change(change.record) for change in history]
    removed = [Change(change.record, is_removal=True) for change in reversed(history)]
    after = evolve(evolve(World(), added, 1).world, removed, 0).world
    assert after == World()


@given(histories, histories)
def test_a_world_never_changes_after_it_was_given_out(first: list[Change], second: list[Change]) -> None:
    world = evolve(World(), first, 1).world
    copy = evolve(World(), first, 1).world
    evolve(world, second, 2)
    assert world == copy


def test_a_container_is_no_change_of_intent_and_a_network_is() -> None:
    network = Network(KEYS[0], Encap.VXLAN, Tag(1), SUBNET)
    made = evolve(World(), [Change(network)], 1)
    assert made.is_intent_changed
    assert made.networks == {KEYS[0]}
    joined = evolve(made.world, [Change(endpoint(KEYS[0], 1))], 2)
    assert not joined.is_intent_changed
    assert joined.networks == {KEYS[0]}


def test_hosts_change_with_a_tunnel_address_and_not_with_a_report() -> None:
    node = Node(NodeName("node1"), address(1), "1")
    first = evolve(World(), [Change(node)], 1)
    assert first.is_host_changed
    report = Node(NodeName("node1"), address(1), "1", applied_revision=7)
    assert not evolve(first.world, [Change(report)], 2).is_host_changed
    moved = Node(NodeName("node1"), address(2), "1")
    assert evolve(first.world, [Change(moved)], 2).is_host_changed
