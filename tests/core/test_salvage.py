"""What counts on where etcd has come back without it: who lives where, and never two owners of one address."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

from isthmus.core.model import (
    AddressClaim,
    ClaimPurpose,
    Encap,
    Endpoint,
    EndpointGroup,
    EndpointId,
    EpochId,
    GroupId,
    GroupKey,
    GroupName,
    Network,
    NetworkKey,
    NetworkName,
    Node,
    NodeName,
    Policy,
    PolicyKey,
    PolicyName,
    Record,
    Subnet,
    Tag,
    TenantName,
    mac_of,
)
from isthmus.core.salvage import amend, keep, lost_intent, rivals, settled_nodes, told_again, unused
from isthmus.wire import keys

TENANT = TenantName("blue")
KEY = NetworkKey(TENANT, NetworkName("net"))
SUBNET = Subnet("10.1.1.0/24", IPv4Network("10.1.1.0/24"), IPv4Address("10.1.1.0"), IPv4Address("10.1.1.255"))
NETWORK = Network(KEY, Encap.VXLAN, Tag(1), SUBNET)
GROUP = EndpointGroup(GroupKey(TENANT, GroupName("db")), GroupId(1), KEY.name)
ONE, TWO = NodeName("one"), NodeName("two")
NOBODY = frozenset[NodeName]()


def life(letter: str, last: int, node: NodeName = ONE) -> tuple[Endpoint, AddressClaim]:
    """An endpoint and its claim."""
    address = IPv4Address(f"10.1.1.{last}")
    endpoint = Endpoint(EndpointId(letter), KEY, node, mac_of(address), address, container=letter, sandbox="/run/x")
    return endpoint, AddressClaim(KEY, address, ClaimPurpose.LEASE, node, endpoint.id)


def by_key(*records: Record) -> dict[str, Record]:
    return {keys.key_of(each): each for each in records}


def node(name: NodeName, epoch: str | None = None) -> Node:
    return Node(name, IPv4Address("192.168.2.10"), "1", epoch=EpochId(epoch) if epoch else None)


def test_of_a_wiped_etcd_all_that_lives_counts_on_with_what_it_lives_in() -> None:
    policy = Policy(PolicyKey(TENANT, PolicyName("p")))
    lives = (*life("a", 1), *life("b", 2, TWO), NETWORK, GROUP, node(TWO))
    assert keep(by_key(*lives, policy), {}, NOBODY) == by_key(*lives)


def test_what_an_operator_said_and_etcd_has_no_more_is_told() -> None:
    policy = Policy(PolicyKey(TENANT, PolicyName("p")))
    known = by_key(*life("a", 1), NETWORK, policy, node(ONE))
    assert lost_intent(known, by_key(replace(NETWORK, tag=Tag(2)))) == set(by_key(policy))


def test_of_what_etcd_still_has_nothing_is_kept() -> None:
    whole = by_key(*life("a", 1), NETWORK, GROUP, node(ONE))
    assert keep(whole, whole, NOBODY) == {}


def test_an_address_that_nobody_holds_yet_is_not_kept() -> None:
    claim = AddressClaim(KEY, IPv4Address("10.1.1.9"), ClaimPurpose.LEASE, ONE)
    gateway = AddressClaim(KEY, IPv4Address("10.1.1.254"), ClaimPurpose.GATEWAY)
    assert keep(by_key(claim, gateway), {}, NOBODY) == {}


def test_of_an_older_state_the_newer_counts_and_intent_is_etcds() -> None:
    joined, claim = life("a", 1)
    older = replace(joined, sandbox="", container="")
    moved = replace(NETWORK, tag=Tag(2))
    kept = keep(by_key(joined, claim, NETWORK), by_key(older, claim, moved), NOBODY)
    assert kept == by_key(joined, claim)


def test_an_endpoint_that_had_gone_does_not_take_its_address_from_the_next() -> None:
    old, old_claim = life("old", 1, TWO)
    new, new_claim = life("new", 1)
    kept = keep(by_key(new, new_claim), by_key(old, old_claim), NOBODY)
    assert kept == {**by_key(new, new_claim), keys.key_of(old): None}


def test_an_endpoint_whose_claim_alone_is_lost_is_kept_whole() -> None:
    endpoint, claim = life("a", 1)
    assert keep(by_key(endpoint, claim), by_key(endpoint), NOBODY) == by_key(endpoint, claim)


def test_of_nodes_that_have_told_again_nothing_is_kept() -> None:
    told = by_key(node(TWO, "new"))
    settled = settled_nodes(told.values(), EpochId("new"))
    assert settled == {TWO}
    assert settled_nodes(told.values(), EpochId("newer")) == settled_nodes(told.values(), None) == NOBODY
    assert keep(by_key(*life("a", 1), *life("b", 2, TWO)), told, settled) == by_key(*life("a", 1))


def test_what_a_node_has_told_again_is_let_go_and_so_are_removed_nodes() -> None:
    kept = dict[str, Record | None](by_key(*life("a", 1), *life("b", 2, TWO), NETWORK))
    told = by_key(node(ONE), node(TWO))
    assert list(told_again(kept, told, NOBODY, ONE)) == []
    gone = set(by_key(*life("b", 2, TWO)))
    assert set(told_again(kept, told, frozenset([TWO]), ONE)) == gone
    assert set(told_again(kept, by_key(node(ONE)), NOBODY, ONE)) == gone
    assert set(told_again(by_key(node(TWO)), {}, NOBODY, ONE)) == set(by_key(node(TWO)))
    shadow, _ = life("b", 2, TWO)
    assert set(told_again({keys.key_of(shadow): None}, by_key(shadow, node(TWO)), frozenset([TWO]), ONE))


def test_who_comes_to_an_address_that_is_kept_is_hidden_whoever_wrote_it() -> None:
    kept = dict[str, Record | None](by_key(*life("a", 1), *life("b", 2)))
    old = by_key(*life("old", 1, TWO))
    hidden = {keys.key_of(life("old", 1, TWO)[0]): None}
    for settled in (NOBODY, frozenset([TWO])):
        assert amend(kept, old, old.keys(), settled) == {**kept, **hidden}
        assert keep(by_key(*life("a", 1), *life("b", 2)), old, settled) == {**kept, **hidden}
        assert list(told_again({**kept, **hidden}, {**old, **by_key(node(ONE), node(TWO))}, settled, ONE)) == []
    assert list(rivals(kept, life("old", 1, TWO)[0])) == [life("a", 1)[0]]


def test_what_comes_from_a_backup_is_not_newer_than_what_is_kept() -> None:
    kept = dict[str, Record | None](by_key(*life("a", 1)))
    older = by_key(replace(life("a", 1)[0], sandbox=""))
    assert amend(kept, older, older.keys(), NOBODY) == kept
    assert amend(kept, older, older.keys(), frozenset([ONE])) == {}


def test_an_endpoint_is_kept_until_etcd_has_all_of_it_again() -> None:
    kept = dict[str, Record | None](by_key(*life("a", 1)))
    endpoint, claim = (by_key(each) for each in life("a", 1))
    for part in (endpoint, claim):
        assert amend(kept, part, part.keys(), NOBODY) == kept
        assert amend(kept, {**endpoint, **claim}, part.keys(), NOBODY) == {}


def test_a_claim_is_kept_as_long_as_its_endpoint() -> None:
    kept = dict[str, Record | None](by_key(*life("a", 1)))
    assert amend(kept, {}, {keys.key_of(life("a", 1)[1])}, frozenset([ONE, TWO])) == kept
    assert amend(kept, {}, {keys.key_of(life("a", 1)[0])}, NOBODY) == {}


def test_a_network_that_is_written_or_deleted_is_kept_no_longer() -> None:
    kept = dict[str, Record | None](by_key(NETWORK))
    assert amend(kept, by_key(replace(NETWORK, tag=Tag(2))), kept.keys(), NOBODY) == {}
    assert amend(kept, {}, kept.keys(), NOBODY) == {}


def test_networks_are_kept_while_somebody_lives_in_them() -> None:
    kept = dict[str, Record | None](by_key(NETWORK, GROUP))
    endpoint, _ = life("a", 1)
    assert list(unused(kept, [endpoint])) == []
    assert set(unused(kept, [])) == set(kept)
