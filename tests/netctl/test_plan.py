"""From what is wanted and what is there to the changes between them."""

from collections.abc import Sequence

import pytest

from isthmus.netctl.documents import Document, Entry
from isthmus.netctl.intent import Intent, intent_of
from isthmus.netctl.kinds import KINDS, Item
from isthmus.netctl.plan import Verb, difference, plan
from isthmus.wire.rest import bodies

Wanted = dict[str, object]

BLUE = {"kind": "tenant", "name": "blue"}
CLUSTER = {"kind": "global"}
NET = {"kind": "network", "tenant": "blue", "name": "net", "encap": "vxlan", "subnet": "10.1.1.0/24"}
POLICY = {"kind": "policy", "tenant": "blue", "name": "p"}
GROUP = {"kind": "group", "tenant": "blue", "name": "g", "networkName": "net", "policies": ["p"]}
RULE = {"kind": "rule", "tenant": "blue", "policy": "p", "name": 1, "direction": "in", "fromEndpointGroup": "g"}
BGP = {"kind": "bgp", "name": "node1", "routerip": "50.1.1.2/24", "as": 65001, "neighbor-as": "65002"}


def intent(*objects: object) -> Intent:
    return intent_of([Document(tuple(Entry(each, f"f:{number}") for number, each in enumerate(objects, 1)), {})])


def items(*objects: object) -> tuple[Item, ...]:
    found = intent(*objects)
    assert found.faults == ()
    return found.items


def faults(*objects: object) -> list[str]:
    return list(map(str, intent(*objects).faults))


def changes(wanted: Sequence[object], there: Sequence[object], *, is_pruning: bool = False) -> list[str]:
    found = plan(items(*wanted), items(*there), is_pruning=is_pruning)
    assert found.faults == ()
    return [f"{each.verb.value} {each.item.title}" for each in found.changes]


def test_the_table_has_every_field_of_rest() -> None:
    named: dict[str, type[bodies.Body]] = {
        "tenant": bodies.TenantBody,
        "global": bodies.GlobalBody,
        "policy": bodies.PolicyBody,
        "network": bodies.NetworkBody,
        "netprofile": bodies.NetprofileBody,
        "group": bodies.EndpointGroupBody,
        "rule": bodies.RuleBody,
        "service": bodies.ServiceLBBody,
        "app-profile": bodies.AppProfileBody,
        "bgp": bodies.BgpBody,
    }
    never = {"key", "links", "link-sets", "networkInfraType", "extContractsGrps"}  # netmaster's own, and ACI's
    assert list(named) == [kind.word for kind in KINDS]
    for kind in KINDS:
        told = {field.serialization_alias or name for name, field in named[kind.word].model_fields.items()}
        own = [name.field for name in kind.names] or ["name"]
        assert sorted(told - never) == sorted([*own, *(field.name for field in kind.fields)])


def test_the_order_is_that_in_which_it_can_be_made() -> None:
    every = [RULE, BGP, GROUP, NET, POLICY, CLUSTER, BLUE]
    assert [item.kind.word for item in items(*every)] == [
        "tenant",
        "global",
        "policy",
        "network",
        "group",
        "rule",
        "bgp",
    ]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("text", "f:1: an object is a mapping that begins with kind"),
        ({}, "f:1: unknown kind nothing: it is one of tenant, global, policy"),
        ({"kind": "net"}, 'f:1: unknown kind "net"'),
        ({"kind": ["net"]}, "f:1: unknown kind ['net']"),
        ({"kind": "node", "name": "a"}, 'f:1: unknown kind "node"'),
        ({"kind": "tenant"}, "f:1: a tenant needs name, a text"),
        ({"kind": "tenant", "name": True}, "f:1: a tenant needs name, a text"),
        ({"kind": "tenant", "name": ["a"]}, "f:1: a tenant needs name, a text"),
        ({"kind": "tenant", "name": "a:b"}, 'f:1: name "a:b" has a colon or a slash'),
        (
            {"kind": "network", "Subnet": "x", 7: 8},
            "f:1: a network has no Subnet and no 7: it has tenant, name, encap, subnet",
        ),
        ({**NET, "subnet": ["x"]}, "f:1: subnet ['x'] is not a text"),
        ({**NET, "subnet": True}, "f:1: subnet True is not a text"),
        ({**NET, "pktTag": "7"}, 'f:1: pktTag "7" is not a whole number'),
        ({**NET, "pktTag": True}, "f:1: pktTag True is not a whole number"),
        ({**GROUP, "policies": "p"}, 'f:1: policies "p" is not a list of texts'),
        ({**GROUP, "policies": [{}]}, "f:1: policies [{}] is not a list of texts"),
        ({**GROUP, "policies": ["p"] * 1000}, "f:2: group blue:g stands twice: first at f:1"),
    ],
)
def test_what_is_wrong_with_an_object_is_told_with_its_place(wrong: object, said: str) -> None:
    [fault] = faults(wrong, wrong) if "twice" in said else faults(wrong)
    assert fault.startswith(said)


def test_all_that_is_wrong_is_told_at_once() -> None:
    assert [each.split(":")[1] for each in faults({}, BLUE, "x", BLUE)] == ["1", "3", "4"]


