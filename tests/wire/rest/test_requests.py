"""Bodies of every kind to core values and back: an answer asks for the same object again."""

import json
import re
import string
from collections.abc import Callable
from dataclasses import fields
from ipaddress import IPv4Address
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from isthmus.core.admit.groups import GroupRequest
from isthmus.core.admit.services import ServiceRequest
from isthmus.core.admit.settings import SettingsRequest
from isthmus.core.errors import InvalidError
from isthmus.core.model import EndpointGroup, GroupId, Service, Settings, Tenant, TenantName
from isthmus.core.world import World
from isthmus.wire.rest import answers, bodies, requests
from isthmus.wire.rest.view import view_of

NOTHING = view_of(World())
LETTERS = string.ascii_letters + string.digits


def group_of(wish: GroupRequest) -> EndpointGroup:
    return EndpointGroup(id=GroupId(7), **{field.name: getattr(wish, field.name) for field in fields(wish)})


def service_of(wish: ServiceRequest) -> Service:
    vip = wish.wished_vip or IPv4Address("10.1.1.1")
    return Service(wish.key, wish.network, wish.selectors, wish.ports, vip, wish.wished_vip)


def settings_of(wish: SettingsRequest) -> Settings:
    said = {field.name: getattr(wish, field.name) for field in fields(wish) if getattr(wish, field.name) is not None}
    return Settings(**said)


def same(wish: Any) -> Any:
    return wish


# Of each kind: how it is read, which record it becomes, how that is shown, and its key's fields.
_PROFILE = (requests.parse_app_profile, same, answers.app_profile_body, ("tenantName", "appProfileName"))
KINDS: dict[type[bodies.Body], tuple[Callable[..., Any], Callable[..., Any], Callable[..., Any], tuple[str, ...]]] = {
    bodies.TenantBody: (requests.parse_tenant, same, answers.tenant_body, ("tenantName",)),
    bodies.EndpointGroupBody: (requests.parse_group, group_of, answers.group_body, ("tenantName", "groupName")),
    bodies.PolicyBody: (requests.parse_policy, same, answers.policy_body, ("tenantName", "policyName")),
    bodies.RuleBody: (requests.parse_rule, same, answers.rule_body, ("tenantName", "policyName", "ruleId")),
    bodies.NetprofileBody: (requests.parse_net_profile, same, answers.net_profile_body, ("tenantName", "profileName")),
    bodies.ServiceLBBody: (requests.parse_service, service_of, answers.service_body, ("tenantName", "serviceName")),
    bodies.BgpBody: (requests.parse_bgp, same, answers.bgp_body, ("hostname",)),
    bodies.AppProfileBody: (
        requests.parse_app_profile,
        same,
        answers.app_profile_body,
        ("tenantName", "appProfileName"),
    ),
    bodies.GlobalBody: (requests.parse_settings, settings_of, answers.global_body, ("name",)),
}
NAMES = st.lists(st.text(LETTERS, min_size=1, max_size=9), min_size=1, max_size=3).map("-".join)
ADDRESSES = st.ip_addresses(v=4).map(str)
SPANS = st.one_of(ADDRESSES, st.just("10.0.0.0/8"), st.just("10.1.1.1-9"), st.just("2001:db8::/64"))
LISTS = st.lists(NAMES, max_size=4, unique=True)
PEERS = st.fixed_dictionaries({}, optional={"group": NAMES, "addresses": SPANS}) | st.fixed_dictionaries(
    {"network": NAMES}
)
FIELDS: dict[type[bodies.Body], tuple[dict[str, Any], dict[str, Any]]] = {  # required, optional
    bodies.TenantBody: ({}, {"defaultNetwork": NAMES}),
    bodies.EndpointGroupBody: (
        {"networkName": NAMES},
        {
            "policies": LISTS,
            "netProfile": NAMES,
            "ipPool": st.just("10.1.1.1-10.1.1.9"),
            "ipv6Pool": st.just("2001:db8::1-2001:db8::9"),
            "cfgdTag": NAMES,
        },
    ),
    bodies.PolicyBody: ({}, {}),
    bodies.RuleBody: (
        {"direction": st.sampled_from(["in", "out"])},
        {
            "action": st.sampled_from(["allow", "deny"]),
            "priority": st.integers(0, 100),
            "protocol": st.sampled_from(["tcp", "udp", "17"]),
            "port": st.integers(0, 65535),
            "peer": PEERS,
        },
    ),
    bodies.NetprofileBody: (
        {},
        {"DSCP": st.integers(0, 63), "burst": st.integers(2, 10486), "bandwidth": st.sampled_from(["10Mbps", "1 k"])},
    ),
    bodies.ServiceLBBody: (
        {
            "networkName": NAMES,
            "selectors": st.lists(st.tuples(NAMES, NAMES).map("=".join), min_size=1, max_size=3),
            "ports": st.lists(st.integers(1, 65535), min_size=1, max_size=3, unique=True).map(
                lambda ports: [f"{port}:80:{'udp' if port % 2 else 'TCP'}" for port in ports]
            ),
        },
        {"ipAddress": ADDRESSES},
    ),
    bodies.BgpBody: (
        {
            "routerip": ADDRESSES.map("{}/24".format),
            "as": st.integers(1, 2**32 - 1).map(str),
            "neighbor-as": st.just("1"),
        },
        {"neighbor": ADDRESSES},
    ),
    bodies.AppProfileBody: ({}, {"endpointGroups": LISTS}),
    bodies.GlobalBody: (
        {"name": st.just("global")},
        {
            "vlans": st.just("2-9"),
            "vxlans": st.just("1-65535").map(lambda _: "5-16005"),
            "fwdMode": st.sampled_from(["bridge", "routing"]),
            "arpMode": st.sampled_from(["proxy", "flood"]),
            "pvtSubnet": st.just("10.9.0.0/16"),
        },
    ),
}


