"""Which wishes for groups, policies, profiles, services and settings become which records."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

import pytest

from isthmus.core.admit.groups import GroupRequest, admit_group, admit_group_removal
from isthmus.core.admit.leftovers import admit_endpoint_removal, admit_node_removal, leftovers_of_node, lost_node
from isthmus.core.admit.policies import admit_rule
from isthmus.core.admit.services import ServiceRequest, admit_bgp, admit_service, admit_service_removal
from isthmus.core.admit.settings import SettingsRequest, admit_settings
from isthmus.core.errors import ConflictError, ExhaustedError, InvalidError, NotFoundError
from isthmus.core.ipam import parse_pool, parse_subnet
from isthmus.core.model import (
    DEFAULT_TENANT,
    Action,
    AddressClaim,
    AllocationCursor,
    ArpMode,
    Bgp,
    ClaimPurpose,
    Direction,
    Encap,
    Endpoint,
    EndpointId,
    ForwardMode,
    GroupId,
    GroupIdOwner,
    GroupKey,
    GroupName,
    Network,
    NetworkKey,
    NetworkName,
    Node,
    NodeContact,
    NodeLease,
    NodeName,
    Policy,
    PolicyKey,
    PolicyName,
    Range,
    Record,
    Rule,
    RuleId,
    RuleKey,
    ServiceKey,
    ServiceName,
    ServicePort,
    Settings,
    Tag,
    TagOwner,
    Tenant,
    mac_of,
)
from isthmus.core.world import Change, World, evolve

NET = NetworkKey(DEFAULT_TENANT, NetworkName("net"))
NETWORK = Network(NET, Encap.VXLAN, Tag(5), parse_subnet("10.1.1.0/29"), gateway=IPv4Address("10.1.1.1"))
POLICY = Policy(PolicyKey(DEFAULT_TENANT, PolicyName("p")))
GROUP = GroupKey(DEFAULT_TENANT, GroupName("g"))
WISH = GroupRequest(GROUP, NET.name, (POLICY.key.name,))
SERVICE = ServiceRequest(
    ServiceKey(DEFAULT_TENANT, ServiceName("s")), NET.name, ("a=b",), (ServicePort(80, 80, "TCP"),)
)
NODE = NodeName("node1")
BASE: tuple[Record, ...] = (
    Tenant(DEFAULT_TENANT),
    NETWORK,
    TagOwner(Encap.VXLAN, Tag(5), NET),
    POLICY,
    AddressClaim(NET, IPv4Address("10.1.1.1"), ClaimPurpose.GATEWAY),
)


def world(*records: Record) -> World:
    return evolve(World(), map(Change, (*BASE, *records)), 1).world


def endpoint(group: GroupName | None = None) -> tuple[Endpoint, AddressClaim]:
    address = IPv4Address("10.1.1.2")
    name = EndpointId("e" * 64)
    return (
        Endpoint(name, NET, NODE, mac_of(address), address, None, group, "c"),
        AddressClaim(NET, address, ClaimPurpose.LEASE, NODE, name),
    )


def test_a_group_gets_the_lowest_id_that_is_free_keeps_it_and_gives_it_back() -> None:
    owners = [GroupIdOwner(GroupId(number), GROUP) for number in (1, 2, 4)]
    decision = admit_group(WISH, world(*owners))
    assert decision.put == (decision.outcome, GroupIdOwner(GroupId(3), GROUP))
    changed = admit_group(replace(WISH, policies=()), world(decision.outcome))
    assert changed.put == (replace(decision.outcome, policies=()),)
    assert admit_group(WISH, world(decision.outcome)).put == ()
    removal = admit_group_removal(GROUP, world(decision.outcome))
    cursor = AllocationCursor(NET, group=GROUP.name)
    assert removal.remove == (decision.outcome, GroupIdOwner(GroupId(3), GROUP), cursor)


def test_ids_run_out() -> None:
    owners = [GroupIdOwner(GroupId(number), GROUP) for number in range(1, 65536)]
    with pytest.raises(ExhaustedError, match="all of 1 to 65535"):
        admit_group(WISH, world(*owners))


def test_a_group_stays_while_a_member_lives() -> None:
    group = admit_group(WISH, world()).outcome
    with pytest.raises(ConflictError, match="endpoint group default:g is in use by 1 container: c"):
        admit_group_removal(GROUP, world(group, *endpoint(GROUP.name)))
    assert admit_group_removal(GROUP, world(group, *endpoint())).outcome == group


def test_a_service_takes_the_next_address_of_what_no_pool_holds_and_gives_it_back() -> None:
    pool = replace(WISH, pool=parse_pool("10.1.1.2-10.1.1.3"))
    group = admit_group(pool, world()).outcome
    there = world(group)
    decision = admit_service(SERVICE, there)
    claim = AddressClaim(NET, IPv4Address("10.1.1.4"), ClaimPurpose.SERVICE, service=SERVICE.key.name)
    assert decision.put == (decision.outcome, claim)
    assert admit_service_removal(SERVICE.key, world(decision.outcome)).remove == (decision.outcome, claim)
    with pytest.raises(ConflictError, match=r"10\.1\.1\.2 .* for members of group default:g only"):
        admit_service(replace(SERVICE, wished_vip=IPv4Address("10.1.1.2")), there)
    changed = replace(SERVICE, selectors=("c=d",))
    assert admit_service(changed, world(decision.outcome)).put == (replace(decision.outcome, selectors=("c=d",)),)


def rule(direction: Direction = Direction.IN, protocol: str = "", port: int = 0) -> Rule:
    return Rule(RuleKey(POLICY.key, RuleId("1")), direction, Action.ALLOW, protocol=protocol, port=port)


@pytest.mark.parametrize(("protocol", "is_fine"), [("tcp", True), ("17", True), ("icmp", False), ("", False)])
def test_only_tcp_and_udp_have_ports(protocol: str, *, is_fine: bool) -> None:
    wish = rule(protocol=protocol, port=80)
    if is_fine:
        assert admit_rule(wish, world()).put == (wish,)
        return
    with pytest.raises(InvalidError, match="only tcp and udp have ports"):
        admit_rule(wish, world())


def test_a_rule_names_what_is_there_and_never_changes() -> None:
    with pytest.raises(NotFoundError, match="endpoint group default:g not found"):
        admit_rule(replace(rule(), peer_group=GROUP.name), world())
    with pytest.raises(NotFoundError, match="network default:no not found"):
        admit_rule(replace(rule(), peer_network=NetworkName("no")), world())
    with pytest.raises(ConflictError, match="rule default:p:1 exists"):
        admit_rule(rule(Direction.OUT), world(rule()))
    assert admit_rule(rule(), world(rule())).put == ()


def test_settings_change_as_far_as_they_are_said() -> None:
    wish = SettingsRequest(arp_mode=ArpMode.FLOOD)
    assert admit_settings(wish, world()).put == (Settings(arp_mode=ArpMode.FLOOD),)
    assert admit_settings(SettingsRequest(), world()).put == ()


@pytest.mark.parametrize(
    ("wish", "text"),
    [
        (SettingsRequest(vnis=Range(1, 4)), "cannot update the vxlan range to 1-4 due to existing vxlans 5"),
        (SettingsRequest(forward_mode=ForwardMode.ROUTING), "forwarding mode due to existing 1 vxlans"),
        (SettingsRequest(private_subnet=IPv4Network("10.9.0.0/16")), "private subnet due to existing 1 vxlans"),
    ],
)
def test_settings_that_networks_depend_on_stay(wish: SettingsRequest, text: str) -> None:
    with pytest.raises(ConflictError, match=text):
        admit_settings(wish, world())


def test_bgp_and_its_forward_mode_keep_each_other() -> None:
    router = Bgp(NODE, IPv4Interface("50.1.1.2/24"), "1", "2")
    routing = Settings(forward_mode=ForwardMode.ROUTING)
    with pytest.raises(ConflictError, match="needs forward mode routing"):
        admit_bgp(router, world())
    assert admit_bgp(router, world(routing)).put == (router,)
    records: tuple[Record, ...] = (routing, router)
    idle = evolve(World(), map(Change, records), 1).world
    with pytest.raises(ConflictError, match="delete the BGP configurations first, of 1 node: node1"):
        admit_settings(SettingsRequest(forward_mode=ForwardMode.BRIDGE), idle)


def test_an_endpoint_goes_with_its_claims_once_its_node_is_lost_or_it_is_forced() -> None:
    own, claim = endpoint()
    lease = NodeLease(NODE, "host")
    assert admit_endpoint_removal(own, world(own, claim), is_forced=False).remove == (own, claim)
    assert admit_endpoint_removal(own, world(own, claim, lease), is_forced=True).remove == (own, claim)
    assert admit_endpoint_removal(own, world(), is_forced=False).remove == ()
    with pytest.raises(ConflictError, match="lives on node node1, which is alive"):
        admit_endpoint_removal(own, world(own, claim, lease), is_forced=False)


def test_a_node_goes_once_it_is_lost_and_holds_nothing() -> None:
    node, (own, claim) = Node(NODE, None, "0"), endpoint()
    unbound = AddressClaim(NET, IPv4Address("10.1.1.3"), ClaimPurpose.LEASE, NODE)
    assert set(leftovers_of_node(NODE, world(node, own, claim, unbound))) == {own, claim, unbound}
    with pytest.raises(ConflictError, match="node node1 still has 1 endpoint: c"):
        admit_node_removal(NODE, world(node, own, claim))
    with pytest.raises(ConflictError, match="node node1 is alive"):
        lost_node(NODE, world(node, NodeLease(NODE, "host")))
    with pytest.raises(NotFoundError, match="node node1 not found"):
        lost_node(NODE, world())
    assert admit_node_removal(NODE, world(node)).remove == (node,)
    contact = NodeContact(NODE, 1)
    assert admit_node_removal(NODE, world(node, contact, NodeContact(NodeName("node2"), 1))).remove == (node, contact)