def test_a_number_is_taken_for_the_text_that_it_looks_like() -> None:
    rule, bgp = items(RULE, BGP)
    assert (rule.url_key, bgp.fields["as"]) == ("blue:p:1", "65001")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({**NET, "nwType": "data", "pktTag": 0, "gateway": ""}, NET),
        ({**NET, "ipv6Gateway": "2001:DB8:0::1", "gateway": None}, {**NET, "ipv6Gateway": "2001:db8::1"}),
        ({**RULE, "action": "allow", "priority": 1, "port": 0}, RULE),
        ({**GROUP, "policies": []}, {**GROUP, "policies": None}),
        (
            {
                "kind": "service",
                "tenant": "blue",
                "name": "s",
                "selectors": ["b=1", "a=1", "b=1"],
                "ports": ["1:2:tcp"],
            },
            {"kind": "service", "tenant": "blue", "name": "s", "selectors": ["a=1", "b=1"], "ports": ["1:2:TCP"]},
        ),
    ],
)
def test_what_means_the_same_is_no_change(one: Wanted, other: Wanted) -> None:
    (first,), (second,) = items(one), items(other)
    assert first.fields == second.fields


def test_names_of_what_is_neither_in_the_file_nor_there_are_told() -> None:
    found = plan(items(GROUP, RULE), items(BLUE, NET), is_pruning=False)
    assert list(map(str, found.faults)) == [
        "f:1: group blue:g names policy blue:p, which is neither in the file nor there",
        "f:2: rule blue:p:1 names policy blue:p, which is neither in the file nor there",
    ]


def test_what_cannot_change_is_told_with_its_fields() -> None:
    there = items(BLUE, NET, POLICY, GROUP, RULE)
    other = [
        {**NET, "subnet": "10.2.0.0/16", "pktTag": 7},
        {**GROUP, "policies": [], "cfgdTag": "x"},
        {**RULE, "port": 1},
    ]
    found = plan(items(*other), there, is_pruning=False)
    assert [each.text for each in found.faults] == [
        "network blue:net is there and cannot change subnet 10.1.1.0/24 to 10.2.0.0/16, pktTag (none) to 7; "
        "remove it first",
        "group blue:g is there and cannot change cfgdTag (none) to x; remove it first",
        "rule blue:p:1 is there and cannot change port (none) to 1; remove it first",
    ]


def test_what_settings_do_not_say_stays() -> None:
    there = {**CLUSTER, "vlans": "1-10", "vxlans": "1-20"}
    assert changes([CLUSTER], [there]) == []
    found = plan(items({**CLUSTER, "vlans": "1-11"}), items(there), is_pruning=False)
    assert found.changes[0].item.fields == {"vlans": "1-11", "vxlans": "1-20"}


def test_nothing_is_removed_unless_told() -> None:
    assert changes([BLUE], [BLUE, NET]) == []


def test_what_is_removed_is_of_the_tenants_and_the_cluster_that_the_file_has() -> None:
    red = {**NET, "tenant": "red"}
    there = [BLUE, {"kind": "tenant", "name": "red"}, CLUSTER, NET, red, BGP]
    assert changes([BLUE], there, is_pruning=True) == ["removed network blue:net"]
    assert changes([CLUSTER], there, is_pruning=True) == ["removed bgp node1"]
    assert changes([NET], there, is_pruning=True) == []


def test_removals_come_in_reverse_order() -> None:
    there = [BLUE, NET, POLICY, GROUP, RULE]
    titles = ["rule blue:p:1", "group blue:g", "network blue:net", "policy blue:p"]
    assert changes([BLUE], there, is_pruning=True) == [f"removed {title}" for title in titles]


def test_what_nobody_else_names_goes_before_anything_comes_and_the_rest_after_it() -> None:
    there = [BLUE, NET, POLICY, GROUP, {**NET, "name": "old", "subnet": "10.9.0.0/16"}]
    wanted = [
        BLUE,
        NET,
        {**POLICY, "name": "q"},
        {**GROUP, "policies": ["q"]},
        {**NET, "name": "new", "subnet": "10.9.0.0/16"},
    ]
    assert changes(wanted, there, is_pruning=True) == [
        "removed network blue:old",
        "created policy blue:q",
        "created network blue:new",
        "changed group blue:g",
        "removed policy blue:p",
    ]


def test_what_waits_for_others_makes_those_wait_that_it_names() -> None:
    profile = {"kind": "netprofile", "tenant": "blue", "name": "n"}
    other = {**GROUP, "name": "h", "policies": [], "netProfile": "n"}
    app = {"kind": "app-profile", "tenant": "blue", "name": "a", "endpointGroups": ["g", "h"]}
    there = [BLUE, NET, POLICY, GROUP, profile, other, app]
    wanted = [BLUE, NET, POLICY, GROUP, {**app, "endpointGroups": ["g"]}]
    assert changes(wanted, there, is_pruning=True) == [
        "changed app-profile blue:a",
        "removed group blue:h",
        "removed netprofile blue:n",
    ]


def test_a_file_that_names_what_would_be_removed_is_wrong() -> None:
    found = plan(items(BLUE, GROUP), items(BLUE, NET, POLICY, GROUP), is_pruning=True)
    assert [each.text.split(" names ")[1][:18] for each in found.faults] == ["network blue:net, ", "policy blue:p, whi"]


def test_the_difference_is_for_people() -> None:
    there = [BLUE, NET, POLICY, {**GROUP, "netProfile": "n"}, {**POLICY, "name": "old"}]
    found = plan(
        items(BLUE, NET, POLICY, {**GROUP, "policies": ["p", "q"]}, {**POLICY, "name": "q"}, RULE),
        items(*there),
        is_pruning=True,
    )
    assert difference(found.changes) == (
        "- policy blue:old\n"
        "+ policy blue:q\n"
        "~ group blue:g\n"
        "    policies: [p] -> [p, q]\n"
        "    netProfile: n -> (none)\n"
        "+ rule blue:p:1\n"
        "    direction: in\n"
        "    priority: 1\n"
        "    fromEndpointGroup: g\n"
        "    action: allow\n"
    )
    assert [each.verb for each in found.changes].count(Verb.CREATE) == 2
