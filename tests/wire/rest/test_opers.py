"""The state of groups, policies, profiles and services, and how what is not enforced says so."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface

import pytest

from isthmus.core.ipam import parse_pool, parse_subnet
from isthmus.core.model import (
    Action,
    AddressClaim,
    AppProfile,
    AppProfileKey,
    AppProfileName,
    Bgp,
    ClaimPurpose,
    Direction,
    Encap,
    Endpoint,
    EndpointGroup,
    EndpointId,
    GroupId,
    GroupKey,
    GroupName,
    NetProfile,
    Network,
    NetworkKey,
    NetworkName,
    NodeName,
    Policy,
    PolicyKey,
    PolicyName,
    ProfileKey,
    ProfileName,
    Record,
    Rule,
    RuleId,
    RuleKey,
    Service,
    ServiceKey,
    ServiceName,
    ServicePort,
    Tag,
    Tenant,
    TenantName,
    mac_of,
)
from isthmus.core.world import Change, World, evolve
from isthmus.wire.rest import opers

T = TenantName("t")
NET, LAN = NetworkKey(T, NetworkName("net")), NetworkKey(T, NetworkName("lan"))
NODE = NodeName("node1")
POLICY = Policy(PolicyKey(T, PolicyName("p")))
PROFILE = NetProfile(ProfileKey(T, ProfileName("f")))
NETWORK = Network(NET, Encap.VXLAN, Tag(7), parse_subnet("10.1.0.0/28"), gateway=IPv4Address("10.1.0.14"))
OTHER = Network(LAN, Encap.VLAN, Tag(9), parse_subnet("10.2.0.0/29"))
POOLED = EndpointGroup(
    GroupKey(T, GroupName("db")), GroupId(1), NET.name, (POLICY.key.name,), pool=parse_pool("10.1.0.4-10.1.0.7")
)
FREE = EndpointGroup(GroupKey(T, GroupName("web")), GroupId(2), NET.name, (POLICY.key.name,), PROFILE.key.name)
PLAIN = EndpointGroup(GroupKey(T, GroupName("job")), GroupId(3), LAN.name)
SHOP = AppProfile(AppProfileKey(T, AppProfileName("shop")), (POOLED.key.name, PLAIN.key.name))
ROUTER = Bgp(NODE, IPv4Interface("50.1.1.2/24"), "1", "2")
SERVICE = Service(
    ServiceKey(T, ServiceName("s")), NET.name, ("a=b",), (ServicePort(80, 80, "TCP"),), IPv4Address("10.1.0.13")
)
RULE = Rule(RuleKey(POLICY.key, RuleId("1")), Direction.IN, Action.ALLOW)


def member(network: NetworkKey, address_text: str, group: EndpointGroup | None) -> tuple[Record, ...]:
    address = IPv4Address(address_text)
    name = EndpointId(address_text)
    claim = AddressClaim(network, address, ClaimPurpose.LEASE, NODE, name)
    return Endpoint(name, network, NODE, mac_of(address), address, None, group.key.name if group else None), claim


RECORDS: tuple[Record, ...] = (
    *(Tenant(T), NETWORK, OTHER, POLICY, PROFILE, POOLED, FREE, PLAIN, SHOP, SERVICE, RULE, ROUTER),
    *member(NET, "10.1.0.5", POOLED),
    *member(NET, "10.1.0.4", POOLED),
    *member(NET, "10.1.0.1", FREE),
    *member(NET, "10.1.0.2", None),
    *member(LAN, "10.2.0.1", PLAIN),
)


def world_of(*records: Record) -> World:
    return evolve(World(), map(Change, records), 1).world


WORLD = world_of(*RECORDS)


def test_what_is_accepted_and_not_enforced_says_so() -> None:
    notes = [
        opers.policy_oper(POLICY, WORLD),
        opers.rule_oper(RULE, WORLD),
        opers.net_profile_oper(PROFILE, WORLD),
        opers.service_oper(SERVICE, WORLD),
        opers.bgp_oper(ROUTER, WORLD),
        opers.group_oper(POOLED, WORLD),
        opers.group_oper(FREE, WORLD),
    ]
    assert [(each.enforced, "accepted, but not enforced" in each.note) for each in notes] == [(False, True)] * 7
    assert [("policies" in each.note, "net profiles" in each.note) for each in notes[-2:]] == [
        (True, False),
        (True, True),
    ]
    plain = opers.group_oper(PLAIN, WORLD)
    assert (plain.enforced, plain.note) == (True, "")


@pytest.mark.parametrize(
    ("group", "allocated", "available", "members"),
    [
        (POOLED, "10.1.0.4-10.1.0.5", "10.1.0.6-10.1.0.7", ["10.1.0.4", "10.1.0.5"]),
        (FREE, "10.1.0.1", "10.1.0.3, 10.1.0.8-10.1.0.13", ["10.1.0.1"]),
        (PLAIN, "10.2.0.1", "10.2.0.2-10.2.0.6", ["10.2.0.1"]),
    ],
)
def test_a_groups_state_is_of_its_pool_or_of_what_its_network_has_left(
    group: EndpointGroup, allocated: str, available: str, members: list[str]
) -> None:
    oper = opers.group_oper(group, WORLD)
    assert (oper.allocatedIPAddresses, oper.availableIPAddresses) == (allocated, available)
    assert ([each.ipAddress[0] for each in oper.endpoints], oper.numEndpoints) == (members, len(members))


def test_policies_and_app_profiles_are_about_the_members_of_their_groups() -> None:
    policy, shop = opers.policy_oper(POLICY, WORLD), opers.app_profile_oper(SHOP, WORLD)
    assert [each.ipAddress[0] for each in policy.endpoints] == ["10.1.0.1", "10.1.0.4", "10.1.0.5"]
    assert [each.ipAddress[0] for each in shop.endpoints] == ["10.2.0.1", "10.1.0.4", "10.1.0.5"]


def test_a_tenants_state_is_that_of_all_that_it_has() -> None:
    """It is drawn in one go, at another cost than one by one, and must be the same."""
    whole = opers.tenant_oper(Tenant(T), WORLD)
    assert whole.networks == [opers.network_oper(each, WORLD) for each in (OTHER, NETWORK)]
    assert whole.endpointGroups == [opers.group_oper(each, WORLD) for each in (POOLED, PLAIN, FREE)]
    assert whole.policies == [opers.policy_oper(POLICY, WORLD)]
    assert whole.servicelbs == [opers.service_oper(SERVICE, WORLD)]
    totals = (whole.totalAppProfiles, whole.totalEPGs, whole.totalEndpoints, whole.totalNetprofiles)
    assert (*totals, whole.totalNetworks, whole.totalPolicies, whole.totalServicelbs) == (1, 3, 5, 1, 2, 1, 1)


def test_what_names_a_lost_network_is_shown_all_the_same() -> None:
    lost = world_of(*(each for each in RECORDS if each not in (NETWORK, OTHER)))
    oper = opers.group_oper(replace(FREE, label="x"), lost)
    assert (oper.pktTag, oper.availableIPAddresses, oper.groupTag, oper.numEndpoints) == (0, "", "x", 1)
    assert opers.tenant_oper(Tenant(T), lost).totalEPGs == 3
    assert opers.policy_oper(POLICY, lost).numEndpoints == 3
