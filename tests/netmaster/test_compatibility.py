"""What Contiv's clients count on: paths, upserts, keys, links, and the same object wherever it is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.netmaster.rows import FURNITURE, KEY_FIELDS, key_of

if TYPE_CHECKING:
    from tests.netmaster.conftest import Master

pytestmark = pytest.mark.root

COLLECTION = {
    "appProfile": "appProfiles",
    "endpointGroup": "endpointGroups",
    "netprofile": "netprofiles",
    "network": "networks",
    "policy": "policys",
    "rule": "rules",
    "serviceLB": "serviceLBs",
    "tenant": "tenants",
}
ONE_WAY = {("rules", "networks")}  # Contiv has no link between them


@pytest.fixture
def routed(master: Master) -> Master:
    """With some of every kind, BGP included."""
    master.post("globals", "global", name="global", fwdMode="routing")
    fields = {"hostname": "node1", "routerip": "50.1.1.2/24", "as": "1", "neighbor-as": "2"}
    assert master.ask("POST", "/api/v1/Bgps/node1/", fields).status == 200
    for collection, body in FURNITURE:
        own = {"tenantName": "default"} | dict(body)
        assert master.ask("PUT", f"/api/v1/{collection}/{key_of(collection, own)}", own).status == 200
    return master


def everything(master: Master) -> dict[tuple[str, str], Any]:
    """{(collection, key): object} of all lists."""
    lists = {collection: master.ask("GET", f"/api/v1/{collection}/").json for collection in KEY_FIELDS}
    return {(collection, each["key"]): each for collection, objects in lists.items() for each in objects}


def links_of(shown: Any) -> set[tuple[str, str]]:
    """The objects that one is linked to, as (collection, key)."""
    links = [*shown["links"].values(), *(link for found in shown["link-sets"].values() for link in found.values())]
    return {(COLLECTION[link["type"]], link["key"]) for link in links}


def test_an_object_is_the_same_in_lists_alone_and_in_its_inspection(routed: Master) -> None:
    for (collection, key), shown in everything(routed).items():
        for slash in ("", "/"):
            assert routed.ask("GET", f"/api/v1/{collection}/{key}{slash}").json == shown
            inspected = routed.ask("GET", f"/api/v1/inspect/{collection}/{key}{slash}").json
            assert (inspected["Config"], list(inspected)) == (shown, ["Config", "Oper"])
            assert routed.ask("GET", f"/api/v1/{collection}{slash}").json.count(shown) == 1


def test_every_link_leads_to_an_object_that_links_back(routed: Master) -> None:
    objects = everything(routed)
    links = {(own, target) for own, shown in objects.items() for target in links_of(shown)}
    assert {target for _, target in links} <= objects.keys()
    assert {(target, own) for own, target in links} == links
    linked = {(own[0], target[0]) for own, target in links}
    assert {("rules", "endpointGroups"), ("endpointGroups", "appProfiles"), ("serviceLBs", "networks")} <= linked
    assert {collection for collection, _ in linked} == set(COLLECTION.values())


@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize("slash", ["", "/"])
def test_what_was_shown_may_be_sent_again(routed: Master, method: str, slash: str) -> None:
    for (collection, key), shown in everything(routed).items():
        reply = routed.ask(method, f"/api/v1/{collection}/{key}{slash}", shown)
        assert (reply.status, reply.json) == (200, shown), reply.text


def test_lists_are_in_the_order_of_their_keys_and_a_deletion_answers_the_key(routed: Master) -> None:
    objects = everything(routed)
    for collection in KEY_FIELDS:
        keys = [key for kind, key in objects if kind == collection]
        assert keys == sorted(keys)
    for number, (collection, body) in enumerate([("Bgps", {"hostname": "node1"}), *reversed(FURNITURE)]):
        key = key_of(collection, {"tenantName": "default"} | dict(body))
        if collection == "endpointGroups":
            routed.ask("DELETE", "/api/v1/rules/default:in:1/")
        if collection == "rules" and key.endswith(":1"):
            continue  # went before the group that it names
        reply = routed.ask("DELETE", f"/api/v1/{collection}/{key}{'/' * (number % 2)}")
        assert (reply.status, reply.json) == (200, key), reply.text
    assert set(everything(routed)) == {("tenants", "default"), ("globals", "global")}