@st.composite
def documents(draw: st.DrawFn, kind: type[bodies.Body]) -> dict[str, Any]:
    """A good body."""
    required, optional = FIELDS[kind]
    body = draw(st.fixed_dictionaries(dict.fromkeys(KINDS[kind][3], NAMES) | required, optional=optional))
    peer = body.pop("peer", {})
    side = "from" if body.get("direction") == "in" else "to"
    words = {"group": "EndpointGroup", "network": "Network", "addresses": "IpAddress"}
    return body | {side + words[name]: value for name, value in peer.items()}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_an_answer_asks_for_the_same_object_again(kind: type[bodies.Body], data: st.DataObject) -> None:
    parse, record_of, show, key_fields = KINDS[kind]
    document = data.draw(documents(kind))
    key = ":".join(document[name] for name in key_fields)
    record = record_of(parse(json.dumps(document).encode(), key))
    shown = answers.render(show(record, NOTHING))
    again = record_of(parse(json.dumps(shown).encode(), key))
    assert again == record
    assert answers.render(show(again, NOTHING)) == shown
    assert shown["key"] == key


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_what_a_request_must_give_is_told_in_the_schema_and_asked_for(kind: type[bodies.Body]) -> None:
    required = kind.model_json_schema(mode="serialization")["required"]
    assert required == [bodies.alias_of(kind, name) for name in kind.REQUIRED]
    if required:
        with pytest.raises(InvalidError, match=f"^{' and '.join(required)} must be given$"):
            KINDS[kind][0](b"{}", "key")


def test_every_kind_that_may_be_written_has_a_round_trip() -> None:
    bodied = {each for each in vars(bodies).values() if isinstance(each, type) and issubclass(each, bodies.Body)}
    assert bodied - KINDS.keys() == {bodies.Body, bodies.NetworkBody, bodies.NodeBody}


WRONG_ELEMENTS: list[tuple[object, str]] = [
    ([5], "policies.0 5 is not a text"),
    (["a", None], "policies.1 null is not a text"),
    ([["a"]], 'policies.0 ["a"] is not a text'),
    ("a", 'policies "a" is not a list'),
    ({"a": 1}, 'policies {"a": 1} is not a list'),
    ([""], "names nothing in one of its elements"),
    (["a", "a"], "names something twice"),
    ([f"p{number}" for number in range(101)], "101 elements, at most 100"),
]


@pytest.mark.parametrize(("policies", "text"), WRONG_ELEMENTS)
def test_a_wrong_element_of_a_list_is_named(policies: object, text: str) -> None:
    body = {"tenantName": "t", "groupName": "g", "networkName": "n", "policies": policies}
    with pytest.raises(InvalidError, match=re.escape(text)):
        requests.parse_group(json.dumps(body).encode(), "t:g")


def test_of_very_many_wrong_elements_the_first_are_named() -> None:
    body = {"tenantName": "t", "groupName": "g", "networkName": "n", "policies": [1] * 100_000}
    with pytest.raises(InvalidError) as refusal:
        requests.parse_group(json.dumps(body).encode(), "t:g")
    assert str(refusal.value).endswith("; and 99990 more")
    assert len(str(refusal.value)) < 500


def test_an_address_is_of_no_zone_for_two_texts_would_be_one_address() -> None:
    body = {
        "tenantName": "t",
        "networkName": "n",
        "encap": "vxlan",
        "subnet": "10.1.1.0/24",
        "ipv6Subnet": "fe80::/64",
        "ipv6Gateway": "fe80::1%eth0",
    }
    with pytest.raises(InvalidError, match="ipv6Gateway"):
        requests.parse_network(json.dumps(body).encode(), "t:n")


def test_zero_values_are_left_out_at_every_depth_but_false_is_told() -> None:
    class Inner(BaseModel):
        flag: bool = False
        number: int = 0

    class Outer(BaseModel):
        inner: Inner = Inner()
        inners: list[Inner] = [Inner(number=3)]
        text: str = ""

    assert answers.render(Outer()) == {"inner": {"flag": False}, "inners": [{"flag": False, "number": 3}]}
    assert answers.render(answers.tenant_body(Tenant(TenantName("t")), NOTHING)) == {
        "key": "t",
        "tenantName": "t",
        "link-sets": {},
        "links": {},
    }
