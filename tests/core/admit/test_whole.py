"""What does not go together in a set of records is found and named; what does go together is written in order."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface, IPv6Address

import pytest

from isthmus.core.admit.restore import admit_restore
from isthmus.core.admit.whole import faults
from isthmus.core.errors import ConflictError, InvalidError
from isthmus.core.ipam import parse_pool, parse_subnet, parse_subnet_v6
from isthmus.core.model import (
    Action,
    AddressClaim,
    AllocationCursor,
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
    Epoch,
    ForwardMode,
    GroupId,
    GroupIdOwner,
    GroupKey,
    GroupName,
    NetProfile,
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
    ProfileKey,
    ProfileName,
    Range,
    Record,
    Rule,
    RuleId,
    RuleKey,
    Service,
    ServiceKey,
    ServiceName,
    ServicePort,
    Settings,
    Tag,
    TagOwner,
    Tenant,
    TenantName,
    mac_of,
)
from isthmus.core.world import Change, World, evolve
from isthmus.wire import keys

BLUE = TenantName("blue")
KEY, OTHER = NetworkKey(BLUE, NetworkName("net")), NetworkKey(BLUE, NetworkName("other"))
GATEWAY, GATEWAY_V6, VIP = IPv4Address("10.1.1.254"), IPv6Address("fd00::1"), IPv4Address("10.1.1.1")
HOME, HOME_V6 = IPv4Address("10.1.1.2"), IPv6Address("fd00::2")
NODE = NodeName("node1")
SUBNET_V6 = parse_subnet_v6("fd00::/64")
NETWORK = Network(KEY, Encap.VXLAN, Tag(7), parse_subnet("10.1.1.0/24"), GATEWAY, SUBNET_V6, GATEWAY_V6)
NEIGHBOUR = Network(OTHER, Encap.VLAN, Tag(7), parse_subnet("10.1.2.0/24"))
POLICY, PROFILE = Policy(PolicyKey(BLUE, PolicyName("p"))), NetProfile(ProfileKey(BLUE, ProfileName("n")))
GROUP = EndpointGroup(
    GroupKey(BLUE, GroupName("g")),
    GroupId(3),
    KEY.name,
    (POLICY.key.name,),
    PROFILE.key.name,
    parse_pool("10.1.1.10-10.1.1.20"),
)
RULE = Rule(RuleKey(POLICY.key, RuleId("1")), Direction.IN, Action.DENY, peer_group=GROUP.key.name)
SERVICE = Service(ServiceKey(BLUE, ServiceName("s")), KEY.name, ("a=b",), (ServicePort(80, 80, "TCP"),), VIP)
APP = AppProfile(AppProfileKey(BLUE, AppProfileName("a")), (GROUP.key.name,))
ENDPOINT = Endpoint(EndpointId("e" * 64), KEY, NODE, mac_of(HOME), HOME, HOME_V6, GROUP.key.name, "web")


def lease(address: IPv4Address | IPv6Address, endpoint: EndpointId | None = ENDPOINT.id) -> AddressClaim:
    return AddressClaim(KEY, address, ClaimPurpose.LEASE, NODE, endpoint)


WHOLE: tuple[Record, ...] = (
    Settings(forward_mode=ForwardMode.ROUTING),
    Tenant(TenantName("default")),
    Tenant(BLUE),
    NETWORK,
    NEIGHBOUR,
    TagOwner(Encap.VXLAN, Tag(7), KEY),
    TagOwner(Encap.VLAN, Tag(7), OTHER),
    POLICY,
    PROFILE,
    GROUP,
    GroupIdOwner(GroupId(3), GROUP.key),
    RULE,
    SERVICE,
    APP,
    Bgp(NODE, IPv4Interface("50.1.1.2/24"), "1", "2"),
    ENDPOINT,
    lease(HOME),
    lease(HOME_V6),
    lease(IPv4Address("10.1.1.9"), None),
    AddressClaim(KEY, GATEWAY, ClaimPurpose.GATEWAY),
    AddressClaim(KEY, GATEWAY_V6, ClaimPurpose.GATEWAY),
    AddressClaim(KEY, VIP, ClaimPurpose.SERVICE, service=SERVICE.key.name),
    AllocationCursor(KEY, HOME, HOME_V6),
    Node(NODE, IPv4Address("192.168.2.10"), "0.1.0"),
)


def by_key(records: Iterable[Record]) -> dict[str, Record]:
    return {keys.key_of(record): record for record in records}


def found(*records: Record) -> list[str]:
    return list(faults(evolve(World(), map(Change, records), 1).world))


def test_a_cluster_that_came_about_by_wishes_goes_together() -> None:
    assert {type(record) for record in WHOLE} == {*keys.KINDS} - {NodeLease, NodeContact, Epoch}
    assert found(*WHOLE) == []
    assert found() == []


@pytest.mark.parametrize(
    ("gone", "said"),
    [
        (Tenant(BLUE), "network blue:net names tenant blue, which is not there"),
        (NETWORK, "endpoint group blue:g names network blue:net, which is not there"),
        (NETWORK, "vxlan tag 7 is held by network blue:net, which has it not"),
        (NETWORK, "service blue:s names network blue:net, which is not there"),
        (NETWORK, "what holds an address in network blue:net names network blue:net, which is not there"),
        (POLICY, "endpoint group blue:g names policy blue:p, which is not there"),
        (POLICY, "rule blue:p:1 names policy blue:p, which is not there"),
        (PROFILE, "endpoint group blue:g names net profile blue:n, which is not there"),
        (GROUP, "rule blue:p:1 names endpoint group blue:g, which is not there"),
        (GROUP, "app profile blue:a names endpoint group blue:g, which is not there"),
        (GROUP, "endpoint group id 3 is held by group blue:g, which has it not"),
        (GROUP, "endpoint eeeeeeeeeeee (web) names endpoint group blue:g, which is not there"),
        (TagOwner(Encap.VXLAN, Tag(7), KEY), "network blue:net has vxlan tag 7, which is held by nobody"),
        (GroupIdOwner(GroupId(3), GROUP.key), "endpoint group blue:g has id 3, which is held by nobody"),
        (SERVICE, "address 10.1.1.1 of network blue:net is held for service s, which has it not"),
        (ENDPOINT, "address fd00::2 of network blue:net is held for endpoint eeeeeeeeeeee, which has it not"),
        (lease(HOME_V6), "endpoint eeeeeeeeeeee (web) has address fd00::2 of network blue:net, which nobody holds"),
        (
            AddressClaim(KEY, GATEWAY, ClaimPurpose.GATEWAY),
            "the gateway has address 10.1.1.254 of network blue:net, wh",
        ),
        (AddressClaim(KEY, VIP, ClaimPurpose.SERVICE, service=SERVICE.key.name), "service blue:s has address 10.1.1.1"),
        (Settings(forward_mode=ForwardMode.ROUTING), "BGP of node1 needs forward mode routing; it is bridge"),
    ],
)
def test_what_is_missing_is_named_by_who_needs_it(gone: Record, said: str) -> None:
    assert gone in WHOLE
    assert [each for each in found(*(record for record in WHOLE if record != gone)) if each.startswith(said)]


STRANGER = NetworkKey(BLUE, NetworkName("stranger"))


@pytest.mark.parametrize(
    ("records", "said"),
    [
        ((replace(NETWORK, tag=Tag(8)),), "network blue:net has vxlan tag 8, which is held by nobody"),
        (
            (TagOwner(Encap.VXLAN, Tag(7), OTHER),),
            "network blue:net has vxlan tag 7, which is held by network blue:oth",
        ),
        ((Settings(vnis=Range(1, 6)),), "network blue:net has vxlan tag 7, which is out of range 1-6"),
        (
            (replace(NEIGHBOUR, subnet=parse_subnet("10.1.0.0/16")),),
            "the subnets of networks blue:other and blue:net o",
        ),
        ((replace(NEIGHBOUR, subnet_v6=parse_subnet_v6("fd00::/48")),), "the subnets of networks blue:"),
        (
            (replace(NETWORK, key=STRANGER, tag=Tag(9), subnet=parse_subnet("10.1.2.7-10.1.2.9/24"), subnet_v6=None),),
            "the subnets of networks blue:other and blue:stranger overlap",
        ),
        ((replace(GROUP, key=GroupKey(BLUE, GroupName("net"))),), "network and endpoint group blue:net have one name"),
        ((replace(GROUP, id=GroupId(4)),), "endpoint group blue:g has id 4, which is held by nobody"),
        ((replace(GROUP, id=GroupId(65536)),), "endpoint group blue:g has id 65536, which is out of range 1-65535"),
        (
            (replace(GROUP, pool=parse_pool("10.1.1.9-10.1.2.9")),),
            "pool 10.1.1.9-10.1.2.9 of group blue:g is not a sub",
        ),
        (
            (replace(GROUP, key=GroupKey(BLUE, GroupName("h")), pool=parse_pool("10.1.1.20-10.1.1.30")),),
            "pool 10.1.1.10-10.1.1.20 of group blue:g overlaps pool 10.1.1.20-10.1.1.30 of group blue:h",
        ),
        (
            (lease(IPv4Address("10.9.9.9"), None),),
            "address 10.9.9.9 of network blue:net is held, and is not of its subn",
        ),
        (
            (replace(lease(HOME), endpoint=EndpointId("x")),),
            "endpoint eeeeeeeeeeee (web) has address 10.1.1.2 of networ",
        ),
        (
            (AddressClaim(KEY, HOME, ClaimPurpose.GATEWAY),),
            "address 10.1.1.2 of network blue:net is held as its gatewa",
        ),
        ((replace(RULE, peer_network=NetworkName("x")),), "rule blue:p:1 names network blue:x, which is not there"),
    ],
)
def test_what_is_held_wrongly_is_named(records: tuple[Record, ...], said: str) -> None:
    others = [record for record in WHOLE if keys.key_of(record) not in by_key(records)]
    assert [each for each in found(*others, *records) if each.startswith(said)]


def test_an_overlap_is_found_behind_a_network_that_lies_between() -> None:
    def network(name: str, subnet: str, tag: int) -> tuple[Record, ...]:
        key = NetworkKey(BLUE, NetworkName(name))
        return Network(key, Encap.VXLAN, Tag(tag), parse_subnet(subnet)), TagOwner(Encap.VXLAN, Tag(tag), key)

    wide, between, late = (
        network("a", "10.0.0.0/8", 1),
        network("b", "10.1.0.0/24", 2),
        network("c", "10.200.0.0/24", 3),
    )
    assert found(Tenant(BLUE), *wide, *between, *late) == [
        "the subnets of networks blue:a and blue:b overlap",
        "the subnets of networks blue:a and blue:c overlap",
    ]


def test_all_of_a_backup_is_missing_in_an_empty_cluster_and_nothing_in_its_own() -> None:
    whole = by_key(WHOLE)
    empty = by_key((Settings(), Tenant(TenantName("default"))))
    assert {*admit_restore(whole, empty).missing} == {*whole} - {"/isthmus/v1/tenant/default"}
    assert {*admit_restore(whole, {}).missing} == {*whole}
    assert admit_restore(whole, whole).missing == ()
    assert admit_restore(whole, whole).there == len(whole)


def test_whatever_the_cut_nobody_can_take_what_is_still_to_come() -> None:
    """Where a network is there, so is all that is held in it; and what has a number, so has the number its owner."""
    order = admit_restore(by_key(WHOLE), {}).missing

    def place(record: Record) -> int:
        return order.index(keys.key_of(record))

    held = [record for record in WHOLE if isinstance(record, AddressClaim | Endpoint | AllocationCursor | TagOwner)]
    assert max(map(place, held)) < min(place(NETWORK), place(NEIGHBOUR))
    assert place(GroupIdOwner(GroupId(3), GROUP.key)) < place(GROUP) == place(NETWORK) + 1
    for early, later in ((Tenant(BLUE), NETWORK), (POLICY, GROUP), (PROFILE, GROUP), (GROUP, RULE), (GROUP, APP)):
        assert place(early) < place(later)


@pytest.mark.parametrize(
    "newer",
    [
        Node(NODE, IPv4Address("192.168.2.99"), "0.2.0", applied_revision=9),
        AllocationCursor(KEY, IPv4Address("10.1.1.77")),
        replace(ENDPOINT, container="renamed"),
    ],
)
def test_what_agents_know_better_stays(newer: Record) -> None:
    present = by_key(WHOLE) | by_key([newer])
    assert admit_restore(by_key(WHOLE), present).missing == ()


def test_an_endpoint_whose_address_was_given_back_meanwhile_stays_away() -> None:
    freed = [AddressClaim(KEY, address, ClaimPurpose.LEASE, NODE) for address in ENDPOINT.addresses]
    present = by_key(WHOLE) | by_key(freed)
    del present[keys.key_of(ENDPOINT)]
    assert admit_restore(by_key(WHOLE), present).missing == ()


Edit = Callable[[dict[str, Record]], object]


@pytest.mark.parametrize(
    ("edit_backup", "edit_present", "kind", "said"),
    [
        (lambda it: it.pop(keys.tenant_key(BLUE)), None, InvalidError, "network blue:net names tenant blue"),
        (
            lambda it: it.update(by_key([NodeLease(NODE, "x")])),
            None,
            InvalidError,
            "node/node1/lease says what goes on at present",
        ),
        (
            lambda it: it.update(by_key([NodeContact(NODE, 1)])),
            None,
            InvalidError,
            "/isthmus/v1-contact/node1 says what goes on at present",
        ),
        (
            None,
            lambda it: it.update(by_key([replace(PROFILE, dscp=1)])),
            ConflictError,
            "record /isthmus/v1/netprofile/blue/n is there, and differs",
        ),
        (
            None,
            lambda it: it.update(by_key([Settings(vnis=Range(1, 9))])),
            ConflictError,
            "record /isthmus/v1/global is there, and differs",
        ),
        (
            None,
            lambda it: it.update(
                by_key([replace(NEIGHBOUR, key=STRANGER, tag=Tag(8)), TagOwner(Encap.VLAN, Tag(8), STRANGER)])
            ),
            ConflictError,
            "do not go together with what is there: the subnets of networks blue:other and blue:stranger overlap",
        ),
    ],
)
def test_what_does_not_go_together_is_refused(
    edit_backup: Edit | None, edit_present: Edit | None, kind: type[Exception], said: str
) -> None:
    backup, present = by_key(WHOLE), dict[str, Record]()
    for edit, records in ((edit_backup, backup), (edit_present, present)):
        if edit is not None:
            edit(records)
    with pytest.raises(kind) as refusal:
        admit_restore(backup, present)
    assert said in str(refusal.value)


def test_of_many_faults_only_the_first_are_told() -> None:
    records = [Policy(PolicyKey(BLUE, PolicyName(f"p{number}"))) for number in range(50)]
    with pytest.raises(InvalidError, match=r"; and 30 more$"):
        admit_restore(by_key(records), {})
